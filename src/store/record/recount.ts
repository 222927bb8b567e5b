/**
 * Compares the stored counts with what the frames add up to, day by day. Days with many cells are compared some pages
 * at a time, so that a large store takes no more memory than a small one.
 */

import { MAX_STAYS, NO_COUNTS } from '../../model/visit.ts';
import { DEVICES } from '../../model/visitor.ts';
import type { Difference, Run } from '../archive.ts';
import { type AggregationState, Aggregator, type PageNumbers, restartAggregation } from './aggregator.ts';
import { BAND_CELLS } from './bands.ts';
import { DamageLog } from './damage.ts';
import type { StoredVisit } from './stored-visit.ts';
import { COUNT_NAMES, type Counts, dayName, dayOf, LAYERS, Sums } from './sums.ts';
import { readTile } from './tile.ts';

const MAX_DIFFERENCES = 1000;
const FEW_DAYS = 10;
/**
 * Size of the cells that are compared at once, bytes. While they are counted they take about ten times as much memory.
 */
export const PART_BYTES = 16 * 1024 * 1024;

/** Reports a value that differs. */
export type Compare = (what: string, stored: number, found: number) => void;

export function comparer(into: Difference[]): Compare {
  return (what, stored, found) => {
    if (stored !== found && into.length < MAX_DIFFERENCES) into.push({ what, kept: stored, found });
  };
}

/** A day with stored data. */
export interface StoredDay {
  /** Numbers of the visits on that day. */
  visits: number[];
  /** Number of parts in which its pages are compared. */
  parts: number;
}

/** Returns a function that tells whether a page is in part number `part`. */
export function pagesIn(parts: number, part: number): (page: number) => boolean {
  return (page) => Math.abs(page) % parts === part;
}

/** Returns empty sums that count one day, and only pages for which `has` is true. */
export function newSums(day: number, has: (page: number) => boolean): Sums {
  return new Sums((page, of) => of === day && has(page));
}

/** Returns false if the visit was on none of these pages. A visit with very many stays may have been on any page. */
export function mayTouch({ tally: { stays } }: StoredVisit, has: (page: string) => boolean): boolean {
  return stays.length >= MAX_STAYS || stays.some(({ page }) => has(page));
}

/**
 * Returns the day of a visit's first frame, which may be from before the visit was registered. `firstRun`: time of its
 * first run.
 */
export function firstDay({ since }: StoredVisit, firstRun: number | undefined): number {
  return dayOf(Math.min(since, firstRun ?? since));
}

/** Returns the days from `first` to `last`, or undefined if there are many: imported visits may have long gaps. */
export function daysBetween(first: number, last: number): Set<number> | undefined {
  if (last - first >= FEW_DAYS) return undefined;
  const days = new Set([first]);
  for (let day = first; day <= last; day++) days.add(day);
  return days;
}

export function addDays(days: Set<number>, { t, until }: Pick<Run, 't' | 'until'>): void {
  for (let day = dayOf(t); day <= dayOf(until); day++) days.add(day);
}

/** Counts a visit again. */
export class Recount {
  readonly #visit: StoredVisit;
  readonly #state: AggregationState;
  readonly #aggregator: Aggregator;
  #frames = 0;

  /** `pages` must not assign new numbers. */
  constructor(visit: StoredVisit, sums: Sums, pages: PageNumbers) {
    this.#visit = visit;
    this.#state = restartAggregation(visit);
    this.#aggregator = new Aggregator(visit.site, sums, 1, pages, this.#state);
  }

  add(run: Run): void {
    this.#frames += run.frames;
    this.#aggregator.add(run);
  }

  /** Compares the visit's own totals. `damage`: what was found while reading its runs. */
  compare(compare: Compare, { fault }: DamageLog): void {
    const { id, tally, frames } = this.#visit;
    const name = fault ? `visit ${id}, which is damaged (${fault.message})` : `visit ${id}`;
    for (const what of ['moves', 'clicks', 'scrolls', 'until'] as const)
      compare(`${what} of ${name}`, tally[what], this.#state[what]);
    compare(`pages of ${name}`, tally.stays.length, this.#state.stays.length);
    compare(`frames of ${name}`, frames, this.#frames);
  }
}

/** A stored row of counts. */
export interface CountRow {
  site: string;
  page: number;
  counts: Readonly<Counts>;
}

export function compareCounts(
  stored: Iterable<CountRow>,
  sums: Sums,
  day: number,
  nameOf: (page: number) => string,
  compare: Compare,
): void {
  const left = new Map(sums.counts);
  const one = ({ site, page, counts }: CountRow, now: Readonly<Counts>) => {
    const name = `${site}${nameOf(page)} on ${dayName(day)}`;
    for (const what of COUNT_NAMES) compare(`${what} of ${name}`, counts[what], now[what]);
  };
  for (const row of stored) {
    const key = `${row.site}/${row.page}/${day}`;
    one(row, left.get(key)?.counts ?? NO_COUNTS);
    left.delete(key);
  }
  for (const { site, page, counts: now } of left.values()) one({ site, page, counts: NO_COUNTS }, now);
}

/** A stored tile of cells. */
export interface CellRow {
  page: number;
  slice: number;
  band: number;
  tile: Uint8Array;
}

export function compareCells(
  stored: Iterable<CellRow>,
  sums: Sums,
  day: number,
  nameOf: (page: number) => string,
  compare: Compare,
): void {
  const left = new Map([...sums.cells].map(([key, { cells: counted }]) => [key, counted]));
  for (const { page, slice, band, tile } of stored) {
    const [device, layer] = [Math.floor(slice / LAYERS.length), slice % LAYERS.length];
    const name = `${LAYERS[layer]} cells of ${nameOf(page)} on ${dayName(day)}, ${DEVICES[device]}`;
    const counted = left.get(`${page}/${day}/${device}/${layer}`);
    readWhole(tile, name, compare, (cell, n) => {
      const place = band * BAND_CELLS + cell;
      const now = counted?.get(place) ?? 0;
      if (n !== now) compare(`${name}: cell ${place}`, n, now);
      if (now !== 0) counted?.add(place, -now);
    });
  }
  compareLeft('cells', left, compare);
}

/** Stored clicks on an element. `device` is an index into DEVICES. */
export interface SpotRow {
  page: number;
  device: number;
  selector: string;
  tile: Uint8Array;
}

export function compareSpots(
  stored: Iterable<SpotRow>,
  sums: Sums,
  day: number,
  nameOf: (page: number) => string,
  compare: Compare,
): void {
  const left = new Map([...sums.spots].map(([key, { spots: counted }]) => [key, counted]));
  for (const { page, device, selector, tile } of stored) {
    const counted = left.get(`${page}/${day}/${device}/${selector}`);
    const name = `clicks on ${selector} of ${nameOf(page)} on ${dayName(day)}`;
    readWhole(tile, name, compare, (spot, n) => {
      compare(name, n, counted?.get(spot) ?? 0);
      counted?.delete(spot);
    });
  }
  compareLeft('clicks on elements', left, compare);
}

/** Like `readTile`, but reports a damaged tile as a difference. */
function readWhole(tile: Uint8Array, name: string, compare: Compare, onCell: (cell: number, n: number) => void): void {
  const damage = new DamageLog();
  damage.tryRead(() => readTile(tile, onCell));
  if (damage.fault) compare(`${name}, which cannot be read (${damage.fault.message})`, 1, 0);
}

/** Reports what the frames have and the store does not. */
function compareLeft(what: string, left: Map<string, Iterable<[number, number]>>, compare: Compare): void {
  for (const [key, counted] of left) for (const [cell, n] of counted) compare(`${what} of ${key}: ${cell}`, 0, n);
}
