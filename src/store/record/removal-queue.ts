/** A large visit that is being removed piece by piece: it is in no list any more, and its runs and its share of the counts go together. */
import { MINUTE_MS } from '../../model/minute.ts';
import type { Stay } from '../../model/visit.ts';
import { type AggregationState, restartAggregation } from './aggregator.ts';
import { OTHER_PAGES } from './pages.ts';
import type { StoredVisit } from './stored-visit.ts';

/** Bytes of runs that one write removes. The write takes some hundredths of a second. */
export const PIECE_BYTES = 512 * 1024;
/** Minutes of stays that one write removes. */
export const PIECE_MINUTES = 2000;

/** How much it takes to remove visits in one write. */
export class PieceBudget {
  readonly #bytes: number;
  #visits = 0;
  #left: { bytes: number; minutes: number };

  /** `bytes`: so many bytes of visits are removed in one write. */
  constructor(bytes = PIECE_BYTES) {
    this.#bytes = bytes;
    this.#left = { bytes, minutes: PIECE_MINUTES };
  }

  /** True of a visit that one write cannot remove: it goes in pieces. */
  isLarge(visit: StoredVisit, bytes: number): boolean {
    return bytes > this.#bytes || minutesOf(visit) > PIECE_MINUTES;
  }

  /** False if a visit of so many bytes has to wait for the next write. The first one never has. */
  take(visit: StoredVisit | undefined, bytes: number): boolean {
    const minutes = visit ? minutesOf(visit) : 0;
    const { bytes: mostBytes, minutes: mostMinutes } = this.#left;
    if (this.#visits > 0 && (bytes > mostBytes || minutes > mostMinutes)) return false;
    this.#visits += 1;
    this.#left = { bytes: mostBytes - bytes, minutes: mostMinutes - minutes };
    return true;
  }
}

/** Minutes that a visit is listed in. */
function minutesOf({ since, tally }: StoredVisit): number {
  return Math.ceil((tally.until - since) / MINUTE_MS);
}

export interface RemovedVisit {
  site: string;
  since: number;
  /** What was taken from the counts so far. */
  away: AggregationState;
  /** Number of the page that this is on, or 0. */
  page: number;
  /** When it was on pages, in order. */
  stays: Pick<Stay, 'page' | 't' | 'until'>[];
  /** The last minute of these that it was taken out of. */
  minute: number;
  /** What of it could not be read; empty: all could. */
  damage: string;
}

export function newRemovedVisit({ site, since, tally }: StoredVisit): RemovedVisit {
  const stays = tally.stays.map(({ page, t, until }) => ({ page, t, until })).sort((a, b) => a.t - b.t);
  return { site, since, away: restartAggregation({ since, tally }), page: 0, stays, minute: 0, damage: '' };
}

/**
 * What a page is called that has no name any more: it was given back when all that was counted there was gone. The visit may be on
 * it still.
 */
export function removedVisitName({ page, away }: RemovedVisit, asked: number): string {
  return asked === page ? away.page : OTHER_PAGES;
}
