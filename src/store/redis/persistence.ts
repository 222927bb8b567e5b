/** What an ack guarantees, depending on how Redis persists data. In a cluster the worst node counts. */
import type { Logger } from '../../log/logger.ts';
import type { Redis } from '../../redis/connection.ts';
import { RedisError } from '../../redis/error.ts';
import { StoreError } from '../contract.ts';

const KEEPS_ALL = 'noeviction';
/** How often to check whether that is still so, milliseconds. */
const EVICTION_MS = 2000;

const MEANING = {
  memory:
    'Redis keeps its data in memory only (appendonly no): if it stops, everything since its last snapshot is ' +
    'lost, including sites and administrators. ' +
    'To store it on disk: redis-cli CONFIG SET appendonly yes, then redis-cli CONFIG REWRITE',
  unsynced:
    'Redis lets the operating system decide when its file reaches the disk (appendfsync no): recently acked ' +
    'frames are lost if its machine fails',
  second:
    'Redis writes its file to the disk once a second (appendfsync everysec): up to a second of acked frames is ' +
    'lost if its machine fails',
  unknown:
    'Redis does not say when its file reaches the disk (CONFIG is not permitted): recently acked frames may be ' +
    'lost if its machine fails',
} as const;

export interface Wanted {
  /** Number of replicas that must have frames before they are acked. */
  replicas: number;
  /** Refuse a Redis that keeps its data in memory only. */
  requirePersistence: boolean;
}

/**
 * Logs what may be lost, and whether there are fewer replicas than an ack needs. Throws StoreError if acked frames may
 * be evicted, or if they would be lost with the Redis process and `requirePersistence` is set.
 */
export async function checkPersistence(redis: Redis, log: Logger | undefined, wanted: Wanted): Promise<void> {
  const { replicas, requirePersistence } = wanted;
  const evicting = await evictionOf(redis);
  if (evicting !== undefined) throw new StoreError('unsafe', evictionText(redis.where, evicting));
  const meaning = await meaningOf(redis);
  if (meaning === 'memory' && requirePersistence)
    throw new StoreError('unsafe', `${MEANING.memory} (--require-persistence)`);
  if (meaning === 'disk') log?.info('Redis has frames on disk before they are acked (appendfsync always)');
  else log?.warn(MEANING[meaning]);
  if (replicas > 0) await checkReplicas(redis, log, replicas);
}

/** Checks regularly whether Redis may evict data, and logs a change once. Call the result to stop. */
export function watchEviction(
  redis: Redis,
  log: Logger | undefined,
  onChange: (isEvicting: boolean) => void,
): () => void {
  let isEvicting = false;
  const look = async () => {
    const policy = await evictionOf(redis);
    if ((policy !== undefined) === isEvicting) return;
    isEvicting = policy !== undefined;
    if (policy !== undefined) log?.error(evictionText(redis.where, policy));
    else log?.info('Redis no longer evicts data when its memory is full (maxmemory-policy noeviction)');
    onChange(isEvicting);
  };
  // While Redis is unreachable there is nothing to check; that is reported elsewhere.
  const timer = setInterval(() => void look().catch(() => {}), EVICTION_MS).unref();
  return () => clearInterval(timer);
}

/** Returns the policy of a node that evicts data, if there is one. */
async function evictionOf(redis: Redis): Promise<string | undefined> {
  const policies = (await redis.everywhere<string>('INFO', 'memory')).map((info) => field(info, 'maxmemory_policy'));
  return policies.find((policy) => policy !== undefined && policy !== KEEPS_ALL);
}

function evictionText(where: string, policy: string): string {
  return (
    `Redis at ${where} evicts data when its memory is full (maxmemory-policy ${policy}); set maxmemory-policy ` +
    'noeviction'
  );
}

async function checkReplicas(redis: Redis, log: Logger | undefined, replicas: number): Promise<void> {
  const infos = await redis.everywhere<string>('INFO', 'replication');
  const fewest = Math.min(...infos.map((info) => Number(field(info, 'connected_slaves') ?? 0)));
  if (fewest < replicas)
    log?.warn(
      `Redis has ${fewest} replicas, but --redis-replicas requires ${replicas}: nothing is acked until it has them`,
    );
}

async function meaningOf(redis: Redis): Promise<keyof typeof MEANING | 'disk'> {
  const infos = await redis.everywhere<string>('INFO', 'persistence');
  if (infos.some((info) => field(info, 'aof_enabled') !== '1')) return 'memory';
  const syncs = await syncsOf(redis);
  if (syncs === undefined) return 'unknown';
  if (syncs.includes('no')) return 'unsynced';
  return syncs.every((sync) => sync === 'always') ? 'disk' : 'second';
}

/** Returns when each node writes its file to the disk, or undefined if Redis does not permit the question. */
async function syncsOf(redis: Redis): Promise<string[] | undefined> {
  try {
    const answers = await redis.everywhere<string[]>('CONFIG', 'GET', 'appendfsync');
    const syncs = answers.map(([, value]) => value);
    return syncs.every((sync) => sync !== undefined) ? (syncs as string[]) : undefined;
  } catch (error) {
    if (error instanceof RedisError && error.code !== 'unreachable') return undefined;
    throw error;
  }
}

function field(info: string, name: string): string | undefined {
  return new RegExp(`^${name}:(\\S*)`, 'm').exec(info)?.[1];
}
