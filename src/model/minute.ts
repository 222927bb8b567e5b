/** Minutes of a site, as a node counts and stores them. */

/** One past minute of a site. */
export interface Minute {
  /** Start, Unix ms. */
  t: number;
  /** Peak number of simultaneous visitors. */
  visitors: number;
  samples: number;
}

export const MINUTE_MS = 60_000;
/** Number of minutes, including the current one. */
export const KEPT_MINUTES = 60;

/** Returns the start of the minute of `now`, Unix ms. */
export function minuteOf(now: number): number {
  return now - (now % MINUTE_MS);
}

/** Returns the start of the oldest minute that is still shown at `now`, Unix ms. */
export function oldestMinute(now: number): number {
  return minuteOf(now) - (KEPT_MINUTES - 1) * MINUTE_MS;
}

/** Raises the figures of a minute. Reports may repeat and come in any order: figures only grow. */
export function raiseMinute(minutes: Map<number, Minute>, minute: Minute): void {
  const { t } = minute;
  minutes.set(t, { t, ...maxFigures(minutes.get(t) ?? minute, minute) });
}

type Figures = Pick<Minute, 'visitors' | 'samples'>;

/** Returns the higher of each figure. */
export function maxFigures(a: Figures, b: Figures): Figures {
  return { visitors: Math.max(a.visitors, b.visitors), samples: Math.max(a.samples, b.samples) };
}
