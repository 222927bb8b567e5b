/** The schemas of roles and sites in requests and responses. */
import { type Static, Type } from '@fastify/type-provider-typebox';
import { MAX_SITES, OWNER, type Rights, ROLES } from '../../model/rights.ts';
import type { Records } from '../contract.ts';
import { SiteKey, wrong } from '../query-fields.ts';
import { shape } from '../schema.ts';
import { unknownSite } from './guard.ts';

export const RIGHTS = {
  role: Type.Enum([...ROLES], { description: 'Owners have full access, viewers read-only access' }),
  sites: Type.Union([Type.Array(SiteKey, { maxItems: MAX_SITES }), Type.Null()], {
    description: 'Keys of the sites that a viewer can see; null: all sites, as for owners',
  }),
};
export const OPTIONAL_RIGHTS = { role: Type.Optional(RIGHTS.role), sites: Type.Optional(RIGHTS.sites) };
const Given = shape(OPTIONAL_RIGHTS);

/** Returns the rights in a body. Throws Problem 400 for an owner with listed sites, and 404 for unknown sites. */
export async function readRights(store: Records, given: Static<typeof Given>): Promise<Rights> {
  const { role, sites } = { ...OWNER, ...given };
  if (role === 'owner' && sites !== null) throw wrong('An owner sees all sites: sites must be null.');
  const known = new Set((await store.sites()).map(({ key }) => key));
  if (sites?.some((key) => !known.has(key))) throw unknownSite();
  return { role, sites };
}
