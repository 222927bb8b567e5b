/** /healthz and /readyz of a suspended or degraded server, and the other places that report its state. */
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { statSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { openDashboard } from './support/dashboard.ts';
import { Traffic, until } from './support/exact.ts';
import { FILE } from './support/owner.ts';
import { startRedis } from './support/redis.ts';
import { startServer, type TestServer } from './support/server.ts';
import { SteadyVisitor } from './support/steady-visitor.ts';

const server = await startServer(FILE, { workers: 1 });
const redis = await startRedis(FILE);
const inRedis = await startServer(FILE, { flags: ['--redis', redis.url, '--fail-degraded'], workers: 1 });

interface Answer {
  status: number;
  body: { status: string | number; reasons?: string[]; code?: string };
}

async function ask({ url }: TestServer, path: string): Promise<Answer> {
  const response = await fetch(url + path, { headers: { connection: 'close' } });
  return { status: response.status, body: (await response.json()) as Answer['body'] };
}

async function reasons(server: TestServer): Promise<string[]> {
  return (await ask(server, '/healthz')).body.reasons ?? [];
}

async function metric(server: TestServer, reason: string): Promise<string | undefined> {
  const text = await (await server.api('/metrics')).text();
  return new RegExp(`^fieldmouse_degraded\\{reason="${reason}"\\} (\\d)`, 'm').exec(text)?.[1];
}

test('a suspended primary fails /healthz and /readyz until it resumes', async (t) => {
  assert.deepEqual(await ask(server, '/healthz'), { status: 200, body: { status: 'ok', reasons: [] } });
  server.process.kill('SIGSTOP');
  t.after(() => server.process.kill('SIGCONT'));
  for (const path of ['/healthz', '/readyz']) {
    // A worker may still have an answer on its way.
    await until(async () => (await ask(server, path)).status === 503, `503 of ${path}`);
    assert.equal((await ask(server, path)).body.code, 'primary-hung');
  }
  // Many who ask at once share one question, and none of them waits behind others.
  const all = await Promise.all(Array.from({ length: 300 }, () => ask(server, '/healthz')));
  assert.ok(all.every(({ status }) => status === 503));
  server.process.kill('SIGCONT');
  for (const path of ['/healthz', '/readyz']) await until(async () => (await ask(server, path)).status === 200, path);
});

test('a server whose Redis is unreachable or evicts is degraded: in the responses, the metric and the dashboard', async (t) => {
  const redis = await startRedis(t);
  const options = { flags: ['--redis', redis.url], workers: 1 };
  const { server, dashboard } = await openDashboard(t, 1280, 800, options);
  const isShown = async (reason: string) => (await dashboard.locator(`.banner[data-reason="${reason}"]`).count()) > 0;
  assert.deepEqual(await reasons(server), []);
  assert.equal(await metric(server, 'redis-evicts'), '0');
  redis.cli('config', 'set', 'maxmemory-policy', 'allkeys-lru');
  await until(async () => (await reasons(server)).includes('redis-evicts'), 'redis-evicts');
  assert.equal(await metric(server, 'redis-evicts'), '1');
  await until(() => isShown('redis-evicts'), 'banner');
  redis.cli('config', 'set', 'maxmemory-policy', 'noeviction');
  await until(async () => (await reasons(server)).length === 0, 'no reasons');
  await until(async () => !(await isShown('redis-evicts')), 'no banner');
  redis.signal('SIGSTOP');
  await until(async () => (await reasons(server)).includes('redis-away'), 'redis-away');
  for (const path of ['/healthz', '/readyz']) {
    const { status, body } = await ask(server, path);
    assert.deepEqual([status, body.status], [200, 'degraded']);
  }
  redis.signal('SIGCONT');
  await until(async () => (await reasons(server)).length === 0, 'no reasons');
});

test('--fail-degraded answers 503 while the server is degraded, and 200 when it is not', async () => {
  const server = inRedis;
  assert.equal((await ask(server, '/readyz')).status, 200);
  await redis.end();
  for (const path of ['/healthz', '/readyz']) {
    await until(async () => (await ask(server, path)).status === 503, `503 of ${path}`);
    assert.deepEqual((await ask(server, path)).body, { status: 'degraded', reasons: ['redis-away'] });
  }
  await redis.restart();
  await until(async () => (await ask(server, '/readyz')).status === 200, '200');
});

test('a full Redis is reported as the reason until there is room', async (t) => {
  const visitor = keepMoving(t, inRedis);
  await until(() => visitor.acked > 0, 'acks');
  redis.cli('config', 'set', 'maxmemory', '1');
  await until(async () => (await reasons(inRedis)).includes('store-full'), 'store-full in Redis');
  assert.equal(await metric(inRedis, 'store-full'), '1');
  redis.cli('config', 'set', 'maxmemory', '0');
  await until(async () => (await reasons(inRedis)).length === 0, 'no reasons');
});

test('a file size limit is reported as the reason, until it is raised', async (t) => {
  if (spawnSync('prlimit', ['--version']).status !== 0) return t.skip('there is no prlimit');
  const limit = (bytes: string) => {
    for (const pid of [server.process.pid as number, ...server.workerPids()])
      execFileSync('prlimit', ['--pid', String(pid), `--fsize=${bytes}:`]);
  };
  const visitor = keepMoving(t, server);
  await until(() => visitor.acked > 0, 'acks');
  limit(String(statSync(join(server.data, 'store.mdb')).size));
  await until(async () => (await reasons(server)).includes('store-full'), 'store-full');
  limit('unlimited');
  await until(async () => (await reasons(server)).length === 0, 'no reasons');
});

test('a Redis that answers but rejects writes is reported with a reason of its own', async (t) => {
  const redis = await startRedis(t, ['--appendonly', 'no']);
  const server = await startServer(t, { flags: ['--redis', redis.url], workers: 1 });
  const visitor = keepMoving(t, server);
  await until(() => visitor.acked > 0, 'acks');
  redis.cli('acl', 'setuser', 'default', '-rpush');
  await until(async () => (await reasons(server)).includes('not-stored'), 'not-stored');
  assert.deepEqual(await reasons(server), ['not-stored']);
  assert.equal(await metric(server, 'not-stored'), '1');
  await until(() => /"refused".*NOPERM.*frames cannot be stored/.test(server.output()), 'word of it');
  redis.cli('acl', 'setuser', 'default', '+rpush');
  await until(async () => (await reasons(server)).length === 0, 'no reasons');
});

/** A visitor that sends all the time. */
function keepMoving(t: TestContext, server: TestServer): SteadyVisitor {
  const visitor = new SteadyVisitor(t, () => server.ws, 1);
  const traffic = new Traffic([visitor], 100, 20, true);
  t.after(() => traffic.stop());
  return visitor;
}
