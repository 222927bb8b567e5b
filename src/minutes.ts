/** Minutes of a site, as a machine counts them and as they are kept. */
import type { Minute } from './protocol/stream.ts';

export const MINUTE_MS = 60_000;
/** The one at hand is among them. */
export const KEPT_MINUTES = 60;

/** Begin of the minute of `now`, Unix ms. */
export function minuteOf(now: number): number {
  return now - (now % MINUTE_MS);
}

/** Begin of the oldest minute that counts at `now`, Unix ms. */
export function oldestOf(now: number): number {
  return minuteOf(now) - (KEPT_MINUTES - 1) * MINUTE_MS;
}

/** Takes what a machine had in a minute. It may have been told before, in whatever order: it only grows. */
export function raise(minutes: Map<number, Minute>, { t, visitors, samples }: Minute): void {
  const known = minutes.get(t);
  const most = known
    ? { visitors: Math.max(known.visitors, visitors), samples: Math.max(known.samples, samples) }
    : { visitors, samples };
  minutes.set(t, { t, ...most });
}
