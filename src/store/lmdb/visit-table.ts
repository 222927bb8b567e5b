/** Stores visits and their runs. Changes must be made within a write. */
import type { Database } from 'lmdb';
import { RUN_MS } from '../../protocol/passages.ts';
import { Writer } from '../../protocol/writer.ts';
import type { Run } from '../archive.ts';
import { restartAggregation } from '../record/aggregator.ts';
import { CHUNK_BYTES, decodeRuns, LONG_CHUNKS, nameRun, type StoredRun, writeRun } from '../record/chunk.ts';
import type { CompactionTarget } from '../record/compaction.ts';
import type { DamageLog } from '../record/damage.ts';
import { addRuns, addStays, minuteIn, minutesIn, type StoredMinutes } from '../record/minute-sums.ts';
import { OTHER_PAGES } from '../record/pages.ts';
import { newRemovedVisit } from '../record/removal-queue.ts';
import { shardOf } from '../record/shard.ts';
import { weightOf } from '../record/site-weight.ts';
import { MAX_ID, type StoredVisit } from '../record/stored-visit.ts';
import type { PageNumberTable } from './page-table.ts';
import { LAST, type Tables, type VisitEntry } from './tables.ts';

/** LMDB stores larger values on pages of their own, bytes. */
const MAX_INLINE = 2000;
/** Chunks that start at the same time get keys this far apart, milliseconds. */
const KEY_STEP = 0.001;
/** Maximum number of visits that are weighed at once: some milliseconds. */
const WEIGHED_AT_ONCE = 1000;
/** A key that no site has. */
const WEIGHED = '(all)';

export class VisitTable implements CompactionTarget<VisitEntry> {
  readonly #tables: Tables;
  readonly #pages: PageNumberTable;
  readonly #chunk = new Writer(2 * CHUNK_BYTES);

  constructor(tables: Tables, pages: PageNumberTable) {
    this.#tables = tables;
    this.#pages = pages;
  }

  /** Returns the number of the visit with this id. */
  find(id: string): number | undefined {
    return id.length > MAX_ID ? undefined : this.#tables.ids.get(id);
  }

  get(number: number): VisitEntry | undefined {
    const visit = this.#tables.visits.get(number);
    // A visit from before visits were weighed. Whoever stores it changes it before.
    if (visit) visit.weight ??= weightOf(visit);
    return visit;
  }

  init(visit: StoredVisit): VisitEntry {
    return { ...visit, lastChunk: 0 };
  }

  isErased(id: string): boolean {
    return this.#tables.erased.doesExist(id);
  }

  restore(id: string): void {
    this.#tables.erased.removeSync(id);
  }

  /** The rest of a visit that is being removed is still stored under its number. */
  nextNumber(): number {
    const { visits, going, sorting, lost, chunks } = this.#tables;
    const last = (table: Database<unknown, number>) => [...table.getKeys({ reverse: true, limit: 1 })][0] ?? 0;
    const numbers = [visits, going, sorting, lost].map((table) => last(table as Database<unknown, number>));
    // The entry of the last visit may be damaged: its remaining chunks must not become another visit's.
    const [lastChunk] = chunks.getKeys({ reverse: true, limit: 1 });
    return Math.max(...numbers, lastChunk?.[0] ?? 0) + 1;
  }

  put(number: number, visit: VisitEntry): void {
    const { visits, ids, bySite, byAge } = this.#tables;
    if (!visits.doesExist(number)) {
      ids.putSync(visit.id, number);
      bySite.putSync([visit.site, visit.since, number], true);
      byAge.putSync([visit.since, number], true);
    }
    this.#weigh(visit, weightOf(visit));
    visits.putSync(number, visit);
  }

  /** Notes the weight of a visit, and adds the difference to the weight of its site. */
  #weigh(visit: VisitEntry, weight: number): void {
    this.#addWeight(visit.site, weight - (visit.weight ?? 0));
    visit.weight = weight;
  }

  #addWeight(site: string, by: number): void {
    const { weights } = this.#tables;
    const sum = (weights.get(site) ?? 0) + by;
    if (sum > 0) weights.putSync(site, sum);
    else weights.removeSync(site);
  }

  /** Returns about how many bytes each site's visits take, or undefined if that was never counted. */
  weights(): [site: string, weight: number][] | undefined {
    const { weights } = this.#tables;
    if (!weights.doesExist(WEIGHED)) return undefined;
    return [...weights.getRange()].filter(({ key }) => key !== WEIGHED).map(({ key, value }) => [key, value]);
  }

  /**
   * Adds the weights of some visits to `sums`, from number `from` on. Returns the number to continue with, or undefined
   * after the last. Call it outside of a write.
   */
  weigh(from: number, sums: Map<string, number>): number | undefined {
    let last: number | undefined;
    for (const { key, value } of this.#tables.visits.getRange({ start: from, limit: WEIGHED_AT_ONCE })) {
      sums.set(value.site, (sums.get(value.site) ?? 0) + (value.weight ?? weightOf(value)));
      last = key;
    }
    return last === undefined ? undefined : last + 1;
  }

  /** Within a write: stores the weights of all sites, in a store from before they were counted. */
  putWeights(sums: ReadonlyMap<string, number>): void {
    const { weights } = this.#tables;
    for (const key of [...weights.getKeys()]) weights.removeSync(key);
    for (const [site, sum] of sums) weights.putSync(site, sum);
    weights.putSync(WEIGHED, 1);
  }

  /** Appends runs. They are in order of time, and already counted. */
  append(number: number, visit: VisitEntry, runs: readonly Run[]): void {
    const [first] = runs;
    if (!first) return;
    this.#noteMinutes(number, visit, visit.lastRun, runs);
    const chunk = this.#takeChunk(number, visit.lastChunk);
    for (const run of runs) {
      const start = chunk.length;
      writeRun(chunk, this.#storedRun(visit.site, run));
      if (visit.bytes !== undefined) visit.bytes += chunk.length - start;
      if (start > 0 && chunk.length > CHUNK_BYTES) {
        this.#tables.chunks.putSync([number, visit.lastChunk], chunk.view(0, start));
        chunk.shift(start);
        visit.lastChunk = Math.max(run.t, visit.lastChunk + KEY_STEP);
      } else if (start === 0) visit.lastChunk = run.t;
      visit.lastRun = run.t;
    }
    this.#tables.chunks.putSync([number, visit.lastChunk], chunk.view());
  }

  /** Returns the time of a visit's first run. */
  firstTime(number: number): number | undefined {
    return [...this.#tables.chunks.getKeys({ start: [number, 0], end: [number, LAST], limit: 1 })][0]?.[1];
  }

  /** Returns true if a visit is too large to be rewritten repeatedly. */
  isLong(number: number): boolean {
    const range = { start: [number, 0], end: [number, LAST], limit: LONG_CHUNKS + 1 } as const;
    return [...this.#tables.chunks.getKeys(range as never)].length > LONG_CHUNKS;
  }

  /** Returns a visit's last chunk, to be extended. `t`: its time, 0 if there is none. */
  #takeChunk(number: number, t: number): Writer {
    const { chunks } = this.#tables;
    const chunk = this.#chunk;
    chunk.clear();
    const bytes = t === 0 ? undefined : chunks.getBinaryFast([number, t]);
    // The buffer that LMDB returns without a copy may extend beyond its `length`.
    if (bytes) chunk.raw(bytes.subarray(0, bytes.length));
    // A value that outgrows its page leaves the page nearly empty for good, unless it is removed before.
    if (chunk.length > 0 && chunk.length <= MAX_INLINE) chunks.removeSync([number, t]);
    return chunk;
  }

  #storedRun(site: string, run: Run): StoredRun {
    return { ...run, page: this.#pages.numberOf(site, run.page) };
  }

  /** Notes the pages that the visit was on in each minute since `from`. */
  #noteMinutes(number: number, visit: VisitEntry, from: number, runs: readonly Run[]): void {
    const { minutes } = this.#tables;
    const noted = this.#minutesOf(visit, from);
    addRuns(noted, runs, (page) => this.#pages.numberOf(visit.site, page));
    for (const [minute, pages] of noted) {
      const known = minutes.get([visit.site, minute, number]) ?? [];
      const all = new Set([...known, ...pages]);
      if (all.size > known.length) minutes.putSync([visit.site, minute, number], [...all]);
    }
  }

  #minutesOf({ site, tally }: StoredVisit, from: number): StoredMinutes {
    const minutes: StoredMinutes = new Map();
    addStays(minutes, tally.stays, from, (page) => this.#pages.numberOf(site, page));
    return minutes;
  }

  /**
   * Yields the runs of a visit, starting with the one that may still continue at `from`. Throws FrameError if they are
   * damaged. With `damage`, damaged runs are skipped.
   */
  *runs(number: number, damage?: DamageLog, from = 0, unnamed?: (page: number) => string): Generator<Run> {
    const { chunks } = this.#tables;
    const [firstKey] = chunks.getKeys({ start: [number, from - RUN_MS], end: [number, 0], reverse: true, limit: 1 });
    const start: [number, number] = firstKey ?? [number, 0];
    for (const { value } of chunks.getRange({ start, end: [number, LAST] })) yield* this.runsIn(value, damage, unnamed);
  }

  /** Removes all runs of a visit, one chunk after the other, and calls `onRun` for each. */
  clear(number: number, visit: VisitEntry, onRun: (run: Run) => void, damage: DamageLog): void {
    const { chunks, minutes } = this.#tables;
    for (const key of [...chunks.getKeys({ start: [number, 0], end: [number, LAST] })]) {
      for (const run of this.runsIn(chunks.get(key) as Buffer, damage)) {
        onRun(run);
        for (const minute of minutesIn(run)) minutes.removeSync([visit.site, minute, number]);
      }
      chunks.removeSync(key);
    }
    for (const minute of this.#minutesOf(visit, 0).keys()) minutes.removeSync([visit.site, minute, number]);
    visit.lastRun = 0;
    visit.lastChunk = 0;
    visit.bytes = 0;
  }

  /**
   * Schedules a visit for a rewrite, piece by piece (sorting.ts): it gets these runs instead of those in `replaced`.
   */
  rewriteLater(number: number, visit: VisitEntry, runs: readonly Run[], replaced: ReadonlySet<number>): void {
    const { sorting, sortQueue, sortRuns } = this.#tables;
    const into = this.nextNumber();
    this.unlist(number, visit);
    sorting.putSync(number, { ...newRemovedVisit(visit), into, replaced: [...replaced] });
    sortQueue.putSync([shardOf(visit.id), number], true);
    const none = { frames: 0, lastRun: 0, lastChunk: 0, bytes: 0, weight: 0 };
    this.put(into, { ...visit, ...none, tally: restartAggregation(visit) });
    for (const run of runs) sortRuns.putSync([into, run.t, run.n], run);
  }

  /** Returns the runs of a chunk. `unnamed` names pages whose name was removed. */
  runsIn(chunk: Buffer, damage?: DamageLog, unnamed: (page: number) => string = () => OTHER_PAGES): Run[] {
    const runs = decodeRuns(chunk, damage);
    return runs.map((run) => nameRun(run, this.#pages.nameOf(run.page) || unnamed(run.page)));
  }

  /** Removes a visit, and calls `onRun` for each readable run. The counts still include it. */
  remove(number: number, visit: VisitEntry, onRun: (run: Run) => void, damage: DamageLog): void {
    this.clear(number, visit, (run) => damage.tryRead(() => onRun(run)), damage);
    this.unlist(number, visit);
  }

  /** Removes a visit from all lists. Its runs and minutes stay. */
  unlist(number: number, visit: VisitEntry): void {
    const { visits, ids, bySite, byAge } = this.#tables;
    this.#weigh(visit, 0);
    visits.removeSync(number);
    ids.removeSync(visit.id);
    bySite.removeSync([visit.site, visit.since, number]);
    byAge.removeSync([visit.since, number]);
  }

  /** Returns the numbers of the visits that were on a page (undefined: on any) in the minutes of this time. */
  findDuring(site: string, page: number | undefined, from: number, to: number): Set<number> {
    const found = new Set<number>();
    const range = { start: [site, minuteIn(from), 0], end: [site, minuteIn(to), LAST] } as const;
    for (const { key, value } of this.#tables.minutes.getRange(range as never))
      if (page === undefined || value.includes(page)) found.add(key[2]);
    return found;
  }
}
