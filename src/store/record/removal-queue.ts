/**
 * A large visit that is removed piece by piece. It is no longer listed. Each piece removes some runs together with
 * their share of the counts.
 */
import { MINUTE_MS } from '../../model/minute.ts';
import type { Stay } from '../../model/visit.ts';
import { type AggregationState, restartAggregation } from './aggregator.ts';
import { OTHER_PAGES } from './pages.ts';
import type { StoredVisit } from './stored-visit.ts';

/** Bytes of runs that one write removes. The write takes some hundredths of a second. */
export const PIECE_BYTES = 512 * 1024;
/** Minutes of stays that one write removes. */
export const PIECE_MINUTES = 2000;

/** Limits how much one write removes. */
export class PieceBudget {
  readonly #bytes: number;
  #visits = 0;
  #left: { bytes: number; minutes: number };

  /** `bytes`: maximum size of the visits that one write removes. */
  constructor(bytes = PIECE_BYTES) {
    this.#bytes = bytes;
    this.#left = { bytes, minutes: PIECE_MINUTES };
  }

  /** True if one write cannot remove the visit: it is removed in pieces. */
  isLarge(visit: StoredVisit, bytes: number): boolean {
    return bytes > this.#bytes || minutesOf(visit) > PIECE_MINUTES;
  }

  /** Returns false if a visit of this size has to wait for the next write. The first visit never waits. */
  take(visit: StoredVisit | undefined, bytes: number): boolean {
    const minutes = visit ? minutesOf(visit) : 0;
    const { bytes: maxBytes, minutes: maxMinutes } = this.#left;
    if (this.#visits > 0 && (bytes > maxBytes || minutes > maxMinutes)) return false;
    this.#visits += 1;
    this.#left = { bytes: maxBytes - bytes, minutes: maxMinutes - minutes };
    return true;
  }
}

/** Number of minutes that a visit is listed in. */
function minutesOf({ since, tally }: StoredVisit): number {
  return Math.ceil((tally.until - since) / MINUTE_MS);
}

export interface RemovedVisit {
  site: string;
  since: number;
  /** What was subtracted from the counts so far. */
  away: AggregationState;
  /** Number of the page that this part of the visit is on, or 0. */
  page: number;
  /** When the visit was on which page, in order. */
  stays: Pick<Stay, 'page' | 't' | 'until'>[];
  /** The last minute whose index entry was removed. */
  minute: number;
  /** A description of what could not be read; empty if all could. */
  damage: string;
}

export function newRemovedVisit({ site, since, tally }: StoredVisit): RemovedVisit {
  const stays = tally.stays.map(({ page, t, until }) => ({ page, t, until })).sort((a, b) => a.t - b.t);
  return { site, since, away: restartAggregation({ since, tally }), page: 0, stays, minute: 0, damage: '' };
}

/** Returns the name of a page whose name was removed together with its last counts. The visit may still be on it. */
export function removedVisitName({ page, away }: RemovedVisit, asked: number): string {
  return asked === page ? away.page : OTHER_PAGES;
}
