/** Changes on their way to Redis: those of one process go one after the other, many of them with one commit. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Redis } from '../../redis/connection.ts';
import { StoreError } from '../contract.ts';
import { asStore } from './redis-store-error.ts';
import { Draft } from './transaction.ts';

/** Changes of one commit at most: the server does nothing else meanwhile. */
const MOST_TOGETHER = 250;
/** Changes that may wait; more are refused. */
const MOST_WAITING = 50_000;
/** When somebody else was faster it is tried again for so long, after a while by chance that may be longer each time, milliseconds. */
const LIMIT_MS = 10_000;
const RETRY_MS = 2;
const MOST_RETRY_MS = 50;

/** Decides by what there is, and writes down what is to be. Does so anew when somebody else was faster. */
export type Work<T> = (draft: Draft) => Promise<T>;

interface Waiting {
  work: Work<unknown>;
  /** It makes room. */
  release: boolean;
  resolve(value: unknown): void;
  reject(error: unknown): void;
}

export class Changes {
  readonly #redis: Redis;
  readonly #waiting: Waiting[] = [];
  #draining: Promise<void> | undefined;

  constructor(redis: Redis) {
    this.#redis = redis;
  }

  /** Makes a change. `release`: also where there is no room, since it makes some. Throws StoreError. */
  make<T>(work: Work<T>, release = false): Promise<T> {
    return new Promise((resolve, reject) => {
      if (this.#waiting.length >= MOST_WAITING) return reject(tooMuch());
      this.#waiting.push({ work, release, resolve: resolve as Waiting['resolve'], reject });
      this.#draining ??= this.#drain();
    });
  }

  /** Resolves when all that was begun is done. */
  async settled(): Promise<void> {
    await this.#draining;
  }

  async #drain(): Promise<void> {
    while (this.#waiting.length > 0) {
      const group = this.#waiting.splice(0, this.#alike());
      try {
        const values = await asStore(this.#commit(group));
        for (const [i, { resolve }] of group.entries()) resolve(values[i]);
      } catch (error) {
        for (const { reject } of group) reject(error);
      }
    }
    this.#draining = undefined;
  }

  /** How many of those that are next may go together. */
  #alike(): number {
    const next = this.#waiting.slice(0, MOST_TOGETHER);
    const other = next.findIndex(({ release }) => release !== next[0]?.release);
    return other === -1 ? next.length : other;
  }

  async #commit(group: readonly Waiting[]): Promise<unknown[]> {
    const release = group[0]?.release === true;
    const end = performance.now() + LIMIT_MS;
    for (let tries = 1; performance.now() < end; tries++) {
      const draft = new Draft(this.#redis);
      const values: unknown[] = [];
      for (const { work } of group) values.push(await work(draft));
      if (await draft.commit(release)) return values;
      await sleep(Math.random() * Math.min(MOST_RETRY_MS, RETRY_MS * tries));
    }
    throw tooMuch();
  }
}

/** Is answered with 503 where it comes to a request. */
function tooMuch(): StoreError {
  return Object.assign(new StoreError('busy', 'Too many changes in Redis at once. Try again soon.'), {
    statusCode: 503,
  });
}
