/** How a cluster shares its slots. */
import { SLOTS } from '../../src/redis/hash-slot.ts';

/**
 * Returns the shard of a slot. The shards share the slots evenly and in order, as with `redis-cli --cluster create`.
 */
export function shardOfSlot(slot: number, shards: number): number {
  return Math.min(shards - 1, Math.floor((slot * shards) / SLOTS));
}
