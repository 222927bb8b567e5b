/** How fast does a large store start and answer, and what do its readers cost the live view? */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { DAY_MS } from '../src/model/day.ts';
import { openLmdbStore } from '../src/store/lmdb/lmdb-store.ts';
import type { Length } from './engine.ts';
import { spread, spreadText, type Table, type Target } from './figures.ts';
import { fillHistory, HISTORY_DAYS } from './load/history.ts';
import type { ReadersReport } from './load/messages.ts';
import { Loader } from './load/process.ts';
import { type Case, measure } from './measure.ts';
import { start, TOKEN } from './systems.ts';

const VISITS = Number(process.env.FIELDMOUSE_QUERIES_VISITS ?? 200_000);
const READERS = 8;
const MAX_START_MS = 3000;
const MAX_ANSWER_MS = 200;
const MAX_LIVE_RATIO = 1.2;
/** Shorter measurements have too few answers for a 95th percentile, s. */
const MIN_SECONDS = 15;
const STARTS = 3;
/** How long a server may take until it is ready, and how often it is asked, milliseconds. */
const READY_LIMIT_MS = 60_000;
const READY_INTERVAL_MS = 10;
/** Length of a rewind, milliseconds. */
const REWIND_MS = 3_600_000;
const MB = 1_000_000;

type Part = Pick<Table, 'rows' | 'targets'>;

export async function queries({ runs, seconds }: Length): Promise<Table> {
  const folder = mkdtempSync(join(tmpdir(), 'fieldmouse-bench-'));
  const part: Part = { rows: [], targets: [] };
  try {
    const end = Date.now() - 60_000;
    part.rows.push(['size of the store, MB in use', ((await fill(folder, end)) / MB).toFixed(0)]);
    await measureStarts(part, folder);
    await measureReaders(part, folder, end, { runs, seconds: Math.max(seconds, MIN_SECONDS) });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  return {
    title: 'queries: a large store',
    text:
      `${VISITS} visits within ${HISTORY_DAYS} days, of some 1,000 samples and 2 pages each. ${READERS} readers ask all questions in turn, each when its ` +
      'previous answer has arrived. Meanwhile 500 visitors send 60 samples a second, and an administrator watches them. ' +
      'The file is in the memory of the system, because it was just written.',
    head: ['', 'figure'],
    ...part,
  };
}

/** Resolves with the bytes in use. */
async function fill(folder: string, end: number): Promise<number> {
  process.stderr.write(`  ${VISITS} visits\n`);
  const store = await openLmdbStore(folder, { durability: 'system' });
  await fillHistory(store, VISITS, end);
  const { used } = await store.archive.usage();
  await store.close();
  return used;
}

async function measureStarts({ rows, targets }: Part, folder: string): Promise<void> {
  const times: number[] = [];
  for (let i = 0; i < STARTS; i++) times.push(await startTime(folder));
  rows.push(['start until ready, ms', spreadText(spread(times), 0)]);
  targets.push(atMost('start until ready, longest', Math.max(...times), MAX_START_MS));
}

async function startTime(folder: string): Promise<number> {
  const begin = performance.now();
  const server = await start('fieldmouse', ['--data', folder]);
  try {
    while (!(await isReady(server.port))) {
      if (performance.now() - begin > READY_LIMIT_MS) throw new Error('the server does not become ready');
      await sleep(READY_INTERVAL_MS);
    }
    return performance.now() - begin;
  } finally {
    await server.stop();
  }
}

async function isReady(port: number): Promise<boolean> {
  return (await fetch(`http://127.0.0.1:${port}/readyz`)).ok;
}

/** The live view alone, and beside the readers, in turn. */
async function measureReaders({ rows, targets }: Part, folder: string, end: number, length: Length): Promise<void> {
  const p99: { alone: number[]; beside: number[] } = { alone: [], beside: [] };
  const answers = new Map<string, number[]>();
  const read = async (port: number) => {
    const questions = questionsOf(end, await middleCursor(port, end));
    const { times } = await readFor(length.seconds, port, Object.values(questions));
    for (const [i, name] of Object.keys(questions).entries())
      answers.set(name, [...(answers.get(name) ?? []), ...(times[i] as number[])]);
  };
  for (let run = 1; run <= length.runs; run++) {
    process.stderr.write(`  readers, run ${run} of ${length.runs}\n`);
    p99.alone.push((await measure(liveCase(folder, length.seconds))).p99);
    p99.beside.push((await measure({ ...liveCase(folder, length.seconds), beside: read })).p99);
  }
  for (const [name, times] of answers) {
    rows.push([`${name}: p50, p95 ms (${times.length} answers)`, `${quantile(times, 0.5)}, ${quantile(times, 0.95)}`]);
    targets.push(atMost(`${name}, p95`, quantile(times, 0.95), MAX_ANSWER_MS));
  }
  rows.push(['live p99 ms, without readers', spreadText(spread(p99.alone), 0)]);
  rows.push(['live p99 ms, with readers', spreadText(spread(p99.beside), 0)]);
  const ratio = spread(p99.beside.map((ms, i) => ms / (p99.alone[i] as number)));
  targets.push({
    what: 'live p99 with readers, relative to without',
    wanted: `≤ ${MAX_LIVE_RATIO}`,
    got: spreadText(ratio, 2),
    met: ratio.median <= MAX_LIVE_RATIO,
  });
}

function liveCase(folder: string, seconds: number): Case {
  // All readers have the same token, which would otherwise limit their rewinds.
  const flags = ['--data', folder, '--trust-proxy', 'yes', '--max-replays', '1000'];
  const queries = ['moves=full'];
  return { system: 'fieldmouse', speak: 'v1', visitors: 500, rate: 10, samples: 6, seconds, queries, flags };
}

/** Questions by name, each with its variants. */
function questionsOf(end: number, cursor: string): Record<string, string[]> {
  const visits = (query: string) => `/v1/visits?site=demo${query}`;
  const heat = (query: string) => `/v1/heatmap?site=demo&page=%2F${query}`;
  const middle = end - (HISTORY_DAYS / 2) * DAY_MS;
  return {
    'visits: the newest 50': [visits('')],
    'visits: 50 in the middle of the list': [visits(`&after=${cursor}`)],
    'visits: of a day': [visits(`&from=${middle}&to=${middle + DAY_MS}`)],
    'visits: by device and country': [visits('&device=phone&country=DE')],
    'visits: by duration and clicks': [visits('&longer=120000&clicked=true'), visits('&shorter=20000&clicked=false')],
    'visits: on a page': [visits('&page=%2F150'), visits('&page=%2F')],
    'visits: a filter without a match': [visits('&country=AQ'), visits('&page=%2Fnone')],
    'pages and days': ['/v1/pages?site=demo'],
    'heatmap: moves': [heat(''), heat('&format=binary'), heat('&width=desktop')],
    'heatmap: clicks and scroll depth': [heat('&kind=click'), heat('&kind=scroll')],
    'first event of a rewind': Array.from({ length: HISTORY_DAYS }, (_, day) => rewind(end - (day + 0.5) * DAY_MS)),
  };
}

function rewind(from: number): string {
  return `/v1/replay?site=demo&from=${from}&to=${from + REWIND_MS}`;
}

/** Resolves with a cursor into the middle of the list of visits. */
async function middleCursor(port: number, end: number): Promise<string> {
  const to = end - (HISTORY_DAYS / 2) * DAY_MS;
  const headers = { authorization: `Bearer ${TOKEN}` };
  const reply = await fetch(`http://127.0.0.1:${port}/v1/visits?site=demo&to=${to}`, { headers });
  const { next } = (await reply.json()) as { next?: string | null };
  if (!next) throw new Error('the list of visits has no middle');
  return next;
}

async function readFor(seconds: number, port: number, all: readonly string[][]): Promise<ReadersReport> {
  const load = new Loader('readers');
  const questions = all.map((paths) => ({ paths }));
  try {
    return await load.ask({ k: 'readers', port, token: TOKEN, readers: READERS, seconds, questions }, 'read');
  } finally {
    await load.end();
  }
}

function quantile(times: readonly number[], q: number): number {
  const sorted = [...times].sort((a, b) => a - b);
  return Math.round(sorted[Math.floor(q * (sorted.length - 1))] as number);
}

function atMost(what: string, got: number, most: number): Target {
  return { what, wanted: `≤ ${most} ms`, got: `${got.toFixed(0)} ms`, met: got <= most };
}
