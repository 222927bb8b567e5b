import assert from 'node:assert/strict';
import { on } from 'node:events';
import { test } from 'node:test';
import { StoreFile } from '../src/store/lmdb/file/store-file.ts';
import { openLmdbStore } from '../src/store/lmdb/lmdb-store.ts';
import { folderBytes, startServer, temporaryFolder } from './support/server.ts';
import { BinaryVisitor } from './support/visitor.ts';
import { keep, plainVisit, T } from './support/visits.ts';

const FOR_EVER_MS = 1e13;
/** So many visits would take several times the cap. */
const MAX_VISITS = 1000;

test('a store accepts frames at once when its cap is lowered below its size', async (t) => {
  const folder = temporaryFolder(t);
  const before = await openLmdbStore(folder, { maxBytes: 100e6 });
  for (let i = 0; i < 12; i++)
    await keep(before.archive, plainVisit('demo', { since: T + i, frames: 100, samples: 900 }));
  await before.archive.compactAll();
  // Some room is free in every file that has been pruned, as a store at its cap has been.
  while ((await before.archive.usage()).used > 0.7 * (await before.archive.usage()).file)
    assert.ok((await before.archive.prune(0, 1)) > 0);
  const { used, file } = await before.archive.usage();
  await before.close();
  const maxBytes = Math.round(used / 1.5);
  assert.ok(file > 1.1 * maxBytes, `${file} bytes, and a cap of ${maxBytes}`);
  const after = await openLmdbStore(folder, { maxBytes });
  t.after(() => after.close());
  await keep(after.archive, plainVisit('demo', { since: T + 1000 }));
  while ((await after.archive.prune(0, 0.8 * maxBytes)) > 0);
  assert.ok((await after.archive.usage()).used <= 0.8 * maxBytes);
  assert.ok((await after.archive.usage()).file <= file, 'the file did not grow');
});

test('a store stays within its cap while a long read holds removed pages, and continues after the read', async (t) => {
  const folder = temporaryFolder(t);
  const maxBytes = 12e6;
  const store = await openLmdbStore(folder, { maxBytes, durability: 'system' });
  t.after(() => store.close());
  const { archive } = store;
  const add = async (i: number) => {
    await keep(archive, plainVisit('demo', { since: T + i, frames: 20, samples: 500 }));
    await archive.compactAll();
    await archive.pruneSome(Date.now(), FOR_EVER_MS, 1000);
    const bytes = folderBytes(folder);
    assert.ok(bytes <= maxBytes, `${bytes} bytes after ${i} visits`);
  };
  for (let i = 0; (await archive.usage()).removed.cap === 0; i++) await add(i);
  const reader = StoreFile.open(folder);
  t.after(() => reader.close());
  const reading = reader.root.useReadTransaction();
  reader.root.openDB('meta', {}).get('format', { transaction: reading });
  const fill = async () => {
    for (let i = 0; i < MAX_VISITS; i++) await add(MAX_VISITS + i);
  };
  await assert.rejects(fill, { code: 'full' });
  const { removed } = await archive.usage();
  await archive.pruneSome(Date.now(), FOR_EVER_MS, 1000);
  assert.deepEqual((await archive.usage()).removed, removed, 'nothing is removed in vain');
  reading.done();
  for (let i = 0; i < 50; i++) await add(3 * MAX_VISITS + i);
  assert.deepEqual(await archive.verify(), []);
});

test('a server whose store exceeds its cap says so, acks frames, and lets the file grow only a little', async (t) => {
  const data = temporaryFolder(t);
  const before = await openLmdbStore(data, { durability: 'system' });
  for (let i = 0; (await before.archive.usage()).used < 12e6; i++) {
    await keep(before.archive, plainVisit('demo', { since: T + i, frames: 60, samples: 900 }));
    await before.archive.compactAll();
  }
  const { file } = await before.archive.usage();
  await before.close();
  const server = await startServer(t, { data, workers: 1, flags: ['--max-store', '8MB', '--retain', '3650d'] });
  assert.match(server.output(), /more than the 8000000 of --max-store: .*fieldmouse backup FILE/);
  const visitor = new BinaryVisitor(t, server.ws, { page: '/' });
  await visitor.hello;
  const messages = on(visitor.socket, 'message');
  const used = async () => {
    const [, bytes] = /^fieldmouse_store_used_bytes (\S+)$/m.exec(await (await server.api('/metrics')).text()) ?? [];
    return Number(bytes);
  };
  while ((await used()) > 8e6) {
    const n = visitor.frame({ type: 'move', time: 1, x: 1, y: 1 });
    while (visitor.acked < n) await messages.next();
  }
  assert.ok(folderBytes(data) < file + 5e6, `${folderBytes(data)} bytes, and a file of ${file} before`);
});
