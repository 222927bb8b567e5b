/** Workers that hang or grow too large are replaced, and no acked data is lost. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Watchdog } from '../src/cluster/watchdog.ts';
import { assertExact, crowd, settle, Traffic, until } from './support/exact.ts';
import { startServer } from './support/server.ts';
import { JsonVisitor } from './support/visitor.ts';

test('a worker is hung when it has reported nothing for ten ticks, and is reported once', () => {
  const watchdog = new Watchdog();
  watchdog.heard(1);
  watchdog.heard(2);
  const ticks = (n: number) => Array.from({ length: n }, () => watchdog.tick()).flat();
  assert.deepEqual(ticks(10), []);
  watchdog.heard(2);
  assert.deepEqual(ticks(5), [1]);
  watchdog.heard(1);
  watchdog.forget(2);
  assert.deepEqual(ticks(10), []);
  assert.deepEqual(ticks(10), [1]);
});

test('a suspended worker is killed and replaced, its visitors continue elsewhere, and no acked data is lost', async (t) => {
  const server = await startServer(t);
  const visitors = crowd(t, 40, () => server.ws);
  const traffic = new Traffic(visitors, 100, 6);
  t.after(() => traffic.stop());
  await until(() => visitors.every(({ acked }) => acked > 0), 'acks');
  const [stuck, other] = server.workerPids() as [number, number];
  process.kill(stuck, 'SIGSTOP');
  await until(() => /worker does not answer; it is killed/.test(server.output()), 'the end of the worker');
  await until(() => server.workerPids().length === 2 && !server.workerPids().includes(stuck), 'another worker');
  assert.ok(server.workerPids().includes(other));
  const acked = visitors.map((visitor) => visitor.acked);
  await until(() => visitors.every((visitor, i) => visitor.acked > (acked[i] as number)), 'acks of all');
  traffic.stop();
  await settle(visitors);
  assert.equal(await server.stop(), 0);
  await assertExact(t, server.data, visitors);
});

test('a worker that has grown too large is drained and replaced, at most one per minute', async (t) => {
  const server = await startServer(t, { flags: ['--max-memory', '8MB'] });
  const visitors = Array.from({ length: 8 }, () => new JsonVisitor(t, server.ws));
  await Promise.all(visitors.map(({ hello }) => hello));
  const closes: number[] = [];
  for (const { socket } of visitors) socket.on('close', (code) => closes.push(code));
  const before = server.workerPids();
  await until(() => /worker uses more memory than --max-memory; it is replaced/.test(server.output()), 'word of it');
  const kept = () => server.workerPids().filter((pid) => before.includes(pid));
  await until(() => server.workerPids().length === 2 && kept().length === 1, 'another worker');
  assert.equal((await fetch(`${server.url}/readyz`)).status, 200);
  assert.deepEqual(
    closes.filter((code) => code !== 1012),
    [],
  );
  assert.equal(server.output().split('worker uses more memory than --max-memory').length, 2);
});
