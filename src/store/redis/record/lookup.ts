/** Counts, heatmaps and scenes, read. */
import { entry } from '../../../entry.ts';
import { DEVICES } from '../../../protocol/stream.ts';
import type { DayCounts, Heat, PageCounts } from '../../../protocol/visit.ts';
import type { Days, HeatQuery, Run, Scene } from '../../archive.ts';
import { BAND_CELLS } from '../../record/bands.ts';
import type { KeptRun } from '../../record/chunk.ts';
import { heatOf, layerOf, MAX_SPOT_ROWS, noHeat, pageCounts } from '../../record/heat.ts';
import { toVisit } from '../../record/kept-visit.ts';
import { minutesIn } from '../../record/minutes.ts';
import { runsDuring } from '../../record/run-part.ts';
import {
  addCounts,
  type Counts,
  dayFrom,
  dayName,
  type Layer,
  NO_COUNTS,
  sliceOf,
  WHOLE_SITE,
} from '../../record/sums.ts';
import { type Counted, count, readTile } from '../../record/tile.ts';
import type { Book, PageBooks } from './page-book.ts';
import { partsOf, type RecordSite } from './site.ts';
import { readCounts } from './sum-commands.ts';

/** Days, or visits, that are read together. */
const TOGETHER = 50;
/** What changes while it is read is read so often, and then taken as it is. */
const TRIES = 5;
const SCAN_ROWS = '1000';

/** What is read all at once, though in several commands: again, if the record changed meanwhile. */
export async function atOnce<T>(site: RecordSite, read: () => Promise<T>): Promise<T> {
  for (let tries = 1; ; tries++) {
    const before = await site.version();
    const [found, after] = [await read(), await site.version()];
    if (after === before || tries === TRIES) return found;
  }
}

/** The days with counts among these, in order. */
async function daysIn(site: RecordSite, { from, to }: Days): Promise<number[]> {
  const [first, last] = [dayFrom(from), dayFrom(to)];
  const days = (await site.send<string[]>('SMEMBERS', site.keys.days)).map(Number);
  return days.filter((day) => day >= first && day <= last).sort((a, b) => a - b);
}

/** The counts of a day, by page. */
export async function rowsOf(site: RecordSite, day: number): Promise<Map<number, Counts>> {
  const all = await site.send<string[]>('HGETALL', site.keys.counts(day));
  const rows = new Map<number, Counts>();
  for (let i = 0; i < all.length; i += 2) rows.set(Number(all[i]), readCounts(all[i + 1] as string));
  return rows;
}

/** As `Archive.pages`. */
export async function readPages(site: RecordSite, books: PageBooks, days: Days): Promise<PageCounts[]> {
  const sums = new Map<number, Counts>();
  for (const some of partsOf(await daysIn(site, days), TOGETHER))
    for (const rows of await Promise.all(some.map((day) => rowsOf(site, day))))
      for (const [page, counts] of rows)
        addCounts(
          entry(sums, page, () => ({ ...NO_COUNTS })),
          counts,
        );
  const book = await books.current(site);
  return pageCounts(sums, (page) => book.nameOf(page));
}

/** As `Archive.days`. */
export async function readDays(
  site: RecordSite,
  books: PageBooks,
  page: string | null,
  days: Days,
): Promise<DayCounts[]> {
  const number = page === null ? WHOLE_SITE : (await books.current(site)).find(page);
  if (number === undefined) return [];
  const counted = await countedDays(site, number, days);
  return counted.map(({ day, counts }) => ({ day: dayName(day), ...counts }));
}

async function countedDays(site: RecordSite, page: number, days: Days): Promise<{ day: number; counts: Counts }[]> {
  const all = await daysIn(site, days);
  const rows = all.map((day) => ['HGET', site.keys.counts(day), String(page)]);
  const found = await site.gather<string | null>(rows);
  return all.flatMap((day, i) => (found[i] ? [{ day, counts: readCounts(found[i]) }] : []));
}

/** As `Archive.heat`. */
export async function readHeat(site: RecordSite, books: PageBooks, query: HeatQuery): Promise<Heat> {
  const page = (await books.current(site)).find(query.page);
  if (page === undefined) return noHeat();
  const days = (await countedDays(site, page, query)).map(({ day }) => day);
  const devices = query.device === undefined ? DEVICES : [query.device];
  const slices = (layer: Layer) => new Set(devices.map((device) => sliceOf(device, layer)));
  const [sum, extents] = [new Map() as Counted, new Map() as Counted];
  const wanted = [
    [slices(layerOf(query.kind)), sum],
    [slices('extent'), extents],
  ] as const;
  for (const some of partsOf(days, TOGETHER))
    for (const tiles of await cellsOf(
      site,
      some.map((day) => [page, day]),
    ))
      for (const { slice, band, tile } of tiles)
        for (const [of, into] of wanted)
          if (of.has(slice)) readTile(tile, (cell, n) => count(into, band * BAND_CELLS + cell, n));
  const classes = new Set(devices.map((device) => DEVICES.indexOf(device)));
  const spots = query.kind === 'click' ? await spotsOf(site, page, days, classes) : new Map<string, Counted>();
  return heatOf(query.kind, sum, extents, spots);
}

export interface CellTile {
  slice: number;
  band: number;
  tile: Buffer;
}

/** The tiles of pages and days. */
export async function cellsOf(
  site: RecordSite,
  places: readonly (readonly [page: number, day: number])[],
): Promise<CellTile[][]> {
  const all = await site.gatherBytes<Buffer[]>(places.map(([page, day]) => ['HGETALL', site.keys.cells(page, day)]));
  return all.map((one) =>
    pairsOf(one).map(([field, tile]) => {
      const [slice = 0, band = 0] = field.split('.').map(Number);
      return { slice, band, tile };
    }),
  );
}

function pairsOf(all: readonly Buffer[]): [string, Buffer][] {
  const pairs: [string, Buffer][] = [];
  for (let i = 0; i < all.length; i += 2) pairs.push([String(all[i]), all[i + 1] as Buffer]);
  return pairs;
}

export interface SpotTile {
  device: number;
  selector: string;
  tile: Buffer;
}

/** The clicked elements of a page and day, some at once. */
export async function* elementsOf(site: RecordSite, page: number, day: number): AsyncGenerator<SpotTile[]> {
  for (let cursor = '0'; ; ) {
    const reply = await site.bytes<[Buffer, Buffer[]]>('HSCAN', site.keys.spots(page, day), cursor, 'COUNT', SCAN_ROWS);
    yield pairsOf(reply[1]).map(([field, tile]) => {
      const dot = field.indexOf('.');
      return { device: Number(field.slice(0, dot)), selector: field.slice(dot + 1), tile };
    });
    cursor = String(reply[0]);
    if (cursor === '0') return;
  }
}

/** Clicks on each element. */
async function spotsOf(
  site: RecordSite,
  page: number,
  days: readonly number[],
  devices: ReadonlySet<number>,
): Promise<Map<string, Counted>> {
  const sums = new Map<string, Counted>();
  let left = MAX_SPOT_ROWS;
  for (const day of days.toReversed())
    for await (const some of elementsOf(site, page, day)) {
      for (const { device, selector, tile } of some)
        if (devices.has(device))
          readTile(tile, (spot, n) =>
            count(
              entry(sums, selector, (): Counted => new Map()),
              spot,
              n,
            ),
          );
      left -= some.length;
      if (left <= 0) return sums;
    }
  return sums;
}

/** As `Archive.scenes`. */
export async function readScenes(
  site: RecordSite,
  books: PageBooks,
  page: string | null,
  from: number,
  to: number,
): Promise<Scene[]> {
  const book = await books.current(site);
  const number = page === null ? undefined : book.find(page);
  if (page !== null && number === undefined) return [];
  const scenes: Scene[] = [];
  for (const some of partsOf(await visitsDuring(site, number, from, to), TOGETHER)) {
    const found = await site.visits(some);
    const visits = some.flatMap((one, i) => (found[i] ? [{ number: one, visit: found[i] }] : []));
    const runs = await site.runsDuring(visits, from, to);
    for (const [i, { visit }] of visits.entries())
      scenes.push({ visit: toVisit(visit), runs: runsDuring(namedRuns(book, runs[i] ?? []), from, to) });
  }
  return scenes;
}

/** Numbers of the visits that were on a page (undefined: on any) in the minutes of this time. */
async function visitsDuring(site: RecordSite, page: number | undefined, from: number, to: number): Promise<number[]> {
  const minutes = [...minutesIn({ t: from, until: to })];
  const members = await site.gather<string[]>(minutes.map((minute) => ['SMEMBERS', site.keys.minute(minute)]));
  const found = new Set<number>();
  for (const member of members.flat()) {
    const [visit, of] = member.split('.').map(Number) as [number, number];
    if (page === undefined || of === page) found.add(visit);
  }
  return [...found].sort((a, b) => a - b);
}

/** Runs with the names of their pages. */
export function namedRuns(book: Book, runs: readonly KeptRun[]): Run[] {
  return runs.map((run) => ({ ...run, page: book.nameOf(run.page) }));
}
