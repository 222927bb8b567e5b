/** Damaged store files are reported in one line in every place that reads them, and good ones are never reported. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { closeSync, openSync, readFileSync, statSync, truncateSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { type TestContext, test } from 'node:test';
import { open } from 'lmdb';
import { checkFile } from '../src/store/lmdb/file/check-process.ts';
import { checkPages, quickCheck } from '../src/store/lmdb/file/folder.ts';
import { readMeta } from '../src/store/lmdb/file/tree.ts';
import { openLmdbStore } from '../src/store/lmdb/lmdb-store.ts';
import { forkModule } from './support/fork-module.ts';
import { allChildrenOf, spawnMain, startServer, temporaryFolder } from './support/server.ts';

const PAGE = 4096;

/** A store with leaves, branches and values of several pages; its path. */
async function fill(t: TestContext): Promise<string> {
  const data = temporaryFolder(t);
  const store = await openLmdbStore(data);
  const origins = Array.from({ length: 50 }, (_, i) => `https://shop-${i}.${'a-long-name.'.repeat(10)}example`);
  const site = (i: number) => ({ key: `site-${i}`, name: 'Site', origins, created: 0, firstSeen: null });
  await Promise.all(Array.from({ length: 20 }, (_, i) => store.addSite(site(i))));
  for (let i = 0; i < 10; i++) await Promise.all(Array.from({ length: 100 }, () => store.addToken('token', i)));
  await store.close();
  return join(data, 'store.mdb');
}

/** Frees pages at the end that were never written, as large values do that go in the commit in which they came. */
async function shorten(path: string): Promise<void> {
  const root = open({ path, maxDbs: 64 });
  const table = root.openDB('fleeting', {});
  for (let i = 0; i < 3; i++)
    await root.transaction(() => {
      table.put(i, Buffer.alloc(1_000_000));
      table.put('stays', i);
      table.remove(i);
    });
  await root.close();
}

/** Looks at all pages; how many are in use. */
function countPages(path: string): number {
  const fd = openSync(path, 'r');
  try {
    return [...checkPages(fd, path)].at(-1)?.[0] ?? 0;
  } finally {
    closeSync(fd);
  }
}

function overwrite(path: string, page: number, bytes: Uint8Array, offset = 0): void {
  const fd = openSync(path, 'r+');
  writeSync(fd, bytes, 0, bytes.length, page * PAGE + offset);
  closeSync(fd);
}

function metaOf(path: string) {
  const fd = openSync(path, 'r');
  const meta = readMeta(fd);
  closeSync(fd);
  assert.ok(meta);
  return meta;
}

/** Bytes that look like nothing. */
const NOISE = Uint8Array.from({ length: 20 * PAGE }, (_, i) => (i * 2_654_435_761) >>> 13);

const SEEN_AT_ONCE: Record<string, (path: string) => void> = {
  'cut in half': (path) => truncateSync(path, Math.floor(statSync(path).size / 2)),
  'cut by the last page in use': (path) => truncateSync(path, Math.max(...metaOf(path).roots) * PAGE),
  'cut to its first page': (path) => truncateSync(path, PAGE),
  'cut within its first page': (path) => truncateSync(path, 100),
  'without its first two pages': (path) => overwrite(path, 0, new Uint8Array(2 * PAGE)),
  'with noise for its first two pages': (path) => overwrite(path, 0, NOISE.subarray(0, 2 * PAGE)),
  'with noise for its root pages': (path) => {
    for (const root of metaOf(path).roots) overwrite(path, root, NOISE.subarray(0, PAGE));
  },
  'with roots beyond its end': (path) => {
    for (const page of [0, 1]) overwrite(path, page, Uint8Array.of(0xff, 0xff, 0xff), 136);
  },
  'of another format': (path) => writeFileSync(path, 'x'.repeat(100_000)),
};

for (const [kind, damage] of Object.entries(SEEN_AT_ONCE))
  test(`a store ${kind} is not opened, and the error names the file and what to do`, async (t) => {
    const path = await fill(t);
    damage(path);
    await assert.rejects(openLmdbStore(join(path, '..')), (error: Error & { code: string }) => {
      assert.match(error.code, /^(damaged|not-a-store)$/);
      assert.ok(error.message.startsWith(`${path} is `), error.message);
      assert.match(error.message, /; restore a backup: fieldmouse restore BACKUP --data \S+$/);
      return true;
    });
  });

/** Pages in use by what LMDB counts: those of trees, and those of large values. */
async function pagesByLmdb(path: string): Promise<{ tree: number; large: number }> {
  const root = open({ path, maxDbs: 64 });
  const stats = [...root.getKeys()].map((name) => root.openDB(String(name), {}).getStats() as Stats);
  const trees = [...stats, (stats[0] as Stats).root, (stats[0] as Stats).free];
  await root.close();
  const sum = (of: (tree: Stats) => number) => trees.reduce((all, tree) => all + of(tree), 0);
  return { tree: sum((of) => of.treeBranchPageCount + of.treeLeafPageCount), large: sum((of) => of.overflowPages) };
}

interface Stats {
  treeBranchPageCount: number;
  treeLeafPageCount: number;
  overflowPages: number;
  root: Stats;
  free: Stats;
}

test('a good store passes the check, also if its last pages were never written', async (t) => {
  const path = await fill(t);
  for (const prepare of [async () => {}, shorten]) {
    await prepare(path);
    const { tree, large } = await pagesByLmdb(path);
    assert.equal(countPages(path), tree + large);
    assert.ok(tree > 20 && large > 20, `${tree} and ${large} pages`);
    await (await openLmdbStore(join(path, '..'))).close();
    await checkFile(join(path, '..'));
  }
  assert.ok(statSync(path).size < (metaOf(path).last + 1) * PAGE, 'the file is shorter than its last page says');
});

test('a check killed from outside reports that, and does not call the store damaged', async (t) => {
  const folder = join(await fill(t), '..');
  const before = new Set(allChildrenOf(process.pid));
  const check = assert.rejects(checkFile(folder), { code: 'busy', message: /was stopped from outside \(SIGKILL\)/ });
  for (const pid of allChildrenOf(process.pid)) if (!before.has(pid)) process.kill(pid, 'SIGKILL');
  await check;
});

test('reading all pages finds every broken page in use', async (t) => {
  const path = await fill(t);
  const { tree } = await pagesByLmdb(path);
  const good = readFileSync(path);
  let found = 0;
  for (let page = 2; page < good.length / PAGE; page++) {
    overwrite(path, page, NOISE.subarray(0, PAGE));
    try {
      countPages(path);
    } catch (error) {
      assert.equal((error as { code: string }).code, 'damaged');
      found += 1;
    }
    writeFileSync(path, good);
  }
  // All of those and where a large value begins: what is within a value has no form to be broken.
  assert.ok(found > tree, `${found} of ${tree}`);
});

test('a store that others write to constantly is not taken for damaged', async (t) => {
  const path = await fill(t);
  await shorten(path);
  const folder = join(path, '..');
  const writer = forkModule('store-process', [folder]);
  t.after(() => writer.kill('SIGKILL'));
  await once(writer, 'message');
  writer.send(['storm', '']);
  await once(writer, 'message');
  const begun = metaOf(path).txn;
  const fd = openSync(path, 'r');
  t.after(() => closeSync(fd));
  for (let i = 0; i < 100; i++) quickCheck(fd, path);
  for (let i = 0; i < 3; i++) await checkFile(folder);
  assert.ok(metaOf(path).txn > begun, 'it was written to meanwhile');
});

test('start and commands report a damaged store in one line, and exit with code 1', async (t) => {
  const path = await fill(t);
  truncateSync(path, Math.floor(statSync(path).size / 2));
  for (const words of [['start', '--listen', 'tcp://127.0.0.1:0'], ['site', 'list'], ['verify'], ['backup', 'x.mdb']]) {
    const child = spawnMain([...words, '--data', join(path, '..')]);
    const [err, [code]] = await Promise.all([
      text(child.stderr as NodeJS.ReadableStream),
      once(child, 'exit') as Promise<[number]>,
    ]);
    assert.equal(code, 1, words[0]);
    assert.match(err, /^fieldmouse: \S+store\.mdb is damaged: [^\n]+; restore a backup: [^\n]+\n$/);
  }
});

test('a server whose store is truncated while it runs reports it and exits, instead of replacing workers endlessly', async (t) => {
  const path = await fill(t);
  const server = await startServer(t, { data: join(path, '..') });
  const ended = once(server.process, 'exit') as Promise<[number]>;
  truncateSync(path, 2 * PAGE);
  // Answers are not waited for: fetch has been seen to tell nothing of a connection whose both ends are gone.
  for (let i = 0; i < 4; i++) server.api('/v1/sites').catch(() => {});
  const [code] = await ended;
  assert.equal(code, 1, server.output());
  assert.match(server.output(), /^fieldmouse: \S+store\.mdb is damaged: .+ fieldmouse restore BACKUP --data/m);
});
