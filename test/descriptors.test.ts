/** With a low limit of open files connections are rejected, but no process exits. */
import assert from 'node:assert/strict';
import { EventEmitter, once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { type TestContext, test } from 'node:test';
import { ConnectionLimit } from '../src/server/connection-limit.ts';
import { clientShare, limitOfOne, mostConnections } from '../src/server/descriptors.ts';
import { until } from './support/exact.ts';
import { statuses, upgradeText, usage } from './support/raw.ts';
import { startServer, type TestServer, TOKEN } from './support/server.ts';
import { JsonVisitor } from './support/visitor.ts';

const NOFILE = 256;

/** Opens connections that say nothing. Tells how many of them are still open. */
async function idle(t: TestContext, { url }: TestServer, count: number, addressOf: (i: number) => string) {
  const { hostname, port } = new URL(url);
  const sockets = new Set<Socket>();
  t.after(() => {
    for (const socket of sockets) socket.destroy();
  });
  await Promise.all(
    Array.from({ length: count }, async (_, i) => {
      const socket = connect({ host: hostname, port: Number(port), localAddress: addressOf(i) });
      sockets.add(socket);
      socket.on('error', () => {}).on('close', () => sockets.delete(socket));
      await once(socket.resume(), 'connect').catch(() => {});
    }),
  );
  return { open: () => sockets.size };
}

test('idle connections of one address leave room for others, and are counted', async (t) => {
  const server = await startServer(t, { workers: 1, nofile: NOFILE });
  assert.match(
    server.output(),
    /nofile\) is 256: each worker accepts at most 128 connections \(32 WebSockets from one address\) instead of the 20000/,
  );
  const pids = server.workerPids();
  const { open } = await idle(t, server, 400, () => '127.0.0.9');
  await until(() => open() <= 32, 'the connections beyond a quarter are closed');
  const visitor = new JsonVisitor(t, server.ws);
  await visitor.hello;
  const metrics = await (await server.api('/metrics')).text();
  assert.match(metrics, /fieldmouse_dropped_connections_total\{reason="address-full"\} 368/);
  assert.match(server.output(), /too many connections; new ones are closed/);
  assert.deepEqual(server.workerPids(), pids);
});

test('idle connections of many addresses stop no worker, and are closed in time', async (t) => {
  const server = await startServer(t, { workers: 1, nofile: NOFILE });
  const pids = server.workerPids();
  const visitor = new JsonVisitor(t, server.ws);
  await visitor.hello;
  const { open } = await idle(t, server, 600, (i) => `127.0.8.${1 + (i % 50)}`);
  await until(() => open() <= 128, 'the connections beyond the limit are closed');
  await until(() => open() === 0, 'connections that say nothing are closed');
  assert.equal((await server.api('/healthz')).status, 200);
  assert.equal(visitor.socket.readyState, 1);
  assert.deepEqual(server.workerPids(), pids);
});

/**
 * Asks for so many WebSockets or streams from one address. Resolves with the status of each, 0 where there is no
 * answer.
 */
async function ask(t: TestContext, { url }: TestServer, count: number, localAddress: string, bytes: string) {
  const { hostname, port } = new URL(url);
  const open = Array.from({ length: count }, async () => {
    const socket = connect({ host: hostname, port: Number(port), localAddress });
    t.after(() => socket.destroy());
    socket.on('error', () => {}).on('connect', () => socket.write(bytes));
    const head = await new Promise<string>((resolve) => {
      socket.once('data', (chunk) => resolve(String(chunk))).once('close', () => resolve(''));
    });
    return { socket, status: statuses(head)[0] ?? 0 };
  });
  const asked = await Promise.all(open);
  const statusList = asked.map(({ status }) => status);
  return { sockets: asked.map(({ socket }) => socket), count: (status: number) => countOf(statusList, status) };
}

function countOf(list: readonly number[], wanted: number): number {
  return list.filter((one) => one === wanted).length;
}

test('WebSockets of one address leave room for others, and WebSockets of many addresses stay within the limit', async (t) => {
  const server = await startServer(t, { workers: 1, nofile: NOFILE });
  const pids = server.workerPids();
  const one = await ask(t, server, 100, '127.0.9.1', upgradeText());
  assert.equal(one.count(101), 32);
  assert.equal((await server.api('/healthz')).status, 200);
  const many = await Promise.all([2, 3, 4, 5].map((i) => ask(t, server, 32, `127.0.9.${i}`, upgradeText())));
  const open = many.reduce((sum, { count }) => sum + count(101), one.count(101));
  assert.ok(open > 96 && open <= 128, `${open} are open`);
  assert.ok((usage(pids)[0]?.files as number) < NOFILE - 32, 'descriptors stay free');
  assert.match(server.output(), /worker-full.*too many connections; new ones are closed/);
  for (const { sockets } of [one, ...many]) for (const socket of sockets) socket.destroy();
  await until(async () => (await ask(t, server, 1, '127.0.9.9', upgradeText())).count(101) === 1, 'room again');
  assert.deepEqual(server.workerPids(), pids);
});

test('streams of one account leave room for others in the primary', async (t) => {
  const server = await startServer(t, { workers: 1, nofile: NOFILE });
  const text = `GET /v1/stream?site=demo HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${TOKEN}\r\n\r\n`;
  // In turns, since a worker takes 32 connections of an address at once.
  const first = await ask(t, server, 25, '127.0.9.1', text);
  const second = await ask(t, server, 25, '127.0.9.2', text);
  assert.deepEqual([first.count(200), second.count(200), second.count(429)], [25, 7, 18]);
  assert.equal((await server.api('/healthz')).status, 200);
});

test('a connection counts until it closes, also when a new socket has replaced it', () => {
  const limit = new ConnectionLimit({
    most: 8,
    mostPerAddress: 1000,
    keyOf: (address) => address,
    isProxy: (address) => address === 'proxy',
  });
  const socketOf = (remoteAddress: string | undefined) =>
    Object.assign(new EventEmitter(), { remoteAddress, destroy() {} }) as unknown as Socket;
  const [a, b, c] = [socketOf('a'), socketOf('a'), socketOf('a')];
  assert.deepEqual([limit.admit(a), limit.admit(b), limit.admit(c)], [undefined, undefined, 'address-full']);
  const fresh = socketOf('a');
  limit.upgraded(a, fresh);
  limit.upgraded(a, fresh);
  // The first socket closes when its connection moves.
  a.emit('close');
  assert.equal(limit.admit(c), undefined);
  assert.equal(limit.admit(socketOf('a')), 'address-full');
  b.emit('close');
  assert.equal(limit.admit(socketOf('a')), undefined);
  const proxied = Array.from({ length: 6 }, () => limit.admit(socketOf('proxy')));
  assert.deepEqual(proxied, [...Array(5).fill(undefined), 'worker-full']);
  fresh.emit('close');
  assert.equal(limit.admit(socketOf(undefined)), undefined);
  assert.deepEqual([mostConnections(1024), mostConnections(64), clientShare(896), clientShare(2)], [896, 16, 224, 1]);
  // A quarter, unless the option was raised.
  assert.deepEqual(
    [100, 1000, 1001].map((said) => limitOfOne(said, '1000', 896)),
    [100, 224, 1001],
  );
});
