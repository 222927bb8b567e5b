/**
 * A change of a site's record. It is prepared from what was read, and committed in one step unless somebody else has
 * changed the record meanwhile. So the counts always match the frames.
 */
import { getOrInsert } from '../../../lib/get-or-insert.ts';
import { Writer } from '../../../protocol/writer.ts';
import type { RedisCommand } from '../../../redis/connection.ts';
import type { Run } from '../../archive.ts';
import { CHUNK_BYTES, nameRun, type StoredRun, writeRun } from '../../record/chunk.ts';
import type { CompactionTarget } from '../../record/compaction.ts';
import { DamageLog } from '../../record/damage.ts';
import { addRuns, addStays, type StoredMinutes } from '../../record/minute-sums.ts';
import { weightOf } from '../../record/site-weight.ts';
import type { StoredVisit } from '../../record/stored-visit.ts';
import { Sums } from '../../record/sums.ts';
import { PageChanges, type PageHashes } from './page-hash.ts';
import { partsOf, type RecordSite, type RedisVisit, type StoredSiteState } from './record-site.ts';
import { sumCommands } from './sum-commands.ts';
import { memberOf } from './visit-time.ts';

const chunk = new Writer(2 * CHUNK_BYTES);

export class RecordTransaction implements CompactionTarget<RedisVisit> {
  readonly site: RecordSite;
  readonly sums = new Sums();
  readonly pages: PageChanges;
  readonly version: string;
  /** Damage that was skipped. */
  readonly damage = new DamageLog();
  readonly #state: StoredSiteState;
  readonly #commands: RedisCommand[] = [];
  /** How much the total weight of the visits grows. */
  #weight = 0;
  /** What was read of visits. */
  readonly #numbers = new Map<string, number>();
  readonly #visits = new Map<number, RedisVisit>();
  readonly #erased = new Set<string>();
  readonly #runs = new Map<number, Run[]>();
  /** New visits, and changed visits. */
  readonly #new = new Set<number>();
  readonly #changed = new Set<number>();
  /** Members of minutes to add, and to remove. */
  readonly #addedMinutes = new Map<number, Set<string>>();
  readonly #removedMinutes = new Map<number, Set<string>>();

  private constructor(site: RecordSite, version: string, state: StoredSiteState, pages: PageChanges) {
    this.site = site;
    this.version = version;
    this.#state = { ...state };
    this.pages = pages;
  }

  /** `now`: the current state, if it was already read. */
  static async start(site: RecordSite, pageHashes: PageHashes, now = site.now()): Promise<RecordTransaction> {
    const { version, state } = await now;
    const hash = await pageHashes.at(site, state);
    return new RecordTransaction(site, version, state, new PageChanges(site, hash, state));
  }

  /** Reads visits by their ids, and whether they were erased. */
  async readIds(ids: readonly string[]): Promise<void> {
    for (const { id, number, visit, isErased } of await this.site.find(ids)) {
      if (number !== undefined) this.#numbers.set(id, number);
      if (number !== undefined && visit) this.#visits.set(number, visit);
      if (isErased) this.#erased.add(id);
    }
  }

  async readVisits(numbers: readonly number[]): Promise<void> {
    const visits = await this.site.visits(numbers);
    for (const [i, visit] of visits.entries()) if (visit) this.#visits.set(numbers[i] as number, visit);
  }

  /** Reads all runs of a visit, except damaged ones, so that it can be rewritten. */
  async readRuns(number: number): Promise<void> {
    const runs: Run[] = [];
    const visit = this.get(number) as RedisVisit;
    for await (const some of this.site.runs(number, visit, 0, this.damage)) runs.push(...this.named(some));
    this.#runs.set(number, runs);
  }

  /** Returns runs with the names of their pages. `unnamed` names pages whose name was removed. */
  named(runs: readonly StoredRun[], unnamed?: (page: number) => string): Run[] {
    const nameOf = (page: number) => (unnamed && !this.pages.isNamed(page) ? unnamed(page) : this.pages.nameOf(page));
    return runs.map((run) => nameRun(run, nameOf(run.page)));
  }

  find(id: string): number | undefined {
    return this.#numbers.get(id);
  }

  get(number: number): RedisVisit | undefined {
    return this.#visits.get(number);
  }

  isErased(id: string): boolean {
    return this.#erased.has(id);
  }

  restore(id: string): void {
    this.add(['HDEL', this.site.keys.erased, id]);
  }

  init(visit: StoredVisit): RedisVisit {
    return { ...visit, elements: 0, bytes: 0, marks: [] };
  }

  nextNumber(): number {
    this.#state.visit += 1;
    this.#new.add(this.#state.visit);
    return this.#state.visit;
  }

  put(number: number, visit: RedisVisit): void {
    this.#visits.set(number, visit);
    this.#changed.add(number);
    this.#weigh(visit, weightOf(visit));
  }

  #weigh(visit: RedisVisit, weight: number): void {
    this.#weight += weight - (visit.weight ?? 0);
    visit.weight = weight;
  }

  append(number: number, visit: RedisVisit, runs: readonly Run[]): void {
    if (runs.length === 0) return;
    this.#collectMinutes(this.#addedMinutes, number, this.#minutesOf(visit, visit.lastRun, runs));
    chunk.clear();
    let start = (runs[0] as Run).t;
    for (const run of runs) {
      if (chunk.length > CHUNK_BYTES) this.#element(number, visit, start);
      if (chunk.length === 0) start = run.t;
      writeRun(chunk, { ...run, page: this.pages.numberOf(visit.site, run.page) });
      visit.lastRun = run.t;
    }
    this.#element(number, visit, start);
  }

  /** Appends the collected runs as one element. `t`: start of its first run. */
  #element(number: number, visit: RedisVisit, t: number): void {
    const bytes = chunk.copy();
    chunk.clear();
    const marked = visit.marks.length / 2;
    // The first mark is the start.
    if (visit.bytes >= marked * CHUNK_BYTES) visit.marks.push(t, visit.elements);
    visit.elements += 1;
    visit.bytes += bytes.length;
    this.add(['RPUSH', this.site.keys.runs(number), bytes]);
  }

  #minutesOf({ site, tally }: RedisVisit, from: number, runs: Iterable<Run>): StoredMinutes {
    const minutes: StoredMinutes = new Map();
    const numberOf = (page: string) => this.pages.numberOf(site, page);
    addStays(minutes, tally.stays, from, numberOf);
    addRuns(minutes, runs, numberOf);
    return minutes;
  }

  #collectMinutes(into: Map<number, Set<string>>, number: number, minutes: StoredMinutes): void {
    for (const [minute, pages] of minutes) {
      const members = getOrInsert(into, minute, () => new Set<string>());
      for (const page of pages) members.add(`${number}.${page}`);
    }
  }

  runs(number: number): readonly Run[] {
    const runs = this.#runs.get(number);
    if (!runs) throw new Error(`the runs of visit ${number} were not read`);
    return runs;
  }

  /** Its runs were read, unless they were too many. */
  isLong(number: number): boolean {
    return (this.get(number)?.elements ?? 0) > 0 && !this.#runs.has(number);
  }

  clear(number: number, visit: RedisVisit, tell: (run: Run) => void): void {
    const runs = visit.elements > 0 ? this.runs(number) : [];
    for (const run of runs) tell(run);
    this.removeFromMinutes(number, visit, runs);
    this.add(['UNLINK', this.site.keys.runs(number)]);
    Object.assign(visit, { lastRun: 0, elements: 0, bytes: 0, marks: [] });
  }

  /** Removes a visit from the minutes of these runs, and of its stays. */
  removeFromMinutes(number: number, visit: RedisVisit, runs: Iterable<Run>): void {
    this.#collectMinutes(this.#removedMinutes, number, this.#minutesOf(visit, 0, runs));
  }

  /** Removes a visit from a minute of these pages. */
  removeFromMinute(number: number, minute: number, pages: readonly number[]): void {
    this.#collectMinutes(this.#removedMinutes, number, new Map([[minute, new Set(pages)]]));
  }

  /** Removes a visit that is no longer in any minute or sum. */
  remove(number: number, visit: RedisVisit): void {
    this.add(['UNLINK', this.site.keys.runs(number)]);
    this.unlist(number, visit);
  }

  /** Removes a visit from all lists; its runs stay. */
  unlist(number: number, visit: RedisVisit): void {
    const { id, since } = visit;
    const { visits, ids, byTime } = this.site.keys;
    this.#weigh(visit, 0);
    this.add(['HDEL', visits, String(number)], ['HDEL', ids, id], ['ZREM', byTime, memberOf(since, number)]);
  }

  add(...commands: RedisCommand[]): void {
    this.#commands.push(...commands);
  }

  /** Commits the change. Returns false, without an effect, if it has to be prepared again. */
  async commit(): Promise<boolean> {
    const { keys, redis } = this.site;
    const sums = await sumCommands(this.site, this.sums, this.pages);
    const all = [...this.#commands, ...this.#visitCommands(), ...this.#minuteCommands(), ...sums];
    all.push(...this.pages.commands(), ['HSET', keys.state, 'visit', String(this.#state.visit)]);
    if (this.#weight !== 0) all.push(...this.#weightCommands());
    // Allowed without free memory: compacted frames take less space than the journal, and only they can be removed.
    const isDone = await redis.commit(keys.version, this.version, all, true);
    if (isDone) this.pages.updateCache();
    return isDone;
  }

  /** A site that was never weighed is weighed as a whole when its weight is needed. */
  #weightCommands(): RedisCommand[] {
    const { state } = this.site.keys;
    const isKnown = this.#state.weight !== undefined || this.#state.visit === this.#new.size;
    return isKnown ? [['HINCRBY', state, 'weight', String(this.#weight)]] : [];
  }

  #visitCommands(): RedisCommand[] {
    const { visits, ids, byTime } = this.site.keys;
    const put: string[] = [];
    const named: string[] = [];
    const started: string[] = [];
    for (const number of this.#changed) {
      const visit = this.#visits.get(number) as RedisVisit;
      put.push(String(number), JSON.stringify(visit));
      if (!this.#new.has(number)) continue;
      named.push(visit.id, String(number));
      started.push('0', memberOf(visit.since, number));
    }
    return [
      ...partsOf(put).map((some) => ['HSET', visits, ...some]),
      ...partsOf(named).map((some) => ['HSET', ids, ...some]),
      ...partsOf(started).map((some) => ['ZADD', byTime, ...some]),
    ];
  }

  #minuteCommands(): RedisCommand[] {
    const of = (name: string, all: ReadonlyMap<number, ReadonlySet<string>>) =>
      [...all].flatMap(([minute, members]) =>
        partsOf([...members]).map((some) => [name, this.site.keys.minute(minute), ...some]),
      );
    return [...of('SREM', this.#removedMinutes), ...of('SADD', this.#addedMinutes)];
  }
}
