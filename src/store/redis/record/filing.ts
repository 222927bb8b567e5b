/**
 * Files what the journal of a site holds, as the embedded store does. Whoever comes to it does so: one process at a time as long as
 * it is not slow, and if two do the same, the one that is later has it refused and begins anew.
 */
import { FrameError } from '../../../protocol/errors.ts';
import type { Command } from '../../../redis/connection.ts';
import { StoreError } from '../../contract.ts';
import { type KnownPlaces, readBatch } from '../../record/batch.ts';
import { CHUNK_BYTES, LONG_CHUNKS } from '../../record/chunk.ts';
import { warnOfLeftOut } from '../../record/damage.ts';
import { type Arrived, arrivals, Filer, isReadable, MAX_RELAID } from '../../record/filing.ts';
import { isBehind, isPartlyThere, newIn } from '../../record/kept-visit.ts';
import { SITE_SHARDS } from '../../record/shard.ts';
import { Draft } from './draft.ts';
import type { PageBooks } from './page-book.ts';
import { partsOf, type RecordSite, type RedisVisit } from './site.ts';

/** Whoever files is left alone for so long, milliseconds; one that has died holds others up no longer. */
const LEASE_MS = 2000;
/** A site that is held longer says so now and again, milliseconds. */
const HELD = 'held';
const HELD_MS = 4000;
/** So much of the journal is filed at once, bytes: for some milliseconds Redis answers nobody else. */
const MAX_FILED = 512 * 1024;
/** Batches that are read of a shard at first, and how many times more then: those of an import are large. */
const FIRST_BATCHES = 4;
const MORE = 8;

/** none: nothing is due · busy: somebody else does it, or was faster · held: nobody is to do it now */
export type Filed = number | 'none' | 'busy' | 'held';

/** What is taken out of one shard of the journal. */
interface Taken {
  shard: number;
  /** Times and batches in turn. */
  elements: Buffer[];
  bytes: number;
}

export class Filing {
  readonly #books: PageBooks;
  /** Sites that this process is filing, so that those who wait for that need not ask. */
  readonly #running = new Map<string, Promise<unknown>>();

  constructor(books: PageBooks) {
    this.#books = books;
  }

  /** Files some of what waits in shards (by default all), since before what `before` says of each. How many bytes of the journal that were. */
  async file(
    site: RecordSite,
    shards: readonly number[] = ALL_SHARDS,
    before: (shard: number) => number = () => Number.MAX_SAFE_INTEGER,
  ): Promise<Filed> {
    if (!(await site.isWaiting(shards))) return 'none';
    const running = this.#running.get(site.name);
    if (running) {
      await running.catch(() => {});
      return 'busy';
    }
    const filing = this.#fileAlone(site, shards, before);
    this.#running.set(site.name, filing);
    try {
      return await filing;
    } finally {
      this.#running.delete(site.name);
    }
  }

  async #fileAlone(site: RecordSite, shards: readonly number[], before: (shard: number) => number): Promise<Filed> {
    const due = await dueShards(site, shards, before);
    if (due.length === 0) return 'none';
    if (!(await lease(site))) return (await site.send('GET', site.keys.filing)) === HELD ? 'held' : 'busy';
    let isDone = false;
    try {
      const filed = await this.#fileShards(site, due);
      isDone = typeof filed === 'number';
      return filed;
    } finally {
      if (!isDone) await release(site);
    }
  }

  async #fileShards(site: RecordSite, shards: readonly number[]): Promise<Filed> {
    const draft = await Draft.begin(site, this.#books);
    const taken = await take(site, shards);
    const bytes = taken.reduce((sum, one) => sum + one.bytes, 0);
    if (bytes === 0) return 'none';
    try {
      await fill(draft, taken);
    } catch (error) {
      if (!(error instanceof FrameError)) throw error;
      return setAside(site, draft.version, taken, error);
    }
    for (const { shard, elements } of taken) draft.add(remove(site, shard, elements));
    draft.add(['DEL', site.keys.filing]);
    if (!(await draft.commit())) return 'busy';
    warnOfLeftOut(draft.damage, `the site ${site.name} in Redis`);
    return bytes;
  }
}

export const ALL_SHARDS: readonly number[] = Array.from({ length: SITE_SHARDS }, (_, shard) => shard);

/** By a commit, since that goes where there is no room, too. */
function lease({ redis, keys: { filing } }: RecordSite): Promise<boolean> {
  return redis.commit(filing, '0', [['PEXPIRE', filing, String(LEASE_MS)]], true);
}

async function release(site: RecordSite): Promise<void> {
  await site.send('DEL', site.keys.filing).catch(() => {});
}

/** Does something while nobody files a site, and those that read do not wait for it. */
export async function held<T>(site: RecordSite, work: () => Promise<T>): Promise<T> {
  const { redis, keys } = site;
  const hold = ['SET', keys.filing, HELD, 'PX', String(HELD_MS)];
  const isHeld = await redis.commit(keys.filing, '0', [hold], true);
  const renewal = setInterval(() => {
    if (isHeld) site.send('PEXPIRE', keys.filing, String(HELD_MS)).catch(() => {});
  }, HELD_MS / 4);
  try {
    return await work();
  } finally {
    clearInterval(renewal);
    if (isHeld) await release(site);
  }
}

/** Shards in which something is due, the longest waiting first. */
async function dueShards(
  site: RecordSite,
  shards: readonly number[],
  before: (shard: number) => number,
): Promise<number[]> {
  const first = shards.map((shard) => ['LINDEX', site.keys.journals[shard] as string, '0']);
  const times = await site.gather<string | null>(first);
  const waiting = shards.map((shard, i) => ({ shard, t: times[i] === null ? Infinity : Number(times[i]) }));
  const due = waiting.filter(({ shard, t }) => t <= before(shard));
  return due.sort((a, b) => a.t - b.t).map(({ shard }) => shard);
}

/** Reads what is filed at once. */
async function take(site: RecordSite, shards: readonly number[]): Promise<Taken[]> {
  const taken: Taken[] = [];
  let left = MAX_FILED;
  for (const shard of shards) {
    if (left <= 0) break;
    const one = await takeShard(site, shard, left);
    left -= one.bytes;
    taken.push(one);
  }
  return taken;
}

async function takeShard(site: RecordSite, shard: number, most: number): Promise<Taken> {
  const key = site.keys.journals[shard] as string;
  const taken: Taken = { shard, elements: [], bytes: 0 };
  for (let count = FIRST_BATCHES; ; ) {
    const from = taken.elements.length;
    const read = await site.bytes<Buffer[]>('LRANGE', key, String(from), String(from + 2 * count - 1));
    for (let i = 0; i < read.length && taken.bytes < most; i += 2) {
      const [time, batch] = [read[i] as Buffer, read[i + 1] as Buffer];
      taken.elements.push(time, batch);
      taken.bytes += batch.length;
    }
    if (read.length < 2 * count || taken.bytes >= most) return taken;
    const each = (2 * taken.bytes) / taken.elements.length;
    count = Math.min(MORE * count, Math.ceil((most - taken.bytes) / each));
  }
}

function* batchesOf({ elements }: Taken): Generator<[time: Buffer, batch: Buffer]> {
  for (let i = 0; i < elements.length; i += 2) yield [elements[i] as Buffer, elements[i + 1] as Buffer];
}

/** As many as were read: whoever appends does so behind them. */
function remove(site: RecordSite, shard: number, elements: readonly Buffer[]): Command {
  return ['LPOP', site.keys.journals[shard] as string, String(elements.length)];
}

/** Files what was taken. Throws FrameError if some of it cannot be read. */
async function fill(draft: Draft, taken: readonly Taken[]): Promise<void> {
  const visits = new Map<string, Arrived>();
  const known: KnownPlaces = new Map();
  const listener = arrivals(visits);
  for (const one of taken) for (const [, batch] of batchesOf(one)) readBatch(batch, listener, known);
  await draft.readIds([...visits.keys()]);
  let left = MAX_RELAID;
  for (const [id, arrived] of visits) {
    const number = draft.find(id);
    const visit = number === undefined ? undefined : draft.get(number);
    if (number === undefined || !visit || !needsRuns(visit, arrived, left)) continue;
    await draft.readRuns(number);
    left -= visit.bytes;
  }
  const filer = new Filer(draft, draft.pages);
  filer.begin(draft.damage);
  for (const [id, arrived] of visits) filer.file(id, arrived, draft.sums);
}

/**
 * True if the runs of a visit may have to make way, or be laid down anew. Of a long one, or after many, that is done for what was kept
 * elsewhere only. `most`: bytes that may be read.
 */
function needsRuns(visit: RedisVisit, { frames }: Arrived, most: number): boolean {
  const fresh = frames.filter((frame) => newIn(visit, frame) > 0);
  if (fresh.some((frame) => isPartlyThere(visit, frame))) return true;
  const isDear = most <= 0 || visit.bytes > LONG_CHUNKS * CHUNK_BYTES;
  return isBehind(visit, fresh) && (!isDear || fresh.some((frame) => frame.frames !== undefined));
}

/** Sets batches aside that cannot be read, so that they hold nothing else up. */
async function setAside(site: RecordSite, version: string, taken: readonly Taken[], error: FrameError): Promise<Filed> {
  const commands: Command[] = [];
  let aside = 0;
  for (const one of taken) {
    const good: Buffer[] = [];
    const bad: Buffer[] = [];
    for (const [time, batch] of batchesOf(one)) (isReadable(batch) ? good : bad).push(time, batch);
    if (bad.length === 0) continue;
    aside += bad.length / 2;
    // In parts: a commit that fails halfway, with a command that is too long for Lua, has removed and not put back.
    const key = site.keys.journals[one.shard] as string;
    commands.push(remove(site, one.shard, one.elements));
    for (const some of partsOf(bad)) commands.push(['RPUSH', site.keys.damaged, ...some]);
    for (const some of partsOf(good.toReversed())) commands.push(['LPUSH', key, ...some]);
  }
  if (aside === 0)
    throw new StoreError('damaged', `a visit of the site ${site.name} in Redis is damaged: ${error.message}`);
  // Somebody else may have filed what was read here, and was then faster.
  if (!(await site.redis.commit(site.keys.version, version, commands, true))) return 'busy';
  process.emitWarning(`${aside} batches of frames cannot be read and were set aside: ${error.message}`);
  return 'busy';
}
