/** Queries to the record and their answers, shared by stores and routes. Times are Unix ms. */

import type { HeatKind } from './heat.ts';
import type { Visit } from './visit.ts';
import type { Device, Visitor } from './visitor.ts';

/** Consecutive frames of one visit. */
export interface Run {
  /** Number of the first frame, and how many there are. */
  n: number;
  frames: number;
  /** Page and window at the start. */
  page: string;
  size: Visitor['size'];
  /** The page was loaded with the first frame. */
  entered: boolean;
  /** Times of the first and the last sample. */
  t: number;
  until: number;
  /** Encoded like the payload of a `samples` frame (protocol/frame.ts); its times are relative to `t`. */
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
  /** Only visits that started in `from` ≤ t < `to`. */
  from?: number;
  to?: number;
  device?: Device;
  country?: string;
  /** Only visits of at least, or at most, this duration, milliseconds. */
  longer?: number;
  shorter?: number;
  /** Only visits with (true) or without a click. */
  clicked?: boolean;
  /** Oldest first; otherwise newest first. */
  oldestFirst?: boolean;
  /** A cursor: `next` of the page before. */
  after?: string;
  limit: number;
}

/** The form of cursors. Only the store interprets them. */
export const CURSOR = /^\d{1,16}\.\d{1,16}$/;

/** Damaged data that is missing in an answer. */
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
  /** Only windows of this class. */
  device?: Device;
}

/** A visit with those of its runs that touch a time. */
export interface VisitRuns {
  visit: Visit;
  runs: Run[];
  /** Damaged runs; undefined if there are none. */
  leftOut?: LeftOut | undefined;
}
