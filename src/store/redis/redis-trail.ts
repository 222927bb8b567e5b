/** The audit trail in Redis: entries with their numbers in a sorted set, by number. */
import { AUDIT, type AuditQuery, type Entry, type Note } from '../../model/audit.ts';
import type { Part } from '../../model/query.ts';
import type { Command, Redis } from '../../redis/connection.ts';
import { commonKey } from '../../redis/keys.ts';
import { cursorOf, entryOf, isAsked, isRepeat, isSpent, mayRepeat, numberIn, TRAIL } from '../accounts/audit-trail.ts';

const KEY = commonKey('audit');

/** An entry as it is stored. With its number it is there once. */
interface StoredEntry {
  no: number;
  entry: Entry;
  /** As it is in Redis, or undefined if it is not there yet. */
  text: string | undefined;
}

/** What a note needs to be added: the newest entries, to repeat one, and the oldest, to remove some. */
export const TRAIL_READS: readonly Command[] = [
  downFrom(Number.POSITIVE_INFINITY, TRAIL.lookBack),
  ['ZRANGE', KEY, '0', String(TRAIL.sweep - 1)],
];

/** Adds notes in one transaction. */
export class NoteWriter {
  /** In order. */
  readonly #newest: StoredEntry[];
  readonly #oldest: readonly StoredEntry[];
  readonly #changed = new Set<StoredEntry>();
  #now = 0;

  /** The answers to TRAIL_READS. */
  constructor(newest: readonly string[], oldest: readonly string[]) {
    this.#newest = newest.map(read).reverse();
    this.#oldest = oldest.map(read);
  }

  add(note: Note): void {
    const newest = this.#newest;
    const entry = entryOf(note);
    const same = mayRepeat(entry)
      ? newest.slice(-TRAIL.lookBack).findLast((stored) => isRepeat(entry, stored.entry))
      : undefined;
    if (same) same.entry = { ...same.entry, count: same.entry.count + 1 };
    const stored = same ?? { no: (newest.at(-1)?.no ?? 0) + 1, entry, text: undefined };
    if (!same) newest.push(stored);
    this.#changed.add(stored);
    this.#now = note.at;
  }

  *commands(): Generator<Command> {
    if (this.#changed.size === 0) return;
    for (const { no, entry, text } of this.#changed) {
      if (text !== undefined) yield ['ZREM', KEY, text];
      yield ['ZADD', KEY, String(no), JSON.stringify([no, entry])];
    }
    const last = this.#newest.at(-1)?.no ?? 0;
    yield ['ZREMRANGEBYSCORE', KEY, '-inf', String(last - AUDIT.most)];
    for (const { no, entry } of this.#oldest)
      if (isSpent(no, entry, last, this.#now)) yield ['ZREMRANGEBYSCORE', KEY, String(no), String(no)];
  }
}

/** What puts these entries, oldest first, in place of those that there are. */
export function* trailCommands(entries: readonly Entry[]): Generator<Command> {
  yield ['DEL', KEY];
  for (const [i, entry] of entries.entries()) yield ['ZADD', KEY, String(i + 1), JSON.stringify([i + 1, entry])];
}

/** As `Store.audit`. */
export async function readTrail(redis: Redis, query: AuditQuery): Promise<Part<Entry>> {
  const isAny = query.who === undefined && query.what === undefined;
  const most = isAny ? Math.min(query.limit, TRAIL.looks) : TRAIL.looks;
  const start = query.after === undefined ? Number.POSITIVE_INFINITY : numberIn(query.after);
  const items: Entry[] = [];
  const texts = await redis.send<string[]>(KEY, ...downFrom(start, most + 1));
  for (const [i, { no, entry }] of texts.map(read).entries()) {
    if (items.length === query.limit || i === TRAIL.looks) return { items, next: cursorOf(no) };
    if (isAsked(query, entry)) items.push(entry);
  }
  return { items, next: null };
}

/** Asks for entries from a number down. */
function downFrom(from: number, count: number): Command {
  const start = from === Number.POSITIVE_INFINITY ? '+inf' : String(from);
  return ['ZRANGE', KEY, start, '-inf', 'BYSCORE', 'REV', 'LIMIT', '0', String(count)];
}

function read(text: string): StoredEntry {
  const [no, entry] = JSON.parse(text) as [number, Entry];
  return { no, entry, text };
}
