/** What a store keeps besides the record, as another one can take it over. */
import type { Session } from '../../model/account.ts';
import type { Entry } from '../../model/audit.ts';
import type { Site } from '../../model/site.ts';
import { type Trail, wholeTrail } from './audit-trail.ts';
import type { Admin, Stored, StoredToken } from './people.ts';

/** Visits to one page. */
export interface HitGroup {
  site: string;
  page: string;
  count: number;
}

/** One-time links and counted attempts are not among it: they are over within minutes. */
export interface AccountSnapshot {
  secret: Buffer;
  sites: Site[];
  /** By name; the others by id. */
  admins: [string, Stored<Admin>][];
  tokens: [string, StoredToken][];
  sessions: [string, Stored<Session>][];
  /** The audit trail, oldest first. */
  trail: Entry[];
  hits: HitGroup[];
}

/** The whole audit trail, oldest first. */
export async function trailOf(store: Trail): Promise<Entry[]> {
  const entries: Entry[] = [];
  for await (const entry of wholeTrail(store)) entries.push(entry);
  return entries.reverse();
}
