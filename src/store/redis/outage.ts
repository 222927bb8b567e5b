/** That Redis is away, or there again: told once each. */
import type { Logger } from '../../logger.ts';
import type { RedisError } from '../../redis/error.ts';

/** It is there again when it has been so for as long, milliseconds: one that is going, or coming, takes connections and drops them. */
const HOLD_MS = 500;

export class Outage {
  readonly #log: Logger | undefined;
  #isAway = false;
  #back: NodeJS.Timeout | undefined;

  constructor(log: Logger | undefined) {
    this.#log = log;
  }

  /** Why it is away, or (undefined) that it is there. */
  tell(error: RedisError | undefined): void {
    clearTimeout(this.#back);
    if (error === undefined) this.#back = setTimeout(() => this.#end(), HOLD_MS).unref();
    else this.#begin(error);
  }

  #begin({ code, message }: RedisError): void {
    if (this.#isAway) return;
    this.#isAway = true;
    this.#log?.error({ code, reason: message }, 'Redis is away: what needs it is refused');
  }

  #end(): void {
    if (!this.#isAway) return;
    this.#isAway = false;
    this.#log?.info('Redis is there again');
  }
}
