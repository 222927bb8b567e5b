/**
 * Who may come in: counts connections, so that neither one address nor all together take more than their share,
 * and bounds how fast one address brings new ones and how many bytes it sends. All of it is in memory only.
 * Times are as a bucket's.
 */

import { getOrInsert } from '../lib/get-or-insert.ts';
import { TokenBucket } from '../lib/token-bucket.ts';

/** An address may bring as many newcomers at once as it may have connections, and this share of them per second. */
const NEW_PER_SECOND = 0.1;
/** An address may send so many seconds' worth of its byte rate at once: many tabs may come back together. */
const BURST_S = 256;

interface Address {
  count: number;
  newcomers: TokenBucket;
  bytes: TokenBucket;
  /** When the last newcomer came. */
  last: number;
}

export type Refused = 'worker-full' | 'address-full' | 'address-fast';

export class Admission {
  readonly #max: number;
  readonly #maxPerAddress: number;
  readonly #bytesPerSecond: number;
  readonly #byAddress = new Map<string, Address>();
  #count = 0;

  /** `bytesPerSecond`: what all connections and POSTs of one address may send together. */
  constructor(max: number, maxPerAddress: number, bytesPerSecond = Number.MAX_SAFE_INTEGER) {
    this.#max = max;
    this.#maxPerAddress = maxPerAddress;
    this.#bytesPerSecond = bytesPerSecond;
  }

  get count(): number {
    return this.#count;
  }

  /** Lets one in and returns how to let it out again (twice is safe), or says which bound it met. */
  enter(address: string, now: number): (() => void) | Refused {
    if (this.#count >= this.#max) return 'worker-full';
    const known = this.#get(address, now);
    if (known.count >= this.#maxPerAddress) return 'address-full';
    if (!known.newcomers.take(1, now)) return 'address-fast';
    this.#count += 1;
    known.count += 1;
    known.last = now;
    let inside = true;
    return () => {
      if (!inside) return;
      inside = false;
      this.#count -= 1;
      known.count -= 1;
    };
  }

  /** The bytes that an address may still send. Good until nobody of the address is here and its bucket is full. */
  bytesOf(address: string, now: number): TokenBucket {
    return this.#get(address, now).bytes;
  }

  #get(address: string, now: number): Address {
    return getOrInsert(this.#byAddress, address, () => ({
      count: 0,
      newcomers: new TokenBucket(this.#maxPerAddress * NEW_PER_SECOND, this.#maxPerAddress, now),
      bytes: new TokenBucket(this.#bytesPerSecond, this.#bytesPerSecond * BURST_S, now),
      last: now,
    }));
  }

  /** Forgets addresses that have nobody here and whose buckets are full again. */
  sweep(now: number): void {
    for (const [address, { count, last, bytes }] of this.#byAddress)
      if (count === 0 && now - last > 1000 / NEW_PER_SECOND && bytes.isFull(now)) this.#byAddress.delete(address);
  }
}
