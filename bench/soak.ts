/**
 * `npm run soak [-- --minutes N]`: a server at about a fifth of what it can do, for long: visitors come and go,
 * dashboards open and close, workers are replaced every five minutes. Prints the memory that is their own and
 * descriptors of its processes as they go (of the primary all its memory by kind), and at the end whether all that was
 * acked is stored.
 */
import { execFileSync } from 'node:child_process';
import { get, type IncomingMessage } from 'node:http';
import { loadavg } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { openLmdbStore } from '../src/store/lmdb/lmdb-store.ts';
import { Loader } from './load/process.ts';
import { type System, start, TOKEN } from './systems.ts';
import { memoryKb, openFiles, rssKb } from './tree.ts';
import { callOf, number } from './usage.ts';

/** A fifth of the 6,000 visitors at 60 samples a second that two CPUs hold (npm run bench -- capacity). */
const VISITORS = 1200;
const STAYS_S: [number, number] = [20, 100];
const DASHBOARDS = 10;
const LOOK_MS = 10_000;
const RELOAD_MS = 5 * 60_000;
const STREAM_S: [number, number] = [5, 60];

interface Look {
  seconds: number;
  visitors: number;
  streams: number;
  samples: number;
  primaryMb: number;
  /** Resident memory of the primary, its heap, its external memory, and the buffers in the latter. */
  residentMb: number;
  heapMb: number;
  externalMb: number;
  buffersMb: number;
  workersMb: number;
  /** Mapped pages of the store and of programs, which the system reclaims when needed: the maximum of all workers. */
  mappedMb: number;
  primaryFiles: number;
  workersFiles: number;
  delayMs: number;
}

const { values } = callOf({
  name: 'soak',
  does:
    'Runs a server for long at about a fifth of its capacity: visitors join and leave, dashboards open and close, workers are replaced every five minutes. Prints memory and descriptors ' +
    'of its processes each minute, and at the end whether everything acked is stored (exit code 1 if not).',
  takes: 'Takes 20 minutes, or the given number, and some seconds.',
  options: {
    minutes: {
      value: 'N',
      text: 'duration, from 0.5 to 1440; 20 by default',
      check: number(0.5, 1440, false),
    },
  },
});
const minutes = Number(values.minutes ?? 20);
execFileSync(process.execPath, ['build.mjs'], { stdio: 'inherit' });
await soak(minutes);

async function soak(minutes: number): Promise<void> {
  const system = await start('fieldmouse', ['--log-level', 'warn']);
  const comers = new Loader('comers');
  const stopping = new AbortController();
  const reloads = setInterval(() => process.kill(system.tree.root, 'SIGHUP'), RELOAD_MS);
  const looks: Look[] = [];
  try {
    await comers.ask({ k: 'comers', port: system.port, visitors: VISITORS, stays: STAYS_S }, 'joined');
    const dashboards = Array.from({ length: DASHBOARDS }, () => watchOnAndOff(system.port, stopping.signal));
    await lookOn(system, minutes, looks);
    stopping.abort();
    await Promise.all(dashboards);
    clearInterval(reloads);
    const gone = await comers.ask({ k: 'leave', share: 1 }, 'gone');
    await comers.end();
    await system.stop(async (data) => conclude(looks, gone, await stored(data)));
  } finally {
    clearInterval(reloads);
    stopping.abort();
    await comers.end();
  }
}

/** Samples the processes until the time is over, and prints each sample. */
async function lookOn(system: System, minutes: number, looks: Look[]): Promise<void> {
  const begun = performance.now();
  console.log(
    '  min  visitors  streams  samples/s  primary MB  resident  heap  external  buffers  files  workers MB  files  loop delay ms  mapped MB  load',
  );
  for (let i = 1; i * LOOK_MS <= minutes * 60_000; i++) {
    await sleep(Math.max(0, begun + i * LOOK_MS - performance.now()));
    const look = await lookAt(system, (performance.now() - begun) / 1000);
    if (look) looks.push(look);
    if (look && i % 6 === 0) console.log(row(look, looks.at(-7)));
  }
}

/** Undefined while a worker is being replaced, since there are more of them than usual then. */
async function lookAt({ port, tree }: System, seconds: number): Promise<Look | undefined> {
  const text = await (await fetch(`http://127.0.0.1:${port}/metrics`, { headers: { connection: 'close' } })).text();
  const value = (name: string) => Number(new RegExp(`^fieldmouse_${name} (\\S+)$`, 'm').exec(text)?.[1]);
  const ofPrimary = (name: string) => value(`${name}\\{process="primary"\\}`) / 2 ** 20;
  const [primary = 0, ...workers] = tree.pids();
  if (workers.length > value('workers')) return undefined;
  try {
    return {
      seconds,
      visitors: value('visitors'),
      streams: value('streams'),
      samples: value('samples_total'),
      primaryMb: memoryKb(primary, 'RssAnon') / 1024,
      residentMb: rssKb(primary) / 1024,
      heapMb: ofPrimary('heap_bytes'),
      externalMb: ofPrimary('external_bytes'),
      buffersMb: ofPrimary('buffer_bytes'),
      workersMb: workers.reduce((sum, pid) => sum + memoryKb(pid, 'RssAnon'), 0) / 1024,
      mappedMb: Math.max(...workers.map((pid) => memoryKb(pid, 'RssFile'))) / 1024,
      primaryFiles: openFiles(primary),
      workersFiles: workers.reduce((sum, pid) => sum + openFiles(pid), 0),
      delayMs: 1000 * value('event_loop_delay_seconds\\{process="worker"\\}'),
    };
  } catch {
    return undefined;
  }
}

function row(look: Look, before: Look | undefined): string {
  const rate = before ? (look.samples - before.samples) / (look.seconds - before.seconds) : Number.NaN;
  const cells = [look.seconds / 60, look.visitors, look.streams, rate];
  const primary = [look.primaryMb, look.residentMb, look.heapMb, look.externalMb, look.buffersMb, look.primaryFiles];
  const workers = [look.workersMb, look.workersFiles, look.delayMs, look.mappedMb];
  const all = [...cells, ...primary, ...workers, loadavg()[0] as number];
  const widths = [5, 10, 9, 11, 12, 10, 6, 10, 9, 7, 12, 7, 15, 11, 6];
  return all.map((cell, i) => (Number.isNaN(cell) ? '–' : cell.toFixed(0)).padStart(widths[i] as number)).join('');
}

/** A dashboard that is opened and closed again, over and over. */
async function watchOnAndOff(port: number, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    const response = await open(port).catch(() => undefined);
    response?.on('error', () => {});
    response?.resume();
    const [least, most] = STREAM_S;
    await sleep(1000 * (least + Math.random() * (most - least)), undefined, { signal }).catch(() => {});
    response?.destroy();
  }
}

function open(port: number): Promise<IncomingMessage> {
  const path = '/v1/stream?site=demo&moves=full';
  return new Promise((resolve, reject) => {
    get({ port, path, agent: false, headers: { authorization: `Bearer ${TOKEN}` } }, resolve).on('error', reject);
  });
}

/** Samples in the store. */
async function stored(folder: string): Promise<{ visits: number; samples: number }> {
  const store = await openLmdbStore(folder);
  await store.archive.compactAll();
  let [visits, samples] = [0, 0];
  let after: string | undefined;
  do {
    const { items, next } = await store.archive.visits({ site: 'demo', limit: 1000, ...(after && { after }) });
    visits += items.length;
    samples += items.reduce((sum, { moves }) => sum + moves, 0);
    after = next ?? undefined;
  } while (after !== undefined);
  await store.close();
  return { visits, samples };
}

function conclude(
  looks: readonly Look[],
  gone: { visitors: number; connections: number; acked: number; unacked: number },
  kept: { visits: number; samples: number },
): void {
  console.log('\n  a minute each      primary MB  files  workers MB  files  visitors');
  for (const [name, at] of [
    ['third minute', 0.15],
    ['middle', 0.5],
    ['end', 1],
  ] as const) {
    const end = Math.max(6, Math.round(at * looks.length));
    const part = looks.slice(end - 6, end);
    const mean = (of: (look: Look) => number) => part.reduce((sum, look) => sum + of(look), 0) / part.length;
    const cells = [
      mean((l) => l.primaryMb),
      mean((l) => l.primaryFiles),
      mean((l) => l.workersMb),
      mean((l) => l.workersFiles),
      mean((l) => l.visitors),
    ];
    console.log(
      `  ${name.padEnd(16)}${cells.map((cell, i) => cell.toFixed(0).padStart([13, 7, 12, 7, 10][i] as number)).join('')}`,
    );
  }
  console.log(
    `\n  ${gone.visitors} visitors over ${gone.connections} connections; acked ${gone.acked} samples, not acked ${gone.unacked}`,
  );
  console.log(
    `  stored ${kept.samples} samples of ${kept.visits} visits: lost ${Math.max(0, gone.acked - kept.samples)}`,
  );
  if (kept.samples < gone.acked) process.exitCode = 1;
}
