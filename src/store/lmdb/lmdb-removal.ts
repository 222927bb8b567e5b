/**
 * Removes visits. A small visit is removed in one write. A large one would hold up everybody's writes for seconds. So
 * one small write takes it out of all lists and into the table `going`, and its runs are removed piece by piece. Each
 * piece is also subtracted from the counts, so the counts always match the remaining runs. Whoever opens the store
 * later continues with the visits in `going`.
 */
import { MINUTE_MS } from '../../model/minute.ts';
import type { Run } from '../archive.ts';
import { Aggregator, restartAggregation } from '../record/aggregator.ts';
import { DamageLog, warnOfRemoved } from '../record/damage.ts';
import { minutesIn } from '../record/minute-sums.ts';
import {
  newRemovedVisit,
  PIECE_BYTES,
  PIECE_MINUTES,
  PieceBudget,
  type RemovedVisit,
  removedVisitName,
} from '../record/removal-queue.ts';
import { dayOf, Sums } from '../record/sums.ts';
import { DamagedVisits } from './damaged-visits.ts';
import type { PageNumberTable } from './page-table.ts';
import { putSums } from './sum-tables.ts';
import { LAST, type Tables, type VisitEntry } from './tables.ts';
import type { VisitTable } from './visit-table.ts';

/** Maximum duration of a piece, milliseconds: slow computers end it earlier. */
const PIECE_MS = 40;
/** Maximum number of chunks whose keys one write reads. */
const PIECE_CHUNKS = 256;

export class LmdbRemoval {
  readonly #tables: Tables;
  readonly #pages: PageNumberTable;
  readonly #visitTable: VisitTable;
  readonly #damagedVisits: DamagedVisits;
  readonly #path: string;
  readonly #pieceBytes: number;

  /** `path`: path of the store's file. */
  constructor(tables: Tables, pages: PageNumberTable, visitTable: VisitTable, path: string, pieceBytes = PIECE_BYTES) {
    this.#tables = tables;
    this.#pages = pages;
    this.#visitTable = visitTable;
    this.#damagedVisits = new DamagedVisits(tables);
    this.#path = path;
    this.#pieceBytes = pieceBytes;
  }

  /** True while visits are being removed. */
  get isPending(): boolean {
    return this.#current !== undefined || this.#damagedVisits.isPending;
  }

  /** Number of the visit that is being removed. */
  get #current(): number | undefined {
    return [...this.#tables.going.getKeys({ limit: 1 })][0];
  }

  /**
   * Within a write: removes visits, small ones together with their runs, up to the limit of one write. A large visit is
   * the last one of a write; `step` removes its runs. Returns how many visits were removed.
   */
  start(numbers: readonly number[]): number {
    const sums = new Sums();
    const faults: string[] = [];
    const budget = new PieceBudget(this.#pieceBytes);
    let removed = 0;
    for (const number of numbers) {
      const visit = this.#visitTable.get(number);
      const weight = visit?.weight ?? 0;
      if (!budget.take(visit, weight)) break;
      removed += 1;
      if (!visit) {
        this.#damagedVisits.add(number);
        faults.push('its entry cannot be read');
      } else if (budget.isLarge(visit, weight)) this.#startLarge(number, visit);
      else faults.push(...this.#remove(number, visit, sums));
    }
    putSums(this.#tables, sums, this.#pages);
    warnOfRemoved(faults, this.#path);
    return removed;
  }

  /** Removes a whole visit. Returns why parts could not be read, if any: those stay in the counts. */
  #remove(number: number, visit: VisitEntry, sums: Sums): string[] {
    const tally = new Aggregator(visit.site, sums, -1, this.#pages, restartAggregation(visit));
    const damage = new DamageLog();
    this.#visitTable.remove(number, visit, (run) => tally.add(run), damage);
    return damage.fault ? [damage.fault.message] : [];
  }

  /** Removes a visit from all lists. */
  #startLarge(number: number, visit: VisitEntry): void {
    this.#visitTable.unlist(number, visit);
    this.#tables.going.putSync(number, newRemovedVisit(visit));
  }

  /** Within a write: removes the next piece of the visit that is being removed. Returns false if there is none. */
  step(): boolean {
    const number = this.#current;
    if (number === undefined) return this.#damagedVisits.step();
    const { going: table } = this.#tables;
    const going = table.get(number);
    if (!going) {
      // The entry is damaged: the rest of the visit stays in the counts.
      table.removeSync(number);
      this.#damagedVisits.add(number);
      return true;
    }
    const sums = new Sums();
    const isLeft = this.takePiece(number, going, sums);
    putSums(this.#tables, sums, this.#pages);
    if (isLeft) table.putSync(number, going);
    else table.removeSync(number);
    return true;
  }

  /** Within a write: schedules a visit for removal whose entry cannot be read. */
  addDamaged(number: number): void {
    this.#damagedVisits.add(number);
  }

  /**
   * Within a write: removes the next piece of a visit, and subtracts what it added to counts. Calls `onRun` for each
   * run that is not damaged. `share`: part of what one write may remove. Returns false if nothing is left.
   */
  takePiece(number: number, going: RemovedVisit, sums: Sums, onRun: (run: Run) => void = () => {}, share = 1): boolean {
    const tally = new Aggregator(going.site, sums, -1, this.#pages, going.away);
    tally.countDeepest(going.page, 1);
    // The number of the current page may be released only now.
    if (going.page > 0)
      sums.countsOf(going.site, this.#pages.numberOf(going.site, going.away.page), dayOf(going.since));
    const take = (run: Run) => {
      tally.add(run);
      onRun(run);
    };
    const isLeft = this.#removeChunks(number, going, take, share) || this.#removeMinutes(number, going);
    if (isLeft) tally.countDeepest(going.page, -1);
    if (!isLeft && going.damage !== '') warnOfRemoved([going.damage], this.#path);
    return isLeft;
  }

  /** Returns false if no chunk was left. */
  #removeChunks(number: number, going: RemovedVisit, take: (run: Run) => void, share: number): boolean {
    const { chunks, minutes } = this.#tables;
    const damage = new DamageLog();
    const end = performance.now() + share * PIECE_MS;
    let bytes = 0;
    for (const key of [...chunks.getKeys({ start: [number, 0], end: [number, LAST], limit: PIECE_CHUNKS })]) {
      if (bytes > 0 && (bytes >= share * this.#pieceBytes || performance.now() > end)) break;
      const chunk = chunks.get(key) as Buffer;
      for (const run of this.#visitTable.runsIn(chunk, damage, (page) => removedVisitName(going, page))) {
        damage.tryRead(() => take(run));
        for (const minute of minutesIn(run)) minutes.removeSync([going.site, minute, number]);
      }
      chunks.removeSync(key);
      bytes += chunk.length;
    }
    if (bytes === 0) return false;
    going.page = this.#pages.find(going.site, going.away.page) ?? 0;
    going.damage ||= damage.fault?.message ?? '';
    return true;
  }

  /** Removes the visit from some of the minutes of its stays. Returns false after the last one. */
  #removeMinutes(number: number, going: RemovedVisit): boolean {
    let left = PIECE_MINUTES;
    for (const { t, until } of going.stays)
      for (const minute of minutesIn({ t: Math.max(t, going.minute * MINUTE_MS), until })) {
        this.#tables.minutes.removeSync([going.site, minute, number]);
        going.minute = minute;
        left -= 1;
        if (left === 0) return true;
      }
    return false;
  }
}

/** Yields the remaining runs of a visit that is being removed, except damaged ones. */
export function* runsLeft(
  visitTable: VisitTable,
  number: number,
  going: RemovedVisit,
  damage: DamageLog,
): Generator<Run> {
  yield* visitTable.runs(number, damage, 0, (page) => removedVisitName(going, page));
}
