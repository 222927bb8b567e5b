/** Turns sums into the counts and heatmaps that readers receive. */
import { getOrInsert } from '../../lib/get-or-insert.ts';
import { CELL, type ClickedElement, type Heat, type HeatKind, MAX_ROW } from '../../model/heat.ts';
import type { PageCounts } from '../../model/visit.ts';
import { CellTable } from './cell-table.ts';
import { placeClicks } from './click-places.ts';
import { SPOTS, spotIn } from './place.ts';
import { COLUMNS, type Counts, type Layer, WHOLE_SITE } from './sums.ts';
import { type Counted, countInTile, readTile } from './tile.ts';

const MAX_PAGES = 1000;
const MAX_ELEMENTS = 20;
/**
 * Maximum number of rows of clicked elements that are read, the newest days first. Visitors can produce any number of
 * rows.
 */
export const MAX_SPOT_ROWS = 20_000;
/**
 * Maximum number of click places that are analysed. They take some tenths of a second, on the event loop of a worker
 * with Redis. Further clicks are drawn where they were on the page.
 */
const MAX_PLACES = 100_000;
/** Number of cells of the largest page. */
const CELLS = COLUMNS * (MAX_ROW + 1);
/** The page is shown as large as the documents of at least this share of the views. */
const EXTENT_SHARE = 0.05;

export function noHeat(): Heat {
  return { views: 0, cells: [], total: 0, most: 0, extent: [0, 0], elements: [] };
}

/** Returns what `Archive.pages` returns, from the counts of each page. */
export function pageCounts(sums: ReadonlyMap<number, Counts>, nameOf: (page: number) => string): PageCounts[] {
  const rows: PageCounts[] = [];
  for (const [page, counts] of sums) if (page !== WHOLE_SITE) rows.push({ page: nameOf(page), ...counts });
  return rows.sort((a, b) => b.views - a.views || (a.page < b.page ? -1 : 1)).slice(0, MAX_PAGES);
}

/** Returns the layer of cells that a heatmap is made of. */
export function layerOf(kind: HeatKind): Layer {
  return kind === 'scroll' ? 'depth' : kind;
}

/**
 * Sums up the cells of many tiles. A heatmap of a month may have a million of them, for which a `Map` takes several
 * times as long.
 */
export class HeatCells {
  readonly #table = new CellTable();

  /** Ignores cells that no page has. A damaged tile may name them, and a picture would grow with them. */
  add(cell: number, n: number): void {
    if (cell >= 0 && cell < CELLS) this.#table.add(cell, n);
  }

  counted(): Counted {
    return new Map(this.#table);
  }
}

/** Collects clicks on the elements of a page as they are read. */
export class ElementClicks {
  readonly sums = new Map<string, Counted>();
  #left = MAX_PLACES;

  /** Adds a tile. Throws FrameError if it is damaged. */
  add(selector: string, tile: Uint8Array): void {
    const sum = getOrInsert(this.sums, selector, (): Counted => new Map());
    readTile(tile, (packed, n) => {
      countInTile(sum, this.#left > 0 ? packed : spotIn(packed), n);
      this.#left -= 1;
    });
  }
}

/** Returns what `Archive.heat` returns. `sum`: the cells of the layer. `elements`: clicks by selector. */
export function heatOf(kind: HeatKind, sum: Counted, extents: Counted, elements: ReadonlyMap<string, Counted>): Heat {
  const placed = kind === 'click' ? placeClicks(sum, elements) : undefined;
  const shown = flat(sum, kind === 'scroll');
  // If most clicks were placed, the page is shown in their common width.
  const isPlaced = placed !== undefined && 2 * placed.placed >= shown.total;
  return {
    ...shown,
    views: [...extents.values()].reduce((all, n) => all + n, 0),
    extent: isPlaced ? extentIn(placed.width, extents) : extentOf(extents),
    elements: elementsOf(elements),
  };
}

/** Returns the size of the page in documents of a width, pixels. `width` is in cells. */
function extentIn(width: number, extents: Counted): [number, number] {
  const narrowed = [...extents].filter(([cell]) => cell % COLUMNS === width);
  const [, height] = extentOf(narrowed.length > 0 ? new Map(narrowed) : extents);
  return [CELL * (width + 1), height];
}

/** Returns `column, row, count` of each cell, without the column if there is only one. */
function flat(sum: Counted, rowsOnly: boolean): Pick<Heat, 'cells' | 'total' | 'most'> {
  const cells: number[] = [];
  let total = 0;
  let most = 0;
  for (const cell of Int32Array.from(sum.keys()).sort()) {
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
    countInTile(columns, cell % COLUMNS, n);
    countInTile(rows, Math.floor(cell / COLUMNS), n);
  }
  return [CELL * largest(columns), CELL * largest(rows)];
}

/** Returns the largest size that at least EXTENT_SHARE of the views have. */
function largest(sizes: Counted): number {
  let left = EXTENT_SHARE * [...sizes.values()].reduce((sum, n) => sum + n, 0);
  for (const size of [...sizes.keys()].sort((a, b) => b - a)) {
    left -= sizes.get(size) as number;
    if (left <= 0) return size === 0 ? 0 : size + 1;
  }
  return 0;
}

function elementsOf(spots: ReadonlyMap<string, Counted>): ClickedElement[] {
  const elements = [...spots].map(([selector, sum]) => ({ selector, ...elementOf(sum) }));
  return elements.sort((a, b) => b.count - a.count).slice(0, MAX_ELEMENTS);
}

function elementOf(sum: Counted): Pick<ClickedElement, 'count' | 'spots'> {
  const bySpot: Counted = new Map();
  for (const [packed, n] of sum) countInTile(bySpot, spotIn(packed), n);
  const spots: number[] = [];
  let total = 0;
  for (const [spot, n] of [...bySpot].sort((a, b) => a[0] - b[0])) {
    spots.push(spot % SPOTS, Math.floor(spot / SPOTS), n);
    total += n;
  }
  return { count: total, spots };
}
