/**
 * Frames of one visit are in one shard until they are filed; those of a shard are filed together. Each commit writes to every shard: with
 * 64 of them it took twice as long in the kernel.
 */
export const SHARDS = 16;

/** The shard of a visit: ids are random, so their letters spread evenly. */
export function shardOf(id: string): number {
  let sum = 0;
  for (let i = 0; i < id.length; i++) sum = (31 * sum + id.charCodeAt(i)) | 0;
  return (sum >>> 0) % SHARDS;
}

/** Where sites are kept apart, each has so many shards: more would hold too little each to be filed together. */
export const SITE_SHARDS = 16;

/** The shard of a visit among those of its site. */
export function siteShardOf(id: string): number {
  return shardOf(id) % SITE_SHARDS;
}
