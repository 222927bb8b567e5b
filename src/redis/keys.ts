/**
 * Names of keys. What must change in one step has to be on one node of a cluster, which goes by the part in braces
 * (redis.io/docs/reference/cluster-spec, "Hash tags"): all of a site's record is on one, and so is what belongs to no site.
 */

/** Of the whole installation: sign-ins, sites, tokens, counters. */
export function commonKey(name: string): string {
  return `fm:{fm}:${name}`;
}

/** Of one site. */
export function siteKey(site: string, name: string): string {
  return `fm:site:{${site}}:${name}`;
}
