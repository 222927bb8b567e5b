/** What /healthz and /readyz say of a server that stands still, or that works only in part; and where else that is told. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openDashboard } from './support/dashboard.ts';
import { until } from './support/exact.ts';
import { startRedis } from './support/redis.ts';
import { startServer, type TestServer } from './support/server.ts';

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

test('a primary that stands still fails /healthz and /readyz, until it goes on', async (t) => {
  const server = await startServer(t);
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

test('a server whose Redis is away, or evicts, is degraded: in the answers, the metric and the dashboard', async (t) => {
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

test('--fail-degraded answers 503 while the server is degraded, and 200 when it is not', async (t) => {
  const redis = await startRedis(t);
  const server = await startServer(t, { flags: ['--redis', redis.url, '--fail-degraded'], workers: 1 });
  assert.equal((await ask(server, '/readyz')).status, 200);
  await redis.end();
  for (const path of ['/healthz', '/readyz']) {
    await until(async () => (await ask(server, path)).status === 503, `503 of ${path}`);
    assert.deepEqual((await ask(server, path)).body, { status: 'degraded', reasons: ['redis-away'] });
  }
  await redis.restart();
  await until(async () => (await ask(server, '/readyz')).status === 200, '200');
});
