/**
 * What does it cost to watch from another node? Two servers on this machine share a Redis. The visitors of one are
 * watched on the same server, or on the other. The baseline, in the same run, is a server without Redis.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { startRedis } from '../test/support/redis.ts';
import type { Length } from './engine.ts';
import { spread, spreadText, type Table } from './figures.ts';
import { Crowd } from './load/crowd.ts';
import { Loader } from './load/process.ts';
import { SETTLE_MS } from './measure.ts';
import { type System, start, TOKEN } from './systems.ts';
import { cpuMs, cpuSince } from './tree.ts';

const VISITORS = 500;
/** Frames a second of each visitor, and samples in each. */
const RATE = 10;
const SAMPLES = 6;
const WARM_UP_S = 3;
/** Maximum additional delay of a sample on another node, p99, milliseconds. */
const MAX_LONGER_MS = 100;

/** Where the stream is: on the only server, on that of the visitors, or on the other. */
const SETTINGS = [
  'one node, no Redis',
  'two nodes, watched on their own node',
  'two nodes, watched from the other node',
] as const;
type Setting = (typeof SETTINGS)[number];

interface Outcome {
  /** CPU of all processes, of the primaries and of Redis, µs per sample. */
  trees: number;
  primaries: number;
  redis: number;
  /** Bytes that the visitors' machine wrote to Redis for others, of each visitor in a second. */
  bytes: number;
  p50: number;
  p99: number;
  missing: number;
  doubled: number;
  resets: number;
}

/** Stops what was started, in reverse order. */
class Ending {
  readonly #ends: (() => unknown)[] = [];

  after(end: () => unknown): void {
    this.#ends.unshift(end);
  }

  async all(): Promise<void> {
    for (const end of this.#ends) await end();
  }
}

export async function machines({ runs, seconds }: Length): Promise<Table> {
  const outcomes = new Map<Setting, Outcome[]>(SETTINGS.map((setting) => [setting, []]));
  for (let run = 0; run < runs; run++)
    for (const setting of SETTINGS) outcomes.get(setting)?.push(await measureOne(setting, seconds));
  return tableOf(outcomes);
}

async function measureOne(setting: Setting, seconds: number): Promise<Outcome> {
  const ending = new Ending();
  try {
    return await take(setting, seconds, ending);
  } finally {
    await ending.all();
  }
}

async function take(setting: Setting, seconds: number, ending: Ending): Promise<Outcome> {
  const isAlone = setting === 'one node, no Redis';
  const redis = isAlone ? undefined : await startRedis(ending as never, ['--appendonly', 'no']);
  const systems: System[] = [];
  for (let i = 0; i < (isAlone ? 1 : 2); i++) {
    const system = await start('fieldmouse', redis ? ['--redis', redis.url, '--workers', '1'] : ['--workers', '1']);
    ending.after(() => system.stop());
    systems.push(system);
  }
  const [first, last] = [systems[0] as System, systems.at(-1) as System];
  const watched = setting === 'two nodes, watched on their own node' ? first : last;
  const [visitors, streams] = [new Crowd(1), new Loader('streams')];
  ending.after(() => Promise.all([visitors.end(), streams.end()]));
  const load = { visitors: VISITORS, rate: RATE, samples: SAMPLES, pages: 1, obedient: false };
  await visitors.join({ ...load, port: first.port, speak: 'v1' });
  const query = { token: TOKEN, queries: ['moves=full'], samples: SAMPLES };
  await streams.ask({ ...query, k: 'streams', port: watched.port, speak: 'fieldmouse' }, 'joined');
  await visitors.send(WARM_UP_S);
  await sleep(SETTLE_MS);
  await streams.ask({ k: 'count' }, 'counted');
  const before = systems.map(({ tree }) => tree.cpu());
  const redisBefore = redis ? cpuMs(redis.process.pid as number) : 0;
  const bytesBefore = await bytesOut(first);
  const sent = await visitors.send(seconds);
  await sleep(SETTLE_MS);
  const costs = systems.map(({ tree }, i) => cpuSince(tree, before[i] as Map<number, number>));
  const redisMs = redis ? cpuMs(redis.process.pid as number) - redisBefore : 0;
  const bytes = (await bytesOut(first)) - bytesBefore;
  const { delivered, doubled, resets, p50, p99 } = await streams.ask({ k: 'count' }, 'counted');
  const perSample = (ms: number) => (1000 * ms) / sent.samples;
  return {
    trees: perSample(costs.reduce((sum, { all }) => sum + all, 0)),
    primaries: perSample(costs.reduce((sum, { each }) => sum + (each[0] as number), 0)),
    redis: perSample(redisMs),
    bytes: bytes / VISITORS / seconds,
    p50,
    p99,
    missing: sent.samples - delivered,
    doubled,
    resets,
  };
}

/** Returns what a server has written for others so far. */
async function bytesOut({ port }: System): Promise<number> {
  const text = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
  return Number(/^fieldmouse_machines_bytes_total\{reason="out"\} (\S+)$/m.exec(text)?.[1]);
}

function tableOf(outcomes: ReadonlyMap<Setting, readonly Outcome[]>): Table {
  const figures: [string, (one: Outcome) => number, digits: number][] = [
    ['CPU of all processes, µs per sample', ({ trees }) => trees, 2],
    ['CPU of the primaries, µs per sample', ({ primaries }) => primaries, 2],
    ['CPU of Redis, µs per sample', ({ redis }) => redis, 2],
    ['bytes to Redis, per visitor and second', ({ bytes }) => bytes, 0],
    ['from sample to stream, p50, ms', ({ p50 }) => p50, 0],
    ['from sample to stream, p99, ms', ({ p99 }) => p99, 0],
    ['samples missing', ({ missing }) => missing, 0],
    ['samples duplicated', ({ doubled }) => doubled, 0],
    ['resets', ({ resets }) => resets, 0],
  ];
  const text = (pick: (one: Outcome) => number, digits: number) =>
    SETTINGS.map((setting) => spreadText(spread((outcomes.get(setting) ?? []).map(pick)), digits));
  const [alone, , other] = SETTINGS.map((setting) => outcomes.get(setting) ?? []) as [Outcome[], Outcome[], Outcome[]];
  const p99 = (of: Outcome[]) => spread(of.map((one) => one.p99)).median;
  const longer = p99(other) - p99(alone);
  const lost = other.reduce((sum, { missing, doubled, resets }) => sum + missing + doubled + resets, 0);
  return {
    title: 'Machines',
    text: `${VISITORS} visitors at ${RATE * SAMPLES} samples a second each, one stream at \`moves=full\`; one worker per node, and a Redis between the nodes.`,
    head: ['', ...SETTINGS],
    rows: figures.map(([name, pick, digits]) => [name, ...text(pick, digits)]),
    targets: [
      {
        what: 'additional p99 from the other node',
        wanted: `at most ${MAX_LONGER_MS} ms`,
        got: `${longer.toFixed(0)} ms`,
        met: longer <= MAX_LONGER_MS,
      },
      {
        what: 'every sample delivered once to the other node',
        wanted: '0 missing or duplicated, no reset',
        got: String(lost),
        met: lost === 0,
      },
    ],
  };
}
