/**
 * A change of a site's record: made up beside it of what was read, and put there in one step, if nobody else has changed the record
 * meanwhile. Counts are so at all times those of the frames.
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
  /** What of visits could not be read, and was passed over. */
  readonly damage = new DamageLog();
  readonly #state: StoredSiteState;
  readonly #commands: RedisCommand[] = [];
  /** By how much more the visits take. */
  #weight = 0;
  /** What was read of visits. */
  readonly #numbers = new Map<string, number>();
  readonly #visits = new Map<number, RedisVisit>();
  readonly #erased = new Set<string>();
  readonly #runs = new Map<number, Run[]>();
  /** Visits that are new, or otherwise than before. */
  readonly #new = new Set<number>();
  readonly #changed = new Set<number>();
  /** Members of minutes that come, and go. */
  readonly #there = new Map<number, Set<string>>();
  readonly #away = new Map<number, Set<string>>();

  private constructor(site: RecordSite, version: string, state: StoredSiteState, pages: PageChanges) {
    this.site = site;
    this.version = version;
    this.#state = { ...state };
    this.pages = pages;
  }

  /** `now`: what there is, where that was read already. */
  static async begin(site: RecordSite, pageHashes: PageHashes, now = site.now()): Promise<RecordTransaction> {
    const { version, state } = await now;
    const hash = await pageHashes.at(site, state);
    return new RecordTransaction(site, version, state, new PageChanges(site, hash, state));
  }

  /** Reads what is there of visits, by their ids, and whether they were erased. */
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

  /** Reads all runs of a visit, but for those that are damaged: what is laid down anew has to be known. */
  async readRuns(number: number): Promise<void> {
    const runs: Run[] = [];
    const visit = this.get(number) as RedisVisit;
    for await (const some of this.site.runs(number, visit, 0, this.damage)) runs.push(...this.named(some));
    this.#runs.set(number, runs);
  }

  /** Runs with the names of their pages. `unnamed` says what a page is called that has no name any more. */
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
    this.#note(this.#there, number, this.#minutesOf(visit, visit.lastRun, runs));
    chunk.clear();
    let begin = (runs[0] as Run).t;
    for (const run of runs) {
      if (chunk.length > CHUNK_BYTES) this.#element(number, visit, begin);
      if (chunk.length === 0) begin = run.t;
      writeRun(chunk, { ...run, page: this.pages.numberOf(visit.site, run.page) });
      visit.lastRun = run.t;
    }
    this.#element(number, visit, begin);
  }

  /** Adds what is collected as one element, the first run of which is from `t`. */
  #element(number: number, visit: RedisVisit, t: number): void {
    const bytes = chunk.copy();
    chunk.clear();
    const marked = visit.marks.length / 2;
    // What is marked first is the begin.
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

  #note(into: Map<number, Set<string>>, number: number, minutes: StoredMinutes): void {
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

  /** What is there was read, unless that was too much. */
  isLong(number: number): boolean {
    return (this.get(number)?.elements ?? 0) > 0 && !this.#runs.has(number);
  }

  clear(number: number, visit: RedisVisit, tell: (run: Run) => void): void {
    const runs = visit.elements > 0 ? this.runs(number) : [];
    for (const run of runs) tell(run);
    this.leave(number, visit, runs);
    this.add(['UNLINK', this.site.keys.runs(number)]);
    Object.assign(visit, { lastRun: 0, elements: 0, bytes: 0, marks: [] });
  }

  /** Takes a visit out of the minutes of some of its runs, and of its stays. */
  leave(number: number, visit: RedisVisit, runs: Iterable<Run>): void {
    this.#note(this.#away, number, this.#minutesOf(visit, 0, runs));
  }

  /** Takes a visit out of a minute of these pages. */
  leaveMinute(number: number, minute: number, pages: readonly number[]): void {
    this.#note(this.#away, number, new Map([[minute, new Set(pages)]]));
  }

  /** Takes a visit away that is out of all minutes and sums. */
  remove(number: number, visit: RedisVisit): void {
    this.add(['UNLINK', this.site.keys.runs(number)]);
    this.unlist(number, visit);
  }

  /** Takes a visit out of all lists; its runs are still there. */
  unlist(number: number, visit: RedisVisit): void {
    const { id, since } = visit;
    const { visits, ids, byTime } = this.site.keys;
    this.#weigh(visit, 0);
    this.add(['HDEL', visits, String(number)], ['HDEL', ids, id], ['ZREM', byTime, memberOf(since, number)]);
  }

  add(...commands: RedisCommand[]): void {
    this.#commands.push(...commands);
  }

  /** Puts it there. False, and nothing is done, if it has to be made up anew. */
  async commit(): Promise<boolean> {
    const { keys, redis } = this.site;
    const sums = await sumCommands(this.site, this.sums, this.pages);
    const all = [...this.#commands, ...this.#visitCommands(), ...this.#minuteCommands(), ...sums];
    all.push(...this.pages.commands(), ['HSET', keys.state, 'visit', String(this.#state.visit)]);
    if (this.#weight !== 0) all.push(...this.#weightCommands());
    // What is filed takes less room than what waits, and nothing can be cleared away before it is: it goes where there is none, too.
    const isDone = await redis.commit(keys.version, this.version, all, true);
    if (isDone) this.pages.settle();
    return isDone;
  }

  /** A site that was never weighed is weighed as a whole when that is needed, and not counted from the middle. */
  #weightCommands(): RedisCommand[] {
    const { state } = this.site.keys;
    const isKnown = this.#state.weight !== undefined || this.#state.visit === this.#new.size;
    return isKnown ? [['HINCRBY', state, 'weight', String(this.#weight)]] : [];
  }

  #visitCommands(): RedisCommand[] {
    const { visits, ids, byTime } = this.site.keys;
    const put: string[] = [];
    const named: string[] = [];
    const begun: string[] = [];
    for (const number of this.#changed) {
      const visit = this.#visits.get(number) as RedisVisit;
      put.push(String(number), JSON.stringify(visit));
      if (!this.#new.has(number)) continue;
      named.push(visit.id, String(number));
      begun.push('0', memberOf(visit.since, number));
    }
    return [
      ...partsOf(put).map((some) => ['HSET', visits, ...some]),
      ...partsOf(named).map((some) => ['HSET', ids, ...some]),
      ...partsOf(begun).map((some) => ['ZADD', byTime, ...some]),
    ];
  }

  #minuteCommands(): RedisCommand[] {
    const of = (name: string, all: ReadonlyMap<number, ReadonlySet<string>>) =>
      [...all].flatMap(([minute, members]) =>
        partsOf([...members]).map((some) => [name, this.site.keys.minute(minute), ...some]),
      );
    return [...of('SREM', this.#away), ...of('SADD', this.#there)];
  }
}
