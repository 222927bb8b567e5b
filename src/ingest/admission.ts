/**
 * Limits for newcomers: the number of connections of one address and of all together, the rate of new connections of
 * one address, and the bytes that one address may send. In memory only. Times are as in lib/token-bucket.ts.
 */

import { getOrInsert } from '../lib/get-or-insert.ts';
import { TokenBucket } from '../lib/token-bucket.ts';

/**
 * The burst of new connections per address equals the maximum number of its connections. This share of it may come per
 * second.
 */
const NEW_PER_SECOND = 0.1;
/** The byte burst of an address, in seconds of its byte rate: many tabs may come back together. */
const BURST_S = 256;

/** What is counted for one address. */
export interface AddressUse {
  count: number;
  newcomers: TokenBucket;
  /** The bytes that it may still send. */
  bytes: TokenBucket;
  /** When the last newcomer came. */
  last: number;
}

export type Refused = 'worker-full' | 'address-full' | 'address-fast';

export class Admission {
  readonly #max: number;
  readonly #maxPerAddress: number;
  readonly #bytesPerSecond: number;
  readonly #byAddress = new Map<string, AddressUse>();
  #count = 0;

  /** `bytesPerSecond`: the limit for all connections and POSTs of one address together. */
  constructor(max: number, maxPerAddress: number, bytesPerSecond = Number.MAX_SAFE_INTEGER) {
    this.#max = max;
    this.#maxPerAddress = maxPerAddress;
    this.#bytesPerSecond = bytesPerSecond;
  }

  get count(): number {
    return this.#count;
  }

  /** Lets a connection in until `leave` is called, or returns the limit that was reached. */
  enter(address: string, now: number): AddressUse | Refused {
    if (this.#count >= this.#max) return 'worker-full';
    const entry = this.#get(address, now);
    if (entry.count >= this.#maxPerAddress) return 'address-full';
    if (!entry.newcomers.take(1, now)) return 'address-fast';
    this.#count += 1;
    entry.count += 1;
    entry.last = now;
    return entry;
  }

  /** Releases a connection. Call it once for each that was let in. */
  leave(entry: AddressUse): void {
    this.#count -= 1;
    entry.count -= 1;
  }

  /**
   * The bytes that an address may still send. The bucket is valid until the address has no connection and its bucket is
   * full.
   */
  bytesOf(address: string, now: number): TokenBucket {
    return this.#get(address, now).bytes;
  }

  #get(address: string, now: number): AddressUse {
    return getOrInsert(this.#byAddress, address, () => ({
      count: 0,
      newcomers: new TokenBucket(this.#maxPerAddress * NEW_PER_SECOND, this.#maxPerAddress, now),
      bytes: new TokenBucket(this.#bytesPerSecond, this.#bytesPerSecond * BURST_S, now),
      last: now,
    }));
  }

  /** Forgets addresses without connections whose buckets are full. */
  sweep(now: number): void {
    for (const [address, { count, last, bytes }] of this.#byAddress)
      if (count === 0 && now - last > 1000 / NEW_PER_SECOND && bytes.isFull(now)) this.#byAddress.delete(address);
  }
}
