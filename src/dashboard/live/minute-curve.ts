/** The last hour of a site, minute by minute. */

import { MINUTE_MS, type Minute } from '../../model/minute.ts';

export const MINUTES = 60;

/** The peak of concurrent visitors in each of the last 60 minutes; minutes without a running server are missing. */
export class MinuteCurve {
  readonly #peaks = new Map<number, number>();

  /** Replaces all minutes by those of a snapshot. */
  replace(minutes: readonly Minute[]): void {
    this.#peaks.clear();
    for (const { t, visitors } of minutes) this.#raise(t, visitors);
  }

  /** Counts `visitors` seen at `t`, Unix ms. */
  add(t: number, visitors: number): void {
    this.#raise(t, visitors);
    const oldest = this.#minuteOf(t) - MINUTES;
    for (const minute of this.#peaks.keys()) if (minute < oldest) this.#peaks.delete(minute);
  }

  /** Start of the last minute with a visitor, Unix ms; undefined if there is none. */
  lastWithVisitors(): number | undefined {
    const minutes = [...this.#peaks].filter(([, visitors]) => visitors > 0).map(([minute]) => minute);
    return minutes.length > 0 ? Math.max(...minutes) * MINUTE_MS : undefined;
  }

  /**
   * Unix seconds and counts of the 60 minutes up to that of `now`, for uPlot; null if no server ran. `current` is the
   * current number of visitors, because a minute that has just started has no count yet.
   */
  rows(now: number, current: number): [times: number[], counts: (number | null)[]] {
    const last = this.#minuteOf(now);
    const minutes = Array.from({ length: MINUTES }, (_, i) => last - MINUTES + 1 + i);
    const counts = minutes.map((minute) => this.#peaks.get(minute) ?? null);
    counts[MINUTES - 1] = Math.max(current, counts[MINUTES - 1] ?? 0);
    return [minutes.map((minute) => minute * 60), counts];
  }

  #raise(t: number, visitors: number): void {
    const minute = this.#minuteOf(t);
    this.#peaks.set(minute, Math.max(visitors, this.#peaks.get(minute) ?? 0));
  }

  #minuteOf(t: number): number {
    return Math.floor(t / MINUTE_MS);
  }
}
