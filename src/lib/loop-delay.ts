import { monitorEventLoopDelay } from 'node:perf_hooks';

/** Sampling interval, milliseconds; it is part of each measured delay. */
const RESOLUTION_MS = 20;

/** Measures the delay of this process's event loop. */
export class LoopDelay {
  readonly #delays = monitorEventLoopDelay({ resolution: RESOLUTION_MS });

  constructor() {
    this.#delays.enable();
  }

  /** The longest delay since the last call, milliseconds. */
  longestMs(): number {
    const longest = Math.max(0, this.#delays.max / 1e6 - RESOLUTION_MS);
    this.#delays.reset();
    return longest;
  }
}
