import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { StoreFile } from '../src/store/lmdb/file/store-file.ts';
import { type LmdbStore, openLmdbStore } from '../src/store/lmdb/lmdb-store.ts';
import { spawnMain, startServer, temporaryFolder } from './support/server.ts';

const PAGES = 9000;
const SITE = { key: 'other', name: 'Other', origins: ['self'], created: 0, firstSeen: null };

/** A store with many pages counted of the sites `demo` and `other`. */
async function filled(folder: string): Promise<LmdbStore> {
  const store = await openLmdbStore(folder, { durability: 'system' });
  await store.addSite(SITE);
  const groups = ['demo', 'other'].map((site) =>
    Array.from({ length: PAGES }, (_, i) => ({ site, page: `/page-${i}`, count: 2 })),
  );
  store.addHits(() => groups);
  return store;
}

/** The file itself: how many keys the totals have, and how many writes there were. */
function fileOf(t: TestContext, folder: string): StoreFile {
  const file = StoreFile.open(folder);
  t.after(() => file.close());
  return file;
}

function writesOf({ root }: StoreFile): number {
  return (root.getStats() as { lastTxnId: number }).lastTxnId;
}

function keysOf({ root }: StoreFile, site: string): number {
  root.resetReadTxn();
  const table = root.openDB<number, string>('hits', {});
  return table.getKeysCount({ start: `${site}/`, end: `${site}0` });
}

test('totals of many pages are removed in several writes, and only those of the site', async (t) => {
  const folder = temporaryFolder(t);
  const store = await filled(folder);
  t.after(() => store.close());
  const file = fileOf(t, folder);
  const before = writesOf(file);
  assert.equal(await store.removeHits('demo', undefined), PAGES);
  assert.ok(writesOf(file) - before >= 4, `${writesOf(file) - before} writes`);
  assert.equal(keysOf(file, 'demo'), 0);
  assert.equal(keysOf(file, 'other'), PAGES);
  assert.equal(await store.hit('demo', '/page-1'), 1);
  assert.equal(await store.hits('other', '/page-1'), 2);
});

test('a site added again before all totals of the removed site are deleted has none of them', async (t) => {
  const folder = temporaryFolder(t);
  const store = await filled(folder);
  const file = fileOf(t, folder);
  const removed = store.removeSite('other', Date.now());
  while ((await store.site('other')) !== undefined) await sleep(1);
  assert.ok(!(await store.allHits()).some(({ site }) => site === 'other'));
  assert.equal(await store.hits('other', '/page-1'), 0);
  // Closed in the middle of it.
  await store.close();
  assert.equal(await removed, true);
  const again = await openLmdbStore(folder, { durability: 'system' });
  t.after(() => again.close());
  assert.ok(keysOf(file, 'other') > 0, 'it was closed before all were removed');
  assert.equal(await again.addSite(SITE), true);
  assert.equal(keysOf(file, 'other'), 0);
  assert.equal(await again.hit('other', '/page-1'), 1);
  assert.equal(await again.hits('demo', '/page-1'), 2);
});

test('a server removes the totals of a site that a killed command left behind', async (t) => {
  const folder = temporaryFolder(t);
  await (await filled(folder)).close();
  const file = fileOf(t, folder);
  const sites = file.root.openDB<unknown, string>('sites', {});
  const command = spawnMain(['site', 'remove', 'other', '--yes', '--data', folder]);
  t.after(() => command.kill('SIGKILL'));
  const ended = once(command, 'exit');
  while (sites.doesExist('other')) {
    await sleep(1);
    file.root.resetReadTxn();
  }
  command.kill('SIGKILL');
  await ended;
  const server = await startServer(t, { data: folder, workers: 1 });
  while (keysOf(file, 'other') > 0) await sleep(50);
  assert.equal(keysOf(file, 'demo'), PAGES);
  assert.equal((await server.api('/v1/hits/demo/page-1')).status, 200);
});
