/**
 * What does the server do under too much load? One worker is limited to part of a core and gets more samples than it
 * can handle; then most visitors leave. The server should slow visitors down instead of failing, and return to the
 * configured pace afterwards.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { StreamEvents } from '../src/protocol/stream-event.ts';
import { limitCpu } from './cpu-limit.ts';
import type { Length } from './engine.ts';
import type { Table, Target } from './figures.ts';
import { Crowd } from './load/crowd.ts';
import type { Report, SentReport } from './load/messages.ts';
import { Loader } from './load/process.ts';
import { Rates } from './load/rates.ts';
import { RESTORE_LIMIT_S, SETTLE_MS } from './measure.ts';
import { start, TOKEN } from './systems.ts';
import { cpuMs, Watch } from './tree.ts';

const VISITORS = 4000;
/** The worker gets this share of the CPU that it used before. */
const SHARE = 0.7;
/** How long that is measured, seconds: a busy worker lowers the pace after two. */
const NEED_S = 1.5;
/** The pace by default. */
const FLUSH_MS = 100;
const SAMPLE_MS = 16;
const SAMPLES = Math.floor(FLUSH_MS / SAMPLE_MS);
/**
 * How long the pace may take to return after all visitors have joined, seconds. They answer no ping, and are silent
 * meanwhile: after 15 s they could be cut.
 */
const CALM_S = 12;
/** The first stream is checked, and sees one page of twenty. */
const PAGES = 20;
const QUERIES = ['page=%2F&moves=full', 'moves=latest'];
/** The visitors that leave at the end. */
const LEAVING = 0.9;
/** What was taken last is told within this, milliseconds. */
const REPORT_MS = 2500;
/** The server fails above these limits: delay of samples, ms, and memory of a process, MB. */
const LATE_MS = 1000;
const LARGE_MB = 512;

type Counted = Extract<Report, { k: 'counted' }>;
type Seconds = StreamEvents['rates'][];

/** One part of the run. */
interface Phase {
  /** Each second. */
  sent: SentReport[];
  counted: Counted;
  /** What the dashboard was told of it. */
  rates: Seconds;
}

interface Story {
  slowing: Phase;
  settled: Phase;
  /** Samples sent from first to last, and those that the server says it has taken. */
  sent: number;
  taken: number;
  unacked: number;
  /** After the load ended, seconds; undefined: not within the limit. */
  restoredS: number | undefined;
  restoring: Omit<Phase, 'counted'>;
  /** The share of a core that the worker had, 0 to 1. */
  share: number;
  rssMb: number[];
}

export async function pace({ seconds }: Length): Promise<Table> {
  const system = await start('fieldmouse', ['--workers=1', `--flush=${FLUSH_MS}`, `--sample=${SAMPLE_MS}`]);
  const crowd = new Crowd(1);
  const streams = new Loader('streams');
  const watch = new Watch(system.tree);
  const rates = await Rates.open(system.port, TOKEN);
  let removeLimit: (() => void) | undefined;
  try {
    const { port } = system;
    const load = { port, speak: 'v1', visitors: VISITORS, rate: 1000 / FLUSH_MS, samples: SAMPLES } as const;
    await crowd.join({ ...load, pages: PAGES, obedient: true });
    await streams.ask(
      { k: 'streams', port, speak: 'fieldmouse', token: TOKEN, queries: QUERIES, samples: SAMPLES },
      'joined',
    );
    await untilCalm(crowd);
    const worker = system.tree.pids()[1] as number;
    const need = await needOf(worker, crowd);
    await crowd.settle();
    await sleep(REPORT_MS);
    const share = SHARE * need;
    removeLimit = limitCpu(worker, share);
    await streams.ask({ k: 'count' }, 'counted');
    rates.seconds.length = 0;
    watch.start();
    return table(await drive(crowd, streams, rates, watch, seconds, share));
  } finally {
    watch.stop();
    rates.close();
    try {
      await Promise.all([crowd.end(), streams.end()]);
      await system.stop();
    } finally {
      removeLimit?.();
    }
  }
}

/** Joining is a load, too. */
async function untilCalm(crowd: Crowd): Promise<void> {
  for (let s = 0; s < CALM_S && (await crowd.send(0)).flushMs !== FLUSH_MS; s++) await sleep(1000);
}

/**
 * Resolves with the share of a core that a worker uses for all of the load, 0 to 1. On a slow machine the pace may be
 * lower already: the load at the full pace needs even more.
 */
async function needOf(worker: number, crowd: Crowd): Promise<number> {
  const before = cpuMs(worker);
  await crowd.send(NEED_S);
  return (cpuMs(worker) - before) / (1000 * NEED_S);
}

/** Over the limit, settled there, and relieved. */
async function drive(
  crowd: Crowd,
  streams: Loader,
  rates: Rates,
  watch: Watch,
  seconds: number,
  share: number,
): Promise<Story> {
  const phase = async (whatElse?: () => Promise<void>): Promise<Phase> => {
    const from = rates.seconds.length;
    const sent: SentReport[] = [];
    while (sent.length < seconds) sent.push(await crowd.send(1));
    await whatElse?.();
    return { sent, counted: await streams.ask({ k: 'count' }, 'counted'), rates: rates.seconds.slice(from) };
  };
  const slowing = await phase();
  let unacked = 0;
  let relieved = 0;
  const settled = await phase(async () => {
    relieved = performance.now();
    unacked = await crowd.settle();
    await sleep(SETTLE_MS);
  });
  const from = rates.seconds.length;
  await crowd.leave(LEAVING);
  const elapsed = () => (performance.now() - relieved) / 1000;
  const sent: SentReport[] = [];
  do sent.push(await crowd.send(1));
  while (rates.flushMs !== FLUSH_MS && elapsed() < RESTORE_LIMIT_S);
  const restoredS = rates.flushMs === FLUSH_MS ? elapsed() : undefined;
  const restoring = { sent, rates: rates.seconds.slice(from) };
  unacked += await crowd.settle();
  await sleep(REPORT_MS);
  return {
    slowing,
    settled,
    sent: sum([slowing, settled, restoring], samplesOf),
    taken: rates.seconds.reduce((sum, { samples }) => sum + samples, 0),
    unacked,
    restoredS,
    restoring,
    share,
    rssMb: [...watch.rssMb.values()],
  };
}

function table(story: Story): Table {
  const { slowing, settled, restoring } = story;
  const offered = VISITORS * (1000 / FLUSH_MS) * SAMPLES;
  const phases = [slowing, settled];
  const all = [slowing, settled, restoring];
  const gaveWay = sum(phases, ({ sent, counted }) => sum(sent, (s) => s.samplesOfFirst) - counted.delivered);
  const bySecond = (of: (s: SentReport) => number) => all.map(({ sent }) => sent.map(of).join(' ')).join(' · ');
  const busy = slowing.sent.length + settled.sent.length;
  const rows = {
    'samples/s offered, until most visitors leave': String(offered),
    'samples/s sent, second by second': bySecond((s) => s.samples),
    'samples/s accepted, second by second': all.map((one) => one.rates.map((s) => s.samples).join(' ')).join(' · '),
    'flush interval requested, ms, second by second': bySecond((s) => s.flushMs),
    'sample interval requested, ms, second by second': bySecond((s) => s.sampleMs),
    'latency during the slowdown: p50 / p99 / max, ms': latency(slowing),
    'latency settled: p50 / p99 / max, ms': latency(settled),
    'moves of the watched page: shown, dropped, duplicated': [
      sum(phases, ({ counted }) => counted.delivered),
      gaveWay,
      sum(phases, ({ counted }) => counted.doubled),
    ].join(', '),
    'peak memory: primary, worker, MB': story.rssMb.map((mb) => mb.toFixed(0)).join(', '),
    'load generator, %': (sum(phases, ({ sent }) => sum(sent, (s) => s.cpuMs)) / (10 * busy)).toFixed(0),
    'longest delay of the load generator, ms': Math.max(
      ...phases.flatMap(({ sent }) => sent.map((s) => s.lateMs)),
    ).toFixed(0),
  };
  return {
    title: 'Pace under load',
    text:
      `One worker, limited to ${(100 * story.share).toFixed(0)} % of a core, which is ${100 * SHARE} % of what it used for this load before. ${VISITORS} trackers at the default pace follow the requested one; ${QUERIES.length} administrators, ` +
      `one of them checked on one page of ${PAGES} at \`moves=full\`. Parts: slowdown · settled · after nine of ten visitors left. Latency counts from ` +
      'the time of a sample: at a lower pace most of it is the wait for the next frame. If the primary does not keep up, moves are dropped from the live stream: of such a frame only the last position is shown.',
    head: ['', ''],
    rows: Object.entries(rows),
    targets: targets(story, offered * settled.sent.length),
  };
}

function targets({ slowing, settled, sent, taken, unacked, restoredS, rssMb }: Story, offered: number): Target[] {
  const share = samplesOf(settled) / offered;
  const closed = settled.sent.at(-1)?.closed ?? 0;
  const largest = Math.max(...rssMb);
  const limit = `≤ ${LATE_MS} ms`;
  return [
    target(
      'above its limit the server reduces the samples sent',
      '< 100 %',
      `${(100 * share).toFixed(0)} %`,
      share < 1,
    ),
    target(
      'every frame acked, no visitor disconnected',
      '0, 0',
      `${unacked}, ${closed}`,
      unacked === 0 && closed === 0,
    ),
    target('acked samples not counted, or counted twice', '0', String(sent - taken), sent === taken),
    ...[slowing, settled].map(({ counted: { p99 } }, i) =>
      target(i === 0 ? 'p99 during the slowdown' : 'p99 settled', limit, `${p99} ms`, p99 <= LATE_MS),
    ),
    target('memory of the largest process', `≤ ${LARGE_MB} MB`, `${largest.toFixed(0)} MB`, largest <= LARGE_MB),
    target(
      'return to the configured pace after nine of ten visitors left',
      `≤ ${RESTORE_LIMIT_S} s`,
      restoredS === undefined ? 'no' : `${restoredS.toFixed(0)} s`,
      restoredS !== undefined,
    ),
  ];
}

function target(what: string, wanted: string, got: string, met: boolean): Target {
  return { what, wanted, got, met };
}

function latency({ counted: { p50, p99, max } }: Phase): string {
  return [p50, p99, max].join(' / ');
}

function samplesOf({ sent }: Pick<Phase, 'sent'>): number {
  return sum(sent, (s) => s.samples);
}

function sum<T>(all: readonly T[], of: (one: T) => number): number {
  return all.reduce((total, one) => total + of(one), 0);
}
