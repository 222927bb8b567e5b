/**
 * The store of several machines: Redis. Every read goes there, because a cache would not see what another machine
 * wrote. All keys of accounts are on one node of a cluster, so that a change and its note are one commit.
 *
 * When a promise resolves, the data is in Redis. Whether it survives a crash of Redis depends on the settings there
 * (persistence.ts).
 */
import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from '../../log/logger.ts';
import type { Session } from '../../model/account.ts';
import type { AuditEntry, AuditNote, AuditQuery } from '../../model/audit.ts';
import { isPage } from '../../model/page.ts';
import type { Part } from '../../model/query.ts';
import { SITE_KEY } from '../../model/site.ts';
import type { TroubleName } from '../../protocol/ipc.ts';
import { NO_SITE, type NodeMinutes, type SiteMinute } from '../../protocol/peer.ts';
import { Redis, scriptOf } from '../../redis/connection.ts';
import { commonKey } from '../../redis/keys.ts';
import { type RedisTarget, targetText } from '../../redis/redis-url.ts';
import type { AccountSnapshot, HitGroup } from '../accounts/account-snapshot.ts';
import { AccountStore, demoSite } from '../accounts/account-store.ts';
import { hashOptions, optionsNote } from '../accounts/option-hashes.ts';
import type { AccountRecords, Admin, SessionOwner, Stored, TableName } from '../accounts/records.ts';
import { storeId } from '../accounts/secret.ts';
import type { Change, ChangeOptions } from '../accounts/transaction.ts';
import { type Attempt, type Store, StoreError } from '../contract.ts';
import { isReadableFormat, STORE_FORMAT } from '../format.ts';
import { type HitOutcome, HitQueue } from '../hit-queue.ts';
import { readAll, readOne, VERSION_KEY } from './account-transaction.ts';
import { CommitQueue } from './commit-queue.ts';
import { Attempts, addHits, hitsKey, readHits, writeHits } from './counters.ts';
import { checkFor, META_KEY } from './identity.ts';
import { MachineFile } from './machine-file.ts';
import { Outage } from './outage.ts';
import { checkPersistence, watchEviction } from './persistence.ts';
import { partsOf } from './record/record-site.ts';
import { RedisArchive } from './redis-archive.ts';
import { hourKey, putRedisMinutes, readRedisMinutes } from './redis-minutes.ts';
import { toStoreError } from './redis-store-error.ts';
import { readTrail, trailCommands } from './redis-trail.ts';
import { TroubleLog } from './trouble-log.ts';

/** Random bytes of a new node name. */
const NAME_BYTES = 9;
/** A valid node name. */
const NAME = /^[\w-]{1,64}$/;
/** Maximum number of concurrent writes of the page-visit counter: each is a round trip. */
const HIT_WRITES = 8;
/** Number of sites whose totals are read at once. */
const HIT_READS = 50;
/** Maximum wait for pending changes when the store is closed, milliseconds. */
const CLOSE_MS = 1000;

export interface RedisStoreOptions {
  /** Maximum size of the record, bytes. */
  maxBytes?: number;
  /** Number of replicas that must have data as well before it is acked. */
  replicas?: number;
  /** The data folder of this node. */
  folder: string;
  /** Reports when Redis stops answering, and when it answers again. */
  log?: Logger;
  /** Create the store if it does not exist; true by default. */
  create?: boolean;
  /** Refuse a Redis that may evict data, and log what an ack guarantees. */
  isServer?: boolean;
  /** Refuse a Redis that stores its data only in memory. */
  requirePersistence?: boolean;
  /** Open only the store with this id; an empty Redis is left empty. */
  id?: string;
  /** Called with the present troubles of the store each time they change. */
  onTrouble?(troubles: readonly TroubleName[]): void;
}

/** Opens the store in Redis, or creates it. Any number of processes may have it open. Throws StoreError. */
export function openRedisStore(target: RedisTarget, options: RedisStoreOptions): Promise<RedisStore> {
  return toStoreError(open(target, options));
}

async function open(target: RedisTarget, options: RedisStoreOptions): Promise<RedisStore> {
  const { log, isServer, id, create = true, replicas = 0, requirePersistence = false } = options;
  const troubles = new TroubleLog(options.onTrouble);
  const outage = new Outage(log, (reason) => troubles.set('outage', reason));
  const redis = await Redis.connect(target, { onState: (error) => outage.tell(error) });
  try {
    if (isServer) await checkPersistence(redis, log, { replicas, requirePersistence });
    const where = targetText(target);
    const ids = new Set(id === undefined ? [] : [id]);
    if (id !== undefined) await redis.guard(checkFor(where, ids));
    const secret = await initStore(redis, where, create);
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

/** Initializes a new store. Returns the store's secret. Throws StoreError if the store is new and `create` is false. */
async function initStore(redis: Redis, where: string, create: boolean): Promise<Buffer> {
  const demo = demoSite(Date.now());
  // Not 0 if Redis was emptied while servers used it, and they have written since.
  const version = (await redis.send<string | null>(VERSION_KEY, 'GET', VERSION_KEY)) ?? '0';
  const [format, secret] = await redis.send<(string | null)[]>(META_KEY, 'HMGET', META_KEY, 'format', 'secret');
  if (secret && isReadableFormat(Number(format))) {
    if (Number(format) !== STORE_FORMAT && create)
      await redis.commit(VERSION_KEY, version, [['HSET', META_KEY, 'format', String(STORE_FORMAT)]]);
    return Buffer.from(secret, 'base64url');
  }
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
  // Other servers may start at the same time: the first commit wins, and all read its result.
  await redis.commit(VERSION_KEY, version, [
    ['HSET', META_KEY, 'format', String(STORE_FORMAT), 'secret', randomBytes(32).toString('base64url')],
    ['HSET', commonKey('sites'), demo.key, JSON.stringify(demo)],
  ]);
  return initStore(redis, where, create);
}

export class RedisStore extends AccountStore implements Store {
  readonly archive: RedisArchive;
  readonly #redis: Redis;
  #secret: Buffer;
  readonly #machine: MachineFile;
  readonly #queue: CommitQueue;
  readonly #attempts: Attempts;
  readonly #hitQueue = new HitQueue((groups) => this.#addHits(groups), HIT_WRITES);
  /** Ids of the stores that may be used: this one, and another one from the moment it is adopted. */
  readonly #ids: Set<string>;
  #stopWatching = () => {};
  #closed: Promise<void> | undefined;

  constructor(redis: Redis, secret: Buffer, ids: Set<string>, { maxBytes, replicas, folder }: RedisStoreOptions) {
    super();
    this.#redis = redis;
    this.#secret = secret;
    this.#ids = ids;
    this.#machine = new MachineFile(folder);
    this.#queue = new CommitQueue(redis);
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

  nextRun(): Promise<number> {
    return toStoreError(this.#redis.send<number>(META_KEY, 'HINCRBY', META_KEY, 'runs', '1'));
  }

  /** Logs a warning if this node's server last ran on another store, and remembers this one. */
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

  /** Sets a function that is called when the store is closed. */
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
    const sites = new Set([NO_SITE, ...(await this.readAll('sites')).map(([key]) => key)]);
    const known = minutes.filter(({ site }) => sites.has(site));
    await toStoreError(putRedisMinutes(this.#redis, machine, known, now));
  }

  async minutes(site: string, from: number): Promise<NodeMinutes[]> {
    return site === NO_SITE || SITE_KEY.test(site) ? toStoreError(readRedisMinutes(this.#redis, site, from)) : [];
  }

  countAttempt(attempts: readonly Attempt[], now: number): Promise<number> {
    return toStoreError(this.#attempts.count(attempts, now));
  }

  forgiveAttempt(attempts: readonly Attempt[], now: number): Promise<void> {
    return toStoreError(this.#attempts.forgive(attempts, now));
  }

  hit(site: string, page: string): Promise<HitOutcome> {
    return this.#hitQueue.hit(site, page);
  }

  async #addHits(groups: readonly HitGroup[]): Promise<HitOutcome[]> {
    const outcomes = await toStoreError(addHits(this.#redis, groups));
    if (outcomes.includes('unknown-site')) await this.#verify();
    return outcomes;
  }

  async hits(site: string, page: string): Promise<number> {
    if (!isPage(page) || !SITE_KEY.test(site)) return 0;
    return (await toStoreError(readOne<number>(this.#redis, hitsKey(site), page))) ?? 0;
  }

  async allHits(): Promise<HitGroup[]> {
    const all: HitGroup[] = [];
    for (const some of partsOf(await this.sites(), HIT_READS))
      all.push(...(await toStoreError(Promise.all(some.map(({ key }) => readHits(this.#redis, key))))).flat());
    return all;
  }

  removeHits(site: string, page: string | undefined, note?: AuditNote): Promise<number> {
    const key = hitsKey(site);
    const query = page === undefined ? ['HLEN', key] : ['HEXISTS', key, page];
    return this.#queue.commit({ note, allowWhenFull: true, query }, (tx, answer) => {
      const removed = answer as number;
      if (removed === 0) return 0;
      if (page === undefined) tx.addCommand('UNLINK', key);
      else tx.addCommand('HDEL', key, page);
      tx.addNote(note);
      return removed;
    });
  }

  noteNow(note: AuditNote): Promise<void> {
    return this.note(note);
  }

  audit(query: AuditQuery): Promise<Part<AuditEntry>> {
    return toStoreError(readTrail(this.#redis, query));
  }

  async noteOptions(options: Readonly<Record<string, unknown>>, now: number): Promise<void> {
    const hashes = hashOptions(this.#secret, options);
    const before = new Map(Object.entries(this.#machine.read().options));
    const note = optionsNote(hashes, (name) => before.get(name), now);
    if (note) await this.note(note);
    this.#machine.change({ options: Object.fromEntries([...before, ...hashes]) });
  }

  protected async replace(
    { secret, trail, hits }: AccountSnapshot,
    options: ChangeOptions,
    change: Change<boolean>,
  ): Promise<boolean> {
    // There may be too many counts for one commit. They are written first, so that they exist whenever the rest does.
    await toStoreError(writeHits(this.#redis, hits));
    const isReplaced = await this.#queue.commit(options, (tx) => {
      if (!change(tx)) return false;
      for (const command of trailCommands(trail)) tx.addCommand(...command);
      tx.addCommand('HSET', META_KEY, 'secret', secret.toString('base64url'));
      this.#ids.add(storeId(secret));
      return true;
    });
    if (isReplaced) this.#secret = secret;
    return isReplaced;
  }

  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  /** Waits for pending changes, but only up to CLOSE_MS: a server must stop even if Redis does not answer. */
  async #close(): Promise<void> {
    this.#stopWatching();
    await Promise.race([this.#queue.settled(), sleep(CLOSE_MS, undefined, { ref: false })]);
    await this.archive.close();
    await this.#redis.close();
  }

  protected async read<N extends TableName>(table: N, key: string): Promise<AccountRecords[N] | undefined> {
    const found = await toStoreError(readOne<AccountRecords[N]>(this.#redis, commonKey(table), key));
    if (found === undefined) await this.#verify();
    return found;
  }

  protected async readAll<N extends TableName>(table: N): Promise<[key: string, value: AccountRecords[N]][]> {
    const found = await toStoreError(readAll<AccountRecords[N]>(this.#redis, commonKey(table)));
    if (found.length === 0) await this.#verify();
    return found;
  }

  protected async readSession(id: string): Promise<SessionOwner> {
    const [session, admin] = await toStoreError(readSessionOwner(this.#redis, id));
    if (session === undefined || admin === undefined) await this.#verify();
    return [session, admin];
  }

  protected commit<T>(options: ChangeOptions, change: Change<T>): Promise<T> {
    return this.#queue.commit(options, change);
  }

  /** Does not wait for the commit: Redis may be far away. */
  protected async tryCommit<T>(options: ChangeOptions, change: Change<T>, assumed: T): Promise<T> {
    this.commit(options, change).catch(() => {});
    return assumed;
  }

  /**
   * The minutes may be on another node of the cluster, so the commit cannot remove them. If this fails, they expire.
   */
  protected async removeRest(site: string): Promise<void> {
    await this.#redis.send(hourKey(site), 'UNLINK', hourKey(site)).catch(() => {});
  }

  /** Throws StoreError if Redis has lost the store: a missing record may be missing for this reason. */
  #verify(): Promise<void> {
    return toStoreError(this.#redis.verify());
  }
}

/** A session and its administrator, in one round trip. ARGV: the key of administrators, the id of the session. */
const SESSION_OWNER = scriptOf(
  `
local session = redis.call('HGET', KEYS[1], ARGV[2])
if not session then return {} end
local name = cjson.decode(session).name
return { session, name and redis.call('HGET', ARGV[1], name) }
`,
  'no-writes',
);

async function readSessionOwner(redis: Redis, id: string): Promise<SessionOwner> {
  const found = await redis.run<(string | null)[]>(SESSION_OWNER, commonKey('sessions'), [commonKey('admins'), id]);
  return found.map((text) => (text === null ? undefined : JSON.parse(text))) as [Stored<Session>, Stored<Admin>];
}
