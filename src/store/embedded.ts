/**
 * The store of one machine: LMDB in the data folder. Readers are never blocked and see every commit at
 * once; writers of all processes take turns by LMDB's lock, and a lock whose holder was killed is freed by the
 * system. What a promise here resolved for is on disk.
 *
 * No cache is used anywhere: it would not see what another process wrote.
 */
import { randomBytes } from 'node:crypto';
import { type Database, open, type RootDatabase } from 'lmdb';
import type { Session, Token } from '../protocol/account.ts';
import { SELF, type Site } from '../protocol/site.ts';
import { type Admin, type Attempt, type Credential, LINK, SESSION, type Store, StoreError, TOKEN } from './contract.ts';
import { openFolder } from './folder.ts';
import { counterKey, hashSecret, newSecret, newToken, sameHash, tokenId } from './secret.ts';

/** Raised when a later version can no longer be read by an earlier one. */
const FORMAT = 1;

/** How many expired entries one write clears away at most. */
const SWEEP = 32;

/**
 * Opens the store in a folder, which is made if need be. Any number of processes may have it open.
 * Throws StoreError.
 */
export async function openStore(folder: string): Promise<Store> {
  // One reader slot per process and read under way; the first process to open decides for all.
  const root = openFolder(folder, (path) => open({ path, maxDbs: 32, maxReaders: 2048 }));
  try {
    return new EmbeddedStore(root, await found(root, folder));
  } catch (error) {
    await root.close();
    throw error;
  }
}

/** Furnishes a new store, by one process only, and returns its secret. */
async function found(root: RootDatabase, folder: string): Promise<Buffer> {
  const meta = root.openDB<number | Buffer, string>('meta', {});
  const sites = root.openDB<Site, string>('sites', {});
  if (meta.get('format') === undefined)
    await root.transaction(() => {
      if (meta.get('format') !== undefined) return;
      meta.put('format', FORMAT);
      meta.put('secret', randomBytes(32));
      sites.put('demo', { key: 'demo', name: 'Demo', origins: [SELF], created: Date.now(), firstSeen: null });
    });
  const format = meta.get('format');
  if (format !== FORMAT)
    throw new StoreError('newer-store', `${folder} was written by a later version of Fieldmouse (format ${format})`);
  return Buffer.from(meta.get('secret') as Buffer);
}

interface Link {
  name: string;
  expires: number;
}

interface Counter {
  count: number;
  expires: number;
}

type Kept<T> = Omit<T, 'id'>;
type Perishable = 'links' | 'sessions' | 'counters';

class EmbeddedStore implements Store {
  readonly #root: RootDatabase;
  readonly #secret: Buffer;
  readonly #meta: Database<string[], string>;
  readonly #sites: Database<Site, string>;
  readonly #admins: Database<Kept<Admin>, string>;
  readonly #tokens: Database<Kept<Token> & { hash: string }, string>;
  readonly #links: Database<Link, string>;
  readonly #sessions: Database<Kept<Session>, string>;
  readonly #counters: Database<Counter, string>;
  /** When to look at what may have expired: `[expires, table, key]`. One entry per record. */
  readonly #expiry: Database<true, [number, Perishable, string]>;
  #closed: Promise<void> | undefined;

  constructor(root: RootDatabase, secret: Buffer) {
    this.#root = root;
    this.#secret = secret;
    this.#meta = root.openDB('meta', {});
    this.#sites = root.openDB('sites', {});
    this.#admins = root.openDB('admins', {});
    this.#tokens = root.openDB('tokens', {});
    this.#links = root.openDB('links', {});
    this.#sessions = root.openDB('sessions', {});
    this.#counters = root.openDB('counters', {});
    this.#expiry = root.openDB('expiry', {});
  }

  async secret(): Promise<Buffer> {
    return this.#secret;
  }

  async addresses(): Promise<string[]> {
    return this.#read(() => this.#meta.get('addresses') ?? []);
  }

  async noteAddresses(addresses: readonly string[]): Promise<void> {
    await this.#write(() => void this.#meta.put('addresses', [...addresses]));
  }

  async sites(): Promise<Site[]> {
    return this.#read(() => [...this.#sites.getRange().map(({ value }) => value)]);
  }

  async site(key: string): Promise<Site | undefined> {
    return this.#read(() => find(this.#sites, key));
  }

  addSite(site: Site): Promise<boolean> {
    return this.#write(() => {
      if (this.#sites.doesExist(site.key)) return false;
      this.#sites.put(site.key, site);
      return true;
    });
  }

  changeSite(key: string, change: Pick<Site, 'name' | 'origins'>): Promise<Site | undefined> {
    return this.#write(() => {
      const site = find(this.#sites, key);
      if (site === undefined) return undefined;
      const changed = { ...site, name: change.name, origins: change.origins };
      this.#sites.put(key, changed);
      return changed;
    });
  }

  removeSite(key: string): Promise<boolean> {
    return this.#write(() => take(this.#sites, key) !== undefined);
  }

  async markSeen(key: string, now: number): Promise<void> {
    const isDue = (site: Site | undefined) => site !== undefined && site.firstSeen === null;
    if (!isDue(await this.site(key))) return;
    await this.#write(() => {
      const site = this.#sites.get(key);
      if (site !== undefined && isDue(site)) this.#sites.put(key, { ...site, firstSeen: now });
    });
  }

  async admins(): Promise<Admin[]> {
    return this.#read(() => [...this.#admins.getRange().map(({ value }) => value)]);
  }

  async admin(name: string): Promise<Admin | undefined> {
    return this.#read(() => find(this.#admins, name));
  }

  addAdmin(name: string, now: number): Promise<boolean> {
    return this.#write(() => {
      if (this.#admins.doesExist(name)) return false;
      this.#admins.put(name, { name, password: null, created: now });
      return true;
    });
  }

  removeAdmin(name: string): Promise<boolean> {
    return this.#write(() => {
      if (take(this.#admins, name) === undefined) return false;
      for (const { key, value } of [...this.#links.getRange()]) if (value.name === name) this.#links.remove(key);
      this.#dropSessions(name, undefined);
      return true;
    });
  }

  setPassword(name: string, password: string | null): Promise<boolean> {
    return this.#write(() => {
      const admin = find(this.#admins, name);
      if (admin === undefined) return false;
      this.#admins.put(name, { ...admin, password });
      return true;
    });
  }

  addLink(name: string, now: number): Promise<string | undefined> {
    const secret = newSecret();
    return this.#write(() => {
      if (find(this.#admins, name) === undefined) return undefined;
      this.#keep('links', this.#links, hashSecret(secret), { name, expires: now + LINK.lifetime }, now);
      return secret;
    });
  }

  takeLink(secret: string, now: number): Promise<string | undefined> {
    return this.#write(() => {
      const link = take(this.#links, hashSecret(secret));
      if (link === undefined || link.expires <= now) return undefined;
      return link.name;
    });
  }

  addSession(name: string, agent: string, now: number): Promise<{ secret: string; session: Session } | undefined> {
    const secret = newSecret();
    const id = hashSecret(secret);
    return this.#write(() => {
      if (find(this.#admins, name) === undefined) return undefined;
      this.#makeRoom(name);
      const record = { name, created: now, lastSeen: now, expires: now + SESSION.slide, agent };
      this.#keep('sessions', this.#sessions, id, record, now);
      return { secret, session: { id, ...record } };
    });
  }

  /** Within a write: leaves room for one more session. */
  #makeRoom(name: string): void {
    const own = [...this.#sessions.getRange()].filter(({ value }) => value.name === name);
    own.sort((a, b) => b.value.lastSeen - a.value.lastSeen);
    for (const { key } of own.slice(SESSION.most - 1)) this.#sessions.remove(key);
  }

  async session(secret: string, now: number): Promise<Session | undefined> {
    const id = hashSecret(secret);
    const record = this.#read(() => this.#sessions.get(id));
    if (record === undefined || record.expires <= now) return undefined;
    if (now - record.lastSeen < SESSION.coarse) return { id, ...record };
    const slid = this.#write(() => {
      const current = this.#sessions.get(id);
      if (current === undefined) return undefined;
      const later = { ...current, lastSeen: now, expires: now + SESSION.slide };
      this.#sessions.put(id, later);
      return { id, ...later };
    });
    // A disk that is full must not sign people out.
    return slid.catch(() => ({ id, ...record }));
  }

  async sessions(now: number): Promise<Session[]> {
    const all = this.#read(() => [...this.#sessions.getRange().map(({ key, value }) => ({ id: key, ...value }))]);
    return all.filter((session) => session.expires > now);
  }

  removeSession(id: string): Promise<boolean> {
    return this.#write(() => take(this.#sessions, id) !== undefined);
  }

  removeSessions(name: string, except: string | undefined): Promise<void> {
    return this.#write(() => this.#dropSessions(name, except));
  }

  #dropSessions(name: string, except: string | undefined): void {
    for (const { key, value } of [...this.#sessions.getRange()])
      if (value.name === name && key !== except) this.#sessions.remove(key);
  }

  addToken(name: string, now: number): Promise<{ secret: string; token: Token }> {
    const { id, secret } = newToken();
    const token = { name, created: now, lastUsed: null };
    return this.#write(() => {
      this.#tokens.put(id, { ...token, hash: hashSecret(secret) });
      return { secret, token: { id, ...token } };
    });
  }

  async token(secret: string, now: number): Promise<Token | undefined> {
    const id = tokenId(secret);
    const record = id === undefined ? undefined : this.#read(() => this.#tokens.get(id));
    if (id === undefined || record === undefined || !sameHash(record.hash, hashSecret(secret))) return undefined;
    if (record.lastUsed === null || now - record.lastUsed >= TOKEN.coarse)
      // As with sessions: a full disk is no reason to refuse.
      await this.#write(() => {
        const current = this.#tokens.get(id);
        if (current !== undefined) this.#tokens.put(id, { ...current, lastUsed: now });
      }).catch(() => {});
    return { id, name: record.name, created: record.created, lastUsed: now };
  }

  async tokens(): Promise<Token[]> {
    return this.#read(() => [
      ...this.#tokens.getRange().map(({ key, value: { hash, ...token } }) => ({ id: key, ...token })),
    ]);
  }

  removeToken(id: string): Promise<boolean> {
    return this.#write(() => take(this.#tokens, id) !== undefined);
  }

  async valid(credential: Credential, now: number): Promise<boolean> {
    if (credential === 'env') return true;
    const [kind, id = ''] = credential.split(':', 2);
    if (kind === 'session') return (this.#read(() => find(this.#sessions, id))?.expires ?? 0) > now;
    return kind === 'token' && this.#read(() => find(this.#tokens, id)) !== undefined;
  }

  countAttempt(attempts: readonly Attempt[], now: number): Promise<number> {
    const counted = this.#counted(attempts);
    return this.#write(() => {
      let wait = 0;
      for (const { key, limit } of counted) {
        const counter = this.#live(key, now);
        if (counter !== undefined && counter.count >= limit) wait = Math.max(wait, counter.expires - now);
      }
      if (wait > 0) return wait;
      for (const { key, window } of counted) {
        const counter = this.#live(key, now) ?? { count: 0, expires: now + window };
        this.#keep('counters', this.#counters, key, { ...counter, count: counter.count + 1 }, now);
      }
      return 0;
    });
  }

  forgiveAttempt(attempts: readonly Attempt[], now: number): Promise<void> {
    const counted = this.#counted(attempts);
    return this.#write(() => {
      for (const { key } of counted) {
        const counter = this.#live(key, now);
        if (counter !== undefined) this.#counters.put(key, { ...counter, count: Math.max(0, counter.count - 1) });
      }
    });
  }

  #counted(attempts: readonly Attempt[]) {
    return attempts.map((attempt) => ({ ...attempt, key: counterKey(this.#secret, attempt.kind, attempt.value) }));
  }

  #live(key: string, now: number): Counter | undefined {
    const counter = this.#counters.get(key);
    return counter !== undefined && counter.expires > now ? counter : undefined;
  }

  close(): Promise<void> {
    this.#closed ??= this.#root.close();
    return this.#closed;
  }

  /** lmdb keeps a snapshot for about a millisecond, and a revoked token would open doors for so long. */
  #read<T>(look: () => T): T {
    this.#root.resetReadTxn();
    return look();
  }

  /** Everything within sees and changes the store alone, across processes. It must not wait for anything. */
  #write<T>(action: () => T): Promise<T> {
    return this.#root.transaction(action);
  }

  /** Within a write: keeps what will expire, and clears away some of what has. */
  #keep<T extends { expires: number }>(table: Perishable, db: Database<T, string>, key: string, value: T, now: number) {
    this.#sweep(now);
    db.put(key, value);
    this.#expiry.put([value.expires, table, key], true);
  }

  #sweep(now: number): void {
    const tables = { links: this.#links, sessions: this.#sessions, counters: this.#counters };
    for (const entry of [...this.#expiry.getKeys({ end: [now + 1], limit: SWEEP })]) {
      const [, table, key] = entry;
      this.#expiry.remove(entry);
      const expires = tables[table].get(key)?.expires;
      if (expires === undefined) continue;
      // A session that was seen since has a later end than it was filed under.
      if (expires > now) this.#expiry.put([expires, table, key], true);
      else tables[table].remove(key);
    }
  }
}

/** LMDB throws for keys above its limit; nothing of ours comes near it. */
const KEY_LIMIT = 128;

/** The entry of a key that may be any text. */
function find<T>(db: Database<T, string>, key: string): T | undefined {
  return key.length <= KEY_LIMIT ? db.get(key) : undefined;
}

/** Within a write: removes an entry and returns what it was. */
function take<T>(db: Database<T, string>, key: string): T | undefined {
  const value = find(db, key);
  if (value !== undefined) db.remove(key);
  return value;
}
