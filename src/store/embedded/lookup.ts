/** Counts and heatmaps, read. */
import { entry } from '../../entry.ts';
import { DEVICES, type Device } from '../../protocol/stream.ts';
import { CELL, type ClickedElement, type DayCounts, type Heat, type PageCounts } from '../../protocol/visit.ts';
import type { Days, HeatQuery } from '../archive.ts';
import { COLUMNS, type Counts, dayFrom, dayName, type Layer, NO_COUNTS, WHOLE_SITE } from '../record/sums.ts';
import { SPOTS } from '../record/tally.ts';
import { type Counted, count, readTile } from '../record/tile.ts';
import type { PageBook } from './page-book.ts';
import { addCounts, readCells } from './sum-tables.ts';
import { LAST, type Tables } from './tables.ts';

const MOST_PAGES = 1000;
const MOST_ELEMENTS = 20;
/** Rows of clicked elements that are looked at, the newest days first: visitors may make up as many as they like. */
const MAX_SPOT_ROWS = 20_000;
/** A document as large as this share of the views had at least is shown in whole. */
const EXTENT_SHARE = 0.05;

/** As `Archive.pages`. */
export function readPages(tables: Tables, pages: PageBook, site: string, days: Days): PageCounts[] {
  const sums = new Map<number, Counts>();
  for (const { page, counts } of rowsOf(tables, site, days))
    addCounts(
      entry(sums, page, () => ({ ...NO_COUNTS })),
      counts,
    );
  sums.delete(WHOLE_SITE);
  const rows = [...sums].map(([page, counts]) => ({ page: pages.nameOf(page), ...counts }));
  return rows.sort((a, b) => b.views - a.views || (a.page < b.page ? -1 : 1)).slice(0, MOST_PAGES);
}

function* rowsOf({ counts }: Tables, site: string, days: Days) {
  const range = { start: [site, dayFrom(days.from), 0], end: [site, dayFrom(days.to), LAST] };
  for (const { key, value } of counts.getRange(range as never)) yield { day: key[1], page: key[2], counts: value };
}

/** As `Archive.days`. */
export function readDays(tables: Tables, pages: PageBook, site: string, page: string | null, days: Days): DayCounts[] {
  const number = page === null ? WHOLE_SITE : pages.find(site, page);
  if (number === undefined) return [];
  return [...countedDays(tables, site, number, days)].map(({ day, counts }) => ({ day: dayName(day), ...counts }));
}

/** The days on which a page has counts. */
function* countedDays({ counts }: Tables, site: string, page: number, { from, to }: Days) {
  for (let day = dayFrom(from); day <= dayFrom(to); day++) {
    const found = counts.get([site, day, page]);
    if (found) yield { day, counts: found };
  }
}

/** As `Archive.heat`. */
export function readHeat(tables: Tables, pages: PageBook, query: HeatQuery): Heat {
  const page = pages.find(query.site, query.page);
  if (page === undefined) return { views: 0, cells: [], total: 0, most: 0, extent: [0, 0], elements: [] };
  const days = [...countedDays(tables, query.site, page, query)].map(({ day }) => day);
  const devices = query.device === undefined ? DEVICES : [query.device];
  const read = (layer: Layer) => sumCells(tables, page, days, devices, layer);
  const extents = read('extent');
  const layer = query.kind === 'scroll' ? 'depth' : query.kind;
  return {
    ...flat(read(layer), query.kind === 'scroll'),
    views: [...extents.values()].reduce((sum, n) => sum + n, 0),
    extent: extentOf(extents),
    elements: query.kind === 'click' ? elementsOf(tables, page, days, devices) : [],
  };
}

function sumCells(tables: Tables, page: number, days: number[], devices: readonly Device[], layer: Layer): Counted {
  const sum: Counted = new Map();
  for (const day of days)
    for (const device of devices) readCells(tables, page, day, device, layer, (cell, n) => count(sum, cell, n));
  return sum;
}

/** `column, row, count` of each; without the column where there is one only. */
function flat(sum: Counted, rowsOnly: boolean): Pick<Heat, 'cells' | 'total' | 'most'> {
  const cells: number[] = [];
  let total = 0;
  let most = 0;
  for (const cell of [...sum.keys()].sort((a, b) => a - b)) {
    const n = sum.get(cell) as number;
    if (!rowsOnly) cells.push(cell % COLUMNS);
    cells.push(Math.floor(cell / COLUMNS), n);
    total += n;
    most = Math.max(most, n);
  }
  return { cells, total, most };
}

function extentOf(extents: Counted): [number, number] {
  const columns: Counted = new Map();
  const rows: Counted = new Map();
  for (const [cell, n] of extents) {
    count(columns, cell % COLUMNS, n);
    count(rows, Math.floor(cell / COLUMNS), n);
  }
  return [CELL * largest(columns), CELL * largest(rows)];
}

/** The largest that enough views have, or more. */
function largest(sizes: Counted): number {
  let left = EXTENT_SHARE * [...sizes.values()].reduce((sum, n) => sum + n, 0);
  for (const size of [...sizes.keys()].sort((a, b) => b - a)) {
    left -= sizes.get(size) as number;
    if (left <= 0) return size === 0 ? 0 : size + 1;
  }
  return 0;
}

function elementsOf({ spots }: Tables, page: number, days: number[], devices: readonly Device[]): ClickedElement[] {
  const sums = new Map<string, Counted>();
  let limit = MAX_SPOT_ROWS;
  for (const day of days.toReversed())
    for (const device of devices.map((one) => DEVICES.indexOf(one))) {
      const range = { start: [page, day, device, ''], end: [page, day, device + 1, ''], limit };
      for (const { key, value } of spots.getRange(range as never)) {
        const sum = entry(sums, key[3], (): Counted => new Map());
        readTile(value, (spot, n) => count(sum, spot, n));
        limit -= 1;
      }
    }
  const elements = [...sums].map(([selector, sum]) => ({ selector, ...elementOf(sum) }));
  return elements.sort((a, b) => b.count - a.count).slice(0, MOST_ELEMENTS);
}

function elementOf(sum: Counted): Pick<ClickedElement, 'count' | 'spots'> {
  const spots: number[] = [];
  let total = 0;
  for (const [spot, n] of [...sum].sort((a, b) => a[0] - b[0])) {
    spots.push(spot % SPOTS, Math.floor(spot / SPOTS), n);
    total += n;
  }
  return { count: total, spots };
}
