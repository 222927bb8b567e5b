/**
 * Accounts: sites, administrators, links, sessions and API tokens, for all stores. `contract.ts` describes each method.
 * A store implements how records are read and how a change is committed.
 */
import { getOrInsert } from '../../lib/get-or-insert.ts';
import type { Session, Token } from '../../model/account.ts';
import type { AuditEntry, AuditNote, AuditQuery } from '../../model/audit.ts';
import type { Part } from '../../model/query.ts';
import { addRefusals, isRecent, type Refusal } from '../../model/refusal.ts';
import { OWNER, type Rights, rightsOf } from '../../model/rights.ts';
import { isAllowedOrigin, SELF, SITE_KEY, type Site } from '../../model/site.ts';
import type { Archive } from '../archive.ts';
import { type AdminOutcome, type Credential, LINK, TOKEN } from '../contract.ts';
import { type AccountSnapshot, adopt, type HitGroup, trailOf } from './account-snapshot.ts';
import {
  type AccountRecords,
  type Admin,
  type SessionOwner,
  type StoredToken,
  type TableName,
  UNKNOWN_SITES,
} from './records.ts';
import { hashSecret, newSecret, newToken, sameHash, storeId, tokenId } from './secret.ts';
import { isSeenDue, newSession, removeSessionsOf, removeSurplus, seenNow } from './sessions.ts';
import { isLastOwner, knownRights, readsOf, removeFromRights, tokenOf, withRights } from './stored-rights.ts';
import type { AccountTransaction, Change, ChangeOptions } from './transaction.ts';

/** Visits that start within this time after their site was removed are removed, too, milliseconds. */
const LEAVING_MS = 10_000;

/** Returns the site with which a new store starts. */
export function demoSite(now: number): Site {
  return { key: 'demo', name: 'Demo', origins: [SELF], created: now, firstSeen: null };
}

function dropRefusals(table: AccountTransaction['refusals'], key: string, isDropped: (one: Refusal) => boolean): void {
  const known = refusalsIn(table.get(key));
  if (known.some(isDropped))
    table.put(
      key,
      known.filter((one) => !isDropped(one)),
    );
}

/** Redis checks no values: what is no list is treated as missing. */
function refusalsIn(value: Refusal[] | undefined): Refusal[] {
  return Array.isArray(value) ? value : [];
}

/** Returns true if a visitor would not be refused for this reason any more. `site` is undefined if there is none. */
function isMended({ reason, origin }: Refusal, site: Site | undefined): boolean {
  if (reason === 'unknown-site') return site !== undefined;
  return site === undefined || (reason === 'origin-not-allowed' && isAllowedOrigin(site, origin, undefined));
}

export abstract class AccountStore {
  abstract readonly archive: Archive;
  abstract secret(): Promise<Buffer>;
  abstract allHits(): Promise<HitGroup[]>;
  abstract audit(query: AuditQuery): Promise<Part<AuditEntry>>;

  /** Reads a record. */
  protected abstract read<N extends TableName>(table: N, key: string): Promise<AccountRecords[N] | undefined>;
  /** Reads all records of a table, in the order of their keys. */
  protected abstract readAll<N extends TableName>(table: N): Promise<[key: string, value: AccountRecords[N]][]>;
  /** Reads a session and its administrator in one consistent read. */
  protected abstract readSession(id: string): Promise<SessionOwner>;
  /** Makes a change. Resolves with its result when the change is stored. */
  protected abstract commit<T>(options: ChangeOptions, change: Change<T>): Promise<T>;
  /**
   * Makes a change that no request depends on: nobody must be signed out because the store is full. Returns `assumed`
   * if the change fails, or if the store is too far away to wait for it.
   */
  protected abstract tryCommit<T>(options: ChangeOptions, change: Change<T>, assumed: T): Promise<T>;
  /** Removes the counts of a site that was just removed, as far as the commit has not removed them. */
  protected abstract removeRest(site: string): Promise<void>;
  /**
   * Makes a change. If it returns true, takes over the secret, the audit trail and the counts of the snapshot as well.
   */
  protected abstract replace(
    snapshot: AccountSnapshot,
    options: ChangeOptions,
    change: Change<boolean>,
  ): Promise<boolean>;

  async id(): Promise<string> {
    return storeId(await this.secret());
  }

  async sites(): Promise<Site[]> {
    return (await this.readAll('sites')).map(([, site]) => site);
  }

  site(key: string): Promise<Site | undefined> {
    return this.read('sites', key);
  }

  addSite(site: Site, note?: AuditNote): Promise<boolean> {
    return this.commit({ reads: { sites: [site.key], refusals: [UNKNOWN_SITES, site.key] }, note }, (tx) => {
      if (tx.sites.has(site.key)) return false;
      tx.sites.put(site.key, site);
      // An older server that removed a site with this key has left them.
      tx.refusals.remove(site.key);
      dropRefusals(tx.refusals, UNKNOWN_SITES, (one) => one.site === site.key);
      tx.addNote(note);
      return true;
    });
  }

  changeSite(
    key: string,
    { name, origins }: Pick<Site, 'name' | 'origins'>,
    note?: AuditNote,
  ): Promise<Site | undefined> {
    return this.commit({ reads: { sites: [key], refusals: [key] }, note }, (tx) => {
      const site = tx.sites.get(key);
      if (site === undefined) return undefined;
      const changed = { ...site, name, origins };
      tx.sites.put(key, changed);
      dropRefusals(tx.refusals, key, (one) => isMended(one, changed));
      tx.addNote(note);
      return changed;
    });
  }

  /**
   * Removes the site from all rights in the same commit, so that rights never name a site that does not exist. The size
   * of this commit is limited by the number of administrators and tokens, which only owners add.
   */
  async removeSite(key: string, now: number, note?: AuditNote): Promise<boolean> {
    if ((await this.site(key)) === undefined) return false;
    // Its visitors are disconnected within seconds. Until then they may still send frames.
    await this.archive.dropSite(key, now + LEAVING_MS);
    const reads = { sites: [key], admins: 'all', tokens: 'all' } as const;
    const isRemoved = await this.commit({ reads, note, allowWhenFull: true }, (tx) => {
      if (tx.sites.get(key) === undefined) return false;
      tx.sites.remove(key);
      tx.refusals.remove(key);
      tx.removeCounts(key);
      removeFromRights(tx.admins, key);
      removeFromRights(tx.tokens, key);
      tx.addNote(note);
      return true;
    });
    if (isRemoved) await this.removeRest(key);
    return isRemoved;
  }

  async markSeen(key: string, now: number): Promise<void> {
    if ((await this.site(key))?.firstSeen !== null) return;
    await this.commit({ reads: { sites: [key] } }, ({ sites }) => {
      const site = sites.get(key);
      if (site?.firstSeen === null) sites.put(key, { ...site, firstSeen: now });
    });
  }

  async noteRefusals(refusals: readonly Refusal[], now: number): Promise<void> {
    const sites = [...new Set(refusals.map(({ site }) => site))].filter((key) => SITE_KEY.test(key));
    const note: Change<void> = (tx) => {
      const more = new Map<string, Refusal[]>();
      for (const one of refusals) {
        const site = SITE_KEY.test(one.site) ? tx.sites.get(one.site) : undefined;
        // Between the refusal and this commit, its cause may have been mended, or the site removed.
        if (!isMended(one, site)) getOrInsert(more, site ? one.site : UNKNOWN_SITES, (): Refusal[] => []).push(one);
      }
      const known = new Map(tx.refusals.list().map(([key, some]) => [key, refusalsIn(some)]));
      for (const key of new Set([...known.keys(), ...more.keys()])) {
        const [old = [], added = []] = [known.get(key), more.get(key)];
        const kept = addRefusals(old, added, now);
        if (kept.length === 0) tx.refusals.remove(key);
        else if (added.length > 0 || kept.length < old.length) tx.refusals.put(key, kept);
      }
    };
    await this.tryCommit({ reads: { sites, refusals: 'all' } }, note, undefined);
  }

  async refusals(now: number): Promise<Refusal[]> {
    const all = (await this.readAll('refusals')).flatMap(([, some]) => refusalsIn(some));
    return all.filter((one) => isRecent(one, now));
  }

  async admins(): Promise<Admin[]> {
    return (await this.readAll('admins')).map(([, admin]) => withRights(admin));
  }

  async admin(name: string): Promise<Admin | undefined> {
    const admin = await this.read('admins', name);
    return admin && withRights(admin);
  }

  addAdmin(name: string, now: number, rights: Rights = OWNER, note?: AuditNote): Promise<boolean> {
    return this.commit({ reads: { ...readsOf(rights), admins: [name] }, note }, (tx) => {
      if (tx.admins.has(name)) return false;
      tx.admins.put(name, { name, password: null, created: now, ...knownRights(rights, tx.sites) });
      tx.addNote(note);
      return true;
    });
  }

  setRights(name: string, rights: Rights, note?: AuditNote): Promise<AdminOutcome> {
    const staysOwner = rights.role === 'owner';
    const reads = { ...readsOf(rights), admins: staysOwner ? [name] : 'all' } as const;
    return this.commit({ reads, note }, (tx) => {
      const admin = tx.admins.get(name);
      if (admin === undefined) return 'unknown';
      if (!staysOwner && isLastOwner(admin, tx.admins)) return 'last-owner';
      tx.admins.put(name, { ...admin, ...knownRights(rights, tx.sites) });
      tx.addNote(note);
      return 'done';
    });
  }

  removeAdmin(name: string, note?: AuditNote): Promise<AdminOutcome> {
    const reads = { admins: 'all', links: 'all', sessions: 'all' } as const;
    return this.commit({ reads, note, allowWhenFull: true }, (tx) => {
      const admin = tx.admins.get(name);
      if (admin === undefined) return 'unknown';
      if (isLastOwner(admin, tx.admins)) return 'last-owner';
      tx.admins.remove(name);
      for (const [id, link] of tx.links.list()) if (link.name === name) tx.links.remove(id);
      removeSessionsOf(name, tx.sessions);
      tx.addNote(note);
      return 'done';
    });
  }

  setPassword(name: string, password: string | null, note?: AuditNote): Promise<boolean> {
    return this.commit({ reads: { admins: [name] }, note }, (tx) => {
      const admin = tx.admins.get(name);
      if (admin === undefined) return false;
      tx.admins.put(name, { ...admin, password });
      tx.addNote(note);
      return true;
    });
  }

  addLink(name: string, now: number, note?: AuditNote): Promise<string | undefined> {
    const secret = newSecret();
    return this.commit({ reads: { admins: [name], links: 'all' }, note }, (tx) => {
      if (tx.admins.get(name) === undefined) return undefined;
      tx.links.removeExpired(now);
      tx.links.put(hashSecret(secret), { name, expires: now + LINK.lifetime });
      tx.addNote(note);
      return secret;
    });
  }

  takeLink(secret: string, now: number): Promise<string | undefined> {
    const id = hashSecret(secret);
    return this.commit({ reads: { links: [id] }, allowWhenFull: true }, ({ links }) => {
      const link = links.get(id);
      if (link === undefined) return undefined;
      links.remove(id);
      return link.expires > now ? link.name : undefined;
    });
  }

  addSession(
    name: string,
    agent: string,
    now: number,
    note?: AuditNote,
  ): Promise<{ secret: string; session: Session } | undefined> {
    const secret = newSecret();
    const id = hashSecret(secret);
    return this.commit({ reads: { admins: [name], sessions: 'all' }, note }, (tx) => {
      if (tx.admins.get(name) === undefined) return undefined;
      tx.sessions.removeExpired(now);
      removeSurplus(name, tx.sessions);
      const session = newSession(name, agent, now);
      tx.sessions.put(id, session);
      tx.addNote(note);
      return { secret, session: { id, ...session } };
    });
  }

  sessionId(secret: string): string {
    return hashSecret(secret);
  }

  async session(secret: string, now: number): Promise<Session | undefined> {
    const id = this.sessionId(secret);
    const session = await this.read('sessions', id);
    if (session === undefined || session.expires <= now) return undefined;
    if (!isSeenDue(session, now)) return { id, ...session };
    const markSeen: Change<Session | undefined> = ({ sessions }) => {
      const current = sessions.get(id);
      if (current === undefined) return undefined;
      const seen = isSeenDue(current, now) ? seenNow(current, now) : current;
      if (seen !== current) sessions.put(id, seen);
      return { id, ...seen };
    };
    return this.tryCommit({ reads: { sessions: [id] } }, markSeen, { id, ...seenNow(session, now) });
  }

  async sessions(now: number): Promise<Session[]> {
    const all = await this.readAll('sessions');
    return all.map(([id, session]) => ({ id, ...session })).filter(({ expires }) => expires > now);
  }

  removeSession(id: string, note?: AuditNote): Promise<boolean> {
    return this.#remove('sessions', id, note);
  }

  removeSessions(name: string, except: string | undefined): Promise<void> {
    const options = { reads: { sessions: 'all' }, allowWhenFull: true } as const;
    return this.commit(options, ({ sessions }) => removeSessionsOf(name, sessions, except));
  }

  addToken(
    name: string,
    now: number,
    rights: Rights = OWNER,
    note?: AuditNote,
  ): Promise<{ secret: string; token: Token }> {
    const { id, secret } = newToken();
    return this.commit({ reads: readsOf(rights), note }, (tx) => {
      const token = { name, created: now, lastUsed: null, ...knownRights(rights, tx.sites) };
      tx.tokens.put(id, { ...token, hash: hashSecret(secret) });
      tx.addNote(note);
      return { secret, token: { id, ...token } };
    });
  }

  async token(secret: string, now: number): Promise<Token | undefined> {
    const id = tokenId(secret);
    const token = id === undefined ? undefined : await this.read('tokens', id);
    if (id === undefined || token === undefined || !sameHash(token.hash, hashSecret(secret))) return undefined;
    const isDue = ({ lastUsed }: StoredToken) => lastUsed === null || now - lastUsed >= TOKEN.coarse;
    const markUsed: Change<void> = ({ tokens }) => {
      const current = tokens.get(id);
      if (current !== undefined && isDue(current)) tokens.put(id, { ...current, lastUsed: now });
    };
    if (isDue(token)) await this.tryCommit({ reads: { tokens: [id] } }, markUsed, undefined);
    return { ...tokenOf(id, token), lastUsed: now };
  }

  async tokens(): Promise<Token[]> {
    return (await this.readAll('tokens')).map(([id, token]) => tokenOf(id, token));
  }

  removeToken(id: string, note?: AuditNote): Promise<boolean> {
    return this.#remove('tokens', id, note);
  }

  #remove(table: TableName, key: string, note: AuditNote | undefined): Promise<boolean> {
    return this.commit({ reads: { [table]: [key] }, note, allowWhenFull: true }, (tx) => {
      if (tx[table].get(key) === undefined) return false;
      tx[table].remove(key);
      tx.addNote(note);
      return true;
    });
  }

  async rights(credential: Credential, now: number): Promise<Rights | undefined> {
    if (credential === 'env') return OWNER;
    const [kind, id = ''] = credential.split(':', 2);
    if (kind === 'session') {
      const [session, admin] = await this.readSession(id);
      return session && admin && session.expires > now ? rightsOf(admin) : undefined;
    }
    const token = kind === 'token' ? await this.read('tokens', id) : undefined;
    return token && rightsOf(token);
  }

  note(note: AuditNote): Promise<void> {
    return this.commit({ note }, (tx) => tx.addNote(note));
  }

  async accountSnapshot(): Promise<AccountSnapshot> {
    return {
      secret: await this.secret(),
      sites: await this.sites(),
      hits: await this.allHits(),
      trail: await trailOf(this),
      admins: await this.readAll('admins'),
      tokens: await this.readAll('tokens'),
      sessions: await this.readAll('sessions'),
    };
  }

  async adopt(snapshot: AccountSnapshot): Promise<boolean> {
    if ((await this.secret()).equals(snapshot.secret)) return true;
    if ((await this.admins()).length > 0 || (await this.archive.sites()).length > 0) return false;
    return this.replace(snapshot, { reads: { sites: 'all', admins: 'all' } }, (tx) => adopt(snapshot, tx));
  }
}
