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
import { commonKey } from '../../redis/keys.ts';
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
import {
  ageTime,
  followClock,
  MAX_AHEAD_MS,
  noneRemoved,
  REASONS,
  type Reason,
  type RemovalReport,
  SAVE_INTERVAL_MS,
} from '../record/age-clock.ts';
import { COMPACT_AFTER_MS } from '../record/backlog.ts';
import { DamageLog, lostVisit } from '../record/damage.ts';
import { noHeat } from '../record/heat.ts';
import { lastUpTo } from '../record/ranges.ts';
import { RunPart, readable } from '../record/run-part.ts';
import { siteShardOf } from '../record/shard.ts';
import { rankBySurplus, takeWeight } from '../record/site-weight.ts';
import { MAX_ID, matches, toVisit } from '../record/stored-visit.ts';
import { RedisJournal } from './record/journal.ts';
import { SITES } from './record/keys.ts';
import { type PageHash, PageHashes } from './record/page-hash.ts';
import { type ListedVisits, partsOf, RecordSite, type RedisVisit } from './record/record-site.ts';
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
import { removePiece, removeVisits } from './record/redis-removal.ts';
import { siteDifferences } from './record/redis-verify.ts';
import { memberAt, memberOf, visitOf, visitTimeOf } from './record/visit-time.ts';
import { toStoreError } from './redis-store-error.ts';

/** Each shard waits this much longer than the one before, milliseconds, so that not all are due at the same time. */
const COMPACT_APART_MS = 300;
/** Time limit for compaction before a read, milliseconds. Under load, the read then misses the last seconds. */
const FRESHEN_MS = 100;
/** Maximum wait of a read for a compaction by another process, milliseconds. */
const BUSY_MS = 640;
/** Pause before the next try, milliseconds. For reads it doubles each time. */
const LOOK_MS = 5;
/** Maximum wait of a command for other processes that write to the same site, milliseconds. */
const PATIENCE_MS = 60_000;
/**
 * Maximum number of visits that are read for one part of a list. They are read in three steps at most: the limit of the
 * query, but at least FIRST_LOOKS, then NEXT_LOOKS, then the rest.
 */
const MAX_LOOKS = 5000;
const FIRST_LOOKS = 100;
const NEXT_LOOKS = 900;
/** Visits removed in one step. */
const PRUNE_VISITS = 50;
/** Visits of a dropped site may still be compacted for this long, milliseconds. */
const DROPPED_MS = 10 * 60_000;
/** Ids of erased visits are stored for this long, which is longer than any visit lasts, milliseconds. */
const ERASED_MS = 8 * 24 * 3_600_000;
/** How often expired entries are removed, milliseconds. */
const SWEEP_MS = 60_000;
/** Maximum number of times a site is counted if it changes during the count. */
const VERIFY_TRIES = 5;
/**
 * How often sites that only other processes write are compacted, milliseconds: one of these processes may have died.
 */
const OTHERS_MS = 10_000;
/** Sites that are read or compacted at once. With a distant Redis, one after the other would take too long. */
const SITES_AT_ONCE = 8;
/** Time limit for one round of compacting a site, and for one round of removals, milliseconds. */
const TEND_MS = 200;
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
/** Total numbers of removed visits, by reason. */
const REMOVED = commonKey('removed');
/** The store's time, by which the age of visits is measured. */
const CLOCK = commonKey('age-clock');
/** Exists for SAVE_INTERVAL_MS after the store's time was saved. */
const TICK = commonKey('age-tick');
/** A node of a Redis cluster that does not answer in this time is skipped if the others suffice, milliseconds. */
const SOON_MS = 1000;
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

/** Visits to remove, all of one site, and why. */
interface Due {
  site?: RecordSite;
  due: string[];
  reason: Reason;
}

export class RedisArchive implements Archive {
  readonly #redis: Redis;
  readonly #addNote: (note: AuditNote) => Promise<void>;
  readonly #onDamage: (error: StoreError) => void;
  readonly #shares: Shares;
  readonly #quota: RedisQuota;
  readonly #journal: RedisJournal;
  readonly #pageHashes = new PageHashes();
  readonly #compaction: RedisCompaction;
  readonly #sitesOf = new Map<string, string>();
  readonly #maxBytes: number;
  /** Sites that this process has appended to and whose journal may not be compacted yet. */
  readonly #own = new Set<string>();
  /** Names of all sites when they were last read. */
  #known: readonly string[] = [];
  #lookedAt = Number.NEGATIVE_INFINITY;
  #prunedAt = Number.NEGATIVE_INFINITY;
  #sweptAt = Number.NEGATIVE_INFINITY;
  readonly #pieceBytes: number | undefined;
  #isClosing = false;
  #news: RemovalReport = { removed: noneRemoved(), heldMs: 0 };

  constructor(redis: Redis, options: RedisArchiveOptions = {}) {
    const { maxBytes = Number.POSITIVE_INFINITY, replicas = 0, shares = {}, addNote = async () => {} } = options;
    this.#onDamage = options.onDamage ?? (() => {});
    this.#shares = shares;
    this.#pieceBytes = options.pieceBytes;
    this.#compaction = new RedisCompaction(this.#pageHashes, options.maxVisitBytes);
    this.#redis = redis;
    this.#addNote = addNote;
    this.#maxBytes = maxBytes;
    this.#quota = new RedisQuota(redis, maxBytes);
    this.#journal = new RedisJournal(redis, this.#quota, replicas);
  }

  append(batches: readonly Uint8Array[]): Promise<void> {
    return toStoreError(this.#append(batches));
  }

  async #append(batches: readonly Uint8Array[]): Promise<void> {
    for (const site of await this.#journal.append(batches)) this.#own.add(site);
  }

  #site(name: string): RecordSite {
    return new RecordSite(this.#redis, name);
  }

  /** Returns all sites that have, or had, data. */
  async #allSites(): Promise<RecordSite[]> {
    const names = await this.#redis.send<string[]>(SITES, 'SMEMBERS', SITES);
    this.#known = names.sort();
    return names.map((name) => this.#site(name));
  }

  /** Like `allSites`. If the cluster node with the names does not answer, returns the sites that were last read. */
  async #sitesKnown(): Promise<RecordSite[]> {
    return (await this.#soon(this.#allSites())) ?? this.#known.map((name) => this.#site(name));
  }

  /**
   * Waits for a reply of Redis. In a cluster, returns undefined if the node is unreachable or does not reply within
   * SOON_MS.
   */
  async #soon<T>(asked: Promise<T>): Promise<T | undefined> {
    if (!this.#redis.isCluster) return asked;
    try {
      return await Promise.race([asked, sleep(SOON_MS, undefined, { ref: false })]);
    } catch (error) {
      if (!isOfOneSite(error)) throw error;
      return undefined;
    }
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
    const end = performance.now() + PATIENCE_MS;
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
    await forEachConcurrently(await this.#allSites(), SITES_AT_ONCE, (site) => this.#compactSite(site));
  }

  sites(): Promise<string[]> {
    return toStoreError(this.#names());
  }

  async #names(): Promise<string[]> {
    const all = await this.#allSites();
    await Promise.all(all.map((site) => this.#freshen(site)));
    const visits = await Promise.all(all.map((site) => site.send<number>('EXISTS', site.keys.byTime)));
    return all.filter((_, i) => (visits[i] as number) > 0).map(({ name }) => name);
  }

  visits(query: VisitQuery): Promise<Part<Visit>> {
    return toStoreError(this.#visits(query));
  }

  async #visits(query: VisitQuery): Promise<Part<Visit>> {
    const site = this.#site(query.site);
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
    const found = site === undefined ? await this.#find(id) : await this.#findIn([this.#site(site)], id);
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
    const found = known === undefined ? undefined : await this.#findIn([this.#site(known)], id);
    return found ?? (await this.#findIn(await this.#allSites(), id));
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
    const found = await this.#findIn([this.#site(site)], id);
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
    const site = this.#site(name);
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
    const removed = await this.#change(site, () =>
      removeVisits(site, this.#pageHashes, [member], [erased], this.#pieceBytes),
    );
    if (removed === 0) return false;
    await this.#count('erase', removed);
    // The audit trail may be on another node of the cluster. So the note is not in the same commit, but follows it.
    if (note) await this.#addNote(note);
    await this.#finishRemovals(site);
    return true;
  }

  /**
   * Removes the rest of large visits. Others can write in between. If this process ends meanwhile, another one
   * continues.
   */
  async #finishRemovals(site: RecordSite): Promise<void> {
    while (!this.#isClosing && (await this.#removePiece(site))) await sleep(LOOK_MS);
  }

  #removePiece(site: RecordSite): Promise<boolean> {
    return this.#change(site, () => removePiece(site, this.#pageHashes, this.#pieceBytes));
  }

  /** Repeats a change until no other process commits first. Throws StoreError `busy`. */
  async #change<T>(site: RecordSite, change: () => Promise<T | undefined>): Promise<T> {
    for (const end = performance.now() + PATIENCE_MS; performance.now() < end; await sleep(LOOK_MS * Math.random())) {
      const outcome = await change();
      if (outcome !== undefined) return outcome;
    }
    throw busy(site);
  }

  dropSite(site: string, before: number): Promise<void> {
    return toStoreError(this.#dropSite(this.#site(site), before));
  }

  async #dropSite({ keys, name }: RecordSite, before: number): Promise<void> {
    await this.#redis.commit(keys.version, null, [['SET', keys.dropped, String(before)]], true);
    await this.#redis.commit(`${SITES}:version`, null, [['SADD', SITES, name]], true);
  }

  prune(before: number, most: number): Promise<number> {
    return toStoreError(this.#prune(before, most));
  }

  async #prune(before: number, most: number): Promise<number> {
    const sites = await this.#allSites();
    await this.#sweep(sites, before);
    await this.#finishAll(sites);
    const removed = await this.#pruneSome(sites, before, (await this.#quota.used()) > most ? sites : []);
    await this.#finishAll(sites);
    return removed;
  }

  async #finishAll(sites: readonly RecordSite[]): Promise<void> {
    await forEachConcurrently(await this.#removing(sites), SITES_AT_ONCE, (site) => this.#finishRemovals(site));
  }

  /** Sites with large visits that are being removed. */
  async #removing(sites: readonly RecordSite[]): Promise<readonly RecordSite[]> {
    const found = await Promise.all(sites.map((site) => site.send<number>('EXISTS', site.keys.going)));
    return sites.filter((_, i) => (found[i] as number) > 0);
  }

  /** Removes some visits; `over`: sites whose oldest visits have to be removed to free space. Returns how many. */
  async #pruneSome(sites: readonly RecordSite[], before: number, over: readonly RecordSite[]): Promise<number> {
    const { site, due, reason } = await this.#allDue(sites, before, over);
    if (!site) return 0;
    const removed = await this.#change(site, () => removeVisits(site, this.#pageHashes, due, [], this.#pieceBytes));
    await this.#count(reason, removed);
    // If none was removed, the leftovers of lost visits were: more may be due.
    return removed || due.length;
  }

  /** Adds removed visits to the totals in Redis and to the report of this process. */
  async #count(reason: Reason, visits: number): Promise<void> {
    this.#news.removed[reason] += visits;
    const add = ['HINCRBY', REMOVED, reason, String(visits)];
    // It is only a figure, and its cluster node may be unreachable.
    if (visits > 0) await this.#soon(this.#redis.commit(`${REMOVED}:version`, null, [add], true)).catch(() => {});
  }

  /** Returns what was removed since the last call. */
  takeNews(): RemovalReport {
    const news = this.#news;
    this.#news = { removed: noneRemoved(), heldMs: 0 };
    return news;
  }

  /**
   * Returns the time by which the age of visits is measured; record/age-clock.ts. The only clock that nodes share is
   * that of Redis, which may be set as well. So one of the nodes advances the store's time, once in SAVE_INTERVAL_MS as
   * measured by an expiring key. While the cluster node with the store's time is unreachable, the system's clock
   * counts.
   */
  async #ageTime(wall: number): Promise<number> {
    return (await this.#soon(this.#keptTime(wall))) ?? wall;
  }

  async #keptTime(wall: number): Promise<number> {
    const isDue = await this.#redis.commit(TICK, '0', [['PEXPIRE', TICK, String(SAVE_INTERVAL_MS)]], true);
    const text = await this.#redis.send<string | null>(CLOCK, 'GET', CLOCK);
    const kept = text === null ? Math.min(wall, await this.#newest(wall)) : Number(text);
    const now = text === null || !isDue ? kept : followClock(kept, SAVE_INTERVAL_MS, wall);
    if (isDue || text === null) await this.#redis.commit(`${CLOCK}:version`, null, [['SET', CLOCK, String(now)]], true);
    return ageTime(now, SAVE_INTERVAL_MS, wall);
  }

  /** Returns the start of the newest visit, or `preset` without visits. */
  async #newest(preset: number): Promise<number> {
    const sites = await this.#allSites();
    const lasts = await Promise.all(sites.map((site) => site.send<string[]>('ZRANGE', site.keys.byTime, '-1', '-1')));
    const begins = lasts.flat().map((member) => visitOf(member)[0]);
    return begins.length > 0 ? Math.max(...begins) : preset;
  }

  /** Notes if visits are retained only because the system's clock is ahead of the store's time. */
  async #noteHeld(sites: readonly RecordSite[], now: number, wall: number, retainMs: number): Promise<void> {
    if (wall - now <= MAX_AHEAD_MS) return;
    await forEachConcurrently(sites, SITES_AT_ONCE, async (site) => {
      if (this.#news.heldMs > 0) return;
      const [dueByWall, due] = await Promise.all([ended(site, wall - retainMs), ended(site, now - retainMs)]);
      if (dueByWall.length > due.length) this.#news.heldMs = wall - now;
    });
  }

  /**
   * Removes a piece of each large visit that is being removed: these visits use space, but are in no list any more.
   * Returns false if there are none.
   */
  async #removePieces(sites: readonly RecordSite[]): Promise<boolean> {
    const removing = await this.#removing(sites);
    await forEachConcurrently(removing, SITES_AT_ONCE, (site) => this.#removePiece(site));
    return removing.length > 0;
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
    await this.#pruneDue(now, retainMs, hurry);
    if (fault) throw fault;
  }

  async #pruneDue(now: number, retainMs: number, hurry: boolean): Promise<void> {
    if (!hurry && Math.abs(now - this.#prunedAt) < PRUNE_MS) return;
    this.#prunedAt = now;
    const lease = this.#redis.commit(PRUNING, '0', [['PEXPIRE', PRUNING, String(PRUNING_MS)]], true);
    // If the lease cannot be checked, every process removes visits: of two concurrent commits, one is refused.
    if ((await this.#soon(lease)) === false) return;
    try {
      await this.#pruneFor(TEND_MS, now, retainMs);
    } finally {
      await this.#soon(this.#redis.send(PRUNING, 'DEL', PRUNING)).catch(() => {});
    }
  }

  /** Returns the sites that this process writes; every OTHERS_MS all sites. */
  async #tended(now: number): Promise<RecordSite[]> {
    if (Math.abs(now - this.#lookedAt) < OTHERS_MS) return [...this.#own].map((name) => this.#site(name));
    this.#lookedAt = now;
    return this.#sitesKnown();
  }

  async #compactDue(site: RecordSite, now: number, hurry: boolean): Promise<void> {
    const due = (shard: number) => now - COMPACT_AFTER_MS - shard * COMPACT_APART_MS;
    const end = performance.now() + TEND_MS;
    let filed: Compacted;
    do filed = await this.#compaction.compact(site, undefined, hurry ? undefined : due);
    while (typeof filed === 'number' && performance.now() < end);
    if (filed === 'none' && !(await site.isWaiting())) this.#own.delete(site.name);
  }

  async #pruneFor(limitMs: number, wall: number, retainMs: number): Promise<void> {
    const now = await this.#ageTime(wall);
    const before = now - retainMs;
    const all = await this.#sitesKnown();
    const sites = await this.#answering(all);
    const isWhole = sites.length === all.length;
    const end = performance.now() + limitMs;
    await this.#sweep(sites, before, now);
    await this.#noteHeld(sites, now, wall, retainMs);
    for (let removed = 1; removed > 0 && performance.now() < end && !this.#isClosing; ) {
      if (await this.#removePieces(sites)) continue;
      removed = await this.#pruneSome(sites, before, await this.#over(sites, isWhole));
    }
  }

  /** Returns the sites whose cluster node answers. */
  async #answering(sites: readonly RecordSite[]): Promise<readonly RecordSite[]> {
    if (!this.#redis.isCluster) return sites;
    const there = new Set<RecordSite>();
    const asked = sites.map((site) =>
      site.send('EXISTS', site.keys.dropped).then(
        () => there.add(site),
        () => {},
      ),
    );
    await this.#soon(Promise.all(asked));
    return sites.filter((site) => there.has(site));
  }

  /**
   * Returns the sites whose oldest visits have to be removed to free space. `isWhole`: all cluster nodes answer;
   * otherwise the total size is unknown, and only the memory of each node counts.
   */
  async #over(sites: readonly RecordSite[], isWhole: boolean): Promise<readonly RecordSite[]> {
    const used = isWhole ? await this.#soon(this.#quota.used()) : undefined;
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
        await this.#soon(this.#redis.send(SITES, 'SREM', SITES, site.name));
    }
    return [];
  }

  usage(): Promise<Usage> {
    return toStoreError(this.#usage());
  }

  async #usage(): Promise<Usage> {
    const sites = await this.#allSites();
    const asides = sites.map((site) => site.send<number>('LLEN', site.keys.damaged));
    const [firsts, aside] = await Promise.all([Promise.all(sites.map(first)), Promise.all(asides)]);
    // Times and batches alternate.
    const damaged = aside.reduce((sum, length) => sum + length / 2, 0);
    const begins = firsts.flatMap((member) => (member === undefined ? [] : [visitOf(member)[0]]));
    const used = await this.#quota.used();
    const counts = await this.#redis.send<(string | null)[]>(REMOVED, 'HMGET', REMOVED, ...REASONS);
    const removed = noneRemoved();
    for (const [i, reason] of REASONS.entries()) removed[reason] = Number(counts[i] ?? 0);
    return { used, file: used, oldest: begins.length > 0 ? Math.min(...begins) : null, removed, damaged };
  }

  verify(progress?: Progress): Promise<Difference[]> {
    return toStoreError(this.#verify(progress));
  }

  async #verify(progress: Progress | undefined): Promise<Difference[]> {
    const found: Difference[] = [];
    let before = 0;
    for (const site of await this.#allSites()) {
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
    this.#isClosing = true;
    await this.#journal.close();
  }
}

/** True if Redis answers, but refuses writes. Compacted data can still be read. */
function isRefusal(error: unknown): boolean {
  return error instanceof RedisError && error.code !== 'other-store' && error.message.includes(' says: ');
}

/** True if the error may concern only one site, or the cluster node that has it. */
function isOfOneSite(error: unknown): boolean {
  if (error instanceof RedisError) return error.code === 'unreachable';
  return error instanceof StoreError && error.code === 'damaged';
}

/** Returns the oldest visit of a site, as a member of `by-time`. */
async function first(site: RecordSite): Promise<string | undefined> {
  const [member] = await site.send<string[]>('ZRANGE', site.keys.byTime, '0', '0');
  return member;
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

/**
 * Yields visits that may match a query, in its order, several at once and MAX_LOOKS at most. Their members are those of
 * `by-time`; a visit that cannot be read is undefined.
 */
async function* visitsIn(site: RecordSite, query: VisitQuery): AsyncGenerator<ListedVisits> {
  const { from = 0, to = Number.MAX_SAFE_INTEGER, oldestFirst = false, after } = query;
  let [low, high] = [`[${visitTimeOf(from)}`, `(${visitTimeOf(to)}`];
  let last = after === undefined ? undefined : (memberAt(after) ?? '');
  const first = Math.min(Math.max(FIRST_LOOKS, query.limit + 1), MAX_LOOKS - NEXT_LOOKS - 1);
  for (const looks of [first, NEXT_LOOKS, MAX_LOOKS - NEXT_LOOKS - first]) {
    if (last === '') return;
    if (last !== undefined && oldestFirst) low = `(${last}`;
    else if (last !== undefined) high = `(${last}`;
    const range = oldestFirst ? [low, high, 'BYLEX'] : [high, low, 'BYLEX', 'REV'];
    const listed = await site.list(range, looks);
    if (listed.members.length > 0) yield listed;
    if (listed.members.length < looks) return;
    last = listed.members.at(-1);
  }
}

function busy({ name }: RecordSite): StoreError {
  return new StoreError('busy', `others keep writing to the record of the site ${name}; try again`);
}
