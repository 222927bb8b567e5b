/**
 * How much space visits take, and which are removed when there is too little. Every site has a share of the store: the
 * same as every other site, or the number of parts given with `--site-share`. Space that one site leaves free may be
 * used by others. When space is needed, it is taken from the site that is furthest over its share, so that no site can
 * push out the record of another.
 */
import type { Shares } from '../../config/config.ts';
import type { StoredVisit } from './stored-visit.ts';

/** Size of a visit's entry and keys, bytes. */
const ENTRY_BYTES = 300;
/** Size of a stay without the name of its page, bytes. */
const STAY_BYTES = 60;
/** For visits from before bytes were counted: estimated bytes per sample, and per frame. */
const SAMPLE_BYTES = 5;
const FRAME_BYTES = 20;

/** Returns about how many bytes a visit takes: its runs, its entry, and the names of its pages. */
export function weightOf({ bytes, tally, frames }: StoredVisit): number {
  const { stays, moves, scrolls, clicks } = tally;
  const runs = bytes ?? SAMPLE_BYTES * (moves + scrolls + 10 * clicks) + FRAME_BYTES * frames;
  return Math.round(stays.reduce((sum, { page }) => sum + STAY_BYTES + page.length, ENTRY_BYTES + runs));
}

/** A site that visits may be removed from: `bytes` of them, until another site is as far over its share. */
export interface Surplus<T> {
  site: T;
  bytes: number;
}

/** Returns the sites, the one furthest over its share first. `weights` are bytes. */
export function rankBySurplus<T>(
  weights: readonly { name: string; weight: number; site: T }[],
  shares: Shares,
): Surplus<T>[] {
  const partsOf = (name: string) => (Object.hasOwn(shares, name) ? (shares[name] as number) : 1);
  const levels = weights.map(({ name, weight, site }) => ({ site, weight, parts: partsOf(name) }));
  levels.sort((a, b) => b.weight / b.parts - a.weight / a.parts);
  return levels.map(({ site, weight, parts }, i) => {
    const next = levels[i + 1];
    return { site, bytes: next ? weight - (next.weight / next.parts) * parts : weight };
  });
}

/** Returns the first items that together weigh at least `bytes`; at least one. */
export function takeWeight<T>(all: readonly T[], bytes: number, weigh: (one: T, index: number) => number): T[] {
  let sum = 0;
  const end = all.findIndex((one, i) => {
    sum += weigh(one, i);
    return sum >= bytes;
  });
  return end < 0 ? [...all] : all.slice(0, end + 1);
}
