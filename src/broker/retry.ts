import { setTimeout as sleep } from 'node:timers/promises';

/** Twice as long after each failure, milliseconds. */
const FIRST_MS = 50;
const LAST_MS = 1000;

/** How long to wait before something that failed is tried again. */
export class Retry {
  #failures = 0;

  /** It has failed, and not succeeded since. */
  get isFailing(): boolean {
    return this.#failures > 0;
  }

  succeeded(): void {
    this.#failures = 0;
  }

  /** Half as long again by chance, so that not all machines come at the same moment. */
  async wait(signal: AbortSignal): Promise<void> {
    const ms = Math.min(LAST_MS, FIRST_MS * 2 ** this.#failures);
    this.#failures = Math.min(this.#failures + 1, 10);
    await sleep(ms + Math.random() * (ms / 2), undefined, { signal }).catch(() => {});
  }
}
