/**
 * The record in Redis, which several nodes share. Workers append batches to a journal. Every few seconds, the first
 * process that finds it due compacts the journal (record/compaction.ts). A read first compacts the journal of its site,
 * so it sees everything that was appended.
 *
 * Each site has its own keys (record/keys.ts), which change in commits. A commit is refused if the site's version has
 * changed meanwhile, so concurrent changes of a site happen one after the other.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Shares } from '../../config/config.ts';
import { forEachConcurrently } from '../../lib/concurrency.ts';
import type { AuditNote } from '../../model/audit.ts';
import type { Heat } from '../../model/heat.ts';
import type { LeftOut } from '../../model/query.ts';
import type { DayCounts, PageCounts, Visit } from '../../model/visit.ts';
import type { Redis } from '../../redis/connection.ts';
import { RedisError } from '../../redis/error.ts';
import type {
  Archive,
  Days,
  Difference,
  HeatQuery,
  Part,
  Progress,
  Run,
  Usage,
  VisitQuery,
  VisitRuns,
} from '../archive.ts';
import { StoreError } from '../contract.ts';
import type { RemovalReport } from '../record/age-clock.ts';
import { COMPACT_AFTER_MS } from '../record/backlog.ts';
import { DamageLog, lostVisit } from '../record/damage.ts';
import { noHeat } from '../record/heat.ts';
import { lastUpTo } from '../record/ranges.ts';
import { RunPart, readable } from '../record/run-part.ts';
import { siteShardOf } from '../record/shard.ts';
import { MAX_ID, matches, toVisit } from '../record/stored-visit.ts';
import { RedisJournal } from './record/journal.ts';
import { SITES } from './record/keys.ts';
import { type PageHash, PageHashes } from './record/page-hash.ts';
import type { RecordSite, RedisVisit } from './record/record-site.ts';
import { busy, isOfOneSite, RecordSites, SITE_PATIENCE_MS, SITES_AT_ONCE } from './record/record-sites.ts';
import { type Compacted, held, RedisCompaction } from './record/redis-compaction.ts';
import {
  namedRuns,
  readConsistently,
  readRedisDays,
  readRedisHeat,
  readRedisPages,
  readScenes,
} from './record/redis-lookup.ts';
import { RedisQuota } from './record/redis-quota.ts';
import { RedisRetention } from './record/redis-retention.ts';
import { siteDifferences } from './record/redis-verify.ts';
import { MAX_LOOKS, visitsIn } from './record/visit-list.ts';
import { VisitRemover } from './record/visit-remover.ts';
import { memberOf, visitOf } from './record/visit-time.ts';
import { toStoreError } from './redis-store-error.ts';

/** Each shard waits this much longer than the one before, milliseconds, so that not all are due at the same time. */
const COMPACT_APART_MS = 300;
/** Time limit for compaction before a read, milliseconds. Under load, the read then misses the last seconds. */
const FRESHEN_MS = 100;
/** Maximum wait of a read for a compaction by another process, milliseconds. */
const BUSY_MS = 640;
/** Pause before the next try, milliseconds. For reads it doubles each time. */
const LOOK_MS = 5;
/** Maximum number of times a site is counted if it changes during the count. */
const VERIFY_TRIES = 5;
/**
 * How often sites that only other processes write are compacted, milliseconds: one of these processes may have died.
 */
const OTHERS_MS = 10_000;
/** Time limit for one round of compacting a site, milliseconds. */
const TEND_MS = 200;
/** Maximum number of visits whose site is remembered: clients ask for the same visits again and again. */
const MAX_REMEMBERED = 10_000;

/** A visit and its place in the store. */
interface Found {
  site: RecordSite;
  number: number;
  /** Undefined if it cannot be read. */
  visit: RedisVisit | undefined;
  /** False if it belongs to a removed site with the same key. */
  isShown: boolean;
}

export interface RedisArchiveOptions {
  /** Maximum size of the record, bytes. */
  maxBytes?: number;
  /** Number of replicas that must have appended data as well before it is acked. */
  replicas?: number;
  /** Shares of the store by site, relative to those of other sites; 1 by default. */
  shares?: Shares;
  /** Puts a note into the audit trail. */
  addNote?: (note: AuditNote) => Promise<void>;
  /** Visits with more bytes of runs are thinned; record/thinning.ts. */
  maxVisitBytes?: number;
  /** Bytes of visits that are removed in one step. */
  pieceBytes?: number;
  /** Called for each read that skips data because it is damaged. */
  onDamage?: (error: StoreError) => void;
}

export class RedisArchive implements Archive {
  readonly #redis: Redis;
  readonly #addNote: (note: AuditNote) => Promise<void>;
  readonly #onDamage: (error: StoreError) => void;
  readonly #sites: RecordSites;
  readonly #quota: RedisQuota;
  readonly #journal: RedisJournal;
  readonly #pageHashes = new PageHashes();
  readonly #compaction: RedisCompaction;
  readonly #remover: VisitRemover;
  readonly #retention: RedisRetention;
  readonly #sitesOf = new Map<string, string>();
  /** Sites that this process has appended to and whose journal may not be compacted yet. */
  readonly #own = new Set<string>();
  #lookedAt = Number.NEGATIVE_INFINITY;

  constructor(redis: Redis, options: RedisArchiveOptions = {}) {
    const { maxBytes = Number.POSITIVE_INFINITY, replicas = 0, shares = {}, addNote = async () => {} } = options;
    this.#onDamage = options.onDamage ?? (() => {});
    this.#compaction = new RedisCompaction(this.#pageHashes, options.maxVisitBytes);
    this.#redis = redis;
    this.#addNote = addNote;
    this.#sites = new RecordSites(redis);
    this.#quota = new RedisQuota(redis, maxBytes);
    this.#journal = new RedisJournal(redis, this.#quota, replicas);
    this.#remover = new VisitRemover(redis, this.#sites, this.#pageHashes, options.pieceBytes);
    this.#retention = new RedisRetention({
      redis,
      sites: this.#sites,
      quota: this.#quota,
      remover: this.#remover,
      maxBytes,
      shares,
    });
  }

  append(batches: readonly Uint8Array[]): Promise<void> {
    return toStoreError(this.#append(batches));
  }

  async #append(batches: readonly Uint8Array[]): Promise<void> {
    for (const site of await this.#journal.append(batches)) this.#own.add(site);
  }

  /**
   * Compacts the journal of a site for a read, as far as the time limits allow. If the store is full or Redis refuses
   * writes, the journal stays as it is. Returns true if the first try found nothing to compact.
   */
  async #freshen(site: RecordSite, shards?: readonly number[]): Promise<boolean> {
    const begin = performance.now();
    const hasTime = (ms: number) => performance.now() - begin < ms;
    try {
      for (let looks = 0; ; looks++) {
        // After the first try, all shards are compacted: one of many waiting readers then does the work for all.
        const filed = await this.#compaction.compact(site, looks > 0 ? undefined : shards);
        if (filed === 'none' || filed === 'held') return looks === 0;
        if (!hasTime(filed === 'busy' ? BUSY_MS : FRESHEN_MS)) return false;
        if (filed === 'busy') await sleep(Math.min(LOOK_MS * 2 ** looks, BUSY_MS / 2));
      }
    } catch (error) {
      if (!(error instanceof StoreError || isRefusal(error))) throw error;
      return false;
    }
  }

  /** Compacts everything that was appended to a site before this call. Throws StoreError `busy`. */
  async #compactSite(site: RecordSite, shards?: readonly number[]): Promise<void> {
    const now = Date.now();
    const end = performance.now() + SITE_PATIENCE_MS;
    for (;;) {
      const filed = await this.#compaction.compact(site, shards, () => now);
      if (filed === 'none') return;
      if (performance.now() > end) throw busy(site);
      if (typeof filed === 'string') await sleep(LOOK_MS);
    }
  }

  compactAll(): Promise<void> {
    return toStoreError(this.#compactAll());
  }

  async #compactAll(): Promise<void> {
    await forEachConcurrently(await this.#sites.all(), SITES_AT_ONCE, (site) => this.#compactSite(site));
  }

  sites(): Promise<string[]> {
    return toStoreError(this.#names());
  }

  async #names(): Promise<string[]> {
    const all = await this.#sites.all();
    await Promise.all(all.map((site) => this.#freshen(site)));
    const visits = await Promise.all(all.map((site) => site.send<number>('EXISTS', site.keys.byTime)));
    return all.filter((_, i) => (visits[i] as number) > 0).map(({ name }) => name);
  }

  visits(query: VisitQuery): Promise<Part<Visit>> {
    return toStoreError(this.#visits(query));
  }

  async #visits(query: VisitQuery): Promise<Part<Visit>> {
    const site = this.#sites.site(query.site);
    const [before] = await Promise.all([site.droppedBefore(), this.#freshen(site)]);
    const shown = { ...query, from: Math.max(query.from ?? 0, before) };
    const items: Visit[] = [];
    const damage = new DamageLog();
    const part = (next: string | null): Part<Visit> => {
      this.#tell(`a visit of ${query.site}`, damage.leftOut);
      return { items, next, ...(damage.leftOut && { leftOut: damage.leftOut }) };
    };
    let looks = 0;
    let last: string | null = null;
    for await (const { members, visits } of visitsIn(site, shown)) {
      for (const [i, member] of members.entries()) {
        if (items.length === query.limit) return part(last);
        looks += 1;
        last = visitOf(member).join('.');
        const visit = visits[i];
        if (!visit) damage.note(lostVisit(visitOf(member)[0]));
        if (!visit || !matches(visit, query)) continue;
        items.push(toVisit(visit));
        // A client that has a list usually asks for its visits next.
        this.#remember(visit.id, site);
      }
    }
    return part(looks === MAX_LOOKS ? last : null);
  }

  visit(id: string, site?: string): Promise<Visit | undefined> {
    return toStoreError(this.#visit(id, site));
  }

  async #visit(id: string, site: string | undefined): Promise<Visit | undefined> {
    const found = site === undefined ? await this.#find(id) : await this.#findIn([this.#sites.site(site)], id);
    return found?.visit && found.isShown ? toVisit(found.visit) : undefined;
  }

  /**
   * Finds a visit. Its id does not contain its site. An index of the sites could not change in the same commit as the
   * site, and would need memory for each visit. So all sites are asked, unless the visit was in a list or was found
   * before.
   */
  async #find(id: string): Promise<Found | undefined> {
    if (id.length > MAX_ID) return undefined;
    const known = this.#sitesOf.get(id);
    const found = known === undefined ? undefined : await this.#findIn([this.#sites.site(known)], id);
    return found ?? (await this.#findIn(await this.#sites.all(), id));
  }

  async #findIn(sites: readonly RecordSite[], id: string): Promise<Found | undefined> {
    await Promise.all(sites.map((site) => this.#freshen(site, [siteShardOf(id)])));
    const [found, dropped] = await Promise.all([
      Promise.all(sites.map((site) => site.find([id]))),
      Promise.all(sites.map((site) => site.droppedBefore())),
    ]);
    for (const [i, [one]] of found.entries()) {
      if (one?.number === undefined) continue;
      const site = sites[i] as RecordSite;
      this.#remember(id, site);
      const isShown = (one.visit?.since ?? 0) >= (dropped[i] as number);
      return { site, number: one.number, visit: one.visit, isShown };
    }
    return undefined;
  }

  #remember(id: string, { name }: RecordSite): void {
    if (this.#sitesOf.size > MAX_REMEMBERED) this.#sitesOf.clear();
    this.#sitesOf.set(id, name);
  }

  lastFrame(site: string, id: string, most: number): Promise<number> {
    return toStoreError(this.#lastFrame(site, id, most));
  }

  /** Includes what another node has just appended: the visitor may come from there. */
  async #lastFrame(site: string, id: string, most: number): Promise<number> {
    const found = await this.#findIn([this.#sites.site(site)], id);
    return found?.visit ? lastUpTo(found.visit.seen, most) : 0;
  }

  runs(id: string, after?: string): Promise<Part<Run>> {
    return toStoreError(this.#runs(id, after));
  }

  async #runs(id: string, after: string | undefined): Promise<Part<Run>> {
    const found = await this.#find(id);
    if (!found?.visit || !found.isShown) return { items: [], next: null };
    const { site, number, visit } = found;
    const part = new RunPart(after);
    const damage = new DamageLog();
    const hash = this.#pageHashes.current(site);
    // It is awaited only after the first runs, which are requested at the same time; a failure must not go unhandled.
    hash.catch(() => {});
    for await (const some of site.runs(number, visit, part.t, damage))
      if (![...readable(namedRuns(await hash, some), damage)].every((run) => part.take(run))) break;
    this.#tell(`visit ${id}`, damage.leftOut);
    return part.part(damage);
  }

  #tell(what: string, leftOut: LeftOut | undefined): void {
    if (leftOut) this.#onDamage(new StoreError('damaged', `${what} in Redis is damaged: ${leftOut.first}`));
  }

  async scenes(site: string, page: string | null, from: number, to: number): Promise<VisitRuns[]> {
    const [scenes, before] = await toStoreError(
      this.#fresh(site, (one, hash) => Promise.all([readScenes(one, hash, page, from, to), one.droppedBefore()])),
    );
    for (const { visit, leftOut } of scenes) this.#tell(`visit ${visit.id}`, leftOut);
    return scenes.filter(({ visit }) => visit.since >= before);
  }

  pages(site: string, days: Days): Promise<PageCounts[]> {
    return toStoreError(this.#counted(site, (one, hash) => readRedisPages(one, hash, days), []));
  }

  days(site: string, page: string | null, days: Days): Promise<DayCounts[]> {
    return toStoreError(this.#counted(site, (one, hash) => readRedisDays(one, hash, page, days), []));
  }

  async heat(query: HeatQuery): Promise<Heat> {
    const damage = new DamageLog();
    const read = (site: RecordSite, hash: Promise<PageHash>) => readRedisHeat(site, hash, query, damage);
    const heat = await toStoreError(this.#counted(query.site, read, noHeat()));
    this.#tell(`the heatmap of ${query.site}${query.page}`, damage.leftOut);
    return heat;
  }

  /**
   * Reads counts. As long as visits of a removed site with the same key exist, the counts include them; the result is
   * `none` until they are removed.
   */
  #counted<T>(name: string, read: (site: RecordSite, hash: Promise<PageHash>) => Promise<T>, none: T): Promise<T> {
    return this.#fresh(name, async (site, hash) => {
      const [found, isMixed] = await Promise.all([read(site, hash), site.hasRemains()]);
      return isMixed ? none : found;
    });
  }

  async #fresh<T>(name: string, read: (site: RecordSite, hash: Promise<PageHash>) => Promise<T>): Promise<T> {
    const site = this.#sites.site(name);
    const freshened = this.#freshen(site);
    // Both at the same time, because Redis may be far away. If something was compacted, the state is read again.
    const now = site.now();
    now.catch(() => {});
    const isSame = await freshened;
    return readConsistently(site, (state) => read(site, this.#pageHashes.at(site, state)), isSame ? now : undefined);
  }

  erase(id: string, note?: AuditNote): Promise<boolean> {
    return toStoreError(this.#erase(id, note));
  }

  async #erase(id: string, note: AuditNote | undefined): Promise<boolean> {
    const found = await this.#find(id);
    if (!found) return false;
    const { site, number } = found;
    // Frames of the visit that are still in the journal must be removed, too.
    await this.#compactSite(site, [siteShardOf(id)]);
    const visit = await site.visit(number);
    if (!visit) return false;
    const member = memberOf(visit.since, number);
    const erased = ['HSET', site.keys.erased, id, String(Date.now())];
    if ((await this.#remover.remove(site, [member], 'erase', [erased])) === 0) return false;
    // The audit trail may be on another node of the cluster. So the note is not in the same commit, but follows it.
    if (note) await this.#addNote(note);
    await this.#remover.finish(site);
    return true;
  }

  dropSite(site: string, before: number): Promise<void> {
    return toStoreError(this.#dropSite(this.#sites.site(site), before));
  }

  async #dropSite({ keys, name }: RecordSite, before: number): Promise<void> {
    await this.#redis.commit(keys.version, null, [['SET', keys.dropped, String(before)]], true);
    await this.#redis.commit(`${SITES}:version`, null, [['SADD', SITES, name]], true);
  }

  prune(before: number, most: number): Promise<number> {
    return toStoreError(this.#retention.prune(before, most));
  }

  /** Returns what was removed since the last call. */
  takeNews(): RemovalReport {
    return this.#retention.takeNews();
  }

  /**
   * Every process that has the record open calls this often. Compacts the journal entries that are old enough, and
   * removes the visits that are due, a few at a time. Only one process compacts a site at a time, and only one removes
   * visits. `hurry`: the store is full, so nothing is postponed.
   */
  tend(now: number, retainMs: number, hurry = false): Promise<void> {
    return toStoreError(this.#tend(now, retainMs, hurry));
  }

  async #tend(now: number, retainMs: number, hurry: boolean): Promise<void> {
    let fault: unknown;
    let isSlow = false;
    await forEachConcurrently(await this.#tended(now), SITES_AT_ONCE, async (site) => {
      if (isSlow) return;
      const begin = performance.now();
      try {
        await this.#compactDue(site, now, hurry);
      } catch (error) {
        // The fault concerns this site or its cluster node. Other sites are still compacted, unless this node is slow.
        if (!isOfOneSite(error)) throw error;
        fault ??= error;
        isSlow ||= performance.now() - begin > 2 * TEND_MS;
      }
    });
    await this.#retention.pruneDue(now, retainMs, hurry);
    if (fault) throw fault;
  }

  /** Returns the sites that this process writes; every OTHERS_MS all sites. */
  async #tended(now: number): Promise<RecordSite[]> {
    if (Math.abs(now - this.#lookedAt) < OTHERS_MS) return [...this.#own].map((name) => this.#sites.site(name));
    this.#lookedAt = now;
    return this.#sites.known();
  }

  async #compactDue(site: RecordSite, now: number, hurry: boolean): Promise<void> {
    const due = (shard: number) => now - COMPACT_AFTER_MS - shard * COMPACT_APART_MS;
    const end = performance.now() + TEND_MS;
    let filed: Compacted;
    do filed = await this.#compaction.compact(site, undefined, hurry ? undefined : due);
    while (typeof filed === 'number' && performance.now() < end);
    if (filed === 'none' && !(await site.isWaiting())) this.#own.delete(site.name);
  }

  usage(): Promise<Usage> {
    return toStoreError(this.#usage());
  }

  async #usage(): Promise<Usage> {
    const sites = await this.#sites.all();
    const asides = sites.map((site) => site.send<number>('LLEN', site.keys.damaged));
    const [firsts, aside] = await Promise.all([Promise.all(sites.map(first)), Promise.all(asides)]);
    // Times and batches alternate.
    const damaged = aside.reduce((sum, length) => sum + length / 2, 0);
    const begins = firsts.flatMap((member) => (member === undefined ? [] : [visitOf(member)[0]]));
    const used = await this.#quota.used();
    const removed = await this.#remover.totals();
    return { used, file: used, oldest: begins.length > 0 ? Math.min(...begins) : null, removed, damaged };
  }

  verify(progress?: Progress): Promise<Difference[]> {
    return toStoreError(this.#verify(progress));
  }

  async #verify(progress: Progress | undefined): Promise<Difference[]> {
    const found: Difference[] = [];
    let before = 0;
    for (const site of await this.#sites.all()) {
      let total = 0;
      found.push(
        ...(await this.#verifySite(site, (done, of) => {
          total = of;
          progress?.(before + done, before + of);
        })),
      );
      before += total;
    }
    return found;
  }

  /**
   * Compares a site's counts with its frames while its compaction is suspended. If the site changes meanwhile, for
   * example because a visit is erased, it is counted again, VERIFY_TRIES times at most.
   */
  async #verifySite(site: RecordSite, tell: Progress): Promise<Difference[]> {
    for (let tries = 1; ; tries++) {
      await this.#compactSite(site);
      const version = await site.version();
      const found = await held(site, () => siteDifferences(site, this.#pageHashes, tell));
      if (found.length === 0 || tries === VERIFY_TRIES || (await site.version()) === version) return found;
    }
  }

  async close(): Promise<void> {
    this.#retention.stop();
    await this.#journal.close();
  }
}

/** True if Redis answers, but refuses writes. Compacted data can still be read. */
function isRefusal(error: unknown): boolean {
  return error instanceof RedisError && error.code !== 'other-store' && error.message.includes(' says: ');
}

/** Returns the oldest visit of a site, as a member of `by-time`. */
async function first(site: RecordSite): Promise<string | undefined> {
  const [member] = await site.send<string[]>('ZRANGE', site.keys.byTime, '0', '0');
  return member;
}
