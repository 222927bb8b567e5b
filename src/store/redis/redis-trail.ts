/** The audit trail in Redis: entries with their numbers in a sorted set, by number. */
import { AUDIT, type AuditEntry, type AuditQuery } from '../../model/audit.ts';
import type { Part } from '../../model/query.ts';
import type { Redis, RedisCommand } from '../../redis/connection.ts';
import { commonKey } from '../../redis/keys.ts';
import { type Numbered, partOfTrail, startOf, TRAIL, type TrailTable } from '../accounts/audit-trail.ts';

const KEY = commonKey('audit');

/** What `LoadedTrail` takes: some of the newest entries, and the oldest. */
export const TRAIL_READS: readonly RedisCommand[] = [
  downFrom(undefined, TRAIL.lookBack),
  ['ZRANGE', KEY, '0', String(TRAIL.sweep - 1)],
];

/** The loaded part of the audit trail, with the changes that the commit will write. */
export class LoadedTrail implements TrailTable {
  /** By number, in order. Entries between the oldest and the newest are not loaded. */
  readonly #entries = new Map<number, AuditEntry>();
  /** The stored text of each loaded entry, which `ZREM` needs. */
  readonly #texts = new Map<number, string>();
  readonly #changed = new Set<number>();

  /** The answers to TRAIL_READS. */
  constructor(newest: readonly string[], oldest: readonly string[]) {
    for (const text of [...oldest, ...newest.toReversed()]) {
      const [no, entry] = read(text);
      this.#entries.set(no, entry);
      this.#texts.set(no, text);
    }
  }

  last(): number {
    return this.newest(1)[0]?.[0] ?? 0;
  }

  newest(limit: number): Numbered[] {
    return [...this.#entries].slice(-limit).reverse();
  }

  oldest(limit: number): Numbered[] {
    return [...this.#entries].slice(0, limit);
  }

  put(no: number, entry: AuditEntry): void {
    this.#entries.set(no, entry);
    this.#changed.add(no);
  }

  remove(no: number): void {
    this.#entries.delete(no);
    this.#changed.add(no);
  }

  *commands(): Generator<RedisCommand> {
    for (const no of this.#changed) {
      const [text, entry] = [this.#texts.get(no), this.#entries.get(no)];
      if (text !== undefined) yield ['ZREM', KEY, text];
      if (entry !== undefined) yield ['ZADD', KEY, String(no), JSON.stringify([no, entry])];
    }
    // A commit may add more notes than it has loaded old entries.
    if (this.#changed.size > 0) yield ['ZREMRANGEBYSCORE', KEY, '-inf', String(this.last() - AUDIT.most)];
  }
}

/** Replaces all entries by these, the oldest first. */
export function* trailCommands(entries: readonly AuditEntry[]): Generator<RedisCommand> {
  yield ['DEL', KEY];
  for (const [i, entry] of entries.entries()) yield ['ZADD', KEY, String(i + 1), JSON.stringify([i + 1, entry])];
}

/** As `Store.audit`. */
export async function readTrail(redis: Redis, query: AuditQuery): Promise<Part<AuditEntry>> {
  const isAny = query.who === undefined && query.what === undefined;
  const most = isAny ? Math.min(query.limit, TRAIL.looks) : TRAIL.looks;
  const texts = await redis.send<string[]>(KEY, ...downFrom(startOf(query), most + 1));
  return partOfTrail(texts.map(read), query);
}

/** Asks for entries from a number down, or from the newest. */
function downFrom(start: number | undefined, count: number): RedisCommand {
  return ['ZRANGE', KEY, String(start ?? '+inf'), '-inf', 'BYSCORE', 'REV', 'LIMIT', '0', String(count)];
}

/** An entry is stored with its number, so that no two are the same. */
function read(text: string): Numbered {
  return JSON.parse(text);
}
