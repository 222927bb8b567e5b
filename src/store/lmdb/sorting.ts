/**
 * Rewrites visits when runs arrive that belong before their end, as from an import. It does so in pieces, one write
 * for each, since every ack waits for a write. The runs that arrived wait in the table `sortRuns`. The visit gets a
 * new number, without runs at first. Each piece takes some runs away from the old number, as lmdb-removal.ts does. It puts
 * them under the new number, together with those of `sortRuns` that belong between them. So the counts
 * always match the stored runs.
 *
 * Until a visit is rewritten, nothing else of its shard is filed, so that later frames of the visit come after it. If
 * the process is killed, the next process that files continues from there.
 */
import type { Run } from '../archive.ts';
import { Aggregator } from '../record/aggregator.ts';
import { DamageLog, warnOfLeftOut } from '../record/damage.ts';
import { Sums } from '../record/sums.ts';
import type { LmdbRemoval } from './lmdb-removal.ts';
import type { PageTable } from './page-table.ts';
import { putSums } from './sum-tables.ts';
import { LAST, type SortingVisit, type Tables } from './tables.ts';
import type { VisitTable } from './visit-table.ts';

/** A rewritten piece is taken away and put back, so one write takes this share of what it could remove. */
const SHARE = 0.5;

export class Sorting {
  readonly #tables: Tables;
  readonly #pages: PageTable;
  readonly #visitTable: VisitTable;
  readonly #removal: LmdbRemoval;
  readonly #path: string;

  /** `path`: of the store's file. */
  constructor(tables: Tables, pages: PageTable, visitTable: VisitTable, removal: LmdbRemoval, path: string) {
    this.#tables = tables;
    this.#pages = pages;
    this.#visitTable = visitTable;
    this.#removal = removal;
    this.#path = path;
  }

  /** Old number of a visit of this shard that is being rewritten; undefined: there is none. */
  next(shard: number): number | undefined {
    const range = { start: [shard, 0], end: [shard, LAST], limit: 1 };
    return [...this.#tables.sortQueue.getKeys(range as never)][0]?.[1];
  }

  /** Within a write: lays down the next piece of the visit that `next` gave. */
  step(shard: number, number: number): void {
    const { sorting: table } = this.#tables;
    const sorting = table.get(number);
    if (!sorting || !this.#visitTable.get(sorting.into)) {
      this.#giveUp(shard, number, sorting);
      return;
    }
    const sums = new Sums();
    const before: Run[] = [];
    const isLeft = this.#removal.takePiece(number, sorting, sums, (run) => before.push(run), SHARE);
    const replaced = new Set(sorting.replaced);
    const kept = before.filter(({ n }) => !replaced.has(n));
    this.#put(sorting.into, [...kept, ...this.#due(sorting.into, this.#visitTable.begin(number))], sums);
    putSums(this.#tables, sums, this.#pages);
    if (isLeft) table.putSync(number, sorting);
    else this.#end(shard, number);
  }

  /** Takes the runs out of `sortRuns` that are from before `end`. Runs of one filing wait there at most. */
  #due(into: number, end = LAST): Run[] {
    const { sortRuns } = this.#tables;
    const due = [...sortRuns.getRange({ start: [into, 0, 0], end: [into, end, 0] })];
    for (const { key } of due) sortRuns.removeSync(key);
    return due.map(({ value }) => value);
  }

  #put(number: number, runs: Run[], sums: Sums): void {
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

  /** The visit was removed meanwhile, or what is known of it is damaged: the rest of it is removed. */
  #giveUp(shard: number, number: number, sorting: SortingVisit | undefined): void {
    if (sorting) {
      const { into, replaced: _, ...going } = sorting;
      this.#due(into);
      this.#tables.going.putSync(number, going);
    } else this.#removal.lose(number);
    this.#end(shard, number);
  }

  #end(shard: number, number: number): void {
    this.#tables.sorting.removeSync(number);
    this.#tables.sortQueue.removeSync([shard, number]);
  }
}
