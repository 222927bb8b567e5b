/**
 * Stores in which a few bytes have changed, as a failing disk leaves them. Whatever the bytes hit, the server and the
 * commands answer with a message. Seeds are fixed; FIELDMOUSE_STORES=200 tries more of them.
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import {
  closeSync,
  cpSync,
  openSync,
  readFileSync,
  readSync,
  statSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { type TestContext, test } from 'node:test';
import type { Visit } from '../src/model/visit.ts';
import { openLmdbStore } from '../src/store/lmdb/lmdb-store.ts';
import { type Ran, run } from './support/command.ts';
import { until } from './support/exact.ts';
import { FILE } from './support/owner.ts';
import { click, moves, type PastVisit, record } from './support/record.ts';
import { seeded } from './support/seeded.ts';
import { childrenOf, isAlive, spawnMain, TOKEN, temporaryFolder } from './support/server.ts';

const STORES = Number(process.env.FIELDMOUSE_STORES ?? 6);
const FIRST = Number(process.env.FIELDMOUSE_FIRST ?? 1);
const CHANGED_BYTES = 9;
/** Stores that are tried at the same time. */
const AT_ONCE = 2;
const T = Date.now() - 3_600_000;
/** Few, so that changed bytes often hit other tables than those of visits. */
const VISITS = 24;

function madeVisit(i: number): PastVisit {
  const since = T + i * 20_000;
  const frames = Array.from({ length: 6 }, (_, f) => ({
    page: `/page-${(i + f) % 7}`,
    entered: f % 2 === 0,
    samples: [
      ...moves(
        since + f * 5000,
        Array.from({ length: 60 }, (_, k): [number, number] => [(i * 31 + k * 13) % 1200, (f * 57 + k * 29) % 1900]),
      ),
      click(since + f * 5000 + 2000, 100 + i, 200 + f, '#buy'),
    ],
  }));
  return {
    id: `visit-${String(i).padStart(4, '0')}`,
    site: i % 3 === 0 ? 'other' : 'demo',
    since,
    label: `label-${i}`,
    frames,
  };
}

async function fill(): Promise<string> {
  const folder = temporaryFolder(FILE);
  const store = await openLmdbStore(folder, { durability: 'system' });
  const site = { key: 'other', name: 'A Site For Tests', origins: ['self'], created: 0, firstSeen: null };
  await store.addSite(site);
  for (let i = 0; i < VISITS; i++) {
    await record(store.archive, madeVisit(i));
    if (i % 10 === 0) await store.archive.compactAll();
  }
  await store.archive.compactAll();
  await Promise.all(Array.from({ length: 200 }, (_, i) => store.hit('demo', `/page-${i % 20}.html`)));
  // Of several pages each.
  for (let i = 0; i < 100; i++) {
    await store.addToken(`token-${i}`, T);
    await store.addAdmin(i % 2 ? `clara-${i}` : `zelter-${i}`, T);
  }
  await store.addAdmin('mendelssohn', T);
  await store.close();
  return folder;
}

/** What each test copies. */
const master = await fill();

/** Changes some bytes behind the first two pages, which say what the file is. */
function change(path: string, random: () => number): void {
  const fd = openSync(path, 'r+');
  const size = statSync(path).size;
  for (let i = 0; i < CHANGED_BYTES; i++) {
    const at = 8192 + Math.floor(random() * (size - 8192));
    const byte = Buffer.alloc(1);
    readSync(fd, byte, 0, 1, at);
    byte[0] = (byte[0] as number) ^ (1 + Math.floor(random() * 255));
    writeSync(fd, byte, 0, 1, at);
  }
  closeSync(fd);
}

/** What a command says is for people. */
function assertWords(what: string, { code, out, err }: Ran, codes: readonly (number | null)[] = [0, 1, 3]): void {
  assert.ok(codes.includes(code), `${what} ended with ${code}: ${err}`);
  assert.doesNotMatch(`${out}${err}`, /^ +at |Error:|Assertion|mdb\.c/m, `${what} printed a stack: ${err}`);
  if (code === 1) assert.match(err, /^fieldmouse: [^\n]+\n$/m, `${what}: ${err}`);
}

interface Server {
  url: string;
  end(): Promise<Ran>;
}

/** Starts a server that may end at once. Resolves with its address, or undefined with how it ended. */
async function start(t: TestContext, data: string): Promise<{ server?: Server; ended?: Ran }> {
  const args = ['--listen', 'tcp://127.0.0.1:0', '--workers', '1', '--data', data];
  const child = spawnMain(args, { FIELDMOUSE_TOKEN: TOKEN });
  t.after(() => child.kill('SIGKILL'));
  let out = '';
  const listening = new Promise<string>((resolve) => {
    child.stdout?.on('data', (bytes: Buffer) => {
      out += bytes.toString();
      const url = /Demo site +(http:\/\/\S+:\d+)\//.exec(out)?.[1];
      if (url && out.includes('listens on')) resolve(url);
    });
  });
  const exited = Promise.all([text(child.stderr as NodeJS.ReadableStream), once(child, 'exit')]).then(
    ([err, [code]]): Ran => ({ code: code as number, out, err }),
  );
  const first = await Promise.race([listening, exited]);
  if (typeof first !== 'string') return { ended: first };
  return {
    server: {
      url: first,
      end: () => {
        child.kill('SIGTERM');
        return exited;
      },
    },
  };
}

const DAYS = `from=${new Date(T - 86_400_000).toISOString().slice(0, 10)}`;
const PATHS = [
  '/v1/sites',
  '/v1/visits?site=demo&limit=200',
  '/v1/visits?site=other&limit=200',
  `/v1/pages?site=demo&${DAYS}`,
  ...['move', 'click', 'scroll'].map((kind) => `/v1/heatmap?site=demo&page=/page-1&kind=${kind}&${DAYS}`),
  `/v1/heatmap.png?site=demo&page=/page-2&${DAYS}`,
  '/v1/admins',
  '/v1/tokens',
  '/v1/sessions',
  '/v1/audit',
  '/v1/hits/demo/page-1.html',
];

/** Asks everything that reads. Undefined: the server ended meanwhile. */
async function ask(url: string, path: string): Promise<string | undefined> {
  const headers = { authorization: `Bearer ${TOKEN}` };
  try {
    const answer = await fetch(url + path, { headers, signal: AbortSignal.timeout(60_000) });
    const body = await answer.text();
    assert.notEqual(answer.status, 500, `${path}: ${body}`);
    assert.doesNotMatch(body, /"stack"/);
    return body;
  } catch (error) {
    if (error instanceof assert.AssertionError) throw error;
    return undefined;
  }
}

async function askAll(url: string): Promise<void> {
  for (const path of PATHS) await ask(url, path);
  const list = await ask(url, '/v1/visits?site=demo&limit=200');
  const { visits = [] } = JSON.parse(list ?? '{}') as { visits?: Visit[] };
  for (const { id } of visits) await ask(url, `/v1/visits/${encodeURIComponent(id)}/passages`);
  for (const site of ['demo', 'other']) {
    const past = await ask(url, `/v1/replay?site=${site}&from=${T - 60_000}&to=${T + 2_000_000}&speed=0`);
    assert.ok(past === undefined || /\nevent: end\n/.test(past) || past.startsWith('{'), past?.slice(-300));
  }
}

async function trial(t: TestContext, seed: number): Promise<string> {
  const data = join(temporaryFolder(t), 'data');
  cpSync(master, data, { recursive: true });
  change(join(data, 'store.mdb'), seeded(seed));
  const verified = await run('verify', '--data', data);
  assertWords('verify', verified);
  const exported = await run('export', '--data', data, '--out', join(data, 'out.ndjson'));
  assertWords('export', exported);
  assertWords(
    'export --skip-damaged',
    await run('export', '--skip-damaged', '--data', data, '--out', join(data, 'out')),
  );
  const { server, ended } = await start(t, data);
  if (ended) assertWords('start', ended, [1]);
  if (!server) return 'no start';
  await askAll(server.url);
  const stopped = await server.end();
  assertWords('the server', stopped);
  return `verify ${verified.code}, export ${exported.code}, server ${stopped.code}`;
}

test('a store with changed bytes causes only clear messages: on start, verify, export, and every route that reads', async (t) => {
  const seeds = Array.from({ length: STORES }, (_, i) => FIRST + i);
  const failed: string[] = [];
  const outcomes = new Map<string, number>();
  const next = async () => {
    for (let seed = seeds.shift(); seed !== undefined; seed = seeds.shift()) {
      try {
        const outcome = await trial(t, seed);
        outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
      } catch (error) {
        failed.push(`seed ${seed}: ${(error as Error).message}`);
      }
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, next));
  t.diagnostic(JSON.stringify(Object.fromEntries(outcomes)));
  assert.deepEqual(failed, []);
});

const PAGE = 4096;

/** Numbers of the pages that have a text, of whatever commit. */
function pagesWith(path: string, text: string): number[] {
  const bytes = readFileSync(path);
  const pages = Array.from({ length: bytes.length / PAGE - 2 }, (_, i) => i + 2);
  return pages.filter((page) => bytes.subarray(page * PAGE, (page + 1) * PAGE).includes(text));
}

function overwrite(path: string, pages: readonly number[], bytes: () => Buffer): void {
  const fd = openSync(path, 'r+');
  for (const page of pages) writeSync(fd, bytes(), 0, PAGE, page * PAGE);
  closeSync(fd);
}

test('a server reports in one line a broken page that its start needs', async (t) => {
  const random = seeded(11);
  const fillings = [
    () => Buffer.alloc(PAGE, 0xff),
    () => Buffer.alloc(PAGE),
    () => Buffer.from(Array.from({ length: PAGE }, () => Math.floor(random() * 256))),
  ];
  for (const [i, text] of ['A Site For Tests', 'mendelssohn', 'token-77'].entries()) {
    const data = join(temporaryFolder(t), 'data');
    cpSync(master, data, { recursive: true });
    const path = join(data, 'store.mdb');
    const pages = pagesWith(path, text);
    assert.ok(pages.length > 0, text);
    overwrite(path, pages, fillings[i % fillings.length] as () => Buffer);
    const { ended, server } = await start(t, data);
    await server?.end();
    assert.equal(ended?.code, 1, `${text}: ${ended?.err}`);
    assert.match(ended?.err ?? '', DAMAGED_LINE, text);
  }
});

test('a server starts on a store with changed bytes in a page that its start needs, or reports them', async (t) => {
  const random = seeded(13);
  for (let i = 0; i < 4; i++) {
    const data = join(temporaryFolder(t), 'data');
    cpSync(master, data, { recursive: true });
    const path = join(data, 'store.mdb');
    const pages = ['A Site For Tests', 'mendelssohn', 'token-77'].flatMap((text) => pagesWith(path, text));
    const bytes = readFileSync(path);
    // The head, and where its entries are.
    for (const page of pages) bytes[page * PAGE + Math.floor(random() * 64)] = Math.floor(random() * 256);
    writeFileSync(path, bytes);
    const { ended, server } = await start(t, data);
    if (ended) assertWords('start', ended, [1]);
    if (server) assertWords('the server', await server.end(), [0, 1]);
  }
});

/** So large that commands do not look at all pages first. The file has nothing there. */
const LARGE_BYTES = 300e6;

test('a command on a large store reports in one line a broken page that it uses', async (t) => {
  const cases: [command: string, text: string, isMet: boolean][] = [
    ['admin list --data DATA', 'mendelssohn', true],
    ['site add third --name Third --origin https://third.example --data DATA', 'A Site For Tests', true],
    ['erase visit-0013 --yes --data DATA', 'label-13', true],
    ['erase --yes --data DATA -- visit-0013', 'label-13', true],
    ['admin list --data DATA', 'label-13', false],
  ];
  for (const [command, text, isMet] of cases) {
    const data = join(temporaryFolder(t), 'data');
    cpSync(master, data, { recursive: true });
    const path = join(data, 'store.mdb');
    overwrite(path, pagesWith(path, text), () => Buffer.alloc(PAGE, 0xff));
    truncateSync(path, LARGE_BYTES);
    const { code, out, err } = await run(...command.split(' ').map((word) => (word === 'DATA' ? data : word)));
    assert.equal(code, isMet ? 1 : 0, `${command}: ${err}`);
    if (isMet) assert.match(err, DAMAGED_LINE, command);
    else assert.deepEqual([err, /mendelssohn/.test(out)], ['', true]);
  }
});

test('a command on a large store reports that LMDB aborted its process, and a command told to stop stops', async (t) => {
  const data = join(temporaryFolder(t), 'data');
  cpSync(master, data, { recursive: true });
  truncateSync(join(data, 'store.mdb'), LARGE_BYTES);
  const runAndSend = async (signal: NodeJS.Signals, isToChild: boolean) => {
    // It waits for its input.
    const command = spawnMain(['import', '-', '--data', data]);
    t.after(() => command.kill('SIGKILL'));
    const ended = Promise.all([text(command.stderr as NodeJS.ReadableStream), once(command, 'exit')]);
    let child: number | undefined;
    await until(() => {
      [child] = childrenOf(command.pid as number);
      return child !== undefined;
    }, 'process of the command');
    process.kill(isToChild ? (child as number) : (command.pid as number), signal);
    const [err, [code, by]] = await ended;
    await until(() => !isAlive(child as number), 'end of the process of the command');
    return { err, code, by };
  };
  const crashed = await runAndSend('SIGSEGV', true);
  assert.equal(crashed.code, 1);
  assert.match(crashed.err, DAMAGED_LINE);
  assert.match(crashed.err, /using it crashed the process \(SIGSEGV\)/);
  assert.equal((await runAndSend('SIGTERM', false)).by, 'SIGTERM');
});

const DAMAGED_LINE = /^fieldmouse: \S+store\.mdb is damaged: [^\n]+; restore a backup: [^\n]+\n$/;

/** Commands that open the store, and do not only look at its file. */
const COMMANDS = [
  'site list',
  'admin list',
  'admin add someone',
  'token add program',
  'hits list',
  'audit',
  'export',
  'export --format csv',
  'import RECORD',
  'erase visit-0001 --yes',
  'hits remove demo --yes',
  'site remove other --yes',
];

test('every command reports a broken page of the store in one line, and changes nothing', async (t) => {
  const record = join(temporaryFolder(t), 'record.ndjson');
  assert.equal((await run('export', '--out', record, '--data', master)).code, 0);
  const { size } = statSync(join(master, 'store.mdb'));
  const random = seeded(7);
  for (const command of COMMANDS) {
    const data = join(temporaryFolder(t), 'data');
    cpSync(master, data, { recursive: true });
    const path = join(data, 'store.mdb');
    // A page is 4 KB; so many of them are hit that one is in use.
    const fd = openSync(path, 'r+');
    for (let i = 0; i < 12; i++) {
      const page = 2 + Math.floor(random() * (size / 4096 - 2));
      writeSync(fd, Buffer.alloc(4096, i % 2 ? 0xff : 0), 0, 4096, page * 4096);
    }
    closeSync(fd);
    const before = readFileSync(path);
    const args = command.split(' ').map((word) => (word === 'RECORD' ? record : word));
    const { code, err } = await run(...args, '--data', data);
    assert.equal(code, 1, `${command}: ${err}`);
    assert.match(err, DAMAGED_LINE, command);
    assert.ok(readFileSync(path).equals(before), `${command} has changed the store`);
  }
});
