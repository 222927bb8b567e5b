/**
 * What does a visitor cost that does nothing? Many say hello and then no more; what the server's memory has grown by is
 * divided among them. Beside it stands a bare `ws` server with as many.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Length } from './engine.ts';
import { type Spread, spread, spreadText, type Table } from './figures.ts';
import { Loader } from './load/process.ts';
import { sampled } from './scene.ts';
import { type SystemName, start } from './systems.ts';

const CONNECTIONS = 15_000;
/** V8 tidies up once a process is idle, 8 s and more after; milliseconds. */
const SETTLE_MS = 10_000;
/** The empty server is as it was started: what V8 takes for itself once it is used counts too. */
const START_MS = 3000;
/** Memory is read this often, for so long, milliseconds. */
const READ_MS = 250;
const READ_FOR_MS = 2000;
const LIMIT_KB = 10;

/** Resident memory of each process, the primary first, KiB. */
type Memory = number[];

interface Run {
  empty: Memory;
  full: Memory;
}

export async function idle({ runs }: Length): Promise<Table> {
  const ours: Run[] = [];
  const sink: Run[] = [];
  // Half as many as other benches make: most of each is waiting.
  for (let i = 0; i < runs / 2; i++) {
    ours.push(await measureIdle('fieldmouse'));
    sink.push(await measureIdle('sink'));
  }
  const got = perConnection(ours, sum);
  return {
    title: 'Idle visitors',
    text:
      `${CONNECTIONS.toLocaleString('en')} visitors that have said hello, and nothing since; memory of the server as it was started, and ` +
      `${SETTLE_MS / 1000} s after the last has come. ${ours.length} runs; KB per connection.`,
    head: ['', 'all', 'primary', 'workers', 'empty, MB', 'full, MB'],
    rows: [row('Fieldmouse', ours), row('bare ws sink', sink)],
    targets: [
      {
        what: 'memory per idle connection',
        wanted: `≤ ${LIMIT_KB} KB`,
        got: `${spreadText(got)} KB`,
        met: got.median <= LIMIT_KB,
      },
    ],
  };
}

async function measureIdle(name: SystemName): Promise<Run> {
  process.stderr.write(`  ${name}\n`);
  const system = await start(name);
  const guests = new Loader('guests');
  const memory = (restMs: number) => settled(restMs, () => [...system.tree.rss().values()]);
  try {
    const empty = await memory(START_MS);
    await guests.ask({ k: 'crowd', port: system.port, count: CONNECTIONS }, 'joined');
    return { empty, full: await memory(SETTLE_MS) };
  } finally {
    await guests.end();
    await system.stop();
  }
}

async function settled(restMs: number, read: () => Memory): Promise<Memory> {
  await sleep(restMs);
  const all = await sampled(READ_FOR_MS, READ_MS, read);
  return (all[0] as Memory).map((_, i) => spread(all.map((each) => each[i] as number)).median);
}

function sum(memory: Memory): number {
  return memory.reduce((total, kb) => total + kb, 0);
}

/** KiB. */
function perConnection(runs: Run[], of: (memory: Memory) => number): Spread {
  return spread(runs.map(({ empty, full }) => (of(full) - of(empty)) / CONNECTIONS));
}

function row(name: string, runs: Run[]): string[] {
  const parts = [sum, ([primary]: Memory) => primary as number, (memory: Memory) => sum(memory.slice(1))];
  const states = [runs.map(({ empty }) => empty), runs.map(({ full }) => full)];
  return [
    name,
    ...parts.map((of) => spreadText(perConnection(runs, of))),
    ...states.map((state) => spreadText(spread(state.map((memory) => sum(memory) / 1024)), 0)),
  ];
}
