/** Streams that open or restart at the same time share one snapshot. Each must show the current state. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import { noBroker } from '../src/broker/no-broker.ts';
import { FanOut } from '../src/hub/fan-out.ts';
import { SharedSnapshots } from '../src/hub/shared-snapshots.ts';
import { TurnQueue } from '../src/lib/turn-queue.ts';
import { TAG } from '../src/protocol/ipc.ts';
import { until } from './support/exact.ts';
import { Machine, type Shown, socketPair } from './support/machine.ts';
import { seeded } from './support/seeded.ts';

const REQUEST = {
  site: 'demo',
  page: null,
  visitor: null,
  stage: null,
  moves: 'full',
  lastEventId: null,
  credential: 'test',
  holders: ['test'],
  checked: true,
  made: 0,
} as const;

test('streams that open while visitors come and go all show the visitors that are present', async (t) => {
  const random = seeded(7);
  const machine = await Machine.start(t, undefined, { graceMs: 0 });
  const present = new Map<string, { v: number; claim: number }>();
  const streams: Shown[] = [];
  // Of this number of visitors a snapshot takes long enough to be shared.
  for (let i = 0; i < 5000; i++) present.set(`first-${i}`, await machine.join(`first-${i}`));
  for (let i = 0; i < 400; i++) {
    const [first] = present.keys();
    if (first !== undefined && random() < 0.5) {
      machine.leave(present.get(first) as { v: number; claim: number });
      present.delete(first);
    } else present.set(`visitor-${i}`, await machine.join(`visitor-${i}`, 'demo', `/${i % 3}`));
    if (i % 10 === 0) streams.push(await machine.watch());
  }
  for (const stream of streams) await stream.seeHere([...present.keys()]);
  const times = new Set(streams.map((stream) => stream.of('snapshot')[0]?.t));
  assert.ok(times.size < streams.length, `${times.size} snapshots for ${streams.length} streams`);
});

test('a viewer who loses access while a stream waits for its snapshot gets nothing', async (t) => {
  const snapshot = () => {
    // Longer than a turn of the event loop may spend on streams, so the next stream waits.
    for (const end = performance.now() + 50; performance.now() < end; );
    const lists = { visitors: [], minutes: [], left: [], activity: [] };
    return { t: 0, site: 'demo', version: 'test', ...lists };
  };
  const fanOut = new FanOut({ maxStreams: 10, maxStreamsEach: 10, tell: () => {}, snapshot, others: noBroker });
  t.after(() => fanOut.close());
  const [[first, firstThere], [second, secondThere]] = [await socketPair(t), await socketPair(t)];
  const texts = [first, second].map((socket) => socket.setEncoding('utf8').toArray());
  fanOut.subscribe(firstThere, { ...REQUEST, credential: 'first' });
  fanOut.subscribe(secondThere, { ...REQUEST, credential: 'second' });
  const closed = once(second, 'close');
  fanOut.revoke({ credential: 'second', site: 'demo' });
  await closed;
  fanOut.revoke({ credential: 'first', site: 'demo' });
  const [shown, hidden] = (await Promise.all(texts)).map((parts) => parts.join('').includes('event: snapshot'));
  assert.deepEqual([shown, hidden], [true, false]);
});

test('a stream of one page gets a snapshot of that page', async (t) => {
  const machine = await Machine.start(t);
  await machine.join('a', 'demo', '/a');
  await machine.join('b', 'demo', '/b');
  await (await machine.watch()).seeHere(['a', 'b']);
  await (await machine.watch('demo', { page: '/b' })).seeHere(['b']);
  await (await machine.watch('other')).seeHere([]);
});

test('when a site restarts, each of many streams gets one reset and a snapshot that includes what came since', async (t) => {
  const machine = await Machine.start(t);
  // Large enough that the snapshots of all streams take several turns of the event loop.
  const ids = Array.from({ length: 2000 }, (_, i) => `visitor-${i}`);
  await Promise.all(ids.map((id) => machine.join(id)));
  const streams = await Promise.all(Array.from({ length: 40 }, () => machine.watch()));
  for (const stream of streams) await stream.see('snapshot');
  machine.hub.receive(1, { tag: TAG, k: 'sync', visitors: [], pending: [], sites: ['demo'] }, undefined);
  await machine.join('late');
  for (const stream of streams) await until(() => stream.of('snapshot').length === 2, 'a second snapshot');
  for (const stream of streams) {
    assert.deepEqual(
      stream.of('reset').map(({ reason }) => reason),
      ['resync'],
    );
    assert.ok(stream.here().includes('late'));
  }
});

test('a snapshot is shared for nine times as long as it took, at most a second, by requests of the same view', () => {
  const snapshots = new SharedSnapshots();
  const snapshot = { seq: 3, bytes: Buffer.from('x') };
  snapshots.add(REQUEST, snapshot, 500, 1000);
  assert.equal(snapshots.find(REQUEST, 2000)?.seq, 3);
  assert.equal(snapshots.find({ ...REQUEST, moves: 'none', credential: 'other' }, 2000)?.seq, 3);
  assert.equal(snapshots.find(REQUEST, 2001), undefined);
  for (const other of [{ site: 's' }, { page: '/' }, { visitor: 'v' }, { made: 1 }, { checked: false }])
    assert.equal(snapshots.find({ ...REQUEST, ...other }, 1000), undefined, JSON.stringify(other));
  snapshots.forget('other');
  assert.ok(snapshots.find(REQUEST, 1000));
  snapshots.forget('demo');
  assert.equal(snapshots.find(REQUEST, 1000), undefined);
  snapshots.add(REQUEST, snapshot, 10, 1000);
  assert.ok(snapshots.find(REQUEST, 1090));
  assert.equal(snapshots.find(REQUEST, 1091), undefined);
});

test('a snapshot that is made quickly is not shared, so that it is current', async (t) => {
  const snapshots = new SharedSnapshots();
  snapshots.add(REQUEST, { seq: 3, bytes: Buffer.from('x') }, 1.9, 1000);
  assert.equal(snapshots.find(REQUEST, 1000), undefined);
  const machine = await Machine.start(t);
  for (const id of ['a', 'b', 'c']) {
    await machine.join(id);
    const { visitors } = await (await machine.watch()).see('snapshot');
    assert.equal(visitors.at(-1)?.id, id);
  }
});

test('work that takes long is done in order, over several turns of the event loop, and never twice', async () => {
  let [turn, isOver] = [0, false];
  const countTurns = () => {
    turn += 1;
    if (!isOver) setImmediate(countTurns);
  };
  setImmediate(countTurns);
  const done: [key: number, value: string, turn: number][] = [];
  const queue = new TurnQueue<number, string>(10, (key, value) => {
    done.push([key, value, turn]);
    for (const end = performance.now() + 4; performance.now() < end; );
  });
  for (let key = 0; key < 12; key++) queue.add(key, 'first');
  queue.add(11, 'second');
  queue.delete(7);
  assert.deepEqual([queue.get(11), queue.get(7), queue.get(0)], ['second', undefined, undefined]);
  await until(() => done.length === 11, 'the work');
  isOver = true;
  assert.deepEqual(
    done.map(([key, value]) => [key, value]),
    [0, 1, 2, 3, 4, 5, 6, 8, 9, 10, 11].map((key) => [key, key === 11 ? 'second' : 'first']),
  );
  for (let at = 1; at <= turn; at++)
    assert.ok(done.filter(([, , one]) => one === at).length <= 3, `work of turn ${at}`);
});

test('the number of shared snapshots is bounded, and old ones are removed', () => {
  const snapshots = new SharedSnapshots();
  const found = (now: number) =>
    Array.from({ length: 100 }, (_, i) => snapshots.find({ ...REQUEST, page: `/${i}` }, now)).filter(Boolean).length;
  for (let i = 0; i < 100; i++)
    snapshots.add({ ...REQUEST, page: `/${i}` }, { seq: i, bytes: Buffer.alloc(1) }, 1000, i);
  assert.equal(found(100), 8);
  snapshots.sweep(1095);
  assert.equal(found(100), 5);
});
