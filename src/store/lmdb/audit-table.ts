/** The audit trail in LMDB. */
import type { Database, RangeOptions } from 'lmdb';
import type { AuditEntry, AuditNote, AuditQuery } from '../../model/audit.ts';
import type { Part } from '../../model/query.ts';
import { addToTrail, type Numbered, partOfTrail, startOf, type TrailTable } from '../accounts/audit-trail.ts';

export class AuditTable implements TrailTable {
  readonly #entries: Database<AuditEntry, number>;

  constructor(entries: Database<AuditEntry, number>) {
    this.#entries = entries;
  }

  /** Within a write: adds a note, if one is given. */
  add(note: AuditNote | undefined): void {
    if (note !== undefined) addToTrail(this, note);
  }

  /** Within a write: replaces all entries by these, the oldest first. */
  replace(entries: readonly AuditEntry[]): void {
    this.#entries.clearSync();
    for (const [i, entry] of entries.entries()) this.put(i + 1, entry);
  }

  /** Implements `Store.audit`. */
  read(query: AuditQuery): Part<AuditEntry> {
    const start = startOf(query);
    return partOfTrail(this.#range({ reverse: true, ...(start !== undefined && { start }) }), query);
  }

  last(): number {
    const [last = 0] = this.#entries.getKeys({ reverse: true, limit: 1 });
    return last;
  }

  newest(limit: number): Numbered[] {
    return [...this.#range({ reverse: true, limit })];
  }

  oldest(limit: number): Numbered[] {
    return [...this.#range({ limit })];
  }

  *#range(options: RangeOptions): Generator<Numbered> {
    for (const { key, value } of this.#entries.getRange(options)) yield [key, value];
  }

  put(no: number, entry: AuditEntry): void {
    this.#entries.putSync(no, entry);
  }

  remove(no: number): void {
    this.#entries.removeSync(no);
  }
}
