/** The audit trail in LMDB. */
import type { Database } from 'lmdb';
import type { AuditQuery, Entry, Note } from '../../model/audit.ts';
import type { Part } from '../../model/query.ts';
import { cursorOf, entryOf, isAsked, isRepeat, isSpent, mayRepeat, numberIn, TRAIL } from '../accounts/audit-trail.ts';

export class AuditTable {
  readonly #entries: Database<Entry, number>;

  constructor(entries: Database<Entry, number>) {
    this.#entries = entries;
  }

  /** Within a write: adds a note, if there is any, and clears away some of what is too old or too much. */
  add(note: Note | undefined): void {
    if (note === undefined) return;
    const entry = entryOf(note);
    if (mayRepeat(entry) && this.#countUp(entry)) return;
    const [last = 0] = this.#entries.getKeys({ reverse: true, limit: 1 });
    this.#entries.putSync(last + 1, entry);
    this.#sweep(last + 1, note.at);
  }

  /** Within a write: has these entries, oldest first, in place of those that there are. */
  replace(entries: readonly Entry[]): void {
    this.#entries.clearSync();
    for (const [i, entry] of entries.entries()) this.#entries.putSync(i + 1, entry);
  }

  /** False if there is no entry of late that says the same. */
  #countUp(entry: Entry): boolean {
    for (const { key, value } of this.#entries.getRange({ reverse: true, limit: TRAIL.lookBack })) {
      if (!isRepeat(entry, value)) continue;
      this.#entries.putSync(key, { ...value, count: value.count + 1 });
      return true;
    }
    return false;
  }

  #sweep(last: number, now: number): void {
    for (const { key, value } of [...this.#entries.getRange({ limit: TRAIL.sweep })])
      if (isSpent(key, value, last, now)) this.#entries.removeSync(key);
  }

  /** As `Store.audit`. */
  read(query: AuditQuery): Part<Entry> {
    const items: Entry[] = [];
    let looks = 0;
    const start = query.after === undefined ? undefined : numberIn(query.after);
    for (const { key, value } of this.#entries.getRange({ reverse: true, ...(start !== undefined && { start }) })) {
      if (items.length === query.limit || looks === TRAIL.looks) return { items, next: cursorOf(key) };
      looks += 1;
      if (isAsked(query, value)) items.push(value);
    }
    return { items, next: null };
  }
}
