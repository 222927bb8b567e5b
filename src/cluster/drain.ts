import { killSelf } from '../lib/kill-self.ts';
import type { Logger } from '../log/logger.ts';

/** After an unexpected error the worker has this long to drain before it is killed, milliseconds. */
const FAULT_LIMIT_MS = 4000;

export type DrainReason = 'restart' | 'stop';

/** Stops this worker: finishes what is in progress, then ends the process. */
export class Drain {
  readonly #log: Logger;
  #finish: ((reason: DrainReason) => Promise<void>) | undefined;
  isDraining = false;

  constructor(log: Logger) {
    this.#log = log;
  }

  /** `finish` closes all parts. Before this call, nothing is in progress. */
  prepare(finish: (reason: DrainReason) => Promise<void>): void {
    this.#finish = finish;
  }

  async start(reason: DrainReason, exitCode = 0): Promise<void> {
    if (this.isDraining) return;
    this.isDraining = true;
    await this.#finish?.(reason);
    process.exit(exitCode);
  }

  /** After an unexpected error the worker drains, and the primary starts another one. */
  readonly fail = (error: unknown): void => {
    this.#log.error({ err: error }, 'unexpected error; this worker is replaced');
    if (!this.#finish) killSelf();
    setTimeout(killSelf, FAULT_LIMIT_MS).unref();
    void this.start('restart', 1);
  };
}
