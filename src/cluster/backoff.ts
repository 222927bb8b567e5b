/** Deaths within this window count together, milliseconds. */
const WINDOW_MS = 60_000;
/** This number of deaths within the window is a crash loop. */
const CRASH_LOOP_DEATHS = 5;
const FIRST_DELAY_MS = 100;
const MAX_DELAY_MS = 30_000;

/** Decides when a dead worker is forked again, with growing delays in a crash loop. */
export class Backoff {
  #deaths: number[] = [];

  /**
   * Records a death at `now` (ms). Returns the wait before the next fork in ms, and whether this is a crash loop: from
   * the fifth death in a minute on, each death doubles the wait, from 1 s to 30 s.
   */
  death(now: number): { delayMs: number; looping: boolean; deaths: number } {
    this.#deaths = this.#deaths.filter((at) => now - at < WINDOW_MS).slice(-100);
    this.#deaths.push(now);
    const deaths = this.#deaths.length;
    const excess = deaths - CRASH_LOOP_DEATHS;
    if (excess < 0) return { delayMs: FIRST_DELAY_MS, looping: false, deaths };
    return { delayMs: Math.min(MAX_DELAY_MS, 1000 * 2 ** excess), looping: true, deaths };
  }
}
