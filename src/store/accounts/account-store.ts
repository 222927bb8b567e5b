/**
 * Accounts: sites, administrators, links, sessions and API tokens, for all stores. `contract.ts` says what each method promises. A
 * store says how records are read and how a change is committed.
 */
import type { Session, Token } from '../../model/account.ts';
import type { AuditQuery, Entry, Note } from '../../model/audit.ts';
import type { Part } from '../../model/query.ts';
import { OWNER, type Rights, rightsOf } from '../../model/rights.ts';
import type { Site } from '../../model/site.ts';
import type { Archive } from '../archive.ts';
import type { AdminOutcome, Credential } from '../contract.ts';
import { type AccountSnapshot, adoptAccounts, type HitGroup, trailOf } from './account-snapshot.ts';
import { addAdmin, removeAdmin, setPassword, setRights } from './admins.ts';
import { addLink, takeLink } from './links.ts';
import type { AccountRecords, Admin, Stored, TableName } from './records.ts';
import { hashSecret, sameHash, storeId, tokenId } from './secret.ts';
import { addSession, isSeenDue, markSessionSeen, removeSessions, seenNow } from './sessions.ts';
import { addSite, changeSite, LEAVING_MS, markSeen, removeSite } from './sites.ts';
import { withRights } from './stored-rights.ts';
import { addToken, isUseDue, markTokenUsed, tokenOf } from './tokens.ts';
import { type Change, removeRecord } from './transaction.ts';

export abstract class AccountStore {
  abstract readonly archive: Archive;
  abstract secret(): Promise<Buffer>;
  abstract allHits(): Promise<HitGroup[]>;
  abstract audit(query: AuditQuery): Promise<Part<Entry>>;

  /** Reads a record. */
  protected abstract read<N extends TableName>(table: N, key: string): Promise<AccountRecords[N] | undefined>;
  /** Reads all records of a table, in the order of their keys. */
  protected abstract readAll<N extends TableName>(table: N): Promise<[key: string, value: AccountRecords[N]][]>;
  /** Reads a session and its administrator, both at the same moment. */
  protected abstract readSession(
    id: string,
  ): Promise<[session?: Stored<Session> | undefined, admin?: Stored<Admin> | undefined]>;
  /** Makes a change. What it returns is stored when the promise resolves. */
  protected abstract commit<T>(change: Change<T>): Promise<T>;
  /**
   * Makes a change that no request depends on: a full store must not sign anybody out. `assumed` is the result if the change fails, or
   * if the store is too far away to wait for it.
   */
  protected abstract tryCommit<T>(change: Change<T>, assumed: T): Promise<T>;
  /** Removes what was counted for a site that was just removed, as far as the commit has not removed it. */
  protected abstract removeRest(site: string): Promise<void>;
  /** Makes `change`, and takes over the secret, the audit trail and the counts of the snapshot if it returns true. */
  protected abstract replace(snapshot: AccountSnapshot, change: Change<boolean>): Promise<boolean>;

  async id(): Promise<string> {
    return storeId(await this.secret());
  }

  async sites(): Promise<Site[]> {
    return (await this.readAll('sites')).map(([, site]) => site);
  }

  site(key: string): Promise<Site | undefined> {
    return this.read('sites', key);
  }

  addSite(site: Site, note?: Note): Promise<boolean> {
    return this.commit(addSite(site, note));
  }

  changeSite(key: string, change: Pick<Site, 'name' | 'origins'>, note?: Note): Promise<Site | undefined> {
    return this.commit(changeSite(key, change, note));
  }

  async removeSite(key: string, now: number, note?: Note): Promise<boolean> {
    if ((await this.site(key)) === undefined) return false;
    // Its visitors are sent away within seconds, and may do something until then.
    await this.archive.dropSite(key, now + LEAVING_MS);
    const isRemoved = await this.commit(removeSite(key, note));
    if (isRemoved) await this.removeRest(key);
    return isRemoved;
  }

  async markSeen(key: string, now: number): Promise<void> {
    if ((await this.site(key))?.firstSeen === null) await this.commit(markSeen(key, now));
  }

  async admins(): Promise<Admin[]> {
    return (await this.readAll('admins')).map(([, admin]) => withRights(admin));
  }

  async admin(name: string): Promise<Admin | undefined> {
    const admin = await this.read('admins', name);
    return admin && withRights(admin);
  }

  addAdmin(name: string, now: number, rights: Rights = OWNER, note?: Note): Promise<boolean> {
    return this.commit(addAdmin(name, now, rights, note));
  }

  setRights(name: string, rights: Rights, note?: Note): Promise<AdminOutcome> {
    return this.commit(setRights(name, rights, note));
  }

  removeAdmin(name: string, note?: Note): Promise<AdminOutcome> {
    return this.commit(removeAdmin(name, note));
  }

  setPassword(name: string, password: string | null, note?: Note): Promise<boolean> {
    return this.commit(setPassword(name, password, note));
  }

  addLink(name: string, now: number, note?: Note): Promise<string | undefined> {
    return this.commit(addLink(name, now, note));
  }

  takeLink(secret: string, now: number): Promise<string | undefined> {
    return this.commit(takeLink(secret, now));
  }

  addSession(
    name: string,
    agent: string,
    now: number,
    note?: Note,
  ): Promise<{ secret: string; session: Session } | undefined> {
    return this.commit(addSession(name, agent, now, note));
  }

  sessionId(secret: string): string {
    return hashSecret(secret);
  }

  async session(secret: string, now: number): Promise<Session | undefined> {
    const id = this.sessionId(secret);
    const stored = await this.read('sessions', id);
    if (stored === undefined || stored.expires <= now) return undefined;
    const isDue = isSeenDue(stored, now);
    const session = isDue ? await this.tryCommit(markSessionSeen(id, now), seenNow(stored, now)) : stored;
    return session && { id, ...session };
  }

  async sessions(now: number): Promise<Session[]> {
    const all = await this.readAll('sessions');
    return all.map(([id, session]) => ({ id, ...session })).filter(({ expires }) => expires > now);
  }

  removeSession(id: string, note?: Note): Promise<boolean> {
    return this.commit(removeRecord('sessions', id, note));
  }

  removeSessions(name: string, except: string | undefined): Promise<void> {
    return this.commit(removeSessions(name, except));
  }

  addToken(name: string, now: number, rights: Rights = OWNER, note?: Note): Promise<{ secret: string; token: Token }> {
    return this.commit(addToken(name, now, rights, note));
  }

  async token(secret: string, now: number): Promise<Token | undefined> {
    const id = tokenId(secret);
    const stored = id === undefined ? undefined : await this.read('tokens', id);
    if (id === undefined || stored === undefined || !sameHash(stored.hash, hashSecret(secret))) return undefined;
    if (isUseDue(stored, now)) await this.tryCommit(markTokenUsed(id, now), undefined);
    return { ...tokenOf(id, stored), lastUsed: now };
  }

  async tokens(): Promise<Token[]> {
    return (await this.readAll('tokens')).map(([id, token]) => tokenOf(id, token));
  }

  removeToken(id: string, note?: Note): Promise<boolean> {
    return this.commit(removeRecord('tokens', id, note));
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

  note(note: Note): Promise<void> {
    return this.commit({ reads: {}, note, run: (tx) => tx.addNote(note) });
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
    return this.replace(snapshot, adoptAccounts(snapshot));
  }
}
