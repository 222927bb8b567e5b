/**
 * How much room visits take, and whose visits go when there is too little. Every site has a share of the store: the same as every
 * other site, or as many parts as `--site-share` says. Room that one site leaves free may be used by others; when it is
 * needed, it is taken from the site that is furthest over its share, so that no site can push out the record of another.
 */
import type { Shares } from '../../config/config.ts';
import type { StoredVisit } from './stored-visit.ts';

/** What a visit takes beside its runs: its entry and its keys, bytes. */
const ENTRY_BYTES = 300;
/** What a stay takes beside the name of its page, bytes. */
const STAY_BYTES = 60;
/** Visits that were kept before bytes were counted: bytes of a sample, and of a frame. */
const SAMPLE_BYTES = 5;
const FRAME_BYTES = 20;

/** Bytes that a visit takes, nearly: its runs, its entry, and the names of the pages it was on. */
export function weightOf({ bytes, tally, frames }: StoredVisit): number {
  const { stays, moves, scrolls, clicks } = tally;
  const runs = bytes ?? SAMPLE_BYTES * (moves + scrolls + 10 * clicks) + FRAME_BYTES * frames;
  return Math.round(stays.reduce((sum, { page }) => sum + STAY_BYTES + page.length, ENTRY_BYTES + runs));
}

/** A site that visits may be taken from: so many bytes, until another one is as far over its share. */
export interface Surplus<T> {
  site: T;
  bytes: number;
}

/** Sites, the one that is furthest over its share first. `weights` are bytes. */
export function furthestOver<T>(
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

/** The first of these that together weigh so many bytes, and at least one. */
export function worth<T>(all: readonly T[], bytes: number, weigh: (one: T, index: number) => number): T[] {
  let sum = 0;
  const end = all.findIndex((one, i) => {
    sum += weigh(one, i);
    return sum >= bytes;
  });
  return end < 0 ? [...all] : all.slice(0, end + 1);
}
