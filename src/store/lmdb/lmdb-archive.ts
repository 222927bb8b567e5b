/**
 * The record in LMDB. What workers append is first in the journal, as it came; every few seconds it is filed
 * (lmdb-compaction.ts), by whichever process comes to it. Who reads has what is due filed first, so that all there is shows.
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
import { readDays, readHeat, readPages } from './lmdb-lookup.ts';
import { bytesOf, LmdbQuota, pieceBytesOf } from './lmdb-quota.ts';
import { LmdbRemoval } from './lmdb-removal.ts';
import { differences, type Team } from './lmdb-verify.ts';
import { PageTable } from './page-table.ts';
import { pauseAfter } from './pause.ts';
import { Sorting } from './sorting.ts';
import { firstParts, type JournalKey, LAST, openTables, type Tables, type VisitRow } from './tables.ts';
import { VisitTable } from './visit-table.ts';

/** Each shard waits so much longer than the one before, milliseconds, so that they do not come due together. */
const COMPACT_APART_MS = 1200;
/** Filing for a reader takes at most so long, milliseconds; under load it then sees what is some seconds old. */
const FRESHEN_MS = 100;
/** Visits looked at for one part of a list. */
const MAX_LOOKS = 5000;
/** Visits removed in one write. */
const PRUNE_VISITS = 50;
/** Whoever removes visits is left alone for so long, milliseconds. */
const TURN_MS = 2000;
/** Key of `upkeep`: which process removes visits. */
const REMOVER = 'remover';
/** How many visits were removed in all, by reason; and the time by which visits grow old. */
const REMOVED = 'removed';
const CLOCK = 'clock';
/** What is written to see whether there is room in the store. */
const SCRATCH_VALUES = 64;
const SCRATCH_VALUE_BYTES = 3000;
/** What waits is filed at once when it takes more than this share of the cap: what is not filed cannot make room. */
const JOURNAL_SHARE = 0.05;
/** Visits of a dropped site may still be filed for so long, milliseconds. */
const DROPPED_MS = 10 * 60_000;
/** That a visit was erased is remembered for longer than any visit lasts, milliseconds. */
const ERASED_MS = 8 * 24 * 3_600_000;
/** What is remembered for some time only is looked through so often, milliseconds. */
const SWEEP_MS = 60_000;
/** So many entries are looked at before a pause. What was set aside has a page of the file or several for each. */
const SWEPT_AT_ONCE = 500;

/** Who removes visits, and when it did so last, Unix ms. */
interface Turn {
  by: number;
  at: number;
}

/** The store's time, and what the machine's monotonic clock was then, milliseconds. */
interface StoredTime {
  at: number;
  mono: number;
}

export interface ArchiveOptions {
  /** Nothing is appended beyond it. */
  maxBytes?: number;
  /** Parts of the store that sites may have before others. */
  shares?: Shares;
  /** So many bytes of visits are removed in one write. */
  pieceBytes?: number;
  /** Visits with more bytes of runs are thinned. */
  maxVisitBytes?: number;
  /** Is told of entries that cannot be read, and are passed over. */
  onDamage?: (error: StoreError) => void;
  /** Is told what is missing in an answer, as the answer itself tells (`leftOut`). */
  onLeftOut?: (error: StoreError) => void;
}

export class LmdbArchive implements Archive {
  readonly #storeFile: StoreFile;
  readonly #audit: AuditTable;
  readonly #tables: Tables;
  readonly #pages: PageTable;
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
  /** Shards in which nothing waits from before that. */
  readonly #caughtUp = new Set<number>();
  #lastT = 0;
  #seq = 0;
  #sweptAt = Number.NEGATIVE_INFINITY;
  #isClosing = false;
  #news: RemovalReport = { removed: noneRemoved(), heldMs: 0 };

  /** `others` are tables that take room beside those of the record. */
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
    this.#pages = new PageTable(this.#tables);
    this.#visitTable = new VisitTable(this.#tables, this.#pages);
    this.#removal = new LmdbRemoval(this.#tables, this.#pages, this.#visitTable, this.#path, pieceBytes);
    this.#sorting = new Sorting(this.#tables, this.#pages, this.#visitTable, this.#removal, this.#path);
    const kept = [this.#tables, this.#pages, this.#visitTable, this.#sorting] as const;
    this.#compaction = new LmdbCompaction(...kept, this.#path, maxVisitBytes, this.#maxCompacted);
    this.#maxBytes = maxBytes;
  }

  /** The write blocks until it is on disk: to be called where that holds nobody up. */
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
   * Writes something, and takes it away again, since a commit of nothing succeeds on a disk that is full. First beside
   * the store: LMDB has ended processes that tried a full disk again and again.
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

  /** Keys of one writer grow, also when the clock is set back. */
  #nextKey(batch: Uint8Array): JournalKey {
    this.#lastT = Math.max(this.#lastT, Date.now());
    this.#seq += 1;
    return [shardOf(firstId(batch)), this.#lastT, this.#writer, this.#seq];
  }

  /** Files some of what has waited long enough; false if nothing has. To be called often. */
  compactDue(now: number): boolean {
    if (!this.#quota.hasDisk()) return false;
    const isMuch = bytesOf(this.#tables.journal) > JOURNAL_SHARE * this.#maxBytes;
    const due = (shard: number) => now - COMPACT_AFTER_MS - shard * COMPACT_APART_MS;
    return this.#compact(this.#waiting(isMuch ? undefined : due)) > 0;
  }

  /** Files everything that has come until now, with pauses in which others write. */
  async compactAll(): Promise<void> {
    const now = Math.max(Date.now(), this.#lastT);
    for (;;) {
      const begin = performance.now();
      if (this.#compact(this.#waiting(() => now)) === 0) return;
      await pauseAfter(performance.now() - begin);
    }
  }

  /**
   * Shards in which something waits since before what `before` says of each, or since before the clock was set back.
   * The longest waiting come first.
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

  /** How many bytes of the journal were filed. What cannot be read is set aside, so that it holds nothing else up. */
  #compact(shards: readonly number[]): number {
    if (shards.length === 0) return 0;
    try {
      return this.#write(() => (this.#canCompact() ? this.#compaction.compact(shards) : 0));
    } catch (error) {
      if (!(error instanceof FrameError)) throw error;
      const aside = this.#write(() => this.#compaction.quarantine(shards));
      if (aside === 0) throw damaged(this.#path, error.message);
      process.emitWarning(`${aside} batches of frames cannot be read and were set aside: ${error.message}`);
      return aside;
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
      this.#pages.forget();
      if (isDamage(error)) throw damaged(this.#path, error.message);
      const fault = this.#diskFault(error);
      if (!fault) throw error;
      this.#quota.noteDisk(true);
      throw fault;
    }
  }

  /** Throws StoreError `full` or `disk-error` if nothing can be written beside the store: LMDB prints lines of its own where it cannot. */
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

  /** Has what is there filed, as far as that can be done at once; on a full disk it cannot. */
  #freshen(): void {
    const end = performance.now() + FRESHEN_MS;
    try {
      while (this.#quota.hasDisk() && this.#compact(this.#waiting()) > 0 && performance.now() < end);
    } catch (error) {
      if (!(error instanceof StoreError)) throw error;
    }
    this.#storeFile.root.resetReadTxn();
    this.#pages.refresh();
  }

  /** Reads with what is due filed first. Throws StoreError `damaged` where LMDB finds its file damaged. */
  #read<T>(read: () => T): T {
    try {
      this.#freshen();
      return read();
    } catch (error) {
      throw isDamage(error) ? damaged(this.#path, error.message) : error;
    }
  }

  /** Tells what a reader has passed over. */
  #tell(what: string, leftOut: LeftOut | undefined): void {
    if (leftOut) this.#onLeftOut(damaged(this.#path, `${what} cannot be read in full: ${leftOut.first}`));
  }

  async sites(): Promise<string[]> {
    return this.#read(() => [...firstParts(this.#tables.bySite)]);
  }

  async visits(query: VisitQuery): Promise<Part<Visit>> {
    const part = this.#read(() => this.#visits(query));
    this.#tell(`the list of visits of ${query.site}`, part.leftOut);
    return part;
  }

  #visits(query: VisitQuery): Part<Visit> {
    const { site, to = LAST, oldestFirst = false, after, limit } = query;
    const from = Math.max(query.from ?? 0, this.#droppedBefore(site));
    const [begin, end] = oldestFirst ? [from, to] : [to, from];
    const start = after === undefined ? [site, begin, 0] : [site, ...cursorOf(after)];
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
      if (items.length === limit || looks === MAX_LOOKS) return part(last);
      looks += 1;
      // A damaged key would make a cursor that is none.
      if (!Number.isInteger(since) || !Number.isInteger(number)) continue;
      last = `${since}.${number}`;
      const visit = this.#visitTable.get(number);
      if (!visit) damage.note(lostVisit(since));
      else if (matches(visit, query)) items.push(toVisit(visit));
    }
    return part(null);
  }

  async visit(id: string, site?: string): Promise<Visit | undefined> {
    const visit = this.#read(() => this.#given(this.#visitTable.find(id)));
    return visit && (site ?? visit.site) === visit.site ? toVisit(visit) : undefined;
  }

  async lastFrame(_site: string, id: string, most: number): Promise<number> {
    this.#catchUp(shardOf(id));
    this.#storeFile.root.resetReadTxn();
    const number = this.#visitTable.find(id);
    const visit = number === undefined ? undefined : this.#visitTable.get(number);
    return visit ? lastUpTo(visit.seen, most) : 0;
  }

  /** Files what waited in a shard when the store was opened, once. */
  #catchUp(shard: number): void {
    if (this.#caughtUp.has(shard)) return;
    const isOld = (one: number) => (one === shard ? this.#openedAt : Number.NEGATIVE_INFINITY);
    while (this.#waiting(isOld).length > 0) if (this.#compact([shard]) === 0) return;
    this.#caughtUp.add(shard);
  }

  /** A visit that may be shown. */
  #given(number: number | undefined): VisitRow | undefined {
    const visit = number === undefined ? undefined : this.#visitTable.get(number);
    return visit && visit.since >= this.#droppedBefore(visit.site) ? visit : undefined;
  }

  /** Visits of a site that began before this time are of one that was removed. */
  #droppedBefore(site: string): number {
    return this.#tables.dropped.get(site) ?? 0;
  }

  /** Counts of a site are also those of the removed one of its key as long as that has visits. */
  #hasRemains(site: string): boolean {
    const before = this.#droppedBefore(site);
    const range = { start: [site, 0, 0], end: [site, before, 0], limit: 1 };
    if (before === 0) return false;
    if ([...this.#tables.bySite.getKeys(range as never)].length > 0) return true;
    // Large ones are in no list any more while their pieces go.
    const { going, sorting } = this.#tables;
    const isOf = ({ value }: { value: RemovedVisit }) => value.site === site && value.since < before;
    return [...going.getRange()].some(isOf) || [...sorting.getRange()].some(isOf);
  }

  async runs(id: string, after?: string): Promise<Part<Run>> {
    const part = this.#read(() => this.#runs(id, after));
    this.#tell(`visit ${id}`, part.leftOut);
    return part;
  }

  #runs(id: string, after: string | undefined): Part<Run> {
    const number = this.#visitTable.find(id);
    if (number === undefined || !this.#given(number)) return { items: [], next: null };
    const part = new RunPart(after);
    const damage = new DamageLog();
    for (const run of readable(this.#visitTable.runs(number, damage, part.t), damage)) if (!part.take(run)) break;
    return part.part(damage);
  }

  async scenes(site: string, page: string | null, from: number, to: number): Promise<VisitRuns[]> {
    const scenes = this.#read(() => this.#scenes(site, page, from, to));
    for (const { visit, leftOut } of scenes) this.#tell(`visit ${visit.id}`, leftOut);
    return scenes;
  }

  #scenes(site: string, page: string | null, from: number, to: number): VisitRuns[] {
    const number = page === null ? undefined : this.#pages.find(site, page);
    if (page !== null && number === undefined) return [];
    const scenes: VisitRuns[] = [];
    for (const one of this.#visitTable.during(site, number, from, to)) {
      const visit = this.#given(one);
      if (!visit) continue;
      const damage = new DamageLog();
      const sound = readable(this.#visitTable.runs(one, damage, from), damage);
      scenes.push(sceneOf(toVisit(visit), runsDuring(sound, from, to), damage));
    }
    return scenes;
  }

  async pages(site: string, days: Days): Promise<PageCounts[]> {
    return this.#read(() => (this.#hasRemains(site) ? [] : readPages(this.#tables, this.#pages, site, days)));
  }

  async days(site: string, page: string | null, days: Days): Promise<DayCounts[]> {
    return this.#read(() => (this.#hasRemains(site) ? [] : readDays(this.#tables, this.#pages, site, page, days)));
  }

  async heat(query: HeatQuery): Promise<Heat> {
    const damage = new DamageLog();
    const heat = this.#read(() =>
      this.#hasRemains(query.site) ? noHeat() : readHeat(this.#tables, this.#pages, query, damage),
    );
    this.#tell(`the heatmap of ${query.site}${query.page}`, damage.leftOut);
    return heat;
  }

  async erase(id: string, note?: AuditNote): Promise<boolean> {
    // What waits of it is to go too. What comes later is not kept, since the visit is noted as erased.
    await this.#compactShard(shardOf(id));
    const isThere = this.#write(() => {
      const number = this.#visitTable.find(id);
      if (number === undefined) return false;
      this.#takeTurn();
      this.#count('erase', this.#removal.start([number]));
      this.#tables.erased.putSync(id, Date.now());
      this.#audit.add(note);
      return true;
    });
    if (isThere) await this.#finishRemovals();
    return isThere;
  }

  /** Files what waits in a shard now, in as many writes as it takes; acks are written in between. */
  async #compactShard(shard: number): Promise<void> {
    this.#storeFile.root.resetReadTxn();
    const range = { start: [shard, LAST, 0, 0], end: [shard, 0, 0, 0], reverse: true, limit: 1 };
    const [last] = this.#tables.journal.getKeys(range as never);
    const before = last?.[1] ?? 0;
    while (this.#waiting((one) => (one === shard ? before : -1)).length > 0) {
      const begin = performance.now();
      if (this.#compact([shard]) === 0) return;
      await pauseAfter(performance.now() - begin);
    }
  }

  /** Removes what is left of large visits, with pauses in which acks are written. A store that is closed meanwhile goes on when it is opened again. */
  async #finishRemovals(): Promise<void> {
    while (!this.#isClosing) {
      const begin = performance.now();
      if (!this.#step()) return;
      await pauseAfter(performance.now() - begin);
    }
  }

  #step(): boolean {
    this.#storeFile.root.resetReadTxn();
    if (!this.#removal.isPending) return false;
    return this.#write(() => {
      this.#takeTurn();
      return this.#removal.step();
    });
  }

  /** Within a write: this process removes visits now, and others leave that to it. Of several at once each would leave less time for acks. */
  #takeTurn(): void {
    const turn: Turn = { by: this.#writer, at: Date.now() };
    this.#tables.upkeep.putSync(REMOVER, turn);
  }

  /** False while another process removes visits; one that has died is waited for no longer. */
  #isMyTurn(): boolean {
    const turn = this.#tables.upkeep.get(REMOVER) as Turn | undefined;
    return turn === undefined || turn.by === this.#writer || Math.abs(Date.now() - turn.at) > TURN_MS;
  }

  async dropSite(site: string, before: number): Promise<void> {
    this.#write(() => this.#tables.dropped.putSync(site, before));
  }

  async prune(before: number, most: number): Promise<number> {
    await this.#finishRemovals();
    const removed = await this.#prune(before, most);
    await this.#finishRemovals();
    return removed;
  }

  async #prune(before: number, most: number, now = Date.now()): Promise<number> {
    this.#storeFile.root.resetReadTxn();
    await this.#sweep(before, now);
    this.#storeFile.root.resetReadTxn();
    if (this.#quota.used() > most) await this.#weigh();
    if (this.#isClosing || this.#allDue(before, most).numbers.length === 0) return 0;
    return this.#write(() => {
      this.#takeTurn();
      const { reason, numbers } = this.#allDue(before, most);
      return this.#count(reason, this.#removal.start(numbers));
    });
  }

  /** Within a write: counts visits that were removed, for everybody and for the log of this process. */
  #count(reason: Reason, visits: number): number {
    const { upkeep } = this.#tables;
    const all = { ...noneRemoved(), ...(upkeep.get(REMOVED) as Removed | undefined) };
    all[reason] += visits;
    upkeep.putSync(REMOVED, all);
    this.#news.removed[reason] += visits;
    return visits;
  }

  /** What happened since this was asked last. */
  takeNews(): RemovalReport {
    const news = this.#news;
    this.#news = { removed: noneRemoved(), heldMs: 0 };
    return news;
  }

  /** The time by which visits grow old; record/age-clock.ts. A store that has none yet begins with the system's. */
  #ageTime(wall: number): number {
    const { upkeep } = this.#tables;
    const mono = monotonicNow();
    const kept = upkeep.get(CLOCK) as StoredTime | undefined;
    if (!kept) {
      this.#keepTime({ at: wall, mono });
      return wall;
    }
    // After a restart of the machine this begins anew: at least as much has passed.
    const elapsed = mono < kept.mono ? mono : mono - kept.mono;
    if (elapsed > SAVE_INTERVAL_MS || mono < kept.mono)
      this.#keepTime({ at: followClock(kept.at, elapsed, wall), mono });
    return ageTime(kept.at, elapsed, wall);
  }

  #keepTime(time: StoredTime): void {
    this.#write(() => this.#tables.upkeep.putSync(CLOCK, time));
  }

  /** Counts what the visits of each site take, in a store from before that was counted. What changes meanwhile is counted nearly. */
  async #weigh(): Promise<void> {
    if (this.#visitTable.weights()) return;
    const sums = new Map<string, number>();
    for (let next: number | undefined = 0; next !== undefined && !this.#isClosing; ) {
      const begin = performance.now();
      next = this.#visitTable.weigh(next, sums);
      await pauseAfter(performance.now() - begin);
      this.#storeFile.root.resetReadTxn();
    }
    if (!this.#isClosing) this.#write(() => this.#visitTable.putWeights(sums));
  }

  /** Removes what was set aside before `before`, and forgets what was erased long ago. */
  async #sweep(before: number, now: number): Promise<void> {
    const at = performance.now();
    if (at - this.#sweptAt < SWEEP_MS) return;
    this.#sweptAt = at;
    const { damaged: aside, erased } = this.#tables;
    await this.#sweepIn(aside, ([, t]) => t < before);
    await this.#sweepIn(erased, (id) => (erased.get(id) ?? now) < now - ERASED_MS);
  }

  /** Looks through a table, and removes what is over, some entries in one write; acks are written in between. */
  async #sweepIn<V, K extends Key>(table: Database<V, K>, isOver: (key: K) => boolean): Promise<void> {
    for (let last: K | undefined; !this.#isClosing; ) {
      const begin = performance.now();
      this.#storeFile.root.resetReadTxn();
      const keys = [...table.getKeys({ limit: SWEPT_AT_ONCE, ...(last !== undefined && { start: last }) })];
      const over = keys.filter(isOver);
      if (over.length > 0)
        this.#write(() => {
          for (const key of over) if (isOver(key)) table.removeSync(key);
        });
      if (keys.length < SWEPT_AT_ONCE) return;
      last = keys.at(-1);
      await pauseAfter(performance.now() - begin);
    }
  }

  #allDue(before: number, most: number): { reason: Reason; numbers: number[] } {
    for (const { key: site, value } of this.#tables.dropped.getRange()) {
      const numbers = this.#dropped(site, value);
      if (numbers.length > 0) return { reason: 'site', numbers };
    }
    if (this.#quota.used() > most) return { reason: 'cap', numbers: this.#surplus() };
    return { reason: 'age', numbers: this.#ended(before) };
  }

  /** The oldest visits of the site that is furthest over its share of the store. */
  #surplus(): number[] {
    const weights = this.#visitTable.weights() ?? [];
    const sites = weights.map(([site, weight]) => ({ name: site, weight, site }));
    for (const { site, bytes } of rankBySurplus(sites, this.#shares)) {
      const range = { start: [site, 0, 0], end: [site, LAST, 0], limit: PRUNE_VISITS };
      const due = [...this.#tables.bySite.getKeys(range as never)].map(([, , number]) => number);
      if (due.length > 0) return takeWeight(due, bytes, (number) => this.#visitTable.get(number)?.weight ?? 0);
    }
    return [];
  }

  /** Some visits of a site that was dropped. That is forgotten when all that was under way then has been filed. */
  #dropped(site: string, before: number): number[] {
    const { dropped, bySite } = this.#tables;
    const range = { start: [site, 0, 0], end: [site, before, 0], limit: PRUNE_VISITS };
    const due = [...bySite.getKeys(range as never)].map(([, , number]) => number);
    const isOver = due.length === 0 && Date.now() - before > DROPPED_MS && this.#waiting(() => before).length === 0;
    if (isOver)
      this.#write(() => {
        if (dropped.get(site) === before) dropped.removeSync(site);
      });
    return due;
  }

  /** The oldest visits of those that have ended before, wherever they are among others. */
  #ended(before: number): number[] {
    const due: number[] = [];
    // It is not known yet when these end.
    const sorted = new Set([...this.#tables.sorting.getRange()].map(({ value }) => value.into));
    for (const [since, number] of this.#tables.byAge.getKeys({ limit: MAX_LOOKS })) {
      if (due.length === PRUNE_VISITS || since >= before) break;
      if (!sorted.has(number) && (this.#visitTable.get(number)?.tally.until ?? 0) < before) due.push(number);
    }
    return due;
  }

  /**
   * As `prune` of what ended longer than `retainMs` ago, and of what is over the cap, for at most so long,
   * milliseconds, unless another process does it now, or a long read keeps what is removed from being used again. What
   * is left of large visits goes first: they take room, and are in no list any more. Acks are written in pauses that
   * are as long as the writes.
   */
  async pruneSome(wall: number, retainMs: number, limitMs: number): Promise<void> {
    const end = performance.now() + limitMs;
    if (this.#isClosing || !this.#quota.hasDisk()) return;
    this.#storeFile.root.resetReadTxn();
    const now = this.#ageTime(wall);
    const before = now - retainMs;
    if (wall - now > MAX_AHEAD_MS && this.#ended(wall - retainMs).length > this.#ended(before).length)
      this.#news.heldMs = wall - now;
    while (!this.#isClosing && this.#quota.hasDisk() && performance.now() < end) {
      const begin = performance.now();
      this.#storeFile.root.resetReadTxn();
      if (!this.#isMyTurn() || !this.#canRemove()) return;
      if (!this.#step() && (await this.#prune(before, this.#quota.pruneNow, now)) === 0) return;
      await pauseAfter(performance.now() - begin);
    }
  }

  #canRemove(): boolean {
    return this.#quota.canGrow() || this.#storeFile.alone(() => this.#quota.canRemove());
  }

  /** Ends what is done in the background; to be called before the file is closed. */
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

  /** Has what readers that died have held be used again. */
  clearReaders(): void {
    this.#storeFile.root.readerCheck();
  }

  /** With a team, all its threads read one state of the store. */
  async verify(progress?: Progress, team?: Team, partBytes?: number): Promise<Difference[]> {
    await this.compactAll();
    const { root } = this.#storeFile;
    const reading = this.#storeFile.alone(() => {
      team?.begin();
      root.resetReadTxn();
      return root.useReadTransaction();
    });
    try {
      return differences({ tables: this.#tables, pages: this.#pages, shelf: this.#visitTable }, progress, {
        team,
        partBytes,
      });
    } finally {
      reading.done();
    }
  }
}
