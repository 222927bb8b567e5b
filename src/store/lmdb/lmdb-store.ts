/**
 * The store of one machine: LMDB in the data folder. Readers are never blocked and see every commit at
 * once; writers of all processes take turns by LMDB's lock, and a lock whose holder was killed is freed by the
 * system. What a promise here resolved for is on disk.
 *
 * No cache is used anywhere: it would not see what another process wrote.
 */
import { randomBytes } from 'node:crypto';
import { statSync } from 'node:fs';
import { join } from 'node:path';
import type { Database, Key } from 'lmdb';
import type { Durability, Shares } from '../../config/config.ts';
import type { Session, Token } from '../../model/account.ts';
import { ACTOR, type AuditQuery, type Entry, type Note } from '../../model/audit.ts';
import { isPage } from '../../model/page.ts';
import type { Part } from '../../model/query.ts';
import { OWNER, type Rights, ROLES, rightsOf } from '../../model/rights.ts';
import { SITE_KEY, type Site } from '../../model/site.ts';
import { type MachineMinutes, NO_SITE, type SiteMinute } from '../../protocol/peer.ts';
import { type AccountSnapshot, type HitGroup, trailOf } from '../accounts/account-snapshot.ts';
import {
  type Admin,
  changedOptions,
  demoSite,
  hashOptions,
  isLastOwner,
  knownRights,
  LEAVING_MS,
  type Link,
  newSession,
  SESSION,
  type Stored,
  type StoredToken,
  seenNow,
  surplus,
  tokenOf,
  withoutSite,
  withRights,
} from '../accounts/people.ts';
import { counterKey, hashSecret, newSecret, newToken, sameHash, storeId, tokenId } from '../accounts/secret.ts';
import { type AdminOutcome, type Attempt, type Credential, LINK, type Store, StoreError, TOKEN } from '../contract.ts';
import { type HitOutcome, HitQueue } from '../hit-queue.ts';
import { AuditTable } from './audit-table.ts';
import { damaged, isDamage, STORE_FILE } from './file/folder.ts';
import { StoreFile } from './file/store-file.ts';
import { HitTable } from './hit-table.ts';
import { type HourKey, HourTable, type HourValue } from './hour-table.ts';
import { EmbeddedArchive } from './lmdb-archive.ts';
import { bytesOf } from './lmdb-quota.ts';
import { pauseAfter } from './pause.ts';
import { type Check, isAny, isList, isNumber, isRecord, isText, type KeyShape, openTable } from './table.ts';

/** Raised when a later version can no longer be read by an earlier one. */
const FORMAT = 2;
/** What this version reads as well; a server raises it. Format 1 has no places of clicks: see record/aggregator.ts. */
const FORMER_FORMAT = 1;

/** How many expired entries one write clears away at most. */
const SWEEP = 32;
/** Minutes in one write: this process does nothing else meanwhile. */
const MINUTES_TOGETHER = 1000;
/** There is no other. */
const MACHINE = 'local';

export interface StoreOptions {
  /** Make a store where there is none; true unless said otherwise. */
  create?: boolean;
  /**
   * Look at all pages first if they are of at most so many bytes, and otherwise at those that every start needs: LMDB
   * ends the process where it meets a broken one. Left out: look at none.
   */
  checkBytes?: number;
  /** The record takes nothing beyond so many bytes. */
  maxBytes?: number;
  /** Parts of the store that sites may take before others; 1 unless said otherwise. */
  shares?: Shares;
  /** `disk` unless said otherwise. */
  durability?: Durability;
  /** Visits with more bytes of runs are thinned; record/thinning.ts. */
  maxVisitBytes?: number;
  /** So many bytes of visits are removed in one write. */
  pieceBytes?: number;
  /** Is told of entries that cannot be read, and are passed over; again and again where they are read again. */
  onDamage?: (error: StoreError) => void;
  /** Is told what is missing in an answer of the record, as the answer itself tells (`leftOut`). */
  onLeftOut?: (error: StoreError) => void;
}

/**
 * Opens the store in a folder. Any number of processes may have it open.
 * Throws StoreError.
 */
export async function openStore(folder: string, options: StoreOptions = {}): Promise<EmbeddedStore> {
  const { create = true, durability, checkBytes } = options;
  const file = StoreFile.open(folder, { create, noSync: durability === 'system' });
  try {
    if (checkBytes !== undefined) {
      const isAll = statSync(join(folder, STORE_FILE)).size <= checkBytes;
      for (const _ of file.checkedPages(isAll ? undefined : (name) => START_TABLES.has(name)));
    }
    return file.alone(() => new EmbeddedStore(file, folder, found(file, folder, create), options));
  } catch (error) {
    await file.close();
    throw isDamage(error) ? damaged(join(folder, STORE_FILE), error.message) : error;
  }
}

/** Tables that a start reads and writes; of the others it reads the first entry at most. */
const START_TABLES: ReadonlySet<string> = new Set(
  'meta sites admins tokens links sessions counters expiry options audit hour upkeep weights'.split(' '),
);

/** Furnishes a store that is new, and returns its secret. Throws StoreError where none is to be made. */
function found(file: StoreFile, folder: string, create: boolean): Buffer {
  const meta = file.root.openDB<number | Buffer, string>('meta', {});
  const sites = file.root.openDB<Site, string>('sites', {});
  if (meta.get('format') === undefined && !create)
    throw new StoreError('no-store', `the store in ${folder} is empty; start the server to initialize it`);
  if (meta.get('format') === undefined)
    file.write(() => {
      meta.putSync('format', FORMAT);
      meta.putSync('secret', randomBytes(32));
      const demo = demoSite(Date.now());
      sites.putSync(demo.key, demo);
    });
  const format = meta.get('format');
  if (format === FORMER_FORMAT && create) file.write(() => meta.putSync('format', FORMAT));
  if (format !== FORMAT && format !== FORMER_FORMAT)
    throw new StoreError('newer-store', `${folder} was written by a later version of Fieldmouse (format ${format})`);
  return Buffer.from(meta.get('secret') as Buffer);
}

const isSite = isRecord({
  key: isText,
  name: isText,
  origins: isList(isText),
  created: isNumber,
  firstSeen: (value) => value === null || isNumber(value),
});
const isEntry = isRecord({ at: isNumber, who: isText, what: isText, on: isText, from: isText, count: isNumber });
const isSession = isRecord({ name: isText, created: isNumber, lastSeen: isNumber, expires: isNumber, agent: isText });
const isAdmin: Check = (value) =>
  isRecord({ name: isText, created: isNumber })(value) && isRightful(value as Partial<Rights>);
const isToken: Check = (value) =>
  isRecord({ name: isText, hash: isText })(value) && isRightful(value as Partial<Rights>);

/**
 * Who has no role is an owner, since there once were no roles. Where the word `role` is damaged, a viewer must not become one: then
 * something else of the rights is there.
 */
function isRightful({ role, sites, ...rest }: Partial<Rights>): boolean {
  if (role === undefined) return sites === undefined && Object.keys(rest).every((name) => KEPT_FIELDS.has(name));
  return ROLES.includes(role) && (sites === null || isList(isText)(sites));
}

const KEPT_FIELDS = new Set(['name', 'password', 'created', 'lastUsed', 'hash']);

/** The page-visit counter's pages may take this share of the cap. */
const HITS_SHARE = 0.1;

interface Counter {
  count: number;
  expires: number;
}

type Perishable = 'links' | 'sessions' | 'counters';

export class EmbeddedStore implements Store {
  readonly archive: EmbeddedArchive;
  readonly #file: StoreFile;
  #secret: Buffer;
  readonly #meta: Database<string[] | number, string>;
  readonly #sites: Database<Site, string>;
  readonly #admins: Database<Stored<Admin>, string>;
  readonly #tokens: Database<StoredToken, string>;
  readonly #links: Database<Link, string>;
  readonly #sessions: Database<Stored<Session>, string>;
  readonly #counters: Database<Counter, string>;
  /** When to look at what may have expired: `[expires, table, key]`. One entry per record. */
  readonly #expiry: Database<true, [number, Perishable, string]>;
  /** Keyed hashes of the options of the last start. */
  readonly #options: Database<string, string>;
  readonly #audit: AuditTable;
  readonly #hits: HitTable;
  readonly #hour: HourTable;
  readonly #hitQueue = new HitQueue((groups) => this.#file.writeLater(() => this.#hits.add(groups)));
  #closed: Promise<void> | undefined;
  #onClose = () => {};

  /** To be called while the file is this process's alone: tables are made if need be. */
  constructor(file: StoreFile, folder: string, secret: Buffer, options: StoreOptions) {
    const { root } = file;
    const { maxBytes } = options;
    const onDamage = (what: string) => options.onDamage?.(damaged(join(folder, STORE_FILE), what));
    const at = <V, K extends Key = string>(name: string, value: Check, key: KeyShape = 'text') =>
      openTable<V, K>(root, name, { key, value, onDamage });
    const hits = at<number>('hits', isNumber);
    const entries = at<Entry, number>('audit', isEntry, 'number');
    this.#audit = new AuditTable(entries);
    this.archive = new EmbeddedArchive(file, folder, [hits, entries] as Database[], this.#audit, options);
    this.#file = file;
    this.#secret = secret;
    this.#meta = root.openDB('meta', {});
    this.#sites = at('sites', isSite);
    this.#admins = at('admins', isAdmin);
    this.#tokens = at('tokens', isToken);
    this.#links = at('links', isRecord({ name: isText, expires: isNumber }));
    this.#sessions = at('sessions', isSession);
    this.#counters = at('counters', isRecord({ count: isNumber, expires: isNumber }));
    this.#expiry = at('expiry', isAny, ['number', 'text', 'text']);
    this.#options = at('options', isText);
    const hasSite = (key: string) => this.#sites.doesExist(key);
    const hour = at<HourValue, HourKey>('hour', isList(isNumber, 2), ['text', 'number', 'text']);
    this.#hour = new HourTable(hour, (key) => key === NO_SITE || hasSite(key));
    this.#hits = new HitTable(hits, hasSite, () => maxBytes === undefined || bytesOf(hits) < HITS_SHARE * maxBytes);
  }

  async secret(): Promise<Buffer> {
    return this.#secret;
  }

  async id(): Promise<string> {
    return storeId(this.#secret);
  }

  async nextRun(): Promise<number> {
    return this.#file.write(() => {
      const run = ((this.#meta.get('runs') as number | undefined) ?? 0) + 1;
      this.#meta.putSync('runs', run);
      return run;
    });
  }

  async addresses(): Promise<string[]> {
    return this.#read(() => (this.#meta.get('addresses') as string[] | undefined) ?? []);
  }

  async noteAddresses(addresses: readonly string[]): Promise<void> {
    await this.#file.writeLater(() => void this.#meta.put('addresses', [...addresses]));
  }

  async machine(): Promise<string> {
    return MACHINE;
  }

  async putMinutes(machine: string, minutes: readonly SiteMinute[], now: number): Promise<void> {
    for (let i = 0; i < minutes.length; i += MINUTES_TOGETHER) {
      const some = minutes.slice(i, i + MINUTES_TOGETHER);
      await this.#file.writeLater(() => this.#hour.put(machine, some, now));
    }
  }

  async minutes(site: string, from: number): Promise<MachineMinutes[]> {
    return site === NO_SITE || SITE_KEY.test(site) ? this.#read(() => this.#hour.read(site, from)) : [];
  }

  async sites(): Promise<Site[]> {
    return this.#read(() => [...this.#sites.getRange().map(({ value }) => value)]);
  }

  async site(key: string): Promise<Site | undefined> {
    return this.#read(() => find(this.#sites, key));
  }

  async addSite(site: Site, note?: Note): Promise<boolean> {
    // What was counted for a site of this key that was removed is not the new one's.
    await this.#clearLostHits(site.key);
    return this.#file.writeLater(() => {
      if (this.#sites.doesExist(site.key)) return false;
      this.#sites.put(site.key, site);
      this.#audit.add(note);
      return true;
    });
  }

  changeSite(key: string, change: Pick<Site, 'name' | 'origins'>, note?: Note): Promise<Site | undefined> {
    return this.#file.writeLater(() => {
      const site = find(this.#sites, key);
      if (site === undefined) return undefined;
      const changed = { ...site, name: change.name, origins: change.origins };
      this.#sites.put(key, changed);
      this.#audit.add(note);
      return changed;
    });
  }

  async removeSite(key: string, now: number, note?: Note): Promise<boolean> {
    if ((await this.site(key)) === undefined) return false;
    // Its visitors are sent away within seconds, and may do something until then.
    await this.archive.dropSite(key, now + LEAVING_MS);
    const isRemoved = await this.#file.writeLater(() => {
      if (take(this.#sites, key) === undefined) return false;
      this.#hour.clear(key);
      this.#forbid(this.#admins, key);
      this.#forbid(this.#tokens, key);
      this.#audit.add(note);
      return true;
    });
    // Nothing is counted for it any more. If this is broken off, `clearLostHits` removes the rest.
    if (isRemoved) await this.#clearLostHits(key);
    return isRemoved;
  }

  /** Removes what was counted for a site that was removed, in pieces with pauses, in which others write. */
  async #clearLostHits(site: string): Promise<void> {
    const some = () => (this.#sites.doesExist(site) ? 0 : this.#hits.clearSome(site));
    await this.#inPieces(some);
  }

  /**
   * Does something in one write after the other until it returns 0, with pauses as long as the writes. The sum of what
   * it returned; undefined if the store was closed before.
   */
  async #inPieces(some: () => number): Promise<number | undefined> {
    for (let sum = 0; !this.#closed; ) {
      const begin = performance.now();
      const done = await this.#file.writeLater(some);
      if (done === 0) return sum;
      sum += done;
      await pauseAfter(performance.now() - begin);
    }
    return undefined;
  }

  /** Removes what was counted for sites that were removed, where the process that began with it was killed. */
  async clearLostHits(): Promise<void> {
    for (let site = this.#lostSite(); site !== undefined && !this.#closed; site = this.#lostSite())
      await this.#clearLostHits(site);
  }

  #lostSite(): string | undefined {
    return this.#read(() => this.#hits.lost());
  }

  /**
   * Within a write: takes a site out of all rights. That is one write, so that nobody has half of the rights; it is
   * bounded by how many administrators and tokens owners have added.
   */
  #forbid<T extends Partial<Rights>>(db: Database<T, string>, site: string): void {
    for (const { key, value } of [...db.getRange()]) {
      const without = withoutSite(value, site);
      if (without) db.put(key, without);
    }
  }

  /** Within a write: rights as they are kept. */
  #known(rights: Rights): Rights {
    return knownRights(rights, (key) => find(this.#sites, key) !== undefined);
  }

  async markSeen(key: string, now: number): Promise<void> {
    const isDue = (site: Site | undefined) => site !== undefined && site.firstSeen === null;
    if (!isDue(await this.site(key))) return;
    await this.#file.writeLater(() => {
      const site = this.#sites.get(key);
      if (site !== undefined && isDue(site)) this.#sites.put(key, { ...site, firstSeen: now });
    });
  }

  async admins(): Promise<Admin[]> {
    return this.#read(() => [...this.#admins.getRange().map(({ value }) => withRights(value))]);
  }

  async admin(name: string): Promise<Admin | undefined> {
    const admin = this.#read(() => find(this.#admins, name));
    return admin && withRights(admin);
  }

  addAdmin(name: string, now: number, rights: Rights = OWNER, note?: Note): Promise<boolean> {
    return this.#file.writeLater(() => {
      if (this.#admins.doesExist(name)) return false;
      this.#admins.put(name, { name, password: null, created: now, ...this.#known(rights) });
      this.#audit.add(note);
      return true;
    });
  }

  setRights(name: string, rights: Rights, note?: Note): Promise<AdminOutcome> {
    return this.#file.writeLater(() => {
      const admin = find(this.#admins, name);
      if (admin === undefined) return 'unknown';
      if (rights.role !== 'owner' && this.#isLastOwner(admin)) return 'last-owner';
      this.#admins.put(name, { ...admin, ...this.#known(rights) });
      this.#audit.add(note);
      return 'done';
    });
  }

  #isLastOwner(admin: Stored<Admin>): boolean {
    return isLastOwner(
      admin,
      this.#admins.getRange().map(({ value }) => value),
    );
  }

  removeAdmin(name: string, note?: Note): Promise<AdminOutcome> {
    return this.#file.writeLater(() => {
      const admin = find(this.#admins, name);
      if (admin === undefined) return 'unknown';
      if (this.#isLastOwner(admin)) return 'last-owner';
      this.#admins.remove(name);
      for (const { key, value } of [...this.#links.getRange()]) if (value.name === name) this.#links.remove(key);
      this.#dropSessions(name, undefined);
      this.#audit.add(note);
      return 'done';
    });
  }

  setPassword(name: string, password: string | null, note?: Note): Promise<boolean> {
    return this.#file.writeLater(() => {
      const admin = find(this.#admins, name);
      if (admin === undefined) return false;
      this.#admins.put(name, { ...admin, password });
      this.#audit.add(note);
      return true;
    });
  }

  addLink(name: string, now: number, note?: Note): Promise<string | undefined> {
    const secret = newSecret();
    return this.#file.writeLater(() => {
      if (find(this.#admins, name) === undefined) return undefined;
      this.#keep('links', this.#links, hashSecret(secret), { name, expires: now + LINK.lifetime }, now);
      this.#audit.add(note);
      return secret;
    });
  }

  takeLink(secret: string, now: number): Promise<string | undefined> {
    return this.#file.writeLater(() => {
      const link = take(this.#links, hashSecret(secret));
      if (link === undefined || link.expires <= now) return undefined;
      return link.name;
    });
  }

  addSession(
    name: string,
    agent: string,
    now: number,
    note?: Note,
  ): Promise<{ secret: string; session: Session } | undefined> {
    const secret = newSecret();
    const id = hashSecret(secret);
    return this.#file.writeLater(() => {
      if (find(this.#admins, name) === undefined) return undefined;
      const all = this.#sessions.getRange().map(({ key, value }) => [key, value] as const);
      for (const old of surplus(name, all)) this.#sessions.remove(old);
      const record = newSession(name, agent, now);
      this.#keep('sessions', this.#sessions, id, record, now);
      this.#audit.add(note);
      return { secret, session: { id, ...record } };
    });
  }

  sessionId(secret: string): string {
    return hashSecret(secret);
  }

  async session(secret: string, now: number): Promise<Session | undefined> {
    const id = this.sessionId(secret);
    const record = this.#read(() => this.#sessions.get(id));
    if (record === undefined || record.expires <= now) return undefined;
    if (now - record.lastSeen < SESSION.coarse) return { id, ...record };
    const slid = this.#file.writeLater(() => {
      const current = this.#sessions.get(id);
      if (current === undefined) return undefined;
      const later = seenNow(current, now);
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

  removeSession(id: string, note?: Note): Promise<boolean> {
    return this.#file.writeLater(() => this.#remove(this.#sessions, id, note));
  }

  removeSessions(name: string, except: string | undefined): Promise<void> {
    return this.#file.writeLater(() => this.#dropSessions(name, except));
  }

  #dropSessions(name: string, except: string | undefined): void {
    for (const { key, value } of [...this.#sessions.getRange()])
      if (value.name === name && key !== except) this.#sessions.remove(key);
  }

  addToken(name: string, now: number, rights: Rights = OWNER, note?: Note): Promise<{ secret: string; token: Token }> {
    const { id, secret } = newToken();
    return this.#file.writeLater(() => {
      const token = { name, created: now, lastUsed: null, ...this.#known(rights) };
      this.#tokens.put(id, { ...token, hash: hashSecret(secret) });
      this.#audit.add(note);
      return { secret, token: { id, ...token } };
    });
  }

  async token(secret: string, now: number): Promise<Token | undefined> {
    const id = tokenId(secret);
    const record = id === undefined ? undefined : this.#read(() => this.#tokens.get(id));
    if (id === undefined || record === undefined || !sameHash(record.hash, hashSecret(secret))) return undefined;
    if (record.lastUsed === null || now - record.lastUsed >= TOKEN.coarse)
      // As with sessions: a full disk is no reason to refuse.
      await this.#file
        .writeLater(() => {
          const current = this.#tokens.get(id);
          if (current !== undefined) this.#tokens.put(id, { ...current, lastUsed: now });
        })
        .catch(() => {});
    return { ...tokenOf(id, record), lastUsed: now };
  }

  async tokens(): Promise<Token[]> {
    return this.#read(() => [...this.#tokens.getRange().map(({ key, value }) => tokenOf(key, value))]);
  }

  removeToken(id: string, note?: Note): Promise<boolean> {
    return this.#file.writeLater(() => this.#remove(this.#tokens, id, note));
  }

  /** Within a write. */
  #remove<T>(db: Database<T, string>, key: string, note: Note | undefined): boolean {
    if (take(db, key) === undefined) return false;
    this.#audit.add(note);
    return true;
  }

  async rights(credential: Credential, now: number): Promise<Rights | undefined> {
    if (credential === 'env') return OWNER;
    const [kind, id = ''] = credential.split(':', 2);
    const holder = this.#read(() => {
      if (kind === 'session') return this.#adminOf(id, now);
      return kind === 'token' ? find(this.#tokens, id) : undefined;
    });
    return holder && rightsOf(holder);
  }

  #adminOf(id: string, now: number): Stored<Admin> | undefined {
    const session = find(this.#sessions, id);
    return session !== undefined && session.expires > now ? find(this.#admins, session.name) : undefined;
  }

  countAttempt(attempts: readonly Attempt[], now: number): Promise<number> {
    const counted = this.#counted(attempts);
    return this.#file.writeLater(() => {
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
    return this.#file.writeLater(() => {
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

  hit(site: string, page: string): Promise<HitOutcome> {
    return this.#hitQueue.hit(site, page);
  }

  async allHits(): Promise<HitGroup[]> {
    return this.#read(() => [...this.#hits.all()].filter(({ site }) => this.#sites.doesExist(site)));
  }

  async removeHits(site: string, page: string | undefined, note?: Note): Promise<number> {
    let isNoted = false;
    const removed = (count: number) => {
      if (count > 0 && !isNoted) this.#audit.add(note);
      isNoted ||= count > 0;
      return count;
    };
    if (page !== undefined) return this.#file.writeLater(() => removed(this.#hits.remove(site, page)));
    // Pages that are counted meanwhile would keep it going.
    let left = this.#read(() => this.#hits.pages(site));
    const all = await this.#inPieces(() => {
      const count = left > 0 ? removed(this.#hits.clearSome(site)) : 0;
      left -= count;
      return count;
    });
    if (all === undefined) throw new StoreError('busy', 'not all totals are removed yet; remove them again');
    return all;
  }

  note(note: Note): Promise<void> {
    return this.#file.writeLater(() => this.#audit.add(note));
  }

  /** Blocks until it is on disk: a process told to end hangs while LMDB has a write of it under way. */
  async noteNow(note: Note): Promise<void> {
    this.archive.checkDisk();
    this.#file.write(() => this.#audit.add(note));
  }

  async audit(query: AuditQuery): Promise<Part<Entry>> {
    return this.#read(() => this.#audit.read(query));
  }

  noteOptions(options: Readonly<Record<string, unknown>>, now: number): Promise<void> {
    const hashes = hashOptions(this.#secret, options);
    return this.#file.writeLater(() => {
      const changed = changedOptions(hashes, (name) => this.#options.get(name));
      for (const [name, hash] of hashes) this.#options.put(name, hash);
      if (changed.length > 0)
        this.#audit.add({ at: now, who: ACTOR.server, what: 'options-changed', on: changed.join(', ') });
    });
  }

  async hits(site: string, page: string): Promise<number> {
    if (!isPage(page) || !SITE_KEY.test(site)) return 0;
    return this.#read(() => (this.#sites.doesExist(site) ? this.#hits.total(site, page) : 0));
  }

  /**
   * Adds lists of groups, as `HitQueue` has them. They are asked for when nobody else can write any more, so that what has come
   * meanwhile is among them. It blocks until all is on disk: to be called where that holds nobody up.
   */
  addHits(lists: () => readonly (readonly HitGroup[])[]): HitOutcome[][] {
    return this.#file.write(() => lists().map((groups) => this.#hits.add(groups)));
  }

  async accountSnapshot(): Promise<AccountSnapshot> {
    const rows = <T>(table: Database<T, string>) =>
      this.#read(() => [...table.getRange()].map(({ key, value }): [string, T] => [key, value]));
    const [sites, hits, trail] = [await this.sites(), await this.allHits(), await trailOf(this)];
    const people = { admins: rows(this.#admins), tokens: rows(this.#tokens), sessions: rows(this.#sessions) };
    return { secret: this.#secret, sites, ...people, trail, hits };
  }

  async adopt(snapshot: AccountSnapshot): Promise<boolean> {
    if (this.#secret.equals(snapshot.secret)) return true;
    if ((await this.archive.sites()).length > 0) return false;
    return this.#file.writeLater(() => {
      if (this.#admins.getKeysCount() > 0) return false;
      this.#replace(snapshot);
      return true;
    });
  }

  /** Within a write. */
  #replace({ secret, sites, admins, tokens, sessions, trail, hits }: AccountSnapshot): void {
    this.#file.root.openDB<Buffer, string>('meta', {}).put('secret', secret);
    this.#secret = secret;
    for (const key of [...this.#sites.getKeys()]) this.#sites.remove(key);
    for (const site of sites) this.#sites.put(site.key, site);
    for (const [name, admin] of admins) this.#admins.put(name, admin);
    for (const [id, token] of tokens) this.#tokens.put(id, token);
    for (const [id, session] of sessions) this.#keep('sessions', this.#sessions, id, session, 0);
    this.#audit.replace(trail);
    this.#hits.replace(hits);
  }

  /** Throws StoreError `moved` if the file is not in its place any more. */
  checkInPlace(): void {
    this.#file.checkInPlace();
  }

  /** Tells its file from all others, also from its copies. */
  get identity(): string | undefined {
    return this.#file.identity;
  }

  /** Has something done when it is closed. */
  onClose(stop: () => void): void {
    this.#onClose = stop;
  }

  close(): Promise<void> {
    this.#onClose();
    this.archive.close();
    this.#closed ??= this.#file.close();
    return this.#closed;
  }

  /** lmdb keeps a snapshot for about a millisecond, and a revoked token would open doors for so long. */
  #read<T>(look: () => T): T {
    this.#file.root.resetReadTxn();
    return look();
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
