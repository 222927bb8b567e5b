/** Everything in a store besides the record, for transfer to another store. */
import type { Session } from '../../model/account.ts';
import type { AuditEntry } from '../../model/audit.ts';
import type { Site } from '../../model/site.ts';
import { type Trail, wholeTrail } from './audit-trail.ts';
import type { Admin, Stored, StoredToken } from './records.ts';
import type { AccountTransaction } from './transaction.ts';

/** Visits to one page. */
export interface HitGroup {
  site: string;
  page: string;
  count: number;
}

/** One-time links, counted attempts and refused visitors are not included: they expire, and help only where they happen. */
export interface AccountSnapshot {
  secret: Buffer;
  sites: Site[];
  /** By name; tokens and sessions are listed by id. */
  admins: [string, Stored<Admin>][];
  tokens: [string, StoredToken][];
  sessions: [string, Stored<Session>][];
  /** The audit trail, oldest first. */
  trail: AuditEntry[];
  hits: HitGroup[];
}

/** Returns the whole audit trail, oldest first. */
export async function trailOf(store: Trail): Promise<AuditEntry[]> {
  const entries: AuditEntry[] = [];
  for await (const entry of wholeTrail(store)) entries.push(entry);
  return entries.reverse();
}

/**
 * Within a commit: replaces the sites, and adds the administrators, tokens and sessions. Returns false, without an
 * effect, if the store already has administrators.
 */
export function adopt({ sites, admins, tokens, sessions }: AccountSnapshot, tx: AccountTransaction): boolean {
  if (tx.admins.list().length > 0) return false;
  for (const [key] of tx.sites.list()) tx.sites.remove(key);
  for (const site of sites) tx.sites.put(site.key, site);
  for (const [name, admin] of admins) tx.admins.put(name, admin);
  for (const [id, token] of tokens) tx.tokens.put(id, token);
  for (const [id, session] of sessions) tx.sessions.put(id, session);
  return true;
}
