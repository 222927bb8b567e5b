/**
 * Who may do what. Owners see and do all; viewers look at the sites they were given, and keep their own password and
 * sessions. It is decided here alone, for requests, for open streams and for what the dashboard shows.
 */

export const ROLES = ['owner', 'viewer'] as const;
export type Role = (typeof ROLES)[number];

/** Of an administrator or an API token. */
export interface Rights {
  role: Role;
  /** Keys of the sites that a viewer sees; null: all. Always null for an owner. */
  sites: string[] | null;
}

export const OWNER: Rights = { role: 'owner', sites: null };

/** Most sites named for one administrator or token. */
export const MAX_SITES = 1000;

/**
 * What a route is for. look: what visitors of a site did and do · own: the own session and password ·
 * manage: everything else
 */
export type Need = 'look' | 'own' | 'manage';

export function may({ role }: Rights, need: Need): boolean {
  return role === 'owner' || need !== 'manage';
}

/** True if what happens on the site may be looked at. Undefined are the rights of what opens nothing. */
export function sees(rights: Rights | undefined, site: string): boolean {
  if (rights === undefined) return false;
  return rights.role === 'owner' || rights.sites === null || rights.sites.includes(site);
}

/** What a store knows of rights and sites. */
interface Known {
  rights(credential: string, now: number): Promise<Rights | undefined>;
  site(key: string): Promise<unknown>;
}

/**
 * True if a session or token may see a site, and the site is there. Both are asked for at the same time: Redis may be
 * far away.
 */
export async function maySee(store: Known, credential: string, site: string): Promise<boolean> {
  const [rights, there] = await Promise.all([store.rights(credential, Date.now()), store.site(site)]);
  return sees(rights, site) && there !== undefined;
}

/** True if nothing that is of all sites together need be hidden. */
export function seesAll({ sites }: Rights): boolean {
  return sites === null;
}

/** The rights in a record; one from before there were any is an owner's. */
export function rightsOf({ role = 'owner', sites = null }: Partial<Rights>): Rights {
  return { role, sites: role === 'owner' ? null : sites };
}

/** As `a viewer of shop, journal`. */
export function rightsText({ role, sites }: Rights): string {
  return role === 'owner' ? 'an owner' : `a viewer of ${sites === null ? 'all sites' : sites.join(', ') || 'no site'}`;
}
