/** The clock of a replay: it runs `speed` times as fast as real time, and stops while its reader reads nothing. */
import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises';

/** Delays up to this are made up for; a longer one was a pause. Real milliseconds. */
const MAX_LAG_MS = 1000;
/** Maximum wait per call, so that a closed stream is noticed, milliseconds. */
const MAX_WAIT_MS = 100;

export class ReplayPace {
  readonly #speed: number;
  #position: number;
  #last = performance.now();

  /** Starts at `from`, Unix ms; speed 0 is as fast as possible. */
  constructor(speed: number, from: number) {
    this.#speed = speed;
    this.#position = from;
  }

  /** Waits until `t`, at most MAX_WAIT_MS. Returns true if `t` is reached. Always yields to the event loop. */
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
