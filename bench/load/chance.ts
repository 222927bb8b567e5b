import { seeded } from '../../test/support/seeded.ts';

/** What chance decides, the same for the same seed. */
export class Chance {
  readonly #random: () => number;

  constructor(seed: number) {
    this.#random = seeded(seed);
  }

  /** A whole number below `n`. */
  below(n: number): number {
    return Math.floor(this.#random() * n);
  }

  /** True with the chance `p`. */
  of(p: number): boolean {
    return this.#random() < p;
  }

  /** A time till something that happens at random, whose mean is so. */
  wait(mean: number): number {
    return -mean * Math.log(1 - this.#random());
  }

  /** An index, by sums of shares that grow to 1. */
  among(sums: readonly number[]): number {
    const at = this.#random();
    let [low, high] = [0, sums.length - 1];
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((sums[middle] as number) > at) high = middle;
      else low = middle + 1;
    }
    return low;
  }
}

/** For `among`. */
export function sumsOf(shares: readonly number[]): number[] {
  let sum = 0;
  return shares.map((share) => {
    sum += share;
    return sum;
  });
}
