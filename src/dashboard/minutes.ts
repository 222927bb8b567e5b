/** The last hour of a site, minute by minute. */
import type { Minute } from '../protocol/stream.ts';

export const MINUTE_MS = 60_000;
export const MINUTES = 60;

/** Most visitors at once in each of the last 60 minutes. */
export class Minutes {
  readonly #most = new Map<number, number>();

  /** Starts anew with what a snapshot tells. */
  replace(minutes: readonly Minute[]): void {
    this.#most.clear();
    for (const { t, visitors } of minutes) this.#raise(t, visitors);
  }

  /** Counts `visitors` seen at `t`, Unix ms. */
  add(t: number, visitors: number): void {
    this.#raise(t, visitors);
    const oldest = this.#minuteOf(t) - MINUTES;
    for (const minute of this.#most.keys()) if (minute < oldest) this.#most.delete(minute);
  }

  /** Unix seconds and counts of the 60 minutes that end with the one of `now`, for uPlot. */
  rows(now: number): [times: number[], counts: number[]] {
    const last = this.#minuteOf(now);
    const minutes = Array.from({ length: MINUTES }, (_, i) => last - MINUTES + 1 + i);
    return [minutes.map((minute) => minute * 60), minutes.map((minute) => this.#most.get(minute) ?? 0)];
  }

  #raise(t: number, visitors: number): void {
    const minute = this.#minuteOf(t);
    this.#most.set(minute, Math.max(visitors, this.#most.get(minute) ?? 0));
  }

  #minuteOf(t: number): number {
    return Math.floor(t / MINUTE_MS);
  }
}
