import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { type TestContext, test } from 'node:test';
import { Pace } from '../src/ingest/pace.ts';
import type { Control } from '../src/protocol/control.ts';
import { startServer, type TestServer } from './support/server.ts';
import { StreamReader } from './support/stream.ts';
import { BinaryVisitor } from './support/visitor.ts';

test('the pace slows down under load and comes back after calm seconds, step by step', () => {
  const pace = new Pace(100, 16);
  const calm = { loopDelayMs: 15, saturated: false };
  assert.equal(pace.second(calm), false);
  assert.ok(pace.second({ loopDelayMs: 150, saturated: false }));
  assert.deepEqual([pace.flushMs, pace.sampleMs], [200, 32]);
  for (let i = 0; i < 10; i++) pace.second({ loopDelayMs: 15, saturated: true });
  assert.deepEqual([pace.flushMs, pace.sampleMs], [800, 128]);
  const changes = Array.from({ length: 15 }, () => pace.second(calm));
  assert.deepEqual(
    changes.flatMap((changed, i) => (changed ? [i] : [])),
    [4, 9, 14],
  );
  assert.deepEqual([pace.flushMs, pace.sampleMs], [100, 16]);
});

/** A visitor that sends as many samples as it may until it is stopped. */
async function busyVisitor(t: TestContext, server: TestServer): Promise<BinaryVisitor> {
  const visitor = new BinaryVisitor(t, server.ws);
  await visitor.hello;
  const timer = setInterval(() => {
    visitor.frame(...Array.from({ length: 1000 }, (_, i) => ({ type: 'move' as const, time: 1, x: 5 * i, y: 3 * i })));
  }, 10);
  t.after(() => clearInterval(timer));
  visitor.socket.once('close', () => clearInterval(timer));
  return visitor;
}

test('while the primary stands still moves give way, visitors are slowed, and no event is lost', async (t) => {
  const server = await startServer(t, { workers: 1, flags: ['--max-frame-rate', '1000'] });
  const stream = await StreamReader.open(t, server, { site: 'demo', moves: 'full' });
  await stream.next('snapshot');
  const busy = await busyVisitor(t, server);
  const quiet = new BinaryVisitor(t, server.ws);
  await quiet.hello;
  await stream.next('join');
  await stream.next('join');
  const paces: number[] = [];
  const slowed = new Promise<void>((resolve) => {
    busy.socket.on('message', (data) => {
      const message = JSON.parse(String(data)) as Control;
      if (message.type === 'pace') resolve(void paces.push(message.flushMs));
    });
  });
  process.kill(server.process.pid as number, 'SIGSTOP');
  await slowed;
  assert.ok((paces[0] ?? 0) > 100);
  const [worker] = server.workerPids();
  const before = residentKb(worker as number);
  for (let i = 0; i < 100; i++)
    quiet.frame({ type: 'click', time: i, x: i, y: i, button: 0, ex: 0, ey: 0, selector: '' });
  const late = new BinaryVisitor(t, server.ws, { page: '/late' });
  await once(busy.socket, 'message');
  await once(busy.socket, 'message');
  assert.ok(residentKb(worker as number) - before < 64 * 1024);
  process.kill(server.process.pid as number, 'SIGCONT');
  await late.hello;
  await stream.until(() => (stream.events.filter(({ name }) => name === 'click').length === 100 ? true : undefined));
  const clicks = stream.events.filter(({ name }) => name === 'click').map(({ data }) => (data as { x: number }).x);
  assert.deepEqual(
    clicks,
    Array.from({ length: 100 }, (_, i) => i),
  );
  assert.ok(stream.events.every(({ name }) => name !== 'reset'));
  await stream.until(() =>
    stream.events.find(({ name, data }) => name === 'join' && JSON.stringify(data).includes('/late')),
  );
});

test('a reader that stands still loses moves, not events, is told so, and does not slow others', async (t) => {
  const server = await startServer(t, { workers: 1, flags: ['--max-frame-rate', '1000'] });
  const socket = connect(Number(new URL(server.url).port), '127.0.0.1');
  t.after(() => socket.destroy());
  socket.write(
    `GET /v1/stream?site=demo&moves=full HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${server.token}\r\n\r\n`,
  );
  await once(socket, 'readable');
  socket.pause();
  const other = await StreamReader.open(t, server, { site: 'demo', moves: 'full' });
  await other.next('snapshot');
  const busy = await busyVisitor(t, server);
  const before = residentKb(server.process.pid as number);
  let moves = 0;
  for (;;) {
    const { m } = await other.next('moves');
    moves += (m.length - 2) / 3;
    other.events.length = 0;
    // Enough to fill the kernel's buffers for the stalled socket and our own limit: 400,000 samples, 5 MB of text.
    if (moves > 400_000) break;
  }
  assert.ok(residentKb(server.process.pid as number) - before < 128 * 1024);
  busy.frame({ type: 'click', time: 2, x: 7, y: 7, button: 0, ex: 0, ey: 0, selector: '#end' });
  busy.socket.close();
  let text = '';
  socket.on('data', (chunk) => {
    text += chunk;
  });
  socket.resume();
  await other.until(() => other.events.find(({ name }) => name === 'leave'));
  await new Promise<void>((resolve) => {
    const look = () => /"skipped":\d+|event: reset/.test(text) && text.includes('event: leave') && resolve();
    socket.on('data', look);
    look();
  });
  assert.ok(text.includes('#end'));
});

function residentKb(pid: number): number {
  return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]);
}
