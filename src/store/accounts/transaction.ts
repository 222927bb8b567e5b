/**
 * A change of accounts is written once for all stores. It names what it reads, and then runs synchronously within one
 * commit. LMDB reads inside its write transaction. Redis loads the read set first, and runs the change again if another
 * process commits meanwhile.
 */
import type { AuditNote } from '../../model/audit.ts';
import type { AccountRecords, Link, TableName } from './records.ts';

export interface Table<T> {
  get(key: string): T | undefined;
  /** Also true of a damaged entry, which `get` does not return. */
  has(key: string): boolean;
  /** All entries, in the order of their keys. The table may change while they are read. */
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
  /** Adds the note to the audit trail, if there is one. */
  addNote(note: AuditNote | undefined): void;
  /** Removes what was counted for a site, as far as one commit can. */
  removeCounts(site: string): void;
}

/** The keys that are read of each table. `list` and `removeExpired` need `all`. */
export type ReadSet = { readonly [Name in TableName]?: readonly string[] | 'all' };

/** What is known of a change before it runs. */
export interface ChangeOptions {
  /** It reads nothing else. */
  readonly reads?: ReadSet;
  /** The note that it may add. */
  readonly note?: AuditNote | undefined;
  /** It frees space, so it is made even if the store is full. */
  readonly allowWhenFull?: boolean;
}

export type Change<T> = (tx: AccountTransaction) => T;
