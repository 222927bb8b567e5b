/**
 * The capacity model: how many machines and how much Redis does a number of visitors need? It only calculates: it
 * measures nothing and uses no random numbers. Rates are per second, CPU is µs of one core per second, sizes are bytes.
 * bench/load/fleet.ts simulates the same with individual visitors.
 */
import { SITE_SHARDS } from '../src/store/record/shard.ts';
import type { Constants } from './capacity-constants.ts';

/** Samples per second of a moving pointer. */
export const SAMPLE_RATE = 60;
/** Time between two frames of a watched visitor, and of one that is not watched, s. */
export const FLUSH_S = 0.1;
export const QUIET_FLUSH_S = 1;
/** Time between two appends of a worker, s. */
export const GROUP_S = 0.1;
/** Number of journals of a site. */
export const SHARDS_OF_SITE = SITE_SHARDS;
/** Time between two writes, and between two reads, of a primary, s. */
export const TICK_S = 0.016;
/** Maximum number of a site's visitors whose activity a machine reports each second. */
export const MAX_ROWS = 1000;
/** Events of a visit that are sent to other machines: join, leave, and the pages and clicks in between. */
export const VISIT_EVENTS = 8;
/** µs of CPU time of one core per second. */
const CORE = 1_000_000;
const DAY_S = 86_400;

export interface Hardware {
  /** Number of cores of a machine. */
  cores: number;
  /** Bandwidth of a machine, and of a Redis shard, bytes per second in each direction. */
  network: number;
  /** Memory of a Redis shard, bytes. */
  memory: number;
  /** Maximum share of the cores and networks that may be in use. */
  use: number;
  /** Number of replicas of each shard. */
  replicas: number;
}

export interface Assumptions {
  visitorsPerSite: number;
  /** Share of the time that a visitor's pointer moves, and how long one motion lasts, s. */
  activity: number;
  motionS: number;
  /** How long a visitor stays, s. */
  stayS: number;
  /** Mean number of administrators who watch a site at a time. */
  administratorsPerSite: number;
  /**
   * The chance of a site to be watched grows with its visitors to this power. 0: all sites are equal, 1: proportional.
   */
  bias: number;
  /** How long administrators watch a site, and how long it counts as watched after that, s. */
  viewS: number;
  lingerS: number;
  /** If set, each site is always watched on this number of machines, and the four values above have no effect. */
  alwaysOn?: number;
  /** Share of a watched site's visitors that are on the page shown on the stage. */
  stage: number;
  /** Number of open streams of a site on each machine that shows it. */
  streams: number;
  /** How long Redis stores the record, s. */
  keptS: number;
}

export const HARDWARE: Hardware = { cores: 16, network: 1.25e9, memory: 32e9, use: 0.5, replicas: 1 };

/** Typical behaviour of visitors and administrators. */
export const TYPICAL: Assumptions = {
  visitorsPerSite: 100,
  activity: 0.1,
  motionS: 2,
  stayS: 180,
  administratorsPerSite: 0.05,
  bias: 0.5,
  viewS: 300,
  lingerS: 30,
  stage: 0.2,
  streams: 10,
  keptS: DAY_S,
};

/** Every pointer moves all the time, every site is watched on two machines, every move is shown. */
export const WORST: Assumptions = { ...TYPICAL, activity: 1, alwaysOn: 2, stage: 1 };

/**
 * Returns each site's share of the visitors by Zipf's law: the second site has half as many as the first, the third a
 * third.
 */
export function zipf(sites: number): number[] {
  const weights = Array.from({ length: sites }, (_, i) => 1 / (i + 1));
  const sum = weights.reduce((a, b) => a + b, 0);
  return weights.map((weight) => weight / sum);
}

/**
 * Returns the mean number of frames per second that one visitor sends. It sends a frame every `flushS` seconds, but
 * only while its pointer moves. Motions have random lengths. The last frame of a motion is sent even if the motion
 * fills only a part of it.
 */
export function frameRate({ activity, motionS }: Pick<Assumptions, 'activity' | 'motionS'>, flushS: number): number {
  if (activity === 1) return 1 / flushS;
  return activity / motionS / (1 - Math.exp(-flushS / motionS));
}

/** Returns the share of the visitors whose pointer moves at some time within `seconds`. */
export function activeShare({ activity, motionS }: Pick<Assumptions, 'activity' | 'motionS'>, seconds: number): number {
  if (activity === 1) return 1;
  const restS = (motionS * (1 - activity)) / activity;
  return 1 - (1 - activity) * Math.exp(-seconds / restS);
}

/** Returns the mean number of boxes that are not empty after `things` were dropped into `boxes` at random. */
export function occupied(boxes: number, things: number): number {
  return boxes * (1 - Math.exp(-things / boxes));
}

/** How a site is watched, averaged over time. */
export interface Watch {
  /** Share of the time in which somebody watches the site. */
  watched: number;
  /** Share of its live data that is written to Redis, because another machine watches the site. */
  published: number;
  /** How many times its live data is read from Redis. Each watching machine reads all of it, including its own. */
  read: number;
}

/**
 * Administrators arrive at random and are spread over the machines at random. `sessions`: mean number of administrators
 * who watch or have watched a moment ago. The probability that a machine has none of them is exp(−sessions / machines).
 */
export function watchOf(sessions: number, machines: number): Watch {
  const here = 1 - Math.exp(-sessions / machines);
  const elsewhere = 1 - Math.exp((-sessions * (machines - 1)) / machines);
  return { watched: 1 - Math.exp(-sessions), published: elsewhere, read: here * (machines - 1 + elsewhere) };
}

function alwaysWatched(on: number, machines: number): Watch {
  if (machines === 1) return { watched: 1, published: 0, read: 0 };
  const readers = Math.min(on, machines);
  const published = readers > 1 ? 1 : (machines - 1) / machines;
  return { watched: 1, published, read: readers * published };
}

/** Returns the `sessions` of each site, for `watchOf`. */
export function sessionsOf(shares: readonly number[], a: Assumptions): number[] {
  const weights = shares.map((share) => share ** a.bias);
  const sum = weights.reduce((x, y) => x + y, 0);
  const all = (a.administratorsPerSite * shares.length * (a.viewS + a.lingerS)) / a.viewS;
  return weights.map((weight) => (all * weight) / sum);
}

/** The load of one site, per second. */
export interface Load {
  visitors: number;
  visits: number;
  watchedVisitors: number;
  frames: number;
  samples: number;
  /** Samples that are rendered for streams. */
  shown: number;
  /** Rendered samples that are read from Redis by watching machines. */
  shownElsewhere: number;
  appends: number;
  recordBytes: number;
  filedBytes: number;
  liveEntries: number;
  liveBytes: number;
  reads: number;
  readBytes: number;
}

/** Number of machines, and of workers on all of them. */
export interface Fleet {
  machines: number;
  workers: number;
}

export function siteLoad(visitors: number, watch: Watch, fleet: Fleet, a: Assumptions, c: Constants): Load {
  const [fast, slow] = [frameRate(a, FLUSH_S), frameRate(a, QUIET_FLUSH_S)];
  const { watched, published, read } = watch;
  const frames = visitors * (watched * fast + (1 - watched) * slow);
  const samples = visitors * a.activity * SAMPLE_RATE;
  const staged = samples * a.stage;
  const live = liveOf(visitors, fleet, a, c);
  return {
    visitors,
    visits: visitors / a.stayS,
    watchedVisitors: visitors * watched,
    frames,
    samples,
    shown: staged * watched,
    shownElsewhere: staged * read,
    appends:
      watched * appendsOf(visitors * fast, fleet.workers) + (1 - watched) * appendsOf(visitors * slow, fleet.workers),
    recordBytes: frames * c.recordFrameBytes + samples * c.recordSampleBytes,
    filedBytes: samples * c.filedSampleBytes,
    liveEntries: published * live.entries,
    liveBytes: published * live.bytes,
    reads: read * live.entries,
    readBytes: read * live.bytes,
  };
}

/** Returns the appends per second: one for each worker, interval and journal of the site with at least one frame. */
function appendsOf(frames: number, workers: number): number {
  return (workers / GROUP_S) * occupied(SHARDS_OF_SITE, (frames * GROUP_S) / workers);
}

/**
 * Returns what all machines write about a site that is watched elsewhere: one entry for each machine and tick with
 * something to write.
 */
function liveOf(visitors: number, { machines }: Fleet, a: Assumptions, c: Constants) {
  const frames = visitors * frameRate(a, FLUSH_S) * a.stage;
  const events = (visitors / a.stayS) * VISIT_EVENTS;
  const active = visitors * activeShare(a, 1);
  const seconds = machines * occupied(1, active / machines);
  const entries = machines * occupied(1 / TICK_S, (frames + events) / machines) + seconds;
  const moves = frames * c.shownFrameBytes + visitors * a.activity * SAMPLE_RATE * a.stage * c.shownSampleBytes;
  const rows = Math.min(active, MAX_ROWS * machines);
  const told = events * (c.visitEventBytes / VISIT_EVENTS) + rows * c.rowBytes;
  return { entries, bytes: moves + told + entries * c.entryBytes };
}

/** The load of Redis by one site, or by all. */
export interface RedisLoad {
  cpu: number;
  in: number;
  out: number;
  memory: number;
}

export function redisLoad(load: Load, a: Assumptions, { replicas }: Hardware, c: Constants): RedisLoad {
  const written = load.recordBytes + load.filedBytes + load.liveBytes;
  const record =
    load.appends * c.redisAppendUs +
    load.frames * c.redisFrameUs +
    load.samples * c.redisSampleUs +
    load.visits * c.redisVisitUs;
  const live = load.liveEntries * c.redisLiveUs + load.reads * c.redisReadUs + load.readBytes * c.redisReadByteUs;
  return {
    cpu: record + live + written * c.redisByteUs,
    in: written,
    out: load.recordBytes + load.readBytes + written * replicas,
    memory: (load.samples * c.keptSampleBytes + load.visits * c.keptVisitBytes) * a.keptS,
  };
}

/**
 * Returns the costs in a worker, µs, from rows of the same run: six and sixty samples per frame, shown and not shown.
 */
export function workerCosts(c: Constants) {
  const frame = ((c.unheardUs - c.quietUs) * SAMPLE_RATE) / (1 / FLUSH_S - 1 / QUIET_FLUSH_S);
  const shown = c.watchedUs - c.unheardUs;
  const perFrame = SAMPLE_RATE * FLUSH_S;
  return { frame, shown, sample: c.storingUs - shown - frame / perFrame };
}

/**
 * Returns the CPU of all machines: of the workers, and of primaries for other machines. `redis`: the record is in
 * Redis.
 */
export function machineCpu(load: Load, redis: boolean, c: Constants): number {
  const { frame, shown, sample } = workerCosts(c);
  const workers = load.frames * frame + load.samples * sample + load.shown * shown + load.visits * c.visitUs;
  if (!redis) return workers;
  const between = load.shownElsewhere * c.readSampleUs + (load.liveEntries + load.reads) * c.entryUs;
  return workers + load.appends * c.appendUs + between;
}

/**
 * Returns the bytes that all machines receive and send, to and from visitors and Redis. It counts one stream on each
 * machine that shows a site.
 */
export function machineNetwork(load: Load, redis: boolean, c: Constants): { in: number; out: number } {
  const visitors = load.frames * (c.wireBytes + c.frameBytes) + load.samples * c.recordSampleBytes;
  const acks = load.frames * c.wireBytes;
  const streams = (redis ? load.shownElsewhere : load.shown) * c.shownSampleBytes;
  if (!redis) return { in: visitors, out: acks + streams };
  const { recordBytes, filedBytes, liveBytes, readBytes } = load;
  return { in: visitors + recordBytes + readBytes, out: acks + streams + recordBytes + filedBytes + liveBytes };
}

/** Returns the CPU of a primary whose machine shows a site, and which reads the site's data from all other machines. */
export function primaryCpu(visitors: number, fleet: Fleet, a: Assumptions, c: Constants): number {
  const entries = fleet.machines === 1 ? 0 : liveOf(visitors, fleet, a, c).entries;
  const shown = visitors * a.activity * SAMPLE_RATE * a.stage;
  return shown * (c.readSampleUs + (a.streams - 1) * c.subscriberSampleUs) + entries * c.entryUs;
}

export interface Capacity {
  visitors: number;
  machines: number;
  load: Load;
  /** µs of CPU, and bytes per second in the busier direction. */
  cpu: number;
  network: number;
  redis: RedisLoad;
  /** Number of shards that each resource needs. The largest of them is the number of shards to run. */
  shards: Record<'cpu' | 'network' | 'memory', number>;
  /** The largest site: its load on one shard, and on the primary that shows it. */
  largest: { visitors: number; redis: RedisLoad; primary: number };
  /** How long the record fits into the shards that are needed for their CPU, s. */
  keptS: number;
  /** The load relative to the capacity of one machine or one shard; 1: exactly its capacity. */
  needs: Record<Resource, number>;
}

export const RESOURCES = [
  'machine CPU',
  'machine network',
  'machine connections',
  'primary of the largest site',
  'Redis CPU',
  'Redis network',
  'Redis memory',
] as const;
export type Resource = (typeof RESOURCES)[number];

/**
 * Returns what a number of visitors needs. The number of machines affects how much each write contains, so the
 * calculation is repeated until the number does not change.
 */
export function capacity(visitors: number, a: Assumptions, hardware: Hardware, c: Constants): Capacity {
  let machines = 1;
  for (let i = 0; i < 20; i++) {
    const wanted = machinesFor(loads(visitors, machines, a, hardware, c), machines > 1, hardware, c);
    if (wanted <= machines) break;
    machines = wanted;
  }
  return describe(visitors, machines, a, hardware, c);
}

function machinesFor(sites: Load[], redis: boolean, { cores, network, use }: Hardware, c: Constants): number {
  const all = total(sites);
  const bytes = machineNetwork(all, redis, c);
  return Math.max(
    Math.ceil(machineCpu(all, redis, c) / (cores * CORE * use)),
    Math.ceil(Math.max(bytes.in, bytes.out) / (network * use)),
    Math.ceil(all.visitors / (cores * c.connections)),
  );
}

function loads(visitors: number, machines: number, a: Assumptions, hardware: Hardware, c: Constants): Load[] {
  const shares = zipf(Math.max(1, Math.round(visitors / a.visitorsPerSite)));
  const sessions = sessionsOf(shares, a);
  const fleet = { machines, workers: machines * hardware.cores };
  const watch = (i: number) =>
    a.alwaysOn === undefined ? watchOf(sessions[i] as number, machines) : alwaysWatched(a.alwaysOn, machines);
  return shares.map((share, i) => siteLoad(visitors * share, watch(i), fleet, a, c));
}

/** Returns the sum of the loads. */
export function total(sites: readonly Load[]): Load {
  const sum = { ...(sites[0] as Load) };
  const keys = Object.keys(sum) as (keyof Load)[];
  for (let i = 1; i < sites.length; i++) for (const key of keys) sum[key] += (sites[i] as Load)[key];
  return sum;
}

function describe(visitors: number, machines: number, a: Assumptions, hardware: Hardware, c: Constants): Capacity {
  const sites = loads(visitors, machines, a, hardware, c);
  const load = total(sites);
  const isShared = machines > 1;
  const cpu = machineCpu(load, isShared, c);
  const bytes = machineNetwork(load, isShared, c);
  const network = Math.max(bytes.in, bytes.out);
  const redis = redisLoad(load, a, hardware, c);
  const first = sites[0] as Load;
  const largest = {
    visitors: first.visitors,
    redis: redisLoad(first, a, hardware, c),
    primary: primaryCpu(first.visitors, { machines, workers: machines * hardware.cores }, a, c),
  };
  const needs = {
    'machine CPU': cpu / (hardware.cores * CORE * hardware.use),
    'machine network': network / (hardware.network * hardware.use),
    'machine connections': visitors / (hardware.cores * c.connections),
    'primary of the largest site': largest.primary / (CORE * hardware.use),
    ...redisNeeds(redis, hardware),
  };
  const shards = {
    cpu: Math.ceil(needs['Redis CPU']),
    network: Math.ceil(needs['Redis network']),
    memory: Math.ceil(needs['Redis memory']),
  };
  const keptS = (a.keptS * shards.cpu) / needs['Redis memory'];
  return { visitors, machines, load, cpu, network, redis, shards, largest, keptS, needs };
}

/** Returns the load relative to the capacity of one shard. */
export function redisNeeds(redis: RedisLoad, { network, use, memory }: Hardware) {
  return {
    'Redis CPU': redis.cpu / (CORE * use),
    'Redis network': Math.max(redis.in, redis.out) / (network * use),
    'Redis memory': redis.memory / memory,
  };
}

/** Returns the resources, the most loaded first, relative to one machine and one shard. One machine needs no Redis. */
export function bottlenecks({ needs, machines }: Capacity): Resource[] {
  return RESOURCES.filter((resource) => machines > 1 || !resource.startsWith('Redis')).sort(
    (a, b) => needs[b] - needs[a],
  );
}

/** The limits of one site: all of its data is on one shard, and one primary shows it. */
export const SITE_LIMITS = ['Redis CPU', 'Redis network', 'Redis memory', 'primary of the largest site'] as const;
export type SiteLimit = (typeof SITE_LIMITS)[number];

/** Returns the maximum number of visitors of one site, by limit. `watched`: always watched on two machines. */
export function largestSite(
  watched: boolean,
  a: Assumptions,
  hardware: Hardware,
  c: Constants,
): Record<SiteLimit, number> {
  const most = (limit: SiteLimit) => largestWhere((n) => (siteNeeds(n, watched, a, hardware, c)[limit] ?? 0) <= 1);
  return Object.fromEntries(SITE_LIMITS.map((limit) => [limit, most(limit)])) as Record<SiteLimit, number>;
}

function siteNeeds(visitors: number, watched: boolean, a: Assumptions, hardware: Hardware, c: Constants) {
  const watch = watched ? alwaysWatched(2, 2) : { watched: 0, published: 0, read: 0 };
  let machines = 2;
  const fleet = () => ({ machines, workers: machines * hardware.cores });
  const load = () => siteLoad(visitors, watch, fleet(), a, c);
  for (let i = 0; i < 20; i++) machines = Math.max(machines, machinesFor([load()], true, hardware, c));
  const site = load();
  return {
    ...redisNeeds(redisLoad(site, a, hardware, c), hardware),
    'primary of the largest site': watched ? primaryCpu(visitors, fleet(), a, c) / (CORE * hardware.use) : 0,
  };
}

/**
 * Returns the largest number for which `holds` returns true; it must also be true for all smaller numbers. Returns
 * infinity beyond 10¹².
 */
function largestWhere(holds: (n: number) => boolean): number {
  let [low, high] = [0, 1];
  while (holds(high)) {
    if (high > 1e12) return Number.POSITIVE_INFINITY;
    [low, high] = [high, 2 * high];
  }
  while (high - low > 1) {
    const middle = Math.floor((low + high) / 2);
    if (holds(middle)) low = middle;
    else high = middle;
  }
  return low;
}
