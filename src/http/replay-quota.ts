/** Bounds the replays that are open at once: of this worker, and of each account, token or address. */
import { countDown, countUp } from '../lib/count.ts';
import { comeBackLater } from './problem.ts';

/** The share of a worker's replays that one account, token or address may have, rounded up. */
const SHARE_EACH = 0.25;
const RETRY_MS = 5000;

export class ReplayQuota {
  readonly #max: number;
  readonly #maxEach: number;
  #open = 0;
  readonly #openOf = new Map<string, number>();

  constructor(max: number) {
    this.#max = max;
    this.#maxEach = Math.ceil(max * SHARE_EACH);
  }

  /** Counts a replay of these holders; the result ends it. Throws Problem `too-many-streams`. */
  enter(holders: readonly string[]): () => void {
    this.#check(holders);
    this.#open += 1;
    for (const holder of holders) countUp(this.#openOf, holder);
    return () => {
      this.#open -= 1;
      for (const holder of holders) countDown(this.#openOf, holder);
    };
  }

  #check(holders: readonly string[]): void {
    if (this.#open >= this.#max)
      throw comeBackLater(
        503,
        'too-many-streams',
        'Too many replays are open. Close one, or try again soon.',
        RETRY_MS,
      );
    if (holders.some((holder) => (this.#openOf.get(holder) ?? 0) >= this.#maxEach))
      throw comeBackLater(
        429,
        'too-many-streams',
        'This account, token or address has too many replays open. Close one, or try again soon.',
        RETRY_MS,
      );
  }
}
