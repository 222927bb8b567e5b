/**
 * Number of shards of a journal. A visit's frames wait in one shard, and a shard is compacted as a whole. Each commit
 * writes to every shard: with 64 of them it took twice as long in the kernel.
 */
export const SHARDS = 16;

/** Returns the shard of a visit. Ids are random, so they spread evenly. */
export function shardOf(id: string): number {
  let sum = 0;
  for (let i = 0; i < id.length; i++) sum = (31 * sum + id.charCodeAt(i)) | 0;
  return (sum >>> 0) % SHARDS;
}

/**
 * Number of shards per site, in stores that separate sites. With more, each would hold too little to be compacted
 * together.
 */
export const SITE_SHARDS = 16;

/** Returns the shard of a visit among those of its site. */
export function siteShardOf(id: string): number {
  return shardOf(id) % SITE_SHARDS;
}
