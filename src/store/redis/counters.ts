/**
 * Counters in Redis that many processes change at once: page visits, and attempts to sign in. Each change is one step
 * in Redis and one round trip.
 */
import { getOrInsert } from '../../lib/get-or-insert.ts';
import { type Redis, type RedisCommand, scriptOf } from '../../redis/connection.ts';
import { commonKey } from '../../redis/keys.ts';
import type { HitGroup } from '../accounts/account-snapshot.ts';
import { counterKey } from '../accounts/secret.ts';
import { type Attempt, HITS, type HitRefusal } from '../contract.ts';
import type { HitOutcome } from '../hit-queue.ts';

const SITES_KEY = commonKey('sites');

/** Key of a site's totals by page. */
export function hitsKey(site: string): string {
  return commonKey(`hits:${site}`);
}

const REFUSALS: Readonly<Record<number, HitRefusal>> = { [-1]: 'unknown-site', [-2]: 'too-many-pages' };

/**
 * KEYS: the sites. ARGV: maximum number of pages of a site, then for each group its site, the key of its totals, its
 * page and its number of visits.
 */
const HIT = scriptOf(`
local most = tonumber(ARGV[1])
local outcomes = {}
for i = 2, #ARGV, 4 do
  local key, page = ARGV[i + 1], ARGV[i + 2]
  local outcome
  if redis.call('HEXISTS', KEYS[1], ARGV[i]) == 0 then
    outcome = -1
  elseif redis.call('HEXISTS', key, page) == 0 and redis.call('HLEN', key) >= most then
    outcome = -2
  else
    outcome = redis.call('HINCRBY', key, page, ARGV[i + 3])
  end
  outcomes[#outcomes + 1] = outcome
end
return outcomes
`);

/** Adds visits, with the outcomes that `HitQueue` expects. */
export async function addHits(redis: Redis, groups: readonly HitGroup[]): Promise<HitOutcome[]> {
  const args = [String(HITS.pages)];
  for (const { site, page, count } of groups) args.push(site, hitsKey(site), page, String(count));
  const outcomes = await redis.run<number[]>(HIT, SITES_KEY, args);
  return outcomes.map((outcome) => REFUSALS[outcome] ?? outcome);
}

/** Number of fields per scan step. */
const SCAN = 1000;

/** Returns every counted page of a site. */
export async function readHits(redis: Redis, site: string): Promise<HitGroup[]> {
  const key = hitsKey(site);
  // HSCAN may return a field twice.
  const totals = new Map<string, number>();
  let cursor = '0';
  do {
    const [next, fields] = await redis.send<[string, string[]]>(key, 'HSCAN', key, cursor, 'COUNT', String(SCAN));
    for (let i = 0; i + 1 < fields.length; i += 2) totals.set(fields[i] as string, Number(fields[i + 1]));
    cursor = next;
  } while (cursor !== '0');
  const pages = [...totals].sort(([a], [b]) => (a < b ? -1 : 1));
  return pages.map(([page, count]) => ({ site, page, count }));
}

/** Number of totals per command. */
const WRITE = 1000;

/** Writes totals, replacing those of the same pages. */
export async function writeHits(redis: Redis, totals: readonly HitGroup[]): Promise<void> {
  const bySite = new Map<string, string[]>();
  for (const { site, page, count } of totals)
    getOrInsert(bySite, hitsKey(site), (): string[] => []).push(page, String(count));
  for (const [key, pairs] of bySite)
    for (let i = 0; i < pairs.length; i += 2 * WRITE)
      await redis.send(key, 'HSET', key, ...pairs.slice(i, i + 2 * WRITE));
}

/** A counter is its count and its expiry time, Unix ms, separated by a space. */
const LIVE = `
local function live(key, now)
  local count, expires = string.match(redis.call('GET', key) or '', '^(%d+) (%d+)$')
  if count and tonumber(expires) > now then return tonumber(count), tonumber(expires) end
end
local function keep(key, count, expires, now)
  redis.call('SET', key, string.format('%d %.0f', count, expires), 'PX', string.format('%.0f', expires - now))
end
local now = tonumber(ARGV[1])
`;

/**
 * KEYS: the first counter. ARGV: the time, then for each attempt its counter, limit and window. Replies with the time
 * to wait, ms, or 0.
 */
const COUNT = scriptOf(`${LIVE}
local wait = 0
for i = 2, #ARGV, 3 do
  local count, expires = live(ARGV[i], now)
  if count and count >= tonumber(ARGV[i + 1]) then wait = math.max(wait, expires - now) end
end
if wait > 0 then return wait end
for i = 2, #ARGV, 3 do
  local count, expires = live(ARGV[i], now)
  keep(ARGV[i], (count or 0) + 1, expires or now + tonumber(ARGV[i + 2]), now)
end
return 0
`);

/** Like COUNT, but takes an attempt back. */
const FORGIVE = scriptOf(`${LIVE}
for i = 2, #ARGV, 3 do
  local count, expires = live(ARGV[i], now)
  if count then keep(ARGV[i], math.max(0, count - 1), expires, now) end
end
return 0
`);

/** Counts sign-in attempts. Redis removes expired counters by itself. */
export class Attempts {
  readonly #redis: Redis;
  readonly #secret: Buffer;

  constructor(redis: Redis, secret: Buffer) {
    this.#redis = redis;
    this.#secret = secret;
  }

  /** Implements `Store.countAttempt`. */
  async count(attempts: readonly Attempt[], now: number): Promise<number> {
    const [first, args] = this.#arguments(attempts, now);
    return first === undefined ? 0 : this.#redis.run<number>(COUNT, first, args);
  }

  /** Implements `Store.forgiveAttempt`. */
  async forgive(attempts: readonly Attempt[], now: number): Promise<void> {
    const [first, args] = this.#arguments(attempts, now);
    if (first !== undefined) await this.#redis.run(FORGIVE, first, args);
  }

  #arguments(attempts: readonly Attempt[], now: number): [first: string | undefined, args: RedisCommand] {
    const keyed = attempts.map((one) => ({ ...one, key: commonKey(counterKey(this.#secret, one.kind, one.value)) }));
    const parts = keyed.flatMap(({ key, limit, window }) => [key, String(limit), String(window)]);
    return [keyed[0]?.key, [String(now), ...parts]];
  }
}
