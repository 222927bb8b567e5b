/** The tables of the record, and the form of their keys. */
import type { Database, RootDatabase } from 'lmdb';
import { SITE_KEY } from '../../model/site.ts';
import { MAX_STAYS } from '../../model/visit.ts';
import { DEVICES, type Device } from '../../model/visitor.ts';
import type { Run } from '../archive.ts';
import { noneRemoved } from '../record/age-clock.ts';
import type { RemovedVisit } from '../record/removal-queue.ts';
import { isTime, MAX_VISIT_MS } from '../record/run-checks.ts';
import type { StoredVisit } from '../record/stored-visit.ts';
import { COUNT_NAMES, type StoredCounts } from '../record/sums.ts';
import {
  isAny,
  isList,
  isNumber,
  isOptional,
  isRecord,
  isText,
  type KeyShape,
  type OnDamage,
  openTable,
  type ValueCheck,
} from './table.ts';

/** A stored visit. Its key is its number, which it gets at its first compaction. */
export interface VisitEntry extends StoredVisit {
  /** Time of the first run in the last chunk. */
  lastChunk: number;
}

/** The rest of a visit that is being rewritten, under its old number. */
export interface SortingVisit extends RemovedVisit {
  /** Its new number. */
  into: number;
  /** Numbers of the runs that were replaced. */
  replaced: readonly number[];
}

/** `writer` distinguishes concurrent writers. */
export type JournalKey = [shard: number, t: number, writer: number, seq: number];

export interface Tables {
  /** Batches that are committed and not compacted yet. */
  journal: Database<Buffer, JournalKey>;
  /** Test values, removed at once. */
  scratch: Database<Buffer, [writer: number, no: number]>;
  /** Erase times by visit id. Frames that arrive later are ignored. */
  erased: Database<number, string>;
  /** Batches that cannot be read. */
  damaged: Database<Buffer, JournalKey>;
  visits: Database<VisitEntry, number>;
  /** Visits that are being removed, by number. */
  going: Database<RemovedVisit, number>;
  /** Visits that are being rewritten (sorting.ts), by old number; their shards; and the runs to add. */
  sorting: Database<SortingVisit, number>;
  sortQueue: Database<true, [shard: number, visit: number]>;
  sortRuns: Database<Run, [into: number, t: number, n: number]>;
  /** Numbers of visits whose entry cannot be read. The rest of them is being removed (damaged-visits.ts). */
  lost: Database<true, number>;
  /**
   * The process that removes visits (`remover`), how many were removed (`removed`), and the store's time (`clock`).
   */
  upkeep: Database<unknown, string>;
  /** Numbers of visits by id. */
  ids: Database<number, string>;
  /** Visits of a site by start. */
  bySite: Database<true, [site: string, since: number, visit: number]>;
  byAge: Database<true, [since: number, visit: number]>;
  /** About how many bytes the visits of a site take. A key in brackets notes that this is known for all sites. */
  weights: Database<number, string>;
  /** Dropped sites: visits that started before this time are removed. */
  dropped: Database<number, string>;
  /** Chunks of a visit by the time of their first run; chunk.ts. */
  chunks: Database<Buffer, [visit: number, t: number]>;
  /** Numbers of the pages that a visit was on in a minute (since 1970). */
  minutes: Database<number[], [site: string, minute: number, visit: number]>;
  /** Numbers of pages, from 1. */
  pages: Database<number, [site: string, page: string]>;
  /** Number of pages of a site. Keys in brackets hold values for all sites (page-table.ts). */
  pageCounts: Database<number, string>;
  pageNames: Database<[site: string, page: string], number>;
  counts: Database<StoredCounts, [site: string, day: number, page: number]>;
  /** Tiles (tile.ts) of 16 rows each. */
  cells: Database<Buffer, [page: number, day: number, slice: number, band: number]>;
  spots: Database<Buffer, [page: number, day: number, device: number, selector: string]>;
}

/** Opens all tables. `onDamage` is called for entries that cannot be read; they are treated as missing. */
export function openTables(root: RootDatabase, onDamage?: OnDamage): Tables {
  const at = (key: KeyShape, value?: ValueCheck) => ({ key, ...(value && { value }), onDamage });
  const site = ['text', 'number', 'number'] as const;
  const batch = ['number', 'number', 'number', 'number'] as const;
  return {
    journal: openTable(root, 'journal', at(batch)),
    scratch: openTable(root, 'scratch', at(['number', 'number'])),
    erased: openTable(root, 'erased', at('text', isNumber)),
    damaged: openTable(root, 'damaged', at(batch)),
    visits: openTable(root, 'visits', at('number', isStoredVisit)),
    going: openTable(root, 'going', at('number', isGoingVisit)),
    sorting: openTable(root, 'sorting', at('number', isSortingVisit)),
    sortQueue: openTable(root, 'sort-queue', at(['number', 'number'], isAny)),
    sortRuns: openTable(root, 'sort-runs', at(['number', 'number', 'number'], isRun)),
    lost: openTable(root, 'lost', at('number', isAny)),
    upkeep: openTable(root, 'upkeep', at('text', isUpkeep)),
    ids: openTable(root, 'ids', at('text', isNumber)),
    bySite: openTable(root, 'by-site', at(site, isAny)),
    byAge: openTable(root, 'by-age', at(['number', 'number'], isAny)),
    weights: openTable(root, 'weights', at('text', isNumber)),
    dropped: openTable(root, 'dropped', at('text', isNumber)),
    chunks: openTable(root, 'chunks', at(['number', 'number'])),
    minutes: openTable(root, 'minutes', at(site, isList(isNumber))),
    pages: openTable(root, 'pages', at(['text', 'text'], isNumber)),
    pageCounts: openTable(root, 'page-counts', at('text', isNumber)),
    pageNames: openTable(root, 'page-names', at('number', isList(isText, 2))),
    counts: openTable(root, 'counts', at(site, isCounts)),
    cells: openTable(root, 'cells', at(batch)),
    spots: openTable(root, 'spots', at(['number', 'number', 'number', 'text'])),
  };
}

const isRemover = isRecord({ by: isNumber, at: isNumber });
const isRemoved = isRecord(Object.fromEntries(Object.keys(noneRemoved()).map((name) => [name, isNumber])));
const isStoredTime = isRecord({ at: isNumber, mono: isNumber });
const isUpkeep = (value: unknown) => isRemover(value) || isRemoved(value) || isStoredTime(value);

const isSize = isList(isNumber, 4);
const isCounts = isRecord({
  ...Object.fromEntries(COUNT_NAMES.map((name) => [name, isNumber])),
  measuredDepth: isOptional(isNumber),
  measuredHeight: isOptional(isNumber),
});

const isVisitRecord = isRecord({
  id: isText,
  site: (value) => isText(value) && SITE_KEY.test(value as string),
  since: isTime,
  device: (value) => DEVICES.includes(value as Device),
  language: isText,
  referrer: isText,
  origin: isText,
  country: isText,
  label: isText,
  size: isSize,
  seen: isList(isNumber),
  frames: isNumber,
  lastRun: isNumber,
  lastChunk: isNumber,
  bytes: isOptional(isNumber),
  weight: isOptional(isNumber),
  tally: isRecord({
    stays: isList(isRecord({ page: isText, t: isTime, until: isTime, depth: isNumber, height: isOptional(isNumber) })),
    page: isText,
    size: isSize,
    scrollY: isNumber,
    moves: isNumber,
    clicks: isNumber,
    scrolls: isNumber,
    until: isTime,
  }),
});

const isGoingVisit = isRecord({
  site: isText,
  since: isTime,
  away: isRecord({ stays: isList(isAny), page: isText, size: isSize }),
  page: isNumber,
  stays: isList(isRecord({ t: isTime, until: isTime })),
  minute: isNumber,
  damage: isText,
});

const isSortingVisit: ValueCheck = (value) =>
  isGoingVisit(value) && isRecord({ into: isNumber, replaced: isList(isNumber) })(value);

const isRun = isRecord({
  n: isNumber,
  frames: isNumber,
  page: isText,
  size: isSize,
  entered: isAny,
  t: isTime,
  until: isTime,
  payload: (value) => value instanceof Uint8Array,
});

/** Also bounds loops over the minutes and days of a visit. */
function isStoredVisit(value: unknown): boolean {
  if (!isVisitRecord(value)) return false;
  const { since, tally } = value as VisitEntry;
  const isInOrder = tally.stays.every(({ t, until }) => t <= until && until - t <= MAX_VISIT_MS);
  return isInOrder && tally.until - since <= MAX_VISIT_MS && tally.stays.length <= MAX_STAYS;
}

/** Higher than every number in a key. */
export const LAST = Number.MAX_SAFE_INTEGER;

/**
 * Yields the different first parts of a table's keys, in order, without reading the keys between them. The second part
 * must be a number.
 */
export function* firstParts<T extends string | number>(table: {
  getKeys(range: { start: never; limit: 1 }): Iterable<readonly [T, ...unknown[]]>;
}): Generator<T> {
  for (let start: unknown[] = []; ; ) {
    const [key] = table.getKeys({ start: start as never, limit: 1 });
    if (key === undefined) return;
    yield key[0];
    start = [key[0], LAST];
  }
}
