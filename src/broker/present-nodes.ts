/** Counts the nodes that use a Redis now, for commands that need exclusive access. */
import { formatOf, PEER_FORMAT, readNodeItem } from '../protocol/peer.ts';
import { Redis, scriptOf } from '../redis/connection.ts';
import { commonKey } from '../redis/keys.ts';
import type { RedisTarget } from '../redis/redis-url.ts';
import { SILENCE_MS } from './membership.ts';
import type { StreamEntry } from './stream-reader.ts';

/** What nodes sent in the last ARGV[1] milliseconds, by the clock of Redis, which is in the entry ids. */
const RECENT = scriptOf(
  `
local now = redis.call('TIME')
local from = now[1] * 1000 + math.floor(now[2] / 1000) - ARGV[1]
return redis.call('XRANGE', KEYS[1], string.format('%d', from), '+')
`,
  'no-writes',
);

/**
 * Returns how many nodes use the Redis: those that were heard within SILENCE_MS and have not announced their end. A
 * killed node counts until SILENCE_MS have passed; its lease lasts longer and does not count. Throws RedisError.
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

/** A bye is a node's last item, but may follow other items in the same entry. */
function isBye(entry: StreamEntry): boolean {
  const [kind = '', body = ''] = entry.slice(-2);
  return formatOf(entry) === PEER_FORMAT && readNodeItem(kind, body)?.k === 'bye';
}
