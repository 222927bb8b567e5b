/** The bytes that one connection may send, in addition to the limit of its address. */
import { TokenBucket } from '../lib/token-bucket.ts';

/** The burst of a connection, in seconds of its rate: a tab that was offline has buffered frames. */
const BURST_S = 32;

export class ByteBudget {
  readonly #own: TokenBucket;
  readonly #address: TokenBucket;

  /** `rate`: bytes per second of this connection. `address`: the bytes of all connections of its address. */
  constructor(rate: number, address: TokenBucket, now: number) {
    this.#own = new TokenBucket(rate, rate * BURST_S, now);
    this.#address = address;
  }

  /**
   * Takes `bytes`. Returns false if the connection or its address is over its limit. `now` as in lib/token-bucket.ts.
   */
  take(bytes: number, now: number): boolean {
    return this.#own.take(bytes, now) && this.#address.take(bytes, now);
  }
}
