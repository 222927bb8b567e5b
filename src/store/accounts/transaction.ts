/**
 * A change of accounts is written once for all stores. It declares its read set, and then runs synchronously within one
 * commit. LMDB reads inside its write transaction. Redis loads the read set first, and runs the change again if another
 * process commits meanwhile.
 */
import type { AuditNote } from '../../model/audit.ts';
import type { AccountRecords, Link, TableName } from './records.ts';

export interface Table<T> {
  get(key: string): T | undefined;
  /** Returns true also for a damaged entry, which `get` does not return. */
  has(key: string): boolean;
  /** Returns all entries, in the order of their keys. The table may be changed while they are read. */
  list(): readonly (readonly [key: string, value: T])[];
  put(key: string, value: T): void;
  remove(key: string): void;
}

export interface ExpiringTable<T extends { expires: number }> extends Table<T> {
  /** Removes expired entries. To keep the commit short, some may stay until the next call. */
  removeExpired(now: number): void;
}

export type AccountTables = { readonly [Name in TableName]: Table<AccountRecords[Name]> };

export interface AccountTransaction extends AccountTables {
  readonly links: ExpiringTable<Link>;
  readonly sessions: ExpiringTable<AccountRecords['sessions']>;
  /** Adds the note, unless it is undefined, to the audit trail. */
  addNote(note: AuditNote | undefined): void;
  /** Removes the counts of a site, as far as one commit can. */
  removeCounts(site: string): void;
}

/** The keys that a change reads, by table. `list` and `removeExpired` need `all`. */
export type ReadSet = { readonly [Name in TableName]?: readonly string[] | 'all' };

/** Properties of a change that are known before it runs. */
export interface ChangeOptions {
  /** Everything that the change reads. */
  readonly reads?: ReadSet;
  /** The note that the change may add. */
  readonly note?: AuditNote | undefined;
  /** The change frees space, so it is made even if the store is full. */
  readonly allowWhenFull?: boolean;
}

export type Change<T> = (tx: AccountTransaction) => T;
