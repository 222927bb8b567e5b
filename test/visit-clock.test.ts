/** The server's clock is changed during visits. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import fc from 'fast-check';
import { open } from 'lmdb';
import type { Passage, Visit } from '../src/model/visit.ts';
import { packFrames, type Sample } from '../src/protocol/encode.ts';
import type { StreamEvents } from '../src/protocol/stream-event.ts';
import { openLmdbStore } from '../src/store/lmdb/lmdb-store.ts';
import { until } from './support/exact.ts';
import { FILE, type Owner } from './support/owner.ts';
import { startServer, type TestServer, temporaryFolder } from './support/server.ts';
import { StreamReader, samplesOf } from './support/stream.ts';
import { BinaryVisitor, byeFrame, helloFrame, JsonVisitor, samplesFrame } from './support/visitor.ts';

const server = await startServer(FILE, { workers: 1, flags: ['--max-frame-rate', '10000'] });

const HOUR = 3_600_000;

/** A server whose processes are off by what `set` was told last. */
async function startWithClock(
  t: Owner,
): Promise<{ server: TestServer; set(ms: number): void; startAgain(): Promise<TestServer> }> {
  const file = join(temporaryFolder(t), 'clock');
  const set = (ms: number) => writeFileSync(file, String(ms));
  set(0);
  const preload = new URL('support/clock.mjs', import.meta.url).href;
  const env = { FIELDMOUSE_TEST_CLOCK: file, NODE_OPTIONS: `--import ${preload}` };
  const server = await startServer(t, { workers: 1, env });
  return { server, set, startAgain: () => startServer(t, { workers: 1, env, data: server.data }) };
}

async function visitOf(server: TestServer, id: string, clicks: number): Promise<Visit> {
  let visit: Visit | undefined;
  await until(async () => {
    const answer = await server.api(`/v1/visits/${id}`);
    visit = answer.status === 200 ? ((await answer.json()) as Visit) : undefined;
    return visit?.clicks === clicks;
  }, 'visit with its clicks');
  return visit as Visit;
}

/** For tests that need no other start. */
const stepping = await startWithClock(FILE);

/** What a visit of some seconds may last on a busy machine, milliseconds. */
const MAX_MS = 120_000;

test("a visitor's pages keep all clicks when the server restarts with its clock set back", async (t) => {
  const { server, set, startAgain } = await startWithClock(t);
  let token = '';
  const browse = async (page: string, clicks: number, { ws } = server) => {
    const visitor = new BinaryVisitor(t, ws, { page, token });
    const hello = await visitor.hello;
    token = hello.token;
    for (let x = 0; x < clicks; x++) visitor.frame(click(x, x));
    await until(() => visitor.acked === visitor.n, 'acks');
    visitor.socket.close();
    return hello.visitor;
  };
  const id = await browse('/a', 5);
  assert.equal(await browse('/b', 200), id);
  await server.stop();
  set(-HOUR);
  const again = await startAgain();
  assert.equal(await browse('/c', 200, again), id);
  await visitOf(again, id, 405);
});

test('pages are recorded completely, however often the server was started before', async (t) => {
  const data = temporaryFolder(t);
  await (await openLmdbStore(data)).close();
  for (const runs of [2047, 4096, 60_000]) {
    const root = open({ path: join(data, 'store.mdb'), maxDbs: 64, overlappingSync: false });
    await root.openDB('meta', {}).put('runs', runs);
    await root.close();
    const again = await startServer(t, { workers: 1, data });
    const first = new BinaryVisitor(t, again.ws, { page: '/a' });
    const { token, visitor } = await first.hello;
    first.frame(click(1, 1));
    await until(() => first.acked === first.n, 'ack');
    const next = new BinaryVisitor(t, again.ws, { page: '/b', token });
    await next.hello;
    next.frame(click(1, 2));
    await until(() => next.acked === next.n, 'ack');
    await visitOf(again, visitor, 2);
    const passages = await passagesOf(again, visitor);
    assert.deepEqual(
      passages.map(({ page, clicks }) => [page, clicks.length]),
      [
        ['/a', 1],
        ['/b', 1],
      ],
      `after ${runs} starts`,
    );
    await again.stop();
  }
});

for (const [name, step] of [
  ['back', -HOUR],
  ['ahead', HOUR],
] as const) {
  test(`a visit keeps its duration when the server's clock steps ${name} an hour`, async (t) => {
    const { server, set } = stepping;
    set(0);
    const site = await server.newSite();
    const json = new JsonVisitor(t, server.ws, { site });
    const binary = new BinaryVisitor(t, server.ws, { site });
    const ids = [(await json.hello).visitor, (await binary.hello).visitor];
    let posted = { visitor: '', token: '', n: 0 };
    const start = performance.now();
    const post = async (last: number, x: number) => {
      const clock = Math.floor(performance.now() - start);
      const frames = [helloFrame({ token: posted.token, last, clock })];
      if (last > 0) frames.push(samplesFrame(last, [click(clock, x)]));
      const body = Uint8Array.from(packFrames(frames.map((frame) => [...frame])));
      const headers = { 'content-type': 'text/plain' };
      posted = await (await fetch(`${server.url}/v1/visit?site=${site}`, { method: 'POST', headers, body })).json();
    };
    await post(0, 0);
    const act = async (x: number) => {
      const clock = Math.floor(performance.now() - start);
      json.send({ type: 'click', x, y: 1 });
      const n = binary.frame(click(clock, x));
      await post(posted.n + 1, x);
      await until(() => binary.acked >= n, 'ack');
    };
    await act(1);
    set(step);
    await act(2);
    await sleep(20);
    await act(3);
    for (const id of [...ids, posted.visitor]) {
      const { since, until: end } = await visitOf(server, id, 3);
      assert.ok(end >= since && end - since < MAX_MS, `${end - since} ms`);
    }
  });
}

test('a visit continues on its next page after the clock stepped back, and then leaves in time', async (t) => {
  const { server, set } = stepping;
  set(0);
  const site = await server.newSite();
  const stream = await StreamReader.open(t, server, { site });
  const first = new BinaryVisitor(t, server.ws, { site });
  const { token, visitor } = await first.hello;
  first.frame(click(1, 1));
  await until(() => first.acked >= first.n, 'ack');
  set(-HOUR);
  const next = new BinaryVisitor(t, server.ws, { site, token, page: '/next' });
  const closed = once(first.socket, 'close');
  assert.equal((await next.hello).visitor, visitor);
  await closed;
  next.frame(click(5, 2));
  await until(() => next.acked >= next.n, 'ack');
  const { since, until: end } = await visitOf(server, visitor, 2);
  assert.ok(end >= since && end - since < MAX_MS, `${end - since} ms`);
  next.bye();
  set(-2 * HOUR);
  await stream.next('leave');
});

test('a stream of latest positions continues when the clock steps back', async (t) => {
  const { server, set } = stepping;
  set(0);
  const site = await server.newSite();
  const stream = await StreamReader.open(t, server, { site, moves: 'latest' });
  const visitor = new JsonVisitor(t, server.ws, { site });
  await visitor.hello;
  for (const x of [1, 2]) {
    visitor.send({ x, y: 1 });
    await stream.until(() => samplesOf(stream.events).find(([, , at]) => at === x));
    set(-HOUR);
  }
});

function click(time: number, x: number) {
  return { type: 'click', time, x, y: 1, button: 0, ex: 0, ey: 0, selector: '' } as const;
}

test('events of a json client are never in the future, and never before its last event', async (t) => {
  const site = await server.newSite();
  const json = new JsonVisitor(t, server.ws, { site });
  const { visitor } = await json.hello;
  json.send({ type: 'click', x: 1, y: 1, t: Date.now() + 50_000 });
  json.send([
    { type: 'click', x: 2, y: 1, t: Date.now() - 30_000 },
    { type: 'page', page: '/next', t: Date.now() - 40_000 },
  ]);
  const visit = await visitOf(server, visitor, 2);
  assert.ok(visit.until <= Date.now() && visit.until - visit.since < MAX_MS);
  const passages = await passagesOf(server, visitor);
  const clicks = passages.flatMap((passage) => passage.clicks.map(({ dt, x }) => ({ t: passage.t + dt, x })));
  assert.deepEqual(
    clicks.map(({ x }) => x),
    [1, 2],
  );
  assert.ok((clicks[1]?.t ?? 0) >= (clicks[0]?.t ?? 0));
});

test('whatever times a visitor sends, live events and the record use possible times, in order', async (t) => {
  const site = await server.newSite();
  const stream = await StreamReader.open(t, server, { site });
  const times = fc.array(
    fc.oneof(fc.nat(5000), fc.nat(2 ** 31 - 1), fc.double({ min: 0, max: 2 ** 44, noNaN: true })),
    {
      minLength: 1,
      maxLength: 6,
    },
  );
  const frames = fc.array(times, { minLength: 1, maxLength: 12 });
  await fc.assert(
    fc.asyncProperty(fc.oneof(fc.nat(5000), fc.constant(2 ** 47)), frames, async (clock, told) => {
      const begun = Date.now() - LOADED_MS;
      const visitor = new BinaryVisitor(t, server.ws, { site, clock });
      const { visitor: id } = await visitor.hello;
      const { v } = (await stream.next('join', (join) => join.visitor.id === id)).visitor;
      for (const [k, some] of told.entries()) visitor.frame(...samplesAt(some, k));
      const last = visitor.frame({ type: 'visibility', time: 0, visible: false });
      await until(() => visitor.acked >= last, 'ack');
      await stream.until(() => stream.events.find((e) => e.name === 'view' && (e.data as { v: number }).v === v));
      const acts = actTimes(stream, v);
      assert.equal(acts.length, told.flat().length);
      const moves = moveTimes(stream, v);
      const stored = passageTimes(await passagesOf(server, id));
      for (const list of [acts, moves, stored]) {
        assert.deepEqual(
          list,
          [...list].sort((a, b) => a - b),
        );
        assert.ok(
          list.every((time) => time >= begun && time <= Date.now()),
          String(list),
        );
      }
      visitor.socket.terminate();
    }),
    { numRuns: 8, endOnFailure: true, includeErrorInReport: true },
  );
});

test('a page is loaded after the last click of the page before it, whatever its clock says', async (t) => {
  const site = await server.newSite();
  const first = new BinaryVisitor(t, server.ws, { site });
  const { token, visitor } = await first.hello;
  const n = first.frame(click(1, 1));
  await until(() => first.acked >= n, 'ack');
  // It says that it was loaded half a minute ago, before the click.
  const next = new BinaryVisitor(t, server.ws, { site, token, page: '/next', clock: 30_000 });
  await next.hello;
  const m = next.frame(click(20_000, 2));
  await until(() => next.acked >= m, 'ack');
  await visitOf(server, visitor, 2);
  const passages = await passagesOf(server, visitor);
  assert.deepEqual(
    passages.map(({ page }) => page),
    ['/', '/next'],
  );
  const [before, after] = passages as [Passage, Passage];
  assert.ok(after.t >= before.t + (before.clicks[0]?.dt ?? 0));
  assert.ok(after.t <= after.t + (after.clicks[0]?.dt ?? -1));
});

test('a click of a page that says bye after the next page was loaded is before that load, on any worker', async (t) => {
  const server = await startServer(t, { workers: 2 });
  const visitors = await Promise.all(
    Array.from({ length: 8 }, async () => {
      const first = new BinaryVisitor(t, server.ws, { clock: 1000 });
      const { token, visitor, n } = await first.hello;
      const moved = first.frame(click(1001, 1));
      await until(() => first.acked >= moved, 'ack');
      const closed = once(first.socket, 'close');
      const next = new BinaryVisitor(t, server.ws, { token, page: '/next' });
      await Promise.all([next.hello, closed]);
      // By its clock the click was just now, since the POST has been on its way for longer than the hello of the next
      // page.
      const frames = [
        helloFrame({ token, last: moved + 1, clock: 5000 }),
        samplesFrame(moved + 1, [click(5000, 2)]),
        byeFrame(),
      ];
      const body = Uint8Array.from(packFrames(frames.map((frame) => [...frame])));
      const answer = await fetch(`${server.url}/v1/visit?site=demo`, { method: 'POST', body });
      assert.deepEqual([answer.status, ((await answer.json()) as { n: number }).n], [200, n + 2]);
      return visitor;
    }),
  );
  for (const id of visitors) {
    await visitOf(server, id, 2);
    const passages = await passagesOf(server, id);
    const [after, ...others] = passages.filter(({ page }) => page === '/next');
    assert.ok(after && others.length === 0 && passages.at(-1) === after, 'the next page is the last');
    const before = passages.slice(0, -1);
    assert.deepEqual(
      before.flatMap(({ clicks }) => clicks.map(({ x }) => x)),
      [1, 2],
    );
    for (const { until: end } of before) assert.ok(end < after.t, `${end} is not before ${after.t}`);
  }
});

/** As old as a page may say that it is when it connects, milliseconds, and some for rounding. */
const LOADED_MS = 60_010;

/** At each time a move, and a click or a page change. */
function samplesAt(told: readonly number[], k: number): Sample[] {
  return [...told]
    .map(Math.floor)
    .sort((a, b) => a - b)
    .flatMap((time, i) => [
      { type: 'move', time, x: i, y: k },
      i % 2 === 0 ? click(time, i) : { type: 'page', time, page: `/${k}/${i}` },
    ]);
}

/** Times of a visitor's clicks and page changes, in the order in which they came. */
function actTimes({ events }: StreamReader, v: number): number[] {
  const acts = events.filter(({ name, data }) => ['click', 'page'].includes(name) && (data as { v: number }).v === v);
  return acts.map(({ data }) => (data as StreamEvents['click']).t);
}

/** Times of a visitor's moves, in the order in which they came. */
function moveTimes({ events }: StreamReader, v: number): number[] {
  return samplesOf(events).flatMap(([of, time]) => (of === v ? [time] : []));
}

async function passagesOf(server: TestServer, id: string): Promise<Passage[]> {
  const answer = await server.api(`/v1/visits/${id}/passages`);
  return ((await answer.json()) as { passages: Passage[] }).passages;
}

/** Begin, samples and end of each passage, in order. */
function passageTimes(passages: readonly Passage[]): number[] {
  return passages.flatMap(({ t, until, moves, clicks }) => {
    const dts = [...moves.filter((_, i) => i % 3 === 0), ...clicks.map(({ dt }) => dt)];
    return [t, ...dts.sort((a, b) => a - b).map((dt) => t + dt), until];
  });
}
