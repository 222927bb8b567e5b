/**
 * What happens while the primary is frozen? It is stopped (SIGSTOP) under load. Guests come, click and leave before,
 * during and after the stop. Each guest has a page of its own, so that each arrival can be counted. A second server of
 * the same age is not stopped: its memory grows by itself, too.
 */
import { spread, spreadText, type Table, type Target } from './figures.ts';
import type { Report } from './load/messages.ts';
import type { Loader } from './load/process.ts';
import { RATE, type Scene, sampled, withScene } from './scene.ts';
import { memoryKb } from './tree.ts';

const VISITORS = 500;
const STOP_S = 10;
/** As long as the stop, so that the peaks are of equal times. Seconds. */
const BEFORE_S = STOP_S;
const AFTER_S = STOP_S;
/** Until the heaps of the workers have their usual size. Seconds. */
const WARM_UP_S = 25;
const GUESTS_PER_S = 10;
/** Some that came before click during the stop, and leave after it. Milliseconds. */
const STAY_MS = 6000;
const SAMPLE_MS = 250;
/** The last to leave is gone after its grace (1.5 s), or, if its connection was cut, 5 s; milliseconds. */
const ARRIVE_LIMIT_MS = 15_000;
const GROWTH_MB = 16;

type Visited = Extract<Report, { k: 'visited' }>;
type Marks = Extract<Report, { k: 'marks' }>;
type Counted = Extract<Report, { k: 'counted' }>;

/**
 * Private memory of each worker, MB, one list for each moment. It leaves out mapped pages of the record, which grow
 * with the record and are shared.
 */
type Memory = number[][];

interface Run {
  before: Memory;
  during: Memory;
  after: Memory;
  visited: Visited;
  marks: Marks;
  counted: Counted;
  sent: number;
  closed: number;
}

export async function frozen(): Promise<Table> {
  const setting = { visitors: VISITORS, streams: [['moves=full']] };
  const control = await withScene(setting, (scene) => play(scene, false));
  return tableOf(await withScene(setting, (scene) => play(scene, true)), control);
}

async function play({ system, visitors, streams, guests }: Scene, stops: boolean): Promise<Run> {
  const stream = streams[0] as Loader;
  const { root } = system.tree;
  const workers = system.tree.pids().slice(1);
  const seconds = BEFORE_S + STOP_S + AFTER_S;
  const memory = (forS: number) =>
    sampled(1000 * forS, SAMPLE_MS, () => workers.map((pid) => memoryKb(pid, 'RssAnon') / 1024));
  await visitors.send(WARM_UP_S);
  await stream.ask({ k: 'count' }, 'counted');
  const sending = visitors.send(seconds);
  const visiting = guests.ask(
    { k: 'visits', port: system.port, seconds, perSecond: GUESTS_PER_S, stayMs: STAY_MS },
    'visited',
  );
  const before = await memory(BEFORE_S);
  if (stops) process.kill(root, 'SIGSTOP');
  const during = await memory(STOP_S).finally(() => process.kill(root, 'SIGCONT'));
  const after = await memory(AFTER_S);
  const [{ frames: sent, closed }, visited] = await Promise.all([sending, visiting]);
  const marks = await stream.ask({ k: 'marks', leaves: visited.letIn.length, limitMs: ARRIVE_LIMIT_MS }, 'marks');
  const counted = await stream.ask({ k: 'count' }, 'counted');
  return { before, during, after, visited, marks, counted, sent, closed };
}

interface Tally {
  wanted: number;
  missing: number;
  doubled: number;
}

/** Returns which of the wanted events arrived exactly once. Other events are not counted. */
function tally<T>(wanted: readonly T[], came: readonly T[]): Tally {
  const times = new Map<T, number>();
  for (const one of came) times.set(one, (times.get(one) ?? 0) + 1);
  const of = (one: T) => times.get(one) ?? 0;
  return {
    wanted: wanted.length,
    missing: wanted.filter((one) => of(one) === 0).length,
    doubled: wanted.filter((one) => of(one) > 1).length,
  };
}

function tableOf({ before, during, after, visited, marks, counted, sent, closed }: Run, control: Run): Table {
  const tallies: [string, Tally][] = [
    ['joins', tally(visited.letIn, marks.joins)],
    ['clicks', tally(visited.clicks, marks.clicks)],
    ['leaves', tally(visited.letIn, marks.leaves)],
  ];
  const passing = [marks.joins, marks.leaves].map((came) => tally(visited.turnedAway, came));
  const rows = {
    ...Object.fromEntries([0, 1].map((i) => [`worker ${i + 1}, private, MB`, [before, during, after].map(of(i))])),
    ...Object.fromEntries(
      [0, 1].map((i) => [
        `worker ${i + 1} of the server that is not stopped`,
        [control.before, control.during, control.after].map(of(i)),
      ]),
    ),
    'moves shown, of moves sent': ['', '', `${counted.delivered} of ${sent}, ${counted.doubled} duplicated`],
    'visitors disconnected': ['', '', String(closed)],
    'guests admitted': ['', '', String(visited.letIn.length)],
    'guests told to try again, and returned': ['', '', String(visited.turnedAway.length)],
    'of these, shown as joined and as left': [
      '',
      '',
      passing.map(({ wanted, missing }) => wanted - missing).join(', '),
    ],
    'longest wait for hello, ms': ['', '', visited.hello.max.toFixed(0)],
    ...Object.fromEntries(
      tallies.map(([what, { wanted, missing, doubled }]) => [
        `${what}: expected, missing, duplicated`,
        ['', '', [wanted, missing, doubled].join(', ')],
      ]),
    ),
  };
  return {
    title: 'A suspended primary',
    text:
      `${VISITORS} \`json\` visitors at ${RATE} moves a second, 1 administrator at \`moves=full\`; ${GUESTS_PER_S} guests a second join, ` +
      `click and leave. After ${BEFORE_S} s the primary is suspended by SIGSTOP for ${STOP_S} s. One run of each server; figures per quarter of a second.`,
    head: ['', 'before', 'stopped', 'after, and in total'],
    rows: Object.entries(rows).map(([name, cells]) => [name, ...cells]),
    targets: [
      growth(
        peakGrowth(before, [...during, ...after]),
        peakGrowth(control.before, [...control.during, ...control.after]),
      ),
      gaveWay(counted, sent),
      ...tallies.map(arrived),
    ],
  };
}

function of(worker: number): (memory: Memory) => string {
  return (memory) => spreadText(spread(memory.map((each) => each[worker] as number)));
}

/** Growth of each worker, MB. Compares the maxima, because both include garbage that V8 has not collected yet. */
function peakGrowth(before: Memory, since: Memory): number[] {
  const most = (memory: Memory, i: number) => Math.max(...memory.map((each) => each[i] as number));
  return (before[0] as number[]).map((_, i) => most(since, i) - most(before, i));
}

function growth(grown: number[], control: number[]): Target {
  const text = (all: number[]) => all.map((mb) => mb.toFixed(1)).join(', ');
  return {
    what: "growth of each worker's peak private memory",
    wanted: `≤ ${GROWTH_MB} MB`,
    got: `${text(grown)} MB; not stopped: ${text(control)} MB`,
    met: grown.every((mb) => mb <= GROWTH_MB),
  };
}

function gaveWay({ delivered }: Counted, sent: number): Target {
  const share = (100 * (sent - delivered)) / sent;
  return {
    what: 'moves are dropped',
    wanted: 'some dropped',
    got: `${share.toFixed(1)} % dropped`,
    met: delivered < sent,
  };
}

function arrived([what, { wanted, missing, doubled }]: [string, Tally]): Target {
  return {
    what: `${what} arrive`,
    wanted: '0 missing, 0 duplicated',
    got: `of ${wanted}: ${missing} missing, ${doubled} duplicated`,
    met: wanted > 0 && missing === 0 && doubled === 0,
  };
}
