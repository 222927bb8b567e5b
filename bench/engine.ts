/** What an event costs, ours beside the baselines in the same run, one after the other, several times over. */
import { MIN_ROUNDS, type Spread, spread, spreadText, type Table, type Target } from './figures.ts';
import { type Case, measure, type Outcome } from './measure.ts';

export interface Length {
  runs: number;
  seconds: number;
}

/** Runs the cases in turn, `runs` times, so that a slow moment of the machine meets all of them. */
export async function inTurn(cases: Record<string, Case>, runs: number): Promise<Record<string, Outcome[]>> {
  const outcomes: Record<string, Outcome[]> = Object.fromEntries(Object.keys(cases).map((name) => [name, []]));
  for (let i = 0; i < runs; i++)
    for (const [name, one] of Object.entries(cases)) {
      process.stderr.write(`  ${name}, run ${i + 1} of ${runs}\n`);
      outcomes[name]?.push(await measure(one));
    }
  return outcomes;
}

const HEAD = [
  '',
  'CPU µs per sample',
  'delivered',
  'p50 ms',
  'p99 ms',
  'primary %',
  'workers %',
  'load %',
  'load delay ms',
];

function rows(outcomes: Record<string, Outcome[]>): string[][] {
  return Object.entries(outcomes).map(([name, all]) => [
    name,
    spreadText(spread(all.map((o) => o.perSample)), 2),
    all.every((o) => o.delivered === 0)
      ? '–'
      : `${((100 * sum(all, (o) => o.delivered)) / sum(all, (o) => o.samples)).toFixed(2)} %`,
    String(spread(all.map((o) => o.p50)).median),
    String(spread(all.map((o) => o.p99)).median),
    spread(all.map((o) => o.shares[0] ?? 0)).median.toFixed(0),
    spread(all.map((o) => o.shares.slice(1).reduce((a, b) => a + b, 0))).median.toFixed(0),
    spread(all.map((o) => o.visitorsShare + o.streamsShare)).median.toFixed(0),
    spread(all.map((o) => o.lateMs)).median.toFixed(0),
  ]);
}

function sum(all: Outcome[], of: (o: Outcome) => number): number {
  return all.reduce((total, one) => total + of(one), 0);
}

/** Ratios of costs, run by run. */
function ratios(a: number[], b: number[]): Spread {
  return spread(a.map((one, i) => one / (b[i] as number)));
}

function ratio(what: string, a: number[], b: number[], most: number, text = `≤ ${most}`): Target {
  const got = ratios(a, b);
  return { what, wanted: text, got: spreadText(got, 2), met: got.median <= most };
}

const FULL = 'moves=full';

function jsonLoad(seconds: number): Omit<Case, 'system'> {
  return { speak: 'json', visitors: 500, rate: 60, samples: 1, seconds, queries: Array(10).fill(FULL) };
}

/** One move per frame, ten administrators: the wire format of simple clients. */
export async function json({ runs, seconds }: Length): Promise<Table> {
  const base = jsonLoad(seconds);
  const outcomes = await inTurn(
    {
      // One after the other, since the ratio of these two is the closest.
      Fieldmouse: { ...base, system: 'fieldmouse' },
      'bare ws sink': { ...base, system: 'sink', queries: [] },
      textbook: { ...base, system: 'textbook' },
      'Socket.IO': { ...base, system: 'socket.io' },
    },
    Math.max(MIN_ROUNDS, runs),
  );
  const cost = (name: string) => (outcomes[name] as Outcome[]).map((o) => o.perSample);
  return {
    title: 'json: one move per frame',
    text: '500 visitors at 60 frames a second (30,000 moves/s), 10 administrators at `moves=full`.',
    head: HEAD,
    rows: rows(outcomes),
    targets: [
      ratio('cost relative to the bare sink', cost('Fieldmouse'), cost('bare ws sink'), 1.35),
      ratio('cost relative to the textbook', cost('Fieldmouse'), cost('textbook'), 0.45),
      ratio('cost relative to Socket.IO', cost('Fieldmouse'), cost('Socket.IO'), 0.2),
    ],
  };
}

/** How much CPU does the fast reading of WebSockets save, compared with ws alone? */
export async function plain({ runs, seconds }: Length): Promise<Table> {
  const moves = { ...jsonLoad(seconds), system: 'fieldmouse' } as const;
  const frames: Case = {
    system: 'fieldmouse',
    speak: 'v1',
    visitors: 3000,
    rate: 10,
    samples: 6,
    seconds,
    queries: [FULL],
  };
  const flags = ['--plain-websockets'];
  const outcomes = await inTurn(
    {
      json: moves,
      'json, plain': { ...moves, flags },
      'fieldmouse.v1': frames,
      'fieldmouse.v1, plain': { ...frames, flags },
    },
    Math.max(MIN_ROUNDS, runs),
  );
  const cost = (name: string) => (outcomes[name] as Outcome[]).map((o) => o.perSample);
  const gain = (name: string) => {
    const got = ratios(cost(`${name}, plain`), cost(name));
    const what = `${name}: cost with --plain-websockets, relative to without`;
    return { what, wanted: '≥ 1.1', got: spreadText(got, 2), met: got.median >= 1.1 };
  };
  return {
    title: 'plain: `--plain-websockets`',
    text: '500 JSON visitors at 60 moves a second with 10 administrators, and 3,000 of `fieldmouse.v1` at 60 samples a second with one.',
    head: HEAD,
    rows: rows(outcomes),
    targets: [gain('json'), gain('fieldmouse.v1')],
  };
}

/** Binary frames of six samples, against a sink that drops as many frames. */
export async function binary({ runs, seconds }: Length): Promise<Table> {
  const base = { speak: 'v1', visitors: 5000, rate: 10, samples: 6, seconds } as const;
  const outcomes = await inTurn(
    {
      'Fieldmouse, 1 administrator': { ...base, system: 'fieldmouse', queries: [FULL] },
      'bare ws sink, same frames': { ...base, system: 'sink', queries: [] },
      'Fieldmouse, 50 administrators': { ...base, system: 'fieldmouse', queries: Array(50).fill(FULL) },
      'Fieldmouse, nobody watching': { ...base, system: 'fieldmouse', queries: [], obedient: true },
      'nobody watching, visitors do not slow down': { ...base, system: 'fieldmouse', queries: [] },
    },
    Math.max(MIN_ROUNDS, runs),
  );
  const all = (name: string) => outcomes[name] as Outcome[];
  const one = all('Fieldmouse, 1 administrator');
  const lost = sum(one, (o) => o.samples - o.delivered);
  return {
    title: 'fieldmouse.v1: six samples per frame',
    text:
      '5,000 visitors at 60 samples a second (300,000 samples/s), a frame every 100 ms. While nobody watches, the server requests one frame a second. ' +
      'One row has visitors that comply, one has visitors that do not slow down: reading a frame costs the same, watched or not, and is most of the cost.',
    head: HEAD,
    rows: rows(outcomes),
    targets: [
      ratio(
        'cost per move relative to a frame of the bare sink',
        one.map((o) => o.perSample),
        all('bare ws sink, same frames').map((o) => o.perFrame),
        0.22,
      ),
      {
        what: 'every move delivered',
        wanted: '0 missing, 0 duplicated',
        got: `${lost} missing, ${sum(one, (o) => o.doubled)} duplicated`,
        met: lost === 0,
      },
      ratio(
        '50 administrators relative to 1',
        all('Fieldmouse, 50 administrators').map((o) => o.perSample),
        one.map((o) => o.perSample),
        1.3,
      ),
      ratio(
        'nobody watching relative to 1 administrator',
        all('Fieldmouse, nobody watching').map((o) => o.perSample),
        one.map((o) => o.perSample),
        0.8,
      ),
      ratio(
        'nobody watching, visitors do not slow down, relative to 1 administrator',
        all('nobody watching, visitors do not slow down').map((o) => o.perSample),
        one.map((o) => o.perSample),
        0.8,
      ),
    ],
  };
}
