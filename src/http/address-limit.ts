/** How many requests each address may make: so many at once, and as many in a minute. */
import { TokenBucket } from '../lib/token-bucket.ts';
import { comeBackLater } from './problem.ts';

const MINUTE_MS = 60_000;
/** Addresses that are remembered; with more, those are forgotten that were longest not heard of. */
const MAX = 10_000;

export class AddressLimit {
  readonly #max: number;
  /** The address heard of last stands last. */
  readonly #buckets = new Map<string, TokenBucket>();

  constructor(max: number) {
    this.#max = max;
  }

  /** Counts a request. Throws Problem 429 if it is one too many. */
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
    if (this.#buckets.size >= MAX) this.#buckets.delete(oldest as string);
    return new TokenBucket(this.#max / 60, this.#max, now);
  }
}
