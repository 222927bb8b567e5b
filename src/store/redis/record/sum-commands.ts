/** Adds a transaction's sums to the stored counts and heatmaps. */
import { getOrInsert } from '../../../lib/get-or-insert.ts';
import { DEVICES } from '../../../model/visitor.ts';
import type { RedisCommand } from '../../../redis/connection.ts';
import { bandsOf } from '../../record/bands.ts';
import {
  addCounts,
  COUNT_NAMES,
  type CountSum,
  type Counts,
  countsFrom,
  isCounted,
  type Sums,
  sliceOf,
  WHOLE_SITE,
} from '../../record/sums.ts';
import { type Counted, mergeOrReset, sortedCells } from '../../record/tile.ts';
import type { PageChanges } from './page-hash.ts';
import { partsOf, type RecordSite } from './record-site.ts';

export function readCounts(text: string): Counts {
  const numbers = text.split(' ');
  const counts = countsFrom();
  // Counts of earlier formats have fewer numbers.
  for (const [i, kind] of COUNT_NAMES.entries()) counts[kind] = Number(numbers[i] ?? 0);
  return counts;
}

function countsText(counts: Readonly<Counts>): string {
  return COUNT_NAMES.map((kind) => counts[kind]).join(' ');
}

/**
 * Returns the commands that add sums to the stored values. Values that become 0 are removed, and so are pages without
 * counts.
 */
export async function sumCommands(site: RecordSite, sums: Sums, pages: PageChanges): Promise<RedisCommand[]> {
  const [counts, tiles] = await Promise.all([countCommands(site, sums, pages), tileCommands(site, sums)]);
  return [...counts, ...tiles];
}

async function countCommands(site: RecordSite, sums: Sums, pages: PageChanges): Promise<RedisCommand[]> {
  const days = new Map<number, CountSum[]>();
  for (const sum of sums.counts.values()) getOrInsert(days, sum.day, (): CountSum[] => []).push(sum);
  const uses = new Map<number, number>();
  const emptied = new Set<number>();
  const parts = await Promise.all([...days].map(([day, rows]) => dayCommands(site, day, rows, uses, emptied)));
  const changed = [...uses].filter(([, by]) => by !== 0).flatMap(([page, by]) => [String(page), String(by)]);
  const added = partsOf(changed).map((some) => ['ADD', site.keys.uses, ...some]);
  await removePages(site, [...emptied], uses, pages);
  return [...parts.flat(), ...added];
}

async function dayCommands(
  site: RecordSite,
  day: number,
  rows: readonly CountSum[],
  uses: Map<number, number>,
  emptied: Set<number>,
): Promise<RedisCommand[]> {
  const key = site.keys.counts(day);
  const pages = rows.map(({ page }) => String(page));
  const [before, length] = await Promise.all([site.fields(key, pages), site.send<number>('HLEN', key)]);
  const put: string[] = [];
  const gone: string[] = [];
  let left = length;
  for (const [i, { page, counts }] of rows.entries()) {
    const known = before[i] ?? null;
    const now = addCounts(known === null ? countsFrom() : readCounts(known), counts);
    const isLeft = isCounted(now);
    if (isLeft) put.push(String(page), countsText(now));
    else if (known !== null) gone.push(String(page));
    const by = (isLeft ? 1 : 0) - (known === null ? 0 : 1);
    left += by;
    if (page === WHOLE_SITE) continue;
    uses.set(page, (uses.get(page) ?? 0) + by);
    if (!isLeft) emptied.add(page);
  }
  return [
    ...partsOf(put).map((some) => ['HSET', key, ...some]),
    ...partsOf(gone).map((some) => ['HDEL', key, ...some]),
    [left > 0 ? 'SADD' : 'SREM', site.keys.days, String(day)],
  ];
}

async function removePages(
  site: RecordSite,
  emptied: readonly number[],
  uses: ReadonlyMap<number, number>,
  pages: PageChanges,
): Promise<void> {
  const before = await site.fields(site.keys.uses, emptied.map(String));
  for (const [i, page] of emptied.entries()) if (Number(before[i]) + (uses.get(page) ?? 0) <= 0) pages.remove(page);
}

/** What to add to a tile: cells in order, and the amount for each. */
interface TileSum {
  cells: number[];
  by: Counted;
}

async function tileCommands(site: RecordSite, sums: Sums): Promise<RedisCommand[]> {
  const hashes = new Map<string, Map<string, TileSum>>();
  const at = (key: string) => getOrInsert(hashes, key, () => new Map());
  for (const { page, day, device, layer, cells: sum } of sums.cells.values())
    for (const { band, cells, by } of bandsOf(sum))
      at(site.keys.cells(page, day)).set(`${sliceOf(device, layer)}.${band}`, { cells, by });
  for (const { page, day, device, selector, spots } of sums.spots.values()) {
    const field = `${DEVICES.indexOf(device)}.${selector}`;
    if (spots.size > 0) at(site.keys.spots(page, day)).set(field, { cells: sortedCells(spots), by: spots });
  }
  const before = await readTiles(site, hashes);
  return [...hashes].flatMap(([key, tiles]) => hashCommands(key, tiles, before));
}

/** The tiles that there are, by key and field. */
async function readTiles(
  site: RecordSite,
  hashes: ReadonlyMap<string, ReadonlyMap<string, TileSum>>,
): Promise<Map<string, Buffer>> {
  const asked = [...hashes].flatMap(([key, tiles]) => partsOf([...tiles.keys()]).map((fields) => ({ key, fields })));
  const answers = await site.gatherBytes<(Buffer | null)[]>(asked.map(({ key, fields }) => ['HMGET', key, ...fields]));
  const found = new Map<string, Buffer>();
  for (const [i, { key, fields }] of asked.entries())
    for (const [j, field] of fields.entries()) {
      const tile = answers[i]?.[j];
      if (tile) found.set(`${key} ${field}`, tile);
    }
  return found;
}

function hashCommands(
  key: string,
  tiles: ReadonlyMap<string, TileSum>,
  before: ReadonlyMap<string, Buffer>,
): RedisCommand[] {
  const put: (string | Buffer)[] = [];
  const gone: string[] = [];
  for (const [field, { cells, by }] of tiles) {
    const tile = mergeOrReset(before.get(`${key} ${field}`), cells, by);
    if (tile) put.push(field, tile);
    else gone.push(field);
  }
  return [
    ...partsOf(put).map((some) => ['HSET', key, ...some]),
    ...partsOf(gone).map((some) => ['HDEL', key, ...some]),
  ];
}
