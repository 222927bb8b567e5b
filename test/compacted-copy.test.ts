/**
 * A compacted copy of a store accepts any first write. LMDB fails if that write is large and the list of free pages is
 * empty.
 */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { open } from 'lmdb';
import { copy, inspect } from '../src/store/lmdb/file/check-process.ts';
import { STORE_FILE } from '../src/store/lmdb/file/folder.ts';
import { StoreFile } from '../src/store/lmdb/file/store-file.ts';
import { openLmdbStore } from '../src/store/lmdb/lmdb-store.ts';
import { run } from './support/command.ts';
import { crowd, storedOf, sum, Traffic, until } from './support/exact.ts';
import { moves, record } from './support/record.ts';
import { startServer, temporaryFolder } from './support/server.ts';

const VALUE = Buffer.alloc(700, 7);

test('a large first write into a compacted copy that was put in place by hand succeeds', async (t) => {
  for (const entries of [0, 1, 400, 4000, 20_000]) {
    const [folder, other] = [temporaryFolder(t), temporaryFolder(t)];
    const file = StoreFile.open(folder, { create: true });
    const journal = file.root.openDB('journal', { encoding: 'binary' });
    // To make a table is a small commit, after which a large one does no harm: the copy has both already.
    file.root.openDB('visits', { encoding: 'binary' });
    for (let i = 0; i < entries; i += 200)
      file.write(() => {
        for (let k = i; k < Math.min(i + 200, entries); k++) journal.putSync([0, k], VALUE);
      });
    await file.root.backup(join(other, STORE_FILE), true);
    await file.close();
    const copied = StoreFile.open(other);
    const [from, to] = ['journal', 'visits'].map((name) => copied.root.openDB(name, { encoding: 'binary' }));
    assert.ok(from && to);
    copied.write(() => {
      for (const { key, value } of [...from.getRange({})]) {
        to.putSync(key, value);
        from.removeSync(key);
      }
    });
    assert.deepEqual([from.getKeysCount(), to.getKeysCount()], [0, entries]);
    await copied.close();
  }
});

test('a copy made by backup takes a large first write without a workaround', async (t) => {
  const folder = temporaryFolder(t);
  const store = await openLmdbStore(folder);
  const since = Date.now() - 60_000;
  const places = Array.from({ length: 400 }, (_, i): [number, number] => [(i * 37) % 900, (i * 53) % 900]);
  const visits = Array.from({ length: 300 }, (_, i) => ({
    id: `v${i}`,
    since,
    frames: [{ samples: moves(since, places) }],
  }));
  await record(store.archive, ...visits);
  const to = join(temporaryFolder(t), STORE_FILE);
  await copy(folder, to);
  await store.close();
  const root = open({ path: to, maxDbs: 64, overlappingSync: false });
  const table = root.openDB('trial', { encoding: 'binary' });
  root.transactionSync(() => {
    for (let i = 0; i < 10_000; i++) table.putSync(i, VALUE);
  });
  await root.close();
  assert.deepEqual(await inspect(join(to, '..')), []);
  const copied = await openLmdbStore(join(to, '..'));
  for (const { id } of visits) assert.equal((await copied.archive.visit(id))?.moves, places.length);
  await copied.close();
});

/** Copies made; more with FIELDMOUSE_LONG=1. */
const ROUNDS = process.env.FIELDMOUSE_LONG ? 70 : 2;

test('a backup of a busy server restores, verifies and has every sample acked before the backup started', async (t) => {
  const server = await startServer(t, { flags: ['--max-per-address', '2000'] });
  const visitors = crowd(t, 60, () => server.ws);
  const traffic = new Traffic(visitors, 100, 6);
  t.after(() => traffic.stop());
  for (let round = 1; round <= ROUNDS; round++) {
    const before = sum(visitors.map(({ acked }) => acked));
    await until(() => sum(visitors.map(({ acked }) => acked)) > before + 10_000, 'acks');
    const acked = visitors.map((visitor) => visitor.acked);
    const folder = temporaryFolder(t);
    const copied = join(folder, 'copy.mdb');
    const backup = await run('backup', copied, '--data', server.data);
    assert.deepEqual([backup.code, backup.err], [0, '']);
    const data = join(folder, 'data');
    assert.equal((await run('restore', copied, '--data', data)).code, 0);
    const store = await openLmdbStore(data);
    assert.deepEqual(await store.archive.verify(), []);
    for (const [i, visitor] of visitors.entries()) {
      const stored = await storedOf(store, visitor);
      for (let serial = 0; serial < (acked[i] as number); serial++) assert.ok(stored.has(serial), `${i}: ${serial}`);
    }
    await store.close();
    t.diagnostic(`copy ${round} of ${ROUNDS}: ${sum(acked)} samples acked before it are in it`);
  }
});
