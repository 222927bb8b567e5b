/** Opens the shared record in the thread of a worker, and maintains it. */
import type { Shares } from '../../config/config.ts';
import { Redis } from '../../redis/connection.ts';
import { type RedisTarget, targetText } from '../../redis/redis-url.ts';
import type { StoreError } from '../contract.ts';
import type { MaintainedArchive } from '../thread/maintenance.ts';
import { checkFor } from './identity.ts';
import { RedisArchive } from './redis-archive.ts';
import { toStoreError } from './redis-store-error.ts';

export interface RedisData {
  redis: RedisTarget;
  /** Number of replicas that must have appended frames, too. */
  replicas: number;
  /** Id of the store that Redis must hold. If undefined, any store will do. */
  id?: string;
  /** Cap of the store, bytes. */
  maxBytes: number;
  /** Visits with more bytes of runs are thinned. */
  maxVisitBytes?: number;
  /** How long visits are stored, milliseconds. */
  retainMs: number;
  /** Parts of the store that sites may use; see site-weight.ts. */
  shares?: Shares;
}

/**
 * How often to look for work, milliseconds. A random delay of up to APART_MS keeps processes from doing so together.
 */
const TEND_MS = 500;
const APART_MS = 200;

export async function maintainRedis(
  data: RedisData,
  onDamage: (error: StoreError) => void,
): Promise<MaintainedArchive> {
  const { redis: target, id, retainMs, ...options } = data;
  const guard = id !== undefined && { check: checkFor(targetText(target), new Set([id])) };
  const redis = await toStoreError(Redis.connect(target, { ...guard }));
  const archive = new RedisArchive(redis, { ...options, onDamage });
  return {
    archive,
    chores: [
      {
        everyMs: TEND_MS + Math.round(APART_MS * Math.random()),
        work: () => archive.tend(Date.now(), retainMs),
      },
    ],
    makeRoom: () => archive.tend(Date.now(), retainMs, true),
    takeNews: () => archive.takeNews(),
    close: async () => {
      await archive.close();
      await redis.close();
    },
  };
}
