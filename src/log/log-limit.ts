/** Limits the log lines of one kind, so that clients cannot fill the disk through the log. */

import { getOrInsert } from '../lib/get-or-insert.ts';
import { TokenBucket } from '../lib/token-bucket.ts';

/** Burst per kind, and lines per second after that. */
const BURST = 20;
const PER_SECOND = 0.2;
/** Maximum number of separate kinds; all others share one limit. */
const MAX_KINDS = 500;
const OTHERS = 'others';

/** Times are as in lib/token-bucket.ts. */
export class LogLimit {
  readonly #kinds = new Map<string, { bucket: TokenBucket; leftOut: number }>();

  /** Returns false if a line of this kind must be left out. */
  take(kind: string, now: number): boolean {
    const name = this.#kinds.size < MAX_KINDS || this.#kinds.has(kind) ? kind : OTHERS;
    const entry = getOrInsert(this.#kinds, name, () => ({
      bucket: new TokenBucket(PER_SECOND, BURST, now),
      leftOut: 0,
    }));
    const isAllowed = entry.bucket.take(1, now);
    if (!isAllowed) entry.leftOut += 1;
    return isAllowed;
  }

  /** The kinds of lines left out since the last call, with their numbers. */
  leftOut(): { kind: string; leftOut: number }[] {
    const told = [...this.#kinds].filter(([, { leftOut }]) => leftOut > 0);
    return told.map(([kind, entry]) => {
      const { leftOut } = entry;
      entry.leftOut = 0;
      return { kind, leftOut };
    });
  }
}
