/** An import inserts runs into the middle of visits: large visits are rewritten in several steps. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import fc from 'fast-check';
import { open, type RootDatabase } from 'lmdb';
import { Writer } from '../src/protocol/writer.ts';
import type { Run } from '../src/store/archive.ts';
import { LmdbCompaction } from '../src/store/lmdb/lmdb-compaction.ts';
import { LmdbRemoval } from '../src/store/lmdb/lmdb-removal.ts';
import { type LmdbStore, openLmdbStore } from '../src/store/lmdb/lmdb-store.ts';
import { differences } from '../src/store/lmdb/lmdb-verify.ts';
import { PageNumberTable } from '../src/store/lmdb/page-table.ts';
import { Sorting } from '../src/store/lmdb/sorting.ts';
import { openTables, type Tables } from '../src/store/lmdb/tables.ts';
import { VisitTable } from '../src/store/lmdb/visit-table.ts';
import { BatchWriter, PlaceMark } from '../src/store/record/batch.ts';
import { decodeRuns } from '../src/store/record/chunk.ts';
import { shardOf } from '../src/store/record/shard.ts';
import { run } from './support/command.ts';
import { until } from './support/exact.ts';
import { spawnMain, startServer, temporaryFolder } from './support/server.ts';
import {
  batchOf,
  chunkOf,
  type Delivery,
  keep,
  type MadeFrame,
  type MadeVisit,
  madeVisit,
  plainVisit,
  runsOf,
  samplesIn,
  spliced,
  T,
} from './support/visits.ts';

/** Runs with their payloads as lists: whether these are Buffers or plain views does not matter. */
function withBytes(runs: readonly Run[]) {
  return runs.map((run) => ({ ...run, payload: [...run.payload] }));
}

/** A batch of runs, as an import writes it. */
function importOf({ id, site, about }: MadeVisit, runs: readonly Run[]): Uint8Array {
  const writer = new BatchWriter();
  const payload = new Writer(4096);
  for (const [i, { n, frames, page, size, entered, t, payload: bytes }] of runs.entries()) {
    const mark = new PlaceMark({ id, site, page, size });
    if (i === 0) writer.about(mark, about);
    payload.clear();
    payload.varint(t);
    payload.raw(bytes.subarray(1));
    writer.run(mark, n, frames, entered, payload.view());
  }
  return writer.take();
}

/** Puts each run into a chunk of its own. */
function divide({ chunks, visits }: Tables): void {
  for (const { key, value } of [...chunks.getRange()]) {
    chunks.removeSync(key);
    let [number, t] = key;
    for (const one of decodeRuns(value)) {
      t = Math.max(one.t, t + 0.001);
      chunks.putSync([number, t], chunkOf([one]));
    }
    const visit = visits.get(number);
    if (visit) visits.putSync(number, { ...visit, lastChunk: t });
  }
}

/** What files and lays down anew, as a process has it: a byte at a time. */
function filingOf(tables: Tables, folder: string) {
  const pages = new PageNumberTable(tables);
  const visitTable = new VisitTable(tables, pages);
  const removal = new LmdbRemoval(tables, pages, visitTable, folder, 1);
  const filing = new LmdbCompaction(
    tables,
    pages,
    visitTable,
    new Sorting(tables, pages, visitTable, removal, folder),
    folder,
  );
  return { removal, filing, source: { tables, pages, visitTable } };
}

/** One visit that does what these did, one after the other. */
function joined([first, ...others]: readonly MadeVisit[]): MadeVisit {
  assert.ok(first);
  const frames = [...first.frames];
  for (const other of others) {
    const { n } = frames.at(-1) as MadeFrame;
    for (const frame of other.frames) frames.push({ ...frame, n: n + frame.n });
  }
  return { ...first, frames };
}

function byTime(runs: readonly Run[]): Run[] {
  return [...runs].sort((a, b) => a.t - b.t || a.n - b.n);
}

test('after each step all counts match the runs present, whichever process continues', async (t) => {
  const folder = temporaryFolder(t);
  const store = await openLmdbStore(folder);
  const made = fc.sample(madeVisit('demo'), { seed: 5, numRuns: 200 }).filter(({ frames }) => frames.length >= 7);
  const visits = [0, 3, 6, 9, 12, 15].map((i) => joined(made.slice(i, i + 3)));
  const runs = visits.map((visit) => spliced(visit, () => true));
  const part = (i: number, rest: number) => (runs[i] as Run[]).filter((_, at) => Number(at % 3 === 1) === rest);
  for (const [i, visit] of visits.entries()) await store.archive.append([importOf(visit, part(i, 0))]);
  await store.archive.compactAll();
  await store.close();
  const root = open({ path: join(folder, 'store.mdb'), maxDbs: 64 });
  const tables = openTables(root);
  root.transactionSync(() => {
    divide(tables);
    for (const [i, visit] of visits.entries())
      tables.journal.putSync([shardOf(visit.id), 1, 1, i], Buffer.from(importOf(visit, part(i, 1))));
  });
  let process = filingOf(tables, folder);
  const shards = visits.map(({ id }) => shardOf(id));
  let pieces = 0;
  for (; root.transactionSync(() => process.filing.compact(shards)) > 0; pieces++) {
    assert.deepEqual(differences(process.source), []);
    for (const { id } of visits) assert.notEqual(process.source.visitTable.find(id), undefined);
    // Another process goes on.
    if (pieces % 3 === 2) process = filingOf(tables, folder);
  }
  assert.ok(pieces > 60, `${pieces} pieces`);
  for (const name of ['sorting', 'sortQueue', 'sortRuns', 'going', 'journal'] as const)
    assert.deepEqual([...tables[name].getKeys()], [], name);
  await root.close();
  const again = await openLmdbStore(folder);
  t.after(() => again.close());
  assert.deepEqual(await again.archive.verify(), []);
  for (const [i, visit] of visits.entries()) {
    const there = await runsOf(again.archive, visit.id);
    assert.deepEqual(withBytes(there), withBytes(byTime(runs[i] as Run[])));
    // Its window is that of the run that came first.
    const size = visit.frames[0]?.size;
    const atOnce = await keptAtOnce(t, visit, runs[i] as Run[]);
    assert.deepEqual({ ...(await again.archive.visit(visit.id)), size }, { ...atOnce, size });
  }
});

/** The visit as it is where all of it came at once. */
async function keptAtOnce(t: TestContext, visit: MadeVisit, runs: readonly Run[]) {
  const store = await openLmdbStore(temporaryFolder(t), { durability: 'system' });
  t.after(() => store.close());
  await store.archive.append([importOf(visit, byTime(runs))]);
  return store.archive.visit(visit.id);
}

/** How many of a visit's frames are missing in the middle of what a store has of it. */
const MISSING = { from: 40, to: 60 };

test('an import into the middle of a large visit that is killed is finished by the next server', async (t) => {
  const [from, into] = [temporaryFolder(t), temporaryFolder(t)];
  const visit = plainVisit('demo', { frames: 240, samples: 1000 });
  const { frames } = visit;
  await keepParts(from, visit, frames);
  await keepParts(into, visit, [...frames.slice(0, MISSING.from), ...frames.slice(MISSING.to)]);
  const file = join(from, 'record.ndjson');
  assert.equal((await run('export', '--data', from, '--out', file)).code, 0);
  const { root, tables } = tablesOf(t, into);
  const isSorting = () => {
    root.resetReadTxn();
    return tables.sorting.getKeysCount() > 0;
  };
  const command = spawnMain(['import', file, '--data', into]);
  t.after(() => command.kill('SIGKILL'));
  const ended = once(command, 'exit');
  while (!isSorting()) await sleep(1);
  command.kill('SIGKILL');
  assert.deepEqual(await ended, [null, 'SIGKILL']);
  assert.ok(isSorting(), 'it was killed before it was done');
  await startServer(t, { data: into, workers: 1 });
  await until(() => !isSorting(), 'visit laid down anew');
  const [source, target] = [await openLmdbStore(from), await openLmdbStore(into)];
  t.after(() => Promise.all([source.close(), target.close()]));
  assert.deepEqual(await target.archive.verify(), []);
  const samples = async (store: LmdbStore) =>
    (await runsOf(store.archive, visit.id)).flatMap((one) => samplesIn(one.payload, one.t));
  assert.deepEqual(await samples(target), await samples(source));
  assert.deepEqual(await target.archive.visit(visit.id), await source.archive.visit(visit.id));
});

/** Keeps frames of a visit in parts, as visitors send. */
async function keepParts(folder: string, visit: MadeVisit, frames: readonly MadeFrame[]): Promise<void> {
  const store = await openLmdbStore(folder, { durability: 'system' });
  for (let i = 0; i < frames.length; i += 60) {
    await store.archive.append([batchOf(frames.slice(i, i + 60).map((frame): Delivery => [visit, frame]))]);
    await store.archive.compactAll();
  }
  await store.close();
}

function tablesOf(t: TestContext, folder: string): { root: RootDatabase; tables: Tables } {
  const root = open({ path: join(folder, 'store.mdb'), maxDbs: 64 });
  t.after(() => root.close());
  return { root, tables: openTables(root) };
}

test('a visit erased, or a site removed, while the visit is being rewritten is removed completely', async (t) => {
  for (const how of ['erase', 'site'] as const) {
    const folder = temporaryFolder(t);
    const visit = plainVisit('demo', { frames: 240, samples: 1000 });
    const { frames } = visit;
    await keepParts(folder, visit, [...frames.slice(0, MISSING.from), ...frames.slice(MISSING.to)]);
    const store = await openLmdbStore(folder, { pieceBytes: 64 * 1024 });
    t.after(() => store.close());
    const other = plainVisit('demo', { since: T + 3_600_000 });
    await keep(store.archive, other);
    const missing = { ...visit, frames: frames.slice(MISSING.from, MISSING.to) };
    await store.archive.append([importOf(missing, spliced(missing))]);
    const { root, tables } = tablesOf(t, folder);
    for (let pieces = 0; pieces < 3; pieces += tables.sorting.getKeysCount()) {
      assert.ok(store.archive.compactDue(Date.now() + 3_600_000));
      root.resetReadTxn();
    }
    if (how === 'erase') assert.equal(await store.archive.erase(visit.id), true);
    else {
      await store.archive.dropSite('demo', T + 60_000);
      assert.equal(await store.archive.visit(visit.id), undefined);
      assert.deepEqual(await store.archive.pages('demo', DAYS), []);
      for (let some = 1; some > 0; ) some = await store.archive.prune(0, Number.MAX_SAFE_INTEGER);
    }
    await store.archive.compactAll();
    while ((await store.archive.prune(0, Number.MAX_SAFE_INTEGER)) > 0);
    assert.deepEqual(await store.archive.verify(), []);
    root.resetReadTxn();
    for (const name of ['sorting', 'sortQueue', 'sortRuns', 'going'] as const)
      assert.deepEqual([...tables[name].getKeys()], [], `${how}: ${name}`);
    const { items } = await store.archive.visits({ site: 'demo', limit: 9 });
    assert.deepEqual(
      items.map(({ id }) => id),
      [other.id],
      how,
    );
    const moves = (await store.archive.pages('demo', DAYS)).reduce((sum, page) => sum + page.moves, 0);
    assert.equal(moves, 10, how);
  }
});

const DAYS = { from: '2026-11-19', to: '2026-11-20' };
