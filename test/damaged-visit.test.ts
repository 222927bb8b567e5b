/** A visit with some damaged bytes: everything else is read, and the missing part is reported. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { type Key, open } from 'lmdb';
import { openLmdbStore } from '../src/store/lmdb/lmdb-store.ts';
import { run } from './support/command.ts';
import { keepPictures, openDashboard } from './support/dashboard.ts';
import { moves, record } from './support/record.ts';
import { startServer, temporaryFolder } from './support/server.ts';

const T = Date.now() - 600_000;
const IDS = ['whole-1', 'without-samples', 'without-entry', 'whole-2'];

/** A store of four visits. The second has samples that cannot be read, the third an entry that cannot. */
async function damagedStore(t: TestContext, begin = T): Promise<string> {
  const data = temporaryFolder(t);
  const store = await openLmdbStore(data);
  for (const [i, id] of IDS.entries()) {
    const since = begin + i * 1000;
    await record(store.archive, { id, since, frames: [{ samples: moves(since, [[1, 2]]) }] });
    await store.archive.compactAll();
  }
  await store.close();
  const root = open({ path: join(data, 'store.mdb'), maxDbs: 64 });
  const [chunks, visits] = [root.openDB<Buffer, Key>('chunks', { encoding: 'binary' }), root.openDB('visits', {})];
  const [chunk] = chunks.getKeys({ start: [2, 0], limit: 1 });
  await root.transaction(() => {
    chunks.putSync(chunk as Key, Buffer.from('damaged'));
    visits.putSync(3, 'damaged');
  });
  await root.close();
  return data;
}

const idsIn = (lines: string) => [...lines.matchAll(/^\{"visit":\{"id":"([\w-]+)"/gm)].map(([, id]) => id);

test('export stops at a damaged visit and names it, and --skip-damaged leaves out unreadable data and counts it', async (t) => {
  const data = await damagedStore(t);
  const file = join(data, 'record.ndjson');
  const stopped = await run('export', '--data', data, '--out', file);
  assert.equal(stopped.code, 1);
  assert.match(
    stopped.err,
    /^fieldmouse: (a visit of demo|visit without-samples) is damaged: [^\n]+; use --skip-damaged to leave out unreadable data[^\n]*\n$/,
  );
  assert.equal(existsSync(file), false);

  const skipped = await run('export', '--skip-damaged', '--data', data, '--out', file);
  assert.equal(skipped.code, 3, skipped.err);
  assert.match(skipped.err, /^fieldmouse: visit without-samples is damaged: truncated/m);
  assert.match(skipped.err, /left out as damaged: 1 whole visit and parts of 1 visit; fieldmouse verify /);
  assert.deepEqual(idsIn(readFileSync(file, 'utf8')), ['whole-1', 'without-samples', 'whole-2']);

  const other = temporaryFolder(t);
  await (await openLmdbStore(other)).close();
  const imported = await run('import', file, '--data', other);
  assert.equal(imported.code, 0, imported.err);
});

test('lists, passages and the rewind skip damaged data and say how much, and the rewind ends', async (t) => {
  const data = await damagedStore(t);
  const server = await startServer(t, { data, workers: 1 });
  const list = await (await server.api('/v1/visits?site=demo')).json();
  assert.deepEqual(
    list.visits.map(({ id }: { id: string }) => id),
    ['whole-2', 'without-samples', 'whole-1'],
  );
  assert.equal(list.damaged, 1);
  const passages = await server.api('/v1/visits/without-samples/passages');
  assert.equal(passages.status, 200);
  assert.deepEqual(await passages.json(), { passages: [], next: null, damaged: 1 });
  assert.equal((await (await server.api('/v1/visits/whole-1/passages')).json()).damaged, undefined);
  const past = await (await server.api(`/v1/replay?site=demo&from=${T - 1000}&to=${T + 30_000}&speed=0`)).text();
  assert.match(past, /\nevent: end\ndata: \{"t":\d+,"damaged":1\}\n/);
  assert.match(past, /"id":"whole-2"/);
  assert.match(server.output(), /cannot be read and is skipped/);
  const metrics = await (await server.api('/metrics')).text();
  assert.match(metrics, /^fieldmouse_incomplete_reads_total [3-9]$/m, 'the list, the passages and the rewind');
  assert.doesNotMatch(server.output(), /"stack"/);
});

test('the dashboard says what is left out of a list, a replay and a rewind, and how to find the damage', async (t) => {
  const begin = Date.now() - 60_000;
  const data = await damagedStore(t, begin);
  const { server, dashboard } = await openDashboard(t, 1280, 800, { data });
  const verify = 'Run fieldmouse verify on the server for details.';
  await dashboard.goto(`${server.url}/admin/visits?site=demo`);
  await dashboard.getByText(`1 visit is damaged and cannot be shown. ${verify}`).waitFor();
  assert.equal(await dashboard.locator('.visits-table tbody tr').count(), 3);
  await keepPictures(dashboard, 'damaged-list');

  await dashboard.goto(`${server.url}/admin/visits/without-samples?site=demo`);
  await dashboard.getByText(`Part of this visit is damaged and cannot be shown. ${verify}`).waitFor();
  await dashboard.getByText('The recording of this visit cannot be read.').waitFor();
  await keepPictures(dashboard, 'damaged-replay');

  await dashboard.goto(`${server.url}/admin?site=demo&at=${begin - 1000}`);
  await dashboard.getByRole('button', { name: '60 ×' }).click();
  await dashboard.getByText(`Parts of 1 visit are damaged and cannot be shown. ${verify}`).waitFor();
  await keepPictures(dashboard, 'damaged-rewind');

  await dashboard.goto(`${server.url}/admin/visits/whole-1?site=demo`);
  await dashboard.locator('.play-time').waitFor();
  await dashboard.getByText('The visit has ended.').waitFor();
  assert.equal(await dashboard.locator('.damage-text').count(), 0);
});

test('a visit with a damaged entry is removed when its retention ends', async (t) => {
  const data = await damagedStore(t);
  const store = await openLmdbStore(data);
  t.after(() => store.close());
  let removed = 0;
  for (let some = 1; some > 0; removed += some) some = await store.archive.prune(Date.now(), Number.MAX_SAFE_INTEGER);
  assert.equal(removed, IDS.length);
  assert.deepEqual(await store.archive.sites(), []);
});

test('frames for a page with a damaged heatmap are compacted', async (t) => {
  const data = await damagedStore(t);
  const root = open({ path: join(data, 'store.mdb'), maxDbs: 64 });
  const cells = root.openDB<Buffer, Key>('cells', { encoding: 'binary' });
  await root.transaction(() => {
    for (const key of [...cells.getKeys()]) cells.putSync(key, Buffer.of(255));
  });
  await root.close();
  const store = await openLmdbStore(data);
  t.after(() => store.close());
  await record(store.archive, { id: 'later', since: T + 9000, frames: [{ samples: moves(T + 9000, [[1, 2]]) }] });
  await store.archive.compactAll();
  assert.equal((await store.archive.visit('later'))?.moves, 1);
});
