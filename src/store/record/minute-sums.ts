/** An index of the minutes (since 1970) in which a visit was on each page. Scenes of a time are found with it. */
import { getOrInsert } from '../../lib/get-or-insert.ts';
import { MINUTE_MS } from '../../model/minute.ts';
import type { Stay } from '../../model/visit.ts';
import type { Run } from '../archive.ts';

/** Numbers of the pages that were visited in each minute. */
export type StoredMinutes = Map<number, Set<number>>;

/** Adds the minutes of stays, except those before `from`. */
export function addStays(
  minutes: StoredMinutes,
  stays: readonly Stay[],
  from: number,
  numberOf: (page: string) => number,
) {
  for (const { page, t, until } of stays) {
    if (until < from) continue;
    const number = numberOf(page);
    for (const minute of minutesIn({ t: Math.max(t, from), until })) getOrInsert(minutes, minute, numbers).add(number);
  }
}

/** Adds the minutes of runs. Needed for a visit with too many stays to be counted: only its runs tell where it was. */
export function addRuns(minutes: StoredMinutes, runs: Iterable<Run>, numberOf: (page: string) => number): void {
  for (const run of runs)
    for (const minute of minutesIn(run)) getOrInsert(minutes, minute, numbers).add(numberOf(run.page));
}

/** Yields each minute that a span of time touches. */
export function* minutesIn({ t, until }: { t: number; until: number }): Generator<number> {
  for (let minute = minuteIn(t); minute <= minuteIn(until); minute++) yield minute;
}

export function minuteIn(t: number): number {
  return Math.floor(t / MINUTE_MS);
}

function numbers(): Set<number> {
  return new Set();
}
