/** That Redis is away, or there again: told once each. */
import type { Logger } from '../../logger.ts';
import type { RedisError } from '../../redis/error.ts';

export class Outage {
  readonly #log: Logger | undefined;
  #isAway = false;

  constructor(log: Logger | undefined) {
    this.#log = log;
  }

  /** Why it is away, or (undefined) that it is there. */
  tell(error: RedisError | undefined): void {
    const isAway = error !== undefined;
    if (isAway === this.#isAway) return;
    this.#isAway = isAway;
    if (isAway)
      this.#log?.error({ code: error.code, reason: error.message }, 'Redis is away: what needs it is refused');
    else this.#log?.info('Redis is there again');
  }
}
