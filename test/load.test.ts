import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { type TestContext, test } from 'node:test';
import fc from 'fast-check';
import { type LoadFigures, Pace } from '../src/ingest/pace.ts';
import { RoundRobin, TURN_MS } from '../src/ingest/round-robin.ts';
import type { Control } from '../src/protocol/control.ts';
import { startServer, type TestServer } from './support/server.ts';
import { StreamReader } from './support/stream.ts';
import { BinaryVisitor } from './support/visitor.ts';

const CALM = { loopDelayMs: 15, utilization: 0.1, saturated: false };
const BUSY = { ...CALM, loopDelayMs: 150 };
const FULL = { ...CALM, saturated: true };
const TWICE = { ...CALM, loopDelayMs: 500 };

/** Has a pace see the same load four times a second for so long; tells when it changed, seconds. */
function drive(pace: Pace, clock: { now: number }, load: LoadFigures, seconds: number): number[] {
  const changes: number[] = [];
  for (const end = clock.now + 1000 * seconds; clock.now < end; clock.now += 250)
    if (pace.observe(load, clock.now)) changes.push(clock.now / 1000);
  return changes;
}

test('the pace slows down under load, first without losing samples, and recovers when the load falls', () => {
  const pace = new Pace({ flushMs: 100, sampleMs: 16 }, 1000, 0);
  const clock = { now: 0 };
  assert.deepEqual(drive(pace, clock, CALM, 10), []);
  assert.ok(pace.observe(BUSY, clock.now));
  assert.deepEqual(pace.live, { flushMs: 200, sampleMs: 16 });
  assert.deepEqual(drive(pace, clock, FULL, 5), [11.25, 12.75, 14.75]);
  assert.deepEqual(pace.live, { flushMs: 800, sampleMs: 128 });
  assert.deepEqual(drive(pace, clock, CALM, 25), [19.75, 24.75, 29.75, 34.75]);
  assert.deepEqual(pace.live, { flushMs: 100, sampleMs: 16 });
});

test('a busy worker asks for fewer frames before it falls behind, but only by one step', () => {
  const pace = new Pace({ flushMs: 100, sampleMs: 16 }, 1000, 0);
  const clock = { now: 1000 };
  assert.deepEqual(drive(pace, clock, { ...CALM, utilization: 0.8 }, 1), []);
  assert.deepEqual(drive(pace, clock, CALM, 1), []);
  assert.deepEqual(drive(pace, clock, { ...CALM, utilization: 0.8 }, 10), [4.75]);
  assert.deepEqual(pace.live, { flushMs: 200, sampleMs: 16 });
  assert.deepEqual(drive(pace, clock, { ...CALM, utilization: 0.5 }, 10), []);
  assert.deepEqual(drive(pace, clock, CALM, 6), [27.75]);
  assert.deepEqual(pace.live, { flushMs: 100, sampleMs: 16 });
});

test('a worker that is calm on average recovers, although single moments are busy', () => {
  const pace = new Pace({ flushMs: 100, sampleMs: 16 }, 1000, 0);
  const clock = { now: 1000 };
  assert.deepEqual(drive(pace, clock, { ...CALM, utilization: 0.8 }, 3), [2]);
  const changes = Array.from({ length: 10 }, () => [
    ...drive(pace, clock, { ...CALM, utilization: 0.4 }, 0.75),
    ...drive(pace, clock, { ...CALM, utilization: 0.65 }, 0.25),
  ]);
  assert.equal(changes.flat().length, 1);
  assert.deepEqual(pace.live, { flushMs: 100, sampleMs: 16 });
});

test('the pace falls by two steps when the load is far too high', () => {
  const pace = new Pace({ flushMs: 100, sampleMs: 16 }, 1000, 0);
  assert.ok(pace.observe(TWICE, 1000));
  assert.deepEqual(pace.live, { flushMs: 400, sampleMs: 32 });
});

test('a load that returns with the pace keeps the pace down longer each time, up to a limit', () => {
  const pace = new Pace({ flushMs: 100, sampleMs: 16 }, 1000, 0);
  const clock = { now: 1000 };
  const waits: number[] = [];
  for (let i = 0; i < 6; i++) {
    assert.ok(pace.observe(BUSY, clock.now));
    const since = clock.now;
    while (!pace.observe(CALM, clock.now)) clock.now += 250;
    waits.push((clock.now - since) / 1000);
    clock.now += 1000;
  }
  assert.deepEqual(waits, [5, 10, 20, 40, 40, 40]);
});

test('one overload that takes several steps down lengthens the wait once', () => {
  const pace = new Pace({ flushMs: 100, sampleMs: 16 }, 1000, 0);
  const clock = { now: 1000 };
  assert.ok(pace.observe(BUSY, clock.now));
  while (!pace.observe(CALM, clock.now)) clock.now += 250;
  drive(pace, clock, FULL, 10);
  assert.deepEqual(pace.live, { flushMs: 800, sampleMs: 128 });
  const since = clock.now / 1000;
  assert.deepEqual(
    drive(pace, clock, CALM, 30).map((at) => at - since),
    [9.75, 19.75, 24.75, 29.75],
  );
});

test('after an overload the pace returns soon once most visitors have left, but not while they stay', () => {
  const pace = new Pace({ flushMs: 100, sampleMs: 16 }, 1000, 0);
  const clock = { now: 1000 };
  const atReducedPace = { ...CALM, utilization: 0.4 };
  for (let i = 0; i < 6; i++) {
    while (!pace.observe(TWICE, clock.now)) clock.now += 250;
    while (!pace.observe(atReducedPace, clock.now)) clock.now += 250;
  }
  drive(pace, clock, TWICE, 6);
  assert.deepEqual(pace.live, { flushMs: 800, sampleMs: 128 });
  assert.deepEqual(drive(pace, clock, atReducedPace, 38), []);
  const since = clock.now / 1000;
  const changes = drive(pace, clock, { ...CALM, utilization: 0.04 }, 60).map((at) => at - since);
  assert.deepEqual(pace.live, { flushMs: 100, sampleMs: 16 });
  assert.ok((changes.at(-1) as number) < 30, changes.join());
});

test('visitors of an unwatched site send once a second, or less often when the pace is slower', () => {
  const pace = new Pace({ flushMs: 400, sampleMs: 16 }, 1000, 0);
  assert.deepEqual(pace.quiet, { flushMs: 1000, sampleMs: 16 });
  pace.observe(TWICE, 1000);
  assert.deepEqual(pace.quiet, { flushMs: 1600, sampleMs: 32 });
});

test('the round-robin visits every member once a second, in even shares, while members come and go', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 300 }), fc.array(fc.nat(300), { maxLength: 40 }), (size, gone) => {
      const members = new Set(Array.from({ length: size }, (_, i) => i));
      const rounds = new RoundRobin(members);
      const seen: number[] = [];
      for (let turn = 0; turn < 20; turn++) {
        const now = [...rounds.turn(turn * TURN_MS)];
        assert.ok(now.length <= size / 20 + 2);
        seen.push(...now);
        const leaving = gone[turn];
        if (leaving !== undefined) members.delete(leaving);
      }
      assert.equal(new Set(seen).size, seen.length);
      for (const member of members) assert.ok(seen.includes(member));
      assert.deepEqual([...rounds.turn(1000)].slice(0, 1), [...members].slice(0, 1));
      assert.equal(rounds.number, 2);
    }),
  );
});

test('the turns of a round are spread over the whole second, however few members there are', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 300 }), (size) => {
      const rounds = new RoundRobin(new Set(Array.from({ length: size }, (_, i) => i)));
      const shares = Array.from({ length: 20 }, (_, turn) => [...rounds.turn(turn * TURN_MS)].length);
      let done = 0;
      for (const [turn, share] of shares.entries()) {
        done += share;
        assert.ok(Math.abs(done - (size * (turn + 1)) / 20) <= 2, shares.join());
      }
      assert.equal(done, size);
    }),
  );
});

test('a visitor sends rarely while nobody watches, and is told at once to send often when somebody does', async (t) => {
  const server = await startServer(t, { workers: 1 });
  const visitor = new BinaryVisitor(t, server.ws);
  const paces: number[] = [(await visitor.hello).flushMs];
  const told = new Promise<void>((resolve) => {
    visitor.socket.on('message', (data) => {
      const message = JSON.parse(String(data)) as Control;
      if (message.type === 'pace') resolve(void paces.push(message.flushMs));
    });
  });
  await StreamReader.open(t, server, { site: 'demo', moves: 'latest' });
  await told;
  // A busy machine may have slowed the server down a step or more.
  assert.ok((paces[0] as number) >= 1000 && (paces[1] as number) < 1000, paces.join());
  assert.ok((await new BinaryVisitor(t, server.ws).hello).flushMs < 1000);
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

test('while the primary is suspended moves are dropped, visitors are slowed down, and no event is lost', async (t) => {
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

test('a suspended reader loses moves but no events, is told so, and does not slow others', async (t) => {
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
