/** The entry of a visit in a store, without its runs. */

import type { Visit } from '../../model/visit.ts';
import { deviceOf, type Visitor } from '../../model/visitor.ts';
import type { VisitQuery } from '../archive.ts';
import { type AggregationState, newAggregation } from './aggregator.ts';
import type { AboutVisit, BatchFrame } from './batch.ts';
import { countIn, isIn } from './ranges.ts';

export interface StoredVisit extends AboutVisit {
  id: string;
  site: string;
  /** The first window that was reported. */
  size: Visitor['size'];
  tally: AggregationState;
  /** Numbers of the compacted frames; ranges.ts. */
  seen: number[];
  frames: number;
  /** Time of the last run. */
  lastRun: number;
  /** Bytes of its runs. Undefined for visits from before bytes were counted. */
  bytes?: number;
  /** Some frames were not stored because the visit is too large (thinning.ts). */
  truncated?: boolean;
  /** The visit's share in the weight of its site (site-weight.ts). */
  weight?: number;
}

/** Longest id that can be a key; ours are 22 letters. */
export const MAX_ID = 64;

const NO_ABOUT = { language: '', referrer: '', origin: '', country: '', label: '' };

/** Returns a new visit. It starts with its first sample, which may be from before the visit was registered. */
export function newVisit(
  { place, t }: BatchFrame,
  about: AboutVisit | undefined,
  frames: readonly BatchFrame[],
): StoredVisit {
  const { id, site, size } = place;
  const since = frames.reduce((first, frame) => Math.min(first, frame.t), about?.since ?? t);
  return {
    ...(about ?? { ...NO_ABOUT, device: deviceOf(size[0]) }),
    since,
    id,
    site,
    size,
    tally: newAggregation(since),
    seen: [],
    frames: 0,
    lastRun: 0,
    bytes: 0,
    weight: 0,
  };
}

/**
 * Returns the part of a description that may change during the visit. Everything else stays as it was at the start.
 */
export function changeableAbout({
  language,
  country,
  label,
}: AboutVisit): Pick<AboutVisit, 'language' | 'country' | 'label'> {
  return { language, country, label };
}

/** Returns how many frames of this entry are not stored yet. */
export function countNew({ seen }: StoredVisit, { n, frames }: BatchFrame): number {
  if (frames === undefined) return isIn(seen, n) ? 0 : 1;
  return frames - countIn(seen, n, n + frames - 1);
}

/** True if some of these frames are earlier than the one before, or than the last stored run. */
export function isOutOfOrder({ lastRun }: StoredVisit, frames: readonly BatchFrame[]): boolean {
  return frames.some(({ t }, i) => t < (frames[i - 1]?.t ?? lastRun));
}

/** True if some, but not all, frames of an imported run are stored. */
export function isPartlyStored(visit: StoredVisit, frame: BatchFrame): boolean {
  return frame.frames !== undefined && countNew(visit, frame) < frame.frames;
}

/** True if a visit matches a query, apart from its start. */
export function matches({ tally, since, device, country }: StoredVisit, query: VisitQuery): boolean {
  const lasted = tally.until - since;
  if (query.device !== undefined && query.device !== device) return false;
  if (query.country !== undefined && query.country !== country) return false;
  if (lasted < (query.longer ?? 0) || lasted > (query.shorter ?? Number.MAX_SAFE_INTEGER)) return false;
  if (query.clicked !== undefined && query.clicked !== tally.clicks > 0) return false;
  return query.page === undefined || tally.stays.some(({ page }) => page === query.page);
}

export function toVisit({
  id,
  site,
  since,
  device,
  size,
  language,
  referrer,
  origin,
  country,
  label,
  tally,
  truncated = false,
}: StoredVisit): Visit {
  const { stays, moves, clicks, scrolls, until } = tally;
  const about = { device, size, language, referrer, origin, country, label };
  return { id, site, since, until, ...about, stays, moves, clicks, scrolls, truncated };
}

/** The two numbers of a cursor. */
export function cursorOf(text: string): [number, number] {
  const [a = 0, b = 0] = text.split('.').map(Number);
  return [a, b];
}
