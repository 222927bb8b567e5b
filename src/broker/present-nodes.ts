/** Who runs on a Redis now: for commands that must have it to themselves. */
import { FORMAT, formatOf, readNodeItem } from '../protocol/peer.ts';
import { Redis, scriptOf } from '../redis/connection.ts';
import { commonKey } from '../redis/keys.ts';
import type { RedisTarget } from '../redis/redis-url.ts';
import { SILENCE_MS } from './membership.ts';
import type { StreamEntry } from './stream-reader.ts';

/** What machines said in the last milliseconds, by the clock of Redis, which is in the ids of entries. */
const RECENT = scriptOf(
  `
local now = redis.call('TIME')
local from = now[1] * 1000 + math.floor(now[2] / 1000) - ARGV[1]
return redis.call('XRANGE', KEYS[1], string.format('%d', from), '+')
`,
  'no-writes',
);

/**
 * How many machines' servers run on it: those that were heard within SILENCE_MS and have not said that they stop. One that was killed is among
 * them until then; its lease, which is kept for longer, does not count. Throws RedisError.
 */
export async function presentNodes(target: RedisTarget): Promise<number> {
  const redis = await Redis.connect(target);
  try {
    const entries = await redis.run<[id: string, entry: StreamEntry][]>(RECENT, commonKey('control'), [
      String(SILENCE_MS),
    ]);
    const last = new Map(entries.map(([, entry]) => [entry[0], entry]));
    return [...last.values()].filter((entry) => !isBye(entry)).length;
  } finally {
    await redis.close();
  }
}

/** What a machine says last: it may say other things in the same entry before. */
function isBye(entry: StreamEntry): boolean {
  const [kind = '', body = ''] = entry.slice(-2);
  return formatOf(entry) === FORMAT && readNodeItem(kind, body)?.k === 'bye';
}
