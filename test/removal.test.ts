/** Large visits are removed in several writes. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import fc from 'fast-check';
import { open } from 'lmdb';
import { Redis } from '../src/redis/connection.ts';
import { type RedisTarget, readTarget } from '../src/redis/redis-url.ts';
import { LmdbRemoval } from '../src/store/lmdb/lmdb-removal.ts';
import { openLmdbStore } from '../src/store/lmdb/lmdb-store.ts';
import { differences } from '../src/store/lmdb/lmdb-verify.ts';
import { PageNumberTable } from '../src/store/lmdb/page-table.ts';
import { openTables, type Tables } from '../src/store/lmdb/tables.ts';
import { VisitTable } from '../src/store/lmdb/visit-table.ts';
import { decodeRuns } from '../src/store/record/chunk.ts';
import { PageHashes } from '../src/store/redis/record/page-hash.ts';
import { RecordSite } from '../src/store/redis/record/record-site.ts';
import { removePiece, removeVisits } from '../src/store/redis/record/redis-removal.ts';
import { siteDifferences } from '../src/store/redis/record/redis-verify.ts';
import { RedisArchive } from '../src/store/redis/redis-archive.ts';
import { until } from './support/exact.ts';
import { startRedis } from './support/redis.ts';
import { spawnMain, startServer, temporaryFolder } from './support/server.ts';
import {
  batchesOf,
  batchOf,
  chunkOf,
  type Delivery,
  keep,
  type MadeVisit,
  madeVisit,
  plainVisit,
  T,
} from './support/visits.ts';

test('after each step of removing a visit all counts match the remaining runs', async (t) => {
  const folder = temporaryFolder(t);
  const store = await openLmdbStore(folder);
  const visits = fc.sample(madeVisit('demo'), { seed: 23, numRuns: 12 });
  await keep(store.archive, ...visits);
  await store.archive.compactAll();
  await store.close();
  const root = open({ path: join(folder, 'store.mdb'), maxDbs: 64 });
  t.after(() => root.close());
  const tables = openTables(root);
  const pages = new PageNumberTable(tables);
  const visitTable = new VisitTable(tables, pages);
  const removal = new LmdbRemoval(tables, pages, visitTable, folder, 1);
  root.transactionSync(() => divide(tables));
  assert.deepEqual(differences({ tables, pages, visitTable }), []);
  let steps = 0;
  for (const { id } of visits) {
    assert.equal(
      root.transactionSync(() => removal.start([visitTable.find(id) as number])),
      1,
    );
    assert.equal(visitTable.find(id), undefined);
    const next = visitTable.nextNumber();
    assert.ok([...tables.going.getKeys()].every((number) => number < next));
    for (; root.transactionSync(() => removal.step()); steps++)
      assert.deepEqual(differences({ tables, pages, visitTable }), []);
  }
  assert.ok(steps > 3 * visits.length, `${steps} pieces`);
  for (const name of ['chunks', 'minutes', 'counts', 'cells', 'spots', 'pages', 'pageNames', 'going'] as const)
    assert.deepEqual([...tables[name].getKeys()], [], name);
});

/** Puts each run into a chunk of its own. */
function divide({ chunks }: Tables): void {
  for (const { key, value } of [...chunks.getRange()]) {
    chunks.removeSync(key);
    for (const [i, run] of decodeRuns(value).entries()) chunks.putSync([key[0], key[1] + i / 1000], chunkOf([run]));
  }
}

/** A visit of some 5 MB. */
function largeVisit(): MadeVisit {
  return plainVisit('demo', { since: T, frames: 800, samples: 1000 });
}

/** In parts, as visitors send. */
async function keepLarge(folder: string, visit: MadeVisit): Promise<void> {
  const store = await openLmdbStore(folder);
  for (let i = 0; i < visit.frames.length; i += 100) {
    await store.archive.append([batchOf(visit.frames.slice(i, i + 100).map((frame): Delivery => [visit, frame]))]);
    await store.archive.compactAll();
  }
  await store.close();
}

test('a large visit whose removal was interrupted by SIGKILL is hidden at once, and the next server removes the rest', async (t) => {
  const { folder, visit, used } = await cutOff(t);
  const store = await openLmdbStore(folder);
  t.after(() => store.close());
  assert.equal(await store.archive.visit(visit.id), undefined);
  assert.deepEqual(await store.archive.verify(), []);
  assert.ok((await store.archive.usage()).used > used / 4, 'most of it is there');
  // What comes for it is not kept, and another visit has nothing of it.
  const other = plainVisit('demo', { frames: 3 });
  await keep(store.archive, visit.frames.length > 0 ? { ...visit, frames: visit.frames.slice(0, 1) } : visit, other);
  assert.equal(await store.archive.visit(visit.id), undefined);
  await startServer(t, { data: folder, workers: 2 });
  const movesOnPages = async () =>
    (await store.archive.pages('demo', DAYS)).reduce((total, { moves }) => total + moves, 0);
  await until(async () => (await movesOnPages()) === 30, 'counts of the other visit alone');
  assert.ok((await store.archive.usage()).used < used / 20);
  assert.deepEqual(await store.archive.verify(), []);
  const { items } = await store.archive.runs(other.id);
  assert.equal(
    items.reduce((sum, { frames }) => sum + frames, 0),
    3,
  );
});

const FOR_EVER_MS = 100 * 365 * 24 * 3_600_000;
const DAYS = { from: '2026-11-19', to: '2026-11-20' };

/** A data folder in which `fieldmouse erase` was killed while it removed a large visit. */
async function cutOff(t: TestContext): Promise<{ folder: string; visit: MadeVisit; used: number }> {
  const folder = temporaryFolder(t);
  const visit = largeVisit();
  await keepLarge(folder, visit);
  const store = await openLmdbStore(folder);
  const { used } = await store.archive.usage();
  const erase = spawnMain(['erase', visit.id, '--yes', '--data', folder]);
  const ended = once(erase, 'exit');
  await until(async () => (await store.archive.visit(visit.id)) === undefined, 'erased visit');
  erase.kill('SIGKILL');
  assert.deepEqual(await ended, [null, 'SIGKILL']);
  await store.close();
  return { folder, visit, used };
}

test('a visit of any size is erased while frames of others are acked', async (t) => {
  const folder = temporaryFolder(t);
  const visit = largeVisit();
  await keepLarge(folder, visit);
  const store = await openLmdbStore(folder, { pieceBytes: 64 * 1024 });
  t.after(() => store.close());
  const erased = store.archive.erase(visit.id);
  let acks = 0;
  let isDone = false;
  void erased.then(() => {
    isDone = true;
  });
  for (; !isDone; acks++) {
    await keep(store.archive, plainVisit('demo'));
    await new Promise((resolve) => setImmediate(resolve));
  }
  assert.equal(await erased, true);
  assert.ok(acks > 50, `${acks} acks`);
  assert.deepEqual(await store.archive.verify(), []);
});

test('in Redis, too, all counts match the remaining runs, and other processes finish an interrupted removal', async (t) => {
  const { url } = await startRedis(t, ['--appendonly', 'no']);
  const redis = await Redis.connect(readTarget(url) as RedisTarget);
  t.after(() => redis.close());
  const archive = new RedisArchive(redis);
  t.after(() => archive.close());
  const visits = fc.sample(madeVisit('demo'), { seed: 29, numRuns: 8 });
  // What is filed together is one element of a visit.
  const longest = Math.max(...visits.map(({ frames }) => frames.length));
  for (let i = 0; i < longest; i++) {
    const frames = visits.flatMap((visit) => visit.frames.slice(i, i + 1).map((frame): Delivery => [visit, frame]));
    await archive.append(batchesOf(frames));
    await archive.compactAll();
  }
  const [site, books] = [new RecordSite(redis, 'demo'), new PageHashes()];
  const members = await site.send<string[]>('ZRANGE', site.keys.byTime, '0', '-1');
  let steps = 0;
  for (const member of members.slice(0, -1)) {
    assert.equal(await removeVisits(site, books, [member], [], 1), 1);
    for (; await removePiece(site, books, 1); steps++)
      assert.deepEqual(await siteDifferences(site, books, () => {}), []);
  }
  assert.ok(steps > 3 * visits.length, `${steps} pieces`);
  // This process removes no more than that it is out of the lists.
  assert.equal(await removeVisits(site, books, members.slice(-1), [], 1), 1);
  assert.deepEqual(await archive.visits({ site: 'demo', limit: 10 }), { items: [], next: null });
  const other = new RedisArchive(redis);
  t.after(() => other.close());
  await until(async () => {
    await other.tend(Date.now(), FOR_EVER_MS);
    return (await redis.send<string[]>(site.keys.version, 'KEYS', '*:runs:*')).length === 0;
  }, 'all runs gone');
  assert.deepEqual(await other.verify(), []);
  const left = await redis.send<string[]>(site.keys.version, 'KEYS', '*');
  const kinds = left.filter((key) =>
    /:(going|visits|ids|by-time|minute|pages|uses|days|counts|cells|spots)\b/.test(key),
  );
  assert.deepEqual(kinds, []);
});

test('a large visit is erased in Redis while others write to the same site constantly', async (t) => {
  const { url } = await startRedis(t, ['--appendonly', 'no']);
  const redis = await Redis.connect(readTarget(url) as RedisTarget);
  t.after(() => redis.close());
  const archive = new RedisArchive(redis, { pieceBytes: 20_000 });
  t.after(() => archive.close());
  const other = new RedisArchive(redis);
  t.after(() => other.close());
  const visit = plainVisit('demo', { frames: 60, samples: 1000 });
  for (let i = 0; i < visit.frames.length; i += 4) {
    await archive.append([batchOf(visit.frames.slice(i, i + 4).map((frame): Delivery => [visit, frame]))]);
    await archive.compactAll();
  }
  let isDone = false;
  const erased = archive.erase(visit.id).finally(() => {
    isDone = true;
  });
  let others = 0;
  for (; !isDone; others++) {
    await keep(other, plainVisit('demo'));
    await other.compactAll();
  }
  assert.equal(await erased, true);
  assert.ok(others > 2, `${others} filings`);
  assert.deepEqual(await other.verify(), []);
  assert.equal((await other.visits({ site: 'demo', limit: 1000 })).items.length, others);
});
