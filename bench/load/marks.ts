/** What a stream showed of guests: who came, clicked and left, one by one. */
import { setTimeout as sleep } from 'node:timers/promises';
import { numberOf } from './frames.ts';
import type { MarksReport } from './messages.ts';

/** Guests are on pages of their own, one for each try, so that every event says whose it is. */
export const GUEST_PAGE = '/guest/';

interface Joined {
  visitor: { v: number; page: string };
}

export class Marks {
  readonly #pages = new Map<number, string>();
  #joins: string[] = [];
  #clicks: number[] = [];
  #leaves: string[] = [];
  #onLeave = () => {};

  /** Notes an event of the stream if it is a guest's. */
  see(event: string, data: string): void {
    if (event === 'join') this.#join(JSON.parse(data));
    else if (event === 'click') this.#click(JSON.parse(data));
    else if (event === 'leave') this.#leave(JSON.parse(data));
  }

  #join({ visitor: { v, page } }: Joined): void {
    if (!page.startsWith(GUEST_PAGE)) return;
    this.#pages.set(v, page);
    this.#joins.push(page);
  }

  #click({ page, x, y }: { page: string; x: number; y: number }): void {
    if (page.startsWith(GUEST_PAGE)) this.#clicks.push(numberOf(x, y));
  }

  #leave({ v }: { v: number }): void {
    const page = this.#pages.get(v);
    if (page === undefined) return;
    this.#leaves.push(page);
    this.#onLeave();
  }

  /** Resolves when `count` visitors have left, or after `limitMs`. */
  async left(count: number, limitMs: number): Promise<void> {
    const limit = new AbortController();
    const enough = new Promise<void>((resolve) => {
      this.#onLeave = () => {
        if (this.#leaves.length >= count) resolve();
      };
    });
    this.#onLeave();
    await Promise.race([enough, sleep(limitMs, undefined, { signal: limit.signal }).catch(() => {})]);
    limit.abort();
  }

  take(): MarksReport {
    return { k: 'marks', joins: this.#joins, leaves: this.#leaves, clicks: this.#clicks };
  }
}
