/** Counts and heatmap cells in the store. */
import type { Database, Key } from 'lmdb';
import { DEVICES, type Device } from '../../model/visitor.ts';
import { BAND_CELLS, bandsOf } from '../record/bands.ts';
import type { DamageLog } from '../record/damage.ts';
import {
  addCounts,
  type CellSum,
  type Counts,
  countsFrom,
  isCounted,
  type Layer,
  type Sums,
  sliceOf,
  WHOLE_SITE,
} from '../record/sums.ts';
import { type Counted, mergeOrReset, readTile, sortedCells } from '../record/tile.ts';
import type { PageNumberTable } from './page-table.ts';
import { LAST, type Tables } from './tables.ts';

/**
 * Within a write: adds sums to the stored values. Values that become 0 are removed, and so are pages without counts.
 */
export function putSums(tables: Tables, sums: Sums, pages: PageNumberTable): void {
  const emptied: [site: string, page: number][] = [];
  for (const { site, page, day, counts } of sums.counts.values())
    if (!putCounts(tables, site, day, page, counts) && page !== WHOLE_SITE) emptied.push([site, page]);
  for (const sum of sums.cells.values()) putCells(tables, sum);
  for (const { page, day, device, selector, spots } of sums.spots.values())
    putTile(tables.spots, [page, day, DEVICES.indexOf(device), selector], sortedCells(spots), spots);
  for (const [site, page] of emptied) if (!hasCounts(tables, site, page)) pages.remove(site, page);
}

/** Searches backwards from the last day: most pages have counts on that day. */
function hasCounts({ counts }: Tables, site: string, page: number): boolean {
  const [first] = counts.getKeys({ start: [site, 0, 0], end: [site, LAST, 0], limit: 1 });
  const [last] = counts.getKeys({ start: [site, LAST, 0], end: [site, 0, 0], reverse: true, limit: 1 });
  if (!first || !last) return false;
  for (let day = last[1]; day >= first[1]; day--) if (counts.doesExist([site, day, page])) return true;
  return false;
}

/** Returns false if nothing is left. */
function putCounts({ counts }: Tables, site: string, day: number, page: number, added: Counts): boolean {
  const now = addCounts(countsFrom(counts.get([site, day, page])), added);
  const isLeft = isCounted(now);
  if (isLeft) counts.putSync([site, day, page], now);
  else counts.removeSync([site, day, page]);
  return isLeft;
}

/** Adds cells band by band. */
function putCells({ cells: table }: Tables, { page, day, device, layer, cells: sum }: CellSum): void {
  for (const { band, cells, by } of bandsOf(sum)) putTile(table, [page, day, sliceOf(device, layer), band], cells, by);
}

function putTile<K extends Key>(table: Database<Buffer, K>, key: K, cells: readonly number[], by: Counted): void {
  const before = table.get(key);
  const tile = mergeOrReset(before, cells, by);
  if (tile) table.putSync(key, tile);
  else if (before) table.removeSync(key);
}

/** Calls `onCell` for each cell of a page, day, class and layer. */
export function readCells(
  { cells }: Tables,
  page: number,
  day: number,
  device: Device,
  layer: Layer,
  onCell: (cell: number, count: number) => void,
  damage: DamageLog,
): void {
  const slice = sliceOf(device, layer);
  const range = { start: [page, day, slice, 0], end: [page, day, slice, LAST] } as const;
  for (const { key, value } of cells.getRange(range as never))
    damage.tryRead(() => readTile(value, (cell, n) => onCell(key[3] * BAND_CELLS + cell, n)));
}
