/** Recomputes what the frames add up to, and compares; record/verify.ts says how. */
import { entry } from '../../entry.ts';
import type { Difference, Progress } from '../archive.ts';
import { Damage } from '../record/damage.ts';
import type { GoingVisit } from '../record/going.ts';
import { OTHER_PAGES } from '../record/pages.ts';
import { dayOf, type Sums } from '../record/sums.ts';
import { Tally } from '../record/tally.ts';
import {
  addDays,
  type CellRow,
  type Compare,
  type CountRow,
  compareCells,
  compareCounts,
  comparer,
  compareSpots,
  daysBetween,
  firstDay,
  type KeptDay,
  PART_BYTES,
  partOf,
  Recount,
  type SpotRow,
} from '../record/verify.ts';
import type { PageBook } from './page-book.ts';
import { runsLeft } from './removal.ts';
import type { Shelf } from './shelf.ts';
import { firstParts, type ShelvedVisit, type Tables } from './tables.ts';

/** As `Archive.verify`, of what is filed. */
export function differences(
  tables: Tables,
  pages: PageBook,
  shelf: Shelf,
  progress?: Progress,
  partBytes = PART_BYTES,
): Difference[] {
  const found: Difference[] = [];
  const compare = comparer(found);
  const nameOf = (page: number) => pages.nameOf(page);
  const days = daysOf(tables, shelf, partBytes);
  const total = [...days.values()].reduce((sum, { visits, parts }) => sum + visits.length * parts, 0);
  let done = 0;
  const sites = [...firstParts(tables.counts)];
  const numbers = new Set([...firstParts(tables.cells), ...firstParts(tables.spots)]);
  for (const [day, { visits, parts }] of days)
    for (let part = 0; part < parts; part++) {
      const { has, sums } = partOf(day, parts, part);
      for (const number of visits) {
        recount(number, tables, pages, shelf, sums, part === 0 ? day : undefined, compare);
        done += 1;
        progress?.(done, total);
      }
      const few = [...numbers].filter(has);
      compareCounts(countRows(tables, sites, day, has), sums, day, nameOf, compare);
      compareCells(cellRows(tables, few, day), sums, day, nameOf, compare);
      compareSpots(spotRows(tables, few, day), sums, day, nameOf, compare);
    }
  return found;
}

/** The days that anything is kept of. */
function daysOf(tables: Tables, shelf: Shelf, partBytes: number): Map<number, KeptDay> {
  const days = new Map<number, KeptDay>();
  const at = (day: number) => entry(days, day, (): KeptDay => ({ visits: [], parts: 1 }));
  for (const { key, value } of tables.visits.getRange())
    for (const day of daysIn(key, value, shelf)) at(day).visits.push(key);
  for (const { key, value } of tables.going.getRange())
    for (const day of daysLeft(key, value, shelf)) at(day).visits.push(key);
  for (const [, day] of tables.counts.getKeys()) at(day);
  const bytes = new Map<number, number>();
  for (const table of [tables.cells, tables.spots])
    for (const { key, value } of table.getRange()) bytes.set(key[1], (bytes.get(key[1]) ?? 0) + value.length);
  for (const [day, size] of bytes) at(day).parts = Math.ceil(size / partBytes);
  return days;
}

function daysIn(number: number, visit: ShelvedVisit, shelf: Shelf): Set<number> {
  const first = firstDay(visit, shelf.begin(number));
  const between = daysBetween(first, dayOf(visit.tally.until));
  if (between) return between;
  const days = new Set([first]);
  for (const run of shelf.runs(number, new Damage())) addDays(days, run);
  return days;
}

/** The days of what is left of a visit that is being removed: those of its runs, and of the stay that they go on with. */
function daysLeft(number: number, going: GoingVisit, shelf: Shelf): Set<number> {
  const days = new Set([dayOf(going.away.stays.at(-1)?.t ?? going.since)]);
  for (const run of runsLeft(shelf, number, going, new Damage())) addDays(days, run);
  return days;
}

/** Adds a visit to the sums; on the first of its days it is compared with itself, too. */
function recount(
  number: number,
  { visits, going }: Tables,
  pages: PageBook,
  shelf: Shelf,
  sums: Sums,
  day: number | undefined,
  compare: Compare,
): void {
  const readOnly = {
    numberOf: (site: string, page: string) => pages.find(site, page) ?? pages.find(site, OTHER_PAGES) ?? -1,
    nameOf: (one: number) => pages.nameOf(one),
  };
  const gone = going.get(number);
  if (gone) {
    recountLeft(number, gone, shelf, new Tally(gone.site, sums, 1, readOnly, gone.away));
    return;
  }
  const visit = visits.get(number) as ShelvedVisit;
  const counted = new Recount(visit, sums, readOnly);
  const damage = new Damage();
  for (const run of shelf.runs(number, damage)) damage.pass(() => counted.add(run));
  if (day === firstDay(visit, shelf.begin(number))) counted.compare(compare, damage);
}

/** Adds what is left of a visit that is being removed. */
function recountLeft(number: number, going: GoingVisit, shelf: Shelf, tally: Tally): void {
  const damage = new Damage();
  tally.countDeepest(going.page, 1);
  for (const run of runsLeft(shelf, number, going, damage)) damage.pass(() => tally.add(run));
}

function* countRows(
  { counts }: Tables,
  sites: readonly string[],
  day: number,
  has: (page: number) => boolean,
): Generator<CountRow> {
  for (const site of sites)
    for (const { key, value } of counts.getRange({ start: [site, day, 0], end: [site, day + 1, 0] }))
      if (has(key[2])) yield { site, page: key[2], counts: value };
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
