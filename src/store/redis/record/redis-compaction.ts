/**
 * Compaction of a site's journal, as in the LMDB store. Any process does it, normally one at a time. If two do the
 * same, the later one is refused and starts again.
 */
import { FrameError } from '../../../protocol/frame-error.ts';
import { type RedisCommand, scriptOf } from '../../../redis/connection.ts';
import { StoreError } from '../../contract.ts';
import { clockSetBackAfter } from '../../record/backlog.ts';
import { type KnownPlaces, readBatch } from '../../record/batch.ts';
import { CHUNK_BYTES, LONG_CHUNKS } from '../../record/chunk.ts';
import { type Arrived, arrivals, Compactor, isReadableBatch, MAX_REWRITTEN } from '../../record/compaction.ts';
import { warnOfLeftOut } from '../../record/damage.ts';
import { SITE_SHARDS } from '../../record/shard.ts';
import { countNew, isOutOfOrder, isPartlyStored } from '../../record/stored-visit.ts';
import type { PageHashes } from './page-hash.ts';
import {
  partsOf,
  READ_STATE,
  type RecordSite,
  type RedisVisit,
  readState,
  type StoredSiteState,
} from './record-site.ts';
import { RecordTransaction } from './record-transaction.ts';

/**
 * How long a process may compact before another takes over, milliseconds: six round trips to Redis where each takes a
 * second. A process that has died blocks others no longer.
 */
const LEASE_MS = 6000;
/** How often the hold on a site is renewed at the latest, milliseconds. */
const HELD = 'held';
const HELD_MS = 6000;
/** How much of the journal is compacted at once, bytes. Redis answers nobody else for some milliseconds. */
const MAX_COMPACTED = 512 * 1024;

/**
 * Number of bytes that were compacted · none: nothing is due · busy: another process does it, or was faster · held:
 * compaction is suspended
 */
export type Compacted = number | 'none' | 'busy' | 'held';

/** What is taken from one shard of the journal. */
interface Taken {
  shard: number;
  /** Times and batches in turn. */
  elements: Buffer[];
  bytes: number;
}

export class RedisCompaction {
  readonly #pageHashes: PageHashes;
  /** Sites that this process is compacting, so that others can wait without asking Redis. */
  readonly #running = new Map<string, Promise<unknown>>();

  readonly #maxVisitBytes: number | undefined;

  constructor(pageHashes: PageHashes, maxVisitBytes?: number) {
    this.#maxVisitBytes = maxVisitBytes;
    this.#pageHashes = pageHashes;
  }

  /**
   * Compacts entries of shards (by default all) from before `before`. Returns how many bytes of the journal were
   * compacted.
   */
  async compact(
    site: RecordSite,
    shards: readonly number[] = ALL_SHARDS,
    before: (shard: number) => number = () => Number.MAX_SAFE_INTEGER,
  ): Promise<Compacted> {
    const running = this.#running.get(site.name);
    if (running) {
      if (!(await site.isWaiting(shards))) return 'none';
      await running.catch(() => {});
      return 'busy';
    }
    const compaction = this.#compactAlone(site, shards, before);
    this.#running.set(site.name, compaction);
    try {
      return await compaction;
    } finally {
      this.#running.delete(site.name);
    }
  }

  async #compactAlone(
    site: RecordSite,
    shards: readonly number[],
    before: (shard: number) => number,
  ): Promise<Compacted> {
    const opened = await open(site, shards, before);
    if (typeof opened === 'string') return opened;
    let isDone = false;
    try {
      const compacted = await this.#compactOpened(site, opened);
      isDone = typeof compacted === 'number';
      return compacted;
    } finally {
      if (!isDone) await release(site);
    }
  }

  async #compactOpened(site: RecordSite, { taken, ...now }: Opened): Promise<Compacted> {
    const transaction = await RecordTransaction.start(site, this.#pageHashes, Promise.resolve(now));
    const bytes = taken.reduce((sum, one) => sum + one.bytes, 0);
    if (bytes === 0) return 'none';
    try {
      await fill(transaction, taken, this.#maxVisitBytes);
    } catch (error) {
      if (!(error instanceof FrameError)) throw error;
      return quarantine(site, transaction.version, taken, error);
    }
    for (const { shard, elements } of taken) transaction.add(remove(site, shard, elements));
    transaction.add(['DEL', site.keys.compaction]);
    if (!(await transaction.commit())) return 'busy';
    warnOfLeftOut(transaction.damage, `the site ${site.name} in Redis`);
    return bytes;
  }
}

export const ALL_SHARDS: readonly number[] = Array.from({ length: SITE_SHARDS }, (_, shard) => shard);

async function release(site: RecordSite): Promise<void> {
  await site.send('DEL', site.keys.compaction).catch(() => {});
}

/** Runs `work` while nobody compacts the site. Reads do not wait for it. */
export async function held<T>(site: RecordSite, work: () => Promise<T>): Promise<T> {
  const { redis, keys } = site;
  const hold = ['SET', keys.compaction, HELD, 'PX', String(HELD_MS)];
  const isHeld = await redis.commit(keys.compaction, '0', [hold], true);
  const renewal = setInterval(() => {
    if (isHeld) site.send('PEXPIRE', keys.compaction, String(HELD_MS)).catch(() => {});
  }, HELD_MS / 4);
  try {
    return await work();
  } finally {
    clearInterval(renewal);
    if (isHeld) await release(site);
  }
}

/** What is compacted at once, and the state of the site when it was read. */
interface Opened {
  version: string;
  state: StoredSiteState;
  taken: Taken[];
}

/**
 * Takes the lease of a site if anything is due, and reads what to compact, in one round trip. ARGV: keys of lease and
 * state; duration of the lease; maximum number of bytes; number of fields of the state; the time from which on
 * everything is due because a clock was ahead; the fields; then for each shard its key and the time up to which entries
 * are due. The longest waiting shards come first. Allowed without free memory: compacted frames take less space.
 */
const OPEN = scriptOf(
  `
local fields = tonumber(ARGV[5])
local due = {}
for i = 7 + fields, #ARGV, 2 do
  local t = tonumber(redis.call('LINDEX', ARGV[i], 0))
  if t and (t <= tonumber(ARGV[i + 1]) or t > tonumber(ARGV[6])) then
    due[#due + 1] = { key = ARGV[i], shard = (i - 7 - fields) / 2, t = t }
  end
end
if #due == 0 then return { 'none' } end
local holder = redis.call('GET', ARGV[1])
if holder then return { holder == '${HELD}' and 'held' or 'busy' } end
redis.call('SET', ARGV[1], '1', 'PX', ARGV[3])
table.sort(due, function(a, b) return a.t < b.t end)
local left = tonumber(ARGV[4])
local opened = { 'open', redis.call('GET', KEYS[1]), redis.call('HMGET', ARGV[2], unpack(ARGV, 7, 6 + fields)) }
for _, one in ipairs(due) do
  if left <= 0 then break end
  local taken = {}
  while left > 0 do
    local read = redis.call('LRANGE', one.key, #taken, #taken + 7)
    for i = 1, #read, 2 do
      if left <= 0 then break end
      taken[#taken + 1] = read[i]
      taken[#taken + 1] = read[i + 1]
      left = left - #read[i + 1]
    end
    if #read < 8 then break end
  end
  opened[#opened + 1] = one.shard
  opened[#opened + 1] = taken
end
return opened
`,
  'allow-oom',
);

type OpenReply = [outcome: Buffer, version: Buffer | null, state: (Buffer | null)[], ...taken: (number | Buffer[])[]];

/** none: nothing is due · busy, held: see `Compacted` */
async function open(
  site: RecordSite,
  shards: readonly number[],
  before: (shard: number) => number,
): Promise<Opened | 'none' | 'busy' | 'held'> {
  const { version, state, compaction, journals } = site.keys;
  const due = shards.flatMap((shard) => [journals[shard] as string, String(before(shard))]);
  const ahead = String(clockSetBackAfter(Date.now()));
  const args = [
    compaction,
    state,
    String(LEASE_MS),
    String(MAX_COMPACTED),
    String(READ_STATE.length),
    ahead,
    ...READ_STATE,
    ...due,
  ];
  const [outcome, changes, fields = [], ...found] = await site.redis.runForBytes<OpenReply>(OPEN, version, args);
  const what = String(outcome);
  if (what !== 'open') return what as 'none' | 'busy' | 'held';
  const taken: Taken[] = [];
  for (let i = 0; i < found.length; i += 2) {
    const elements = found[i + 1] as Buffer[];
    const bytes = elements.reduce((sum, { length }, at) => sum + (at % 2 ? length : 0), 0);
    taken.push({ shard: shards[found[i] as number] as number, elements, bytes });
  }
  const texts = fields.map((field) => (field === null ? null : String(field)));
  return { version: String(changes ?? '0'), state: readState(texts), taken };
}

function* batchesOf({ elements }: Taken): Generator<[time: Buffer, batch: Buffer]> {
  for (let i = 0; i < elements.length; i += 2) yield [elements[i] as Buffer, elements[i + 1] as Buffer];
}

/** Removes the elements that were read; new ones are appended behind them. */
function remove(site: RecordSite, shard: number, elements: readonly Buffer[]): RedisCommand {
  return ['LPOP', site.keys.journals[shard] as string, String(elements.length)];
}

/** Compacts what was taken. Throws FrameError if some of it cannot be read. */
async function fill(
  transaction: RecordTransaction,
  taken: readonly Taken[],
  maxVisitBytes: number | undefined,
): Promise<void> {
  const visits = new Map<string, Arrived>();
  const known: KnownPlaces = new Map();
  const listener = arrivals(visits);
  for (const one of taken) for (const [, batch] of batchesOf(one)) readBatch(batch, listener, known);
  await transaction.readIds([...visits.keys()]);
  let left = MAX_REWRITTEN;
  const needed: number[] = [];
  for (const [id, arrived] of visits) {
    const number = transaction.find(id);
    const visit = number === undefined ? undefined : transaction.get(number);
    if (number === undefined || !visit || !needsRuns(visit, arrived, left)) continue;
    needed.push(number);
    left -= visit.bytes;
  }
  await Promise.all(needed.map((number) => transaction.readRuns(number)));
  const compactor = new Compactor(transaction, transaction.pages, maxVisitBytes);
  compactor.start(transaction.damage);
  for (const [id, arrived] of visits) compactor.compact(id, arrived, transaction.sums);
}

/**
 * Returns true if stored runs of a visit may have to be replaced or rewritten. For a long visit, or after many
 * rewrites, only imported frames require that. `max`: bytes that may be read.
 */
function needsRuns(visit: RedisVisit, { frames }: Arrived, max: number): boolean {
  const fresh = frames.filter((frame) => countNew(visit, frame) > 0);
  if (fresh.some((frame) => isPartlyStored(visit, frame))) return true;
  const isCostly = max <= 0 || visit.bytes > LONG_CHUNKS * CHUNK_BYTES;
  return isOutOfOrder(visit, fresh) && (!isCostly || fresh.some((frame) => frame.frames !== undefined));
}

/** Quarantines unreadable batches, so that they do not block others. */
async function quarantine(
  site: RecordSite,
  version: string,
  taken: readonly Taken[],
  error: FrameError,
): Promise<Compacted> {
  const commands: RedisCommand[] = [];
  let quarantined = 0;
  for (const one of taken) {
    const good: Buffer[] = [];
    const bad: Buffer[] = [];
    for (const [time, batch] of batchesOf(one)) (isReadableBatch(batch) ? good : bad).push(time, batch);
    if (bad.length === 0) continue;
    quarantined += bad.length / 2;
    // In parts: if a commit failed halfway because a command is too long for Lua, elements would be removed and not put
    // back.
    const key = site.keys.journals[one.shard] as string;
    commands.push(remove(site, one.shard, one.elements));
    for (const some of partsOf(bad)) commands.push(['RPUSH', site.keys.damaged, ...some]);
    for (const some of partsOf(good.toReversed())) commands.push(['LPUSH', key, ...some]);
  }
  if (quarantined === 0)
    throw new StoreError('damaged', `a visit of the site ${site.name} in Redis is damaged: ${error.message}`);
  // Another process may have compacted the same entries, and was faster.
  if (!(await site.redis.commit(site.keys.version, version, commands, true))) return 'busy';
  process.emitWarning(`${quarantined} batches of frames cannot be read and were set aside: ${error.message}`);
  return 'busy';
}
