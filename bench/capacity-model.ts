/**
 * How many machines and how much Redis do so many visitors need? Arithmetic only: nothing is measured, drawn or read here. Rates are per
 * second, CPU is µs of one core per second, sizes are bytes. bench/load/fleet.ts plays the same with visitors one by one.
 */
import { SITE_SHARDS } from '../src/store/record/shard.ts';
import type { Constants } from './capacity-constants.ts';

/** Samples a second of a pointer that moves, and between two frames of a visitor, watched and not, s. */
export const SAMPLE_RATE = 60;
export const FLUSH_S = 0.1;
export const QUIET_FLUSH_S = 1;
/** A worker appends so often, s, and a site's frames to so many journals. */
export const GROUP_S = 0.1;
export const SHARDS_OF_SITE = SITE_SHARDS;
/** Primaries write and read so often, s. */
export const TICK_S = 0.016;
/** Visitors of a site whose activity a machine tells in a second, at most. */
export const MAX_ROWS = 1000;
/** What a visitor does that other machines are told of: joins, leaves, and pages and clicks between. */
export const VISIT_EVENTS = 8;
/** A core's µs in a second. */
const CORE = 1_000_000;
const DAY_S = 86_400;

export interface Hardware {
  /** Of a machine. */
  cores: number;
  /** Of a machine, and of a shard of Redis, bytes a second each way. */
  network: number;
  /** Of a shard of Redis, bytes. */
  memory: number;
  /** How much of cores and networks may be in use. */
  use: number;
  /** Copies of each shard. */
  replicas: number;
}

export interface Assumptions {
  visitorsPerSite: number;
  /** Share of the time that a visitor's pointer moves, and how long one motion lasts, s. */
  activity: number;
  motionS: number;
  /** How long a visitor stays, s. */
  stayS: number;
  /** Administrators who look at a site at a time, in the mean of all sites. */
  administratorsPerSite: number;
  /** They come to a site by its visitors to this power: 0 to all alike, 1 as visitors do. */
  bias: number;
  /** How long they look, and how long a site counts as watched after that, s. */
  viewS: number;
  lingerS: number;
  /** Each site is watched all the time, on so many machines; then the four above do not matter. */
  alwaysOn?: number;
  /** Share of a watched site's visitors that are on the page on stage. */
  stage: number;
  /** Open streams of one site on one machine that shows it. */
  streams: number;
  /** How much of the record Redis keeps, s. */
  keptS: number;
}

export const HARDWARE: Hardware = { cores: 16, network: 1.25e9, memory: 32e9, use: 0.5, replicas: 1 };

/** What people do, as far as it can be said for all. */
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

/** Shares of all visitors by Zipf's law: the second site has half as many as the first, the third a third. */
export function zipf(sites: number): number[] {
  const weights = Array.from({ length: sites }, (_, i) => 1 / (i + 1));
  const sum = weights.reduce((a, b) => a + b, 0);
  return weights.map((weight) => weight / sum);
}

/** Frames a second of a visitor that sends so often: a motion of random length is so many frames, rounded up. */
export function frameRate({ activity, motionS }: Pick<Assumptions, 'activity' | 'motionS'>, flushS: number): number {
  if (activity === 1) return 1 / flushS;
  return activity / motionS / (1 - Math.exp(-flushS / motionS));
}

/** Share of the visitors whose pointer moves at any time within so many seconds. */
export function activeShare({ activity, motionS }: Pick<Assumptions, 'activity' | 'motionS'>, seconds: number): number {
  if (activity === 1) return 1;
  const restS = (motionS * (1 - activity)) / activity;
  return 1 - (1 - activity) * Math.exp(-seconds / restS);
}

/** How many of so many boxes are not empty, in the mean, when so many things fall into them. */
export function occupied(boxes: number, things: number): number {
  return boxes * (1 - Math.exp(-things / boxes));
}

/** How a site is watched, in the mean over time. */
export interface Watch {
  /** Share of the time that somebody watches. */
  watched: number;
  /** Share of its text that is written to Redis: what a machine has that others watch. */
  published: number;
  /** How often its text is read from Redis, by machines that watch. Each reads what is written, its own too. */
  read: number;
}

/**
 * Administrators come by chance, and are spread over machines by chance. `sessions`: how many look or have looked a short while ago, in
 * the mean; a machine has none of so many with the chance exp(−sessions / machines).
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

/** Sessions of each site, for `watchOf`. */
export function sessionsOf(shares: readonly number[], a: Assumptions): number[] {
  const weights = shares.map((share) => share ** a.bias);
  const sum = weights.reduce((x, y) => x + y, 0);
  const all = (a.administratorsPerSite * shares.length * (a.viewS + a.lingerS)) / a.viewS;
  return weights.map((weight) => (all * weight) / sum);
}

/** What one site brings, per second. */
export interface Load {
  visitors: number;
  visits: number;
  watchedVisitors: number;
  frames: number;
  samples: number;
  /** Rendered for streams. */
  shown: number;
  /** Of these, read from Redis by machines that watch. */
  shownElsewhere: number;
  appends: number;
  recordBytes: number;
  filedBytes: number;
  liveEntries: number;
  liveBytes: number;
  reads: number;
  readBytes: number;
}

/** Workers of all machines, and how many machines. */
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

/** One for each worker, group and stream of the site that has a frame. */
function appendsOf(frames: number, workers: number): number {
  return (workers / GROUP_S) * occupied(SHARDS_OF_SITE, (frames * GROUP_S) / workers);
}

/** What all machines write of a site that is watched elsewhere: one entry for each machine and tick that has something. */
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

/** What a site, or all of them, asks of Redis. */
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

/** Of one worker, µs, from three rows of the same run: six and sixty samples to a frame, shown and not. */
export function workerCosts(c: Constants) {
  const frame = ((c.unheardUs - c.quietUs) * SAMPLE_RATE) / (1 / FLUSH_S - 1 / QUIET_FLUSH_S);
  const shown = c.watchedUs - c.unheardUs;
  const perFrame = SAMPLE_RATE * FLUSH_S;
  return { frame, shown, sample: c.storingUs - shown - frame / perFrame };
}

/** CPU of all machines: of their workers, and what primaries do for other machines. `redis`: the record is there. */
export function machineCpu(load: Load, redis: boolean, c: Constants): number {
  const { frame, shown, sample } = workerCosts(c);
  const workers = load.frames * frame + load.samples * sample + load.shown * shown + load.visits * c.visitUs;
  if (!redis) return workers;
  const between = load.shownElsewhere * c.readSampleUs + (load.liveEntries + load.reads) * c.entryUs;
  return workers + load.appends * c.appendUs + between;
}

/** Bytes that all machines take in and send, of visitors and of Redis. A machine that shows a site has one stream of it. */
export function machineNetwork(load: Load, redis: boolean, c: Constants): { in: number; out: number } {
  const visitors = load.frames * (c.wireBytes + c.frameBytes) + load.samples * c.recordSampleBytes;
  const acks = load.frames * c.wireBytes;
  const streams = (redis ? load.shownElsewhere : load.shown) * c.shownSampleBytes;
  if (!redis) return { in: visitors, out: acks + streams };
  const { recordBytes, filedBytes, liveBytes, readBytes } = load;
  return { in: visitors + recordBytes + readBytes, out: acks + streams + recordBytes + filedBytes + liveBytes };
}

/** Of the primary of a machine that shows a site, and reads what all others tell of it. */
export function primaryCpu(visitors: number, fleet: Fleet, a: Assumptions, c: Constants): number {
  const entries = fleet.machines === 1 ? 0 : liveOf(visitors, fleet, a, c).entries;
  const shown = visitors * a.activity * SAMPLE_RATE * a.stage;
  return shown * (c.readSampleUs + (a.streams - 1) * c.subscriberSampleUs) + entries * c.entryUs;
}

export interface Capacity {
  visitors: number;
  machines: number;
  load: Load;
  /** µs of CPU, and bytes a second of the busier way. */
  cpu: number;
  network: number;
  redis: RedisLoad;
  /** Shards by what they must bear; as many are needed as the most of these. */
  shards: Record<'cpu' | 'network' | 'memory', number>;
  /** The largest site: what it asks of one shard, and of the primary that shows it. */
  largest: { visitors: number; redis: RedisLoad; primary: number };
  /** How long the shards that the CPU asks for keep the record, s. */
  keptS: number;
  /** How much of what one machine and one shard can bear is asked; 1: all of it. */
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

/** What so many visitors need. As machines change how much is written at once, it is reckoned until their number stays. */
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

/** The sum of sites. */
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

/** How much of one shard that is. */
export function redisNeeds(redis: RedisLoad, { network, use, memory }: Hardware) {
  return {
    'Redis CPU': redis.cpu / (CORE * use),
    'Redis network': Math.max(redis.in, redis.out) / (network * use),
    'Redis memory': redis.memory / memory,
  };
}

/** What is asked for most, if there were one machine and one shard, and then the next. With one machine Redis need not be there. */
export function bottlenecks({ needs, machines }: Capacity): Resource[] {
  return RESOURCES.filter((resource) => machines > 1 || !resource.startsWith('Redis')).sort(
    (a, b) => needs[b] - needs[a],
  );
}

/** What limits one site: all of it is on one shard, and one primary shows it. */
export const SITE_LIMITS = ['Redis CPU', 'Redis network', 'Redis memory', 'primary of the largest site'] as const;
export type SiteLimit = (typeof SITE_LIMITS)[number];

/** The most visitors that one site may have, by each limit. `watched`: all the time, on two machines. */
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

/** The largest number for which something holds that holds for all smaller ones; infinite beyond 10¹². */
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
