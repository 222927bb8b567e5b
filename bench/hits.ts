/**
 * How fast are page visits counted, and are they? Ours beside the textbook's counter (micro and level), one after the
 * other in the same run.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Length } from './engine.ts';
import { spread, spreadText, type Table } from './figures.ts';
import type { HttpRequest, RequestReport } from './load/messages.ts';
import { Loader } from './load/process.ts';
import { type System, start } from './systems.ts';
import { cpuSince } from './tree.ts';

const CONNECTIONS = 100;
/** Long enough for either at its slowest; a run ends when all of its visits are answered. */
const LIMIT_S = 120;
/** Visits of a run, for each second that it is to take. */
const VISITS_PER_SECOND = 20_000;
const WARM_UP = 10_000;
const PAGE = '/v1/hits/index.html?site=demo';
const VISIT: HttpRequest = { method: 'POST', path: PAGE, headers: {} };

interface Run extends RequestReport {
  /** By how much the total has grown. */
  stored: number;
  /** Of the whole tree, µs per answer. */
  perAnswer: number;
  loadShare: number;
}

export async function hits({ runs, seconds }: Length): Promise<Table> {
  const load = new Loader('requests');
  const folder = mkdtempSync(join(tmpdir(), 'fieldmouse-bench-'));
  const systems: Systems = {};
  try {
    systems.textbook = await start('counter', [folder]);
    for (const [name, flags] of Object.entries(OURS))
      systems[name] = await start('fieldmouse', ['--max-hits', '1000000000', ...flags]);
    return table(await inTurn(load, systems, runs, seconds * VISITS_PER_SECOND));
  } finally {
    await load.end();
    for (const system of Object.values(systems)) await system.stop();
    rmSync(folder, { recursive: true, force: true });
  }
}

/** As it comes; and to see what durability and the second worker cost beside a load on the same two cores. */
const OURS: Record<string, string[]> = {
  Fieldmouse: [],
  'Fieldmouse, one worker': ['--workers', '1'],
  'Fieldmouse, with the durability of the textbook': ['--durability', 'system'],
};

type Systems = Record<string, System>;

async function inTurn(load: Loader, systems: Systems, runs: number, amount: number): Promise<Record<string, Run[]>> {
  const all: Record<string, Run[]> = {};
  for (const system of Object.values(systems)) await measure(load, system, WARM_UP);
  for (let i = 0; i < runs; i++) {
    process.stderr.write(`  hits, run ${i + 1} of ${runs}\n`);
    for (const [name, system] of Object.entries(systems)) {
      const run = await measure(load, system, amount);
      all[name] = [...(all[name] ?? []), run];
    }
  }
  return all;
}

async function measure(load: Loader, { port, tree }: System, amount: number): Promise<Run> {
  const before = { cpu: tree.cpu(), total: await totalAt(port) };
  const report = await load.ask(
    { k: 'requests', port, connections: CONNECTIONS, seconds: LIMIT_S, amount, requests: [VISIT] },
    'answered',
  );
  const cpu = cpuSince(tree, before.cpu);
  return {
    ...report,
    stored: (await totalAt(port)) - before.total,
    perAnswer: (1000 * cpu.all) / report.answered,
    loadShare: report.cpuMs * (report.rate / report.answered) * 0.1,
  };
}

async function totalAt(port: number): Promise<number> {
  const answer = await fetch(`http://127.0.0.1:${port}${PAGE}`);
  return ((await answer.json()) as { hits: number }).hits;
}

function table(all: Record<string, Run[]>): Table {
  const { textbook = [], ...ours } = all;
  const ratioOf = (runs: Run[]) => spread(runs.map(({ rate }, i) => rate / (textbook[i] as Run).rate));
  const ratio = ratioOf(ours.Fieldmouse as Run[]);
  const [answered, stored, failed] = (['answered', 'stored', 'failed'] as const).map((key) =>
    sum(Object.values(ours).flat(), key),
  );
  return {
    title: 'hits: page visits counted',
    text:
      `${CONNECTIONS} connections POST a fixed number of visits to one page, from a separate process. Our counter is durable when it ` +
      'answers, and exact on all workers; the textbook (micro, level: read, add one, write) is one process, because level allows only one, and leaves writing to disk to ' +
      'the operating system.',
    head: [
      '',
      'requests/s',
      'relative to the textbook',
      'CPU µs per request',
      'p50 ms',
      'p99 ms',
      'load %',
      'failed',
      'answered',
      'stored',
      'lost',
    ],
    rows: Object.entries({ ...ours, textbook }).map(([name, runs]) => row(name, runs, spreadText(ratioOf(runs), 2))),
    targets: [
      {
        what: 'requests/s relative to the textbook',
        wanted: '≥ 1.2',
        got: spreadText(ratio, 2),
        met: ratio.median >= 1.2,
      },
      {
        what: 'every answered visit stored once',
        wanted: 'stored = answered, 0 failed',
        got: `${stored} of ${answered}, ${failed} failed`,
        met: stored === answered && failed === 0,
      },
    ],
  };
}

function sum(runs: Run[], key: 'answered' | 'stored' | 'failed'): number {
  return runs.reduce((total, run) => total + run[key], 0);
}

function row(name: string, runs: Run[], ratio: string): string[] {
  const of = (figure: (run: Run) => number) => spread(runs.map(figure));
  const rate = of((run) => run.rate);
  const [failed, answered, stored] = (['failed', 'answered', 'stored'] as const).map((key) => sum(runs, key));
  const lost = (answered as number) - (stored as number);
  return [
    name,
    spreadText(rate, 0),
    ratio,
    spreadText(of((run) => run.perAnswer)),
    String(of((run) => run.p50).median),
    String(of((run) => run.p99).median),
    of((run) => run.loadShare).median.toFixed(0),
    ...[failed, answered, stored].map(String),
    `${lost} (${((100 * lost) / (answered as number)).toFixed(1)} %)`,
  ];
}
