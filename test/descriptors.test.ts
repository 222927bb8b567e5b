/** A low limit of open files: connections are refused, but no process ends. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { type TestContext, test } from 'node:test';
import { ConnectionLimit } from '../src/connection-limit.ts';
import { mostConnections } from '../src/descriptors.ts';
import { until } from './support/exact.ts';
import { startServer, type TestServer } from './support/server.ts';
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
  assert.match(server.output(), /nofile\) is 256: each worker takes 128 connections at most, not the 20000/);
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

test('idle connections of many addresses end no worker, and give way in time', async (t) => {
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

test('a connection counts until it closes or is handed over; a WebSocket only as a descriptor', () => {
  const limit = new ConnectionLimit({
    most: 8,
    mostPerAddress: 1000,
    keyOf: (address) => address,
    isProxy: (address) => address === 'proxy',
  });
  const socketOf = (remoteAddress: string | undefined) =>
    ({ remoteAddress, once() {}, destroy() {} }) as unknown as Socket;
  const [a, b, c] = [socketOf('a'), socketOf('a'), socketOf('a')];
  assert.deepEqual([limit.admit(a), limit.admit(b), limit.admit(c)], [undefined, undefined, 'address-full']);
  limit.upgraded(a);
  limit.upgraded(a);
  assert.equal(limit.admit(c), undefined);
  assert.equal(limit.admit(socketOf('a')), 'address-full');
  limit.leave(b);
  assert.equal(limit.admit(socketOf('a')), undefined);
  const proxied = Array.from({ length: 6 }, () => limit.admit(socketOf('proxy')));
  assert.deepEqual(proxied, [...Array(5).fill(undefined), 'worker-full']);
  limit.leave(a);
  assert.equal(limit.admit(socketOf(undefined)), undefined);
  assert.deepEqual([mostConnections(1024), mostConnections(64)], [896, 16]);
});
