/**
 * Queues page visits for the store. A write takes all visits of one turn of the event loop, or those that arrived while
 * the maximum number of writes was in progress, so that many cost one commit.
 */
import { isPage } from '../model/page.ts';
import { SITE_KEY } from '../model/site.ts';
import type { HitGroup } from './accounts/account-snapshot.ts';
import { HITS, type HitRefusal } from './contract.ts';

export type HitOutcome = number | HitRefusal;

interface Waiting {
  site: string;
  page: string;
  resolve(outcome: HitOutcome): void;
  reject(error: unknown): void;
}

export class HitQueue {
  readonly #add: (groups: readonly HitGroup[]) => Promise<HitOutcome[]>;
  #waiting: Waiting[] = [];
  /** Visits that are being written, and the number of writes. */
  #writing = 0;
  #writes = 0;
  #planned = false;
  readonly #maxWrites: number;

  /**
   * `add` stores groups of different pages, and resolves with the total of each, or why it was not counted. Up to
   * `mostWrites` writes run at once.
   */
  constructor(add: (groups: readonly HitGroup[]) => Promise<HitOutcome[]>, maxWrites = 1) {
    this.#add = add;
    this.#maxWrites = maxWrites;
  }

  /** Implements `Hits.hit`. */
  hit(site: string, page: string): Promise<HitOutcome> {
    return new Promise((resolve, reject) => {
      if (!isPage(page)) return reject(new RangeError('not a page'));
      if (!SITE_KEY.test(site)) return resolve('unknown-site');
      if (this.#waiting.length + this.#writing >= HITS.waiting) return resolve('busy');
      this.#waiting.push({ site, page, resolve, reject });
      this.#plan();
    });
  }

  /** Writes after this turn of the event loop, together with what has already arrived at other sockets. */
  #plan(): void {
    if (this.#planned || this.#waiting.length === 0 || this.#writes >= this.#maxWrites) return;
    this.#planned = true;
    setImmediate(() => {
      this.#planned = false;
      void this.#write(this.#waiting.splice(0));
    });
  }

  async #write(hits: readonly Waiting[]): Promise<void> {
    const groups = grouped(hits);
    this.#writes += 1;
    this.#writing += hits.length;
    try {
      const outcomes = await this.#add(groups.map(({ site, page, hits }) => ({ site, page, count: hits.length })));
      for (const [i, group] of groups.entries()) settle(group.hits, outcomes[i] as HitOutcome);
    } catch (error) {
      for (const { reject } of hits) reject(error);
    }
    this.#writes -= 1;
    this.#writing -= hits.length;
    this.#plan();
  }
}

function grouped(hits: readonly Waiting[]): { site: string; page: string; hits: Waiting[] }[] {
  const groups = new Map<string, { site: string; page: string; hits: Waiting[] }>();
  for (const hit of hits) {
    const { site, page } = hit;
    const group = groups.get(site + page);
    if (group) group.hits.push(hit);
    else groups.set(site + page, { site, page, hits: [hit] });
  }
  return [...groups.values()];
}

/** Resolves visits that were added together, each with a total of its own. */
function settle(hits: readonly Waiting[], outcome: HitOutcome): void {
  for (const [i, { resolve }] of hits.entries())
    resolve(typeof outcome === 'number' ? outcome - hits.length + i + 1 : outcome);
}
