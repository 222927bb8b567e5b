/**
 * Names of keys. Keys that must change in one step have to be on one node of a cluster, which depends on the part in
 * braces (redis.io/docs/reference/cluster-spec, "Hash tags"). All of a site's record is on one node, and so is
 * everything that belongs to no site.
 */

/** Returns a key of the whole installation: sign-ins, sites, tokens, counters. */
export function commonKey(name: string): string {
  return `fm:{fm}:${name}`;
}

/** Returns a key of one site. */
export function siteKey(site: string, name: string): string {
  return `fm:site:{${site}}:${name}`;
}
