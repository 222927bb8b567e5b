/** What a store has besides the record, so that another one can take it over. */
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

/** It has no one-time links and no counted attempts, which expire within minutes. */
export interface AccountSnapshot {
  secret: Buffer;
  sites: Site[];
  /** By name; the others by id. */
  admins: [string, Stored<Admin>][];
  tokens: [string, StoredToken][];
  sessions: [string, Stored<Session>][];
  /** The audit trail, oldest first. */
  trail: AuditEntry[];
  hits: HitGroup[];
}

/** The whole audit trail, oldest first. */
export async function trailOf(store: Trail): Promise<AuditEntry[]> {
  const entries: AuditEntry[] = [];
  for await (const entry of wholeTrail(store)) entries.push(entry);
  return entries.reverse();
}

/** Within a commit: replaces the sites and adds those who may sign in. False if there are administrators already. */
export function adopt({ sites, admins, tokens, sessions }: AccountSnapshot, tx: AccountTransaction): boolean {
  if (tx.admins.list().length > 0) return false;
  for (const [key] of tx.sites.list()) tx.sites.remove(key);
  for (const site of sites) tx.sites.put(site.key, site);
  for (const [name, admin] of admins) tx.admins.put(name, admin);
  for (const [id, token] of tokens) tx.tokens.put(id, token);
  for (const [id, session] of sessions) tx.sessions.put(id, session);
  return true;
}
