/** The audit trail in Redis: entries with their numbers in a sorted set, by number. */
import { AUDIT, type AuditQuery, type Entry, type Note } from '../../model/audit.ts';
import type { Part } from '../../model/query.ts';
import type { Command, Redis } from '../../redis/connection.ts';
import { commonKey } from '../../redis/keys.ts';
import { cursorOf, entryOf, isAsked, isRepeat, isSpent, mayRepeat, numberIn, TRAIL } from '../accounts/audit-trail.ts';

/** Reads what a command of Redis finds, of keys that are with VERSION_KEY. */
export type Read = <T>(...command: Command) => Promise<T>;

const KEY = commonKey('audit');

/** An entry as it is stored. With its number it is there once. */
interface StoredEntry {
  no: number;
  entry: Entry;
  /** As it is in Redis, or undefined if it is not there yet. */
  text: string | undefined;
}

/** Notes that are being added. */
export class TrailDraft {
  readonly #ask: Read;
  /** The newest, in order; undefined until they are read. */
  #newest: StoredEntry[] | undefined;
  /** The oldest. */
  #oldest: StoredEntry[] = [];
  readonly #changed = new Set<StoredEntry>();
  #now = 0;

  constructor(ask: Read) {
    this.#ask = ask;
  }

  /** Reads what `add` needs. */
  async prepare(): Promise<void> {
    await this.#read();
  }

  async add(note: Note): Promise<void> {
    const newest = await this.#read();
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

  async #read(): Promise<StoredEntry[]> {
    if (this.#newest) return this.#newest;
    const [newest, oldest] = await Promise.all([
      readDown(this.#ask, Number.POSITIVE_INFINITY, TRAIL.lookBack),
      this.#ask<string[]>('ZRANGE', KEY, '0', String(TRAIL.sweep - 1)),
    ]);
    this.#oldest = oldest.map(read);
    this.#newest = newest.reverse();
    return this.#newest;
  }

  *commands(): Generator<Command> {
    if (this.#changed.size === 0) return;
    for (const { no, entry, text } of this.#changed) {
      if (text !== undefined) yield ['ZREM', KEY, text];
      yield ['ZADD', KEY, String(no), JSON.stringify([no, entry])];
    }
    const last = this.#newest?.at(-1)?.no ?? 0;
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
  const ask: Read = (...command) => redis.send(KEY, ...command);
  for (const [i, { no, entry }] of (await readDown(ask, start, most + 1)).entries()) {
    if (items.length === query.limit || i === TRAIL.looks) return { items, next: cursorOf(no) };
    if (isAsked(query, entry)) items.push(entry);
  }
  return { items, next: null };
}

/** Entries from a number down. */
async function readDown(ask: Read, from: number, count: number): Promise<StoredEntry[]> {
  const start = from === Number.POSITIVE_INFINITY ? '+inf' : String(from);
  const range = [start, '-inf', 'BYSCORE', 'REV', 'LIMIT', '0', String(count)];
  const texts = await ask<string[]>('ZRANGE', KEY, ...range);
  return texts.map(read);
}

function read(text: string): StoredEntry {
  const [no, entry] = JSON.parse(text) as [number, Entry];
  return { no, entry, text };
}
