/**
 * Rewrites visits when runs arrive that belong before their end, as from an import. It works in pieces, one write each,
 * because every ack waits for a write. The new runs wait in the table `sortRuns`. The visit gets a new number, without
 * runs at first. Each piece removes some runs from the old number, as lmdb-removal.ts does, and puts them under the new
 * number, together with the runs of `sortRuns` that belong between them. So the counts always match the stored runs.
 *
 * Until a visit is rewritten, nothing else of its shard is compacted, so that later frames of the visit come after it.
 * If the process is killed, the next process that compacts continues from there.
 */
import type { Run } from '../archive.ts';
import { Aggregator } from '../record/aggregator.ts';
import { DamageLog, warnOfLeftOut } from '../record/damage.ts';
import { Sums } from '../record/sums.ts';
import type { LmdbRemoval } from './lmdb-removal.ts';
import type { PageNumberTable } from './page-table.ts';
import { putSums } from './sum-tables.ts';
import { LAST, type SortingVisit, type Tables } from './tables.ts';
import type { VisitTable } from './visit-table.ts';

/** A rewritten piece is removed and written again, so one write takes this share of what it could remove. */
const SHARE = 0.5;

export class Sorting {
  readonly #tables: Tables;
  readonly #pages: PageNumberTable;
  readonly #visitTable: VisitTable;
  readonly #removal: LmdbRemoval;
  readonly #path: string;

  /** `path`: path of the store's file. */
  constructor(tables: Tables, pages: PageNumberTable, visitTable: VisitTable, removal: LmdbRemoval, path: string) {
    this.#tables = tables;
    this.#pages = pages;
    this.#visitTable = visitTable;
    this.#removal = removal;
    this.#path = path;
  }

  /** Returns the old number of a visit of this shard that is being rewritten, or undefined. */
  next(shard: number): number | undefined {
    const range = { start: [shard, 0], end: [shard, LAST], limit: 1 };
    return [...this.#tables.sortQueue.getKeys(range as never)][0]?.[1];
  }

  /** Within a write: rewrites the next piece of the visit that `next` returned. */
  step(shard: number, number: number): void {
    const { sorting: table } = this.#tables;
    const sorting = table.get(number);
    if (!sorting || !this.#visitTable.get(sorting.into)) {
      this.#abandon(shard, number, sorting);
      return;
    }
    const sums = new Sums();
    const before: Run[] = [];
    const isLeft = this.#removal.takePiece(number, sorting, sums, (run) => before.push(run), SHARE);
    const replaced = new Set(sorting.replaced);
    const left = before.filter(({ n }) => !replaced.has(n));
    this.#append(sorting.into, [...left, ...this.#takeDue(sorting.into, this.#visitTable.firstTime(number))], sums);
    putSums(this.#tables, sums, this.#pages);
    if (isLeft) table.putSync(number, sorting);
    else this.#end(shard, number);
  }

  /** Removes and returns the runs of `sortRuns` from before `end`. They come from one compaction at most. */
  #takeDue(into: number, end = LAST): Run[] {
    const { sortRuns } = this.#tables;
    const due = [...sortRuns.getRange({ start: [into, 0, 0], end: [into, end, 0] })];
    for (const { key } of due) sortRuns.removeSync(key);
    return due.map(({ value }) => value);
  }

  #append(number: number, runs: Run[], sums: Sums): void {
    const visit = this.#visitTable.get(number);
    if (!visit) return;
    runs.sort((a, b) => a.t - b.t || a.n - b.n);
    const tally = new Aggregator(visit.site, sums, 1, this.#pages, visit.tally);
    const damage = new DamageLog();
    const add = (run: Run) => {
      tally.add(run);
      return true;
    };
    const sound = runs.filter((run) => damage.tryRead(() => add(run)));
    visit.frames += sound.reduce((sum, { frames }) => sum + frames, 0);
    this.#visitTable.append(number, visit, sound);
    this.#visitTable.put(number, visit);
    warnOfLeftOut(damage, this.#path);
  }

  /** Ends the rewrite of a visit that was removed meanwhile, or whose entry is damaged: the rest of it is removed. */
  #abandon(shard: number, number: number, sorting: SortingVisit | undefined): void {
    if (sorting) {
      const { into, replaced: _, ...going } = sorting;
      this.#takeDue(into);
      this.#tables.going.putSync(number, going);
    } else this.#removal.addDamaged(number);
    this.#end(shard, number);
  }

  #end(shard: number, number: number): void {
    this.#tables.sorting.removeSync(number);
    this.#tables.sortQueue.removeSync([shard, number]);
  }
}
