/** Reads counts, heatmaps and scenes. */
import { getOrInsert } from '../../../lib/get-or-insert.ts';
import type { Heat } from '../../../model/heat.ts';
import type { DayCounts, PageCounts } from '../../../model/visit.ts';
import { DEVICES } from '../../../model/visitor.ts';
import type { Days, HeatQuery, Run, VisitRuns } from '../../archive.ts';
import { BAND_CELLS } from '../../record/bands.ts';
import { nameRun, type StoredRun } from '../../record/chunk.ts';
import { DamageLog } from '../../record/damage.ts';
import { ElementClicks, HeatCells, heatOf, layerOf, MAX_SPOT_ROWS, noHeat, pageCounts } from '../../record/heat.ts';
import { minutesIn } from '../../record/minute-sums.ts';
import { readable, runsDuring, sceneOf } from '../../record/run-part.ts';
import { toVisit } from '../../record/stored-visit.ts';
import {
  addCounts,
  type Counts,
  countsFrom,
  dayFrom,
  dayName,
  type Layer,
  sliceOf,
  WHOLE_SITE,
} from '../../record/sums.ts';
import { type Counted, readTile } from '../../record/tile.ts';
import type { PageHash } from './page-hash.ts';
import { partsOf, type RecordSite, type StoredSiteState } from './record-site.ts';
import { readCounts } from './sum-commands.ts';

/** Days of counts that are read together: each may have thousands of pages. */
const TOGETHER = 50;
/**
 * A read is repeated up to TRIES times if the data changes meanwhile, but for no longer than TRY_MS milliseconds. Then
 * the last result is used.
 */
const TRIES = 5;
const TRY_MS = 100;
const SCAN_ROWS = 1000;
/**
 * Maximum number of clicked elements of a day that are read in one reply. If there are more, they are read in parts.
 */
const MAX_ROWS = 5000;

/**
 * Reads a consistent state with several commands: reads again if the record changed meanwhile, unless Redis is far
 * away. `first`: the current state, if it was already asked for.
 */
export async function readConsistently<T>(
  site: RecordSite,
  read: (state: StoredSiteState) => Promise<T>,
  first = site.now(),
): Promise<T> {
  const startedAt = performance.now();
  for (let tries = 1; ; tries++) {
    const { version, state } = await (tries === 1 ? first : site.now());
    const found = await read(state);
    const isLast = tries === TRIES || performance.now() - startedAt > TRY_MS;
    if (isLast || (await site.version()) === version) return found;
  }
}

/** Returns the days with counts among these, in order. */
async function daysIn(site: RecordSite, { from, to }: Days): Promise<number[]> {
  const [first, last] = [dayFrom(from), dayFrom(to)];
  const days = (await site.send<string[]>('SMEMBERS', site.keys.days)).map(Number);
  return days.filter((day) => day >= first && day <= last).sort((a, b) => a - b);
}

/** Returns the counts of a day, by page. */
export async function countRowsOf(site: RecordSite, day: number): Promise<Map<number, Counts>> {
  const all = await site.send<string[]>('HGETALL', site.keys.counts(day));
  const rows = new Map<number, Counts>();
  for (let i = 0; i < all.length; i += 2) rows.set(Number(all[i]), readCounts(all[i + 1] as string));
  return rows;
}

/** Implements `Archive.pages`. */
export async function readRedisPages(site: RecordSite, hash: Promise<PageHash>, days: Days): Promise<PageCounts[]> {
  const sums = new Map<number, Counts>();
  const [names, all] = await Promise.all([hash, daysIn(site, days)]);
  for (const some of partsOf(all, TOGETHER))
    for (const rows of await Promise.all(some.map((day) => countRowsOf(site, day))))
      for (const [page, counts] of rows) addCounts(getOrInsert(sums, page, countsFrom), counts);
  return pageCounts(sums, (page) => names.nameOf(page));
}

/** Implements `Archive.days`. */
export async function readRedisDays(
  site: RecordSite,
  hash: Promise<PageHash>,
  page: string | null,
  days: Days,
): Promise<DayCounts[]> {
  const [names, all] = await Promise.all([hash, daysIn(site, days)]);
  const number = page === null ? WHOLE_SITE : names.find(page);
  if (number === undefined) return [];
  const rows = all.map((day) => ['HGET', site.keys.counts(day), String(number)]);
  const found = await site.gather<string | null>(rows);
  return all.flatMap((day, i) => (found[i] ? [{ day: dayName(day), ...readCounts(found[i]) }] : []));
}

/** Implements `Archive.heat`. */
export async function readRedisHeat(
  site: RecordSite,
  hash: Promise<PageHash>,
  query: HeatQuery,
  damage: DamageLog,
): Promise<Heat> {
  const [names, days] = await Promise.all([hash, daysIn(site, query)]);
  const page = names.find(query.page);
  if (page === undefined) return noHeat();
  const devices = query.device === undefined ? DEVICES : [query.device];
  const slices = (layer: Layer) => new Set(devices.map((device) => sliceOf(device, layer)));
  const [sum, extents] = [new HeatCells(), new HeatCells()];
  const wanted = [
    [slices(layerOf(query.kind)), sum],
    [slices('extent'), extents],
  ] as const;
  const addCells = async (some: readonly number[]) => {
    const found = await cellsOf(
      site,
      some.map((day) => [page, day]),
    );
    for (const { slice, band, tile } of found.flat())
      for (const [of, into] of wanted)
        if (of.has(slice)) damage.tryRead(() => readTile(tile, (cell, n) => into.add(band * BAND_CELLS + cell, n)));
  };
  const classes = new Set(devices.map((device) => DEVICES.indexOf(device)));
  const isOfClicks = query.kind === 'click';
  const [spots] = await Promise.all([
    isOfClicks ? spotsOf(site, page, days, classes, damage) : new Map<string, Counted>(),
    ...partsOf(days, TOGETHER).map(addCells),
  ]);
  return heatOf(query.kind, sum.counted(), extents.counted(), spots);
}

export interface CellTile {
  slice: number;
  band: number;
  tile: Buffer;
}

/** Returns the tiles of pages and days. */
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

/** Yields the clicked elements of a page and day, some at a time. */
export async function* elementsOf(
  site: RecordSite,
  page: number,
  day: number,
  rows = SCAN_ROWS,
): AsyncGenerator<SpotTile[]> {
  const key = site.keys.spots(page, day);
  for (let cursor = '0'; ; ) {
    const reply = await site.bytes<[Buffer, Buffer[]]>('HSCAN', key, cursor, 'COUNT', String(rows));
    yield spotTiles(reply[1]);
    cursor = String(reply[0]);
    if (cursor === '0') return;
  }
}

function spotTiles(all: readonly Buffer[]): SpotTile[] {
  return pairsOf(all).map(([field, tile]) => {
    const dot = field.indexOf('.');
    return { device: Number(field.slice(0, dot)), selector: field.slice(dot + 1), tile };
  });
}

/** Returns the clicks on each element. */
async function spotsOf(
  site: RecordSite,
  page: number,
  days: readonly number[],
  devices: ReadonlySet<number>,
  damage: DamageLog,
): Promise<Map<string, Counted>> {
  const clicks = new ElementClicks();
  const add = (some: readonly SpotTile[]) => {
    for (const { device, selector, tile } of some)
      if (devices.has(device)) damage.tryRead(() => clicks.add(selector, tile));
  };
  const newest = days.toReversed();
  const lengths = await site.gather<number>(newest.map((day) => ['HLEN', site.keys.spots(page, day)]));
  let left = MAX_SPOT_ROWS;
  const reading = newest.map(async (day, i) => {
    const [length, most] = [lengths[i] as number, left];
    left -= length;
    if (length > 0 && most > 0) await readSpots(site, page, day, length, most, add);
  });
  await Promise.all(reading);
  return clicks.sums;
}

/** Reads about `max` clicked elements of a page and day. `length`: how many there are. */
async function readSpots(
  site: RecordSite,
  page: number,
  day: number,
  length: number,
  max: number,
  add: (some: readonly SpotTile[]) => void,
): Promise<void> {
  const isLarge = length > MAX_ROWS;
  if (!isLarge) return add(spotTiles(await site.bytes<Buffer[]>('HGETALL', site.keys.spots(page, day))));
  let left = max;
  for await (const some of elementsOf(site, page, day, MAX_ROWS)) {
    add(some);
    left -= some.length;
    if (left <= 0) return;
  }
}

/** Implements `Archive.scenes`. */
export async function readScenes(
  site: RecordSite,
  hash: Promise<PageHash>,
  page: string | null,
  from: number,
  to: number,
): Promise<VisitRuns[]> {
  const [names, there] = await Promise.all([hash, placesDuring(site, from, to)]);
  const number = page === null ? undefined : names.find(page);
  if (page !== null && number === undefined) return [];
  const numbers = visitsOn(there, number);
  const found = await site.visits(numbers);
  const visits = numbers.flatMap((one, i) => (found[i] ? [{ number: one, visit: found[i] }] : []));
  const damages = visits.map(() => new DamageLog());
  const runs = await site.runsDuring(visits, from, to, damages);
  return visits.map(({ visit }, i) => {
    const damage = damages[i] as DamageLog;
    const sound = readable(namedRuns(names, runs[i] ?? []), damage);
    return sceneOf(toVisit(visit), runsDuring(sound, from, to), damage);
  });
}

/** Returns `visit.page` of the visits in the minutes of this time. */
async function placesDuring(site: RecordSite, from: number, to: number): Promise<string[]> {
  const minutes = [...minutesIn({ t: from, until: to })];
  return (await site.gather<string[]>(minutes.map((minute) => ['SMEMBERS', site.keys.minute(minute)]))).flat();
}

/** Returns the numbers of the visits that were on a page (undefined: on any). */
function visitsOn(members: readonly string[], page: number | undefined): number[] {
  const found = new Set<number>();
  for (const member of members) {
    const [visit, of] = member.split('.').map(Number) as [number, number];
    if (page === undefined || of === page) found.add(visit);
  }
  return [...found].sort((a, b) => a - b);
}

/** Returns runs with the names of their pages. */
export function namedRuns(hash: PageHash, runs: readonly StoredRun[]): Run[] {
  return runs.map((run) => nameRun(run, hash.nameOf(run.page)));
}
