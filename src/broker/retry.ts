import { setTimeout as sleep } from 'node:timers/promises';

/** The wait doubles after each failure, milliseconds. */
const MIN_MS = 50;
const MAX_MS = 1000;

/** The wait before a failed request is tried again. */
export class Retry {
  #failures = 0;

  /** The last attempt failed. */
  get isFailing(): boolean {
    return this.#failures > 0;
  }

  succeeded(): void {
    this.#failures = 0;
  }

  /** Adds up to half of the wait at random, so that nodes do not all retry at the same moment. */
  async wait(signal: AbortSignal): Promise<void> {
    const ms = Math.min(MAX_MS, MIN_MS * 2 ** this.#failures);
    this.#failures = Math.min(this.#failures + 1, 10);
    await sleep(ms + Math.random() * (ms / 2), undefined, { signal }).catch(() => {});
  }
}
