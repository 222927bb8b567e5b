/** The tables of the record, and how their keys are made. */
import type { Database, RootDatabase } from 'lmdb';
import type { GoingVisit } from '../record/going.ts';
import type { KeptVisit } from '../record/kept-visit.ts';
import type { Counts } from '../record/sums.ts';

/** A visit as it is kept; its key is its number, given when it is first filed. */
export interface ShelvedVisit extends KeptVisit {
  /** Time of the first run in the last chunk. */
  lastChunk: number;
}

/** `writer` tells those apart that write at the same time. */
export type JournalKey = [shard: number, t: number, writer: number, seq: number];

export interface Tables {
  /** Batches that are committed and not filed yet. */
  journal: Database<Buffer, JournalKey>;
  /** Empty but for a moment. */
  scratch: Database<Buffer, [writer: number, no: number]>;
  /** When a visit was erased, by its id: what comes of it later is not kept. */
  erased: Database<number, string>;
  /** Batches that cannot be read. */
  damaged: Database<Buffer, JournalKey>;
  visits: Database<ShelvedVisit, number>;
  /** Visits that are being removed, by their numbers. */
  going: Database<GoingVisit, number>;
  /** Which process removes visits now (`remover`). */
  upkeep: Database<unknown, string>;
  /** Number of a visit, by its id. */
  ids: Database<number, string>;
  /** Visits of a site by their begin. */
  bySite: Database<true, [site: string, since: number, visit: number]>;
  byAge: Database<true, [since: number, visit: number]>;
  /** Bytes that the visits of a site take, nearly; under a word in brackets, that those of all sites are known. */
  weights: Database<number, string>;
  /** Sites of which the visits are to go that began before this time. */
  dropped: Database<number, string>;
  /** Chunks of a visit by the time of their first run; chunk.ts. */
  chunks: Database<Buffer, [visit: number, t: number]>;
  /** Pages a visit was on in a minute (since 1970), by number. */
  minutes: Database<number[], [site: string, minute: number, visit: number]>;
  /** Number of a page, from 1 on. */
  pages: Database<number, [site: string, page: string]>;
  /** How many pages a site has; under words in brackets, what is of all (page-book.ts). */
  pageCounts: Database<number, string>;
  pageNames: Database<[site: string, page: string], number>;
  counts: Database<Counts, [site: string, day: number, page: number]>;
  /** Tiles (tile.ts) of 16 rows each. */
  cells: Database<Buffer, [page: number, day: number, slice: number, band: number]>;
  spots: Database<Buffer, [page: number, day: number, device: number, selector: string]>;
}

export function openTables(root: RootDatabase): Tables {
  const binary = { encoding: 'binary' } as const;
  return {
    journal: root.openDB('journal', binary),
    scratch: root.openDB('scratch', binary),
    erased: root.openDB('erased', {}),
    damaged: root.openDB('damaged', binary),
    visits: root.openDB('visits', {}),
    going: root.openDB('going', {}),
    upkeep: root.openDB('upkeep', {}),
    ids: root.openDB('ids', {}),
    bySite: root.openDB('by-site', {}),
    byAge: root.openDB('by-age', {}),
    weights: root.openDB('weights', {}),
    dropped: root.openDB('dropped', {}),
    chunks: root.openDB('chunks', binary),
    minutes: root.openDB('minutes', {}),
    pages: root.openDB('pages', {}),
    pageCounts: root.openDB('page-counts', {}),
    pageNames: root.openDB('page-names', {}),
    counts: root.openDB('counts', {}),
    cells: root.openDB('cells', binary),
    spots: root.openDB('spots', binary),
  };
}

/** Above every number that is a part of a key. */
export const LAST = Number.MAX_SAFE_INTEGER;

/** The different first parts of a table's keys, in order: those between are not read. A number follows on each. */
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
