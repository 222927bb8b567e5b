/** What a store keeps besides the record, as another one can take it over. */
import type { Session } from '../protocol/account.ts';
import type { Entry } from '../protocol/audit.ts';
import type { Site } from '../protocol/site.ts';
import type { Admin, HitGroup, Store } from './contract.ts';
import type { Kept, KeptToken } from './people.ts';

/** One-time links and counted attempts are not among it: they are over within minutes. */
export interface Holdings {
  secret: Buffer;
  sites: Site[];
  /** By name; the others by id. */
  admins: [string, Kept<Admin>][];
  tokens: [string, KeptToken][];
  sessions: [string, Kept<Session>][];
  /** The audit trail, oldest first. */
  trail: Entry[];
  hits: HitGroup[];
}

/** Entries asked for at once. */
const PART = 500;

/** The whole audit trail, oldest first. */
export async function wholeTrail(store: Pick<Store, 'audit'>): Promise<Entry[]> {
  const entries: Entry[] = [];
  for (let after: string | null | undefined; after !== null; ) {
    const part = await store.audit({ limit: PART, ...(after !== undefined && { after }) });
    entries.push(...part.items);
    after = part.next;
  }
  return entries.reverse();
}
