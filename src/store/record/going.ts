/** A large visit that is being removed piece by piece: it is in no list any more, and its runs and its share of the counts go together. */
import type { Stay } from '../../protocol/visit.ts';
import type { KeptVisit } from './kept-visit.ts';
import { OTHER_PAGES } from './pages.ts';
import { type Tallied, tallyAnew } from './tally.ts';

/** Bytes of runs that one write removes. The write takes some hundredths of a second. */
export const PIECE_BYTES = 512 * 1024;
/** Minutes of stays that one write removes. */
export const PIECE_MINUTES = 2000;

export interface GoingVisit {
  site: string;
  since: number;
  /** What was taken from the counts so far. */
  away: Tallied;
  /** Number of the page that this is on, or 0. */
  page: number;
  /** When it was on pages, in order. */
  stays: Pick<Stay, 'page' | 't' | 'until'>[];
  /** The last minute of these that it was taken out of. */
  minute: number;
  /** What of it could not be read; empty: all could. */
  damage: string;
}

export function newGoing({ site, since, tally }: KeptVisit): GoingVisit {
  const stays = tally.stays.map(({ page, t, until }) => ({ page, t, until })).sort((a, b) => a.t - b.t);
  return { site, since, away: tallyAnew({ since, tally }), page: 0, stays, minute: 0, damage: '' };
}

/**
 * What a page is called that has no name any more: it was given back when all that was counted there was gone. The visit may be on
 * it still.
 */
export function nameIn({ page, away }: GoingVisit, asked: number): string {
  return asked === page ? away.page : OTHER_PAGES;
}
