/** Collects what visits add to counts and heatmaps, before it is added to the stored values. */

import { getOrInsert } from '../../lib/get-or-insert.ts';
import { DAY_MS, dayText } from '../../model/day.ts';
import { CELL, MAX_COLUMN, MAX_ROW } from '../../model/heat.ts';
import { NO_COUNTS, type PageCounts } from '../../model/visit.ts';
import { DEVICES, type Device } from '../../model/visitor.ts';
import { type CellSlots, CellTable } from './cell-table.ts';
import { type Counted, countInTile } from './tile.ts';

/**
 * The layers of cells. move, click: where they were · depth: the deepest row seen in each view (column 0) · extent: the
 * document's corner in each view.
 */
export const LAYERS = ['move', 'click', 'depth', 'extent'] as const;
export type Layer = (typeof LAYERS)[number];

/** Counts of one page and day; page 0 is the whole site. */
export type Counts = Omit<PageCounts, 'page'>;

export const COUNT_NAMES = Object.keys(NO_COUNTS) as (keyof Counts)[];

/** Counts as they are stored: some are missing in stores of earlier formats. */
export type StoredCounts = Partial<Counts>;

export function countsFrom(stored: Readonly<StoredCounts> = {}): Counts {
  return { ...NO_COUNTS, ...stored };
}

/** Returns device class and layer as one number. */
export function sliceOf(device: Device, layer: Layer): number {
  return DEVICES.indexOf(device) * LAYERS.length + LAYERS.indexOf(layer);
}

/** Adds to `sum`, and returns it. No count goes below 0: a damaged visit may subtract more than it added. */
export function addCounts(sum: Counts, added: Readonly<Counts>): Counts {
  for (const what of COUNT_NAMES) sum[what] = Math.max(0, sum[what] + added[what]);
  return sum;
}

/** Returns false if all counts are 0. */
export function isCounted(counts: Readonly<Counts>): boolean {
  return Object.values(counts).some((value) => value !== 0);
}

/** Cells of a page, day, class and layer, numbered `row × COLUMNS + column`. */
export interface CellSum {
  page: number;
  day: number;
  device: Device;
  layer: Layer;
  cells: CellTable;
}

/**
 * Clicks on an element of a page, by day and class of window. Spots are numbered `row × 16 + column` of a grid over the
 * element.
 */
export interface SpotSum {
  page: number;
  day: number;
  device: Device;
  selector: string;
  spots: Counted;
}

export interface CountSum {
  site: string;
  page: number;
  day: number;
  counts: Counts;
}

/** Page number that stands for the whole site. */
export const WHOLE_SITE = 0;

const CONTROLS = /\p{Cc}/gu;

export const COLUMNS = MAX_COLUMN + 1;

/** Returns the day as a number since 1970, UTC. */
export function dayOf(t: number): number {
  return Math.floor(t / DAY_MS);
}

/** Returns a day as text, such as `2026-11-20`. */
export function dayName(day: number): string {
  return dayText(day * DAY_MS);
}

/** Returns the number of a day given as such a text. */
export function dayFrom(text: string): number {
  return dayOf(Date.parse(text));
}

/** Returns the cell of a place on a page. Places outside the page are in the nearest cell. */
export function cellOf(x: number, y: number): number {
  const column = Math.min(MAX_COLUMN, Math.max(0, Math.floor(x / CELL)));
  const row = Math.min(MAX_ROW, Math.max(0, Math.floor(y / CELL)));
  return row * COLUMNS + column;
}

/** Sums in the form that is sent to another thread. */
export interface PackedSums {
  counts: CountSum[];
  cells: (Omit<CellSum, 'cells'> & { slots: CellSlots })[];
  spots: SpotSum[];
}

/** Returns the buffers of packed sums that can be transferred without a copy. */
export function slotsIn({ cells }: PackedSums): ArrayBuffer[] {
  return cells.flatMap(({ slots }) => [slots.cells.buffer, slots.counts.buffer]);
}

export class Sums {
  readonly cells = new Map<string, CellSum>();
  readonly spots = new Map<string, SpotSum>();
  readonly counts = new Map<string, CountSum>();
  readonly #accepts: (page: number, day: number) => boolean;
  readonly #ignoredCells = new CellTable();
  readonly #ignoredSpots: Counted = new Map();

  /** `accepts`: only pages and days for which it is true are summed up. */
  constructor(accepts: (page: number, day: number) => boolean = () => true) {
    this.#accepts = accepts;
  }

  /** Returns a table whose content is ignored. */
  #noCells(): CellTable {
    this.#ignoredCells.clear();
    return this.#ignoredCells;
  }

  #noSpots(): Counted {
    this.#ignoredSpots.clear();
    return this.#ignoredSpots;
  }

  cellsOf(page: number, day: number, device: Device, layer: Layer): CellTable {
    if (!this.#accepts(page, day)) return this.#noCells();
    const key = `${page}/${day}/${DEVICES.indexOf(device)}/${LAYERS.indexOf(layer)}`;
    return getOrInsert(this.cells, key, () => ({ page, day, device, layer, cells: new CellTable() })).cells;
  }

  /** Control characters in selectors become spaces, because stores use them as separators in keys. */
  spotsOf(page: number, day: number, device: Device, given: string): Counted {
    if (!this.#accepts(page, day)) return this.#noSpots();
    const selector = given.replace(CONTROLS, ' ');
    const key = `${page}/${day}/${DEVICES.indexOf(device)}/${selector}`;
    return getOrInsert(this.spots, key, () => ({ page, day, device, selector, spots: new Map() })).spots;
  }

  countsOf(site: string, page: number, day: number): Counts {
    if (!this.#accepts(page, day)) return countsFrom();
    const key = `${site}/${page}/${day}`;
    return getOrInsert(this.counts, key, () => ({ site, page, day, counts: countsFrom() })).counts;
  }

  /**
   * Returns the sums in a form that can be sent to another thread. `slotsIn` lists the buffers that can be transferred.
   */
  pack(): PackedSums {
    return {
      counts: [...this.counts.values()],
      cells: [...this.cells.values()].map(({ cells, ...of }) => ({ ...of, slots: cells.slots })),
      spots: [...this.spots.values()],
    };
  }

  /** Adds the sums of another thread. */
  merge({ counts, cells, spots }: PackedSums): void {
    for (const { site, page, day, counts: by } of counts)
      for (const what of COUNT_NAMES) this.add(site, page, day, what, by[what]);
    for (const { page, day, device, layer, slots } of cells) this.cellsOf(page, day, device, layer).merge(slots);
    for (const one of spots) {
      const sum = this.spotsOf(one.page, one.day, one.device, one.selector);
      for (const [spot, n] of one.spots) countInTile(sum, spot, n);
    }
  }

  add(site: string, page: number, day: number, what: keyof Counts, by: number): void {
    this.countsOf(site, page, day)[what] += by;
  }

  addCell(page: number, day: number, device: Device, layer: Layer, cell: number, by: number): void {
    this.cellsOf(page, day, device, layer).add(cell, by);
  }
}
