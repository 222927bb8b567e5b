/** What a store keeps of a visit beside its runs. */

import type { Visit } from '../../model/visit.ts';
import { deviceOf, type Visitor } from '../../model/visitor.ts';
import type { VisitQuery } from '../archive.ts';
import { type AggregationState, newAggregation } from './aggregator.ts';
import type { AboutVisit, BatchFrame } from './batch.ts';
import { countIn, isIn } from './ranges.ts';

export interface StoredVisit extends AboutVisit {
  id: string;
  site: string;
  /** The first window that was told. */
  size: Visitor['size'];
  tally: AggregationState;
  /** Numbers of the frames that are filed; ranges.ts. */
  seen: number[];
  frames: number;
  /** Time of the last run. */
  lastRun: number;
  /** Bytes of its runs; visits from before these were counted have none. */
  bytes?: number;
  /** Some of what came for it was not kept, since it is too large (thinning.ts). */
  truncated?: boolean;
  /** What the site's sum has of it (site-weight.ts). */
  weight?: number;
}

/** Longest id that can be a key; ours are 22 letters. */
export const MAX_ID = 64;

const UNTOLD = { language: '', referrer: '', origin: '', country: '', label: '' };

/** It begins with the first of its samples, which may have been before the server was told of it. */
export function newVisit(
  { place, t }: BatchFrame,
  about: AboutVisit | undefined,
  frames: readonly BatchFrame[],
): StoredVisit {
  const { id, site, size } = place;
  const since = frames.reduce((first, frame) => Math.min(first, frame.t), about?.since ?? t);
  return {
    ...(about ?? { ...UNTOLD, device: deviceOf(size[0]) }),
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

/** What of a visit may change while it goes on; how it began does not. */
export function lastTold({ language, country, label }: AboutVisit): Pick<AboutVisit, 'language' | 'country' | 'label'> {
  return { language, country, label };
}

/** How many frames of this are not there yet. */
export function newIn({ seen }: StoredVisit, { n, frames }: BatchFrame): number {
  if (frames === undefined) return isIn(seen, n) ? 0 : 1;
  return frames - countIn(seen, n, n + frames - 1);
}

/** True if some of these frames are from before others, or from before what is there. */
export function isBehind({ lastRun }: StoredVisit, frames: readonly BatchFrame[]): boolean {
  return frames.some(({ t }, i) => t < (frames[i - 1]?.t ?? lastRun));
}

/** True of a whole run of which some frames are there. */
export function isPartlyThere(visit: StoredVisit, frame: BatchFrame): boolean {
  return frame.frames !== undefined && newIn(visit, frame) < frame.frames;
}

/** True if a visit is asked for, whenever it began. */
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
