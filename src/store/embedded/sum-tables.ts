/** Counts and heatmap cells in the store. */
import type { Database, Key } from 'lmdb';
import { DEVICES, type Device } from '../../protocol/stream.ts';
import { type CellSum, COLUMNS, type Counts, type Layer, NO_COUNTS, type Sums, WHOLE_SITE } from '../record/sums.ts';
import { type Counted, mergeTile, readTile } from '../record/tile.ts';
import type { PageBook } from './page-book.ts';
import { LAST, sliceOf, type Tables } from './tables.ts';

/** Rows of cells in one tile. */
const BAND_ROWS = 16;
export const BAND_CELLS = BAND_ROWS * COLUMNS;

/** Within a write: adds sums to what is there. What comes to nothing is removed, and pages that have no counts any more. */
export function putSums(tables: Tables, sums: Sums, pages: PageBook): void {
  const emptied: [site: string, page: number][] = [];
  for (const { site, page, day, counts } of sums.counts.values())
    if (!putCounts(tables, site, day, page, counts) && page !== WHOLE_SITE) emptied.push([site, page]);
  for (const sum of sums.cells.values()) putCells(tables, sum);
  for (const { page, day, device, selector, spots } of sums.spots.values())
    putTile(tables.spots, [page, day, DEVICES.indexOf(device), selector], [...spots.keys()].sort(upward), spots);
  for (const [site, page] of emptied) if (!hasCounts(tables, site, page)) pages.giveBack(site, page);
}

/** Looks from the last day back: of most pages that is the first to look at. */
function hasCounts({ counts }: Tables, site: string, page: number): boolean {
  const [first] = counts.getKeys({ start: [site, 0, 0], end: [site, LAST, 0], limit: 1 });
  const [last] = counts.getKeys({ start: [site, LAST, 0], end: [site, 0, 0], reverse: true, limit: 1 });
  if (!first || !last) return false;
  for (let day = last[1]; day >= first[1]; day--) if (counts.doesExist([site, day, page])) return true;
  return false;
}

/** False if nothing is left. */
function putCounts({ counts }: Tables, site: string, day: number, page: number, added: Counts): boolean {
  const now = addCounts({ ...NO_COUNTS, ...counts.get([site, day, page]) }, added);
  const isLeft = Object.values(now).some((value) => value !== 0);
  if (isLeft) counts.putSync([site, day, page], now);
  else counts.removeSync([site, day, page]);
  return isLeft;
}

/** Adds to `sum`, and returns it. */
export function addCounts(sum: Counts, added: Readonly<Counts>): Counts {
  for (const what of Object.keys(NO_COUNTS) as (keyof Counts)[]) sum[what] += added[what];
  return sum;
}

function upward(a: number, b: number): number {
  return a - b;
}

/** Adds cells band by band. Cells of a tile count from its own first one. */
function putCells({ cells: table }: Tables, { page, day, device, layer, cells }: CellSum): void {
  const sorted = Float64Array.from(cells.keys()).sort();
  for (let i = 0; i < sorted.length; ) {
    const band = Math.floor((sorted[i] as number) / BAND_CELLS);
    const first = band * BAND_CELLS;
    const tile: number[] = [];
    const by: Counted = new Map();
    for (; i < sorted.length && (sorted[i] as number) < first + BAND_CELLS; i++) {
      tile.push((sorted[i] as number) - first);
      by.set((sorted[i] as number) - first, cells.get(sorted[i] as number) as number);
    }
    putTile(table, [page, day, sliceOf(device, layer), band], tile, by);
  }
}

function putTile<K extends Key>(table: Database<Buffer, K>, key: K, cells: readonly number[], by: Counted): void {
  const before = table.get(key);
  const tile = mergeTile(before, cells, by);
  if (tile) table.putSync(key, tile);
  else if (before) table.removeSync(key);
}

/** Tells the cells of a page, day, class and layer. */
export function readCells(
  { cells }: Tables,
  page: number,
  day: number,
  device: Device,
  layer: Layer,
  tell: (cell: number, count: number) => void,
): void {
  const slice = sliceOf(device, layer);
  const range = { start: [page, day, slice, 0], end: [page, day, slice, LAST] } as const;
  for (const { key, value } of cells.getRange(range as never))
    readTile(value, (cell, n) => tell(key[3] * BAND_CELLS + cell, n));
}
