/** Removes visits, and counts them by the reason. A change that another process prevents is repeated. */
import { setTimeout as sleep } from 'node:timers/promises';
import { forEachConcurrently } from '../../../lib/concurrency.ts';
import type { Redis, RedisCommand } from '../../../redis/connection.ts';
import { commonKey } from '../../../redis/keys.ts';
import { noneRemoved, REASONS, type Reason, type Removed } from '../../record/age-clock.ts';
import type { PageHashes } from './page-hash.ts';
import type { RecordSite } from './record-site.ts';
import { busy, type RecordSites, SITE_PATIENCE_MS, SITES_AT_ONCE } from './record-sites.ts';
import { removePiece, removeVisits } from './redis-removal.ts';

/** Pause before the next try and between pieces, milliseconds. */
const PAUSE_MS = 5;
/** Total numbers of removed visits, by reason. */
const REMOVED = commonKey('removed');

export class VisitRemover {
  readonly #redis: Redis;
  readonly #sites: RecordSites;
  readonly #pageHashes: PageHashes;
  readonly #pieceBytes: number | undefined;
  #removed = noneRemoved();
  #isStopped = false;

  constructor(redis: Redis, sites: RecordSites, pageHashes: PageHashes, pieceBytes: number | undefined) {
    this.#redis = redis;
    this.#sites = sites;
    this.#pageHashes = pageHashes;
    this.#pieceBytes = pieceBytes;
  }

  /**
   * Removes visits of a site (members of `by-time`), up to the size of one step, together with the commands `also`.
   * Returns how many were removed. Throws StoreError `busy`.
   */
  async remove(
    site: RecordSite,
    members: readonly string[],
    reason: Reason,
    also: readonly RedisCommand[] = [],
  ): Promise<number> {
    const removed = await this.#change(site, () =>
      removeVisits(site, this.#pageHashes, members, also, this.#pieceBytes),
    );
    await this.#count(reason, removed);
    return removed;
  }

  /** Adds removed visits to the totals in Redis and to the report of this process. */
  async #count(reason: Reason, visits: number): Promise<void> {
    this.#removed[reason] += visits;
    const add = ['HINCRBY', REMOVED, reason, String(visits)];
    // It is only a figure, and its cluster node may be unreachable.
    if (visits > 0) await this.#sites.soon(this.#redis.commit(`${REMOVED}:version`, null, [add], true)).catch(() => {});
  }

  /**
   * Removes the rest of large visits. Others can write in between. If this process ends meanwhile, another one
   * continues.
   */
  async finish(site: RecordSite): Promise<void> {
    while (!this.#isStopped && (await this.#removePiece(site))) await sleep(PAUSE_MS);
  }

  #removePiece(site: RecordSite): Promise<boolean> {
    return this.#change(site, () => removePiece(site, this.#pageHashes, this.#pieceBytes));
  }

  /** Repeats a change until no other process commits first. Throws StoreError `busy`. */
  async #change<T>(site: RecordSite, change: () => Promise<T | undefined>): Promise<T> {
    for (
      const end = performance.now() + SITE_PATIENCE_MS;
      performance.now() < end;
      await sleep(PAUSE_MS * Math.random())
    ) {
      const outcome = await change();
      if (outcome !== undefined) return outcome;
    }
    throw busy(site);
  }

  async finishAll(sites: readonly RecordSite[]): Promise<void> {
    await forEachConcurrently(await this.#removing(sites), SITES_AT_ONCE, (site) => this.finish(site));
  }

  /** Sites with large visits that are being removed. */
  async #removing(sites: readonly RecordSite[]): Promise<readonly RecordSite[]> {
    const found = await Promise.all(sites.map((site) => site.send<number>('EXISTS', site.keys.going)));
    return sites.filter((_, i) => (found[i] as number) > 0);
  }

  /**
   * Removes a piece of each large visit that is being removed: these visits use space, but are in no list any more.
   * Returns false if there are none.
   */
  async removePieces(sites: readonly RecordSite[]): Promise<boolean> {
    const removing = await this.#removing(sites);
    await forEachConcurrently(removing, SITES_AT_ONCE, (site) => this.#removePiece(site));
    return removing.length > 0;
  }

  /** Returns how many visits this process removed since the last call. */
  takeRemoved(): Removed {
    const removed = this.#removed;
    this.#removed = noneRemoved();
    return removed;
  }

  /** Returns how many visits all processes ever removed. */
  async totals(): Promise<Removed> {
    const counts = await this.#redis.send<(string | null)[]>(REMOVED, 'HMGET', REMOVED, ...REASONS);
    const removed = noneRemoved();
    for (const [i, reason] of REASONS.entries()) removed[reason] = Number(counts[i] ?? 0);
    return removed;
  }

  stop(): void {
    this.#isStopped = true;
  }
}
