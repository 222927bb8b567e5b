/** The record in LMDB: the contract suite, and what only it does. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { type Database, type Key, open } from 'lmdb';
import { monotonicNow } from '../src/lib/monotonic.ts';
import { MAX_STAYS } from '../src/model/visit.ts';
import { SampleBuffer } from '../src/protocol/frame.ts';
import { Writer } from '../src/protocol/writer.ts';
import { openLmdbStore } from '../src/store/lmdb/lmdb-store.ts';
import { differences } from '../src/store/lmdb/lmdb-verify.ts';
import { PageNumberTable } from '../src/store/lmdb/page-table.ts';
import { openTables, type Tables } from '../src/store/lmdb/tables.ts';
import { VisitTable } from '../src/store/lmdb/visit-table.ts';
import { decodeRuns, type StoredRun } from '../src/store/record/chunk.ts';
import type { Counts } from '../src/store/record/sums.ts';
import { mergeTile } from '../src/store/record/tile.ts';
import { contract, inFolder } from './support/archive-contract.ts';
import { moves, record } from './support/record.ts';
import { temporaryFolder } from './support/server.ts';
import { chunkOf, fill, keep, type MadeFrame, madeVisit, plainVisit, samplesIn } from './support/visits.ts';

const T = Date.UTC(2026, 10, 20);

contract('the embedded record', async (t, limits = {}) => {
  const folder = temporaryFolder(t);
  return inFolder(t, folder, async () => {
    const store = await openLmdbStore(folder, limits);
    return { archive: store.archive, close: () => store.close() };
  });
});

test('reads that were asked before a compaction share it, and a later read sees everything', async (t) => {
  const store = await openLmdbStore(temporaryFolder(t));
  t.after(() => store.close());
  const { archive } = store;
  const append = (id: string) => record(archive, { id, since: T, frames: [{ samples: moves(T, [[1, 1]]) }] });
  const seen = async (askedAt: number) => {
    const { items } = await archive.answerAsOf(askedAt, () => archive.visits({ site: 'demo', limit: 9 }));
    return items.map(({ id }) => id).sort();
  };
  await append('one');
  const before = monotonicNow() - 1;
  assert.deepEqual(await seen(before), ['one']);
  await append('two');
  assert.deepEqual(await seen(before), ['one'], 'it was asked before the append');
  assert.deepEqual(await seen(monotonicNow()), ['one', 'two']);
  await append('three');
  assert.equal((await archive.visits({ site: 'demo', limit: 9 })).items.length, 3, 'a read without a time');
});

test('verify reports every difference between the embedded record and its frames', async (t) => {
  for (const [what, tamper] of Object.entries(TAMPERS)) {
    const folder = temporaryFolder(t);
    const store = await openLmdbStore(folder);
    await keep(store.archive, ...fc.sample(madeVisit('demo'), { seed: 19, numRuns: 5 }));
    assert.deepEqual(await store.archive.verify(), []);
    await store.close();
    const root = open({ path: join(folder, 'store.mdb'), maxDbs: 64 });
    const tables = openTables(root);
    const inParts = () => {
      const pages = new PageNumberTable(tables);
      return differences({ tables, pages, visitTable: new VisitTable(tables, pages) }, undefined, { partBytes: 50 });
    };
    assert.deepEqual(inParts(), []);
    root.transactionSync(() => tamper(tables));
    const found = inParts().map(({ what }) => what);
    await root.close();
    const again = await openLmdbStore(folder);
    t.after(() => again.close());
    const all = await again.archive.verify();
    assert.notDeepEqual(all, [], what);
    assert.deepEqual(found.sort(), all.map((one) => one.what).sort(), `${what}, looked for in many parts`);
  }
});

test('the embedded record frees the pages of a visit that only passed through', async (t) => {
  const folder = temporaryFolder(t);
  const store = await openLmdbStore(folder);
  const visit = plainVisit('demo');
  const [frame] = visit.frames as [MadeFrame];
  const { time } = frame.samples.at(-1) as { time: number };
  for (let i = 0; i < MAX_STAYS + 100; i++) frame.samples.push({ type: 'page', time, page: `/p${i}` });
  await keep(store.archive, visit, plainVisit('demo', { page: '/kept' }));
  assert.equal(await store.archive.erase(visit.id), true);
  assert.deepEqual(await store.archive.verify(), []);
  await store.close();
  const root = open({ path: join(folder, 'store.mdb'), maxDbs: 64 });
  t.after(() => root.close());
  assert.deepEqual([...openTables(root).pages.getKeys()], [['demo', '/kept']]);
});

test('the embedded record reports the progress of verify', async (t) => {
  const store = await openLmdbStore(temporaryFolder(t));
  t.after(() => store.close());
  await keep(store.archive, plainVisit('demo'), plainVisit('demo'), plainVisit('demo'));
  const told: [number, number][] = [];
  await store.archive.verify((done, total) => told.push([done, total]));
  assert.deepEqual(told, [
    [1, 3],
    [2, 3],
    [3, 3],
  ]);
});

/** Changes to a record that make it disagree with itself. */
const TAMPERS: Record<string, (tables: Tables) => unknown> = {
  'a count that is too high by one': ({ counts }) => {
    const [{ key, value }] = [...counts.getRange()] as [{ key: never; value: Counts }];
    counts.putSync(key, { ...value, views: value.views + 1 });
  },
  'a count that is missing': ({ counts }) => counts.removeSync(firstKey(counts)),
  'a tile of a heatmap that is missing': ({ cells }) => cells.removeSync(firstKey(cells)),
  'a tile with a count too many': ({ cells }) => {
    const key = firstKey(cells);
    cells.putSync(key, mergeTile(cells.get(key), [7], new Map([[7, 1]])) as Buffer);
  },
  'clicks on an element that are missing': ({ spots }) => spots.removeSync(firstKey(spots)),
  'a chunk of runs that is missing': ({ chunks }) => chunks.removeSync(firstKey(chunks)),
  'a run that is stored twice': ({ chunks }) => {
    const key = firstKey(chunks);
    const chunk = chunks.get(key) as Buffer;
    chunks.putSync(key, chunkOf([...decodeRuns(chunk), decodeRuns(chunk).at(-1) as StoredRun]));
  },
  'a sample at another place': ({ chunks }) => {
    for (const { key, value } of [...chunks.getRange()]) chunks.putSync(key, chunkOf(decodeRuns(value).map(displaced)));
  },
  'a visit that is missing': ({ visits }) => visits.removeSync(firstKey(visits)),
};

function firstKey<K extends Key>(table: Database<unknown, K>): K {
  const [key] = table.getKeys({ limit: 1 });
  return key as K;
}

/** The run with every move 1,000 pixels further right. */
function displaced(run: StoredRun): StoredRun {
  const samples = new SampleBuffer(1024);
  const payload = new Writer(4096);
  const made = samplesIn(run.payload, 0).map((one) => (one.type === 'move' ? { ...one, x: one.x + 1000 } : one));
  fill(samples, made);
  payload.varint(0);
  payload.samples({ time: 0, x: 0, y: 0 }, samples, 0, 0, samples.count);
  return { ...run, payload: payload.copy() };
}
