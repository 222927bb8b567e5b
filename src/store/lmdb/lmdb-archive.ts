/**
 * The record in LMDB. Appended frames first go into the journal as they came. Every few seconds a process compacts them
 * (lmdb-compaction.ts). Reads compact what is waiting first, so that they see everything.
 */
import { randomInt } from 'node:crypto';
import { join } from 'node:path';
import type { Database, Key } from 'lmdb';
import type { Shares } from '../../config/config.ts';
import { monotonicNow } from '../../lib/monotonic.ts';
import type { AuditNote } from '../../model/audit.ts';
import type { Heat } from '../../model/heat.ts';
import type { LeftOut } from '../../model/query.ts';
import type { DayCounts, PageCounts, Visit } from '../../model/visit.ts';
import { FrameError } from '../../protocol/frame-error.ts';
import type {
  Archive,
  Days,
  Difference,
  HeatQuery,
  Part,
  Progress,
  Run,
  Usage,
  VisitQuery,
  VisitRuns,
} from '../archive.ts';
import { StoreError } from '../contract.ts';
import {
  ageTime,
  followClock,
  MAX_AHEAD_MS,
  noneRemoved,
  type Reason,
  type RemovalReport,
  type Removed,
  SAVE_INTERVAL_MS,
} from '../record/age-clock.ts';
import { COMPACT_AFTER_MS, clockSetBackAfter } from '../record/backlog.ts';
import { firstId } from '../record/batch.ts';
import { DamageLog, lostVisit } from '../record/damage.ts';
import { noHeat } from '../record/heat.ts';
import { lastUpTo } from '../record/ranges.ts';
import type { RemovedVisit } from '../record/removal-queue.ts';
import { RunPart, readable, runsDuring, sceneOf } from '../record/run-part.ts';
import { SHARDS, shardOf } from '../record/shard.ts';
import { rankBySurplus, takeWeight } from '../record/site-weight.ts';
import { cursorOf, matches, toVisit } from '../record/stored-visit.ts';
import type { AuditTable } from './audit-table.ts';
import { diskFault } from './disk-fault.ts';
import { damaged, isDamage, STORE_FILE } from './file/folder.ts';
import type { StoreFile } from './file/store-file.ts';
import { LmdbCompaction, MAX_COMPACTED } from './lmdb-compaction.ts';
import { readLmdbDays, readLmdbHeat, readLmdbPages } from './lmdb-lookup.ts';
import { bytesOf, LmdbQuota, pieceBytesOf } from './lmdb-quota.ts';
import { LmdbRemoval } from './lmdb-removal.ts';
import { differences, type Team } from './lmdb-verify.ts';
import { PageNumberTable } from './page-table.ts';
import { pauseAfter } from './pause.ts';
import { Sorting } from './sorting.ts';
import { firstParts, type JournalKey, LAST, openTables, type Tables, type VisitEntry } from './tables.ts';
import { VisitTable } from './visit-table.ts';

/** Each shard waits this much longer than the one before, milliseconds, so that they are not due at the same time. */
const COMPACT_APART_MS = 1200;
/** Maximum duration of the compaction before a read, milliseconds. Under load, a read may miss the last seconds. */
const COMPACT_LIMIT_MS = 100;
/** Maximum number of visits that are checked for one part of a list: meanwhile, appends wait. */
const MAX_LISTED = 2000;
/** Maximum number of the oldest visits that are checked for removal at once. */
const MAX_LOOKS = 5000;
/** Maximum number of visits removed in one write. */
const PRUNE_VISITS = 50;
/** For this long no other process takes over the removals, milliseconds. */
const REMOVER_TIMEOUT_MS = 2000;
/** Key of `upkeep`: the process that removes visits. */
const REMOVER = 'remover';
/** Keys of `upkeep`: the numbers of removed visits by reason, and the store's time. */
const REMOVED = 'removed';
const CLOCK = 'clock';
/** Test data that is written to check whether the store has room. */
const SCRATCH_VALUES = 64;
const SCRATCH_VALUE_BYTES = 3000;
/** The journal is compacted at once when it exceeds this share of the cap: only compacted frames can be removed. */
const JOURNAL_SHARE = 0.05;
/** How long visits of a dropped site may still be compacted, milliseconds. */
const DROP_GRACE_MS = 10 * 60_000;
/** How long erased ids are remembered, milliseconds: longer than any visit lasts. */
const KEEP_ERASED_MS = 8 * 24 * 3_600_000;
/** How often expired entries are swept, milliseconds. */
const SWEEP_MS = 60_000;
/** Number of entries checked before a pause. Each quarantined batch has one or more pages of the file. */
const SWEEP_ENTRIES = 500;

/** The process that removes visits, and when it last did, Unix ms. */
interface Remover {
  by: number;
  at: number;
}

/** The store's time, and the computer's monotonic clock at that moment, milliseconds. */
interface StoredTime {
  at: number;
  mono: number;
}

export interface ArchiveOptions {
  /** Cap of the store, bytes: above it nothing is appended. */
  maxBytes?: number;
  /** Parts of the store that sites may use; see site-weight.ts. */
  shares?: Shares;
  /** Maximum size of the visits that one write removes, bytes. */
  pieceBytes?: number;
  /** Visits with more bytes of runs are thinned. */
  maxVisitBytes?: number;
  /** Called for each entry that is skipped because it cannot be read. */
  onDamage?: (error: StoreError) => void;
  /** Called with what is missing in an answer, like the answer's `leftOut`. */
  onLeftOut?: (error: StoreError) => void;
}

export class LmdbArchive implements Archive {
  readonly #storeFile: StoreFile;
  readonly #audit: AuditTable;
  readonly #tables: Tables;
  readonly #pages: PageNumberTable;
  readonly #visitTable: VisitTable;
  readonly #compaction: LmdbCompaction;
  readonly #removal: LmdbRemoval;
  readonly #sorting: Sorting;
  readonly #maxBytes: number;
  readonly #maxCompacted: number;
  readonly #shares: Shares;
  readonly #onLeftOut: (error: StoreError) => void;
  readonly #path: string;
  readonly #quota: LmdbQuota;
  readonly #writer = randomInt(2 ** 32);
  readonly #openedAt = Date.now();
  /** Shards that have compacted everything from before `#openedAt`. */
  readonly #caughtUp = new Set<number>();
  #lastT = 0;
  #seq = 0;
  #sweptAt = Number.NEGATIVE_INFINITY;
  #isClosing = false;
  /** When the current read was asked; see answerAsOf. */
  #askedAt = Number.POSITIVE_INFINITY;
  /** Everything that was appended before this time has been compacted, ms. */
  #compactedAt = Number.NEGATIVE_INFINITY;
  #news: RemovalReport = { removed: noneRemoved(), heldMs: 0 };

  /** `others`: tables beside the record that take space. */
  constructor(
    file: StoreFile,
    folder: string,
    others: readonly Database[],
    audit: AuditTable,
    options: ArchiveOptions,
  ) {
    const { maxBytes = Number.POSITIVE_INFINITY, shares = {}, maxVisitBytes, onDamage } = options;
    const { pieceBytes = pieceBytesOf(maxBytes) } = options;
    this.#maxCompacted = Math.min(MAX_COMPACTED, 2 * pieceBytesOf(maxBytes));
    this.#shares = shares;
    this.#onLeftOut = options.onLeftOut ?? (() => {});
    this.#storeFile = file;
    this.#audit = audit;
    this.#path = join(folder, STORE_FILE);
    this.#tables = openTables(file.root, (what) => onDamage?.(damaged(this.#path, what)));
    const tables = [...(Object.values(this.#tables) as Database[]), ...others];
    this.#quota = new LmdbQuota(file.root, tables, folder, this.#writer, maxBytes);
    this.#pages = new PageNumberTable(this.#tables);
    this.#visitTable = new VisitTable(this.#tables, this.#pages);
    this.#removal = new LmdbRemoval(this.#tables, this.#pages, this.#visitTable, this.#path, pieceBytes);
    this.#sorting = new Sorting(this.#tables, this.#pages, this.#visitTable, this.#removal, this.#path);
    const stored = [this.#tables, this.#pages, this.#visitTable, this.#sorting] as const;
    this.#compaction = new LmdbCompaction(...stored, this.#path, maxVisitBytes, this.#maxCompacted);
    this.#maxBytes = maxBytes;
  }

  /** Blocks until the batches are on disk: call it where that delays nobody. */
  async append(batches: readonly Uint8Array[]): Promise<void> {
    if (batches.length === 0) {
      this.#write(() => this.#quota.check([]));
      this.#tryDisk();
      return;
    }
    this.#write(() => {
      this.#quota.check(batches.map(({ length }) => length));
      for (const batch of batches)
        this.#tables.journal.putSync(this.#nextKey(batch), Buffer.from(batch.buffer, batch.byteOffset, batch.length));
    });
  }

  /**
   * Writes test data, and removes it, because an empty commit succeeds even on a full disk. First beside the store:
   * LMDB has ended processes that tried a full disk repeatedly.
   */
  #tryDisk(): void {
    this.checkDisk();
    const { scratch } = this.#tables;
    this.#write(() => {
      for (let i = 0; i < SCRATCH_VALUES; i++) scratch.putSync([this.#writer, i], Buffer.alloc(SCRATCH_VALUE_BYTES));
    });
    this.#write(() => {
      for (let i = 0; i < SCRATCH_VALUES; i++) scratch.removeSync([this.#writer, i]);
    });
  }

  /** Keys of one writer increase, even if the clock is set back. */
  #nextKey(batch: Uint8Array): JournalKey {
    this.#lastT = Math.max(this.#lastT, Date.now());
    this.#seq += 1;
    return [shardOf(firstId(batch)), this.#lastT, this.#writer, this.#seq];
  }

  /** Compacts some of the frames that have waited long enough. Returns false if there were none. Call it often. */
  compactDue(now: number): boolean {
    if (!this.#quota.hasDisk()) return false;
    const isMuch = bytesOf(this.#tables.journal) > JOURNAL_SHARE * this.#maxBytes;
    const due = (shard: number) => now - COMPACT_AFTER_MS - shard * COMPACT_APART_MS;
    return this.#compact(this.#waiting(isMuch ? undefined : due)) > 0;
  }

  /** Compacts everything appended until now, with pauses in which others write. */
  async compactAll(): Promise<void> {
    const now = Math.max(Date.now(), this.#lastT);
    for (;;) {
      const startedAt = performance.now();
      if (this.#compact(this.#waiting(() => now)) === 0) return;
      await pauseAfter(performance.now() - startedAt);
    }
  }

  /**
   * Returns the shards with entries older than `before`, or from before the clock was set back. The longest waiting
   * come first.
   */
  #waiting(before: (shard: number) => number = () => LAST): number[] {
    this.#storeFile.root.resetReadTxn();
    const ahead = clockSetBackAfter(Date.now());
    const waiting: { shard: number; t: number }[] = [];
    for (let shard = 0; shard < SHARDS; shard++) {
      const [first] = this.#tables.journal.getKeys({ start: [shard, 0, 0, 0], end: [shard, LAST, 0, 0], limit: 1 });
      // A visit that is being rewritten is always due.
      const t = this.#sorting.next(shard) === undefined ? first?.[1] : 0;
      if (t !== undefined && (t <= before(shard) || t > ahead)) waiting.push({ shard, t });
    }
    return waiting.sort((a, b) => a.t - b.t).map(({ shard }) => shard);
  }

  /**
   * Compacts shards. Returns how many bytes were compacted. Unreadable batches are quarantined, so that they do not
   * block others.
   */
  #compact(shards: readonly number[]): number {
    if (shards.length === 0) return 0;
    try {
      return this.#write(() => (this.#canCompact() ? this.#compaction.compact(shards) : 0));
    } catch (error) {
      if (!(error instanceof FrameError)) throw error;
      const quarantined = this.#write(() => this.#compaction.quarantine(shards));
      if (quarantined === 0) throw damaged(this.#path, error.message);
      process.emitWarning(`${quarantined} batches of frames cannot be read and were set aside: ${error.message}`);
      return quarantined;
    }
  }

  #canCompact(): boolean {
    const { journal, sortQueue } = this.#tables;
    const isSorting = [...sortQueue.getKeys({ limit: 1 })].length > 0;
    return this.#quota.canCompact(isSorting ? this.#maxCompacted : Math.min(this.#maxCompacted, bytesOf(journal)));
  }

  #write<T>(action: () => T): T {
    try {
      const outcome = this.#storeFile.write(() => {
        this.#pages.refresh();
        return action();
      });
      this.#quota.noteDisk(false);
      return outcome;
    } catch (error) {
      this.#pages.clear();
      if (isDamage(error)) throw damaged(this.#path, error.message);
      const fault = this.#diskFault(error);
      if (!fault) throw error;
      this.#quota.noteDisk(true);
      throw fault;
    }
  }

  /**
   * Throws StoreError `full` or `disk-error` if nothing can be written beside the store. LMDB would print its own
   * messages.
   */
  checkDisk(): void {
    try {
      this.#quota.tryDisk();
    } catch (error) {
      throw this.#diskFault(error) ?? error;
    }
  }

  #diskFault(error: unknown): StoreError | undefined {
    return diskFault(error, () => this.#quota.tryDisk());
  }

  /**
   * Calls `answer` for a read that was asked at this time (monotonicNow). What was appended later need not be in its
   * answer, so reads that have waited for each other share a compaction.
   */
  answerAsOf<T>(at: number, answer: () => T): T {
    this.#askedAt = at;
    try {
      return answer();
    } finally {
      this.#askedAt = Number.POSITIVE_INFINITY;
    }
  }

  /** Compacts what is waiting, as far as that is quick. On a full disk it does nothing. */
  #compactForRead(): void {
    try {
      if (this.#askedAt >= this.#compactedAt) this.#compactWaiting();
    } catch (error) {
      if (!(error instanceof StoreError)) throw error;
    }
    this.#storeFile.root.resetReadTxn();
    this.#pages.refresh();
  }

  #compactWaiting(): void {
    const begin = monotonicNow();
    while (this.#quota.hasDisk() && monotonicNow() < begin + COMPACT_LIMIT_MS) {
      const shards = this.#waiting();
      if (shards.length === 0) this.#compactedAt = begin;
      if (this.#compact(shards) === 0) return;
    }
  }

  /** Compacts what is waiting, and reads. Throws StoreError `damaged` if LMDB finds its file damaged. */
  #read<T>(read: () => T): T {
    try {
      this.#compactForRead();
      return read();
    } catch (error) {
      throw isDamage(error) ? damaged(this.#path, error.message) : error;
    }
  }

  /** Reports what a read has skipped. */
  #reportLeftOut(what: string, leftOut: LeftOut | undefined): void {
    if (leftOut) this.#onLeftOut(damaged(this.#path, `${what} cannot be read in full: ${leftOut.first}`));
  }

  async sites(): Promise<string[]> {
    return this.#read(() => [...firstParts(this.#tables.bySite)]);
  }

  async visits(query: VisitQuery): Promise<Part<Visit>> {
    const part = this.#read(() => this.#visits(query));
    this.#reportLeftOut(`the list of visits of ${query.site}`, part.leftOut);
    return part;
  }

  #visits(query: VisitQuery): Part<Visit> {
    const { site, to = LAST, oldestFirst = false, after, limit } = query;
    const from = Math.max(query.from ?? 0, this.#droppedBefore(site));
    const [first, end] = oldestFirst ? [from, to] : [to, from];
    const start = after === undefined ? [site, first, 0] : [site, ...cursorOf(after)];
    const items: Visit[] = [];
    const damage = new DamageLog();
    const part = (next: string | null): Part<Visit> => ({
      items,
      next,
      ...(damage.leftOut && { leftOut: damage.leftOut }),
    });
    let looks = 0;
    let last: string | null = null;
    const range = { start, end: [site, end, 0], reverse: !oldestFirst };
    for (const [, since, number] of this.#tables.bySite.getKeys(range as never)) {
      if (last === null && `${since}.${number}` === after) continue;
      if (items.length === limit || looks === MAX_LISTED) return part(last);
      looks += 1;
      // A damaged key would make an invalid cursor.
      if (!Number.isInteger(since) || !Number.isInteger(number)) continue;
      last = `${since}.${number}`;
      const visit = this.#visitTable.get(number);
      if (!visit) damage.note(lostVisit(since));
      else if (matches(visit, query)) items.push(toVisit(visit));
    }
    return part(null);
  }

  async visit(id: string, site?: string): Promise<Visit | undefined> {
    const visit = this.#read(() => this.#visible(this.#visitTable.find(id)));
    return visit && (site ?? visit.site) === visit.site ? toVisit(visit) : undefined;
  }

  async lastFrame(_site: string, id: string, max: number): Promise<number> {
    this.#catchUp(shardOf(id));
    this.#storeFile.root.resetReadTxn();
    const number = this.#visitTable.find(id);
    const visit = number === undefined ? undefined : this.#visitTable.get(number);
    return visit ? lastUpTo(visit.seen, max) : 0;
  }

  /** Compacts what waited in a shard when the store was opened, once. */
  #catchUp(shard: number): void {
    if (this.#caughtUp.has(shard)) return;
    const isOld = (one: number) => (one === shard ? this.#openedAt : Number.NEGATIVE_INFINITY);
    while (this.#waiting(isOld).length > 0) if (this.#compact([shard]) === 0) return;
    this.#caughtUp.add(shard);
  }

  /** Returns the visit if it may be shown. */
  #visible(number: number | undefined): VisitEntry | undefined {
    const visit = number === undefined ? undefined : this.#visitTable.get(number);
    return visit && visit.since >= this.#droppedBefore(visit.site) ? visit : undefined;
  }

  /** Returns the time before which visits belong to a removed site with the same key. */
  #droppedBefore(site: string): number {
    return this.#tables.dropped.get(site) ?? 0;
  }

  /** Returns true while visits of a removed site with the same key exist: the counts include them. */
  #hasRemains(site: string): boolean {
    const before = this.#droppedBefore(site);
    const range = { start: [site, 0, 0], end: [site, before, 0], limit: 1 };
    if (before === 0) return false;
    if ([...this.#tables.bySite.getKeys(range as never)].length > 0) return true;
    // Large visits are in no list while they are removed in pieces.
    const { going, sorting } = this.#tables;
    const isOf = ({ value }: { value: RemovedVisit }) => value.site === site && value.since < before;
    return [...going.getRange()].some(isOf) || [...sorting.getRange()].some(isOf);
  }

  async runs(id: string, after?: string): Promise<Part<Run>> {
    const part = this.#read(() => this.#runs(id, after));
    this.#reportLeftOut(`visit ${id}`, part.leftOut);
    return part;
  }

  #runs(id: string, after: string | undefined): Part<Run> {
    const number = this.#visitTable.find(id);
    if (number === undefined || !this.#visible(number)) return { items: [], next: null };
    const part = new RunPart(after);
    const damage = new DamageLog();
    for (const run of readable(this.#visitTable.runs(number, damage, part.t), damage)) if (!part.take(run)) break;
    return part.part(damage);
  }

  async scenes(site: string, page: string | null, from: number, to: number): Promise<VisitRuns[]> {
    const scenes = this.#read(() => this.#scenes(site, page, from, to));
    for (const { visit, leftOut } of scenes) this.#reportLeftOut(`visit ${visit.id}`, leftOut);
    return scenes;
  }

  #scenes(site: string, page: string | null, from: number, to: number): VisitRuns[] {
    const number = page === null ? undefined : this.#pages.find(site, page);
    if (page !== null && number === undefined) return [];
    const scenes: VisitRuns[] = [];
    for (const one of this.#visitTable.findDuring(site, number, from, to)) {
      const visit = this.#visible(one);
      if (!visit) continue;
      const damage = new DamageLog();
      const sound = readable(this.#visitTable.runs(one, damage, from), damage);
      scenes.push(sceneOf(toVisit(visit), runsDuring(sound, from, to), damage));
    }
    return scenes;
  }

  async pages(site: string, days: Days): Promise<PageCounts[]> {
    return this.#read(() => (this.#hasRemains(site) ? [] : readLmdbPages(this.#tables, this.#pages, site, days)));
  }

  async days(site: string, page: string | null, days: Days): Promise<DayCounts[]> {
    return this.#read(() => (this.#hasRemains(site) ? [] : readLmdbDays(this.#tables, this.#pages, site, page, days)));
  }

  async heat(query: HeatQuery): Promise<Heat> {
    const damage = new DamageLog();
    const heat = this.#read(() =>
      this.#hasRemains(query.site) ? noHeat() : readLmdbHeat(this.#tables, this.#pages, query, damage),
    );
    this.#reportLeftOut(`the heatmap of ${query.site}${query.page}`, damage.leftOut);
    return heat;
  }

  async erase(id: string, note?: AuditNote): Promise<boolean> {
    // Frames that wait in the journal are removed too. Later ones are ignored because the visit is noted as erased.
    await this.#compactShard(shardOf(id));
    const isThere = this.#write(() => {
      const number = this.#visitTable.find(id);
      if (number === undefined) return false;
      this.#noteRemover();
      this.#count('erase', this.#removal.start([number]));
      this.#tables.erased.putSync(id, Date.now());
      this.#audit.add(note);
      return true;
    });
    if (isThere) await this.#finishRemovals();
    return isThere;
  }

  /** Compacts what waits in a shard now, in as many writes as it takes. Acks are written in between. */
  async #compactShard(shard: number): Promise<void> {
    this.#storeFile.root.resetReadTxn();
    const range = { start: [shard, LAST, 0, 0], end: [shard, 0, 0, 0], reverse: true, limit: 1 };
    const [last] = this.#tables.journal.getKeys(range as never);
    const before = last?.[1] ?? 0;
    while (this.#waiting((one) => (one === shard ? before : -1)).length > 0) {
      const startedAt = performance.now();
      if (this.#compact([shard]) === 0) return;
      await pauseAfter(performance.now() - startedAt);
    }
  }

  /**
   * Removes the rest of large visits, with pauses in which acks are written. If the store is closed meanwhile, that
   * continues when it is opened again.
   */
  async #finishRemovals(): Promise<void> {
    while (!this.#isClosing) {
      const startedAt = performance.now();
      if (!this.#removePiece()) return;
      await pauseAfter(performance.now() - startedAt);
    }
  }

  #removePiece(): boolean {
    this.#storeFile.root.resetReadTxn();
    if (!this.#removal.isPending) return false;
    return this.#write(() => {
      this.#noteRemover();
      return this.#removal.step();
    });
  }

  /**
   * Within a write: this process removes visits now, and others leave that to it. Several at once would leave less time
   * for acks.
   */
  #noteRemover(): void {
    const remover: Remover = { by: this.#writer, at: Date.now() };
    this.#tables.upkeep.putSync(REMOVER, remover);
  }

  /** Returns false while another process removes visits. A process that has died is not waited for. */
  #isRemover(): boolean {
    const remover = this.#tables.upkeep.get(REMOVER) as Remover | undefined;
    return (
      remover === undefined || remover.by === this.#writer || Math.abs(Date.now() - remover.at) > REMOVER_TIMEOUT_MS
    );
  }

  async dropSite(site: string, before: number): Promise<void> {
    this.#write(() => this.#tables.dropped.putSync(site, before));
  }

  async prune(before: number, max: number): Promise<number> {
    await this.#finishRemovals();
    const removed = await this.#prune(before, max);
    await this.#finishRemovals();
    return removed;
  }

  async #prune(before: number, max: number, now = Date.now()): Promise<number> {
    this.#storeFile.root.resetReadTxn();
    await this.#sweep(before, now);
    this.#storeFile.root.resetReadTxn();
    if (this.#quota.used() > max) await this.#weigh();
    if (this.#isClosing || this.#findDue(before, max).numbers.length === 0) return 0;
    return this.#write(() => {
      this.#noteRemover();
      const { reason, numbers } = this.#findDue(before, max);
      return this.#count(reason, this.#removal.start(numbers));
    });
  }

  /** Within a write: counts removed visits, for everybody and for the log of this process. */
  #count(reason: Reason, visits: number): number {
    const { upkeep } = this.#tables;
    const all = { ...noneRemoved(), ...(upkeep.get(REMOVED) as Removed | undefined) };
    all[reason] += visits;
    upkeep.putSync(REMOVED, all);
    this.#news.removed[reason] += visits;
    return visits;
  }

  /** Returns what was removed since the last call. */
  takeNews(): RemovalReport {
    const news = this.#news;
    this.#news = { removed: noneRemoved(), heldMs: 0 };
    return news;
  }

  /** Returns the store's time (record/age-clock.ts). A new store starts with the system's clock. */
  #ageTime(wall: number): number {
    const { upkeep } = this.#tables;
    const mono = monotonicNow();
    const stored = upkeep.get(CLOCK) as StoredTime | undefined;
    if (!stored) {
      this.#saveTime({ at: wall, mono });
      return wall;
    }
    // After a restart of the computer its clock starts at 0: at least that much time has passed.
    const elapsed = mono < stored.mono ? mono : mono - stored.mono;
    if (elapsed > SAVE_INTERVAL_MS || mono < stored.mono)
      this.#saveTime({ at: followClock(stored.at, elapsed, wall), mono });
    return ageTime(stored.at, elapsed, wall);
  }

  #saveTime(time: StoredTime): void {
    this.#write(() => this.#tables.upkeep.putSync(CLOCK, time));
  }

  /**
   * Weighs the visits of each site, in a store from before they were weighed. Concurrent changes are counted only
   * approximately.
   */
  async #weigh(): Promise<void> {
    if (this.#visitTable.weights()) return;
    const sums = new Map<string, number>();
    for (let next: number | undefined = 0; next !== undefined && !this.#isClosing; ) {
      const startedAt = performance.now();
      next = this.#visitTable.weigh(next, sums);
      await pauseAfter(performance.now() - startedAt);
      this.#storeFile.root.resetReadTxn();
    }
    if (!this.#isClosing) this.#write(() => this.#visitTable.putWeights(sums));
  }

  /** Removes quarantined batches from before `before`, and erased ids that are no longer needed. */
  async #sweep(before: number, now: number): Promise<void> {
    const at = performance.now();
    if (at - this.#sweptAt < SWEEP_MS) return;
    this.#sweptAt = at;
    const { damaged: quarantined, erased } = this.#tables;
    await this.#sweepIn(quarantined, ([, t]) => t < before);
    await this.#sweepIn(erased, (id) => (erased.get(id) ?? now) < now - KEEP_ERASED_MS);
  }

  /** Removes expired entries of a table, some in one write. Acks are written in between. */
  async #sweepIn<V, K extends Key>(table: Database<V, K>, isOver: (key: K) => boolean): Promise<void> {
    for (let last: K | undefined; !this.#isClosing; ) {
      const startedAt = performance.now();
      this.#storeFile.root.resetReadTxn();
      const keys = [...table.getKeys({ limit: SWEEP_ENTRIES, ...(last !== undefined && { start: last }) })];
      const over = keys.filter(isOver);
      if (over.length > 0)
        this.#write(() => {
          for (const key of over) if (isOver(key)) table.removeSync(key);
        });
      if (keys.length < SWEEP_ENTRIES) return;
      last = keys.at(-1);
      await pauseAfter(performance.now() - startedAt);
    }
  }

  #findDue(before: number, max: number): { reason: Reason; numbers: number[] } {
    for (const { key: site, value } of this.#tables.dropped.getRange()) {
      const numbers = this.#findDropped(site, value);
      if (numbers.length > 0) return { reason: 'site', numbers };
    }
    if (this.#quota.used() > max) return { reason: 'cap', numbers: this.#findSurplus() };
    return { reason: 'age', numbers: this.#findEnded(before) };
  }

  /** The oldest visits of the site that is furthest over its share of the store. */
  #findSurplus(): number[] {
    const weights = this.#visitTable.weights() ?? [];
    const sites = weights.map(([site, weight]) => ({ name: site, weight, site }));
    for (const { site, bytes } of rankBySurplus(sites, this.#shares)) {
      const range = { start: [site, 0, 0], end: [site, LAST, 0], limit: PRUNE_VISITS };
      const due = [...this.#tables.bySite.getKeys(range as never)].map(([, , number]) => number);
      if (due.length > 0) return takeWeight(due, bytes, (number) => this.#visitTable.get(number)?.weight ?? 0);
    }
    return [];
  }

  /**
   * Returns some visits of a dropped site. The drop is forgotten when everything from that time has been compacted.
   */
  #findDropped(site: string, before: number): number[] {
    const { dropped, bySite } = this.#tables;
    const range = { start: [site, 0, 0], end: [site, before, 0], limit: PRUNE_VISITS };
    const due = [...bySite.getKeys(range as never)].map(([, , number]) => number);
    const isOver = due.length === 0 && Date.now() - before > DROP_GRACE_MS && this.#waiting(() => before).length === 0;
    if (isOver)
      this.#write(() => {
        if (dropped.get(site) === before) dropped.removeSync(site);
      });
    return due;
  }

  /** Returns the oldest visits that ended before `before`, among the first MAX_LOOKS. */
  #findEnded(before: number): number[] {
    const due: number[] = [];
    // The end of these is not known yet.
    const sorted = new Set([...this.#tables.sorting.getRange()].map(({ value }) => value.into));
    for (const [since, number] of this.#tables.byAge.getKeys({ limit: MAX_LOOKS })) {
      if (due.length === PRUNE_VISITS || since >= before) break;
      if (!sorted.has(number) && (this.#visitTable.get(number)?.tally.until ?? 0) < before) due.push(number);
    }
    return due;
  }

  /**
   * Like `prune`, for visits that ended more than `retainMs` ago, and for visits over the cap, for at most `limitMs`.
   * Does nothing while another process removes visits, or while a long read keeps freed pages from being reused. The
   * rest of large visits is removed first: they take space, and are in no list. Acks are written in pauses that are as
   * long as the writes.
   */
  async pruneSome(wall: number, retainMs: number, limitMs: number): Promise<void> {
    const end = performance.now() + limitMs;
    if (this.#isClosing || !this.#quota.hasDisk()) return;
    this.#storeFile.root.resetReadTxn();
    const now = this.#ageTime(wall);
    const before = now - retainMs;
    if (wall - now > MAX_AHEAD_MS && this.#findEnded(wall - retainMs).length > this.#findEnded(before).length)
      this.#news.heldMs = wall - now;
    while (!this.#isClosing && this.#quota.hasDisk() && performance.now() < end) {
      const startedAt = performance.now();
      this.#storeFile.root.resetReadTxn();
      if (!this.#isRemover() || !this.#canRemove()) return;
      if (!this.#removePiece() && (await this.#prune(before, this.#quota.pruneNow, now)) === 0) return;
      await pauseAfter(performance.now() - startedAt);
    }
  }

  #canRemove(): boolean {
    return this.#quota.canGrow() || this.#storeFile.alone(() => this.#quota.canRemove());
  }

  /** Stops background work. Call it before the file is closed. */
  close(): void {
    this.#isClosing = true;
  }

  async usage(): Promise<Usage> {
    this.#storeFile.root.resetReadTxn();
    const [oldest] = this.#tables.byAge.getKeys({ limit: 1 });
    return {
      used: this.#quota.used(),
      file: this.#quota.fileSize(),
      oldest: oldest?.[0] ?? null,
      damaged: (this.#tables.damaged.getStats() as { entryCount: number }).entryCount,
      removed: { ...noneRemoved(), ...(this.#tables.upkeep.get(REMOVED) as Removed | undefined) },
    };
  }

  /** Releases the pages that dead readers still held. */
  clearReaders(): void {
    this.#storeFile.root.readerCheck();
  }

  /** Implements `Archive.verify`. With a team, all its threads read one state of the store. */
  async verify(progress?: Progress, team?: Team, partBytes?: number): Promise<Difference[]> {
    await this.compactAll();
    const { root } = this.#storeFile;
    const reading = this.#storeFile.alone(() => {
      team?.start();
      root.resetReadTxn();
      return root.useReadTransaction();
    });
    try {
      return differences({ tables: this.#tables, pages: this.#pages, visitTable: this.#visitTable }, progress, {
        team,
        partBytes,
      });
    } finally {
      reading.done();
    }
  }
}
