/** What one connection may send, in bytes, beside what its whole address may. */
import { TokenBucket } from '../lib/token-bucket.ts';

/** A connection may send so many seconds' worth of its rate at once: a tab that was offline has saved frames up. */
const BURST_S = 32;

export class ByteBudget {
  readonly #own: TokenBucket;
  readonly #address: TokenBucket;

  /** `rate`: bytes per second of this connection. `address`: the bytes of all connections of its address. */
  constructor(rate: number, address: TokenBucket, now: number) {
    this.#own = new TokenBucket(rate, rate * BURST_S, now);
    this.#address = address;
  }

  /** Takes so many bytes; false if the connection or its address has sent too many. `now` as a bucket's. */
  take(bytes: number, now: number): boolean {
    return this.#own.take(bytes, now) && this.#address.take(bytes, now);
  }
}
