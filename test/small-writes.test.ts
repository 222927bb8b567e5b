/** Work on much data is split into several writes, since every ack waits for the write before it. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { open, type RootDatabase } from 'lmdb';
import { FrameError } from '../src/protocol/frame-error.ts';
import { DamagedVisits } from '../src/store/lmdb/damaged-visits.ts';
import { LmdbCompaction } from '../src/store/lmdb/lmdb-compaction.ts';
import { LmdbRemoval } from '../src/store/lmdb/lmdb-removal.ts';
import { openLmdbStore } from '../src/store/lmdb/lmdb-store.ts';
import { PageNumberTable } from '../src/store/lmdb/page-table.ts';
import { Sorting } from '../src/store/lmdb/sorting.ts';
import { openTables, type Tables } from '../src/store/lmdb/tables.ts';
import { VisitTable } from '../src/store/lmdb/visit-table.ts';
import { shardOf } from '../src/store/record/shard.ts';
import { temporaryFolder } from './support/server.ts';
import { batchOf, keep, plainVisit, T } from './support/visits.ts';

const DAY_MS = 86_400_000;

/** The tables of a store, opened beside it or after it. */
function tablesOf(t: TestContext, folder: string): { root: RootDatabase; tables: Tables } {
  const root = open({ path: join(folder, 'store.mdb'), maxDbs: 64 });
  t.after(() => root.close());
  return { root, tables: openTables(root) };
}

function writesOf(root: RootDatabase): number {
  return (root.getStats() as unknown as { lastTxnId: number }).lastTxnId;
}

test('old quarantine entries and old tombstones are deleted in several writes, and nothing else', async (t) => {
  const folder = temporaryFolder(t);
  const store = await openLmdbStore(folder, { durability: 'system' });
  t.after(() => store.close());
  const { root, tables } = tablesOf(t, folder);
  const now = Date.now();
  root.transactionSync(() => {
    for (let i = 0; i < 1300; i++) {
      tables.erased.putSync(`visit-${i}`, i % 13 === 0 ? now : now - 30 * DAY_MS);
      tables.damaged.putSync([1, T + (i % 13), 1, i], Buffer.alloc(10));
    }
  });
  const before = writesOf(root);
  assert.equal(await store.archive.prune(T + 12, Number.MAX_SAFE_INTEGER), 0);
  assert.ok(writesOf(root) - before >= 6, `${writesOf(root) - before} writes`);
  root.resetReadTxn();
  assert.equal(tables.erased.getKeysCount(), 100);
  assert.ok([...tables.erased.getKeys()].every((id) => Number(id.slice(6)) % 13 === 0));
  assert.equal(tables.damaged.getKeysCount(), 100);
});

test('the search of a long journal for unreadable entries covers as much as one compaction write', async (t) => {
  const folder = temporaryFolder(t);
  const store = await openLmdbStore(folder);
  await store.close();
  const { root, tables } = tablesOf(t, folder);
  const visit = plainVisit('demo', { frames: 30, samples: 100 });
  const shard = shardOf(visit.id);
  let bytes = 0;
  root.transactionSync(() => {
    for (const [i, frame] of visit.frames.entries()) {
      const batch = Buffer.from(batchOf([[visit, frame]]));
      bytes += batch.length;
      tables.journal.putSync([shard, T, 1, i], i % 2 ? batch.subarray(0, batch.length - 30) : batch);
    }
  });
  const pages = new PageNumberTable(tables);
  const visitTable = new VisitTable(tables, pages);
  const sorting = new Sorting(tables, pages, visitTable, new LmdbRemoval(tables, pages, visitTable, folder), folder);
  const filing = new LmdbCompaction(tables, pages, visitTable, sorting, folder, undefined, bytes / 5);
  const counts = [root.transactionSync(() => filing.quarantine([shard]))];
  while (tables.journal.getKeysCount() > 0)
    try {
      root.transactionSync(() => filing.compact([shard]));
    } catch (error) {
      assert.ok(error instanceof FrameError);
      counts.push(root.transactionSync(() => filing.quarantine([shard])));
    }
  assert.ok(counts.length >= 4 && counts.every((count) => count >= 1 && count <= 4), `${counts}`);
  assert.equal(tables.damaged.getKeysCount(), 15);
});

test('remains of visits without a readable entry are found in several writes, also by another process', async (t) => {
  const folder = temporaryFolder(t);
  const store = await openLmdbStore(folder);
  const visits = Array.from({ length: 30 }, (_, i) => plainVisit('demo', { since: T + 1000 * i }));
  await keep(store.archive, ...visits);
  await store.archive.compactAll();
  await store.close();
  const { root, tables } = tablesOf(t, folder);
  const visitTable = new VisitTable(tables, new PageNumberTable(tables));
  const lost = visits.slice(20).map(({ id }) => visitTable.find(id) as number);
  const within = <R>(action: () => R) => root.transactionSync(action);
  within(() => {
    for (const number of lost) tables.visits.put(number, 'damaged' as never);
  });
  let search = new DamagedVisits(tables, 4);
  within(() => {
    for (const number of lost.slice(0, 6)) search.add(number);
  });
  for (let i = 0; i < 9; i++) assert.ok(within(() => search.step()));
  // It was killed; the next one comes to more of them.
  search = new DamagedVisits(tables, 4);
  assert.ok(search.isPending);
  assert.ok(within(() => visitTable.nextNumber()) > Math.max(...lost), 'no number is given again');
  assert.ok(within(() => search.step()));
  within(() => {
    for (const number of lost.slice(6)) search.add(number);
  });
  let steps = 0;
  while (within(() => search.step())) steps++;
  assert.ok(steps > 20, `${steps} steps`);
  const isLeft = (number: unknown) => lost.includes(number as number);
  for (const name of ['visits', 'lost'] as const) assert.ok(![...tables[name].getKeys()].some(isLeft), name);
  for (const name of ['bySite', 'byAge', 'chunks', 'minutes'] as const)
    assert.ok(![...tables[name].getKeys()].some((key) => isLeft(name === 'chunks' ? key[0] : key.at(-1))), name);
  assert.deepEqual(
    [...tables.ids.getKeys()].sort(),
    visits
      .slice(0, 20)
      .map(({ id }) => id)
      .sort(),
  );
  assert.equal(tables.chunks.getKeysCount(), 20);
});
