/** Roles and sites on the command line: `--role owner|viewer` and `--site KEY`, once per site. */
import { MAX_SITES, type Rights, ROLES, type Role } from '../model/rights.ts';
import { SITE_KEY } from '../model/site.ts';
import type { Invocation, StoreInvocation } from './command.ts';

type Flags = Invocation['flags'];

/** Stands for all sites; it is not a valid key. */
const ALL = '*';

export function isGiven({ role, site }: Flags): boolean {
  return role.length + site.length > 0;
}

/** Returns errors in the flags. `before`: the rights that they change; undefined if not known yet. */
export function checkRights({ role, site }: Flags, before: Rights | undefined): string[] {
  const faults: string[] = [];
  const [named = before?.role] = role;
  if (role.length > 1) faults.push('--role: give it only once');
  if (named !== undefined && !ROLES.includes(named as Role))
    faults.push(`--role: ${JSON.stringify(named)} is not a role; it must be ${ROLES.join(' or ')}`);
  if (named === 'owner' && site.length > 0) faults.push('--site: owners see all sites; use it with --role viewer');
  if (site.length > MAX_SITES) faults.push(`--site: give at most ${MAX_SITES}`);
  if (site.includes(ALL) && site.length > 1)
    faults.push(`--site: ${ALL} means all sites and cannot be combined with others`);
  for (const key of site)
    if (key !== ALL && !SITE_KEY.test(key))
      faults.push(`--site: ${JSON.stringify(key)} is not a site key; see fieldmouse site list`);
  return faults;
}

/** Applies the flags to the rights before. Without `--site` a viewer keeps its sites. */
export function rightsFromFlags({ role, site }: Flags, before: Rights): Rights {
  const [named = before.role] = role as Role[];
  if (named === 'owner') return { role: named, sites: null };
  if (site.length === 0) return { role: named, sites: before.sites };
  return { role: named, sites: site.includes(ALL) ? null : [...site] };
}

/** Names the first of the sites that does not exist; undefined if all exist. */
export async function unknownSiteText({ flags, store }: StoreInvocation): Promise<string | undefined> {
  const known = new Set([ALL, ...(await store.sites()).map(({ key }) => key)]);
  const unknown = flags.site.find((key) => !known.has(key));
  return unknown === undefined ? undefined : `there is no site ${unknown}; see fieldmouse site list`;
}

export function sitesText(sites: Rights['sites']): string {
  return sites === null ? 'all' : sites.join(' ') || 'none';
}
