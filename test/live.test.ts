import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type TestContext, test } from 'node:test';
import type { Visitor } from '../src/model/visitor.ts';
import { FILE } from './support/owner.ts';
import { startServer } from './support/server.ts';
import { StreamReader, samplesOf, unpackMoves } from './support/stream.ts';
import { BinaryVisitor, JsonVisitor } from './support/visitor.ts';

const server = await startServer(FILE);

async function watch(t: TestContext, site: string, query: Record<string, string> = {}) {
  const stream = await StreamReader.open(t, server, { site, moves: 'full', ...query });
  const snapshot = await stream.next('snapshot');
  return { stream, snapshot };
}

test('a json visitor appears, moves and leaves on the stream', async (t) => {
  const site = await server.newSite();
  const { stream, snapshot } = await watch(t, site);
  assert.deepEqual(snapshot.visitors, []);
  const visitor = new JsonVisitor(t, server.ws, { site, page: '/shop' });
  const hello = await visitor.hello;
  assert.match(hello.visitor, /^[\w-]{22}$/);
  const join = await stream.next('join');
  assert.equal(join.visitor.id, hello.visitor);
  assert.equal(join.visitor.page, '/shop');
  const t0 = Date.now();
  visitor.send({ id: 'anna', x: 10, y: 20, t: t0 });
  const moves = await stream.next('moves');
  assert.deepEqual(unpackMoves(moves), [[join.visitor.v, t0, 10, 20]]);
  visitor.close();
  const leave = await stream.next('leave');
  assert.deepEqual([leave.v, leave.reason], [join.visitor.v, 'closed']);
});

test('every sample of a binary visitor arrives in order with its time', async (t) => {
  const site = await server.newSite();
  const { stream } = await watch(t, site);
  // Its page is older than what it sends.
  const visitor = new BinaryVisitor(t, server.ws, { site, clock: 2000 });
  await visitor.hello;
  const sent = Array.from({ length: 60 }, (_, i) => ({
    type: 'move' as const,
    time: 1000 + 16 * i,
    x: 5 * i,
    y: 900 - 3 * i,
  }));
  for (let i = 0; i < sent.length; i += 6) visitor.frame(...sent.slice(i, i + 6));
  const samples = await stream.until(() => {
    const all = samplesOf(stream.events);
    return all.length >= sent.length ? all : undefined;
  });
  assert.deepEqual(
    samples.map(([, , x, y]) => [x, y]),
    sent.map(({ x, y }) => [x, y]),
  );
  const times = samples.map(([, time]) => time - (samples[0]?.[1] ?? 0));
  assert.deepEqual(
    times,
    sent.map(({ time }) => time - 1000),
  );
});

test('frames are acked, and a frame received twice is shown once', async (t) => {
  const site = await server.newSite();
  const { stream } = await watch(t, site);
  const visitor = new BinaryVisitor(t, server.ws, { site });
  await visitor.hello;
  const first = visitor.frame({ type: 'move', time: 1, x: 1, y: 1 });
  visitor.n -= 1;
  visitor.frame({ type: 'move', time: 1, x: 1, y: 1 });
  visitor.frame({ type: 'move', time: 20, x: 2, y: 2 });
  while (visitor.acked <= first) await once(visitor.socket, 'message');
  assert.equal(visitor.acked, first + 1);
  await stream.until(() => samplesOf(stream.events).find(([, , x]) => x === 2));
  assert.deepEqual(
    samplesOf(stream.events).map(([, , x]) => x),
    [1, 2],
  );
});

test('clicks, scrolls, page changes and window changes have events of their own', async (t) => {
  const site = await server.newSite();
  const { stream } = await watch(t, site);
  const visitor = new BinaryVisitor(t, server.ws, { site, page: '/a' });
  await visitor.hello;
  const { visitor: card } = await stream.next('join');
  visitor.frame(
    { type: 'click', time: 5, x: 30, y: 40, button: 0, ex: 100, ey: 200, selector: 'a#buy' },
    { type: 'scroll', time: 6, y: 640 },
  );
  const click = await stream.next('click');
  assert.deepEqual(
    [click.v, click.page, click.x, click.y, click.ex, click.ey, click.selector],
    [card.v, '/a', 30, 40, 100, 200, 'a#buy'],
  );
  const scroll = await stream.next('scroll');
  assert.deepEqual(scroll.s, [card.v, 640, 680]);
  visitor.frame({ type: 'page', time: 9, page: '/b' });
  const page = await stream.next('page');
  assert.deepEqual([page.from, page.page, page.visitor.id], ['/a', '/b', card.id]);
  visitor.frame(
    { type: 'resize', time: 12, vw: 390, vh: 800, dw: 390, dh: 3000 },
    { type: 'visibility', time: 13, visible: false },
  );
  assert.equal((await stream.next('view')).device, 'phone');
  assert.equal((await stream.next('view')).hidden, true);
});

test('moves before a page change belong to the old page', async (t) => {
  const site = await server.newSite();
  const visitor = new BinaryVisitor(t, server.ws, { site, page: '/a' });
  await visitor.hello;
  const { stream: onA } = await watch(t, site, { page: '/a' });
  const { stream: onB } = await watch(t, site, { page: '/b' });
  visitor.frame(
    { type: 'move', time: 1, x: 1, y: 1 },
    { type: 'page', time: 2, page: '/b' },
    { type: 'move', time: 3, x: 2, y: 2 },
  );
  const moveB = await onB.next('moves');
  assert.equal(moveB.page, '/b');
  // A new stream may also get the latest position, which is the same one here.
  assert.deepEqual([...new Set(unpackMoves(moveB).map(([, , x]) => x))], [2]);
  await onA.next('page');
  visitor.frame({ type: 'page', time: 4, page: '/a' }, { type: 'move', time: 5, x: 3, y: 3 });
  await onA.until(() => samplesOf(onA.events).find(([, , x]) => x === 3));
  assert.ok(!samplesOf(onA.events).some(([, , x]) => x === 2));
});

test('streams contain only the requested events', async (t) => {
  const site = await server.newSite();
  const anna = new BinaryVisitor(t, server.ws, { site, page: '/a' });
  const bert = new BinaryVisitor(t, server.ws, { site, page: '/b' });
  const id = (await anna.hello).visitor;
  await bert.hello;
  const { stream: none, snapshot } = await watch(t, site, { moves: 'none' });
  const v = (of: string) => snapshot.visitors.find((one: Visitor) => one.page === of)?.v;
  const { stream: ofAnna } = await watch(t, site, { visitor: id });
  const { stream: stage } = await watch(t, site, { stage: '/b' });
  const { stream: latest } = await watch(t, site, { moves: 'latest' });
  for (const one of [anna, bert])
    one.frame(...[1, 2, 3].map((i) => ({ type: 'move' as const, time: 16 * i, x: i, y: i })), {
      type: 'click',
      time: 60,
      x: 9,
      y: 9,
      button: 0,
      ex: 0,
      ey: 0,
      selector: '',
    });
  await none.next('click');
  await none.next('click');
  assert.deepEqual(samplesOf(none.events), []);
  assert.equal((await ofAnna.next('moves', ({ m }) => m.length > 5)).m[0], v('/a'));
  await stage.until(() => (stage.events.filter(({ name }) => name === 'click').length === 2 ? true : undefined));
  assert.equal((await stage.next('moves', ({ m }) => m.length > 5)).m[0], v('/b'));
  const last = await latest.until(() => {
    const all = samplesOf(latest.events);
    return all.length >= 2 ? all : undefined;
  });
  assert.deepEqual(
    last.map(([, , x]) => x),
    [9, 9],
  );
});

test('a stream that was cut continues without gap or duplicate', async (t) => {
  const site = await server.newSite();
  const { stream } = await watch(t, site);
  const visitor = new BinaryVisitor(t, server.ws, { site });
  await visitor.hello;
  visitor.frame({ type: 'move', time: 1, x: 1, y: 0 });
  await stream.until(() => samplesOf(stream.events)[0]);
  const { lastId } = stream;
  stream.close();
  await stream.ended;
  for (let i = 2; i < 20; i++) visitor.frame({ type: 'move', time: 16 * i, x: i, y: 0 });
  const again = await StreamReader.open(t, server, { site, moves: 'full' }, { 'last-event-id': lastId });
  const samples = await again.until(() => {
    const all = samplesOf(again.events);
    return all.some(([, , x]) => x === 19) ? all : undefined;
  });
  assert.deepEqual(
    samples.map(([, , x]) => x),
    Array.from({ length: 18 }, (_, i) => i + 2),
  );
  assert.ok(again.events.every(({ name }) => name !== 'snapshot' && name !== 'reset'));
});

test('an unknown id is answered by reset and snapshot, never by silence', async (t) => {
  const site = await server.newSite();
  for (const id of ['nonsense', 'abc-12', `${Date.now().toString(36)}-99999999`]) {
    const stream = await StreamReader.open(t, server, { site, last_event_id: id });
    await stream.until(() => stream.events[1]);
    assert.deepEqual(
      stream.events.slice(0, 2).map(({ name }) => name),
      ['reset', 'snapshot'],
    );
  }
});

test('a stream has the headers that proxies and browsers expect', async () => {
  const site = await server.newSite();
  const response = await server.api(`/v1/stream?site=${site}`);
  assert.equal(response.headers.get('content-type'), 'text/event-stream; charset=utf-8');
  assert.match(response.headers.get('cache-control') ?? '', /no-store/);
  assert.equal(response.headers.get('x-accel-buffering'), 'no');
  const reader = (response.body as ReadableStream<Uint8Array>).getReader();
  const first = await reader.read();
  assert.match(new TextDecoder().decode(first.value), /^retry: 2000\n\n/);
  await reader.cancel();
});

test('the snapshot lists who is present, on which page, and since when', async (t) => {
  const site = await server.newSite();
  const before = Date.now();
  const visitor = new BinaryVisitor(t, server.ws, { site, page: '/p', size: [800, 600, 800, 1200] });
  const { visitor: id } = await visitor.hello;
  const { stream } = await watch(t, site);
  visitor.frame({ type: 'move', time: 1, x: 111, y: 222 });
  // Where it is the primary hears with the counts of the second.
  await stream.next('rates', ({ samples }) => samples > 0);
  const { snapshot } = await watch(t, site);
  const card = snapshot.visitors[0];
  assert.equal(card?.id, id);
  assert.deepEqual(
    [card?.page, card?.device, card?.size, card?.at, card?.hidden, card?.language],
    ['/p', 'tablet', [800, 600, 800, 1200], [111, 222], false, 'en'],
  );
  assert.ok(card && card.since >= before && card.since <= Date.now());
});

test('a json client’s own label is shown, and a position only on its current page', async (t) => {
  const site = await server.newSite();
  const { stream } = await watch(t, site);
  const visitor = new JsonVisitor(t, server.ws, { site, page: '/one' });
  await visitor.hello;
  visitor.send({ id: 'anna', x: 5, y: 6 });
  assert.equal((await stream.next('view')).label, 'anna');
  visitor.send([
    { type: 'page', page: '/two' },
    { type: 'scroll', y: 100 },
  ]);
  await stream.next('rates', ({ samples }) => samples > 0);
  await stream.next('rates', ({ samples }) => samples === 0);
  const { snapshot } = await watch(t, site);
  assert.deepEqual(
    snapshot.visitors.map(({ label, page, at }) => [label, page, at]),
    [['anna', '/two', null]],
  );
});

test('rates report visitors, samples and activity once a second', async (t) => {
  const site = await server.newSite();
  const { stream } = await watch(t, site);
  const visitor = new BinaryVisitor(t, server.ws, { site });
  await visitor.hello;
  const { visitor: card } = await stream.next('join');
  visitor.frame(...[1, 2, 3].map((i) => ({ type: 'move' as const, time: i, x: i, y: i })));
  const rates = await stream.next('rates', ({ samples }) => samples > 0);
  assert.deepEqual([rates.visitors, rates.samples, rates.activity], [1, 3, [card.v, 3]]);
});
