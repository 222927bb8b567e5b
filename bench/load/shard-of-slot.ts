/** How a cluster shares its slots. */
import { SLOTS } from '../../src/redis/hash-slot.ts';

/** The shard of a slot, where so many share the slots evenly and in order, as `redis-cli --cluster create` has it. */
export function shardOfSlot(slot: number, shards: number): number {
  return Math.min(shards - 1, Math.floor((slot * shards) / SLOTS));
}
