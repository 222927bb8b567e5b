/**
 * What does an idle visitor cost? Many visitors connect and then send nothing; the growth of the server's memory is
 * divided by their number. The baseline is a bare `ws` server with as many connections.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Length } from './engine.ts';
import { type Spread, spread, spreadText, type Table } from './figures.ts';
import { Loader } from './load/process.ts';
import { sampled } from './scene.ts';
import { type SystemName, start } from './systems.ts';

const CONNECTIONS = 15_000;
/**
 * V8 collects garbage when a process has been idle for 8 s or more. The new server and the full one get the same pause:
 * otherwise, garbage of the start would make connections look cheaper. Milliseconds.
 */
const REST_MS = 15_000;
/** Interval between two readings of the memory, milliseconds. */
const READ_MS = 250;
/** Duration of the readings, milliseconds. */
const READ_FOR_MS = 2000;
const LIMIT_KB = 9;

/** Resident memory of each process, the primary first, KiB. */
type Memory = number[];

interface Run {
  empty: Memory;
  full: Memory;
}

export async function idle({ runs }: Length): Promise<Table> {
  const ours: Run[] = [];
  const sink: Run[] = [];
  // Fewer than other benches make: most of each is waiting.
  for (let i = 0; i < runs / 3; i++) {
    ours.push(await measureIdle('fieldmouse'));
    sink.push(await measureIdle('sink'));
  }
  const got = perConnection(ours, sum);
  return {
    title: 'Idle visitors',
    text:
      `${CONNECTIONS.toLocaleString('en')} visitors that sent hello and nothing more. Memory of the server after its start, and with the visitors, ` +
      `each after ${REST_MS / 1000} s without activity. Runs: ${ours.length}; KB per connection.`,
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
  const memory = () => settled(() => [...system.tree.rss().values()]);
  try {
    const empty = await memory();
    await guests.ask({ k: 'crowd', port: system.port, count: CONNECTIONS }, 'joined');
    return { empty, full: await memory() };
  } finally {
    await guests.end();
    await system.stop();
  }
}

async function settled(read: () => Memory): Promise<Memory> {
  await sleep(REST_MS);
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
