/** Reports once when Redis is unreachable, has lost its data, or is reachable again. */
import type { Logger } from '../../log/logger.ts';
import type { RedisError } from '../../redis/error.ts';

/**
 * How long Redis must be reachable before that is reported, milliseconds: a Redis that is stopping or starting accepts
 * connections and drops them.
 */
const HOLD_MS = 500;

/** Why nothing can be stored; undefined if it can. */
export type OutageReason = 'redis-away' | 'store-lost' | undefined;

export class Outage {
  readonly #log: Logger | undefined;
  readonly #onChange: (reason: OutageReason) => void;
  #reason: OutageReason;
  #back: NodeJS.Timeout | undefined;

  constructor(log: Logger | undefined, onChange: (reason: OutageReason) => void = () => {}) {
    this.#log = log;
    this.#onChange = onChange;
  }

  /** Notes why Redis is unreachable, or (undefined) that it is reachable. */
  tell(error: RedisError | undefined): void {
    clearTimeout(this.#back);
    if (error === undefined) this.#back = setTimeout(() => this.#end(), HOLD_MS).unref();
    else this.#start(error);
  }

  #start({ code, message }: RedisError): void {
    const reason = code === 'other-store' ? 'store-lost' : 'redis-away';
    if (reason === this.#reason) return;
    this.#change(reason);
    if (reason === 'store-lost') this.#log?.error({ code }, message);
    else this.#log?.error({ code, reason: message }, 'Redis is unreachable: requests that need it are refused');
  }

  #end(): void {
    if (this.#reason === undefined) return;
    this.#change(undefined);
    this.#log?.info('Redis is reachable again');
  }

  #change(reason: OutageReason): void {
    this.#reason = reason;
    this.#onChange(reason);
  }
}
