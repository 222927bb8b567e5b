/** Reads counts and heatmaps. */
import { getOrInsert } from '../../lib/get-or-insert.ts';
import type { Heat } from '../../model/heat.ts';
import type { DayCounts, PageCounts } from '../../model/visit.ts';
import { DEVICES, type Device } from '../../model/visitor.ts';
import type { Days, HeatQuery } from '../archive.ts';
import type { DamageLog } from '../record/damage.ts';
import { ElementClicks, HeatCells, heatOf, layerOf, MAX_SPOT_ROWS, noHeat, pageCounts } from '../record/heat.ts';
import { addCounts, type Counts, countsFrom, dayFrom, dayName, type Layer, WHOLE_SITE } from '../record/sums.ts';
import type { Counted } from '../record/tile.ts';
import type { PageNumberTable } from './page-table.ts';
import { readCells } from './sum-tables.ts';
import { LAST, type Tables } from './tables.ts';

/** Implements `Archive.pages`. */
export function readLmdbPages(tables: Tables, pages: PageNumberTable, site: string, days: Days): PageCounts[] {
  const sums = new Map<number, Counts>();
  for (const { page, counts } of rowsOf(tables, site, days)) addCounts(getOrInsert(sums, page, countsFrom), counts);
  return pageCounts(sums, (page) => pages.nameOf(page));
}

function* rowsOf({ counts }: Tables, site: string, days: Days) {
  const range = { start: [site, dayFrom(days.from), 0], end: [site, dayFrom(days.to), LAST] };
  for (const { key, value } of counts.getRange(range as never))
    yield { day: key[1], page: key[2], counts: countsFrom(value) };
}

/** Implements `Archive.days`. */
export function readLmdbDays(
  tables: Tables,
  pages: PageNumberTable,
  site: string,
  page: string | null,
  days: Days,
): DayCounts[] {
  const number = page === null ? WHOLE_SITE : pages.find(site, page);
  if (number === undefined) return [];
  return [...countedDays(tables, site, number, days)].map(({ day, counts }) => ({ day: dayName(day), ...counts }));
}

/** Yields the days on which a page has counts. Days without counts are skipped: there may be a century of them. */
function* countedDays({ counts }: Tables, site: string, page: number, { from, to }: Days) {
  const last = dayFrom(to);
  for (let day = firstDay(counts, site, dayFrom(from), last); day <= last; ) {
    const found = counts.get([site, day, page]);
    if (found) yield { day, counts: countsFrom(found) };
    day = firstDay(counts, site, day + 1, last);
  }
}

/** Returns the first day from `from` on that has counts of the site, or a day after `last`. */
function firstDay(counts: Tables['counts'], site: string, from: number, last: number): number {
  // A damaged key may have any number.
  for (const [, day] of counts.getKeys({ start: [site, from, 0], end: [site, last, LAST] } as never))
    if (Number.isInteger(day) && day >= from) return day;
  return last + 1;
}

/** Implements `Archive.heat`. `damage` collects tiles that cannot be read in full. */
export function readLmdbHeat(tables: Tables, pages: PageNumberTable, query: HeatQuery, damage: DamageLog): Heat {
  const page = pages.find(query.site, query.page);
  if (page === undefined) return noHeat();
  const days = [...countedDays(tables, query.site, page, query)].map(({ day }) => day);
  const devices = query.device === undefined ? DEVICES : [query.device];
  const read = (layer: Layer) => sumCells(tables, page, days, devices, layer, damage);
  const spots = query.kind === 'click' ? spotsOf(tables, page, days, devices, damage) : new Map();
  return heatOf(query.kind, read(layerOf(query.kind)), read('extent'), spots);
}

function sumCells(
  tables: Tables,
  page: number,
  days: number[],
  devices: readonly Device[],
  layer: Layer,
  damage: DamageLog,
): Counted {
  const sum = new HeatCells();
  const add = (cell: number, n: number) => sum.add(cell, n);
  for (const day of days) for (const device of devices) readCells(tables, page, day, device, layer, add, damage);
  return sum.counted();
}

/** Returns the clicks on each element. */
function spotsOf(
  { spots }: Tables,
  page: number,
  days: number[],
  devices: readonly Device[],
  damage: DamageLog,
): Map<string, Counted> {
  const clicks = new ElementClicks();
  let limit = MAX_SPOT_ROWS;
  for (const day of days.toReversed())
    for (const device of devices.map((one) => DEVICES.indexOf(one))) {
      const range = { start: [page, day, device, ''], end: [page, day, device + 1, ''], limit };
      for (const { key, value } of spots.getRange(range as never)) {
        damage.tryRead(() => clicks.add(key[3], value));
        limit -= 1;
      }
    }
  return clicks.sums;
}
