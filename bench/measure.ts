/** One measurement: a system, its visitors and its administrators. */
import { setTimeout as sleep } from 'node:timers/promises';
import { Crowd } from './load/crowd.ts';
import { Loader } from './load/process.ts';
import { type System, type SystemName, start, TOKEN } from './systems.ts';
import { cpuSince, Watch } from './tree.ts';

export interface Case {
  system: Exclude<SystemName, 'http' | 'counter'>;
  speak: 'json' | 'v1';
  visitors: number;
  /** Frames per second of each visitor, and samples per frame. */
  rate: number;
  samples: number;
  /** Queries of the streams; the first is checked sample by sample. Empty: nobody watches. */
  queries: string[];
  seconds: number;
  /** Number of pages over which visitors are spread; the first is `/`. 1 by default. */
  pages?: number;
  /** Number of load processes that share the visitors; 1 by default. */
  loaders?: number;
  /** Visitors follow the pace that the server requests, as trackers do. Otherwise they continue at `rate`. */
  obedient?: boolean;
  flags?: string[];
  /** How long visitors send before the measurement, s; 2 by default. */
  warmUp?: number;
  /** Folder of what is run in place of `dist/`; an earlier version, whose visitors do not tell their last frame. */
  dist?: string;
  shortHello?: boolean;
  /** Runs during the measurement, which waits for it. */
  beside?: (port: number) => Promise<void>;
}

export interface Outcome {
  visitors: number;
  seconds: number;
  frames: number;
  samples: number;
  /** Samples that the checked stream had to show: of all visitors, or of its page. */
  expected: number;
  /** Samples that it has shown. */
  delivered: number;
  doubled: number;
  /** Events that brought them. */
  events: number;
  resets: number;
  /** CPU of the whole tree, µs; per sample that was delivered, if somebody watches. */
  perSample: number;
  perFrame: number;
  /** Latency from a sample's own time to the checked stream's reader, ms. */
  p50: number;
  p99: number;
  max: number;
  /** Share of one core, in percent: of each process of the tree, and of the two sides of the load. */
  shares: number[];
  /** Peak of one process of the tree over any second. */
  busiest: number;
  visitorsShare: number;
  streamsShare: number;
  /** The longest the load generator overslept, ms. */
  lateMs: number;
  closed: number;
  /** Visitors that were still owed an ack some seconds after the end; always 0 where nothing is acked. */
  unacked: number;
  /** The slowest pace of a visitor, ms; 0: the server sets none. */
  slowestMs: number;
  streamBytes: number;
  rssMb: number[];
}

const WARM_UP_S = 2;
/** The pace returns within this: four steps of five calm seconds each, twice as long if the load came back once. */
export const RESTORE_LIMIT_S = 45;
/** How long the last samples may take to arrive, ms. */
export const SETTLE_MS = 700;

export async function measure(c: Case): Promise<Outcome> {
  const system = await start(c.system, c.flags, {}, c.dist);
  const run: Run = {
    system,
    visitors: new Crowd(c.loaders ?? 1),
    streams: new Loader('streams'),
    watch: new Watch(system.tree),
  };
  try {
    await begin(c, run);
    return await take(c, run);
  } finally {
    run.watch.stop();
    await Promise.all([run.visitors.end(), run.streams.end()]);
    await system.stop();
  }
}

interface Run {
  system: System;
  visitors: Crowd;
  streams: Loader;
  watch: Watch;
}

/** Connects everybody, and sends until the system is warm. */
async function begin(c: Case, { system, visitors, streams }: Run): Promise<void> {
  const { rate, samples, pages = 1 } = c;
  const speak = c.system === 'socket.io' ? 'socket.io' : c.speak;
  await visitors.join({
    port: system.port,
    speak,
    visitors: c.visitors,
    rate,
    samples,
    pages,
    obedient: c.obedient ?? false,
    shortHello: c.shortHello ?? false,
  });
  const reader = c.system === 'sink' ? 'fieldmouse' : c.system;
  const queries = c.system === 'sink' ? [] : c.queries;
  await streams.ask({ k: 'streams', port: system.streamPort, speak: reader, token: TOKEN, queries, samples }, 'joined');
  await warmUp(c, visitors);
  await sleep(SETTLE_MS);
  await streams.ask({ k: 'count' }, 'counted');
}

/** Joining is a load, too: visitors that follow the pace send until it has returned. */
async function warmUp({ warmUp = WARM_UP_S, obedient = false, rate, queries }: Case, visitors: Crowd): Promise<void> {
  await visitors.send(warmUp);
  if (!obedient || queries.length === 0) return;
  const interval = 1000 / rate;
  for (let s = 0; s < RESTORE_LIMIT_S && (await visitors.send(1)).flushMs > interval; s++);
}

async function take(c: Case, { system, visitors, streams, watch }: Run): Promise<Outcome> {
  watch.start();
  const before = system.tree.cpu();
  const [sent] = await Promise.all([visitors.send(c.seconds), c.beside?.(system.port)]);
  await sleep(SETTLE_MS);
  watch.stop();
  const cpu = cpuSince(system.tree, before);
  const { cpuMs: streamsMs, bytes, k, open, ...seen } = await streams.ask({ k: 'count' }, 'counted');
  const expected = c.queries[0]?.includes('page=%2F') ? sent.samplesOfFirst : sent.samples;
  // Samples that were not delivered cost nothing, so the cost is per delivered sample.
  const shown = c.queries.length > 0 && c.system !== 'sink' ? seen.delivered / expected : 1;
  const share = (ms: number) => ms / (10 * c.seconds);
  return {
    ...seen,
    visitors: c.visitors,
    seconds: c.seconds,
    frames: sent.frames,
    samples: sent.samples,
    expected,
    perSample: (1000 * cpu.all) / (sent.samples * shown),
    perFrame: (1000 * cpu.all) / sent.frames,
    shares: cpu.each.map(share),
    busiest: watch.busiest,
    visitorsShare: share(sent.cpuMs),
    streamsShare: share(streamsMs),
    lateMs: sent.lateMs,
    closed: sent.closed,
    unacked: c.system === 'fieldmouse' && c.speak === 'v1' ? await visitors.settle() : 0,
    slowestMs: sent.slowestMs,
    streamBytes: bytes,
    rssMb: [...watch.rssMb.values()],
  };
}
