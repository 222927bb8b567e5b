/** A node's share of the visitor numbers: a remainder that no other node has. */
import { type Redis, scriptOf } from '../redis/connection.ts';
import { RedisError } from '../redis/error.ts';
import { commonKey } from '../redis/keys.ts';

/** Maximum number of nodes at a time. */
export const NODE_IDS = 1024;
/**
 * How long a node id stays reserved after the last sign of life, milliseconds. A node that cannot reach Redis goes on
 * assigning its numbers, and its visitors must keep them when it can reach Redis again.
 */
const LEASE_MS = 24 * 3_600_000;
/**
 * If all ids are taken (for example, because a node is started and killed again and again), the id of the node with the
 * longest silence is reused, if that silence was at least this long, milliseconds. By then its visitors have left all
 * dashboards.
 */
const SILENCE_MS = 10 * 60_000;
/** A node that could not renew its id for this long may have lost it, milliseconds. */
export const MAX_UNRENEWED_MS = SILENCE_MS / 2;
/** Random attempts: usually most ids are free. */
const RANDOM_ATTEMPTS = 50;
/** Several attempts, because other nodes may try to take the same id. */
const REUSE_ATTEMPTS = 5;

/**
 * Takes a node id. Arguments: node, lease, and the maximum lease of another node that may be overwritten; milliseconds.
 */
const TAKE = scriptOf(`
if redis.call('PTTL', KEYS[1]) > tonumber(ARGV[3]) then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
`);

/** Renews a lease, or restores it in a Redis that has lost it. Returns 0 if another node has the id. */
const RENEW = scriptOf(
  `
if (redis.call('GET', KEYS[1]) or ARGV[1]) ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
`,
  'allow-oom',
);

const RELEASE = scriptOf(
  `
if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end
return 1
`,
  'allow-oom',
);

/** Takes a free node id. Throws RedisError. */
export async function takeNodeId(redis: Redis, node: string): Promise<number> {
  for (let i = 0; i < RANDOM_ATTEMPTS; i++) {
    const nodeId = Math.floor(Math.random() * NODE_IDS);
    if (await take(redis, node, nodeId, 0)) return nodeId;
  }
  for (let i = 0; i < REUSE_ATTEMPTS; i++) {
    const nodeId = await longestSilent(redis);
    if (await take(redis, node, nodeId, LEASE_MS - SILENCE_MS)) return nodeId;
  }
  throw new RedisError('failed', `Redis at ${redis.where} has reached its limit of ${NODE_IDS} servers`);
}

async function take(redis: Redis, node: string, nodeId: number, maxLease: number): Promise<boolean> {
  return (await redis.run(TAKE, keyOf(nodeId), [node, String(LEASE_MS), String(maxLease)])) === 1;
}

async function longestSilent(redis: Redis): Promise<number> {
  const all = Array.from({ length: NODE_IDS }, (_, nodeId) => ['PTTL', keyOf(nodeId)]);
  const left = await redis.gather<number>(keyOf(0), all);
  return left.indexOf(Math.min(...left));
}

/** Renews the lease, also in a Redis that has lost it. Returns false if another node has the id. Throws RedisError. */
export async function renewNodeId(redis: Redis, node: string, nodeId: number): Promise<boolean> {
  return (await redis.run(RENEW, keyOf(nodeId), [node, String(LEASE_MS)])) === 1;
}

/** Frees the node id. Throws RedisError. */
export async function releaseNodeId(redis: Redis, node: string, nodeId: number): Promise<void> {
  await redis.run(RELEASE, keyOf(nodeId), [node]);
}

function keyOf(nodeId: number): string {
  return commonKey(`slot:${nodeId}`);
}
