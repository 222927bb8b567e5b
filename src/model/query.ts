/** What is asked of the record, and how it answers: shapes that stores and routes share. Times are Unix ms. */

import type { HeatKind } from './heat.ts';
import type { Visit } from './visit.ts';
import type { Device, Visitor } from './visitor.ts';

/** Successive frames of one visit. */
export interface Run {
  /** Number of the first frame, and how many there are. */
  n: number;
  frames: number;
  /** Where the visitor was at the begin, and its window. */
  page: string;
  size: Visitor['size'];
  /** The page was loaded with the first frame. */
  entered: boolean;
  /** Time of the first sample; of the last. */
  t: number;
  until: number;
  /** As the payload of a `samples` frame (protocol/frame.ts); its times count from `t`. */
  payload: Uint8Array;
}

/** Days as `2026-11-20`, both included. */
export interface Days {
  from: string;
  to: string;
}

export interface VisitQuery {
  site: string;
  /** Only visits that were on this page. */
  page?: string;
  /** Only visits that began in `from` ≤ t < `to`. */
  from?: number;
  to?: number;
  device?: Device;
  country?: string;
  /** Only visits that lasted so long, milliseconds. */
  longer?: number;
  shorter?: number;
  /** Only visits with (true) or without a click. */
  clicked?: boolean;
  /** The oldest first; otherwise the newest. */
  oldestFirst?: boolean;
  /** A cursor: `next` of the page before. */
  after?: string;
  limit: number;
}

/** What cursors look like: what they mean is the store's alone. */
export const CURSOR = /^\d{1,16}\.\d{1,16}$/;

/** What is damaged, and missing in an answer. */
export interface LeftOut {
  count: number;
  /** What is wrong with the first, for people. */
  first: string;
}

/** A part of a longer answer; `next` is the cursor of the following part, or null. */
export interface Part<T> {
  items: T[];
  next: string | null;
  /** Undefined: nothing is missing. */
  leftOut?: LeftOut | undefined;
}

export interface HeatQuery extends Days {
  site: string;
  page: string;
  kind: HeatKind;
  /** Only of windows of this class. */
  device?: Device;
}

/** A visit with those of its runs that touch a time. */
export interface VisitRuns {
  visit: Visit;
  runs: Run[];
  /** Runs that are damaged. Undefined: none is. */
  leftOut?: LeftOut | undefined;
}
