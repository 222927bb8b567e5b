/**
 * The record: what every store promises of visits and what they did. Every implementation passes the tests of
 * test/support/archive-contract.ts.
 *
 * Frames come in batches (batch.ts) and are there once, however often and in whatever order they come: a visit's frame
 * has a number, and what was seen under a number is not taken again. Counts and heatmaps are at all times those of the
 * frames that are there. Times are Unix ms; a day is one of UTC.
 */
import type { AuditNote } from '../model/audit.ts';
import type { Heat } from '../model/heat.ts';
import type { Days, HeatQuery, Part, Run, VisitQuery, VisitRuns } from '../model/query.ts';
import type { DayCounts, PageCounts, Visit } from '../model/visit.ts';
import type { Removed } from './record/age-clock.ts';

export type { Days, HeatQuery, Part, Run, VisitQuery, VisitRuns } from '../model/query.ts';

/** A count that is not that of the frames. */
export interface Difference {
  /** What and where, for people. */
  what: string;
  kept: number;
  found: number;
}

export interface Usage {
  /** Bytes in use, and bytes of the files. */
  used: number;
  file: number;
  /** Time of the oldest visit, or null. */
  oldest: number | null;
  /** Visits that were removed since the store is there, by reason. */
  removed: Removed;
  /** Batches that could not be read and were set aside. */
  damaged: number;
}

/** Tells how far a long work is: `done` of `total`, of whatever it counts. */
export type Progress = (done: number, total: number) => void;

export interface Archive {
  /**
   * Adds batches. Resolves when they are durable. Throws StoreError `full`, when there is no room: nothing is
   * added then. Without batches it tells whether there is room for some.
   */
  append(batches: readonly Uint8Array[]): Promise<void>;

  /** Keys of the sites that there are visits of. */
  sites(): Promise<string[]>;
  /** Newest first. Cursors are as CURSOR says. Looks at a bounded number of visits, so that a part may hold few and still have a next. */
  visits(query: VisitQuery): Promise<Part<Visit>>;
  /** `site`: it is looked for there only, which costs less where a store has to ask each site. */
  visit(id: string, site?: string): Promise<Visit | undefined>;
  /**
   * Number of a visit's last frame up to `most`; 0: there is none. It knows the frames that were there when the store
   * was opened here, and those that are filed. Cheap: many visitors may come back at once.
   */
  lastFrame(site: string, id: string, most: number): Promise<number>;
  /** Runs of a visit in the order of time, some 256 KB at once. */
  runs(id: string, after?: string): Promise<Part<Run>>;
  /** Visits on a page (null: on any) between `from` and `to`, at most some minutes, with their runs of that time. */
  scenes(site: string, page: string | null, from: number, to: number): Promise<VisitRuns[]>;

  /** Counts of each page of a site, the most viewed first, at most 1,000. */
  pages(site: string, days: Days): Promise<PageCounts[]>;
  /** Counts of each day that has any, of a page or (null) the whole site. */
  days(site: string, page: string | null, days: Days): Promise<DayCounts[]>;
  heat(query: HeatQuery): Promise<Heat>;

  /**
   * Removes a visit and what it added to counts and heatmaps; if it goes on, nothing more of it is kept. False if there is none. The note
   * is in the audit trail if, and as soon as, the visit is gone.
   */
  erase(id: string, note?: AuditNote): Promise<boolean>;
  /**
   * Has `prune` remove what a site's visits were that began before `before`. From now on they are not given any more; a site of the same
   * key, added later, is another one. Until all of them are removed, it has no counts and heatmaps: those are sums of both.
   */
  dropSite(site: string, before: number): Promise<void>;
  /**
   * Removes visits, some at a time: those of sites that were dropped, those that ended before `before`, and, while more than `most` bytes
   * are in use, the oldest of the site that is furthest over its share. Resolves with how many went; 0: nothing was due.
   */
  prune(before: number, most: number): Promise<number>;
  usage(): Promise<Usage>;
  /** Has all that was appended until now be in what is read: for commands, which would else see what is some seconds old. */
  compactAll(): void | Promise<void>;
  /** Recomputes all counts and heatmaps from the frames. Empty: they agree. At most 1,000 differences. */
  verify(progress?: Progress): Promise<Difference[]>;
}
