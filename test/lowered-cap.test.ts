import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openStore } from '../src/store/embedded/store.ts';
import { temporaryFolder } from './support/server.ts';
import { keep, plainVisit, T } from './support/visits.ts';

test('a store takes frames at once when its cap was lowered below what it holds', async (t) => {
  const folder = temporaryFolder(t);
  const before = await openStore(folder, { maxBytes: 100e6 });
  for (let i = 0; i < 12; i++)
    await keep(before.archive, plainVisit('demo', { since: T + i, frames: 300, samples: 900 }));
  before.archive.fileAll();
  // Some room is free in every file that has been pruned, as a store at its cap has been.
  while ((await before.archive.usage()).used > 0.7 * (await before.archive.usage()).file)
    assert.ok((await before.archive.prune(0, 1)) > 0);
  const { used, file } = await before.archive.usage();
  await before.close();
  const maxBytes = Math.round(used / 1.5);
  assert.ok(file > 1.1 * maxBytes, `${file} bytes, and a cap of ${maxBytes}`);
  const after = await openStore(folder, { maxBytes });
  t.after(() => after.close());
  await keep(after.archive, plainVisit('demo', { since: T + 1000 }));
  while ((await after.archive.prune(0, 0.8 * maxBytes)) > 0);
  assert.ok((await after.archive.usage()).used <= 0.8 * maxBytes);
  assert.ok((await after.archive.usage()).file <= file, 'the file did not grow');
});
