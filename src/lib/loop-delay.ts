import { monitorEventLoopDelay } from 'node:perf_hooks';

/** Delays are sampled so often, milliseconds; that much is part of each. */
const RESOLUTION_MS = 20;

/** How late this process's event loop is. */
export class LoopDelay {
  readonly #delays = monitorEventLoopDelay({ resolution: RESOLUTION_MS });

  constructor() {
    this.#delays.enable();
  }

  /** The longest delay since this was asked last, milliseconds. */
  longestMs(): number {
    const longest = Math.max(0, this.#delays.max / 1e6 - RESOLUTION_MS);
    this.#delays.reset();
    return longest;
  }
}
