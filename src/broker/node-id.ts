/** A machine's share of the visitors' numbers: a remainder that no other machine has. */
import { type Redis, scriptOf } from '../redis/connection.ts';
import { RedisError } from '../redis/error.ts';
import { commonKey } from '../redis/keys.ts';

/** So many machines there may be at a time. */
export const NODE_IDS = 1024;
/**
 * Kept for so long after the last sign of life, milliseconds: a machine that cannot reach Redis goes on giving out its numbers, and its visitors
 * are to be there under them when it can.
 */
const LEASE_MS = 24 * 3_600_000;
/**
 * Where all are taken, as by a machine that is started and killed again and again, that of the machine which was silent for longest is given
 * away, if that is so long, milliseconds. On dashboards its visitors have left long before.
 */
const SILENCE_MS = 10 * 60_000;
/** Who could not say for so long that a slot is in use, milliseconds, may have lost it. */
export const DOUBT_MS = SILENCE_MS / 2;
/** By chance most are free. */
const TRIES = 50;
/** Others may be after the same one. */
const SILENT_TRIES = 5;

/** Takes a slot: machine, lease, and how long that of another may have to run at most; milliseconds. */
const TAKE = scriptOf(`
if redis.call('PTTL', KEYS[1]) > tonumber(ARGV[3]) then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
`);

/** Renews a lease, or gives it to a Redis that has forgotten it. 0: another machine has the slot. */
const KEEP = scriptOf(
  `
if (redis.call('GET', KEYS[1]) or ARGV[1]) ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
`,
  'allow-oom',
);

const LEAVE = scriptOf(
  `
if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end
return 1
`,
  'allow-oom',
);

/** Throws RedisError. */
export async function takeNodeId(redis: Redis, machine: string): Promise<number> {
  for (let i = 0; i < TRIES; i++) {
    const nodeId = Math.floor(Math.random() * NODE_IDS);
    if (await take(redis, machine, nodeId, 0)) return nodeId;
  }
  for (let i = 0; i < SILENT_TRIES; i++) {
    const nodeId = await longestSilent(redis);
    if (await take(redis, machine, nodeId, LEASE_MS - SILENCE_MS)) return nodeId;
  }
  throw new RedisError('failed', `Redis at ${redis.where} has reached its limit of ${NODE_IDS} servers`);
}

async function take(redis: Redis, machine: string, nodeId: number, most: number): Promise<boolean> {
  return (await redis.run(TAKE, keyOf(nodeId), [machine, String(LEASE_MS), String(most)])) === 1;
}

async function longestSilent(redis: Redis): Promise<number> {
  const all = Array.from({ length: NODE_IDS }, (_, nodeId) => ['PTTL', keyOf(nodeId)]);
  const left = await redis.gather<number>(keyOf(0), all);
  return left.indexOf(Math.min(...left));
}

/** Says that the slot is in use, also to a Redis that has forgotten it. False: another machine has it. Throws RedisError. */
export async function keepNodeId(redis: Redis, machine: string, nodeId: number): Promise<boolean> {
  return (await redis.run(KEEP, keyOf(nodeId), [machine, String(LEASE_MS)])) === 1;
}

/** Throws RedisError. */
export async function releaseNodeId(redis: Redis, machine: string, nodeId: number): Promise<void> {
  await redis.run(LEAVE, keyOf(nodeId), [machine]);
}

function keyOf(nodeId: number): string {
  return commonKey(`slot:${nodeId}`);
}
