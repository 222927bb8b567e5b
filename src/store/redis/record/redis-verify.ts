/**
 * Recomputes what the frames of a site add up to, and compares it with the stored counts. record/recount.ts describes
 * how.
 */
import { getOrInsert } from '../../../lib/get-or-insert.ts';
import type { Difference } from '../../archive.ts';
import { Aggregator } from '../../record/aggregator.ts';
import { nameRun } from '../../record/chunk.ts';
import { DamageLog } from '../../record/damage.ts';
import { OTHER_PAGES } from '../../record/pages.ts';
import {
  addDays,
  type CellRow,
  type Compare,
  compareCells,
  compareCounts,
  comparer,
  compareSpots,
  daysBetween,
  firstDay,
  mayTouch,
  newSums,
  PART_BYTES,
  pagesIn,
  Recount,
  type SpotRow,
  type StoredDay,
} from '../../record/recount.ts';
import { type RemovedVisit, removedVisitName } from '../../record/removal-queue.ts';
import { dayOf, type Sums, WHOLE_SITE } from '../../record/sums.ts';
import type { PageHash, PageHashes } from './page-hash.ts';
import { partsOf, type RecordSite, type RedisVisit, UNKNOWN_RUNS } from './record-site.ts';
import { cellsOf, countRowsOf, elementsOf, namedRuns } from './redis-lookup.ts';
import { visitOf } from './visit-time.ts';

/** Visits that are read together. */
const TOGETHER = 20;
/** Pages that are read together. */
const PAGES_TOGETHER = 1000;
const SCAN_VISITS = 1000;
/** Maximum size of a cell, bytes. Pages that could exceed MUCH_BYTES are measured. */
const CELL_BYTES = 6;
const MUCH_BYTES = 16 * 1024;

/**
 * Implements `Archive.verify` for the compacted frames of a site, if nobody changes it meanwhile. `tell` is called for
 * each counted visit.
 */
export async function siteDifferences(
  site: RecordSite,
  pageHashes: PageHashes,
  tell: (done: number, total: number) => void,
  partBytes = PART_BYTES,
): Promise<Difference[]> {
  const found: Difference[] = [];
  const compare = comparer(found);
  const hash = await pageHashes.current(site);
  const days = await daysOf(site, partBytes);
  const total = [...days.values()].reduce((sum, { visits, parts }) => sum + visits.length * parts, 0);
  let done = 0;
  for (const [day, { visits, parts }] of days)
    for (let part = 0; part < parts; part++) {
      const has = pagesIn(parts, part);
      const sums = newSums(day, has);
      for (const some of partsOf(visits, TOGETHER)) {
        await recount(site, hash, some, sums, has, part === 0 ? day : undefined, compare);
        for (const _ of some) tell(++done, total);
      }
      await comparePart(site, hash, day, has, sums, compare);
    }
  return found;
}

/** Returns the days with stored data. */
async function daysOf(site: RecordSite, partBytes: number): Promise<Map<number, StoredDay>> {
  const days = new Map<number, StoredDay>();
  const at = (day: number) => getOrInsert(days, day, (): StoredDay => ({ visits: [], parts: 1 }));
  for await (const numbers of allVisits(site))
    for (const some of partsOf(numbers, TOGETHER)) {
      const visits = await site.visits(some);
      const all = await Promise.all(visits.map((visit, i) => daysIn(site, some[i] as number, visit)));
      for (const [i, of] of all.entries()) for (const day of of) at(day).visits.push(some[i] as number);
    }
  for (const [number, going] of await site.going())
    for (const day of await daysLeft(site, number, going)) at(day).visits.push(number);
  for (const day of await site.send<string[]>('SMEMBERS', site.keys.days)) at(Number(day));
  for (const [day, kept] of days) kept.parts = Math.max(1, Math.ceil((await bytesOn(site, day)) / partBytes));
  return days;
}

/** Yields the numbers of all visits, some at a time. */
async function* allVisits(site: RecordSite): AsyncGenerator<number[]> {
  for (let after = '-'; ; ) {
    const range = [site.keys.byTime, after, '+', 'BYLEX', 'LIMIT', '0', String(SCAN_VISITS)];
    const members = await site.send<string[]>('ZRANGE', ...range);
    yield members.map((member) => visitOf(member)[1]);
    if (members.length < SCAN_VISITS) return;
    after = `(${members.at(-1)}`;
  }
}

async function daysIn(site: RecordSite, number: number, visit: RedisVisit | undefined): Promise<Iterable<number>> {
  if (!visit) return [];
  const first = firstDay(visit, visit.marks[0]);
  const between = daysBetween(first, dayOf(visit.tally.until));
  if (between) return between;
  const days = new Set([first]);
  const nameless = { nameOf: () => '' } as unknown as PageHash;
  for await (const some of site.runs(number, visit, 0, new DamageLog()))
    for (const run of namedRuns(nameless, some)) addDays(days, run);
  return days;
}

/**
 * Returns the days that the rest of a visit touches while it is being removed: those of its runs, and of the stay that
 * continues in them.
 */
async function daysLeft(site: RecordSite, number: number, going: RemovedVisit): Promise<Set<number>> {
  const days = new Set([dayOf(going.away.stays.at(-1)?.t ?? going.since)]);
  for await (const some of site.runs(number, UNKNOWN_RUNS, 0, new DamageLog()))
    for (const run of some) addDays(days, run);
  return days;
}

/** Returns about how many bytes the tiles of a day take. For a page with little data, that is an upper bound. */
async function bytesOn(site: RecordSite, day: number): Promise<number> {
  const much: number[] = [];
  let bytes = 0;
  for (const [page, { moves, clicks, views }] of await countRowsOf(site, day)) {
    const maxSize = CELL_BYTES * (moves + clicks + 2 * views);
    if (maxSize > MUCH_BYTES) much.push(page);
    else bytes += maxSize;
  }
  const usage = (key: string) => ['MEMORY', 'USAGE', key] as const;
  const keys = much.flatMap((page) => [site.keys.cells(page, day), site.keys.spots(page, day)]);
  for (const size of await site.gather<number | null>(keys.map(usage))) bytes += size ?? 0;
  return bytes;
}

/** Adds visits to the sums. With `day`, also compares each visit with its own frames if that is its first day. */
async function recount(
  site: RecordSite,
  hash: PageHash,
  numbers: readonly number[],
  sums: Sums,
  has: (page: number) => boolean,
  day: number | undefined,
  compare: Compare,
): Promise<void> {
  const readOnly = {
    numberOf: (_: string, page: string) => hash.find(page) ?? hash.find(OTHER_PAGES) ?? -1,
    nameOf: (number: number) => hash.nameOf(number),
  };
  const visits = await site.visits(numbers);
  const going = visits.every((visit) => visit) ? undefined : await site.going();
  for (const [i, visit] of visits.entries()) {
    const number = numbers[i] as number;
    const removed = going?.get(number);
    if (removed)
      await recountLeft(site, hash, number, removed, new Aggregator(site.name, sums, 1, readOnly, removed.away));
    if (!visit) continue;
    if (day === undefined && !mayTouch(visit, (page) => has(readOnly.numberOf(site.name, page)))) continue;
    const counted = new Recount(visit, sums, readOnly);
    const damage = new DamageLog();
    for await (const some of site.runs(number, visit, 0, damage))
      for (const run of namedRuns(hash, some)) damage.tryRead(() => counted.add(run));
    if (day === firstDay(visit, visit.marks[0])) counted.compare(compare, damage);
  }
}

/** Adds the rest of a visit that is being removed. */
async function recountLeft(
  site: RecordSite,
  hash: PageHash,
  number: number,
  going: RemovedVisit,
  tally: Aggregator,
): Promise<void> {
  const damage = new DamageLog();
  tally.countDeepest(going.page, 1);
  const nameOf = (page: number) => hash.names.get(page) || removedVisitName(going, page);
  for await (const some of site.runs(number, UNKNOWN_RUNS, 0, damage))
    for (const run of some) damage.tryRead(() => tally.add(nameRun(run, nameOf(run.page))));
}

async function comparePart(
  site: RecordSite,
  hash: PageHash,
  day: number,
  has: (page: number) => boolean,
  sums: Sums,
  compare: Compare,
): Promise<void> {
  const nameOf = (page: number) => (page === WHOLE_SITE ? '' : hash.nameOf(page));
  const rows = [...(await countRowsOf(site, day))].filter(([page]) => has(page));
  const counted = [...sums.counts.values(), ...sums.cells.values()].map(({ page }) => page);
  const pages = new Set([...rows.map(([page]) => page), ...counted]);
  compareCounts(
    rows.map(([page, counts]) => ({ site: site.name, page, counts })),
    sums,
    day,
    nameOf,
    compare,
  );
  const cells: CellRow[] = [];
  const spots: SpotRow[] = [];
  for (const some of partsOf([...pages], PAGES_TOGETHER)) {
    const tiles = await cellsOf(
      site,
      some.map((page) => [page, day]),
    );
    for (const [i, page] of some.entries()) for (const tile of tiles[i] ?? []) cells.push({ page, ...tile });
    for (const page of await clickedPages(site, some, day))
      for await (const found of elementsOf(site, page, day)) spots.push(...found.map((one) => ({ page, ...one })));
  }
  compareCells(cells, sums, day, nameOf, compare);
  compareSpots(spots, sums, day, nameOf, compare);
}

/** Returns the pages with clicks on elements among these. */
async function clickedPages(site: RecordSite, pages: readonly number[], day: number): Promise<number[]> {
  const found = await site.gather<number>(pages.map((page) => ['EXISTS', site.keys.spots(page, day)]));
  return pages.filter((_, i) => (found[i] as number) > 0);
}
