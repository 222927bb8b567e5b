/**
 * Commands on the record, on stores filled by real visitors. Each command runs as a process at least once; in this
 * process it takes a tenth of the CPU.
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  rmSync,
  statSync,
  truncateSync,
  utimesSync,
  watch,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { text } from 'node:stream/consumers';
import { after, type TestContext, test } from 'node:test';
import fc from 'fast-check';
import { type Key, open } from 'lmdb';
import { csvRow } from '../src/commands/csv.ts';
import { barText, createBar } from '../src/commands/progress-bar.ts';
import { readLine, runLine } from '../src/commands/record-lines.ts';
import type { Heat } from '../src/model/heat.ts';
import type { Visit } from '../src/model/visit.ts';
import { encodeSamples, type Sample } from '../src/protocol/encode.ts';
import type { Run } from '../src/store/archive.ts';
import { openLmdbStore } from '../src/store/lmdb/lmdb-store.ts';
import { run, runHere } from './support/command.ts';
import { type ServerOptions, spawnMain, startServer, type TestServer, temporaryFolder } from './support/server.ts';
import { BinaryVisitor, JsonVisitor } from './support/visitor.ts';

/** Runs a command as a process, and returns what it prints on standard output. It must succeed. */
async function spawned(...args: string[]): Promise<string> {
  const { code, out, err } = await run(...args);
  assert.deepEqual([code, err], [0, ''], args.join(' '));
  return out;
}

function inProcess(data: string, ...words: string[]): ReturnType<typeof runHere> {
  return runHere([...words, '--data', data]);
}

/** Like `spawned`, in this process. */
async function ok(...args: string[]): Promise<string> {
  const { code, out, err, data } = await runHere(args);
  assert.deepEqual([code, err], [0, ''], args.join(' '));
  return out + data;
}

const PAGES = ['/', '/shop', '/=SUM(A1)', '/with,comma and "quotes"'];

/** Visitors of each kind do all that visitors can do; resolves when all of it is acked. */
async function visit(t: TestContext, server: TestServer, count: number): Promise<void> {
  const simple = new JsonVisitor(t, server.ws);
  await simple.hello;
  simple.send({ id: 'Ünï "code"', x: 5, y: 6 });
  await Promise.all(Array.from({ length: count }, (_, i) => act(t, server, i)));
  simple.socket.close();
}

async function act(t: TestContext, server: TestServer, i: number): Promise<void> {
  const visitor = new BinaryVisitor(t, server.ws, { page: PAGES[i % PAGES.length] as string });
  await visitor.hello;
  const moves = Array.from({ length: 40 }, (_, k): Sample => ({ type: 'move', time: 16 * k, x: k * i, y: 7 * k }));
  visitor.frame(...moves);
  visitor.frame({ type: 'scroll', time: 700, y: 300 }, { type: 'visibility', time: 710, visible: false });
  visitor.frame(
    { type: 'visibility', time: 720, visible: true },
    { type: 'click', time: 730, x: 20, y: 900, button: 0, ex: 100, ey: 32_767, selector: '#buy > "a"' },
    { type: 'page', time: 740, page: '/thanks' },
    { type: 'resize', time: 750, vw: 400, vh: 800, dw: 400, dh: 3000 },
    { type: 'pointer', time: 760, pointer: 'touch' },
  );
  const last = visitor.frame({ type: 'move', time: 800, x: 1, y: 2 });
  await acked(visitor, last);
  visitor.socket.close();
}

async function acked(visitor: BinaryVisitor, n: number): Promise<void> {
  while (visitor.acked < n) await once(visitor.socket, 'message');
}

const VISITS = 12;
/** What is cleaned up after all tests, the last first. */
const cleanups: (() => unknown)[] = [];
const whole = { after: (clean: () => unknown) => void cleanups.push(clean) } as unknown as TestContext;
after(async () => {
  for (const clean of cleanups.reverse()) await clean();
});

/** The data folder of a server that had VISITS visitors and a simple one, and is stopped. */
async function fill(): Promise<string> {
  const server = await startServer(whole, QUICK);
  await visit(whole, server, VISITS);
  await server.stop();
  return server.data;
}

let master: Promise<string> | undefined;

/** A copy of it. */
async function filled(t: TestContext): Promise<string> {
  master ??= fill();
  const data = join(temporaryFolder(t), 'data');
  cpSync(await master, data, { recursive: true });
  return data;
}

const QUICK: ServerOptions = { workers: 1, flags: ['--commit', '10'] };

/** An export without its first line, which says when it was made. */
async function exported(data: string, ...flags: string[]): Promise<string> {
  const { code, data: out } = await inProcess(data, 'export', ...flags);
  assert.equal(code, 0);
  return out.slice(out.indexOf('\n') + 1);
}

/** Everything about visits, counts and a heatmap. */
async function everything(data: string) {
  const store = await openLmdbStore(data);
  const { archive } = store;
  await archive.compactAll();
  const days = { from: '2000-01-01', to: '2100-01-01' };
  const { items } = await archive.visits({ site: 'demo', limit: 200 });
  const visits = items.sort((a, b) => (a.id < b.id ? -1 : 1));
  const heats = [];
  for (const kind of ['move', 'click', 'scroll'] as const)
    heats.push(await archive.heat({ site: 'demo', page: '/thanks', kind, ...days }));
  const counts = [await archive.pages('demo', days), await archive.days('demo', null, days)];
  await store.close();
  return { visits, heats, counts };
}

test('an export is restored by import: same visits, same counts, same bytes, however often', async (t) => {
  const data = await filled(t);
  const before = await exported(data);
  assert.equal(before.split('\n').filter((line) => line.startsWith('{"visit"')).length, 13);
  assert.match(before, /\[\d+,"click",20,900,0,100,32767,"#buy > \\"a\\""\]/);
  assert.match(before, /"label":"Ünï \\"code\\""/);
  assert.match(before, /\{"end":\{"visits":13,"runs":\d+\}\}\n$/);
  const file = join(temporaryFolder(t), 'record.ndjson');
  assert.equal(await spawned('export', '--data', data, '--out', file), '');
  assert.equal(statSync(file).mode & 0o777, 0o600);

  const fresh = join(temporaryFolder(t), 'data');
  await (await openLmdbStore(fresh)).close();
  const first = await run('import', file, '--data', fresh);
  assert.equal(first.code, 0, first.err);
  assert.match(first.out, /^Read 13 visits with \d+ runs;/);
  assert.equal(await exported(fresh), before);
  assert.deepEqual(await everything(fresh), await everything(data));
  assert.match(await spawned('verify', '--data', fresh), /^Every page is intact/);

  await ok('import', file, '--data', fresh);
  await ok('import', file, '--data', data);
  assert.equal(await exported(fresh), before);
  assert.equal(await exported(data), before);
  assert.match(await ok('verify', '--data', fresh), /^Every page is intact/);
});

test('import reads standard input, and names sites unknown to the store', async (t) => {
  const data = await filled(t);
  const lines = await spawned('export', '--data', data);
  const fresh = join(temporaryFolder(t), 'data');
  await (await openLmdbStore(fresh)).close();
  await (await openLmdbStore(fresh)).close();
  const child = spawnMain(['import', '-', '--data', fresh], {}, 'pipe');
  child.stdin?.end(lines.replaceAll('"site":"demo"', '"site":"elsewhere"'));
  const out = await text(child.stdout as NodeJS.ReadableStream);
  assert.match(out, /There is no site elsewhere here/);
  assert.equal((await exported(fresh)).replaceAll('"elsewhere"', '"demo"'), lines.slice(lines.indexOf('\n') + 1));
});

test('an export of some days or one site contains only those visits', async (t) => {
  const data = await filled(t);
  const today = new Date().toISOString().slice(0, 10);
  const all = await exported(data);
  // The test may run at midnight.
  const yesterday = new Date(Date.now() - 86_400_000).toISOString().slice(0, 10);
  assert.equal(await exported(data, '--from', yesterday, '--site', 'demo'), all);
  assert.equal(await exported(data, '--to', '2020-01-01'), '{"end":{"visits":0,"runs":0}}\n');
  assert.equal((await run('export', '--site', 'none', '--data', data)).code, 1);
  assert.equal(await exported(data, '--from', yesterday, '--to', today), all);
});

test('the counts as CSV equal those of the store, and no cell is a formula for a spreadsheet', async (t) => {
  const data = await filled(t);
  const csv = await ok('export', '--format', 'csv', '--data', data);
  const [head, ...rows] = csv.split('\r\n');
  // Reading the text as UTF-8 removes the byte order mark.
  assert.equal(
    head,
    'site,day,page,views,visits,clicks,moves,total_time_ms,total_depth_px,measured_depth_px,measured_height_px',
  );
  assert.equal(rows.pop(), '');
  const { counts } = await everything(data);
  const pages = (counts[0] as { page: string; views: number; moves: number }[]).filter(({ page }) => page !== '');
  assert.ok(rows.length >= pages.length);
  assert.ok(
    rows.some((row) => /,"\/with,comma and ""quotes""",\d+,3,3,/.test(row)),
    csv,
  );
  // From the right, because pages may contain commas.
  const column = (head as string).split(',').indexOf('moves') - (head as string).split(',').length;
  const moves = rows.reduce((sum, row) => sum + Number(row.split(',').at(column)), 0);
  assert.equal(
    moves,
    pages.reduce((sum, page) => sum + page.moves, 0),
  );
});

test('an export whose reader stops early exits silently', async (t) => {
  const data = await filled(t);
  const child = spawnMain(['export', '--data', data]);
  child.stdout?.once('data', () => child.stdout?.destroy());
  const [err, [code]] = await Promise.all([
    text(child.stderr as NodeJS.ReadableStream),
    once(child, 'exit') as Promise<[number]>,
  ]);
  assert.deepEqual([code, err], [0, '']);
});

test('an imported whole run replaces its parts in the store', async (t) => {
  const run = (n: number, frames: number, t0: number, samples: unknown[]) =>
    JSON.stringify({ run: { n, frames, page: '/', size: [800, 600, 800, 900], entered: n === 1, t: t0, samples } });
  const since = Date.UTC(2026, 0, 1);
  const about = { since, device: 'tablet', language: 'en', referrer: '', origin: '', country: 'DE', label: '' };
  const file = (...runs: string[]) => {
    const visit = JSON.stringify({ visit: { id: 'a'.repeat(22), site: 'demo', ...about } });
    const end = JSON.stringify({ end: { visits: 1, runs: runs.length } });
    const path = join(temporaryFolder(t), 'part.ndjson');
    writeFileSync(path, [HEADER, visit, ...runs, end].join('\n'));
    return path;
  };
  const data = join(temporaryFolder(t), 'data');
  await (await openLmdbStore(data)).close();
  const early = run(1, 3, since, [[0, 10, 10]]);
  const late = run(9, 1, since + 5000, [[0, 50, 50]]);
  const all = run(1, 5, since, [
    [0, 10, 10],
    [100, 20, 20],
  ]);
  const behind = run(7, 3, since + 4000, [[0, 30, 30]]);
  // What a part of a run has cannot be told from the rest of it.
  const across = run(4, 4, since + 2000, [[0, 30, 30]]);
  await ok('import', file(early, late), '--data', data);
  await ok('import', file(all), '--data', data);
  await ok('import', file(early), '--data', data);
  assert.deepEqual((await exported(data)).split('\n').slice(1, -2), [all, late]);
  assert.match(await ok('verify', '--data', data), /^Every page is intact/);
  await ok('import', file(behind), '--data', data);
  await ok('import', file(across), '--data', data);
  assert.deepEqual((await exported(data)).split('\n').slice(1, -2), [all, behind]);
  assert.match(await ok('verify', '--data', data), /^Every page is intact/);
});

const HEADER = '{"fieldmouse":"0.1.0","format":1,"exported":"2026-11-20T00:00:00.000Z"}';
const VISIT = `{"visit":{"id":"v","site":"demo","since":1767225600000,"device":"desktop","language":"","referrer":"","origin":"","country":"","label":""}}`;
const RUN = `{"run":{"n":1,"frames":1,"page":"/","size":[0,0,0,0],"entered":true,"t":1767225600000,"samples":[[0,1,2]]}}`;

test('an error in a file is reported with its line, and the lines before it are imported', async (t) => {
  const data = join(temporaryFolder(t), 'data');
  await (await openLmdbStore(data)).close();
  const path = join(temporaryFolder(t), 'faulty.ndjson');
  const cases: [string | Buffer, RegExp][] = [
    ['', /line 1: the export ends before its last line/],
    ['x', /line 1: it is not JSON/],
    ['[]', /line 1: the line is not an object/],
    [VISIT, /line 1: an export must start with/],
    ['{"fieldmouse":"9","format":2}', /line 1: its format is 2; this version reads 1/],
    [[HEADER, '', RUN].join('\n'), /line 3: a run must follow its visit/],
    [[HEADER, VISIT, RUN].join('\r\n'), /line 4: the export ends before its last line/],
    [
      [HEADER, VISIT, RUN, '{"end":{"visits":1,"runs":2}}'].join('\n'),
      /line 4: it announces 1 visits and 2 runs, but 1 and 1 were read/,
    ],
    [[HEADER, VISIT.replace('"v"', '"../v"')].join('\n'), /line 2: id is not 1 to 64 letters/],
    [[HEADER, VISIT.replace('demo', 'De mo')].join('\n'), /line 2: site is not/],
    [[HEADER, VISIT.replace('desktop', 'fridge')].join('\n'), /line 2: device is not one of/],
    [[HEADER, VISIT, RUN.replace('"n":1', '"n":0')].join('\n'), /line 3: n is not a whole number from 1/],
    [[HEADER, VISIT, RUN.replace('[0,1,2]', '[5,1,2],[4,1,2]')].join('\n'), /line 3: the time of sample 2 is not/],
    [[HEADER, VISIT, RUN.replace('[0,1,2]', '[0,"jump"]')].join('\n'), /line 3: sample 1 is of an unknown kind/],
    [
      [HEADER, VISIT, RUN.replace('[0,1,2]', '[0,1e9,2]')].join('\n'),
      /line 3: sample 1 is not a whole number from -10000000/,
    ],
    [[HEADER, VISIT, RUN.replace('1767225600000', '9e15')].join('\n'), /line 3: t \(Unix ms\) is not/],
    [Buffer.concat([Buffer.from(`${HEADER}\n`), Buffer.from([0xff, 0xfe, 0x0a])]), /line 2: it is not UTF-8/],
    [`${HEADER}\n${' '.repeat(9_000_000)}`, /line 2: it is longer than 8388608 bytes/],
  ];
  const store = await openLmdbStore(data);
  t.after(() => store.close());
  for (const [content, fault] of cases) {
    writeFileSync(path, content);
    const { code, err, out } = await inProcess(data, 'import', path);
    assert.deepEqual([code, out], [1, ''], String(fault));
    assert.match(err, fault);
    assert.match(err, /everything before it was imported$/);
  }
  assert.equal((await store.archive.visit('v'))?.moves, 1);
  assert.match((await inProcess(data, 'import', join(data, 'none'))).err, /: no such file$/);
});

test('an invalid command line for the record names the error', async (t) => {
  const data = temporaryFolder(t);
  const cases: [string[], ...RegExp[]][] = [
    [['import'], /import: needs FILE or -/],
    [['backup'], /backup: needs FILE or FOLDER/],
    [['restore'], /restore: needs FILE/],
    [['erase'], /erase: needs VISIT/],
    [['verify', 'all'], /verify: unexpected argument "all"/],
    [['verify', '--site', 'demo'], /--site: not an option of verify/],
    [
      ['export', '--site', 'A', '--from', '2026-02-30', '--to', 'now', '--format', 'xml'],
      /--site: "A" is not a site key/,
      /--from: "2026-02-30" is not a day/,
      /--to: "now" is not a day/,
      /--format: "xml" is not ndjson or csv/,
    ],
    [['export', '--from', '2026-02-02', '--to', '2026-02-01'], /--from: 2026-02-02 is after --to 2026-02-01/],
    [['export', '--out', 'a', '--out', 'b'], /--out: give it only once/],
  ];
  for (const [words, ...faults] of cases) {
    const { code, err } = await inProcess(data, ...words);
    assert.equal(code, 2, words.join(' '));
    for (const fault of faults) assert.match(err, fault);
  }
  for (const words of [['verify'], ['export'], ['backup', 'x.mdb'], ['erase', 'v']]) {
    const { code, err } = await inProcess(join(data, 'none'), ...words);
    assert.deepEqual(
      [code, err],
      [
        1,
        `fieldmouse: there is no store in ${join(data, 'none')}; start the server to create one, or set another folder with --data`,
      ],
    );
  }
  assert.deepEqual(readdirSync(data), []);
});

test('erase removes a visit from everything', async (t) => {
  const data = await filled(t);
  const before = await everything(data);
  const { id } = before.visits.find((visit) => visit.clicks > 0) as Visit;
  assert.match(await spawned('erase', id, '--yes', '--data', data), /^Deleted visit /);
  const after = await everything(data);
  assert.equal(after.visits.length, before.visits.length - 1);
  // Each made one move on that page.
  assert.equal((after.heats[0] as Heat).total, (before.heats[0] as Heat).total - 1);
  assert.ok(!(await exported(data)).includes(id));
  assert.match(await ok('verify', '--data', data), /^Every page is intact/);
  const again = await run('erase', id, '--yes', '--data', data);
  assert.deepEqual([again.code, again.err], [1, `fieldmouse: there is no visit ${id}\n`]);
});

test('hits list shows the totals of each page', async (t) => {
  const data = temporaryFolder(t);
  const store = await openLmdbStore(data);
  t.after(() => store.close());
  assert.match((await inProcess(data, 'hits', 'list')).out, /^No visits counted yet/);
  await Promise.all(['/', '/', '/garden/bee.html'].map((page) => store.hit('demo', page)));
  const { code, out } = await inProcess(data, 'hits', 'list');
  assert.deepEqual([code, out], [0, 'SITE  VISITS  PAGE\ndemo  2       /\ndemo  1       /garden/bee.html']);
});

test('hits remove resets the total of one page, or of all pages of a site', async (t) => {
  const data = temporaryFolder(t);
  const store = await openLmdbStore(data);
  t.after(() => store.close());
  await Promise.all(['/', '/', '/a', '/a/b'].map((page) => store.hit('demo', page)));
  assert.equal((await inProcess(data, 'hits', 'remove', 'demo/', '--yes')).out, 'Removed the total of demo/.');
  assert.equal(await store.hits('demo', '/'), 0);
  assert.equal(await store.hit('demo', '/'), 1);
  assert.equal(
    (await inProcess(data, 'hits', 'remove', 'demo', '--yes')).out,
    'Removed the totals of 3 pages of demo.',
  );
  assert.equal(await store.hits('demo', '/a/b'), 0);
  for (const word of ['demo', 'demo/a', 'other/', '/']) {
    const { code, err } = await inProcess(data, 'hits', 'remove', word, '--yes');
    assert.deepEqual([code, err], [1, `fieldmouse: no visits to ${word} were counted; see fieldmouse hits list`]);
  }
  assert.equal((await inProcess(data, 'hits', 'remove')).code, 2);
});

test('an id that starts with a dash is not read as an option', async (t) => {
  const data = temporaryFolder(t);
  await (await openLmdbStore(data)).close();
  for (const id of ['-SHazI4Yrrb_qf3165Slfg', '--HazI4Yrrb_qf3165Slfg'])
    assert.equal((await inProcess(data, 'erase', id, '--yes')).err, `fieldmouse: there is no visit ${id}`);
});

test('an interrupted export leaves no files behind', async (t) => {
  const data = await filled(t);
  const folder = temporaryFolder(t);
  const watcher = watch(folder);
  const child = spawnMain(['export', '--data', data, '--out', join(folder, 'out')]);
  await once(watcher, 'change');
  watcher.close();
  child.kill('SIGINT');
  const [code] = (await once(child, 'exit')) as [number];
  // It may have been faster.
  assert.deepEqual([code, readdirSync(folder)], code === 130 ? [130, []] : [0, ['out']]);
});

test('verify names each count that differs from the frames', async (t) => {
  const data = await filled(t);
  // What visitors sent last is not counted yet.
  await exported(data);
  const root = open({ path: join(data, 'store.mdb'), maxDbs: 64, overlappingSync: false });
  const counts = root.openDB('counts', {});
  const [entry] = [...counts.getRange({ limit: 1 })] as [{ key: Key; value: { moves: number } }];
  const { moves } = entry.value;
  await counts.put(entry.key, { ...entry.value, moves: moves + 7 });
  await root.close();
  const { code, out, err } = await run('verify', '--data', data);
  assert.equal(code, 1);
  assert.match(out, new RegExp(`^moves of demo.* on \\d{4}-\\d\\d-\\d\\d: stored ${moves + 7}, computed ${moves}\n$`));
  assert.match(err, /^fieldmouse: 1 counts differ from the frames\n$/);
});

test('a backup made under load is complete, and can be restored', async (t) => {
  const server = await startServer(t, { ...QUICK, workers: 2 });
  await visit(t, server, 3);
  const folder = temporaryFolder(t);
  const writers = keepWriting(t, server);
  const said = await spawned('backup', folder, '--data', server.data);
  const beside = await spawned('backup', join(folder, 'named.mdb'), '--data', server.data);
  const [, path = ''] = /^Copied the store to (\S+) \(/.exec(said) ?? [];
  assert.match(path, /fieldmouse-\d{8}T\d{6}Z\.mdb$/);
  assert.match(beside, /was opened, written to and checked as in a restore/);
  assert.deepEqual(readdirSync(folder).length, 2);
  assert.equal(statSync(path).mode & 0o777, 0o600);
  await writers.stop();

  const again = await run('backup', path, '--data', server.data);
  assert.deepEqual([again.code, /already exists/.test(again.err)], [1, true]);
  const refused = await run('restore', path, '--data', server.data);
  assert.deepEqual([refused.code, refused.err], [1, `fieldmouse: a server is using ${server.data}; stop it first\n`]);
  assert.match(refused.out, /^Checked \S+mdb; a copy is ready in \S+restore\.part\. Stop the server/);

  const whole = await exported(server.data);
  await server.stop();
  const fresh = join(temporaryFolder(t), 'data');
  await (await openLmdbStore(fresh)).close();
  assert.match(await spawned('restore', path, '--data', fresh), /^The store in \S+ is now a copy of/);
  assert.match(await ok('verify', '--data', fresh), /^Every page is intact/);
  const idsOf = (lines: string) => lines.match(/"id":"[^"]+"/g) ?? [];
  const restored = idsOf(await exported(fresh));
  assert.ok(restored.length >= 4);
  for (const id of restored) assert.ok(whole.includes(id));
  // What came after the backup comes back by an export.
  const file = join(temporaryFolder(t), 'later.ndjson');
  writeFileSync(file, `${HEADER}\n${whole}`);
  await ok('import', file, '--data', fresh);
  assert.deepEqual(idsOf(await exported(fresh)), idsOf(whole));
  assert.deepEqual(await movesOf(fresh), await movesOf(server.data));
  assert.match(await ok('verify', '--data', fresh), /^Every page is intact/);
});

/** Visitors that send until they are stopped; then all they sent is acked. */
function keepWriting(t: TestContext, server: TestServer) {
  let stopped = false;
  const one = async (i: number) => {
    const visitor = new BinaryVisitor(t, server.ws, { page: '/load' });
    await visitor.hello;
    let n = 0;
    for (let k = 0; !stopped; k++) {
      n = visitor.frame({ type: 'move', time: k, x: k % 1000, y: i }, { type: 'move', time: k, x: 0, y: k % 1000 });
      await acked(visitor, n);
    }
    visitor.socket.close();
  };
  const running = Promise.all(Array.from({ length: 8 }, (_, i) => one(i)));
  return {
    stop: () => {
      stopped = true;
      return running;
    },
  };
}

/** Moves of each visit. */
async function movesOf(data: string): Promise<string[]> {
  const { visits } = await everything(data);
  return visits.map(({ id, moves }) => `${id} ${moves}`);
}

test('restore keeps the previous store, and accepts no damaged backup', async (t) => {
  const data = await filled(t);
  const folder = temporaryFolder(t);
  const backup = join(folder, 'b.mdb');
  await ok('backup', backup, '--data', data);
  const before = await exported(data);
  const [first] = (await everything(data)).visits;
  await ok('erase', (first as Visit).id, '--yes', '--data', data);
  const erased = await exported(data);

  const bad: [string, (path: string) => void, RegExp][] = [
    [
      'cut',
      (path) => truncateSync(path, Math.floor(statSync(path).size / 2)),
      /it is damaged: page \d+ is beyond its end/,
    ],
    ['noise', (path) => writeFileSync(path, Buffer.alloc(100_000, 7)), /it is not a Fieldmouse store/],
    ['empty', (path) => truncateSync(path, 0), /it is not a Fieldmouse store/],
    [
      'other',
      (path) => {
        rmSync(path);
        mkdirSync(path);
      },
      /: no such file/,
    ],
  ];
  for (const [name, damage, fault] of bad) {
    const path = join(folder, name);
    cpSync(backup, path);
    damage(path);
    const { code, err } = await run('restore', path, '--data', data);
    assert.equal(code, 1, name);
    assert.match(err, fault);
    assert.match(err, /^[^\n]+\n$/);
  }
  assert.equal(await exported(data), erased);

  const said = await spawned('restore', backup, '--data', data);
  assert.equal(await exported(data), before);
  const [, kept = ''] = /is kept as (store\.mdb\.before-restore-\d{8}T\d{6}Z);/.exec(said) ?? [];
  assert.deepEqual(
    readdirSync(data).sort(),
    ['store.gate', 'store.gate-lock', 'store.mdb', 'store.mdb-lock', kept].sort(),
  );
  await ok('restore', join(data, kept), '--data', data);
  assert.equal(await exported(data), erased);
  assert.deepEqual(readdirSync(folder).sort(), ['b.mdb', 'cut', 'empty', 'noise', 'other']);
});

test('restore checks a backup beside a running server, and uses the checked copy once the server is stopped', async (t) => {
  const backup = join(temporaryFolder(t), 'b.mdb');
  const source = await filled(t);
  await ok('backup', backup, '--data', source);
  const server = await startServer(t, QUICK);
  const restore = () => run('restore', backup, '--data', server.data);
  const { code, out, err } = await restore();
  assert.deepEqual([code, err], [1, `fieldmouse: a server is using ${server.data}; stop it first\n`]);
  assert.match(out, /^Checked \S+b\.mdb; a copy is ready in \S+restore\.part\. Stop the server/);
  await server.stop();

  // A file that has changed since is checked again.
  writeFileSync(backup, Buffer.alloc(statSync(backup).size, 7));
  const { code: changed, err: fault } = await restore();
  assert.deepEqual([changed, /it is not a Fieldmouse store/.test(fault)], [1, true]);
  assert.ok(!existsSync(join(server.data, 'restore.part')));
  cpSync(join(source, 'store.mdb'), backup);
  utimesSync(backup, 1000, 1000);
  const second = await startServer(t, { ...QUICK, data: server.data });
  assert.equal((await restore()).code, 1);
  await second.stop();
  // Of the same size and time: only a copy that is not made again can be good.
  writeFileSync(backup, Buffer.alloc(statSync(backup).size, 7));
  utimesSync(backup, 1000, 1000);
  assert.match((await restore()).out, /^The store in \S+ is now a copy of \S+b\.mdb\./);
  assert.equal(await exported(server.data), await exported(source));
  assert.ok(!existsSync(join(server.data, 'restore.part')));
});

test('a damaged store is replaced by restore, as its error says', async (t) => {
  const data = await filled(t);
  const before = await exported(data);
  const backup = join(temporaryFolder(t), 'b.mdb');
  await ok('backup', backup, '--data', data);
  truncateSync(join(data, 'store.mdb'), 20_000);
  const { code, err } = await run('export', '--data', data);
  assert.equal(code, 1);
  const command = /fieldmouse (restore) BACKUP (--data) (\S+)\n$/.exec(err)?.slice(1) ?? [];
  const [restore = '', ...rest] = command;
  await spawned(restore, backup, ...rest);
  assert.equal(await exported(data), before);
});

const anyPoint = fc.tuple(fc.nat(1000), fc.integer({ min: -1e7, max: 1e7 }), fc.integer({ min: -1e7, max: 1e7 }));

test('a run decodes from its line as encoded', () => {
  fc.assert(
    fc.property(fc.array(anyPoint, { maxLength: 50 }), fc.nat(), fc.string({ maxLength: 100 }), (points, n, page) => {
      let time = 0;
      const samples = points.map(([dt, x, y], i): Sample => {
        time += dt;
        if (i % 7 === 3)
          return { type: 'click', time, x, y, button: n % 256, ex: n % 32_768, ey: 5, selector: page.slice(0, 20) };
        if (i % 7 === 5) return { type: 'scroll', time, y: Math.abs(y) };
        if (i % 7 === 6) return { type: 'page', time, page };
        return { type: 'move', time, x, y };
      });
      const payload = Uint8Array.from(rebased(samples));
      const run: Run = {
        n: n + 1,
        frames: 1,
        page,
        size: [1, 2, 3, 4],
        entered: n % 2 === 0,
        t: 1_767_225_600_000,
        until: 0,
        payload,
      };
      const line = readLine(runLine(run));
      assert.equal(line.k, 'run');
      const { until, ...known } = run;
      assert.deepEqual((line as { run: unknown }).run, { ...known, payload: Buffer.from(payload) });
    }),
  );
});

/** Samples as a run has them: the first time is told by the first sample, and the payload counts from 0. */
function rebased(samples: Sample[]): number[] {
  return encodeSamples([{ type: 'move', time: 0, x: 0, y: 0 }, ...samples]);
}

test('a CSV row is parsed by the rules of RFC 4180, and no cell starts a formula', () => {
  fc.assert(
    fc.property(fc.array(fc.string({ unit: fc.constantFrom(...'a =+-@",;\t\r\n\'') }), { minLength: 1 }), (cells) => {
      const row = csvRow(cells);
      assert.ok(row.endsWith('\r\n'));
      const back = readCsv(row.slice(0, -2));
      assert.deepEqual(
        back.map((cell, i) => (cell === `'${cells[i]}` ? cells[i] : cell)),
        cells,
      );
      for (const cell of back) assert.ok(!/^\s*[=+\-@]/.test(cell), JSON.stringify(cell));
    }),
  );
});

/** The cells of one row. */
function readCsv(row: string): string[] {
  const cells: string[] = [];
  for (let at = 0; at <= row.length; ) {
    const [found = '', quoted, plain = ''] = /^(?:"((?:[^"]|"")*)"|([^",\r\n]*))(?:,|$)/.exec(row.slice(at)) ?? [];
    cells.push(quoted === undefined ? plain : quoted.replaceAll('""', '"'));
    at += found.endsWith(',') ? found.length : row.length + 1;
  }
  return cells;
}

test('a progress bar shows the share of the work done, and prints nothing without a terminal', () => {
  assert.equal(
    barText('copying', 'bytes', 5e6, 2e7, 10_000),
    'copying  ██████░░░░░░░░░░░░░░░░░░ 25 %  5.0 of 20.0 MB  0:30 left',
  );
  assert.equal(
    barText('exporting', 'visits', 0, 1200, 0),
    'exporting  ░░░░░░░░░░░░░░░░░░░░░░░░ 0 %  0 of 1,200 visits',
  );
  assert.equal(
    barText('counting', 'visits', 3000, 1200, 5),
    'counting  ████████████████████████ 100 %  3,000 of 1,200 visits  0:00 left',
  );
  assert.equal(barText('importing', 'bytes', 1e6, 0, 5), 'importing  1.0 MB');
  assert.match(barText('x', 'y', 1, 7201, 1000), /2:00:00 left$/);
  const screen = new PassThrough();
  const bar = createBar(screen, 'copying', 'bytes');
  bar.show(1, 2);
  bar.show(2, 2);
  bar.end();
  let drawn = '';
  // From Node 26 on, each read returns one write.
  for (let part = screen.read(); part !== null; part = screen.read()) drawn += part;
  const [, line = '', rest] = drawn.split('\r\u001b[2K');
  assert.match(line, /^copying {2}█{12}░{12} 50 %/);
  assert.equal(rest, '');
  createBar(undefined, 'copying', 'bytes').show(1, 2);
});
