/**
 * Recomputes what the frames add up to, and compares: day by day, and of days with many cells some of the pages at a time, so that
 * this takes no more memory for a large store than for a small one.
 */
import { entry } from '../../entry.ts';
import { DEVICES } from '../../protocol/stream.ts';
import type { Difference, Progress } from '../archive.ts';
import { type Counts, dayName, dayOf, LAYERS, NO_COUNTS, Sums } from '../record/sums.ts';
import { newTally, Tally } from '../record/tally.ts';
import { type Counted, readTile } from '../record/tile.ts';
import { OTHER_PAGES, type PageBook } from './page-book.ts';
import type { Shelf } from './shelf.ts';
import { BAND_CELLS } from './sum-tables.ts';
import { firstParts, type KeptVisit, type Tables } from './tables.ts';

const MOST = 1000;
const FEW_DAYS = 10;
/** Bytes of cells that are compared at once: some millions, which take up to fifty times as many bytes as they are counted anew. */
const PART_BYTES = 4 * 1024 * 1024;

/** As `Archive.verify`, of what is filed. */
export function differences(
  tables: Tables,
  pages: PageBook,
  shelf: Shelf,
  progress?: Progress,
  partBytes = PART_BYTES,
): Difference[] {
  const found: Difference[] = [];
  const note: Note = (what, kept, now) => {
    if (kept !== now && found.length < MOST) found.push({ what, kept, found: now });
  };
  const days = daysOf(tables, shelf, partBytes);
  const total = [...days.values()].reduce((sum, { visits, parts }) => sum + visits.length * parts, 0);
  let done = 0;
  const sites = [...firstParts(tables.counts)];
  const numbers = new Set([...firstParts(tables.cells), ...firstParts(tables.spots)]);
  for (const [day, { visits, parts }] of days)
    for (let part = 0; part < parts; part++) {
      const has = (page: number) => Math.abs(page) % parts === part;
      const sums = new Sums((page, of) => of === day && has(page));
      for (const number of visits) {
        checkVisit(number, tables, pages, shelf, sums, note, part === 0 ? day : undefined);
        done += 1;
        progress?.(done, total);
      }
      const places = { day, sites, pages: [...numbers].filter(has), has };
      compareCounts(tables, pages, sums, places, note);
      compareCells(tables, pages, sums, places, note);
      compareSpots(tables, pages, sums, places, note);
    }
  return found;
}

interface Day {
  /** Numbers of the visits that were there on it. */
  visits: number[];
  /** In how many parts its pages are compared. */
  parts: number;
}

/** The days that anything is kept of. */
function daysOf(tables: Tables, shelf: Shelf, partBytes: number): Map<number, Day> {
  const days = new Map<number, Day>();
  const at = (day: number) => entry(days, day, (): Day => ({ visits: [], parts: 1 }));
  for (const { key, value } of tables.visits.getRange())
    for (const day of daysIn(key, value, shelf)) at(day).visits.push(key);
  for (const [, day] of tables.counts.getKeys()) at(day);
  const bytes = new Map<number, number>();
  for (const table of [tables.cells, tables.spots])
    for (const { key, value } of table.getRange()) bytes.set(key[1], (bytes.get(key[1]) ?? 0) + value.length);
  for (const [day, size] of bytes) at(day).parts = Math.ceil(size / partBytes);
  return days;
}

/** The days of a visit. What was brought from elsewhere may have long gaps. */
function daysIn(number: number, visit: KeptVisit, shelf: Shelf): Set<number> {
  const [first, last] = [firstDay(number, visit, shelf), dayOf(visit.tally.until)];
  const days = new Set([first]);
  if (last - first < FEW_DAYS) for (let day = first; day <= last; day++) days.add(day);
  else
    for (const { t, until } of shelf.runs(number)) for (let day = dayOf(t); day <= dayOf(until); day++) days.add(day);
  return days;
}

/** The day of a visit's first frame, which may be from before it was told of. */
function firstDay(number: number, { since }: KeptVisit, shelf: Shelf): number {
  return dayOf(Math.min(since, shelf.begin(number) ?? since));
}

/** Where counts of a part of a day may stand. */
interface Places {
  day: number;
  sites: string[];
  pages: number[];
  has(page: number): boolean;
}

type Note = (what: string, kept: number, found: number) => void;

/** Adds a visit to the sums; on the first of its days it is compared with itself, too. */
function checkVisit(
  number: number,
  { visits }: Tables,
  pages: PageBook,
  shelf: Shelf,
  sums: Sums,
  note: Note,
  day: number | undefined,
): void {
  const visit = visits.get(number) as KeptVisit;
  const readOnly = {
    numberOf: (site: string, page: string) => pages.find(site, page) ?? pages.find(site, OTHER_PAGES) ?? -1,
    nameOf: (one: number) => pages.nameOf(one),
  };
  const tallied = newTally(visit.since);
  const tally = new Tally(visit.site, sums, 1, readOnly, tallied);
  let frames = 0;
  for (const run of shelf.runs(number)) {
    frames += run.frames;
    tally.add(run);
  }
  if (day !== firstDay(number, visit, shelf)) return;
  const name = `visit ${visit.id}`;
  for (const what of ['moves', 'clicks', 'scrolls', 'until'] as const)
    note(`${what} of ${name}`, visit.tally[what], tallied[what]);
  note(`pages of ${name}`, visit.tally.stays.length, tallied.stays.length);
  note(`frames of ${name}`, visit.frames, frames);
}

function compareCounts({ counts }: Tables, pages: PageBook, sums: Sums, { day, sites, has }: Places, note: Note): void {
  const left = new Map(sums.counts);
  const compare = (site: string, page: number, kept: Readonly<Counts>, now: Readonly<Counts>) => {
    const name = `${site}${pages.nameOf(page)} on ${dayName(day)}`;
    for (const what of Object.keys(NO_COUNTS) as (keyof Counts)[]) note(`${what} of ${name}`, kept[what], now[what]);
  };
  for (const site of sites)
    for (const { key, value } of counts.getRange({ start: [site, day, 0], end: [site, day + 1, 0] })) {
      const [, , page] = key;
      if (!has(page)) continue;
      compare(site, page, value, left.get(`${site}/${page}/${day}`)?.counts ?? NO_COUNTS);
      left.delete(`${site}/${page}/${day}`);
    }
  for (const { site, page, counts: now } of left.values()) compare(site, page, NO_COUNTS, now);
}

function compareCells(
  { cells }: Tables,
  pages: PageBook,
  sums: Sums,
  { day, pages: numbers }: Places,
  note: Note,
): void {
  const left = new Map([...sums.cells].map(([key, { cells: counted }]) => [key, counted]));
  for (const number of numbers)
    for (const { key, value } of cells.getRange({ start: [number, day, 0, 0], end: [number, day + 1, 0, 0] })) {
      const [page, , slice, band] = key;
      const [device, layer] = [Math.floor(slice / LAYERS.length), slice % LAYERS.length];
      const name = `${LAYERS[layer]} cells of ${pages.nameOf(page)} on ${dayName(day)}, ${DEVICES[device]}`;
      const counted = left.get(`${page}/${day}/${device}/${layer}`);
      readTile(value, (cell, n) => {
        note(`${name}: cell ${band * BAND_CELLS + cell}`, n, counted?.get(band * BAND_CELLS + cell) ?? 0);
        counted?.delete(band * BAND_CELLS + cell);
      });
    }
  noteLeft('cells', left, note);
}

function compareSpots(
  { spots }: Tables,
  pages: PageBook,
  sums: Sums,
  { day, pages: numbers }: Places,
  note: Note,
): void {
  const left = new Map([...sums.spots].map(([key, { spots: counted }]) => [key, counted]));
  for (const number of numbers)
    for (const { key, value } of spots.getRange({ start: [number, day, 0, ''], end: [number, day + 1, 0, ''] })) {
      const counted = left.get(key.join('/'));
      readTile(value, (spot, n) => {
        note(`clicks on ${key[3]} of ${pages.nameOf(number)} on ${dayName(day)}`, n, counted?.get(spot) ?? 0);
        counted?.delete(spot);
      });
    }
  noteLeft('clicks on elements', left, note);
}

/** What the frames have and the store has not. */
function noteLeft(what: string, left: Map<string, Counted>, note: Note): void {
  for (const [key, counted] of left) for (const [cell, n] of counted) note(`${what} of ${key}: ${cell}`, 0, n);
}
