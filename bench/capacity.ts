/**
 * How many visitors can this machine handle? Each sends 60 samples per second in ten frames of `fieldmouse.v1`. Of
 * three administrators, one sees every move on one page of twenty, and two see the latest positions of all visitors.
 */
import { inTurn, type Length } from './engine.ts';
import { type Spread, spread, spreadText, type Table, type Target } from './figures.ts';
import { type Case, measure, type Outcome } from './measure.ts';

const WANTED = 10_000;
/** For the cost's growth, and where to look next when the one wanted does not hold. */
const SIZES = [1000, 2500, 5000, WANTED];
const STEPS_DOWN = [7500, 6000];
/** Frames a second, and samples in each. */
const FRAME_RATE = 10;
const SAMPLES = 6;
/** Sample to stream, ms, and share of a core, percent. */
const LATE_MS = 250;
const BUSY = 90;
/** Maximum deviation of a size's cost from the median. */
const GROWTH = 0.2;
/** A group's first frames may fall out of the time measured. */
const SENT = 0.99;

export async function capacity({ runs, seconds }: Length): Promise<Table> {
  const cases = Object.fromEntries(SIZES.map((visitors) => [String(visitors), caseOf(visitors, seconds)]));
  const bySize = await inTurn(cases, Math.ceil(runs / 3));
  const outcomes = new Map(SIZES.map((size) => [size, bySize[String(size)] as Outcome[]]));
  for (const size of STEPS_DOWN) {
    if (largest(outcomes) >= size) break;
    outcomes.set(size, [await measure(caseOf(size, seconds))]);
  }
  return {
    title: 'Capacity',
    text:
      'Visitors of `fieldmouse.v1` at 60 samples a second, a frame every 100 ms or at the interval that the server requests, on 20 pages. Three administrators: one at ' +
      '`moves=full` on one page, two at `moves=latest` on all. Two load processes share the machine with the server. ' +
      'The cost of a sample falls with the number of visitors: the primary ticks equally often, and a worker finds more frames each time it ' +
      'wakes.',
    head: HEAD,
    rows: [...outcomes].sort(([a], [b]) => a - b).map(row),
    targets: [capacityTarget(outcomes), growthTarget(SIZES.map((size) => outcomes.get(size) as Outcome[]))],
  };
}

function caseOf(visitors: number, seconds: number): Case {
  return {
    system: 'fieldmouse',
    speak: 'v1',
    visitors,
    rate: FRAME_RATE,
    samples: SAMPLES,
    pages: 20,
    queries: ['page=%2F&moves=full', 'moves=latest', 'moves=latest'],
    seconds,
    loaders: 2,
    obedient: true,
  };
}

const HEAD = [
  'visitors',
  'samples/s',
  'CPU µs per sample',
  'delivered',
  'not acked',
  'p50 / p99 / max ms',
  'primary, workers %',
  'busiest for 1 s, %',
  'load %',
  'load delay ms',
  'flush interval requested, ms',
  'MB: primary, workers',
];

/** The median of each figure; what must be none, the sum. */
function row([size, all]: [number, Outcome[]]): string[] {
  const middle = (of: (o: Outcome) => number, digits = 0) => spread(all.map(of)).median.toFixed(digits);
  const each = (of: (o: Outcome) => number[]) => (all[0] as Outcome).shares.map((_, i) => middle((o) => of(o)[i] ?? 0));
  return [
    size.toLocaleString('en'),
    middle((o) => o.samples / o.seconds),
    spreadText(spread(all.map((o) => o.perSample)), 2),
    `${((100 * sum(all, (o) => o.delivered)) / sum(all, (o) => o.expected)).toFixed(2)} %`,
    String(sum(all, (o) => o.unacked)),
    [middle((o) => o.p50), middle((o) => o.p99), middle((o) => o.max)].join(' / '),
    each((o) => o.shares).join(', '),
    middle((o) => o.busiest),
    middle((o) => o.visitorsShare + o.streamsShare),
    middle((o) => o.lateMs),
    middle((o) => o.slowestMs).replace(/^0$/, '–'),
    each((o) => o.rssMb).join(', '),
  ];
}

function sum(all: Outcome[], of: (o: Outcome) => number): number {
  return all.reduce((total, one) => total + of(one), 0);
}

/** Returns the targets that a size misses; empty if it meets all. */
function faults(all: Outcome[]): string[] {
  const lost = sum(all, (o) => o.expected - o.delivered);
  const cut = sum(all, (o) => o.closed + o.resets);
  const p99 = spread(all.map((o) => o.p99)).median;
  const busiest = spread(all.map((o) => o.busiest)).median;
  const machine = spread(all.map(coresInUse)).median;
  const offered = FRAME_RATE * SAMPLES * sum(all, (o) => o.visitors * o.seconds);
  const sent = sum(all, (o) => o.samples);
  return [
    sent < SENT * offered && `${((100 * sent) / offered).toFixed(0)} % of the samples sent, as the server requested`,
    lost !== 0 && `${lost} samples lost`,
    sum(all, (o) => o.unacked) > 0 && 'frames not acked',
    cut > 0 && `${cut} visitors or streams cut`,
    p99 > LATE_MS && `p99 ${p99} ms with ${machine.toFixed(0)} % of a core in use by server and load`,
    busiest > BUSY && `a process at ${busiest.toFixed(0)} %`,
  ].filter((fault) => fault !== false);
}

/** Of the tree and of the load, percent of one core. */
function coresInUse({ shares, visitorsShare, streamsShare }: Outcome): number {
  return shares.reduce((a, b) => a + b, 0) + visitorsShare + streamsShare;
}

function largest(outcomes: ReadonlyMap<number, Outcome[]>): number {
  return Math.max(0, ...[...outcomes].filter(([, all]) => faults(all).length === 0).map(([size]) => size));
}

function capacityTarget(outcomes: ReadonlyMap<number, Outcome[]>): Target {
  const most = largest(outcomes);
  const missed = faults(outcomes.get(WANTED) as Outcome[]);
  const why = missed.length === 0 ? '' : `; at ${WANTED.toLocaleString('en')}: ${missed.join(', ')}`;
  return {
    what: 'visitors without loss, p99 ≤ 250 ms, no process above 90 % of a core for more than a second',
    wanted: WANTED.toLocaleString('en'),
    got: `${most.toLocaleString('en')}${why}`,
    met: most >= WANTED,
  };
}

function growthTarget(sizes: Outcome[][]): Target {
  const costs = sizes.map((all) => spread(all.map((o) => o.perSample)).median);
  const { median }: Spread = spread(costs);
  const off = costs.map((cost) => cost / median - 1);
  return {
    what: `cost per sample at ${SIZES.map((size) => size.toLocaleString('en')).join(' / ')} relative to their median`,
    wanted: '± 20 %',
    got: off.map((one) => `${one < 0 ? '−' : '+'}${(100 * Math.abs(one)).toFixed(0)} %`).join(' / '),
    met: off.every((one) => Math.abs(one) <= GROWTH),
  };
}
