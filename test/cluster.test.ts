import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { get } from 'node:http';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { CLOSE } from '../src/protocol/close.ts';
import { until } from './support/exact.ts';
import { childrenOf, isAlive, spawnMain, startServer, temporaryFolder } from './support/server.ts';
import { StreamReader, samplesOf } from './support/stream.ts';
import { BinaryVisitor, JsonVisitor, spread } from './support/visitor.ts';

/** Runs the command line to its end. */
async function run(args: string[], env: Record<string, string> = {}) {
  const child = spawnMain(args, env);
  let out = '';
  let err = '';
  child.stdout?.on('data', (chunk) => (out += chunk));
  child.stderr?.on('data', (chunk) => (err += chunk));
  const [code] = (await once(child, 'close')) as [number];
  return { code, out, err };
}

test('a worker that is killed is replaced while streams and visitors continue', async (t) => {
  const server = await startServer(t);
  const stream = await StreamReader.open(t, server, { site: 'demo', moves: 'full' });
  await stream.next('snapshot');
  const visitors = await spread(12, async () => {
    const visitor = new BinaryVisitor(t, server.ws);
    return { visitor, hello: await visitor.hello };
  });
  const before = server.workerPids();
  const cut = visitors.map(({ visitor, hello }) => once(visitor.socket, 'close').then(() => hello));
  process.kill(before[0] as number, 'SIGKILL');
  const { token, visitor: id } = await Promise.race(cut);
  const again = new BinaryVisitor(t, server.ws, { token });
  assert.equal((await again.hello).visitor, id);
  again.frame({ type: 'move', time: 1, x: 77, y: 77 });
  await stream.until(() => samplesOf(stream.events).find(([, , x]) => x === 77));
  const after = await stream.until(() => {
    const now = server.workerPids();
    return now.length === 2 && !now.includes(before[0] as number) ? now : undefined;
  });
  assert.notDeepEqual(after, before);
  assert.match(server.output(), /worker died; starting another/);
});

test('connections made while workers die are answered, rejected or cut, and none hangs', async (t) => {
  const server = await startServer(t);
  for (let round = 0; round < 3; round++) {
    // After the last one died, the next is a moment away.
    while (server.workerPids().length === 0) await new Promise((resolve) => setTimeout(resolve, 20));
    process.kill(server.workerPids()[0] as number, 'SIGKILL');
    const answers = Array.from({ length: 10 }, () =>
      fetch(`${server.url}/healthz`, { headers: { connection: 'close' }, signal: AbortSignal.timeout(10_000) }).then(
        ({ status }) => status,
        (error: Error) => error.name,
      ),
    );
    // TypeError is how fetch says refused or reset; a hanging one would be a TimeoutError.
    for (const answer of await Promise.all(answers))
      assert.ok(answer === 200 || answer === 'TypeError', String(answer));
  }
});

test('SIGTERM drains visitors and streams, and the server exits with code 0', async (t) => {
  const server = await startServer(t, { workers: 1 });
  const stream = await StreamReader.open(t, server, { site: 'demo' });
  await stream.next('snapshot');
  const visitor = new JsonVisitor(t, server.ws);
  await visitor.hello;
  const closed = once(visitor.socket, 'close');
  const code = await server.stop();
  assert.equal((await closed)[0], CLOSE.goingAway);
  await stream.ended;
  assert.equal(code, 0);
});

test('SIGINT to the whole process group, as Ctrl-C sends it, drains as well', async (t) => {
  const server = await startServer(t);
  const exited = once(server.process, 'exit');
  for (const pid of server.workerPids()) process.kill(pid, 'SIGINT');
  server.process.kill('SIGINT');
  assert.deepEqual(await exited, [0, null]);
});

test('workers that keep dying are not forked endlessly', async (t) => {
  const server = await startServer(t, { workers: 1 });
  const killed = new Set<number>();
  const looping = new Promise<void>((resolve) => {
    server.process.stdout?.on('data', (chunk) => /workers keep dying; slowing down/.test(String(chunk)) && resolve());
  });
  const timer = setInterval(() => {
    for (const pid of server.workerPids()) {
      if (killed.has(pid)) continue;
      killed.add(pid);
      process.kill(pid, 'SIGKILL');
    }
  }, 20);
  t.after(() => clearInterval(timer));
  await looping;
  assert.equal(killed.size, 5);
});

test('an unexpected error in a worker is logged, and the worker is replaced after a drain', async (t) => {
  const preload = join(temporaryFolder(t), 'preload.mjs');
  writeFileSync(preload, "process.on('SIGUSR2', () => { Promise.reject(new Error('planted')); });");
  const server = await startServer(t, { env: { NODE_OPTIONS: `--import ${preload}` } });
  const stream = await StreamReader.open(t, server, { site: 'demo' });
  const visitors = await spread(12, async () => {
    const visitor = new JsonVisitor(t, server.ws);
    await visitor.hello;
    return visitor;
  });
  const closed = Promise.race(visitors.map(({ socket }) => once(socket, 'close')));
  const [pid] = server.workerPids();
  process.kill(pid as number, 'SIGUSR2');
  assert.equal((await closed)[0], CLOSE.restart);
  await stream.until(() => (server.workerPids().includes(pid as number) ? undefined : true));
  await stream.until(() => (server.workerPids().length === 2 ? true : undefined));
  assert.match(server.output(), /unexpected error; this worker is replaced/);
  assert.match(server.output(), /planted/);
});

test('workers exit when the primary is killed', async (t) => {
  const server = await startServer(t, { workers: 1 });
  const [pid] = server.workerPids();
  const visitor = new JsonVisitor(t, server.ws);
  await visitor.hello;
  const closed = once(visitor.socket, 'close');
  server.process.kill('SIGKILL');
  await closed;
  while (isAlive(pid as number)) await new Promise((resolve) => setTimeout(resolve, 20));
});

test('a port in use is reported in one clear line with exit code 1', async (t) => {
  const other = createServer().listen(0, '127.0.0.1');
  t.after(() => other.close());
  await once(other, 'listening');
  const { port } = other.address() as { port: number };
  const { code, err } = await run(['-l', `tcp://127.0.0.1:${port}`, '--data', temporaryFolder(t), '--workers', '2']);
  assert.equal(code, 1);
  assert.equal(err, `fieldmouse: tcp://127.0.0.1:${port} is in use by another program; choose another with --listen\n`);
});

test('a first start that fails leaves the sign-in link for the next start', async (t) => {
  const other = createServer().listen(0, '127.0.0.1');
  t.after(() => other.close());
  await once(other, 'listening');
  const { port } = other.address() as { port: number };
  const data = temporaryFolder(t);
  assert.equal((await run(['-l', `tcp://127.0.0.1:${port}`, '--data', data, '--workers', '1'])).code, 1);
  const server = await startServer(t, { data, workers: 1 });
  assert.match(server.link ?? '', /\/admin\/link\/[\w-]{43}$/);
  await server.stop();
  const again = await startServer(t, { data, workers: 1 });
  assert.equal(again.link, undefined);
  assert.match(again.output(), /Nobody has signed in yet\. To get a new link: npx fieldmouse admin add NAME/);
});

test('a second server on the same data folder is rejected in one line, and a server after a crash starts', async (t) => {
  const first = await startServer(t, { workers: 1 });
  const { code, err } = await run(['-l', 'tcp://127.0.0.1:0', '--data', first.data]);
  assert.deepEqual(
    [code, err],
    [1, `fieldmouse: another server uses the data folder ${first.data}; choose another with --data\n`],
  );
  const exited = once(first.process, 'exit');
  first.process.kill('SIGKILL');
  await exited;
  await startServer(t, { data: first.data, workers: 1 });
});

test('a data folder that cannot be written is reported in one clear line with exit code 1', async (t) => {
  const file = join(temporaryFolder(t), 'file');
  writeFileSync(file, 'not a folder');
  const { code, err } = await run(['-l', 'tcp://127.0.0.1:0', '--data', join(file, 'data')]);
  assert.equal(code, 1);
  assert.equal(err.trim().split('\n').length, 1);
  assert.match(err, /^fieldmouse: .*data/);
});

test('all config errors are reported at once with exit code 2', async () => {
  const { code, err } = await run(['--workers', 'many', '--listen', 'http://x', '--nonsense', 'start', 'now'], {
    FIELDMOUSE_LOG_LEVEL: 'loud',
  });
  assert.equal(code, 2);
  for (const part of ['--workers', '"many"', '--listen', '"http://x"', '--nonsense', 'FIELDMOUSE_LOG_LEVEL', '"loud"'])
    assert.ok(err.includes(part), `${part} in\n${err}`);
  const lines = err.trim().split('\n');
  assert.deepEqual([lines.length, lines.at(-1)], [5, 'See fieldmouse start --help.']);
});

test('--help and --version print their text', async () => {
  const help = await run(['--help']);
  assert.equal(help.code, 0);
  assert.match(help.out, /--listen ADDRESS[\s\S]*--workers N[\s\S]*FIELDMOUSE_DATA/);
  assert.match((await run(['help', 'admin', 'add'])).out, /^Usage\n {2}fieldmouse admin add NAME /);
  assert.match((await run(['start', '-h', '--data', 'x'])).out, /^Usage\n {2}fieldmouse start \[options\]/);
  const slip = await run(['exprot', '--help']);
  assert.deepEqual(
    [slip.code, slip.out, slip.err.split('\n')[0]],
    [2, '', 'fieldmouse: exprot: no such command; did you mean export?'],
  );
  assert.match((await run(['--version'])).out, /^\d+\.\d+\.\d+\n$/);
});

test('the server listens on several addresses at once, also on a Unix socket alone, and replaces the socket of a killed server', async (t) => {
  const folder = temporaryFolder(t);
  const path = join(folder, 'web.sock');
  const first = await startServer(t, { flags: ['--listen', `unix:${path}`], workers: 1 });
  assert.ok(first.output().includes(`unix:${path}`));
  assert.equal((await fetch(`${first.url}/healthz`)).status, 200);
  first.process.kill('SIGKILL');
  await once(first.process, 'exit');
  const server = await startServer(t, { listen: `unix:${path}`, workers: 1 });
  const text = await firstEvent(t, path, server.token);
  assert.match(text, /^retry: 2000\n\n(id: .*\n)?event: snapshot\n/);
});

test('a file that is not a socket is not replaced', async (t) => {
  const file = join(temporaryFolder(t), 'precious');
  writeFileSync(file, 'precious');
  const { code, err } = await run(['--listen', `unix:${file}`, '--data', temporaryFolder(t)]);
  assert.equal(code, 1);
  assert.match(err, /^fieldmouse: unix:.*: a file that is not a socket exists there; .*\n$/);
  assert.equal(readFileSync(file, 'utf8'), 'precious');
});

test('an error that keeps a worker from starting stops the start with one line', async (t) => {
  const { code, err } = await run([
    '-l',
    'tcp://127.0.0.1:0',
    '--data',
    temporaryFolder(t),
    '--endpoint',
    '/garden.html',
  ]);
  assert.equal(code, 1);
  assert.match(err, /^fieldmouse: .*garden\.html.*\n$/);
});

function firstEvent(t: TestContext, socketPath: string, token: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const request = get(
      { socketPath, path: '/v1/stream?site=demo', headers: { authorization: `Bearer ${token}`, host: 'localhost' } },
      (response) => {
        let text = '';
        response.on('data', (chunk) => {
          text += chunk;
          if (text.includes('event: snapshot')) resolve(text);
        });
      },
    );
    request.on('error', reject);
    t.after(() => request.destroy());
  });
}

test('a stop signal during the start stops it, and leaves no process behind', async (t) => {
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    const child = spawnMain(['--listen', 'tcp://127.0.0.1:0', '--data', temporaryFolder(t), '--workers', '2']);
    t.after(() => child.kill('SIGKILL'));
    const exited = once(child, 'exit') as Promise<[number | null, NodeJS.Signals | null]>;
    // Workers are there, and do not listen yet.
    await until(() => childrenOf(child.pid as number).length === 2, 'workers');
    const workers = childrenOf(child.pid as number);
    child.kill(signal);
    // SIGKILL: the start took so long that it was not waited for.
    const [code, killer] = await exited;
    assert.ok(code === 0 || killer === 'SIGKILL', `exit code ${code}, ${killer}`);
    await until(() => !workers.some(isAlive), 'the end of the workers');
  }
});
