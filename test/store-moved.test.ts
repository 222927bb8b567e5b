/** The file of a store is moved away: no process creates a second store in its place. */
import assert from 'node:assert/strict';
import { copyFileSync, existsSync, mkdirSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { openLmdbStore } from '../src/store/lmdb/lmdb-store.ts';
import { run, runHere } from './support/command.ts';
import { assertExact, crowd, settle, sum, Traffic, until } from './support/exact.ts';
import { FILE } from './support/owner.ts';
import { startRedis } from './support/redis.ts';
import { startServer, type TestServer, temporaryFolder } from './support/server.ts';
import type { SteadyVisitor } from './support/steady-visitor.ts';

const JSON_TYPE = { 'content-type': 'application/json' };

/** Resolves when the server has printed it. */
async function printed(server: TestServer, pattern: RegExp): Promise<void> {
  while (!pattern.test(server.output())) await sleep(20);
}

async function reasons(server: TestServer): Promise<string[]> {
  return (await (await server.api('/healthz')).json()).reasons;
}

function killOneWorker(server: TestServer): void {
  process.kill(server.workerPids()[0] as number, 'SIGKILL');
}

test('a worker started after the file was moved away creates no second store, and continues when the file is back', async (t) => {
  const server = await startServer(t);
  const [path, aside] = [join(server.data, 'store.mdb'), join(server.data, 'aside.mdb')];
  renameSync(path, aside);
  killOneWorker(server);
  await printed(server, /there is no store\.mdb in \S+; if it was moved away, move it back/);
  assert.equal(existsSync(path), false);
  assert.deepEqual(await reasons(server), ['store-lost']);
  renameSync(aside, path);
  while ((await reasons(server)).length > 0) await sleep(50);
  assert.equal(server.workerPids().length, 2);
  assert.equal(await server.stop(), 0);
});

test('a worker rejects another store in the place of its own', async (t) => {
  const server = await startServer(t);
  const other = temporaryFolder(t);
  await (await openLmdbStore(other)).close();
  renameSync(join(other, 'store.mdb'), join(server.data, 'store.mdb'));
  killOneWorker(server);
  await printed(server, /the store in the data folder \(\S+\) is not the one/);
  assert.deepEqual(await reasons(server), ['store-lost']);
});

/** A server with visitors that send all the time. */
async function withTraffic(t: TestContext, workers: number) {
  const server = await startServer(t, { workers });
  const visitors = crowd(t, 4, () => server.ws);
  const traffic = new Traffic(visitors, 100, 3);
  t.after(() => traffic.stop());
  const more = async (what: string) => {
    const before = visitors.map(({ acked }) => acked);
    await until(() => visitors.every(({ acked }, i) => acked > (before[i] as number)), what);
  };
  await more('acks');
  return {
    server,
    visitors,
    traffic,
    more,
    path: join(server.data, 'store.mdb'),
    aside: join(server.data, 'aside.mdb'),
  };
}

/** Resolves when nothing is acked any more: workers have noticed at their next commit. */
async function unacked(server: TestServer, visitors: readonly SteadyVisitor[]): Promise<number[]> {
  await printed(server, /frames cannot be stored: acks are withheld/);
  await until(async () => (await reasons(server)).includes('store-lost'), 'a reason');
  return visitors.map(({ acked }) => acked);
}

test('running workers ack nothing while the file is moved away, and frames are stored once when it is back', async (t) => {
  const { server, visitors, traffic, more, path, aside } = await withTraffic(t, 2);
  const pids = server.workerPids();
  renameSync(path, aside);
  const acked = await unacked(server, visitors);
  assert.match(server.output(), /store\.mdb was moved away or removed while the server runs: nothing is acked/);
  for (let i = 0; i < 5; i++) await server.api('/v1/visits?site=demo');
  const ackedNow = () => visitors.map((visitor) => visitor.acked);
  let before = ackedNow();
  // Acks of frames that were stored before may be on their way for some time on a busy machine.
  for (let tries = 0; tries < 5; tries++) {
    before = ackedNow();
    const sent = visitors.map((visitor) => visitor.made);
    await until(() => visitors.every((visitor, i) => visitor.made > (sent[i] as number) + 20), 'frames');
    if (sum(ackedNow()) === sum(before)) break;
  }
  assert.deepEqual(ackedNow(), before);
  assert.ok(sum(before) - sum(acked) < 200);
  assert.equal(existsSync(path), false);
  assert.equal(
    (await server.api('/v1/sites', { method: 'POST', body: '{"key":"b","name":"B","origins":[]}', headers: JSON_TYPE }))
      .status,
    503,
  );
  renameSync(aside, path);
  await more('acks when it is back');
  await until(async () => (await reasons(server)).length === 0, 'health');
  assert.match(server.output(), /the store is back in its place/);
  assert.deepEqual(server.workerPids(), pids);
  traffic.stop();
  await settle(visitors);
  assert.equal(await server.stop(), 0);
  await assertExact(t, server.data, visitors);
});

test('running workers write nothing to another store in the place of their own', async (t) => {
  const { server, visitors, traffic, more, path, aside } = await withTraffic(t, 1);
  const other = temporaryFolder(t);
  await (await openLmdbStore(other)).close();
  renameSync(path, aside);
  renameSync(join(other, 'store.mdb'), path);
  await unacked(server, visitors);
  await printed(server, /store\.mdb was replaced by another file while the server runs/);
  renameSync(path, join(other, 'store.mdb'));
  renameSync(aside, path);
  await more('acks when it is back');
  traffic.stop();
  await settle(visitors);
  assert.equal(await server.stop(), 0);
  await assertExact(t, server.data, visitors);
  const store = await openLmdbStore(other);
  t.after(() => store.close());
  assert.deepEqual(await store.archive.sites(), []);
});

test('a moved file is noticed without visitors, and a server stopped meanwhile exits cleanly', async (t) => {
  const server = await startServer(t, { workers: 1 });
  renameSync(join(server.data, 'store.mdb'), join(server.data, 'aside.mdb'));
  await until(async () => (await reasons(server)).includes('store-lost'), 'a reason');
  await printed(server, /store\.mdb was moved away or removed/);
  assert.equal(await server.stop(), 0);
});

test('a started worker rejects a copy of the store in the place of the file', async (t) => {
  const server = await startServer(t);
  const [path, aside] = [join(server.data, 'store.mdb'), join(server.data, 'aside.mdb')];
  renameSync(path, aside);
  copyFileSync(aside, path);
  killOneWorker(server);
  await printed(server, /a copy of the one that the server uses/);
  rmSync(path);
  renameSync(aside, path);
  await until(async () => (await reasons(server)).length === 0, 'health');
  assert.equal(await server.stop(), 0);
});

const REMAINS: Record<string, (data: string) => void> = {
  'store.mdb.before-restore-20261120T141500Z': (data) =>
    writeFileSync(join(data, 'store.mdb.before-restore-20261120T141500Z'), 'x'),
  'restore.part': (data) => mkdirSync(join(data, 'restore.part')),
};

for (const [name, leave] of Object.entries(REMAINS))
  test(`a start after a restore left ${name} and no store says what to do, and creates no store`, async (t) => {
    const data = temporaryFolder(t);
    leave(data);
    const { code, err } = await run('start', '--listen', 'tcp://127.0.0.1:0', '--data', data);
    assert.equal(code, 1);
    assert.match(
      err,
      new RegExp(`^fieldmouse: there is no store\\.mdb in \\S+, but a restore left ${name}: [^\\n]+\\n$`),
    );
    assert.equal(existsSync(join(data, 'store.mdb')), false);
  });

test('commands on an empty Redis report that no store exists, and create none', async (t: TestContext) => {
  const { url } = await startRedis(FILE);
  const data = temporaryFolder(t);
  const where = ['--redis', url, '--data', data];
  for (const words of [['site', 'list'], ['admin', 'add', 'anna'], ['export'], ['verify'], ['hits', 'list']])
    await assert.rejects(
      runHere([...words, ...where]),
      { code: 'no-store', message: /^there is no store in Redis at [^\n]+$/ },
      words.join(' '),
    );
  const { code, err } = await run('export', ...where);
  assert.equal(code, 1);
  assert.match(err, /^fieldmouse: there is no store in Redis at [^\n]+\n$/);
  assert.deepEqual(readdirSync(data), []);
});
