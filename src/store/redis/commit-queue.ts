/** Commits changes to Redis: those of one process in order, many of them in one commit. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Redis } from '../../redis/connection.ts';
import { StoreError } from '../contract.ts';
import {
  type ChangeRequest,
  type RedisChange,
  type RedisChangeOptions,
  RedisTransaction,
} from './account-transaction.ts';
import { toStoreError } from './redis-store-error.ts';

/** Maximum number of changes per commit: Redis does nothing else meanwhile. */
const MAX_TOGETHER = 250;
/** Maximum number of waiting changes; more are refused. */
const MAX_WAITING = 50_000;
/** If another process was faster, a commit is tried again for LIMIT_MS, after random pauses that grow, milliseconds. */
const LIMIT_MS = 10_000;
const RETRY_MS = 2;
const MAX_RETRY_MS = 50;

interface Waiting extends ChangeRequest {
  resolve(value: unknown): void;
  reject(error: unknown): void;
}

export class CommitQueue {
  readonly #redis: Redis;
  readonly #waiting: Waiting[] = [];
  #draining: Promise<void> | undefined;

  constructor(redis: Redis) {
    this.#redis = redis;
  }

  /** Makes a change. Throws StoreError. */
  commit<T>(options: RedisChangeOptions, change: RedisChange<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      if (this.#waiting.length >= MAX_WAITING) return reject(tooMuch());
      this.#waiting.push({ options, change, resolve: resolve as Waiting['resolve'], reject });
      this.#draining ??= this.#drain();
    });
  }

  /** Resolves when no change waits. */
  async settled(): Promise<void> {
    await this.#draining;
  }

  async #drain(): Promise<void> {
    while (this.#waiting.length > 0) {
      const group = this.#waiting.splice(0, this.#alike());
      try {
        const values = await toStoreError(this.#run(group));
        for (const [i, { resolve }] of group.entries()) resolve(values[i]);
      } catch (error) {
        for (const { reject } of group) reject(error);
      }
    }
    this.#draining = undefined;
  }

  /**
   * Returns how many of the next changes may be committed together: a change that frees space must not fail together
   * with one that needs some.
   */
  #alike(): number {
    const next = this.#waiting.slice(0, MAX_TOGETHER).map(({ options }) => options.allowWhenFull === true);
    const other = next.findIndex((allowWhenFull) => allowWhenFull !== next[0]);
    return other === -1 ? next.length : other;
  }

  async #run(requests: readonly ChangeRequest[]): Promise<unknown[]> {
    const end = performance.now() + LIMIT_MS;
    for (let tries = 1; performance.now() < end; tries++) {
      const results = await RedisTransaction.run(this.#redis, requests);
      if (results) return results;
      await sleep(Math.random() * Math.min(MAX_RETRY_MS, RETRY_MS * tries));
    }
    throw tooMuch();
  }
}

/** HTTP requests are answered with 503. */
function tooMuch(): StoreError {
  return Object.assign(new StoreError('busy', 'Too many changes in Redis at once. Try again soon.'), {
    statusCode: 503,
  });
}
