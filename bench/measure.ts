/** One measurement: a system, its visitors and its administrators. */
import { setTimeout as sleep } from 'node:timers/promises';
import { Loader } from './load/process.ts';
import type { VisitorLoad } from './load/visitors.ts';
import { type SystemName, start, TOKEN } from './systems.ts';
import { cpuSince } from './tree.ts';

export interface Case {
  system: SystemName;
  speak: 'json' | 'v1';
  visitors: number;
  /** Frames per second of each visitor, and samples per frame. */
  rate: number;
  samples: number;
  /** Queries of the streams; the first is checked sample by sample. None: nobody watches. */
  queries: string[];
  seconds: number;
  pages?: number;
  flags?: string[];
}

export interface Outcome {
  frames: number;
  samples: number;
  /** Samples shown by the checked stream; it is to see `share` of them. */
  delivered: number;
  doubled: number;
  /** Events that brought them. */
  events: number;
  resets: number;
  /** CPU of the whole tree, µs. */
  perSample: number;
  perFrame: number;
  /** Latency from a sample's own time to the checked stream's reader, ms. */
  p50: number;
  p99: number;
  max: number;
  /** Share of one core, in percent: of each process of the tree, and of the two sides of the load. */
  shares: number[];
  visitorsShare: number;
  streamsShare: number;
  /** The longest the load generator overslept, ms. */
  lateMs: number;
  closed: number;
  streamBytes: number;
  rssMb: number[];
}

const WARM_UP_S = 2;
/** How long the last samples may take to arrive, ms. */
const SETTLE_MS = 700;

export async function measure(c: Case): Promise<Outcome> {
  const system = await start(c.system, c.flags);
  const visitors = new Loader('visitors');
  const streams = new Loader('streams');
  try {
    const speak = c.system === 'socket.io' ? 'socket.io' : c.speak;
    const load: VisitorLoad = {
      k: 'visitors',
      port: system.port,
      speak,
      visitors: c.visitors,
      rate: c.rate,
      samples: c.samples,
      pages: c.pages ?? 1,
      seed: 1,
    };
    await visitors.ask(load, 'joined');
    const reader = c.system === 'sink' ? 'fieldmouse' : c.system;
    const queries = c.system === 'sink' ? [] : c.queries;
    await streams.ask(
      { k: 'streams', port: system.streamPort, speak: reader, token: TOKEN, queries, samples: c.samples },
      'joined',
    );
    await visitors.ask({ k: 'send', seconds: WARM_UP_S }, 'sent');
    await sleep(SETTLE_MS);
    await streams.ask({ k: 'count' }, 'counted');
    const before = system.tree.cpu();
    const sent = await visitors.ask({ k: 'send', seconds: c.seconds }, 'sent');
    await sleep(SETTLE_MS);
    const cpu = cpuSince(system.tree, before);
    const counted = await streams.ask({ k: 'count' }, 'counted');
    const share = (ms: number) => ms / (10 * c.seconds);
    const samples = sent.frames * c.samples;
    const { delivered, doubled, events, resets, p50, p99, max } = counted;
    return {
      frames: sent.frames,
      samples,
      delivered,
      doubled,
      events,
      resets,
      perSample: (1000 * cpu.all) / samples,
      perFrame: (1000 * cpu.all) / sent.frames,
      p50,
      p99,
      max,
      shares: cpu.each.map(share),
      visitorsShare: share(sent.cpuMs),
      streamsShare: share(counted.cpuMs),
      lateMs: sent.lateMs,
      closed: sent.closed,
      streamBytes: counted.bytes,
      rssMb: [...system.tree.rss().values()].map((kb) => kb / 1024),
    };
  } finally {
    await Promise.all([visitors.end(), streams.end()]);
    await system.stop();
  }
}
