/** Rights in the records of administrators and tokens. They never name a site that does not exist. */
import type { Token } from '../../model/account.ts';
import { type Rights, rightsOf } from '../../model/rights.ts';
import type { Admin, Stored, StoredToken } from './records.ts';
import type { ReadSet, Table } from './transaction.ts';

/** Returns a record with its full rights. A record without a role has the rights of an owner. */
export function withRights<T extends Partial<Rights>>(record: T): T & Rights {
  return { ...record, ...rightsOf(record) };
}

/** Returns a stored token without its hash. */
export function tokenOf(id: string, { hash, ...token }: StoredToken): Token {
  return { id, ...withRights(token) };
}

/** Returns the tables that `knownRights` reads. */
export function readsOf(rights: Rights): ReadSet {
  return rightsOf(rights).sites === null ? {} : { sites: 'all' };
}

/** Returns the rights to store: each site once, without sites that do not exist. */
export function knownRights(rights: Rights, known: Table<unknown>): Rights {
  const { role, sites } = rightsOf(rights);
  return { role, sites: sites && [...new Set(sites)].filter((key) => known.get(key) !== undefined) };
}

/** Within a commit: removes a site from the rights of all records. */
export function removeFromRights<T extends Partial<Rights>>(table: Table<T>, site: string): void {
  for (const [key, record] of table.list())
    if (record.sites?.includes(site)) table.put(key, { ...record, sites: record.sites.filter((one) => one !== site) });
}

/** True if this administrator is the only owner. */
export function isLastOwner(admin: Stored<Admin>, admins: Table<Stored<Admin>>): boolean {
  const isOwner = (one: Stored<Admin>) => rightsOf(one).role === 'owner';
  return isOwner(admin) && admins.list().filter(([, one]) => isOwner(one)).length === 1;
}
