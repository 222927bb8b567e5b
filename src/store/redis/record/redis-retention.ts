/**
 * Removes the visits that are too old, that a removed site had, or that the store has no room for. Each process does so
 * a few visits at a time, while no other does.
 */
import type { Shares } from '../../../config/config.ts';
import { forEachConcurrently } from '../../../lib/concurrency.ts';
import type { Redis } from '../../../redis/connection.ts';
import { commonKey } from '../../../redis/keys.ts';
import type { VisitQuery } from '../../archive.ts';
import { MAX_AHEAD_MS, type Reason, type RemovalReport } from '../../record/age-clock.ts';
import { rankBySurplus, takeWeight } from '../../record/site-weight.ts';
import { SITES } from './keys.ts';
import { partsOf, RecordSite } from './record-site.ts';
import { type RecordSites, SITES_AT_ONCE } from './record-sites.ts';
import { RedisAgeClock } from './redis-age-clock.ts';
import type { RedisQuota } from './redis-quota.ts';
import { visitsIn } from './visit-list.ts';
import type { VisitRemover } from './visit-remover.ts';
import { visitOf, visitTimeOf } from './visit-time.ts';

/** Visits removed in one step. */
const PRUNE_VISITS = 50;
/** Visits of a dropped site may still be compacted for this long, milliseconds. */
const DROPPED_MS = 10 * 60_000;
/** Ids of erased visits are stored for this long, which is longer than any visit lasts, milliseconds. */
const ERASED_MS = 8 * 24 * 3_600_000;
/** How often expired entries are removed, milliseconds. */
const SWEEP_MS = 60_000;
/**
 * The oldest visits are removed while the store uses more than this share of its cap, or a Redis node more than this
 * share of its memory.
 */
const PRUNE_AT = 0.8;
/** How often a process looks for visits to remove, milliseconds. */
const PRUNE_MS = 1000;
/** How long one process may remove visits before another one may, milliseconds. */
const PRUNING_MS = 5000;
const PRUNING = commonKey('pruning');
/** Time limit for one round of removals, milliseconds. */
const ROUND_MS = 200;

export interface RetentionOptions {
  redis: Redis;
  sites: RecordSites;
  quota: RedisQuota;
  remover: VisitRemover;
  /** Maximum size of the record, bytes. */
  maxBytes: number;
  /** Shares of the store by site, relative to those of other sites; 1 by default. */
  shares: Shares;
}

/** Visits to remove, all of one site, and why. */
interface Due {
  site?: RecordSite;
  due: string[];
  reason: Reason;
}

export class RedisRetention {
  readonly #redis: Redis;
  readonly #sites: RecordSites;
  readonly #quota: RedisQuota;
  readonly #remover: VisitRemover;
  readonly #clock: RedisAgeClock;
  readonly #maxBytes: number;
  readonly #shares: Shares;
  #prunedAt = Number.NEGATIVE_INFINITY;
  #sweptAt = Number.NEGATIVE_INFINITY;
  #heldMs = 0;
  #isStopped = false;

  constructor({ redis, sites, quota, remover, maxBytes, shares }: RetentionOptions) {
    this.#redis = redis;
    this.#sites = sites;
    this.#quota = quota;
    this.#remover = remover;
    this.#clock = new RedisAgeClock(redis, sites);
    this.#maxBytes = maxBytes;
    this.#shares = shares;
  }

  /** Removes some visits that are due; see `Archive.prune`. Returns how many. */
  async prune(before: number, most: number): Promise<number> {
    const sites = await this.#sites.all();
    await this.#sweep(sites, before);
    await this.#remover.finishAll(sites);
    const removed = await this.#pruneSome(sites, before, (await this.#quota.used()) > most ? sites : []);
    await this.#remover.finishAll(sites);
    return removed;
  }

  /** Removes some visits; `over`: sites whose oldest visits have to be removed to free space. Returns how many. */
  async #pruneSome(sites: readonly RecordSite[], before: number, over: readonly RecordSite[]): Promise<number> {
    const { site, due, reason } = await this.#allDue(sites, before, over);
    if (!site) return 0;
    const removed = await this.#remover.remove(site, due, reason);
    // If none was removed, the leftovers of lost visits were: more may be due.
    return removed || due.length;
  }

  /** Notes if visits are retained only because the system's clock is ahead of the store's time. */
  async #noteHeld(sites: readonly RecordSite[], now: number, wall: number, retainMs: number): Promise<void> {
    if (wall - now <= MAX_AHEAD_MS) return;
    await forEachConcurrently(sites, SITES_AT_ONCE, async (site) => {
      if (this.#heldMs > 0) return;
      const [dueByWall, due] = await Promise.all([ended(site, wall - retainMs), ended(site, now - retainMs)]);
      if (dueByWall.length > due.length) this.#heldMs = wall - now;
    });
  }

  /** Removes the visits that are due, for ROUND_MS. Only one process does so at a time. `hurry`: the store is full. */
  async pruneDue(now: number, retainMs: number, hurry: boolean): Promise<void> {
    if (!hurry && Math.abs(now - this.#prunedAt) < PRUNE_MS) return;
    this.#prunedAt = now;
    const lease = this.#redis.commit(PRUNING, '0', [['PEXPIRE', PRUNING, String(PRUNING_MS)]], true);
    // If the lease cannot be checked, every process removes visits: of two concurrent commits, one is refused.
    if ((await this.#sites.soon(lease)) === false) return;
    try {
      await this.#pruneFor(ROUND_MS, now, retainMs);
    } finally {
      await this.#sites.soon(this.#redis.send(PRUNING, 'DEL', PRUNING)).catch(() => {});
    }
  }

  async #pruneFor(limitMs: number, wall: number, retainMs: number): Promise<void> {
    const now = await this.#clock.now(wall);
    const before = now - retainMs;
    const all = await this.#sites.known();
    const sites = await this.#sites.answering(all);
    const isWhole = sites.length === all.length;
    const end = performance.now() + limitMs;
    await this.#sweep(sites, before, now);
    await this.#noteHeld(sites, now, wall, retainMs);
    for (let removed = 1; removed > 0 && performance.now() < end && !this.#isStopped; ) {
      if (await this.#remover.removePieces(sites)) continue;
      removed = await this.#pruneSome(sites, before, await this.#over(sites, isWhole));
    }
  }

  /**
   * Returns the sites whose oldest visits have to be removed to free space. `isWhole`: all cluster nodes answer;
   * otherwise the total size is unknown, and only the memory of each node counts.
   */
  async #over(sites: readonly RecordSite[], isWhole: boolean): Promise<readonly RecordSite[]> {
    const used = isWhole ? await this.#sites.soon(this.#quota.used()) : undefined;
    if (used !== undefined && used > PRUNE_AT * this.#maxBytes) return sites;
    const keys = sites.map(({ keys }) => keys.version);
    const crowded = await this.#quota.crowded(keys, PRUNE_AT, used !== undefined);
    return sites.filter(({ keys }) => crowded.has(keys.version));
  }

  /** Removes batches that were quarantined before `before`, and ids of visits that were erased long ago. */
  async #sweep(sites: readonly RecordSite[], before: number, now = Date.now()): Promise<void> {
    const at = performance.now();
    if (at - this.#sweptAt < SWEEP_MS) return;
    this.#sweptAt = at;
    await forEachConcurrently(sites, SITES_AT_ONCE, (site) => sweepSite(site, before, now - ERASED_MS));
  }

  /** Returns visits to remove, all of one site, as members of `by-time`. */
  async #allDue(sites: readonly RecordSite[], before: number, over: readonly RecordSite[]): Promise<Due> {
    const dropped = await Promise.all(sites.map((site) => site.send<string | null>('GET', site.keys.dropped)));
    for (const [i, site] of sites.entries()) {
      const due = dropped[i] == null ? [] : await this.#dropped(site, Number(dropped[i]));
      if (due.length > 0) return { site, due, reason: 'site' };
    }
    if (over.length > 0) return { ...(await surplus(over, this.#shares)), reason: 'cap' };
    for (const some of partsOf(sites, SITES_AT_ONCE)) {
      const dues = await Promise.all(some.map((site) => ended(site, before)));
      const i = dues.findIndex((due) => due.length > 0);
      if (i >= 0) return { site: some[i] as RecordSite, due: dues[i] as string[], reason: 'age' };
    }
    return { due: [], reason: 'age' };
  }

  /**
   * Returns some visits of a dropped site, as members of `by-time`. The mark of the drop is removed when everything
   * that was in progress at the time has been compacted.
   */
  async #dropped(site: RecordSite, before: number): Promise<string[]> {
    const { dropped, byTime, going } = site.keys;
    const to = `(${visitTimeOf(before)}`;
    const members = await site.send<string[]>('ZRANGE', byTime, '-', to, 'BYLEX', 'LIMIT', '0', String(PRUNE_VISITS));
    if (members.length > 0) return members;
    if (Date.now() - before > DROPPED_MS && !(await site.isWaiting())) {
      await site.send('DEL', dropped);
      if ((await site.send<number>('EXISTS', byTime, going)) === 0)
        await this.#sites.soon(this.#redis.send(SITES, 'SREM', SITES, site.name));
    }
    return [];
  }

  /** Returns what to log about removals since the last call. */
  takeNews(): RemovalReport {
    const heldMs = this.#heldMs;
    this.#heldMs = 0;
    return { removed: this.#remover.takeRemoved(), heldMs };
  }

  stop(): void {
    this.#isStopped = true;
    this.#remover.stop();
  }
}

/** Returns the oldest visits of the site that exceeds its share of the store the most, as members of `by-time`. */
async function surplus(sites: readonly RecordSite[], shares: Shares): Promise<{ site?: RecordSite; due: string[] }> {
  const known = await RecordSite.weights(sites);
  const weights = await Promise.all(
    known.map((weight, i) => (weight >= 0 ? weight : (sites[i] as RecordSite).weigh())),
  );
  const all = sites.map((site, i) => ({ name: site.name, weight: weights[i] as number, site }));
  for (const { site, bytes } of rankBySurplus(all, shares)) {
    const due = await site.send<string[]>('ZRANGE', site.keys.byTime, '0', String(PRUNE_VISITS - 1));
    if (due.length === 0) continue;
    const visits = await site.visits(due.map((member) => visitOf(member)[1]));
    return { site, due: takeWeight(due, bytes, (_, i) => visits[i]?.weight ?? 0) };
  }
  return { due: [] };
}

/** Returns the oldest visits of a site that ended before a time, as members of `by-time`; others may be among them. */
async function ended(site: RecordSite, before: number): Promise<string[]> {
  const due: string[] = [];
  const query: VisitQuery = { site: site.name, to: before, oldestFirst: true, limit: 0 };
  for await (const { members, visits } of visitsIn(site, query)) {
    for (const [i, visit] of visits.entries())
      if ((visit?.tally.until ?? 0) < before && due.length < PRUNE_VISITS) due.push(members[i] as string);
    if (due.length === PRUNE_VISITS) break;
  }
  return due;
}

/** Removes a site's batches that were quarantined before `before`, and ids of visits erased before `erasedBefore`. */
async function sweepSite(site: RecordSite, before: number, erasedBefore: number): Promise<void> {
  const { damaged, erased } = site.keys;
  const isOld = async () => Number((await site.send<string | null>('LINDEX', damaged, '0')) ?? Infinity) < before;
  while (await isOld()) await site.send('LPOP', damaged, '2');
  const all = await site.send<string[]>('HGETALL', erased);
  const old = all.filter((_, i) => i % 2 === 0 && Number(all[i + 1]) < erasedBefore);
  for (const some of partsOf(old)) await site.send('HDEL', erased, ...some);
}
