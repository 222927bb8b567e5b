/**
 * Access rights. Owners may see and do everything. Viewers see the sites they were given, and manage their own password
 * and sessions. Requests, open streams and the dashboard all use these rules.
 */

export const ROLES = ['owner', 'viewer'] as const;
export type Role = (typeof ROLES)[number];

/** Rights of an administrator or an API token. */
export interface Rights {
  role: Role;
  /** Keys of the sites that a viewer sees; null: all. Always null for an owner. */
  sites: string[] | null;
}

export const OWNER: Rights = { role: 'owner', sites: null };

/** Maximum number of sites listed for one administrator or token. */
export const MAX_SITES = 1000;

/**
 * What a route needs. look: seeing what visitors of a site did and do · own: the own session and password · manage:
 * everything else
 */
export type Need = 'look' | 'own' | 'manage';

export function may({ role }: Rights, need: Need): boolean {
  return role === 'owner' || need !== 'manage';
}

/** Returns true if the site may be seen. Undefined rights allow nothing. */
export function sees(rights: Rights | undefined, site: string): boolean {
  if (rights === undefined) return false;
  return rights.role === 'owner' || rights.sites === null || rights.sites.includes(site);
}

/** The part of a store that is needed here. */
interface Known {
  rights(credential: string, now: number): Promise<Rights | undefined>;
  site(key: string): Promise<unknown>;
}

/**
 * Returns true if a session or token may see a site, and the site exists. Both are queried in parallel, because Redis
 * may be far away.
 */
export async function maySee(store: Known, credential: string, site: string): Promise<boolean> {
  const [rights, existing] = await Promise.all([store.rights(credential, Date.now()), store.site(site)]);
  return sees(rights, site) && existing !== undefined;
}

/** Returns true if the rights cover all sites together. */
export function seesAllSites({ sites }: Rights): boolean {
  return sites === null;
}

/** Returns the rights in a record. A record without a role is an owner's: older versions had no roles. */
export function rightsOf({ role = 'owner', sites = null }: Partial<Rights>): Rights {
  return { role, sites: role === 'owner' ? null : sites };
}

/** Returns a text such as `a viewer of shop, journal`. */
export function rightsText({ role, sites }: Rights): string {
  return role === 'owner' ? 'an owner' : `a viewer of ${sites === null ? 'all sites' : sites.join(', ') || 'no site'}`;
}
