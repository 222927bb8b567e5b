/** Recounts visits for verify.ts. Each thread of a team counts a share of them. */
import { getOrInsert } from '../../lib/get-or-insert.ts';
import type { Difference } from '../archive.ts';
import { Aggregator } from '../record/aggregator.ts';
import { DamageLog } from '../record/damage.ts';
import { OTHER_PAGES } from '../record/pages.ts';
import {
  addDays,
  type Compare,
  comparer,
  daysBetween,
  firstDay,
  mayTouch,
  newSums,
  pagesIn,
  Recount,
  type StoredDay,
} from '../record/recount.ts';
import type { RemovedVisit } from '../record/removal-queue.ts';
import { dayOf, type Sums } from '../record/sums.ts';
import { runsLeft } from './lmdb-removal.ts';
import type { PageNumberTable } from './page-table.ts';
import type { Tables, VisitEntry } from './tables.ts';
import type { VisitTable } from './visit-table.ts';

/** What a recount reads. */
export interface CountSource {
  tables: Tables;
  pages: PageNumberTable;
  visitTable: VisitTable;
}

/** A part of the pages of one day, whose counts are compared together. */
export interface CountUnit {
  day: number;
  /** Numbers of the visits on that day. */
  visits: readonly number[];
  /** The number of parts that the pages of the day are divided into, and the number of this part. */
  parts: number;
  part: number;
}

/**
 * Lists everything to compare. Threads that read the same state of the store get the same list. `partBytes`: maximum
 * size of the cells in one unit.
 */
export function unitsOf({ tables, visitTable }: CountSource, partBytes: number): CountUnit[] {
  const days = [...daysOf(tables, visitTable, partBytes)];
  return days.flatMap(([day, { visits, parts }]) =>
    Array.from({ length: parts }, (_, part) => ({ day, visits, parts, part })),
  );
}

/** Returns a function that tells whether a page is compared in this unit. */
export function pagesOfUnit({ parts, part }: CountUnit): (page: number) => boolean {
  return pagesIn(parts, part);
}

/** Returns the visits of a unit that thread number `share` of `shares` counts. */
export function shareOf({ visits }: CountUnit, share: number, shares: number): number[] {
  return visits.filter((_, i) => i % shares === share);
}

/**
 * Sums up what visits add to the pages of a unit, and finds visits that disagree with their own frames. Calls `onVisit`
 * after each visit.
 */
export function countUnit(
  source: CountSource,
  unit: CountUnit,
  visits: readonly number[],
  onVisit: () => void,
): { sums: Sums; found: Difference[] } {
  const has = pagesOfUnit(unit);
  const sums = newSums(unit.day, has);
  const found: Difference[] = [];
  const compare = comparer(found);
  for (const number of visits) {
    recount(number, source, sums, has, unit.part === 0 ? unit.day : undefined, compare);
    onVisit();
  }
  return { sums, found };
}

/** Returns the days with stored data. */
function daysOf(tables: Tables, visitTable: VisitTable, partBytes: number): Map<number, StoredDay> {
  const days = new Map<number, StoredDay>();
  const at = (day: number) => getOrInsert(days, day, (): StoredDay => ({ visits: [], parts: 1 }));
  for (const { key, value } of tables.visits.getRange())
    for (const day of daysIn(key, value, visitTable)) at(day).visits.push(key);
  for (const { key, value } of [...tables.going.getRange(), ...tables.sorting.getRange()])
    for (const day of daysLeft(key, value, visitTable)) at(day).visits.push(key);
  for (const [, day] of tables.counts.getKeys()) at(day);
  const bytes = new Map<number, number>();
  for (const table of [tables.cells, tables.spots])
    for (const { key, value } of table.getRange()) bytes.set(key[1], (bytes.get(key[1]) ?? 0) + value.length);
  for (const [day, size] of bytes) at(day).parts = Math.ceil(size / partBytes);
  return days;
}

function daysIn(number: number, visit: VisitEntry, visitTable: VisitTable): Set<number> {
  const first = firstDay(visit, visitTable.firstTime(number));
  const between = daysBetween(first, dayOf(visit.tally.until));
  if (between) return between;
  const days = new Set([first]);
  for (const run of visitTable.runs(number, new DamageLog())) addDays(days, run);
  return days;
}

/**
 * Returns the days that the rest of a visit touches while it is being removed: those of its runs, and of the stay that
 * continues in them.
 */
function daysLeft(number: number, going: RemovedVisit, visitTable: VisitTable): Set<number> {
  const days = new Set([dayOf(going.away.stays.at(-1)?.t ?? going.since)]);
  for (const run of runsLeft(visitTable, number, going, new DamageLog())) addDays(days, run);
  return days;
}

/** Adds a visit to the sums. With `day`, also compares the visit with its own frames if that is its first day. */
function recount(
  number: number,
  { tables: { visits, going, sorting }, pages, visitTable }: CountSource,
  sums: Sums,
  has: (page: number) => boolean,
  day: number | undefined,
  compare: Compare,
): void {
  const readOnly = {
    numberOf: (site: string, page: string) => pages.find(site, page) ?? pages.find(site, OTHER_PAGES) ?? -1,
    nameOf: (one: number) => pages.nameOf(one),
  };
  const removed = going.get(number) ?? sorting.get(number);
  if (removed) {
    recountLeft(number, removed, visitTable, new Aggregator(removed.site, sums, 1, readOnly, removed.away));
    return;
  }
  const visit = visits.get(number) as VisitEntry;
  if (day === undefined && !mayTouch(visit, (page) => has(readOnly.numberOf(visit.site, page)))) return;
  const counted = new Recount(visit, sums, readOnly);
  const damage = new DamageLog();
  for (const run of visitTable.runs(number, damage)) damage.tryRead(() => counted.add(run));
  if (day === firstDay(visit, visitTable.firstTime(number))) counted.compare(compare, damage);
}

/** Adds what is left of a visit that is being removed. */
function recountLeft(number: number, going: RemovedVisit, visitTable: VisitTable, tally: Aggregator): void {
  const damage = new DamageLog();
  tally.countDeepest(going.page, 1);
  for (const run of runsLeft(visitTable, number, going, damage)) damage.tryRead(() => tally.add(run));
}
