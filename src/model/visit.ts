/**
 * The record of visits, as programs and the dashboard read it. Times are Unix ms on the server's clock, places page
 * pixels.
 */
import type { Device, Visitor } from './visitor.ts';

/** What is kept of a visit besides its samples. */
export interface Visit {
  id: string;
  site: string;
  /** First and last sign of life. */
  since: number;
  until: number;
  /** By the first window that was told. */
  device: Device;
  /** Viewport width and height, document width and height at the begin; zeros if not known. */
  size: Visitor['size'];
  language: string;
  /** Origin the visitor came from; empty if none. */
  referrer: string;
  /** Origin of the first page. */
  origin: string;
  /** Two capital letters, where a proxy tells them; else empty. */
  country: string;
  /** What a simple client calls itself; empty otherwise. */
  label: string;
  /** In the order they were seen, at most MAX_STAYS. */
  stays: Stay[];
  moves: number;
  clicks: number;
  scrolls: number;
  /** It grew too large (`--max-visit-size`): some of what its visitor did is not kept. */
  truncated: boolean;
}

/** A page for as long as a visit stayed on it. */
export interface Stay {
  page: string;
  t: number;
  /** Time of the last sample on it. */
  until: number;
  /** The deepest page pixel that was in sight. */
  depth: number;
}

/** Stays of one visit that are kept and counted; what a visitor does on further pages is still in its samples. */
export const MAX_STAYS = 500;

/** What a visitor did on one page, in the order of time, until the page or the connection changed. */
export interface Passage {
  page: string;
  /** Time that all `dt` count from, and of the last sample. */
  t: number;
  until: number;
  /** The window at the begin. */
  size: Visitor['size'];
  /** The page was entered here: by loading it, or from another one without a load. */
  entered: boolean;
  /** Flat: `dt, x, y` of each pointer sample. */
  moves: number[];
  /** Flat: `dt, y` of each scroll offset. */
  scrolls: number[];
  clicks: Click[];
  /** The window was resized, or the tab hidden or shown. */
  views: { dt: number; size?: Visitor['size']; hidden?: boolean }[];
}

export interface Click {
  dt: number;
  x: number;
  y: number;
  button: number;
  /** Place in the element, 0 to 32767 each way. */
  ex: number;
  ey: number;
  selector: string;
}

/** What happened on a page over a time. */
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
}

/** The same of a whole site and one day (UTC). */
export interface DayCounts extends Omit<PageCounts, 'page'> {
  /** `2026-11-20`. */
  day: string;
}
