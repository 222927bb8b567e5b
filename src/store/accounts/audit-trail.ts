/** The audit trail of every store: entries by number, in the order in which they were written. */
import { AUDIT, type AuditEntry, type AuditNote, type AuditQuery, REPEATED } from '../../model/audit.ts';
import type { Part } from '../../model/query.ts';

/** Reads a trail in parts, the newest entries first. */
export interface Trail {
  audit(query: AuditQuery): Promise<Part<AuditEntry>>;
}

export const TRAIL = {
  /** Maximum number of entries that are read for one part. */
  looks: 2000,
  /** Number of the newest entries among which a new entry is looked for, to count a repetition. */
  lookBack: 100,
  /** Maximum number of old entries that are removed when one is added. */
  sweep: 32,
} as const;

/** An entry and its number. */
export type Numbered = readonly [no: number, entry: AuditEntry];

/** The entries of a trail within a commit. */
export interface TrailTable {
  /** Returns the number of the newest entry, even if it is damaged; 0 if the trail is empty. */
  last(): number;
  /** Returns entries, newest first. */
  newest(limit: number): readonly Numbered[];
  /** Returns entries, oldest first. */
  oldest(limit: number): readonly Numbered[];
  put(no: number, entry: AuditEntry): void;
  remove(no: number): void;
}

/** Adds a note, or counts it on the entry that it repeats. Removes some entries that are too old or too many. */
export function addToTrail(trail: TrailTable, { at, who, what, on, from = '' }: AuditNote): void {
  const entry = { at, who: cut(who), what, on: cut(on), from: cut(from), count: 1 };
  const recent = REPEATED.has(what) ? trail.newest(TRAIL.lookBack) : [];
  const same = recent.find(([, stored]) => isRepeat(entry, stored));
  if (same) {
    const [no, stored] = same;
    trail.put(no, { ...stored, count: stored.count + 1 });
    return;
  }
  const last = trail.last() + 1;
  trail.put(last, entry);
  for (const [no, stored] of trail.oldest(TRAIL.sweep)) if (isSpent(no, stored, last, at)) trail.remove(no);
}

function cut(text: string): string {
  return text.length > AUDIT.text ? `${text.slice(0, AUDIT.text - 1)}…` : text;
}

/** True if the stored entry is recent and has the same content. */
function isRepeat({ at, who, what, on, from }: AuditEntry, stored: AuditEntry): boolean {
  const isSame = stored.who === who && stored.what === what && stored.on === on && stored.from === from;
  return isSame && Math.abs(at - stored.at) < AUDIT.together;
}

/** True if an entry is too old, or there are enough newer ones. */
function isSpent(no: number, { at }: AuditEntry, last: number, now: number): boolean {
  return no <= last - AUDIT.most || at <= now - AUDIT.age;
}

/** Implements `Store.audit`. `entries`: newest first, from the entry on that the query starts with. */
export function partOfTrail(entries: Iterable<Numbered>, { who, what, limit }: AuditQuery): Part<AuditEntry> {
  const items: AuditEntry[] = [];
  let looks = 0;
  for (const [no, entry] of entries) {
    if (items.length === limit || looks === TRAIL.looks) return { items, next: cursorOf(no) };
    looks += 1;
    if ((who === undefined || entry.who === who) && (what === undefined || entry.what === what)) items.push(entry);
  }
  return { items, next: null };
}

/** A cursor is the number of the entry that comes next. */
function cursorOf(no: number): string {
  return `${no}.0`;
}

/** Returns the number of the entry that a query starts with, or undefined for the newest. */
export function startOf({ after }: AuditQuery): number | undefined {
  return after === undefined ? undefined : Number(after.split('.')[0]);
}

/** Entries per query. */
const PART = 500;

/** Yields a store's whole audit trail, newest first. */
export async function* wholeTrail(store: Trail): AsyncGenerator<AuditEntry> {
  for (let after: string | null | undefined; after !== null; ) {
    const part = await store.audit({ limit: PART, ...(after !== undefined && { after }) });
    yield* part.items;
    after = part.next;
  }
}
