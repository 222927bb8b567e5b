/** Stores the last hour of each site in Redis: a sorted set of minutes, which expires an hour after the last write. */
import { forEachConcurrently } from '../../lib/concurrency.ts';
import { getOrInsert } from '../../lib/get-or-insert.ts';
import { KEPT_MINUTES, MINUTE_MS, oldestMinute } from '../../model/minute.ts';
import { NO_SITE, type NodeMinutes, type SiteMinute } from '../../protocol/peer.ts';
import { type Redis, scriptOf } from '../../redis/connection.ts';
import { commonKey, siteKey } from '../../redis/keys.ts';
import { MAX_MINUTES, minutesByMachine, type StoredMinute } from '../minute-writer.ts';

/** Maximum number of sites written at once: at the end of a minute all nodes write. */
const WRITES = 8;

/** Older minutes expire, milliseconds. */
const KEPT_MS = (KEPT_MINUTES + 1) * MINUTE_MS;

/** ARGV: time before which minutes are removed, expiry time of the set, then times and minutes. */
const PUT = scriptOf(`
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', '(' .. ARGV[1])
redis.call('ZADD', KEYS[1], unpack(ARGV, 3))
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return 1
`);

/**
 * Key of a site's minutes. A member is `time machine visitors samples`, scored by time. If a node has several members
 * for a minute, the highest figures count.
 */
export function hourKey(site: string): string {
  return site === NO_SITE ? commonKey('hour') : siteKey(site, 'hour');
}

/** Stores minutes. Throws RedisError; some minutes may be stored then. */
export async function putRedisMinutes(
  redis: Redis,
  machine: string,
  minutes: readonly SiteMinute[],
  now: number,
): Promise<void> {
  const bySite = new Map<string, string[]>();
  for (const { site, t, visitors, samples } of minutes)
    getOrInsert(bySite, site, (): string[] => []).push(String(t), `${t} ${machine} ${visitors} ${samples}`);
  await forEachConcurrently(bySite, WRITES, ([site, pairs]) =>
    redis.run(PUT, hourKey(site), [String(oldestMinute(now)), String(KEPT_MS), ...pairs]),
  );
}

/** Returns the minutes of a site from `from` on, by node. Throws RedisError. */
export async function readRedisMinutes(redis: Redis, site: string, from: number): Promise<NodeMinutes[]> {
  const key = hourKey(site);
  const range = ['+inf', String(from), 'BYSCORE', 'REV', 'LIMIT', '0', String(MAX_MINUTES)];
  const members = await redis.send<string[]>(key, 'ZRANGE', key, ...range);
  return minutesByMachine(members.map(minuteIn));
}

function minuteIn(member: string): StoredMinute {
  const [t = '', machine = '', visitors = '', samples = ''] = member.split(' ');
  return { machine, t: Number(t), visitors: Number(visitors), samples: Number(samples) };
}
