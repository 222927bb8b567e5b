/** Metrics of the server for Prometheus and PM2. */
import assert from 'node:assert/strict';
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { Registry } from 'prom-client';
import { parse } from 'yaml';
import { metersOf } from '../src/metrics/process-metrics.ts';
import { crowd, settle, sum, Traffic, until } from './support/exact.ts';
import { FILE } from './support/owner.ts';
import { MAIN, startServer, type TestServer, temporaryFolder } from './support/server.ts';
import { StreamReader } from './support/stream.ts';

const server = await startServer(FILE);

/** Values by name and labels. */
async function scrape({ url }: TestServer): Promise<Map<string, number>> {
  const answer = await fetch(`${url}/metrics`);
  assert.equal(answer.status, 200);
  assert.equal(answer.headers.get('content-type'), 'text/plain; version=0.0.4; charset=utf-8');
  const lines = (await answer.text()).split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  return new Map(
    lines.map((line) => {
      const [, name = '', value] = /^fieldmouse_(\w+(?:\{.*\})?) (\S+)$/.exec(line) ?? [];
      assert.ok(name !== '' && Number.isFinite(Number(value)), line);
      return [name, Number(value)];
    }),
  );
}

test('metrics sum the counters of all processes, including those that have exited', async (t) => {
  const visitors = crowd(t, 20, () => server.ws);
  const traffic = new Traffic(visitors, 100, 6);
  t.after(() => traffic.stop());
  const stream = await StreamReader.open(t, server, { site: 'demo', moves: 'full' });
  await until(() => visitors.every(({ acked }) => acked > 0), 'acks');
  const early = await scrape(server);
  assert.equal(early.get('visitors'), 20);
  assert.equal(early.get('connections'), 20);
  assert.equal(early.get('streams'), 1);
  server.process.kill('SIGHUP');
  await until(() => /workers are replaced/.test(server.output()), 'new workers');
  const pid = server.workerPids()[0] as number;
  process.kill(pid, 'SIGKILL');
  await until(() => !server.workerPids().includes(pid) && server.workerPids().length === 2, 'another worker');
  await stream.until(() => stream.events.length > 100 || undefined, 'events');
  traffic.stop();
  await settle(visitors);
  const late = await scrape(server);
  for (const [name, value] of early)
    if (/_(total|bucket|count|sum)/.test(name)) assert.ok((late.get(name) ?? 0) >= value, name);
  assert.equal(late.get('workers'), 2);
  assert.equal(late.get('worker_restarts_total{reason="reload"}'), 2);
  assert.equal(late.get('worker_restarts_total{reason="died"}'), 1);
  assert.ok((late.get('closes_total{reason="restart"}') ?? 0) > 0);
  assert.ok((late.get('stream_bytes_total') ?? 0) > (early.get('stream_bytes_total') ?? 0));
  assert.ok((late.get('store_commit_seconds_count') ?? 0) > 0);
  assert.ok((late.get('acks_total') ?? 0) > 0);
  for (const kind of ['primary', 'worker']) assert.ok((late.get(`memory_bytes{process="${kind}"}`) ?? 0) > 20_000_000);
});

test('every acked sample is counted once', async (t) => {
  const total = async () => (await scrape(server)).get('samples_total') as number;
  const before = await total();
  const visitors = crowd(t, 20, () => server.ws);
  const traffic = new Traffic(visitors, 100, 6);
  t.after(() => traffic.stop());
  await until(() => visitors.every(({ acked }) => acked > 0), 'acks');
  traffic.stop();
  await settle(visitors);
  assert.equal((await total()) - before, sum(visitors.map(({ acked }) => acked)));
});

test('the dashboard, the warnings and the docs name only metrics that exist', async () => {
  const text = await (await fetch(`${server.url}/metrics`)).text();
  const told = new Set([...text.matchAll(/^# TYPE (fieldmouse_\w+)/gm)].map(([, name]) => name as string));
  const named = (path: string) => {
    const names = readFileSync(new URL(`../${path}`, import.meta.url), 'utf8').matchAll(/\bfieldmouse_\w+/g);
    return new Set([...names].map(([name]) => name.replace(/_(bucket|sum|count)$/, '')));
  };
  assert.deepEqual([...named('docs/metrics.md')].sort(), [...told].sort());
  for (const path of ['deploy/grafana/fieldmouse.json', 'deploy/prometheus/fieldmouse.rules.yml'])
    for (const name of named(path)) assert.ok(told.has(name), `${name} of ${path}`);
  const { groups } = parse(readFileSync(new URL('../deploy/prometheus/fieldmouse.rules.yml', import.meta.url), 'utf8'));
  for (const { alert, expr, annotations } of groups.flatMap(({ rules }: { rules: object[] }) => rules))
    assert.ok(alert && expr && annotations.summary, `${alert}`);
  const dashboard = JSON.parse(readFileSync(new URL('../deploy/grafana/fieldmouse.json', import.meta.url), 'utf8'));
  assert.equal(new Set(dashboard.panels.map(({ id }: { id: number }) => id)).size, dashboard.panels.length);
});

test('a suspended worker does not delay a request for metrics', async () => {
  await scrape(server);
  const [stuck, other] = server.workerPids() as [number, number];
  // Connections are taken by either worker; those of the one that stands still are not answered.
  process.kill(stuck, 'SIGSTOP');
  const answered = await Promise.any(
    Array.from({ length: 20 }, async () => {
      const answer = await fetch(`${server.url}/metrics`, { signal: AbortSignal.timeout(5000) });
      return answer.text();
    }),
  );
  process.kill(stuck, 'SIGCONT');
  assert.match(answered, /^fieldmouse_workers 2$/m);
  assert.match(answered, /^fieldmouse_memory_bytes\{process="worker"\} \d+$/m);
  assert.ok(other);
});

test('metrics are served to this machine, and to requests with a token', async () => {
  const ask = async (headers: Record<string, string>) => (await fetch(`${server.url}/metrics`, { headers })).status;
  assert.equal(await ask({}), 200);
  assert.equal(await ask({ authorization: 'Bearer nobody-s-token-0000' }), 401);
  for (const name of ['x-forwarded-for', 'forwarded', 'x-real-ip', 'via', 'x-forwarded-host']) {
    assert.equal(await ask({ [name]: '192.0.2.1' }), 401, name);
    assert.equal(await ask({ [name]: '127.0.0.1', authorization: `Bearer ${server.token}` }), 200, name);
  }
  assert.equal(await ask({ 'x-forwarded-for': '192.0.2.1', authorization: 'Bearer nobody-s-token-0000' }), 401);
});

test('PM2 gets metrics, and a process with a channel that is not PM2 does not', async (t) => {
  for (const env of [{ pm_id: '0' }, {}]) {
    const child = fork(
      MAIN.at(-1) as string,
      ['--listen', 'tcp://127.0.0.1:0', '--data', temporaryFolder(t), '--workers', '1'],
      { execArgv: MAIN.slice(0, -1), env: { ...process.env, ...env }, silent: true },
    );
    const said: unknown[] = [];
    child.on('message', (message) => said.push(message));
    t.after(() => child.kill('SIGKILL'));
    await until(() => said.length >= ('pm_id' in env ? 3 : 1), 'messages');
    const told = said.find((message) => message !== 'ready') as { type: string; data: object };
    if ('pm_id' in env) assert.equal(told.type, 'axm:monitor');
    if ('pm_id' in env)
      assert.deepEqual(Object.keys(told.data), ['Visitors now', 'Samples', 'Streams', 'Event loop delay']);
    const exited = once(child, 'exit');
    child.kill('SIGTERM');
    await exited;
    if (!('pm_id' in env)) assert.deepEqual(said, ['ready']);
  }
});

test('all metrics of one response are from one reading, and the next response reads again', async () => {
  const registry = new Registry();
  let readings = 0;
  const { gauge, count } = metersOf(registry, () => ({ readings: ++readings }));
  gauge('first', 'a gauge', (figures) => figures.readings);
  count('second_total', 'a counter', (figures) => figures.readings);
  const values = async () => (await registry.getMetricsAsJSON()).map(({ values }) => values[0]?.value);
  assert.deepEqual(await values(), [1, 1]);
  await setImmediate();
  assert.deepEqual(await values(), [2, 2]);
});
