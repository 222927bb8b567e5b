/** The clock of a replay: its time runs `speed` times as fast as ours, and stands still while its reader takes nothing. */
import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises';

/** A delay up to this is made up for; what is longer was a pause, milliseconds of ours. */
const MAX_LAG_MS = 1000;
/** Longest wait at once, so that a closed stream is noticed, milliseconds. */
const MAX_WAIT_MS = 100;

export class ReplayPace {
  readonly #speed: number;
  #position: number;
  #last = performance.now();

  /** Begins at `from`, Unix ms; speed 0 is as fast as may be. */
  constructor(speed: number, from: number) {
    this.#speed = speed;
    this.#position = from;
  }

  /** Waits until it is time for `t`, for MAX_WAIT_MS at most. True: it is. Lets others have a turn in any case. */
  async reach(t: number): Promise<boolean> {
    if (this.#speed === 0) {
      await nextTurn();
      return true;
    }
    this.#run();
    await sleep(Math.max(0, Math.min(MAX_WAIT_MS, (t - this.#position) / this.#speed)));
    this.#run();
    return this.#position >= t;
  }

  #run(): void {
    const now = performance.now();
    this.#position += this.#speed * Math.min(now - this.#last, MAX_LAG_MS);
    this.#last = now;
  }
}
