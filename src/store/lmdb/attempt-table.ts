/** Counts sign-in attempts in LMDB. The scripts in redis/counters.ts do the same within Redis, in one round trip. */
import type { Database } from 'lmdb';
import { counterKey } from '../accounts/secret.ts';
import type { Attempt } from '../contract.ts';
import type { ExpiryIndex } from './expiry-index.ts';

export interface AttemptCounter {
  count: number;
  expires: number;
}

/** All methods must be called within a write. */
export class AttemptTable {
  readonly #counters: Database<AttemptCounter, string>;
  readonly #expiry: ExpiryIndex;

  constructor(counters: Database<AttemptCounter, string>, expiry: ExpiryIndex) {
    this.#counters = counters;
    this.#expiry = expiry;
  }

  /** Implements `Store.countAttempt`. */
  count(secret: Buffer, attempts: readonly Attempt[], now: number): number {
    const keyed = attempts.map((attempt) => ({ ...attempt, key: keyOf(secret, attempt) }));
    let wait = 0;
    for (const { key, limit } of keyed) {
      const counter = this.#live(key, now);
      if (counter !== undefined && counter.count >= limit) wait = Math.max(wait, counter.expires - now);
    }
    if (wait > 0) return wait;
    this.#expiry.removeExpired(now);
    for (const { key, window } of keyed) {
      const { count, expires } = this.#live(key, now) ?? { count: 0, expires: now + window };
      this.#counters.put(key, { count: count + 1, expires });
      this.#expiry.add('counters', key, expires);
    }
    return 0;
  }

  /** Implements `Store.forgiveAttempt`. */
  forgive(secret: Buffer, attempts: readonly Attempt[], now: number): void {
    for (const key of attempts.map((attempt) => keyOf(secret, attempt))) {
      const counter = this.#live(key, now);
      if (counter !== undefined) this.#counters.put(key, { ...counter, count: Math.max(0, counter.count - 1) });
    }
  }

  #live(key: string, now: number): AttemptCounter | undefined {
    const counter = this.#counters.get(key);
    return counter !== undefined && counter.expires > now ? counter : undefined;
  }
}

function keyOf(secret: Buffer, { kind, value }: Attempt): string {
  return counterKey(secret, kind, value);
}
