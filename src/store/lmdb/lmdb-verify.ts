/** Recomputes what the frames add up to, and compares it with the stored counts. record/recount.ts describes how. */
import type { Difference, Progress } from '../archive.ts';
import {
  type CellRow,
  type Compare,
  type CountRow,
  compareCells,
  compareCounts,
  comparer,
  compareSpots,
  PART_BYTES,
  type SpotRow,
} from '../record/recount.ts';
import { countsFrom, type Sums } from '../record/sums.ts';
import { type CountSource, type CountUnit, countUnit, pagesOfUnit, shareOf, unitsOf } from './count-unit.ts';
import { firstParts, type Tables } from './tables.ts';

/**
 * Other threads that read the same state of the store. Each counts its share of every unit, in the order of the units.
 */
export interface Team {
  /** The number of threads that count, including the caller. */
  readonly shares: number;
  /** Makes the others start reading. Call it while nobody can commit. */
  start(): void;
  /** Visits that the others have counted so far. */
  counted(): number;
  /**
   * Waits for the others' counts of unit number `unit`, adds them to `sums`, and returns the differences that they
   * found.
   */
  join(unit: number, sums: Sums): Difference[];
}

const ALONE: Team = { shares: 1, start() {}, counted: () => 0, join: () => [] };

/**
 * Implements `Archive.verify` for compacted frames. Runs without a pause, so that all reads see one state of the store.
 */
export function differences(
  source: CountSource,
  progress: Progress = () => {},
  { partBytes = PART_BYTES, team = ALONE }: { partBytes?: number | undefined; team?: Team | undefined } = {},
): Difference[] {
  const found: Difference[] = [];
  const compare = comparer(found);
  const units = unitsOf(source, partBytes);
  const total = units.reduce((sum, { visits }) => sum + visits.length, 0);
  const names = namesIn(source.tables);
  let done = 0;
  const report = () => progress(done + team.counted(), total);
  for (const [i, unit] of units.entries()) {
    const counted = countUnit(source, unit, shareOf(unit, 0, team.shares), () => {
      done += 1;
      report();
    });
    for (const difference of [...counted.found, ...team.join(i, counted.sums)])
      compare(difference.what, difference.kept, difference.found);
    if (team.shares > 1) report();
    compareUnit(source, unit, names, counted.sums, compare);
  }
  return found;
}

/** Sites and pages with stored data. */
interface Names {
  sites: readonly string[];
  pages: readonly number[];
}

function namesIn({ counts, cells, spots }: Tables): Names {
  return { sites: [...firstParts(counts)], pages: [...new Set([...firstParts(cells), ...firstParts(spots)])] };
}

function compareUnit(
  { tables, pages }: CountSource,
  unit: CountUnit,
  names: Names,
  sums: Sums,
  compare: Compare,
): void {
  const { day } = unit;
  const has = pagesOfUnit(unit);
  const nameOf = (page: number) => pages.nameOf(page);
  const few = names.pages.filter(has);
  compareCounts(countRows(tables, names.sites, day, has), sums, day, nameOf, compare);
  compareCells(cellRows(tables, few, day), sums, day, nameOf, compare);
  compareSpots(spotRows(tables, few, day), sums, day, nameOf, compare);
}

function* countRows(
  { counts }: Tables,
  sites: readonly string[],
  day: number,
  has: (page: number) => boolean,
): Generator<CountRow> {
  for (const site of sites)
    for (const { key, value } of counts.getRange({ start: [site, day, 0], end: [site, day + 1, 0] }))
      if (has(key[2])) yield { site, page: key[2], counts: countsFrom(value) };
}

function* cellRows({ cells }: Tables, pages: readonly number[], day: number): Generator<CellRow> {
  for (const number of pages)
    for (const { key, value } of cells.getRange({ start: [number, day, 0, 0], end: [number, day + 1, 0, 0] }))
      yield { page: number, slice: key[2], band: key[3], tile: value };
}

function* spotRows({ spots }: Tables, pages: readonly number[], day: number): Generator<SpotRow> {
  for (const number of pages)
    for (const { key, value } of spots.getRange({ start: [number, day, 0, ''], end: [number, day + 1, 0, ''] }))
      yield { page: number, device: key[2], selector: key[3], tile: value };
}
