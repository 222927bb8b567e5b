/**
 * Large responses that are the same for everybody who asks the same. With many requests, one response is made per
 * second, and it is sent to one client after the other, so that readers do not delay visitors.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { comeBackLater } from './problem.ts';

/** Maximum age of a response, milliseconds. */
const MAX_AGE_MS = 1000;
/** From this number of waiting requests on, they share a response. A single request gets the current state. */
const SHARE_FROM = 4;
const MAX_KEPT = 16;
/** Time between two responses, milliseconds. */
const INTERVAL_MS = 10;
/** Above this number of waiting requests, clients are asked to come back. */
const MAX_WAITING = 500;

interface Made<T> {
  at: number;
  answer: Promise<T>;
}

export class SharedAnswers<T> {
  readonly #made = new Map<string, Made<T>>();
  #waiting = 0;
  /** When the next response may be sent. */
  #next = 0;

  /** The response for `key`; `make` makes it. Throws Problem 503 if too many requests are waiting. */
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
    this.#next = at + INTERVAL_MS;
    if (at > now) await sleep(at - now);
  }

  #answer(key: string, make: () => Promise<T>): Promise<T> {
    const now = performance.now();
    for (const [old, { at }] of this.#made) if (now - at > MAX_AGE_MS) this.#made.delete(old);
    const known = this.#made.get(key);
    if (known && this.#waiting >= SHARE_FROM) return known.answer;
    const answer = make();
    if (known || this.#made.size < MAX_KEPT) this.#made.set(key, { at: now, answer });
    return answer;
  }
}
