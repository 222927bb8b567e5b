/**
 * The record in Redis, which several machines share. What workers append is first in a journal, as it came; every few seconds it is
 * filed (record/compaction.ts), by whichever process comes to it. Who reads has what is due filed first, so that all there is shows.
 *
 * Everything of a site is kept apart from other sites (record/keys.ts), and changes by commits that go by the number of changes
 * before. Two who change the same site at the same time so do it one after the other.
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
import { namedRuns, readConsistently, readDays, readHeat, readPages, readScenes } from './record/redis-lookup.ts';
import { RedisQuota } from './record/redis-quota.ts';
import { removePiece, removeVisits } from './record/redis-removal.ts';
import { siteDifferences } from './record/redis-verify.ts';
import { memberAt, memberOf, visitOf, visitTimeOf } from './record/visit-time.ts';
import { toStoreError } from './redis-store-error.ts';

/** Each shard waits so much longer than the one before, milliseconds, so that they do not come due together. */
const COMPACT_APART_MS = 300;
/** Filing for a reader takes at most so long, milliseconds; under load it then sees what is some seconds old. */
const FRESHEN_MS = 100;
/**
 * A reader waits so long for another process that files, and looks after pauses that double each time, milliseconds.
 */
const BUSY_MS = 640;
const LOOK_MS = 5;
/** A command waits so long for others that file, milliseconds. */
const PATIENCE_MS = 60_000;
/** Visits looked at for one part of a list. So many or what is wanted at first, then more, then the rest: Redis is asked three times at most. */
const MAX_LOOKS = 5000;
const FIRST_LOOKS = 100;
const NEXT_LOOKS = 900;
/** Visits removed in one step. */
const PRUNE_VISITS = 50;
/** Visits of a dropped site may still be filed for so long, milliseconds. */
const DROPPED_MS = 10 * 60_000;
/** That a visit was erased is remembered for longer than any visit lasts, milliseconds. */
const ERASED_MS = 8 * 24 * 3_600_000;
/** What is remembered for some time only is looked through so often, milliseconds. */
const SWEEP_MS = 60_000;
/** A site that changes while it is counted anew is counted so often. */
const VERIFY_TRIES = 5;
/** Sites that others write are looked at so often, milliseconds: a process that has died files nothing any more. */
const OTHERS_MS = 10_000;
/**
 * Sites that are asked, filed or looked through at once: where Redis is far away one after the other takes too long.
 */
const SITES_AT_ONCE = 8;
/** Filing a site, and removing, go on for at most so long at once, milliseconds. */
const TEND_MS = 200;
/** While the store is above this share of its cap, or a node above this share of its memory, the oldest visits go. */
const PRUNE_AT = 0.8;
/** Visits that are due to go are looked for so often, milliseconds; whoever does is left alone for so long. */
const PRUNE_MS = 1000;
const PRUNING_MS = 5000;
const PRUNING = commonKey('pruning');
/** How many visits were removed in all, by reason; the time by which they grow old, and whether it was moved on a moment ago. */
const REMOVED = commonKey('removed');
const CLOCK = commonKey('age-clock');
const TICK = commonKey('age-tick');
/** A node of a cluster that does not answer within so long, milliseconds, is left alone where others can be cleared without it. */
const SOON_MS = 1000;
/** Sites of visits that are remembered: they are asked for again and again. */
const MAX_REMEMBERED = 10_000;

/** A visit, and where it is. */
interface Found {
  site: RecordSite;
  number: number;
  /** Undefined: it cannot be read. */
  visit: RedisVisit | undefined;
  /** It is not of a removed site of the same key. */
  isShown: boolean;
}

export interface RedisArchiveOptions {
  /** Nothing is appended beyond it. */
  maxBytes?: number;
  /** So many replicas must have what is appended, too. */
  replicas?: number;
  /** Parts of the store that sites may take before others; 1 unless said otherwise. */
  shares?: Shares;
  /** Puts a note into the audit trail. */
  addNote?: (note: AuditNote) => Promise<void>;
  /** Visits with more bytes of runs are thinned. */
  maxVisitBytes?: number;
  /** So many bytes of visits are removed in one step. */
  pieceBytes?: number;
  /** Is told what readers pass over since it is damaged. */
  onDamage?: (error: StoreError) => void;
}

/** Visits that are to go, all of one site, and why. */
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
  /** Sites that this process has appended to, and that may wait to be filed. */
  readonly #own = new Set<string>();
  /** Names of all sites, as they were when they were asked for last. */
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

  /** All sites that there is, or was, something of. */
  async #allSites(): Promise<RecordSite[]> {
    const names = await this.#redis.send<string[]>(SITES, 'SMEMBERS', SITES);
    this.#known = names.sort();
    return names.map((name) => this.#site(name));
  }

  /** The same; while the node of a cluster that has their names is away, those there were before. */
  async #sitesKnown(): Promise<RecordSite[]> {
    return (await this.#soon(this.#allSites())) ?? this.#known.map((name) => this.#site(name));
  }

  /** What is asked comes to; in a cluster undefined, where the node that is asked is away or takes long. */
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
   * Has what is there of a site filed, as far as that can be done at once; where there is no room it cannot. True if
   * the first look found that nothing was to be filed.
   */
  async #freshen(site: RecordSite, shards?: readonly number[]): Promise<boolean> {
    const begin = performance.now();
    const hasTime = (ms: number) => performance.now() - begin < ms;
    try {
      for (let looks = 0; ; looks++) {
        // Of many readers that wait, one files what all of them ask for.
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

  /** Files everything of a site that has come until now. */
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
        // Who has a list looks at what is in it next.
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
   * Where a visit is. Its id does not tell of its site, and what would be kept of that elsewhere could not change in one step with the
   * site, and would take memory for each visit: so all sites are asked, unless it was in a list or was looked for before.
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

  /** What another machine has appended a moment ago counts, too: a visitor may come from there. */
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
    // It is waited for behind the first runs, which are asked for at the same time.
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
    return toStoreError(this.#counted(site, (one, hash) => readPages(one, hash, days), []));
  }

  days(site: string, page: string | null, days: Days): Promise<DayCounts[]> {
    return toStoreError(this.#counted(site, (one, hash) => readDays(one, hash, page, days), []));
  }

  async heat(query: HeatQuery): Promise<Heat> {
    const damage = new DamageLog();
    const read = (site: RecordSite, hash: Promise<PageHash>) => readHeat(site, hash, query, damage);
    const heat = await toStoreError(this.#counted(query.site, read, noHeat()));
    this.#tell(`the heatmap of ${query.site}${query.page}`, damage.leftOut);
    return heat;
  }

  /** Counts are also those of a removed site of the same key as long as that has visits; until then there are `none`. */
  #counted<T>(name: string, read: (site: RecordSite, hash: Promise<PageHash>) => Promise<T>, none: T): Promise<T> {
    return this.#fresh(name, async (site, hash) => {
      const [found, isMixed] = await Promise.all([read(site, hash), site.hasRemains()]);
      return isMixed ? none : found;
    });
  }

  async #fresh<T>(name: string, read: (site: RecordSite, hash: Promise<PageHash>) => Promise<T>): Promise<T> {
    const site = this.#site(name);
    const freshened = this.#freshen(site);
    // At the same time: Redis may be far away. If something was filed it is asked for again.
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
    // What waits of it is to go too.
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
    // The trail may be on another node: it is noted when the visit is gone, and not in the same step.
    if (note) await this.#addNote(note);
    await this.#finishRemovals(site);
    return true;
  }

  /** Removes what is left of large visits. Others write in between. A process that ends meanwhile leaves it to the others. */
  async #finishRemovals(site: RecordSite): Promise<void> {
    while (!this.#isClosing && (await this.#removePiece(site))) await sleep(LOOK_MS);
  }

  #removePiece(site: RecordSite): Promise<boolean> {
    return this.#change(site, () => removePiece(site, this.#pageHashes, this.#pieceBytes));
  }

  /** Tries a change until nobody else was faster. */
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

  /** Removes some visits; `over` are sites of which the oldest are to go. */
  async #pruneSome(sites: readonly RecordSite[], before: number, over: readonly RecordSite[]): Promise<number> {
    const { site, due, reason } = await this.#allDue(sites, before, over);
    if (!site) return 0;
    const removed = await this.#change(site, () => removeVisits(site, this.#pageHashes, due, [], this.#pieceBytes));
    await this.#count(reason, removed);
    // Where it is none, what was left of lost ones went.
    return removed || due.length;
  }

  /** Counts visits that were removed, for everybody and for the log of this process. */
  async #count(reason: Reason, visits: number): Promise<void> {
    this.#news.removed[reason] += visits;
    const add = ['HINCRBY', REMOVED, reason, String(visits)];
    // It is a figure only, and may be on a node that is away.
    if (visits > 0) await this.#soon(this.#redis.commit(`${REMOVED}:version`, null, [add], true)).catch(() => {});
  }

  /** What happened since this was asked last. */
  takeNews(): RemovalReport {
    const news = this.#news;
    this.#news = { removed: noneRemoved(), heldMs: 0 };
    return news;
  }

  /**
   * The time by which visits grow old; record/age-clock.ts. Machines have no common clock but that of Redis, which may be set, too: so one of
   * them moves the time on, once in SAVE_INTERVAL_MS by Redis' expiry. While the node that keeps it is away the system's clock counts.
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

  /** Begin of the newest visit. */
  async #newest(preset: number): Promise<number> {
    const sites = await this.#allSites();
    const lasts = await Promise.all(sites.map((site) => site.send<string[]>('ZRANGE', site.keys.byTime, '-1', '-1')));
    const begins = lasts.flat().map((member) => visitOf(member)[0]);
    return begins.length > 0 ? Math.max(...begins) : preset;
  }

  /** Notes if visits are kept only since the system's clock is ahead of the store's time. */
  async #noteHeld(sites: readonly RecordSite[], now: number, wall: number, retainMs: number): Promise<void> {
    if (wall - now <= MAX_AHEAD_MS) return;
    await forEachConcurrently(sites, SITES_AT_ONCE, async (site) => {
      if (this.#news.heldMs > 0) return;
      const [dueByWall, due] = await Promise.all([ended(site, wall - retainMs), ended(site, now - retainMs)]);
      if (dueByWall.length > due.length) this.#news.heldMs = wall - now;
    });
  }

  /** Removes a piece of each large visit that is being removed: they take room, and are in no list any more. False if there are none. */
  async #removePieces(sites: readonly RecordSite[]): Promise<boolean> {
    const removing = await this.#removing(sites);
    await forEachConcurrently(removing, SITES_AT_ONCE, (site) => this.#removePiece(site));
    return removing.length > 0;
  }

  /**
   * To be called often by every process that has the record open: files what has waited long enough, and removes what is to go, a
   * little at a time. Each site is filed by one process at a time, and one removes. `hurry`: there is no room, so that nothing waits.
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
        // It is of that site, or of its node; others are filed all the same, unless that node is waited for.
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
    // While it cannot be known who else does it, everybody does: of two commits one is refused.
    if ((await this.#soon(lease)) === false) return;
    try {
      await this.#pruneFor(TEND_MS, now, retainMs);
    } finally {
      await this.#soon(this.#redis.send(PRUNING, 'DEL', PRUNING)).catch(() => {});
    }
  }

  /** The sites this process writes; now and then all there are. */
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

  /** Those of sites whose nodes answer. */
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

  /** The sites that there is too little room for. While a node is away (not `isWhole`) it is not known how much there is in all. */
  async #over(sites: readonly RecordSite[], isWhole: boolean): Promise<readonly RecordSite[]> {
    const used = isWhole ? await this.#soon(this.#quota.used()) : undefined;
    if (used !== undefined && used > PRUNE_AT * this.#maxBytes) return sites;
    const keys = sites.map(({ keys }) => keys.version);
    const crowded = await this.#quota.crowded(keys, PRUNE_AT, used !== undefined);
    return sites.filter(({ keys }) => crowded.has(keys.version));
  }

  /** Removes what was set aside before `before`, and forgets what was erased long ago. */
  async #sweep(sites: readonly RecordSite[], before: number, now = Date.now()): Promise<void> {
    const at = performance.now();
    if (at - this.#sweptAt < SWEEP_MS) return;
    this.#sweptAt = at;
    await forEachConcurrently(sites, SITES_AT_ONCE, (site) => sweepSite(site, before, now - ERASED_MS));
  }

  /** Visits that are to go, all of one site, as `by-time` has them. */
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

  /** Some visits of a site that was dropped. That is forgotten when all that was under way then has been filed. */
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
    // Each has its time before it.
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

  /** Counts a site anew while nobody files it. What changed meanwhile, as by being erased, is counted once more. */
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

/** True where Redis answers, but takes no writes: what is filed can be read all the same. */
function isRefusal(error: unknown): boolean {
  return error instanceof RedisError && error.code !== 'other-store' && error.message.includes(' says: ');
}

/** True of what may be wrong with one site, or the node of a cluster that it is on, and with no other. */
function isOfOneSite(error: unknown): boolean {
  if (error instanceof RedisError) return error.code === 'unreachable';
  return error instanceof StoreError && error.code === 'damaged';
}

/** The oldest visit of a site, as `by-time` has it. */
async function first(site: RecordSite): Promise<string | undefined> {
  const [member] = await site.send<string[]>('ZRANGE', site.keys.byTime, '0', '0');
  return member;
}

/** The oldest visits of the site that is furthest over its share of the store. */
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

/** The oldest visits of a site that have ended before, wherever they are among others. */
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

/** Removes what of a site was set aside before a time, and forgets what was erased before another. */
async function sweepSite(site: RecordSite, before: number, erasedBefore: number): Promise<void> {
  const { damaged, erased } = site.keys;
  const isOld = async () => Number((await site.send<string | null>('LINDEX', damaged, '0')) ?? Infinity) < before;
  while (await isOld()) await site.send('LPOP', damaged, '2');
  const all = await site.send<string[]>('HGETALL', erased);
  const old = all.filter((_, i) => i % 2 === 0 && Number(all[i + 1]) < erasedBefore);
  for (const some of partsOf(old)) await site.send('HDEL', erased, ...some);
}

/**
 * Visits that a query may be about, in its order, as `by-time` has them, some at once; MAX_LOOKS at most. One that
 * cannot be read is undefined.
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
