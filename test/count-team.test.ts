/** Several threads that recount a store find the same as one thread. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { type Key, open, type RootDatabase } from 'lmdb';
import type { Difference } from '../src/store/archive.ts';
import { CountThreads } from '../src/store/lmdb/file/count-threads.ts';
import { STORE_FILE } from '../src/store/lmdb/file/folder.ts';
import { openLmdbStore } from '../src/store/lmdb/lmdb-store.ts';
import { click, moves, record } from './support/record.ts';
import { temporaryFolder } from './support/server.ts';

const DAY_MS = 86_400_000;
/** So few bytes of cells at once that each page is compared by itself. */
const PART_BYTES = 50;

/** A store with visits of three days on many pages. */
async function filled(t: TestContext): Promise<string> {
  const folder = temporaryFolder(t);
  const store = await openLmdbStore(folder);
  for (let i = 0; i < 60; i++) {
    const since = Date.now() - (1 + (i % 3)) * DAY_MS;
    const places = Array.from({ length: 30 }, (_, k): [number, number] => [(i * k * 37) % 900, (k * 53) % 1900]);
    const frames = Array.from({ length: 4 }, (_, k) => ({
      page: `/page-${(i + k) % 9}`,
      samples: [...moves(since + 1000 * k, places), click(since + 1000 * k + 900, i, k, `a:nth-child(${k})`)],
    }));
    await record(store.archive, { id: `visit-${i}`, since, frames });
  }
  await store.archive.compactAll();
  await store.close();
  return folder;
}

async function found(folder: string, shares: number): Promise<[Difference[], number[]]> {
  const damage: Difference[] = [];
  const store = await openLmdbStore(folder, {
    onDamage: ({ message }) => void damage.push({ what: message, kept: 1, found: 0 }),
  });
  const team = await CountThreads.start(folder, shares, PART_BYTES);
  const progress: number[] = [];
  try {
    const differences = await store.archive.verify((done, total) => void progress.push(done / total), team, PART_BYTES);
    return [[...differences, ...damage].sort((a, b) => (a.what < b.what ? -1 : 1)), progress];
  } finally {
    await team.end();
    await store.close();
  }
}

async function change(folder: string, change: (root: RootDatabase) => Promise<unknown>): Promise<void> {
  const root = open({ path: join(folder, STORE_FILE), maxDbs: 64, overlappingSync: false });
  await change(root);
  await root.close();
}

test('threads find no differences in a correct store, and report their progress', async (t) => {
  const folder = await filled(t);
  for (const shares of [1, 2, 4]) {
    const [differences, progress] = await found(folder, shares);
    assert.deepEqual(differences, []);
    assert.deepEqual(
      progress,
      progress.toSorted((a, b) => a - b),
    );
    assert.equal(progress.at(-1), 1, `${shares} threads`);
  }
});

test('threads find the same differences as one thread, whichever thread counts the visit', async (t) => {
  const folder = await filled(t);
  await change(folder, async (root) => {
    const [counts, cells, visits] = ['counts', 'cells', 'visits'].map((name) => root.openDB<unknown, Key>(name, {}));
    assert.ok(counts && cells && visits);
    for (const { key, value } of [...counts.getRange({ limit: 3 })])
      await counts.put(key, { ...(value as { moves: number }), moves: 7 });
    const [cell] = [...cells.getKeys({ limit: 1 })];
    await cells.remove(cell as Key);
    for (const { key, value } of [...visits.getRange({ limit: 6 })])
      await visits.put(key, { ...(value as object), frames: 99 });
  });
  const [alone] = await found(folder, 1);
  assert.ok(alone.length >= 10, `${alone.length} differences`);
  for (const shares of [2, 3]) assert.deepEqual((await found(folder, shares))[0], alone);
});

test('threads stopped before they count leave the store free for others', async (t) => {
  const folder = await filled(t);
  const team = await CountThreads.start(folder, 3, PART_BYTES);
  await team.end();
  assert.deepEqual((await found(folder, 1))[0], []);
});
