/**
 * The store of several machines: Redis. Reads go there each time, since nothing that is remembered here would see what another
 * machine wrote. A change reads the number of commits, then what it goes by, decides, and is committed if the number is
 * still the same; otherwise it is decided anew. All keys are on one node of a cluster, so that a change and its note are one commit.
 *
 * What a promise here resolved for is in Redis; whether it outlives that is for Redis' own persistence (persistence.ts).
 */
import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from '../../log/logger.ts';
import type { Session, Token } from '../../model/account.ts';
import { ACTOR, type AuditQuery, type Entry, type Note } from '../../model/audit.ts';
import { isPage } from '../../model/page.ts';
import type { Part } from '../../model/query.ts';
import { OWNER, type Rights, rightsOf } from '../../model/rights.ts';
import { SITE_KEY, type Site } from '../../model/site.ts';
import type { TroubleName } from '../../protocol/ipc.ts';
import { type MachineMinutes, NO_SITE, type SiteMinute } from '../../protocol/peer.ts';
import { Redis, scriptOf } from '../../redis/connection.ts';
import { commonKey } from '../../redis/keys.ts';
import { type Target, targetText } from '../../redis/redis-url.ts';
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
import { hashSecret, newSecret, newToken, sameHash, storeId, tokenId } from '../accounts/secret.ts';
import { type AdminOutcome, type Attempt, type Credential, LINK, type Store, StoreError, TOKEN } from '../contract.ts';
import { type HitOutcome, HitQueue } from '../hit-queue.ts';
import { Changes, type Work } from './changes.ts';
import { Attempts, addHits, hitsKey, readHits, writeHits } from './counters.ts';
import { checkFor, META_KEY } from './identity.ts';
import { MachineFile } from './machine-file.ts';
import { Outage } from './outage.ts';
import { checkPersistence, watchEviction } from './persistence.ts';
import { partsOf } from './record/record-site.ts';
import { RedisArchive } from './redis-archive.ts';
import { hourKey, putHour, readHour } from './redis-minutes.ts';
import { asStore } from './redis-store-error.ts';
import { readTrail, trailCommands } from './redis-trail.ts';
import { type Draft, readAll, readOne, type TableName, VERSION_KEY } from './transaction.ts';
import { Troubles } from './trouble-log.ts';

/** Raised when a later version can no longer be read by an earlier one. */
const FORMAT = '2';
/** What this version reads as well; a server raises it. Format 1 has no places of clicks: see record/aggregator.ts. */
const FORMER_FORMAT = '1';
/** Bytes of a machine's name, and what names are. */
const NAME_BYTES = 9;
const NAME = /^[\w-]{1,64}$/;
/** Writes of the page-visit counter that may be under way at once: each is a way there and back. */
const HIT_WRITES = 8;
/** Sites whose totals are read at once. */
const HIT_READS = 50;
/** Changes that are under way when it is closed are waited for so long, milliseconds. */
const CLOSE_MS = 1000;

export interface RedisStoreOptions {
  /** The record takes nothing beyond so many bytes. */
  maxBytes?: number;
  /** So many replicas must have what is acked, too. */
  replicas?: number;
  /** The data folder of this machine. */
  folder: string;
  /** Is told when Redis does not answer any more, and when it does again. */
  log?: Logger;
  /** Make a store where there is none; true unless said otherwise. */
  create?: boolean;
  /** Refuse a Redis that may throw away what it was given, and say in the log what an ack stands for. */
  isServer?: boolean;
  /** Refuse a Redis that keeps its data in memory only. */
  requirePersistence?: boolean;
  /** Open this store and no other; an empty Redis is left empty. */
  id?: string;
  /** Is told what keeps the store from working as it should, each time that changes. */
  onTrouble?(troubles: readonly TroubleName[]): void;
}

/** Opens the store in Redis, which is furnished if need be. Any number of processes may have it open. Throws StoreError. */
export function openRedisStore(target: Target, options: RedisStoreOptions): Promise<RedisStore> {
  return asStore(open(target, options));
}

async function open(target: Target, options: RedisStoreOptions): Promise<RedisStore> {
  const { log, isServer, id, create = true, replicas = 0, requirePersistence = false } = options;
  const troubles = new Troubles(options.onTrouble);
  const outage = new Outage(log, (reason) => troubles.set('outage', reason));
  const redis = await Redis.connect(target, { onState: (error) => outage.tell(error) });
  try {
    if (isServer) await checkPersistence(redis, log, { replicas, requirePersistence });
    const where = targetText(target);
    const ids = new Set(id === undefined ? [] : [id]);
    if (id !== undefined) await redis.guard(checkFor(where, ids));
    const secret = await found(redis, where, create);
    ids.add(storeId(secret));
    if (id === undefined) await redis.guard(checkFor(where, ids));
    const store = new RedisStore(redis, secret, ids, options);
    if (isServer) store.compareWithLastStart(where, log);
    if (isServer)
      store.onClose(watchEviction(redis, log, (isEvicting) => troubles.set('eviction', isEvicting && 'redis-evicts')));
    return store;
  } catch (error) {
    await redis.close();
    throw error;
  }
}

/** Furnishes a store that is new, and returns its secret. */
async function found(redis: Redis, where: string, create: boolean): Promise<Buffer> {
  const demo = demoSite(Date.now());
  // Not zero where it was emptied while servers were on it that have written since.
  const version = (await redis.send<string | null>(VERSION_KEY, 'GET', VERSION_KEY)) ?? '0';
  const [format, secret] = await redis.send<(string | null)[]>(META_KEY, 'HMGET', META_KEY, 'format', 'secret');
  if (format === FORMER_FORMAT && secret && create)
    await redis.commit(VERSION_KEY, version, [['HSET', META_KEY, 'format', FORMAT]]);
  if ((format === FORMAT || format === FORMER_FORMAT) && secret) return Buffer.from(secret, 'base64url');
  if (format)
    throw new StoreError(
      'newer-store',
      `Redis at ${where} was written by a later version of Fieldmouse (format ${format})`,
    );
  if (!create)
    throw new StoreError(
      'no-store',
      `there is no store in Redis at ${where}; start a server with --redis to create one, or set another Redis`,
    );
  // Others may start at the same time: one of them comes first.
  await redis.commit(VERSION_KEY, version, [
    ['HSET', META_KEY, 'format', FORMAT, 'secret', randomBytes(32).toString('base64url')],
    ['HSET', commonKey('sites'), demo.key, JSON.stringify(demo)],
  ]);
  return found(redis, where, create);
}

export class RedisStore implements Store {
  readonly archive: RedisArchive;
  readonly #redis: Redis;
  #secret: Buffer;
  readonly #machine: MachineFile;
  readonly #changes: Changes;
  readonly #attempts: Attempts;
  readonly #hitQueue = new HitQueue((groups) => this.#addHits(groups), HIT_WRITES);
  /** Ids of the stores that may be worked with: one, and while another is adopted that as well. */
  readonly #ids: Set<string>;
  #stopWatching = () => {};
  #closed: Promise<void> | undefined;

  constructor(redis: Redis, secret: Buffer, ids: Set<string>, { maxBytes, replicas, folder }: RedisStoreOptions) {
    this.#redis = redis;
    this.#secret = secret;
    this.#ids = ids;
    this.#machine = new MachineFile(folder);
    this.#changes = new Changes(redis);
    this.#attempts = new Attempts(redis, secret);
    this.archive = new RedisArchive(redis, {
      ...(maxBytes !== undefined && { maxBytes }),
      ...(replicas !== undefined && { replicas }),
      addNote: (note) => this.note(note),
    });
  }

  async secret(): Promise<Buffer> {
    return this.#secret;
  }

  async id(): Promise<string> {
    return storeId(this.#secret);
  }

  nextRun(): Promise<number> {
    return asStore(this.#redis.send<number>(META_KEY, 'HINCRBY', META_KEY, 'runs', '1'));
  }

  /** Says in the log if this machine's server last ran on another store, and remembers this one. */
  compareWithLastStart(where: string, log: Logger | undefined): void {
    const [id, { store: last }] = [storeId(this.#secret), this.#machine.read()];
    if (last !== undefined && last !== id)
      log?.warn(
        { store: id, last },

        `Redis at ${where} holds another store than at the last start, without the sites, administrators and ` +
          'record of the earlier one',
      );
    if (last !== id) this.#machine.change({ store: id });
  }

  /** Has something done when it is closed. */
  onClose(stop: () => void): void {
    this.#stopWatching = stop;
  }

  async addresses(): Promise<string[]> {
    return [...this.#machine.read().addresses];
  }

  async noteAddresses(addresses: readonly string[]): Promise<void> {
    this.#machine.change({ addresses });
  }

  async machine(): Promise<string> {
    const { name } = this.#machine.read();
    if (name !== undefined && NAME.test(name)) return name;
    const made = randomBytes(NAME_BYTES).toString('base64url');
    this.#machine.change({ name: made });
    return made;
  }

  async putMinutes(machine: string, minutes: readonly SiteMinute[], now: number): Promise<void> {
    const sites = new Set([NO_SITE, ...(await this.#all('sites')).map(([key]) => key)]);
    const known = minutes.filter(({ site }) => sites.has(site));
    await asStore(putHour(this.#redis, machine, known, now));
  }

  async minutes(site: string, from: number): Promise<MachineMinutes[]> {
    return site === NO_SITE || SITE_KEY.test(site) ? asStore(readHour(this.#redis, site, from)) : [];
  }

  async sites(): Promise<Site[]> {
    return (await this.#all<Site>('sites')).map(([, site]) => site);
  }

  site(key: string): Promise<Site | undefined> {
    return this.#one('sites', key);
  }

  addSite(site: Site, note?: Note): Promise<boolean> {
    return this.#change(async (draft) => {
      const sites = draft.table<Site>('sites');
      if ((await sites.get(site.key)) !== undefined) return false;
      sites.put(site.key, site);
      await draft.note(note);
      return true;
    });
  }

  changeSite(key: string, change: Pick<Site, 'name' | 'origins'>, note?: Note): Promise<Site | undefined> {
    return this.#change(async (draft) => {
      const sites = draft.table<Site>('sites');
      const site = await sites.get(key);
      if (site === undefined) return undefined;
      const changed = { ...site, name: change.name, origins: change.origins };
      sites.put(key, changed);
      await draft.note(note);
      return changed;
    });
  }

  async removeSite(key: string, now: number, note?: Note): Promise<boolean> {
    if ((await this.site(key)) === undefined) return false;
    // Its visitors are sent away within seconds, and may do something until then.
    await this.archive.dropSite(key, now + LEAVING_MS);
    const isRemoved = await this.#release(async (draft) => {
      const sites = draft.table<Site>('sites');
      if ((await sites.get(key)) === undefined) return false;
      sites.remove(key);
      draft.command('UNLINK', hitsKey(key));
      for (const name of ['admins', 'tokens'] as const) await forbid(draft, name, key);
      await draft.note(note);
      return true;
    });
    // It may be on another node, and goes by itself in any case.
    if (isRemoved) await this.#redis.send(hourKey(key), 'UNLINK', hourKey(key)).catch(() => {});
    return isRemoved;
  }

  async markSeen(key: string, now: number): Promise<void> {
    const isDue = (site: Site | undefined) => site !== undefined && site.firstSeen === null;
    if (!isDue(await this.site(key))) return;
    await this.#change(async (draft) => {
      const sites = draft.table<Site>('sites');
      const site = await sites.get(key);
      if (site !== undefined && isDue(site)) sites.put(key, { ...site, firstSeen: now });
    });
  }

  async admins(): Promise<Admin[]> {
    return (await this.#all<Stored<Admin>>('admins')).map(([, admin]) => withRights(admin));
  }

  async admin(name: string): Promise<Admin | undefined> {
    const admin = await this.#one<Stored<Admin>>('admins', name);
    return admin && withRights(admin);
  }

  addAdmin(name: string, now: number, rights: Rights = OWNER, note?: Note): Promise<boolean> {
    return this.#change(async (draft) => {
      const admins = draft.table<Stored<Admin>>('admins');
      if ((await admins.get(name)) !== undefined) return false;
      admins.put(name, { name, password: null, created: now, ...(await known(draft, rights)) });
      await draft.note(note);
      return true;
    });
  }

  setRights(name: string, rights: Rights, note?: Note): Promise<AdminOutcome> {
    return this.#change(async (draft) => {
      const admins = draft.table<Stored<Admin>>('admins');
      const admin = await admins.get(name);
      if (admin === undefined) return 'unknown';
      if (rights.role !== 'owner' && (await isLast(draft, admin))) return 'last-owner';
      admins.put(name, { ...admin, ...(await known(draft, rights)) });
      await draft.note(note);
      return 'done';
    });
  }

  removeAdmin(name: string, note?: Note): Promise<AdminOutcome> {
    return this.#release(async (draft) => {
      const admins = draft.table<Stored<Admin>>('admins');
      const admin = await admins.get(name);
      if (admin === undefined) return 'unknown';
      if (await isLast(draft, admin)) return 'last-owner';
      admins.remove(name);
      const links = draft.table<Link>('links');
      for (const [id, link] of await links.all()) if (link.name === name) links.remove(id);
      await dropSessions(draft, name, undefined);
      await draft.note(note);
      return 'done';
    });
  }

  setPassword(name: string, password: string | null, note?: Note): Promise<boolean> {
    return this.#change(async (draft) => {
      const admins = draft.table<Stored<Admin>>('admins');
      const admin = await admins.get(name);
      if (admin === undefined) return false;
      admins.put(name, { ...admin, password });
      await draft.note(note);
      return true;
    });
  }

  addLink(name: string, now: number, note?: Note): Promise<string | undefined> {
    const secret = newSecret();
    return this.#change(async (draft) => {
      const [admin] = await Promise.all([
        draft.table('admins').get(name),
        sweep(draft, 'links', now),
        draft.prepareNote(),
      ]);
      if (admin === undefined) return undefined;
      draft.table<Link>('links').put(hashSecret(secret), { name, expires: now + LINK.lifetime });
      await draft.note(note);
      return secret;
    });
  }

  takeLink(secret: string, now: number): Promise<string | undefined> {
    return this.#release(async (draft) => {
      const links = draft.table<Link>('links');
      const link = await links.get(hashSecret(secret));
      if (link === undefined) return undefined;
      links.remove(hashSecret(secret));
      return link.expires > now ? link.name : undefined;
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
    return this.#change(async (draft) => {
      const [admin] = await Promise.all([
        draft.table('admins').get(name),
        sweep(draft, 'sessions', now),
        draft.prepareNote(),
      ]);
      if (admin === undefined) return undefined;
      const sessions = draft.table<Stored<Session>>('sessions');
      for (const old of surplus(name, await sessions.all())) sessions.remove(old);
      const record = newSession(name, agent, now);
      sessions.put(id, record);
      await draft.note(note);
      return { secret, session: { id, ...record } };
    });
  }

  sessionId(secret: string): string {
    return hashSecret(secret);
  }

  async session(secret: string, now: number): Promise<Session | undefined> {
    const id = this.sessionId(secret);
    const record = await this.#one<Stored<Session>>('sessions', id);
    if (record === undefined || record.expires <= now) return undefined;
    if (now - record.lastSeen < SESSION.coarse) return { id, ...record };
    // Nobody waits for it: Redis may be far away. One that is full must not sign people out.
    this.#noteSeen(id, now).catch(() => {});
    return { id, ...seenNow(record, now) };
  }

  #noteSeen(id: string, now: number): Promise<void> {
    return this.#change(async (draft) => {
      const sessions = draft.table<Stored<Session>>('sessions');
      const current = await sessions.get(id);
      if (current !== undefined && now - current.lastSeen >= SESSION.coarse) sessions.put(id, seenNow(current, now));
    });
  }

  async sessions(now: number): Promise<Session[]> {
    const all = await this.#all<Stored<Session>>('sessions');
    return all.map(([id, session]) => ({ id, ...session })).filter(({ expires }) => expires > now);
  }

  removeSession(id: string, note?: Note): Promise<boolean> {
    return this.#remove('sessions', id, note);
  }

  removeSessions(name: string, except: string | undefined): Promise<void> {
    return this.#release((draft) => dropSessions(draft, name, except));
  }

  addToken(name: string, now: number, rights: Rights = OWNER, note?: Note): Promise<{ secret: string; token: Token }> {
    const { id, secret } = newToken();
    return this.#change(async (draft) => {
      const token = { name, created: now, lastUsed: null, ...(await known(draft, rights)) };
      draft.table<StoredToken>('tokens').put(id, { ...token, hash: hashSecret(secret) });
      await draft.note(note);
      return { secret, token: { id, ...token } };
    });
  }

  async token(secret: string, now: number): Promise<Token | undefined> {
    const id = tokenId(secret);
    const record = id === undefined ? undefined : await this.#one<StoredToken>('tokens', id);
    if (id === undefined || record === undefined || !sameHash(record.hash, hashSecret(secret))) return undefined;
    if (record.lastUsed === null || now - record.lastUsed >= TOKEN.coarse)
      // As with sessions.
      this.#noteUse(id, now).catch(() => {});
    return { ...tokenOf(id, record), lastUsed: now };
  }

  #noteUse(id: string, now: number): Promise<void> {
    return this.#change(async (draft) => {
      const tokens = draft.table<StoredToken>('tokens');
      const current = await tokens.get(id);
      const isDue = current !== undefined && (current.lastUsed === null || now - current.lastUsed >= TOKEN.coarse);
      if (isDue) tokens.put(id, { ...current, lastUsed: now });
    });
  }

  async tokens(): Promise<Token[]> {
    return (await this.#all<StoredToken>('tokens')).map(([id, token]) => tokenOf(id, token));
  }

  removeToken(id: string, note?: Note): Promise<boolean> {
    return this.#remove('tokens', id, note);
  }

  #remove(name: TableName, field: string, note: Note | undefined): Promise<boolean> {
    return this.#release(async (draft) => {
      const table = draft.table(name);
      if ((await table.get(field)) === undefined) return false;
      table.remove(field);
      await draft.note(note);
      return true;
    });
  }

  async rights(credential: Credential, now: number): Promise<Rights | undefined> {
    if (credential === 'env') return OWNER;
    const [kind, id = ''] = credential.split(':', 2);
    if (kind === 'session') return this.#rightsOfSession(id, now);
    const token = kind === 'token' ? await this.#one<StoredToken>('tokens', id) : undefined;
    return token && rightsOf(token);
  }

  async #rightsOfSession(id: string, now: number): Promise<Rights | undefined> {
    const asked = readSessionOf(this.#redis, id);
    const [session, admin] = await asStore(asked);
    if (session === undefined || admin === undefined) await this.#verify();
    return session && admin && session.expires > now ? rightsOf(admin) : undefined;
  }

  countAttempt(attempts: readonly Attempt[], now: number): Promise<number> {
    return asStore(this.#attempts.count(attempts, now));
  }

  forgiveAttempt(attempts: readonly Attempt[], now: number): Promise<void> {
    return asStore(this.#attempts.forgive(attempts, now));
  }

  hit(site: string, page: string): Promise<HitOutcome> {
    return this.#hitQueue.hit(site, page);
  }

  async #addHits(groups: readonly HitGroup[]): Promise<HitOutcome[]> {
    const outcomes = await asStore(addHits(this.#redis, groups));
    if (outcomes.includes('unknown-site')) await this.#verify();
    return outcomes;
  }

  async hits(site: string, page: string): Promise<number> {
    if (!isPage(page) || !SITE_KEY.test(site)) return 0;
    return (await asStore(readOne<number>(this.#redis, hitsKey(site), page))) ?? 0;
  }

  async allHits(): Promise<HitGroup[]> {
    const all: HitGroup[] = [];
    for (const some of partsOf(await this.sites(), HIT_READS))
      all.push(...(await asStore(Promise.all(some.map(({ key }) => readHits(this.#redis, key))))).flat());
    return all;
  }

  removeHits(site: string, page: string | undefined, note?: Note): Promise<number> {
    const key = hitsKey(site);
    return this.#release(async (draft) => {
      const removed =
        page === undefined
          ? await this.#redis.send<number>(key, 'HLEN', key)
          : await this.#redis.send<number>(key, 'HEXISTS', key, page);
      if (removed === 0) return 0;
      if (page === undefined) draft.command('UNLINK', key);
      else draft.command('HDEL', key, page);
      await draft.note(note);
      return removed;
    });
  }

  note(note: Note): Promise<void> {
    return this.#change((draft) => draft.note(note));
  }

  noteNow(note: Note): Promise<void> {
    return this.note(note);
  }

  audit(query: AuditQuery): Promise<Part<Entry>> {
    return asStore(readTrail(this.#redis, query));
  }

  async noteOptions(options: Readonly<Record<string, unknown>>, now: number): Promise<void> {
    const hashes = hashOptions(this.#secret, options);
    const before = new Map(Object.entries(this.#machine.read().options));
    const changed = changedOptions(hashes, (name) => before.get(name));
    if (changed.length > 0)
      await this.note({ at: now, who: ACTOR.server, what: 'options-changed', on: changed.join(', ') });
    this.#machine.change({ options: Object.fromEntries([...before, ...hashes]) });
  }

  async accountSnapshot(): Promise<AccountSnapshot> {
    const [sites, hits, trail] = [await this.sites(), await this.allHits(), await trailOf(this)];
    const admins = await this.#all<Stored<Admin>>('admins');
    const tokens = await this.#all<StoredToken>('tokens');
    const sessions = await this.#all<Stored<Session>>('sessions');
    return { secret: this.#secret, sites, admins, tokens, sessions, trail, hits };
  }

  async adopt(snapshot: AccountSnapshot): Promise<boolean> {
    if (this.#secret.equals(snapshot.secret)) return true;
    if ((await this.admins()).length > 0 || (await this.archive.sites()).length > 0) return false;
    // There may be more than fit into one step; before it, so that they are there whenever the rest is.
    await asStore(writeHits(this.#redis, snapshot.hits));
    return this.#change((draft) => this.#replace(draft, snapshot));
  }

  async #replace(draft: Draft, { secret, sites, admins, tokens, sessions, trail }: AccountSnapshot): Promise<boolean> {
    const [own, people] = [draft.table<Site>('sites'), draft.table<Stored<Admin>>('admins')];
    if ((await people.all()).length > 0) return false;
    for (const [key] of await own.all()) own.remove(key);
    for (const site of sites) own.put(site.key, site);
    for (const [name, admin] of admins) people.put(name, admin);
    for (const [id, token] of tokens) draft.table<StoredToken>('tokens').put(id, token);
    for (const [id, session] of sessions) draft.table<Stored<Session>>('sessions').put(id, session);
    for (const command of trailCommands(trail)) draft.command(...command);
    draft.command('HSET', META_KEY, 'secret', secret.toString('base64url'));
    this.#ids.add(storeId(secret));
    this.#secret = secret;
    return true;
  }

  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  /** A server that stops does not wait for a Redis that holds still. */
  async #close(): Promise<void> {
    this.#stopWatching();
    await Promise.race([this.#changes.settled(), sleep(CLOSE_MS, undefined, { ref: false })]);
    await this.archive.close();
    await this.#redis.close();
  }

  #change<T>(work: Work<T>): Promise<T> {
    return this.#changes.make(work);
  }

  /** Makes a change that makes room, also where there is none. */
  #release<T>(work: Work<T>): Promise<T> {
    return this.#changes.make(work, true);
  }

  async #one<T>(table: TableName, field: string): Promise<T | undefined> {
    const found = await asStore(readOne<T>(this.#redis, commonKey(table), field));
    if (found === undefined) await this.#verify();
    return found;
  }

  async #all<T>(table: TableName): Promise<[field: string, value: T][]> {
    const found = await asStore(readAll<T>(this.#redis, commonKey(table)));
    if (found.length === 0) await this.#verify();
    return found;
  }

  /** What is missing may be missing since Redis lost it. Throws StoreError then. */
  #verify(): Promise<void> {
    return asStore(this.#redis.verify());
  }
}

/** A session, and the administrator whose it is, in one round trip. ARGV: the key of administrators, the session's id. */
const SESSION_OF = scriptOf(
  `
local session = redis.call('HGET', KEYS[1], ARGV[2])
if not session then return {} end
local name = cjson.decode(session).name
return { session, name and redis.call('HGET', ARGV[1], name) }
`,
  'no-writes',
);

async function readSessionOf(redis: Redis, id: string): Promise<[session?: Stored<Session>, admin?: Stored<Admin>]> {
  const found = await redis.run<(string | null)[]>(SESSION_OF, commonKey('sessions'), [commonKey('admins'), id]);
  return found.map((text) => (text === null ? undefined : JSON.parse(text))) as [Stored<Session>, Stored<Admin>];
}

/** Takes a site out of all rights of a table. */
async function forbid(draft: Draft, name: 'admins' | 'tokens', site: string): Promise<void> {
  const table = draft.table<Partial<Rights>>(name);
  for (const [field, value] of await table.all()) {
    const without = withoutSite(value, site);
    if (without) table.put(field, without);
  }
}

/** Rights as they are kept. */
async function known(draft: Draft, rights: Rights): Promise<Rights> {
  const sites = rightsOf(rights).sites === null ? [] : await draft.table('sites').all();
  const keys = new Set(sites.map(([key]) => key));
  return knownRights(rights, (key) => keys.has(key));
}

async function isLast(draft: Draft, admin: Stored<Admin>): Promise<boolean> {
  const all = await draft.table<Stored<Admin>>('admins').all();
  return isLastOwner(
    admin,
    all.map(([, one]) => one),
  );
}

async function dropSessions(draft: Draft, name: string, except: string | undefined): Promise<void> {
  const sessions = draft.table<Stored<Session>>('sessions');
  for (const [id, session] of await sessions.all()) if (session.name === name && id !== except) sessions.remove(id);
}

/** Clears away what has expired. */
async function sweep(draft: Draft, name: 'links' | 'sessions', now: number): Promise<void> {
  const table = draft.table<{ expires: number }>(name);
  for (const [id, { expires }] of await table.all()) if (expires <= now) table.remove(id);
}
