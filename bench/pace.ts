/**
 * What does the server do under too much load? One worker gets more samples than it can render; then most visitors
 * leave. The server should slow visitors down instead of failing, and return to the configured pace afterwards.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { StreamEvents } from '../src/protocol/stream-event.ts';
import type { Length } from './engine.ts';
import type { Table, Target } from './figures.ts';
import { Crowd } from './load/crowd.ts';
import type { Report, SentReport } from './load/messages.ts';
import { Loader } from './load/process.ts';
import { Rates } from './load/rates.ts';
import { SETTLE_MS } from './measure.ts';
import { start, TOKEN } from './systems.ts';
import { Watch } from './tree.ts';

const VISITORS = 6000;
/** Samples as dense as the server can be set to, in frames as small as the load can send: 25 of ten a second each. */
const FLUSH_MS = 40;
const SAMPLE_MS = 4;
const SAMPLES = FLUSH_MS / SAMPLE_MS;
/** The first stream is checked, and sees one page of twenty. */
const PAGES = 20;
const QUERIES = ['page=%2F&moves=full', 'moves=full', 'moves=full'];
/** The visitors that leave at the end. */
const LEAVING = 0.9;
/** Three steps of five calm seconds each, and a margin. */
const RESTORE_S = 20;
/** What was taken last is told within this, milliseconds. */
const REPORT_MS = 2500;
/** The server fails above these limits: delay of samples, ms, and memory of a process, MB. */
const LATE_MS = 1000;
const LARGE_MB = 512;

type Counted = Extract<Report, { k: 'counted' }>;
type Seconds = StreamEvents['rates'][];

/** One part of the run. */
interface Phase {
  sent: SentReport;
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
  restoring: Seconds;
  rssMb: number[];
}

export async function pace({ seconds }: Length): Promise<Table> {
  const system = await start('fieldmouse', ['--workers=1', `--flush=${FLUSH_MS}`, `--sample=${SAMPLE_MS}`]);
  const crowd = new Crowd(1);
  const streams = new Loader('streams');
  const watch = new Watch(system.tree);
  const rates = await Rates.open(system.port, TOKEN);
  try {
    const { port } = system;
    const load = { port, speak: 'v1', visitors: VISITORS, rate: 1000 / FLUSH_MS, samples: SAMPLES } as const;
    await crowd.join({ ...load, pages: PAGES, obedient: true });
    await streams.ask(
      { k: 'streams', port, speak: 'fieldmouse', token: TOKEN, queries: QUERIES, samples: SAMPLES },
      'joined',
    );
    watch.start();
    return table(await drive(crowd, streams, rates, watch, seconds), seconds);
  } finally {
    watch.stop();
    rates.close();
    await Promise.all([crowd.end(), streams.end()]);
    await system.stop();
  }
}

/** Over the limit, settled there, and relieved. */
async function drive(crowd: Crowd, streams: Loader, rates: Rates, watch: Watch, seconds: number): Promise<Story> {
  const phase = async (whatElse?: () => Promise<void>): Promise<Phase> => {
    const from = rates.seconds.length;
    const sent = await crowd.send(seconds);
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
  let sent = slowing.sent.samples + settled.sent.samples;
  do sent += (await crowd.send(1)).samples;
  while (rates.flushMs !== FLUSH_MS && elapsed() < RESTORE_S);
  const restoredS = rates.flushMs === FLUSH_MS ? elapsed() : undefined;
  const restoring = rates.seconds.slice(from);
  await sleep(REPORT_MS);
  return {
    slowing,
    settled,
    sent,
    taken: rates.seconds.reduce((sum, { samples }) => sum + samples, 0),
    unacked,
    restoredS,
    restoring,
    rssMb: [...watch.rssMb.values()],
  };
}

function table(story: Story, seconds: number): Table {
  const { slowing, settled, restoring } = story;
  const offered = VISITORS * (1000 / SAMPLE_MS);
  const phases = [slowing, settled];
  const gaveWay = sum(phases, ({ sent, counted }) => sent.samplesOfFirst - counted.delivered);
  const perSecond = ({ sent }: Phase) => (sent.samples / seconds).toFixed(0);
  const rows = {
    'samples/s at the configured pace': offered.toFixed(0),
    'samples/s sent: during the slowdown, settled': phases.map(perSecond).join(', '),
    'samples/s accepted, second by second': phases
      .map(({ rates }) => rates.map((one) => one.samples).join(' '))
      .join(' · '),
    'flushMs on the dashboard, second by second': [slowing.rates, settled.rates, restoring]
      .map((all) => all.map(({ flushMs }) => flushMs).join(' '))
      .join(' · '),
    'latency during the slowdown: p50 / p99 / max, ms': latency(slowing),
    'latency settled: p50 / p99 / max, ms': latency(settled),
    'moves of the watched page: shown, dropped, duplicated': [
      sum(phases, ({ counted }) => counted.delivered),
      gaveWay,
      sum(phases, ({ counted }) => counted.doubled),
    ].join(', '),
    'peak memory: primary, worker, MB': story.rssMb.map((mb) => mb.toFixed(0)).join(', '),
    'load generator, %': phases.map(({ sent }) => (sent.cpuMs / (10 * seconds)).toFixed(0)).join(', '),
    'longest delay of the load generator, ms': Math.max(...phases.map(({ sent }) => sent.lateMs)).toFixed(0),
  };
  return {
    title: 'Pace under load',
    text:
      `One worker, ${VISITORS} trackers that sample every ${SAMPLE_MS} ms and follow the requested pace, ${QUERIES.length} administrators at ` +
      `\`moves=full\`, one of them checked on one page of ${PAGES}. Latency counts from the time of a sample: at a lower pace most of it is ` +
      'the wait for the next frame. If the primary does not keep up, moves are dropped from the live stream: of such a frame only the last position is shown.',
    head: ['', ''],
    rows: Object.entries(rows),
    targets: targets(story, offered * seconds),
  };
}

function targets({ slowing, settled, sent, taken, unacked, restoredS, rssMb }: Story, offered: number): Target[] {
  const share = settled.sent.samples / offered;
  const { closed } = settled.sent;
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
      `≤ ${RESTORE_S} s`,
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

function sum(phases: Phase[], of: (phase: Phase) => number): number {
  return phases.reduce((total, phase) => total + of(phase), 0);
}
