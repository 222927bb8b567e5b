/**
 * Answers that are large and the same for all who ask the same: where many ask, one is made a second, and they are given
 * out one after the other, so that readers do not hold up visitors.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { comeBackLater } from './problem.ts';

/** How old an answer may be, milliseconds. */
const FRESH_MS = 1000;
/** So many who wait at once share; who asks alone has it as it is now. */
const CROWD = 4;
const MAX_KEPT = 16;
/** Between two answers, milliseconds. */
const APART_MS = 10;
/** More who wait are asked to come back. */
const MAX_WAITING = 500;

interface Made<T> {
  at: number;
  answer: Promise<T>;
}

export class SharedAnswers<T> {
  readonly #made = new Map<string, Made<T>>();
  #waiting = 0;
  /** When the next answer may be given out. */
  #next = 0;

  /** The answer to what `key` asks; `make` makes it. Throws Problem 503 when too many wait. */
  async get(key: string, make: () => Promise<T>): Promise<T> {
    if (this.#waiting >= MAX_WAITING)
      throw comeBackLater(503, 'busy', 'Too many heatmaps are being requested. Try again soon.', 2000);
    this.#waiting += 1;
    try {
      await this.#turn();
      return await this.#answer(key, make);
    } finally {
      this.#waiting -= 1;
    }
  }

  async #turn(): Promise<void> {
    const now = performance.now();
    const at = Math.max(now, this.#next);
    this.#next = at + APART_MS;
    if (at > now) await sleep(at - now);
  }

  #answer(key: string, make: () => Promise<T>): Promise<T> {
    const now = performance.now();
    for (const [old, { at }] of this.#made) if (now - at > FRESH_MS) this.#made.delete(old);
    const known = this.#made.get(key);
    if (known && this.#waiting >= CROWD) return known.answer;
    const answer = make();
    if (known || this.#made.size < MAX_KEPT) this.#made.set(key, { at: now, answer });
    return answer;
  }
}
