/**
 * Recorded visits, in the form that programs and the dashboard read. Times are Unix ms on the server's clock; positions
 * are page pixels.
 */
import type { MarkFields, PUBLISHED_MARKS, PublishedName } from './mark.ts';
import type { Device, Visitor } from './visitor.ts';

/** A recorded visit without its samples. */
export interface Visit {
  id: string;
  site: string;
  /** Start, and time of the last sample. */
  since: number;
  until: number;
  /** From the first window that was reported. */
  device: Device;
  /** Viewport width and height, document width and height at the start; zeros if unknown. */
  size: Visitor['size'];
  language: string;
  /** Origin the visitor came from; empty if none. */
  referrer: string;
  /** Origin of the first page. */
  origin: string;
  /** Two capital letters, if a proxy reports them; otherwise empty. */
  country: string;
  /** Label set by a simple client; otherwise empty. */
  label: string;
  /** In order of time, at most MAX_STAYS. */
  stays: Stay[];
  moves: number;
  clicks: number;
  scrolls: number;
  /** The visit exceeded `--max-visit-size`: it is not stored completely. */
  truncated: boolean;
}

/** The time that a visit stayed on one page. */
export interface Stay {
  page: string;
  t: number;
  /** Time of the last sample on it. */
  until: number;
  /** The deepest page pixel in sight. */
  depth: number;
  /**
   * The largest height of the page that was reported during the stay, but at least `depth`. Missing if none was, and in
   * visits from before format 3 of the store.
   */
  height?: number;
}

/**
 * Maximum number of stays of one visit that are stored and counted. What a visitor does on further pages is only in its
 * samples.
 */
export const MAX_STAYS = 500;

/** What a visitor did on one page, in order of time, until the page or the connection changed. */
export interface Passage extends MarkLists {
  page: string;
  /** Time that all `dt` are relative to, and time of the last sample. */
  t: number;
  until: number;
  /** The window at the start. */
  size: Visitor['size'];
  /** The page was entered here: by a load, or from another page without a load. */
  entered: boolean;
  /** Flat: `dt, x, y` of each pointer sample. */
  moves: number[];
  /** Flat: `dt, y` of each scroll offset. */
  scrolls: number[];
  /** The window was resized, or the tab hidden or shown. */
  views: { dt: number; size?: Visitor['size']; hidden?: boolean }[];
}

type MarkLists = { [N in PublishedName as (typeof PUBLISHED_MARKS)[N]]: ({ dt: number } & MarkFields<N>)[] };

/** Counts of a page over a period. */
export interface PageCounts {
  page: string;
  /** How often it was entered, and in how many visits. */
  views: number;
  visits: number;
  clicks: number;
  moves: number;
  /** Time that visits stayed on it in all, milliseconds. */
  ms: number;
  /** Sum over its views of the deepest pixel in sight. */
  depth: number;
  /** The same sum, and the sum of the page's heights, over the views whose page height is known (`Stay.height`). */
  measuredDepth: number;
  measuredHeight: number;
}

export const NO_COUNTS: Readonly<Omit<PageCounts, 'page'>> = {
  views: 0,
  visits: 0,
  clicks: 0,
  moves: 0,
  ms: 0,
  depth: 0,
  measuredDepth: 0,
  measuredHeight: 0,
};

/** Counts of a whole site or a page on one day (UTC). */
export interface DayCounts extends Omit<PageCounts, 'page'> {
  /** `2026-11-20`. */
  day: string;
}
