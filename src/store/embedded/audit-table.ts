/** The audit trail: entries by number, in the order they were written. */
import type { Database } from 'lmdb';
import { AUDIT, type AuditQuery, type Entry, type Note, REPEATED } from '../../protocol/audit.ts';
import type { Part } from '../../protocol/record.ts';

/** Entries looked at for one part of an answer. */
const MAX_LOOKS = 2000;
/** Entries looked back at for one like a new one. */
const LOOK_BACK = 100;
/** How many entries one write clears away at most. */
const SWEEP = 32;

export class AuditTable {
  readonly #entries: Database<Entry, number>;

  constructor(entries: Database<Entry, number>) {
    this.#entries = entries;
  }

  /** Within a write: adds a note, if there is any, and clears away some of what is too old or too much. */
  add(note: Note | undefined): void {
    if (note === undefined) return;
    const { at, who, what, on, from = '' } = note;
    const entry = { at, who: cut(who), what, on: cut(on), from: cut(from), count: 1 };
    if (REPEATED.has(what) && this.#countUp(entry)) return;
    const [last = 0] = this.#entries.getKeys({ reverse: true, limit: 1 });
    this.#entries.putSync(last + 1, entry);
    this.#sweep(last + 1, at);
  }

  /** False if there is no entry of late that says the same. */
  #countUp({ at, who, what, on, from }: Entry): boolean {
    for (const { key, value } of this.#entries.getRange({ reverse: true, limit: LOOK_BACK })) {
      const isSame = value.who === who && value.what === what && value.on === on && value.from === from;
      if (!isSame || Math.abs(at - value.at) >= AUDIT.together) continue;
      this.#entries.putSync(key, { ...value, count: value.count + 1 });
      return true;
    }
    return false;
  }

  #sweep(last: number, now: number): void {
    for (const { key, value } of [...this.#entries.getRange({ limit: SWEEP })])
      if (key <= last - AUDIT.most || value.at <= now - AUDIT.age) this.#entries.removeSync(key);
  }

  /** As `Store.audit`. */
  read({ who, what, after, limit }: AuditQuery): Part<Entry> {
    const items: Entry[] = [];
    let looks = 0;
    // A cursor is the number of the entry that comes next.
    const start = after === undefined ? undefined : Number(after.split('.')[0]);
    for (const { key, value } of this.#entries.getRange({ reverse: true, ...(start !== undefined && { start }) })) {
      if (items.length === limit || looks === MAX_LOOKS) return { items, next: `${key}.0` };
      looks += 1;
      if ((who === undefined || value.who === who) && (what === undefined || value.what === what)) items.push(value);
    }
    return { items, next: null };
  }
}

function cut(text: string): string {
  return text.length > AUDIT.text ? `${text.slice(0, AUDIT.text - 1)}…` : text;
}
