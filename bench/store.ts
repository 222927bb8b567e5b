/** What does the record cost: with and without storing, bytes on disk, and queries of a large store? */
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, mkdtempSync, rmSync } from 'node:fs';
import { get } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { openLmdbStore } from '../src/store/lmdb/lmdb-store.ts';
import { inTurn, type Length } from './engine.ts';
import { MIN_ROUNDS, spread, spreadText, type Table, type Target } from './figures.ts';
import { elapsed, endOf, type Filled, fillPast, PAGES, VISIT_SAMPLES } from './load/past.ts';
import { Loader } from './load/process.ts';
import { type Case, measure, type Outcome } from './measure.ts';
import { start, TOKEN } from './systems.ts';

/** The last commit that stored nothing; its visitors' hello is shorter, too. */
const BEFORE = 'a868e82';
const ROOT = fileURLToPath(new URL('..', import.meta.url));
const MILLION = 1_000_000;
const STEPS = [1, 2.5, 5, 10].map((millions) => millions * MILLION);
/** Frames are compacted 10 to 30 s after they arrive. Measuring starts when this runs steadily and is compiled, s. */
const WARM_UP = 40;
const MIN_SECONDS = 12;
const READERS = 100;
/** An address may ask the API 600 times a minute and worker. */
const ADDRESSES = 2000;

export async function store(length: Length): Promise<Table> {
  const folder = mkdtempSync(join(tmpdir(), 'fieldmouse-bench-'));
  try {
    const cost = await costOfStoring(length, join(folder, 'before'));
    const { sizes, looks, readers } = await pastOf(length, join(folder, 'data'));
    return {
      title: 'store: the record',
      text:
        'Storing: 5,000 visitors at 60 samples a second (300,000 samples/s), a frame every 100 ms, 1 administrator, compared with the last version without a record. ' +
        `Sizes: visits of ${VISIT_SAMPLES} samples, 100 at a time, one in ${PAGES} of them on the page that is read.`,
      head: ['', 'figure'],
      rows: [...cost.rows, ...sizes.rows, ...looks.rows, ...readers.rows],
      targets: [...cost.targets, ...sizes.targets, ...looks.targets, ...readers.targets],
    };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

type Part = Pick<Table, 'rows' | 'targets'>;

async function costOfStoring({ runs, seconds }: Length, before: string): Promise<Part> {
  buildBefore(before);
  try {
    const base = {
      system: 'fieldmouse',
      speak: 'v1',
      visitors: 5000,
      rate: 10,
      samples: 6,
      warmUp: WARM_UP,
      seconds: Math.max(seconds, MIN_SECONDS),
    } as const;
    const outcomes = await inTurn(
      {
        storing: { ...base, queries: ['moves=full'] },
        'not storing': { ...base, queries: ['moves=full'], dist: join(before, 'dist'), shortHello: true },
      },
      Math.max(MIN_ROUNDS, runs),
    );
    const [with_, without] = Object.values(outcomes) as [Outcome[], Outcome[]];
    const ratio = spread(with_.map((one, i) => one.perSample / (without[i] as Outcome).perSample));
    return {
      rows: Object.entries(outcomes).flatMap(([name, all]) => [
        [`${name}: CPU µs per sample`, spreadText(spread(all.map((one) => one.perSample)), 2)],
        [`${name}: live p99 ms`, spreadText(spread(all.map((one) => one.p99)), 0)],
        [`${name}: delivered`, `${((100 * total(all, 'delivered')) / total(all, 'samples')).toFixed(2)} %`],
      ]),
      targets: [
        {
          what: 'cost of storing relative to not storing',
          wanted: '≤ 1.2',
          got: spreadText(ratio, 2),
          met: ratio.median <= 1.2,
        },
      ],
    };
  } finally {
    execFileSync('git', ['worktree', 'remove', '--force', before], { cwd: ROOT });
  }
}

function total(all: Outcome[], what: 'delivered' | 'samples'): number {
  return all.reduce((sum, one) => sum + one[what], 0);
}

/** Builds that commit with the libraries it used then, because some are not used any more. */
function buildBefore(folder: string): void {
  execFileSync('git', ['worktree', 'add', '--detach', folder, BEFORE], { cwd: ROOT, stdio: 'ignore' });
  execFileSync('npm', ['ci', '--ignore-scripts', '--no-audit', '--no-fund'], { cwd: folder, stdio: 'inherit' });
  execFileSync(process.execPath, ['build.mjs'], { cwd: folder, stdio: 'inherit' });
}

/** Fills a store step by step, and measures it. */
async function pastOf(length: Length, data: string): Promise<{ sizes: Part; looks: Part; readers: Part }> {
  const sizes: Part = { rows: [], targets: [] };
  const looks: Part = { rows: [], targets: [] };
  const last = Date.now() - 60_000;
  let from = 0;
  let readers: Part = { rows: [], targets: [] };
  for (const to of STEPS) {
    process.stderr.write(`  ${to / MILLION} M samples\n`);
    const store = await openLmdbStore(data, { durability: 'system' });
    const end = endOf(to, STEPS.at(-1) as number, last);
    const filled = await fillPast(store, from, to, end);
    const { used, file } = await store.archive.usage();
    await store.close();
    from = to;
    sizes.rows.push([`${name(to)}: CPU µs per sample, appending and compacting`, costText(filled)]);
    sizes.rows.push([
      `${name(to)}: bytes per sample: in use, size of the file`,
      `${(used / to).toFixed(2)}, ${(file / to).toFixed(2)}`,
    ]);
    const isLast = to === STEPS.at(-1);
    if (isLast) sizes.targets.push(atMost('bytes on disk per move sample, in use', used / to, 6));
    const one = await look(data, end);
    looks.rows.push(...one.rows.map(([what = '', text = '']) => [`${name(to)}: ${what}`, text]));
    if (isLast) looks.targets.push(...one.targets);
    if (isLast) readers = await besideReaders(length, data);
  }
  return { sizes, looks, readers };
}

function name(samples: number): string {
  return `${samples / MILLION} M samples, ${samples / VISIT_SAMPLES} visits`;
}

function costText({ append, file }: Filled): string {
  return `${append.toFixed(2)}, ${file.toFixed(2)}`;
}

function atMost(what: string, got: number, most: number, unit = ''): Target {
  return { what, wanted: `≤ ${most}${unit}`, got: `${got.toFixed(1)}${unit}`, met: got <= most };
}

const HEAT = '/v1/heatmap?site=demo&page=%2F&kind=move';

/** Measures how long queries of the record take on an idle server. */
async function look(data: string, end: number): Promise<Part> {
  const system = await start('fieldmouse', ['--data', data]);
  try {
    const { port } = system;
    const paths = {
      'heatmap of the page': HEAT,
      'heatmap of the page as an image': HEAT.replace('heatmap', 'heatmap.png'),
      'pages and days': '/v1/pages?site=demo',
      'the newest 50 visits': '/v1/visits?site=demo',
      'first event of a replay': `/v1/replay?site=demo&page=%2F&from=${end - 60_000}&to=${end}&speed=1`,
    };
    const part: Part = { rows: [], targets: [] };
    for (const [what, path] of Object.entries(paths)) {
      const times: number[] = [];
      for (let i = 0; i < 20; i++) times.push(await elapsed(() => ask(port, path, i)));
      part.rows.push([`${what}, ms`, spreadText(spread(times))]);
      if (path === HEAT)
        part.targets.push(atMost('heatmap of a page with 1,000,000 samples', spread(times).median, 100, ' ms'));
      if (path.includes('replay'))
        part.targets.push(atMost('first event of a replay, 10,000 visits', spread(times).median, 200, ' ms'));
    }
    return part;
  } finally {
    await system.stop();
  }
}

/** Resolves with the first bytes of a stream, or all of anything else. */
async function ask(port: number, path: string, no: number): Promise<void> {
  const headers = { authorization: `Bearer ${TOKEN}`, 'x-forwarded-for': `10.1.0.${no}` };
  const request = get({ host: '127.0.0.1', port, path, headers });
  const [reply] = await once(request, 'response');
  if (reply.statusCode !== 200) throw new Error(`${path}: ${reply.statusCode}`);
  if (path.includes('replay')) await firstEvent(reply);
  else for await (const _ of reply);
  request.destroy();
}

async function firstEvent(reply: AsyncIterable<Buffer>): Promise<void> {
  let text = '';
  for await (const chunk of reply) {
    text += chunk;
    if (text.includes('data:')) return;
  }
  throw new Error('a replay without an event');
}

/** The live view alone, and beside readers of heatmaps. */
async function besideReaders({ runs, seconds }: Length, data: string): Promise<Part> {
  const p99: { alone: number[]; beside: number[] } = { alone: [], beside: [] };
  let answered = 0;
  for (let i = 0; i < runs; i++) {
    process.stderr.write(`  readers, run ${i + 1} of ${runs}\n`);
    const copy = `${data}-copy`;
    for (const which of ['alone', 'beside'] as const) {
      cpSync(data, copy, { recursive: true });
      const readers =
        which === 'beside' ? { beside: (port: number) => readHeat(port, seconds, (n) => (answered += n)) } : {};
      const one: Case = {
        system: 'fieldmouse',
        speak: 'v1',
        visitors: 500,
        rate: 10,
        samples: 6,
        seconds,
        queries: ['moves=full'],
        flags: ['--data', copy, '--trust-proxy', 'yes'],
        ...readers,
      };
      p99[which].push((await measure(one)).p99);
      rmSync(copy, { recursive: true, force: true });
    }
  }
  const ratio = spread(p99.beside.map((ms, i) => ms / (p99.alone[i] as number)));
  return {
    rows: [
      ['live p99 ms, 500 visitors', spreadText(spread(p99.alone), 0)],
      [
        `live p99 ms, 500 visitors, with ${READERS} readers of the heatmap (${Math.round(answered / runs / seconds)} answers/s)`,
        spreadText(spread(p99.beside), 0),
      ],
    ],
    targets: [
      {
        what: `live p99 with ${READERS} readers, relative to without`,
        wanted: '≤ 1.2',
        got: spreadText(ratio, 2),
        met: ratio.median <= 1.2,
      },
    ],
  };
}

async function readHeat(port: number, seconds: number, tell: (answered: number) => void): Promise<void> {
  const load = new Loader('requests');
  const requests = Array.from({ length: ADDRESSES }, (_, i) => ({
    method: 'GET' as const,
    path: HEAT,
    headers: { authorization: `Bearer ${TOKEN}`, 'x-forwarded-for': `10.0.${i >> 8}.${i & 255}` },
  }));
  try {
    const { answered } = await load.ask({ k: 'requests', port, connections: READERS, seconds, requests }, 'answered');
    tell(answered);
  } finally {
    await load.end();
  }
}
