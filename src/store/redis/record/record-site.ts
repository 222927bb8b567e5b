/** Reads the record of one site from Redis. */

import { RUN_MS } from '../../../protocol/passages.ts';
import { type Redis, type RedisCommand, scriptOf } from '../../../redis/connection.ts';
import { decodeRuns, type StoredRun } from '../../record/chunk.ts';
import type { DamageLog } from '../../record/damage.ts';
import type { RemovedVisit } from '../../record/removal-queue.ts';
import { weightOf } from '../../record/site-weight.ts';
import type { StoredVisit } from '../../record/stored-visit.ts';
import { SiteKeys } from './keys.ts';
import { visitOf } from './visit-time.ts';

/** Maximum number of fields per command. */
export const MAX_FIELDS = 500;
/** Maximum number of visits listed in one step. */
const MAX_LISTED = 1000;
/** Maximum number of commands answered together: Redis does nothing else meanwhile. */
const TOGETHER = 100;
/** Number of elements of runs that one step of a removal reads at once. */
const FIRST_ELEMENTS = 16;
/**
 * Elements of runs that are read at once: at least READ_ELEMENTS, and about READ_BYTES, which is more than one part of
 * an answer.
 */
const READ_ELEMENTS = 16;
const READ_BYTES = 384 * 1024;

/** A stored visit. Its runs are a list; each element has the runs of one compaction. */
export interface RedisVisit extends StoredVisit {
  /** Number of elements, and their bytes. */
  elements: number;
  bytes: number;
  /** Time and index of an element at regular intervals of bytes: `t, element, t, element …` */
  marks: number[];
}

/** What is known of the list of a visit's runs. */
export type RunsOf = Pick<RedisVisit, 'marks' | 'elements' | 'bytes'>;
/** For a visit without an entry. */
export const UNKNOWN_RUNS: RunsOf = { marks: [], elements: 0, bytes: 0 };

/** The counters of a site. Numbers are never reused. */
export interface StoredSiteState {
  /** Last number of a visit, and last number of a page. */
  visit: number;
  page: number;
  /** Number of pages, whether there were too many, and how often some were removed. */
  pages: number;
  isFull: boolean;
  edition: number;
  /** About how many bytes its visits take; undefined if that was never counted. */
  weight: number | undefined;
}

/** Fields of the state. */
export const READ_STATE: readonly string[] = ['visit', 'page', 'pages', 'full', 'edition', 'weight'];

/**
 * Finds visits by their ids, in one round trip. ARGV: the keys of ids, visits and erased visits, then ids. Replies with
 * number, visit and time of erasure for each id.
 */
const FIND = scriptOf(
  `
local found = {}
for i = 4, #ARGV do
  local number = redis.call('HGET', ARGV[1], ARGV[i])
  found[#found + 1] = number
  found[#found + 1] = number and redis.call('HGET', ARGV[2], number)
  found[#found + 1] = redis.call('HGET', ARGV[3], ARGV[i])
end
return found
`,
  'no-writes',
);

/**
 * Lists visits by their time, in one round trip. ARGV: the keys of times and visits, then the range and its limit as
 * ZRANGE takes them. Replies with the members, then the visits.
 */
const LIST = scriptOf(
  `
local members = redis.call('ZRANGE', ARGV[1], unpack(ARGV, 3))
local visits = {}
for i, member in ipairs(members) do
  visits[i] = redis.call('HGET', ARGV[2], string.match(member, '%.0*(%d+)$'))
end
return { members, visits }
`,
  'no-writes',
);

/** Listed visits; undefined if a visit cannot be read. */
export interface ListedVisits {
  members: string[];
  visits: (RedisVisit | undefined)[];
}

/** What is stored for a visit's id. */
export interface FoundVisit {
  id: string;
  /** Undefined if the visit does not exist. */
  number: number | undefined;
  /** Undefined if the visit does not exist or cannot be read. */
  visit: RedisVisit | undefined;
  isErased: boolean;
}

export class RecordSite {
  readonly redis: Redis;
  readonly keys: SiteKeys;

  constructor(redis: Redis, site: string) {
    this.redis = redis;
    this.keys = new SiteKeys(site);
  }

  get name(): string {
    return this.keys.site;
  }

  send<T>(...command: RedisCommand): Promise<T> {
    return this.redis.send(this.keys.version, ...command);
  }

  bytes<T>(...command: RedisCommand): Promise<T> {
    return this.redis.sendForBytes(this.keys.version, ...command);
  }

  /** Returns the replies of commands that only read, some of them together. */
  async gather<T>(commands: readonly RedisCommand[]): Promise<T[]> {
    const parts = partsOf(commands, TOGETHER).map((some) => this.redis.gather<T>(this.keys.version, some));
    return (await Promise.all(parts)).flat(1) as T[];
  }

  async gatherBytes<T>(commands: readonly RedisCommand[]): Promise<T[]> {
    const parts = partsOf(commands, TOGETHER).map((some) => this.redis.gatherBytes<T>(this.keys.version, some));
    return (await Promise.all(parts)).flat(1) as T[];
  }

  /** Returns the time before which visits belong to a removed site with the same key. */
  async droppedBefore(): Promise<number> {
    return Number((await this.send<string | null>('GET', this.keys.dropped)) ?? 0);
  }

  /** Returns true while visits of a removed site with the same key exist: the counts include them. */
  async hasRemains(): Promise<boolean> {
    const [before, [first]] = await Promise.all([
      this.droppedBefore(),
      this.send<string[]>('ZRANGE', this.keys.byTime, '0', '0'),
    ]);
    return first !== undefined && visitOf(first)[0] < before;
  }

  async version(): Promise<string> {
    return (await this.send<string | null>('GET', this.keys.version)) ?? '0';
  }

  async state(): Promise<StoredSiteState> {
    return readState(await this.send<(string | null)[]>('HMGET', this.keys.state, ...READ_STATE));
  }

  /** Returns the number of changes, and the state at that moment. */
  async now(): Promise<{ version: string; state: StoredSiteState }> {
    const { version, state } = this.keys;
    const [changes, found] = await this.redis.gather<never>(version, [
      ['GET', version],
      ['HMGET', state, ...READ_STATE],
    ]);
    return { version: changes ?? '0', state: readState(found as unknown as (string | null)[]) };
  }

  /** Finds visits by their ids, in one round trip. */
  async find(ids: readonly string[]): Promise<FoundVisit[]> {
    const { version, ids: numbers, visits, erased } = this.keys;
    const parts = partsOf(ids).map(async (some) => {
      const found = await this.redis.run<(string | null)[]>(FIND, version, [numbers, visits, erased, ...some]);
      return some.map((id, i): FoundVisit => {
        const [number, text, erasedAt] = found.slice(3 * i, 3 * i + 3);
        return {
          id,
          number: number == null ? undefined : Number(number),
          visit: text == null ? undefined : readVisit(text),
          isErased: erasedAt != null,
        };
      });
    });
    return (await Promise.all(parts)).flat();
  }

  /** Returns the values of fields of a hash. */
  async fields(key: string, fields: readonly string[]): Promise<(string | null)[]> {
    const parts = partsOf(fields).map((some) => this.send<(string | null)[]>('HMGET', key, ...some));
    return (await Promise.all(parts)).flat();
  }

  async byteFields(key: string, fields: readonly string[]): Promise<(Buffer | null)[]> {
    const parts = partsOf(fields).map((some) => this.bytes<(Buffer | null)[]>('HMGET', key, ...some));
    return (await Promise.all(parts)).flat();
  }

  /** Returns visits; undefined for each that does not exist or cannot be read. */
  async visits(numbers: readonly number[]): Promise<(RedisVisit | undefined)[]> {
    const found = await this.fields(this.keys.visits, numbers.map(String));
    return found.map((text) => (text === null ? undefined : readVisit(text)));
  }

  /** Returns the first visits of a range of `by-time`, in its order; in one round trip, or two for many visits. */
  async list(range: readonly string[], max: number): Promise<ListedVisits> {
    const { version, byTime, visits } = this.keys;
    const limited = [...range, 'LIMIT', '0', String(max)];
    if (max > MAX_LISTED) {
      const members = await this.send<string[]>('ZRANGE', byTime, ...limited);
      return { members, visits: await this.visits(members.map((member) => visitOf(member)[1])) };
    }
    const [members, found] = await this.redis.run<[string[], (string | null)[]]>(LIST, version, [
      byTime,
      visits,
      ...limited,
    ]);
    return { members, visits: members.map((_, i) => (found[i] == null ? undefined : readVisit(found[i]))) };
  }

  /** Returns about how many bytes the visits of sites take; NaN where that was never counted. */
  static async weights(sites: readonly RecordSite[]): Promise<number[]> {
    const asked = sites.map(({ keys, redis }) => redis.send<string | null>(keys.state, 'HGET', keys.state, 'weight'));
    return (await Promise.all(asked)).map((weight) => Number(weight ?? Number.NaN));
  }

  /**
   * Weighs all visits, in a record from before they were weighed. Concurrent changes are counted only approximately.
   */
  async weigh(): Promise<number> {
    const { visits, state, version } = this.keys;
    let weight = 0;
    let cursor = '0';
    do {
      const [next, found] = await this.send<[string, string[]]>('HSCAN', visits, cursor, 'COUNT', String(MAX_FIELDS));
      for (let i = 1; i < found.length; i += 2) weight += readVisit(found[i] as string)?.weight ?? 0;
      cursor = next;
    } while (cursor !== '0');
    await this.redis.commit(version, null, [['HSET', state, 'weight', String(weight)]], true);
    return weight;
  }

  async visit(number: number): Promise<RedisVisit | undefined> {
    const [visit] = await this.visits([number]);
    return visit;
  }

  /** Returns the visits that are being removed, by number. */
  async going(): Promise<Map<number, RemovedVisit>> {
    const all = await this.send<string[]>('HGETALL', this.keys.going);
    const found = new Map<number, RemovedVisit>();
    for (let i = 0; i < all.length; i += 2) found.set(Number(all[i]), JSON.parse(all[i + 1] as string));
    return found;
  }

  /** Returns the first elements of a visit's runs, until they reach `bytes`. */
  async firstElements(number: number, bytes: number): Promise<Buffer[]> {
    const elements: Buffer[] = [];
    for (let sum = 0; sum < bytes; ) {
      const some = await this.bytes<Buffer[]>(
        ...this.#elements(number, elements.length, elements.length + FIRST_ELEMENTS),
      );
      for (const element of some) {
        if (sum >= bytes) break;
        elements.push(element);
        sum += element.length;
      }
      if (some.length < FIRST_ELEMENTS) break;
    }
    return elements;
  }

  /**
   * Yields the runs of a visit, some at a time, starting with the one that may still continue at `from`. Throws
   * FrameError if they are damaged. With `damage`, damaged runs are skipped.
   */
  async *runs(number: number, visit: RunsOf, from = 0, damage?: DamageLog): AsyncGenerator<StoredRun[]> {
    const decode = (element: Buffer) => decodeRuns(element, damage);
    const step = Math.max(READ_ELEMENTS, Math.ceil((READ_BYTES * visit.elements) / Math.max(1, visit.bytes)));
    for (let at = elementAt(visit.marks, from - RUN_MS); ; at += step) {
      const elements = await this.bytes<Buffer[]>(...this.#elements(number, at, at + step));
      yield elements.flatMap(decode);
      if (elements.length < step) return;
    }
  }

  /**
   * Returns the runs of visits from `from` to `to`, and some around, in one round trip. `damages` collects what cannot
   * be read of each visit.
   */
  async runsDuring(
    visits: readonly { number: number; visit: RedisVisit }[],
    from: number,
    to: number,
    damages: readonly DamageLog[],
  ): Promise<StoredRun[][]> {
    const commands = visits.map(({ number, visit: { marks } }) =>
      this.#elements(number, elementAt(marks, from - RUN_MS), elementFrom(marks, to)),
    );
    const found = await this.gatherBytes<Buffer[]>(commands);
    return found.map((elements, i) => elements.flatMap((element) => decodeRuns(element, damages[i])));
  }

  /** Reads elements from `at` up to `end`, which is not included; undefined: to the end. */
  #elements(number: number, at: number, end: number | undefined): RedisCommand {
    return ['LRANGE', this.keys.runs(number), String(at), end === undefined ? '-1' : String(end - 1)];
  }

  /** Returns true if a journal has entries. */
  async isWaiting(shards?: readonly number[]): Promise<boolean> {
    const { journals } = this.keys;
    const keys = shards ? shards.map((shard) => journals[shard] as string) : journals;
    return (await this.send<number>('EXISTS', ...keys)) > 0;
  }
}

function readVisit(text: string): RedisVisit | undefined {
  try {
    const visit = JSON.parse(text) as RedisVisit;
    // A visit from before visits were weighed. Whoever stores it changes it before.
    visit.weight ??= weightOf(visit);
    return visit;
  } catch {
    return undefined;
  }
}

/** Parses the values of READ_STATE. */
export function readState(found: readonly (string | null)[]): StoredSiteState {
  const [visit, page, pages, full, edition] = found.map(Number) as [number, number, number, number, number];
  return { visit, page, pages, isFull: full > 0, edition, weight: found[5] == null ? undefined : Number(found[5]) };
}

/** Returns the last marked element that starts at `t` or before. */
function elementAt(marks: readonly number[], t: number): number {
  for (let i = marks.length - 2; i >= 0; i -= 2) if ((marks[i] as number) <= t) return marks[i + 1] as number;
  return 0;
}

/** Returns the first marked element that starts at `t` or later, or undefined. */
function elementFrom(marks: readonly number[], t: number): number | undefined {
  for (let i = 0; i < marks.length; i += 2) if ((marks[i] as number) >= t) return marks[i + 1] as number;
  return undefined;
}

/** Splits a list into parts that fit a command. */
export function partsOf<T>(all: readonly T[], max = MAX_FIELDS): T[][] {
  const parts: T[][] = [];
  for (let i = 0; i < all.length; i += max) parts.push(all.slice(i, i + max));
  return parts;
}
