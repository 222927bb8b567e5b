/** Minutes of a site, as a machine counts them and as they are kept. */

/** One past minute of a site. */
export interface Minute {
  /** Unix ms of its begin. */
  t: number;
  /** Most visitors at once. */
  visitors: number;
  samples: number;
}

export const MINUTE_MS = 60_000;
/** The one at hand is among them. */
export const KEPT_MINUTES = 60;

/** Begin of the minute of `now`, Unix ms. */
export function minuteOf(now: number): number {
  return now - (now % MINUTE_MS);
}

/** Begin of the oldest minute that counts at `now`, Unix ms. */
export function oldestMinute(now: number): number {
  return minuteOf(now) - (KEPT_MINUTES - 1) * MINUTE_MS;
}

/** Takes what a machine had in a minute. It may have been told before, in whatever order: it only grows. */
export function raiseMinute(minutes: Map<number, Minute>, minute: Minute): void {
  const { t } = minute;
  minutes.set(t, { t, ...maxFigures(minutes.get(t) ?? minute, minute) });
}

type Figures = Pick<Minute, 'visitors' | 'samples'>;

/** Of what was told of a minute, the most. */
export function maxFigures(a: Figures, b: Figures): Figures {
  return { visitors: Math.max(a.visitors, b.visitors), samples: Math.max(a.samples, b.samples) };
}
