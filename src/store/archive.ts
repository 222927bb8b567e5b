/**
 * The record: the contract of every store for visits and what they did. Every implementation passes the tests of
 * test/support/archive-contract.ts.
 *
 * Frames come in batches (batch.ts) and are stored once, however often and in whatever order they arrive: each frame of
 * a visit has a number, and a number that was seen is ignored. Counts and heatmaps always match the stored frames.
 * Times are Unix ms; days are UTC.
 */
import type { AuditNote } from '../model/audit.ts';
import type { Heat } from '../model/heat.ts';
import type { Days, HeatQuery, Part, Run, VisitQuery, VisitRuns } from '../model/query.ts';
import type { DayCounts, PageCounts, Visit } from '../model/visit.ts';
import type { Removed } from './record/age-clock.ts';

export type { Days, HeatQuery, Part, Run, VisitQuery, VisitRuns } from '../model/query.ts';

/** A count that differs from that of the frames. */
export interface Difference {
  /** Description for people. */
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
  /** Numbers of visits removed since the store was created, by reason. */
  removed: Removed;
  /** Number of quarantined batches. */
  damaged: number;
}

/** Reports the progress of a long operation: `done` of `total` units. */
export type Progress = (done: number, total: number) => void;

export interface Archive {
  /**
   * Adds batches. Resolves when they are durable. Throws StoreError `full`, without an effect, if there is no room. An
   * empty list only checks whether there is room.
   */
  append(batches: readonly Uint8Array[]): Promise<void>;

  /** Returns the keys of the sites with visits. */
  sites(): Promise<string[]>;
  /**
   * Returns visits, newest first by default, with cursors in the form of CURSOR. Reads a bounded number of visits, so a
   * part may hold few visits and still have a next one.
   */
  visits(query: VisitQuery): Promise<Part<Visit>>;
  /** Returns a visit. `site`: search only there, which costs less if a store has to ask each site. */
  visit(id: string, site?: string): Promise<Visit | undefined>;
  /**
   * Returns the number of a visit's last frame up to `most`, or 0. It covers the frames that were stored when the store
   * was opened here, and compacted ones. Cheap: many visitors may return at once.
   */
  lastFrame(site: string, id: string, most: number): Promise<number>;
  /** Returns runs of a visit in order of time, some 256 KB at a time. */
  runs(id: string, after?: string): Promise<Part<Run>>;
  /**
   * Returns the visits on a page (null: on any) between `from` and `to`, some minutes at most, with their runs of that
   * time.
   */
  scenes(site: string, page: string | null, from: number, to: number): Promise<VisitRuns[]>;

  /** Returns the counts of each page of a site, the most viewed first, at most 1,000. */
  pages(site: string, days: Days): Promise<PageCounts[]>;
  /** Returns the counts of each day with counts, of a page or (null) of the whole site. */
  days(site: string, page: string | null, days: Days): Promise<DayCounts[]>;
  heat(query: HeatQuery): Promise<Heat>;

  /**
   * Removes a visit and what it added to counts and heatmaps. If it continues, nothing more of it is stored. Returns
   * false if it does not exist. The note is in the audit trail if, and as soon as, the visit is removed.
   */
  erase(id: string, note?: AuditNote): Promise<boolean>;
  /**
   * Schedules the visits of a site that started before `before` for removal by `prune`. They are hidden from now on. A
   * site added later with the same key is another one. Until all of them are removed, the site has no counts and
   * heatmaps, because those would include both.
   */
  dropSite(site: string, before: number): Promise<void>;
  /**
   * Removes some visits: those of dropped sites, those that ended before `before`, and, while more than `most` bytes
   * are used, the oldest of the site that is furthest over its share. Resolves with the number of removed visits; 0:
   * nothing was due.
   */
  prune(before: number, most: number): Promise<number>;
  usage(): Promise<Usage>;
  /** Compacts everything appended until now: for commands, which would otherwise miss the last seconds. */
  compactAll(): void | Promise<void>;
  /** Recomputes all counts and heatmaps from the frames. Returns at most 1,000 differences. */
  verify(progress?: Progress): Promise<Difference[]>;
}
