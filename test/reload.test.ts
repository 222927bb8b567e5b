/** The workers are replaced one by one: nobody is disconnected, and nothing is lost. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import autocannon, { type Instance, type Result } from 'autocannon';
import { assertExact, crowd, settle, sum, Traffic, until } from './support/exact.ts';
import { spawnMain, startServer, type TestServer, temporaryFolder } from './support/server.ts';
import { StreamReader } from './support/stream.ts';

/** Runs a command to its end. */
async function run(...args: string[]): Promise<{ code: number; out: string; err: string }> {
  const child = spawnMain(args);
  const text = { out: '', err: '' };
  child.stdout?.on('data', (chunk) => (text.out += chunk));
  child.stderr?.on('data', (chunk) => (text.err += chunk));
  const [code] = (await once(child, 'close')) as [number];
  return { code, ...text };
}

async function reloaded(server: TestServer, before: readonly number[]): Promise<void> {
  await until(() => /workers are replaced/.test(server.output()), 'word of the end');
  const now = server.workerPids();
  assert.equal(now.length, before.length);
  assert.deepEqual(
    now.filter((pid) => before.includes(pid)),
    [],
  );
}

test('SIGHUP replaces the workers under load: no request fails, no stream ends, no acked data is lost', async (t) => {
  const server = await startServer(t);
  const visitors = crowd(t, 200, () => server.ws);
  const traffic = new Traffic(visitors, 100, 6);
  t.after(() => traffic.stop());
  const stream = await StreamReader.open(t, server, { site: 'demo', moves: 'full' });
  let isOver = false;
  void stream.ended.then(() => {
    isOver = true;
  });
  await until(() => visitors.every(({ acked }) => acked > 0), 'acks');
  const load = requests(server);
  const workers = server.workerPids();
  server.process.kill('SIGHUP');
  await reloaded(server, workers);
  const shown = stream.events.length;
  // Of the new workers.
  await stream.until(
    () => stream.events.slice(shown).filter(({ name }) => name === 'moves').length > 10 || undefined,
    'moves',
  );
  load.instance.stop();
  const { errors, non2xx, timeouts, '2xx': answered } = await load.result;
  assert.deepEqual({ errors, non2xx, timeouts }, { errors: 0, non2xx: 0, timeouts: 0 });
  assert.ok(answered > 0);
  assert.equal(isOver, false);
  assert.ok(!stream.events.some(({ name }) => name === 'reset'));
  traffic.stop();
  await settle(visitors);
  assert.ok(visitors.every(({ closes }) => closes.length >= 1 && closes.every((code) => code === 1012)));
  t.diagnostic(
    `${answered} requests answered, 0 failed; visitors connected ${sum(visitors.map(({ connections }) => connections))} times`,
  );
  assert.equal(await server.stop(), 0);
  await assertExact(t, server.data, visitors);
});

/** Requests over 20 connections, 500 a second, until they are stopped. */
function requests({ url }: TestServer): { instance: Instance; result: Promise<Result> } {
  let instance: Instance | undefined;
  const result = new Promise<Result>((resolve, reject) => {
    instance = autocannon(
      { url: `${url}/healthz`, connections: 20, overallRate: 500, duration: 60 },
      (error, result) => (error ? reject(error) : resolve(result)),
    );
  });
  return { instance: instance as Instance, result };
}

test('fieldmouse reload does the same and reports its progress, and two concurrent calls are one reload', async (t) => {
  const server = await startServer(t);
  const workers = server.workerPids();
  const both = await Promise.all([run('reload', '--data', server.data), run('reload', '--data', server.data)]);
  for (const { code, out, err } of both) {
    assert.deepEqual([code, err], [0, '']);
    assert.match(out, /^(worker 1 of 2 is replaced\n)?worker 2 of 2 is replaced\n$/);
  }
  await reloaded(server, workers);
});

test('reload reports why it failed: no server, or another program on the socket', async (t) => {
  const data = temporaryFolder(t);
  assert.deepEqual(await run('reload', '--data', data), {
    code: 1,
    out: '',
    err: `fieldmouse: no server is running in ${data}; set another folder with --data\n`,
  });
  const server = await startServer(t, { data, workers: 1 });
  for (const text of ['x'.repeat(1000), 'constructor\n', 'stop\n']) {
    const name = readdirSync(data).find((one) => /^server-.*\.sock$/.test(one)) as string;
    const socket = connect(join(data, name));
    socket.write(text);
    await once(socket.resume(), 'close');
  }
  assert.equal((await server.api('/healthz')).status, 200);
});

test('workers that cannot be replaced keep running', async (t) => {
  const data = temporaryFolder(t);
  const server = await startServer(t, { data, workers: 1 });
  const workers = server.workerPids();
  // The worker that is started is killed at once.
  const asked = run('reload', '--data', data);
  await until(() => server.workerPids().length > workers.length, 'a new worker');
  for (const pid of server.workerPids()) if (!workers.includes(pid)) process.kill(pid, 'SIGKILL');
  const { code, err } = await asked;
  assert.equal(code, 1);
  assert.match(err, /^fieldmouse: the new worker exited during startup \(SIGKILL\)\n$/);
  assert.deepEqual(server.workerPids(), workers);
  assert.equal((await server.api('/healthz')).status, 200);
});
