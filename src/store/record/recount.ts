/**
 * Compares what is counted with what the frames add up to: day by day, and of days with many cells some of the pages at a time, so
 * that this takes no more memory for a large store than for a small one.
 */

import { MAX_STAYS } from '../../model/visit.ts';
import { DEVICES } from '../../model/visitor.ts';
import type { Difference, Run } from '../archive.ts';
import { type AggregationState, Aggregator, type PageNumbers, restartAggregation } from './aggregator.ts';
import { BAND_CELLS } from './bands.ts';
import { DamageLog } from './damage.ts';
import type { StoredVisit } from './stored-visit.ts';
import { type Counts, dayName, dayOf, LAYERS, NO_COUNTS, Sums } from './sums.ts';
import { readTile } from './tile.ts';

const MAX = 1000;
const FEW_DAYS = 10;
/** Bytes of cells that are compared at once. While they are counted they take about ten times as much memory. */
export const PART_BYTES = 16 * 1024 * 1024;

/** Notes what is not so. */
export type Compare = (what: string, kept: number, found: number) => void;

export function comparer(into: Difference[]): Compare {
  return (what, kept, found) => {
    if (kept !== found && into.length < MAX) into.push({ what, kept, found });
  };
}

/** A day on which something is kept. */
export interface StoredDay {
  /** Numbers of the visits that were there on it. */
  visits: number[];
  /** In how many parts its pages are compared. */
  parts: number;
}

/** Tells which pages are in one of so many parts. */
export function pagesIn(parts: number, part: number): (page: number) => boolean {
  return (page) => Math.abs(page) % parts === part;
}

/** Empty sums that count one day, and only pages for which `has` is true. */
export function newSums(day: number, has: (page: number) => boolean): Sums {
  return new Sums((page, of) => of === day && has(page));
}

/** False if the visit was on none of these pages. A visit with very many stays may have been on any page. */
export function mayTouch({ tally: { stays } }: StoredVisit, has: (page: string) => boolean): boolean {
  return stays.length >= MAX_STAYS || stays.some(({ page }) => has(page));
}

/** The day of a visit's first frame, which may be from before it was told of. `begin` is that of its first run. */
export function firstDay({ since }: StoredVisit, begin: number | undefined): number {
  return dayOf(Math.min(since, begin ?? since));
}

/** The days between, if they are few: what was brought from elsewhere may have long gaps. */
export function daysBetween(first: number, last: number): Set<number> | undefined {
  if (last - first >= FEW_DAYS) return undefined;
  const days = new Set([first]);
  for (let day = first; day <= last; day++) days.add(day);
  return days;
}

export function addDays(days: Set<number>, { t, until }: Pick<Run, 't' | 'until'>): void {
  for (let day = dayOf(t); day <= dayOf(until); day++) days.add(day);
}

/** Counts a visit anew. */
export class Recount {
  readonly #visit: StoredVisit;
  readonly #state: AggregationState;
  readonly #aggregator: Aggregator;
  #frames = 0;

  /** `pages` gives no new numbers. */
  constructor(visit: StoredVisit, sums: Sums, pages: PageNumbers) {
    this.#visit = visit;
    this.#state = restartAggregation(visit);
    this.#aggregator = new Aggregator(visit.site, sums, 1, pages, this.#state);
  }

  add(run: Run): void {
    this.#frames += run.frames;
    this.#aggregator.add(run);
  }

  /** Compares the visit with itself. `damage`: what was met in its runs. */
  compare(compare: Compare, { fault }: DamageLog): void {
    const { id, tally, frames } = this.#visit;
    const name = fault ? `visit ${id}, which is damaged (${fault.message})` : `visit ${id}`;
    for (const what of ['moves', 'clicks', 'scrolls', 'until'] as const)
      compare(`${what} of ${name}`, tally[what], this.#state[what]);
    compare(`pages of ${name}`, tally.stays.length, this.#state.stays.length);
    compare(`frames of ${name}`, frames, this.#frames);
  }
}

/** Counts as they are kept. */
export interface CountRow {
  site: string;
  page: number;
  counts: Readonly<Counts>;
}

export function compareCounts(
  kept: Iterable<CountRow>,
  sums: Sums,
  day: number,
  nameOf: (page: number) => string,
  compare: Compare,
): void {
  const left = new Map(sums.counts);
  const one = ({ site, page, counts }: CountRow, now: Readonly<Counts>) => {
    const name = `${site}${nameOf(page)} on ${dayName(day)}`;
    for (const what of Object.keys(NO_COUNTS) as (keyof Counts)[])
      compare(`${what} of ${name}`, counts[what], now[what]);
  };
  for (const row of kept) {
    const key = `${row.site}/${row.page}/${day}`;
    one(row, left.get(key)?.counts ?? NO_COUNTS);
    left.delete(key);
  }
  for (const { site, page, counts: now } of left.values()) one({ site, page, counts: NO_COUNTS }, now);
}

/** A tile of cells as it is kept. */
export interface CellRow {
  page: number;
  slice: number;
  band: number;
  tile: Uint8Array;
}

export function compareCells(
  kept: Iterable<CellRow>,
  sums: Sums,
  day: number,
  nameOf: (page: number) => string,
  compare: Compare,
): void {
  const left = new Map([...sums.cells].map(([key, { cells: counted }]) => [key, counted]));
  for (const { page, slice, band, tile } of kept) {
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

/** Clicks on an element as they are kept; `device` is its place in DEVICES. */
export interface SpotRow {
  page: number;
  device: number;
  selector: string;
  tile: Uint8Array;
}

export function compareSpots(
  kept: Iterable<SpotRow>,
  sums: Sums,
  day: number,
  nameOf: (page: number) => string,
  compare: Compare,
): void {
  const left = new Map([...sums.spots].map(([key, { spots: counted }]) => [key, counted]));
  for (const { page, device, selector, tile } of kept) {
    const counted = left.get(`${page}/${day}/${device}/${selector}`);
    const name = `clicks on ${selector} of ${nameOf(page)} on ${dayName(day)}`;
    readWhole(tile, name, compare, (spot, n) => {
      compare(name, n, counted?.get(spot) ?? 0);
      counted?.delete(spot);
    });
  }
  compareLeft('clicks on elements', left, compare);
}

/** As `readTile`; that a tile is damaged is a difference. */
function readWhole(tile: Uint8Array, name: string, compare: Compare, tell: (cell: number, n: number) => void): void {
  const damage = new DamageLog();
  damage.pass(() => readTile(tile, tell));
  if (damage.fault) compare(`${name}, which cannot be read (${damage.fault.message})`, 1, 0);
}

/** What the frames have and the store has not. */
function compareLeft(what: string, left: Map<string, Iterable<[number, number]>>, compare: Compare): void {
  for (const [key, counted] of left) for (const [cell, n] of counted) compare(`${what} of ${key}: ${cell}`, 0, n);
}
