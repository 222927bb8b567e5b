/** Visits and their runs: where each is put, and found again. Changes are made within a write. */
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
import type { PageTable } from './page-table.ts';
import { LAST, type Tables, type VisitRow } from './tables.ts';

/** LMDB keeps larger values on pages of their own, bytes. */
const MAX_INLINE = 2000;
/** Chunks that begin at the same time are told apart by so much of a millisecond. */
const KEY_STEP = 0.001;
/** Visits that are weighed at once: some milliseconds. */
const WEIGHED_AT_ONCE = 1000;
/** No key of a site. */
const WEIGHED = '(all)';

export class VisitTable implements CompactionTarget<VisitRow> {
  readonly #tables: Tables;
  readonly #pages: PageTable;
  readonly #chunk = new Writer(2 * CHUNK_BYTES);

  constructor(tables: Tables, pages: PageTable) {
    this.#tables = tables;
    this.#pages = pages;
  }

  /** Number of the visit of this id. */
  find(id: string): number | undefined {
    return id.length > MAX_ID ? undefined : this.#tables.ids.get(id);
  }

  get(number: number): VisitRow | undefined {
    const visit = this.#tables.visits.get(number);
    // One from before visits were weighed; whoever puts it changes it before.
    if (visit) visit.weight ??= weightOf(visit);
    return visit;
  }

  init(visit: StoredVisit): VisitRow {
    return { ...visit, lastChunk: 0 };
  }

  isErased(id: string): boolean {
    return this.#tables.erased.doesExist(id);
  }

  restore(id: string): void {
    this.#tables.erased.removeSync(id);
  }

  /** What is left of a visit that is being removed is still under its number. */
  nextNumber(): number {
    const { visits, going, sorting, lost, chunks } = this.#tables;
    const last = (table: Database<unknown, number>) => [...table.getKeys({ reverse: true, limit: 1 })][0] ?? 0;
    const numbers = [visits, going, sorting, lost].map((table) => last(table as Database<unknown, number>));
    // The entry of the last visit may be damaged: what is left of it must not become another's.
    const [lastChunk] = chunks.getKeys({ reverse: true, limit: 1 });
    return Math.max(...numbers, lastChunk?.[0] ?? 0) + 1;
  }

  put(number: number, visit: VisitRow): void {
    const { visits, ids, bySite, byAge } = this.#tables;
    if (!visits.doesExist(number)) {
      ids.putSync(visit.id, number);
      bySite.putSync([visit.site, visit.since, number], true);
      byAge.putSync([visit.since, number], true);
    }
    this.#weigh(visit, weightOf(visit));
    visits.putSync(number, visit);
  }

  /** Puts down how much a visit takes now, and adds to the site's sum what that is more. */
  #weigh(visit: VisitRow, weight: number): void {
    this.#addWeight(visit.site, weight - (visit.weight ?? 0));
    visit.weight = weight;
  }

  #addWeight(site: string, by: number): void {
    const { weights } = this.#tables;
    const sum = (weights.get(site) ?? 0) + by;
    if (sum > 0) weights.putSync(site, sum);
    else weights.removeSync(site);
  }

  /** Bytes that each site's visits take, nearly; undefined: that was never counted. */
  weights(): [site: string, weight: number][] | undefined {
    const { weights } = this.#tables;
    if (!weights.doesExist(WEIGHED)) return undefined;
    return [...weights.getRange()].filter(({ key }) => key !== WEIGHED).map(({ key, value }) => [key, value]);
  }

  /** Adds to `sums` what some visits take, from number `from` on. The number to go on with; undefined: that were all. Outside of a write. */
  weigh(from: number, sums: Map<string, number>): number | undefined {
    let last: number | undefined;
    for (const { key, value } of this.#tables.visits.getRange({ start: from, limit: WEIGHED_AT_ONCE })) {
      sums.set(value.site, (sums.get(value.site) ?? 0) + (value.weight ?? weightOf(value)));
      last = key;
    }
    return last === undefined ? undefined : last + 1;
  }

  /** Within a write: puts down what the visits of each site take, in a store from before that was counted. */
  putWeights(sums: ReadonlyMap<string, number>): void {
    const { weights } = this.#tables;
    for (const key of [...weights.getKeys()]) weights.removeSync(key);
    for (const [site, sum] of sums) weights.putSync(site, sum);
    weights.putSync(WEIGHED, 1);
  }

  /** Lays runs behind those that are there. They are in the order of time, and tallied already. */
  append(number: number, visit: VisitRow, runs: readonly Run[]): void {
    const [first] = runs;
    if (!first) return;
    this.#noteMinutes(number, visit, visit.lastRun, runs);
    const chunk = this.#takeChunk(number, visit.lastChunk);
    for (const run of runs) {
      const begin = chunk.length;
      writeRun(chunk, this.#storedRun(visit.site, run));
      if (visit.bytes !== undefined) visit.bytes += chunk.length - begin;
      if (begin > 0 && chunk.length > CHUNK_BYTES) {
        this.#tables.chunks.putSync([number, visit.lastChunk], chunk.view(0, begin));
        chunk.shift(begin);
        visit.lastChunk = Math.max(run.t, visit.lastChunk + KEY_STEP);
      } else if (begin === 0) visit.lastChunk = run.t;
      visit.lastRun = run.t;
    }
    this.#tables.chunks.putSync([number, visit.lastChunk], chunk.view());
  }

  /** Time of a visit's first run. */
  begin(number: number): number | undefined {
    return [...this.#tables.chunks.getKeys({ start: [number, 0], end: [number, LAST], limit: 1 })][0]?.[1];
  }

  /** True of a visit that is too large to be laid down anew again and again. */
  isLong(number: number): boolean {
    const range = { start: [number, 0], end: [number, LAST], limit: LONG_CHUNKS + 1 } as const;
    return [...this.#tables.chunks.getKeys(range as never)].length > LONG_CHUNKS;
  }

  /** A visit's last chunk (0: none yet), to be gone on with. */
  #takeChunk(number: number, t: number): Writer {
    const { chunks } = this.#tables;
    const chunk = this.#chunk;
    chunk.clear();
    const bytes = t === 0 ? undefined : chunks.getBinaryFast([number, t]);
    // What LMDB gives without a copy may go on behind its `length`.
    if (bytes) chunk.raw(bytes.subarray(0, bytes.length));
    // A value that outgrows its page leaves that nearly empty for good, unless it is taken out before.
    if (chunk.length > 0 && chunk.length <= MAX_INLINE) chunks.removeSync([number, t]);
    return chunk;
  }

  #storedRun(site: string, run: Run): StoredRun {
    return { ...run, page: this.#pages.numberOf(site, run.page) };
  }

  /** Puts down on which pages the visit was in the minutes since `from`. */
  #noteMinutes(number: number, visit: VisitRow, from: number, runs: readonly Run[]): void {
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
   * The runs of a visit, from the one that may still be going on at `from`. Throws FrameError if they are damaged; with `damage`, what is
   * so is passed over.
   */
  *runs(number: number, damage?: DamageLog, from = 0, unnamed?: (page: number) => string): Generator<Run> {
    const { chunks } = this.#tables;
    const [begin] = chunks.getKeys({ start: [number, from - RUN_MS], end: [number, 0], reverse: true, limit: 1 });
    const start: [number, number] = begin ?? [number, 0];
    for (const { value } of chunks.getRange({ start, end: [number, LAST] })) yield* this.runsIn(value, damage, unnamed);
  }

  /** Takes all runs of a visit away, one chunk after the other, and tells each. */
  clear(number: number, visit: VisitRow, tell: (run: Run) => void, damage: DamageLog): void {
    const { chunks, minutes } = this.#tables;
    for (const key of [...chunks.getKeys({ start: [number, 0], end: [number, LAST] })]) {
      for (const run of this.runsIn(chunks.get(key) as Buffer, damage)) {
        tell(run);
        for (const minute of minutesIn(run)) minutes.removeSync([visit.site, minute, number]);
      }
      chunks.removeSync(key);
    }
    for (const minute of this.#minutesOf(visit, 0).keys()) minutes.removeSync([visit.site, minute, number]);
    visit.lastRun = 0;
    visit.lastChunk = 0;
    visit.bytes = 0;
  }

  /** Schedules a visit to be rewritten with these runs, piece by piece (sorting.ts), without the runs numbered in `replaced`. */
  rewriteLater(number: number, visit: VisitRow, runs: readonly Run[], replaced: ReadonlySet<number>): void {
    const { sorting, sortQueue, sortRuns } = this.#tables;
    const into = this.nextNumber();
    this.unlist(number, visit);
    sorting.putSync(number, { ...newRemovedVisit(visit), into, replaced: [...replaced] });
    sortQueue.putSync([shardOf(visit.id), number], true);
    const none = { frames: 0, lastRun: 0, lastChunk: 0, bytes: 0, weight: 0 };
    this.put(into, { ...visit, ...none, tally: restartAggregation(visit) });
    for (const run of runs) sortRuns.putSync([into, run.t, run.n], run);
  }

  /** The runs of a chunk. `unnamed` says what a page is called that has no name any more. */
  runsIn(chunk: Buffer, damage?: DamageLog, unnamed: (page: number) => string = () => OTHER_PAGES): Run[] {
    const runs = decodeRuns(chunk, damage);
    return runs.map((run) => nameRun(run, this.#pages.nameOf(run.page) || unnamed(run.page)));
  }

  /** Takes a visit away, and tells its runs, as far as they can be read. What it added to counts is still there. */
  remove(number: number, visit: VisitRow, tell: (run: Run) => void, damage: DamageLog): void {
    this.clear(number, visit, (run) => damage.tryRead(() => tell(run)), damage);
    this.unlist(number, visit);
  }

  /** Takes a visit out of all lists; its runs and its minutes are still there. */
  unlist(number: number, visit: VisitRow): void {
    const { visits, ids, bySite, byAge } = this.#tables;
    this.#weigh(visit, 0);
    visits.removeSync(number);
    ids.removeSync(visit.id);
    bySite.removeSync([visit.site, visit.since, number]);
    byAge.removeSync([visit.since, number]);
  }

  /** Numbers of the visits that were on a page (undefined: on any) in the minutes of this time. */
  during(site: string, page: number | undefined, from: number, to: number): Set<number> {
    const found = new Set<number>();
    const range = { start: [site, minuteIn(from), 0], end: [site, minuteIn(to), LAST] } as const;
    for (const { key, value } of this.#tables.minutes.getRange(range as never))
      if (page === undefined || value.includes(page)) found.add(key[2]);
    return found;
  }
}
