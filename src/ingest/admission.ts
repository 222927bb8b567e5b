/**
 * Who may come in: counts connections, so that neither one address nor all together take more than their share,
 * and bounds how fast one address brings new ones.
 */
import { Bucket } from '../bucket.ts';

/** An address may bring as many newcomers at once as it may have connections, and this share of them per second. */
const NEW_PER_SECOND = 0.1;

interface Address {
  count: number;
  newcomers: Bucket;
  /** Unix ms of the last newcomer. */
  last: number;
}

export type Refused = 'worker-full' | 'address-full' | 'address-fast';

export class Admission {
  readonly #max: number;
  readonly #maxPerAddress: number;
  readonly #byAddress = new Map<string, Address>();
  #count = 0;

  constructor(max: number, maxPerAddress: number) {
    this.#max = max;
    this.#maxPerAddress = maxPerAddress;
  }

  get count(): number {
    return this.#count;
  }

  /** Lets one in and returns how to let it out again (twice is safe), or says which bound it met. */
  enter(address: string, now: number): (() => void) | Refused {
    if (this.#count >= this.#max) return 'worker-full';
    const known = this.#byAddress.get(address) ?? this.#newAddress(now);
    if (known.count >= this.#maxPerAddress) return 'address-full';
    if (!known.newcomers.take(1, now)) return 'address-fast';
    this.#byAddress.set(address, known);
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

  #newAddress(now: number): Address {
    const newcomers = new Bucket(this.#maxPerAddress * NEW_PER_SECOND, this.#maxPerAddress, now);
    return { count: 0, newcomers, last: now };
  }

  /** Forgets addresses that have nobody here and whose bucket is full again. */
  sweep(now: number): void {
    for (const [address, { count, last }] of this.#byAddress)
      if (count === 0 && now - last > 1000 / NEW_PER_SECOND) this.#byAddress.delete(address);
  }
}
