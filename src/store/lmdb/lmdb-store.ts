/**
 * The store of a single node: LMDB in the data folder. Reads never block and see every commit at once. Writers of all
 * processes take turns by LMDB's lock; if its holder is killed, the system frees the lock. When a promise resolves, the
 * data is on disk.
 *
 * No cache is used anywhere: it would not see what another process wrote.
 */
import { randomBytes } from 'node:crypto';
import { statSync } from 'node:fs';
import { join } from 'node:path';
import type { Database } from 'lmdb';
import type { Durability, Shares } from '../../config/config.ts';
import type { AuditEntry, AuditNote, AuditQuery } from '../../model/audit.ts';
import { isPage } from '../../model/page.ts';
import type { Part } from '../../model/query.ts';
import { SITE_KEY, type Site } from '../../model/site.ts';
import { NO_SITE, type NodeMinutes, type SiteMinute } from '../../protocol/peer.ts';
import type { AccountSnapshot, HitGroup } from '../accounts/account-snapshot.ts';
import { AccountStore, demoSite } from '../accounts/account-store.ts';
import { hashOptions, optionsNote } from '../accounts/option-hashes.ts';
import type { AccountRecords, SessionOwner, TableName } from '../accounts/records.ts';
import type { AccountTables, AccountTransaction, Change, ChangeOptions } from '../accounts/transaction.ts';
import { type Attempt, type Store, StoreError } from '../contract.ts';
import { isReadableFormat, STORE_FORMAT } from '../format.ts';
import { type HitOutcome, HitQueue } from '../hit-queue.ts';
import { type OpenTable, openAccounts } from './account-tables.ts';
import type { AttemptTable } from './attempt-table.ts';
import { AuditTable } from './audit-table.ts';
import { damaged, isDamage, STORE_FILE } from './file/folder.ts';
import { StoreFile } from './file/store-file.ts';
import { HitTable } from './hit-table.ts';
import { type HourKey, HourTable, type HourValue } from './hour-table.ts';
import { LmdbArchive } from './lmdb-archive.ts';
import { bytesOf } from './lmdb-quota.ts';
import { pauseAfter } from './pause.ts';
import { isList, isNumber, isRecord, isText, openTable } from './table.ts';

/** Maximum number of minutes in one write, which blocks this process. */
const MINUTES_TOGETHER = 1000;
/** The name of the only node. */
const MACHINE = 'local';

export interface StoreOptions {
  /** Create the store if it does not exist; true by default. */
  create?: boolean;
  /**
   * Check pages of the file before it is used, because LMDB ends the process at a broken page. A file of up to this
   * many bytes is checked completely, a larger one only in the tables that every start needs. Undefined: no check.
   */
  checkBytes?: number;
  /** Maximum size of the record, bytes. */
  maxBytes?: number;
  /** Shares of the store by site, relative to those of other sites; 1 by default. */
  shares?: Shares;
  /** `disk` by default. */
  durability?: Durability;
  /** Visits with more bytes of runs are thinned; record/thinning.ts. */
  maxVisitBytes?: number;
  /** Bytes of visits that are removed in one write. */
  pieceBytes?: number;
  /** Called for each entry that is skipped because it cannot be read, each time it is read. */
  onDamage?: (error: StoreError) => void;
  /** Called if a result of the record is incomplete, with the same information as its `leftOut`. */
  onLeftOut?: (error: StoreError) => void;
}

/** Opens the store in a folder. Any number of processes may have it open. Throws StoreError. */
export async function openLmdbStore(folder: string, options: StoreOptions = {}): Promise<LmdbStore> {
  const { create = true, durability, checkBytes } = options;
  const file = StoreFile.open(folder, { create, noSync: durability === 'system' });
  try {
    if (checkBytes !== undefined) {
      const isAll = statSync(join(folder, STORE_FILE)).size <= checkBytes;
      for (const _ of file.checkedPages(isAll ? undefined : (name) => START_TABLES.has(name)));
    }
    return file.alone(() => new LmdbStore(file, folder, initStore(file, folder, create), options));
  } catch (error) {
    await file.close();
    throw isDamage(error) ? damaged(join(folder, STORE_FILE), error.message) : error;
  }
}

/** Tables that a start reads and writes. Of other tables, it reads at most the first entry. */
const START_TABLES: ReadonlySet<string> = new Set(
  'meta sites admins tokens links sessions counters expiry options audit hour upkeep weights'.split(' '),
);

/** Initializes a new store. Returns the store's secret. Throws StoreError if the store is new and `create` is false. */
function initStore(file: StoreFile, folder: string, create: boolean): Buffer {
  const meta = file.root.openDB<number | Buffer, string>('meta', {});
  const sites = file.root.openDB<Site, string>('sites', {});
  if (meta.get('format') === undefined && !create)
    throw new StoreError('no-store', `the store in ${folder} is empty; start the server to initialize it`);
  if (meta.get('format') === undefined)
    file.write(() => {
      meta.putSync('format', STORE_FORMAT);
      meta.putSync('secret', randomBytes(32));
      const demo = demoSite(Date.now());
      sites.putSync(demo.key, demo);
    });
  const format = meta.get('format');
  if (!isReadableFormat(format))
    throw new StoreError('newer-store', `${folder} was written by a later version of Fieldmouse (format ${format})`);
  if (format !== STORE_FORMAT && create) file.write(() => meta.putSync('format', STORE_FORMAT));
  return Buffer.from(meta.get('secret') as Buffer);
}

const isEntry = isRecord({ at: isNumber, who: isText, what: isText, on: isText, from: isText, count: isNumber });

/** Maximum size of the page-visit counter, as a share of the cap. */
const HITS_SHARE = 0.1;

export class LmdbStore extends AccountStore implements Store {
  readonly archive: LmdbArchive;
  readonly #file: StoreFile;
  #secret: Buffer;
  readonly #meta: Database<string[] | number, string>;
  readonly #accounts: AccountTransaction;
  readonly #attempts: AttemptTable;
  /** Keyed hashes of the options of the last start. */
  readonly #options: Database<string, string>;
  readonly #audit: AuditTable;
  readonly #hits: HitTable;
  readonly #hour: HourTable;
  readonly #hitQueue = new HitQueue((groups) => this.#file.writeLater(() => this.#hits.add(groups)));
  #closed: Promise<void> | undefined;
  #onClose = () => {};

  /** Must be called while this process has exclusive access to the file, because it creates missing tables. */
  constructor(file: StoreFile, folder: string, secret: Buffer, options: StoreOptions) {
    super();
    const { root } = file;
    const { maxBytes } = options;
    const onDamage = (what: string) => options.onDamage?.(damaged(join(folder, STORE_FILE), what));
    const at: OpenTable = (name, value, key = 'text') => openTable(root, name, { key, value, onDamage });
    const hits = at<number>('hits', isNumber);
    const entries = at<AuditEntry, number>('audit', isEntry, 'number');
    this.#audit = new AuditTable(entries);
    this.archive = new LmdbArchive(file, folder, [hits, entries] as Database[], this.#audit, options);
    this.#file = file;
    this.#secret = secret;
    this.#meta = root.openDB('meta', {});
    const { accounts, attempts } = openAccounts(at, {
      addNote: (note) => this.#audit.add(note),
      removeCounts: (site) => this.#hour.clear(site),
    });
    this.#accounts = accounts;
    this.#attempts = attempts;
    this.#options = at('options', isText);
    const hasSite = (key: string) => accounts.sites.has(key);
    const hour = at<HourValue, HourKey>('hour', isList(isNumber, 2), ['text', 'number', 'text']);
    this.#hour = new HourTable(hour, (key) => key === NO_SITE || hasSite(key));
    this.#hits = new HitTable(hits, hasSite, () => maxBytes === undefined || bytesOf(hits) < HITS_SHARE * maxBytes);
  }

  async secret(): Promise<Buffer> {
    return this.#secret;
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

  async minutes(site: string, from: number): Promise<NodeMinutes[]> {
    return site === NO_SITE || SITE_KEY.test(site) ? this.#read(() => this.#hour.read(site, from)) : [];
  }

  override async addSite(site: Site, note?: AuditNote): Promise<boolean> {
    // Counts of a removed site with this key do not belong to the new site.
    await this.#clearLostHits(site.key);
    return super.addSite(site, note);
  }

  /** If this is interrupted, `clearLostHits` removes the rest. */
  protected removeRest(site: string): Promise<void> {
    return this.#clearLostHits(site);
  }

  /** Removes the page-visit counts of a removed site, in several writes with pauses in which others can write. */
  async #clearLostHits(site: string): Promise<void> {
    const some = () => (this.#accounts.sites.has(site) ? 0 : this.#hits.clearSome(site));
    await this.#inPieces(some);
  }

  /**
   * Calls `some` in one write after another until it returns 0, with a pause after each write that is as long as the
   * write. Returns the sum of its results, or undefined if the store was closed before.
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

  /** Removes the page-visit counts of removed sites that are left because the process removing them was killed. */
  async clearLostHits(): Promise<void> {
    for (let site = this.#lostSite(); site !== undefined && !this.#closed; site = this.#lostSite())
      await this.#clearLostHits(site);
  }

  #lostSite(): string | undefined {
    return this.#read(() => this.#hits.findLost());
  }

  countAttempt(attempts: readonly Attempt[], now: number): Promise<number> {
    return this.#file.writeLater(() => this.#attempts.count(this.#secret, attempts, now));
  }

  forgiveAttempt(attempts: readonly Attempt[], now: number): Promise<void> {
    return this.#file.writeLater(() => this.#attempts.forgive(this.#secret, attempts, now));
  }

  hit(site: string, page: string): Promise<HitOutcome> {
    return this.#hitQueue.hit(site, page);
  }

  async allHits(): Promise<HitGroup[]> {
    return this.#read(() => [...this.#hits.all()].filter(({ site }) => this.#accounts.sites.has(site)));
  }

  async removeHits(site: string, page: string | undefined, note?: AuditNote): Promise<number> {
    let isNoted = false;
    const removed = (count: number) => {
      if (count > 0 && !isNoted) this.#audit.add(note);
      isNoted ||= count > 0;
      return count;
    };
    if (page !== undefined) return this.#file.writeLater(() => removed(this.#hits.remove(site, page)));
    // Limited to the present number of pages: pages that are counted meanwhile could prolong it without end.
    let left = this.#read(() => this.#hits.pages(site));
    const all = await this.#inPieces(() => {
      const count = left > 0 ? removed(this.#hits.clearSome(site)) : 0;
      left -= count;
      return count;
    });
    if (all === undefined) throw new StoreError('busy', 'not all totals are removed yet; remove them again');
    return all;
  }

  /**
   * Blocks until the note is on disk: a process that is told to exit hangs while LMDB has one of its writes pending.
   */
  async noteNow(note: AuditNote): Promise<void> {
    this.archive.checkDisk();
    this.#file.write(() => this.#audit.add(note));
  }

  async audit(query: AuditQuery): Promise<Part<AuditEntry>> {
    return this.#read(() => this.#audit.read(query));
  }

  noteOptions(options: Readonly<Record<string, unknown>>, now: number): Promise<void> {
    const hashes = hashOptions(this.#secret, options);
    return this.#file.writeLater(() => {
      this.#audit.add(optionsNote(hashes, (name) => this.#options.get(name), now));
      for (const [name, hash] of hashes) this.#options.put(name, hash);
    });
  }

  async hits(site: string, page: string): Promise<number> {
    if (!isPage(page) || !SITE_KEY.test(site)) return 0;
    return this.#read(() => (this.#accounts.sites.has(site) ? this.#hits.total(site, page) : 0));
  }

  /**
   * Adds lists of groups from `HitQueue`. `lists` is called when no other process can write any more, so that it
   * includes the groups that were added during the wait. Blocks until everything is on disk: call this only in a thread
   * that may wait.
   */
  addHits(lists: () => readonly (readonly HitGroup[])[]): HitOutcome[][] {
    return this.#file.write(() => lists().map((groups) => this.#hits.add(groups)));
  }

  protected async read<N extends TableName>(table: N, key: string): Promise<AccountRecords[N] | undefined> {
    const { [table]: records }: AccountTables = this.#accounts;
    return this.#read(() => records.get(key));
  }

  protected async readAll<N extends TableName>(table: N): Promise<[key: string, value: AccountRecords[N]][]> {
    const { [table]: records }: AccountTables = this.#accounts;
    return this.#read(() => records.list() as [string, AccountRecords[N]][]);
  }

  protected async readSession(id: string): Promise<SessionOwner> {
    const { sessions, admins } = this.#accounts;
    return this.#read(() => {
      const session = sessions.get(id);
      return [session, session && admins.get(session.name)];
    });
  }

  protected commit<T>(_options: ChangeOptions, change: Change<T>): Promise<T> {
    return this.#file.writeLater(() => change(this.#accounts));
  }

  protected tryCommit<T>(options: ChangeOptions, change: Change<T>, assumed: T): Promise<T> {
    return this.commit(options, change).catch(() => assumed);
  }

  protected async replace(
    { secret, trail, hits }: AccountSnapshot,
    options: ChangeOptions,
    change: Change<boolean>,
  ): Promise<boolean> {
    const isReplaced = await this.commit(options, (tx) => {
      if (!change(tx)) return false;
      this.#file.root.openDB<Buffer, string>('meta', {}).put('secret', secret);
      this.#audit.replace(trail);
      this.#hits.replace(hits);
      return true;
    });
    if (isReplaced) this.#secret = secret;
    return isReplaced;
  }

  /** Throws StoreError `moved` if the file was moved away or replaced. */
  checkInPlace(): void {
    this.#file.checkInPlace();
  }

  /** Identifies the store's file. A copy of the file has another identity. */
  get identity(): string | undefined {
    return this.#file.identity;
  }

  /** Sets a function that is called when the store is closed. */
  onClose(stop: () => void): void {
    this.#onClose = stop;
  }

  close(): Promise<void> {
    this.#onClose();
    this.archive.close();
    this.#closed ??= this.#file.close();
    return this.#closed;
  }

  /**
   * Reads the newest commit: lmdb reuses a snapshot for about a millisecond, in which a revoked token would still work.
   */
  #read<T>(look: () => T): T {
    this.#file.root.resetReadTxn();
    return look();
  }
}
