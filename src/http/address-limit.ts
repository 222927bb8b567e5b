/** A rate limit per address: a burst, and the same number per minute. */
import { TokenBucket } from '../lib/token-bucket.ts';
import { comeBackLater } from './problem.ts';

const MINUTE_MS = 60_000;
/** Maximum number of addresses; above it the least recently used are forgotten. */
const MAX_ADDRESSES = 10_000;

export class AddressLimit {
  readonly #max: number;
  /** Least recently used first. */
  readonly #buckets = new Map<string, TokenBucket>();

  constructor(max: number) {
    this.#max = max;
  }

  /** Counts a request. Throws Problem 429 if the address is over its limit. */
  count(address: string): void {
    const now = performance.now();
    const bucket = this.#buckets.get(address) ?? this.#add(now);
    this.#buckets.delete(address);
    this.#buckets.set(address, bucket);
    if (!bucket.take(1, now))
      throw comeBackLater(429, 'too-many-requests', 'Too many requests.', MINUTE_MS / this.#max);
  }

  #add(now: number): TokenBucket {
    const [oldest] = this.#buckets.keys();
    if (this.#buckets.size >= MAX_ADDRESSES) this.#buckets.delete(oldest as string);
    return new TokenBucket(this.#max / 60, this.#max, now);
  }
}
