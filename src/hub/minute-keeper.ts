/** Stores this node's minutes: each once it has ended, and the rest at a stop. */
import { MINUTE_MS, minuteOf } from '../model/minute.ts';
import type { SiteMinute } from '../protocol/peer.ts';
import type { Rates } from './rates.ts';

/** After minutes could not be stored, the next attempt starts after this time, milliseconds. */
const RETRY_MS = 10_000;

export class MinuteKeeper {
  readonly #rates: Rates;
  readonly #store: (minutes: readonly SiteMinute[]) => Promise<boolean>;
  /** When to store the next minutes, Unix ms. */
  #dueAt = 0;
  #storing: Promise<void> | undefined;

  /** `store` resolves with false if the minutes cannot be stored now. */
  constructor(rates: Rates, store: (minutes: readonly SiteMinute[]) => Promise<boolean>) {
    this.#rates = rates;
    this.#store = store;
  }

  /** Stores the minutes that have ended, if that is due and not in progress. `now` in Unix ms. */
  storeEnded(now: number): void {
    if (now < this.#dueAt) return;
    this.#storing ??= this.#storeUpTo(minuteOf(now) - MINUTE_MS).finally(() => {
      this.#storing = undefined;
    });
  }

  /** Stores all minutes up to the one of `until`, Unix ms. */
  async storeAll(until: number): Promise<void> {
    await this.#storing;
    await this.#storeUpTo(minuteOf(until));
  }

  async #storeUpTo(until: number): Promise<void> {
    const minutes = this.#rates.unstored(until);
    const isStored = minutes.length === 0 || (await this.#store(minutes));
    if (isStored) this.#rates.markStored(until);
    this.#dueAt = isStored ? until + 2 * MINUTE_MS : Date.now() + RETRY_MS;
  }
}
