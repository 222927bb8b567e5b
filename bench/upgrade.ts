/**
 * Measures how long a new visitor waits under load. New visitors arrive on a schedule. Node's cluster distributes
 * connections in two ways, and both are measured: each worker accepts by itself, or the primary accepts and passes them
 * on.
 */
import type { Length } from './engine.ts';
import { spread, spreadText, type Table, type Target } from './figures.ts';
import type { Report } from './load/messages.ts';
import type { Loader } from './load/process.ts';
import { RATE, type Scene, withScene } from './scene.ts';
import { cpuSince, openFiles } from './tree.ts';

const VISITORS = 1000;
const STREAMS = ['moves=full', 'moves=full', 'moves=full'];
const GUESTS_PER_S = 50;
const STAY_MS = 1000;
const WARM_UP_S = 2;
const LIMIT_MS = 50;

/** Values of Node's own NODE_CLUSTER_SCHED_POLICY. */
const POLICIES = { none: 'workers accept connections', rr: 'the primary distributes connections' };
type Policy = keyof typeof POLICIES;

type Visited = Extract<Report, { k: 'visited' }>;

interface Run {
  visited: Visited;
  /** Of the load: connections on each worker. */
  connections: number[];
  /** Moves sent, and those shown by the checked stream. */
  sent: number;
  delivered: number;
  p99: number;
  /** Share of one core, in percent, of each process. */
  shares: number[];
}

export async function upgrade({ runs, seconds }: Length): Promise<Table> {
  const all: Record<Policy, Run[]> = { none: [], rr: [] };
  for (let i = 0; i < runs; i++)
    for (const policy of ['none', 'rr'] as const) {
      process.stderr.write(`  ${POLICIES[policy]}, run ${i + 1} of ${runs}\n`);
      const env = { NODE_CLUSTER_SCHED_POLICY: policy };
      all[policy].push(
        await withScene({ visitors: VISITORS, streams: [STREAMS], env }, (scene) => play(scene, seconds)),
      );
    }
  return {
    title: 'New visitors under load',
    text:
      `${VISITORS} \`json\` visitors at ${RATE} moves a second, ${STREAMS.length} administrators at \`moves=full\`; ` +
      `${GUESTS_PER_S} new visitors a second, timed from connect(). Two ways to distribute connections, measured alternately, ${runs} runs each.`,
    head: ['', ...Object.values(POLICIES)],
    rows: rows(all),
    targets: [inTime(all.none)],
  };
}

async function play({ system, visitors, streams, guests }: Scene, seconds: number): Promise<Run> {
  const stream = streams[0] as Loader;
  const { tree, port } = system;
  const connections = tree.pids().slice(1).map(openFiles);
  await visitors.send(WARM_UP_S);
  await stream.ask({ k: 'count' }, 'counted');
  const before = tree.cpu();
  const sending = visitors.send(seconds);
  const visiting = guests.ask({ k: 'visits', port, seconds, perSecond: GUESTS_PER_S, stayMs: STAY_MS }, 'visited');
  const { frames } = await sending;
  const shares = cpuSince(tree, before).each.map((ms) => ms / (10 * seconds));
  const visited = await visiting;
  const { delivered, p99 } = await stream.ask({ k: 'count' }, 'counted');
  return { visited, connections, sent: frames, delivered, p99, shares };
}

function rows(all: Record<Policy, Run[]>): string[][] {
  const row = (what: string, of: (run: Run) => number, digits = 1) => [
    what,
    ...Object.values(all).map((runs) => spreadText(spread(runs.map(of)), digits)),
  ];
  return [
    row('until 101: p50, ms', ({ visited }) => visited.upgrade.p50),
    row('until 101: p95, ms', ({ visited }) => visited.upgrade.p95),
    row('until 101: p99, ms', ({ visited }) => visited.upgrade.p99),
    row('until 101: longest, ms', ({ visited }) => visited.upgrade.max),
    row('until hello: p50, ms', ({ visited }) => visited.hello.p50),
    row('until hello: p95, ms', ({ visited }) => visited.hello.p95),
    row('new visitors rejected', ({ visited }) => visited.turnedAway.length, 0),
    row('moves shown, of moves sent, %', ({ sent, delivered }) => (100 * delivered) / sent, 2),
    row('moves: p99, ms', ({ p99 }) => p99, 0),
    row('share of a core: primary, %', ({ shares }) => shares[0] as number, 0),
    row('share of a core: busiest worker, %', ({ shares }) => Math.max(...shares.slice(1)), 0),
    row(
      'connections: ratio of the fullest worker to the emptiest',
      ({ connections }) => Math.max(...connections) / Math.min(...connections),
      2,
    ),
    row('longest delay of the load generator, ms', ({ visited }) => visited.lateMs),
  ];
}

function inTime(runs: Run[]): Target {
  const p95 = spread(runs.map(({ visited }) => visited.upgrade.p95));
  return {
    what: "a new visitor's upgrade, p95",
    wanted: `≤ ${LIMIT_MS} ms`,
    got: `${spreadText(p95)} ms`,
    met: p95.median <= LIMIT_MS,
  };
}
