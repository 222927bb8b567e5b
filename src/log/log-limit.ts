/** How many lines of one kind a log takes, so that nobody outside can fill a disk by what is logged about him. */

import { getOrInsert } from '../lib/get-or-insert.ts';
import { TokenBucket } from '../lib/token-bucket.ts';

/** Of one kind so many lines are let through at once, and then so many in a second. */
const BURST = 20;
const PER_SECOND = 0.2;
/** Kinds that are told apart; all others count as one. */
const MAX_KINDS = 500;
const OTHERS = 'others';

/** Times are as a bucket's. */
export class LogLimit {
  readonly #kinds = new Map<string, { bucket: TokenBucket; leftOut: number }>();

  /** False: a line of this kind is to be left out. */
  take(kind: string, now: number): boolean {
    const name = this.#kinds.size < MAX_KINDS || this.#kinds.has(kind) ? kind : OTHERS;
    const known = getOrInsert(this.#kinds, name, () => ({
      bucket: new TokenBucket(PER_SECOND, BURST, now),
      leftOut: 0,
    }));
    const isLet = known.bucket.take(1, now);
    if (!isLet) known.leftOut += 1;
    return isLet;
  }

  /** Kinds of which lines were left out since this was asked last, and how many. */
  leftOut(): { kind: string; leftOut: number }[] {
    const told = [...this.#kinds].filter(([, { leftOut }]) => leftOut > 0);
    return told.map(([kind, known]) => {
      const { leftOut } = known;
      known.leftOut = 0;
      return { kind, leftOut };
    });
  }
}
