/** What an audit trail is, wherever it is kept: entries by number, in the order they were written. */
import { AUDIT, type AuditQuery, type Entry, type Note, REPEATED } from '../../model/audit.ts';
import type { Part } from '../../model/query.ts';

/** What reads a trail, part by part, the newest entries first. */
export interface Trail {
  audit(query: AuditQuery): Promise<Part<Entry>>;
}

export const TRAIL = {
  /** Entries looked at for one part of an answer. */
  looks: 2000,
  /** Entries looked back at for one like a new one. */
  lookBack: 100,
  /** How many entries that are too old one write clears away at most. */
  sweep: 32,
} as const;

export function entryOf({ at, who, what, on, from = '' }: Note): Entry {
  return { at, who: cut(who), what, on: cut(on), from: cut(from), count: 1 };
}

function cut(text: string): string {
  return text.length > AUDIT.text ? `${text.slice(0, AUDIT.text - 1)}…` : text;
}

/** True if such an entry counts on one of late that says the same. */
export function mayRepeat({ what }: Entry): boolean {
  return REPEATED.has(what);
}

/** True if the one that is kept says the same, and is of late. */
export function isRepeat({ at, who, what, on, from }: Entry, kept: Entry): boolean {
  const isSame = kept.who === who && kept.what === what && kept.on === on && kept.from === from;
  return isSame && Math.abs(at - kept.at) < AUDIT.together;
}

/** True if the entry of this number is to go when that of number `last` comes at `now`. */
export function isSpent(no: number, { at }: Entry, last: number, now: number): boolean {
  return no <= last - AUDIT.most || at <= now - AUDIT.age;
}

export function isAsked({ who, what }: AuditQuery, entry: Entry): boolean {
  return (who === undefined || entry.who === who) && (what === undefined || entry.what === what);
}

/** A cursor is the number of the entry that comes next. */
export function cursorOf(no: number): string {
  return `${no}.0`;
}

/** The number in a cursor. */
export function numberIn(cursor: string): number {
  return Number(cursor.split('.')[0]);
}

/** Entries asked for at once. */
const PART = 500;

/** The whole of a store's audit trail, the newest first. */
export async function* wholeTrail(store: Trail): AsyncGenerator<Entry> {
  for (let after: string | null | undefined; after !== null; ) {
    const part = await store.audit({ limit: PART, ...(after !== undefined && { after }) });
    yield* part.items;
    after = part.next;
  }
}
