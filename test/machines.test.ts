/** Two nodes that share a Redis, each a complete process tree. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Page } from 'playwright-core';
import type { StreamEvents } from '../src/protocol/stream-event.ts';
import { launch, openPage } from './support/browser.ts';
import { keepPictures, seeHere, seePointer, signIn } from './support/dashboard.ts';
import { Traffic, until } from './support/exact.ts';
import { type RedisServer, startRedis } from './support/redis.ts';
import { killTree, startServer, type TestServer } from './support/server.ts';
import { SteadyVisitor } from './support/steady-visitor.ts';
import { hereBy, StreamReader, unpackMoves } from './support/stream.ts';
import { BinaryVisitor } from './support/visitor.ts';

interface Machines {
  redis: RedisServer;
  a: TestServer;
  b: TestServer;
}

test('two nodes that share a Redis', async (t) => {
  const redis = await startRedis(t);
  const start = () => startServer(t, { workers: 1, flags: ['--redis', redis.url, '--grace', '1000'] });
  const [a, b] = await Promise.all([start(), start()]);
  const machines = { redis, a, b };
  await t.test('what a visitor does on one node appears in the streams of both', (t) => seeSame(t, machines));
  await t.test('whatever happens to Redis, each node continues, and afterwards both show the same', (t) =>
    survive(t, machines),
  );
  await t.test('a visitor that continues on the other node is the same visitor, and shown once', (t) =>
    moveOn(t, machines),
  );
  await t.test('a dashboard names stale nodes, and removes the visitors of a node that died', (t) =>
    lookOn(t, machines),
  );
});

async function seeSame(t: TestContext, { a, b }: Machines): Promise<void> {
  const streams = [await watch(t, a), await watch(t, b)];
  const early = new BinaryVisitor(t, b.ws);
  const visitor = new BinaryVisitor(t, a.ws, { page: '/shop' });
  const ids = [(await early.hello).visitor, (await visitor.hello).visitor];
  for (const stream of streams) await seeIds(stream, ids);
  // Once it is watched from there.
  const sent = Array.from({ length: 60 }, (_, i) => ({
    type: 'move' as const,
    time: 1000 + 16 * i,
    x: 5 * i,
    y: 900 - 3 * i,
  }));
  for (let i = 0; i < sent.length; i += 6) visitor.frame(...sent.slice(i, i + 6));
  visitor.frame({ type: 'click', time: 2100, x: 7, y: 8, button: 0, ex: 1, ey: 2, selector: '#buy' });
  visitor.frame({ type: 'page', time: 2200, page: '/cart' }, { type: 'scroll', time: 2300, y: 400 });
  visitor.frame({ type: 'visibility', time: 2400, visible: false });
  visitor.bye();
  const seen = [];
  for (const stream of streams) {
    await stream.until(() => stream.events.find(({ name }) => name === 'leave'), 'leave');
    await seeIds(stream, ids.slice(0, 1));
    const told = stream.events.filter(({ name }) => !['snapshot', 'rates', 'moves'].includes(name));
    const moves = stream.events
      .filter(({ name }) => name === 'moves')
      .flatMap(({ data }) => unpackMoves(data as never));
    assert.deepEqual(
      moves.map(([, , x, y]) => [x, y]),
      sent.map(({ x, y }) => [x, y]),
    );
    seen.push({ told: told.filter(({ name }) => name !== 'join').map(({ name, data }) => [name, data]), moves });
  }
  assert.deepEqual(seen[1], seen[0]);
}

async function survive(t: TestContext, { redis, a, b }: Machines): Promise<void> {
  const streams = [await watch(t, a), await watch(t, b)] as const;
  // Where nothing can be stored for long visitors have to come back, as trackers do.
  const steady = (no: number) => [a, b].map(({ ws }, i) => new SteadyVisitor(t, () => ws, no + i));
  const staying = steady(10);
  const ids = await steadyIds(staying);
  for (const stream of streams) await seeIds(stream, ids);

  const surviveOne = async (no: number, fault: () => unknown, mend: () => unknown) => {
    const leaving = [new BinaryVisitor(t, a.ws), new BinaryVisitor(t, b.ws)];
    const gone = await idsOf(leaving);
    for (const stream of streams) await seeIds(stream, [...ids, ...gone]);
    await fault();
    for (const visitor of leaving) visitor.bye();
    const coming = steady(no);
    for (const [i, visitor] of staying.entries()) {
      visitor.move(1);
      await seeSerial(streams[i] as StreamReader, visitor);
    }
    await Promise.all(streams.map((stream) => seeLate(stream, true)));
    await mend();
    ids.push(...(await steadyIds(coming)));
    for (const stream of streams) await seeIds(stream, ids);
    await Promise.all(streams.map((stream) => seeLate(stream, false)));
    const [first] = staying as [SteadyVisitor];
    first.move(1);
    await seeSerial(streams[1], first);
  };

  const holdUp = async () => {
    await sleep(3000);
    redis.signal('SIGCONT');
  };
  // With what it takes to be told of being late, five seconds.
  await surviveOne(20, () => redis.signal('SIGSTOP'), holdUp);
  await surviveOne(
    30,
    () => redis.end('SIGKILL'),
    () => redis.restart(),
  );
  for (const { events } of streams) assert.ok(events.every(({ name }) => name !== 'reset'));
}

async function steadyIds(visitors: readonly SteadyVisitor[]): Promise<string[]> {
  await until(() => visitors.every(({ id }) => id !== ''), 'visitors let in');
  return visitors.map(({ id }) => id);
}

/** Waits for the last move of a visitor. */
function seeSerial(stream: StreamReader, { no, made }: SteadyVisitor): Promise<void> {
  return seePlace(stream, no, made - 1);
}

function idsOf(visitors: readonly BinaryVisitor[]): Promise<string[]> {
  return Promise.all(visitors.map(async ({ hello }) => (await hello).visitor));
}

async function seePlace(stream: StreamReader, place: number, height?: number): Promise<void> {
  const places = () =>
    stream.events.flatMap(({ name, data }) => (name === 'moves' ? unpackMoves(data as StreamEvents['moves']) : []));
  await stream.until(() => places().find(([, , x, y]) => x === place && y === (height ?? y)), `a move to ${place}`);
}

/** Waits for rates that say whether other machines are late. */
async function seeLate(stream: StreamReader, isLate: boolean): Promise<void> {
  const from = stream.events.length;
  const holds = ({ name, data }: (typeof stream.events)[number]) =>
    name === 'rates' && ((data as StreamEvents['rates']).late !== undefined) === isLate;
  await stream.until(() => stream.events.slice(from).find(holds), isLate ? 'being late' : 'being in time');
}

async function moveOn(t: TestContext, { a, b }: Machines): Promise<void> {
  const streams = [await watch(t, a), await watch(t, b)];
  const before = new BinaryVisitor(t, a.ws);
  const { visitor: id, token } = await before.hello;
  before.frame({ type: 'move', time: 1000, x: 40, y: 5 });
  for (const stream of streams) {
    await seeIds(stream, [id]);
    await seePlace(stream, 40);
  }
  before.socket.terminate();
  const after = new BinaryVisitor(t, b.ws, { token, last: before.n });
  assert.equal((await after.hello).visitor, id);
  after.frame({ type: 'move', time: 2000, x: 50, y: 5 });
  for (const stream of streams) {
    await seePlace(stream, 50);
    await seeIds(stream, [id]);
    assert.equal(numbersIn(stream.events, id).size, 2, 'it has a number of each machine');
    const end = stream.events.length;
    const { visitors } = await stream.until(() => ratesIn(stream.events.slice(end)), 'rates');
    assert.equal(visitors, 1);
  }
}

/** Numbers that a visitor was told of under. */
function numbersIn(events: StreamReader['events'], id: string): Set<number> {
  const told = events.flatMap(({ name, data }) => {
    if (name === 'join') return [(data as StreamEvents['join']).visitor];
    return name === 'snapshot' ? (data as StreamEvents['snapshot']).visitors : [];
  });
  return new Set(told.filter((visitor) => visitor.id === id).map(({ v }) => v));
}

function ratesIn(events: StreamReader['events']): StreamEvents['rates'] | undefined {
  return events.find(({ name }) => name === 'rates')?.data as StreamEvents['rates'] | undefined;
}

/** Visitors on machine A, whose pointers go about until the test ends. */
async function company(t: TestContext, { ws }: TestServer, count: number): Promise<SteadyVisitor[]> {
  const visitors = Array.from({ length: count }, (_, no) => new SteadyVisitor(t, () => ws, 100 * no));
  const traffic = new Traffic(visitors, 100, 6);
  t.after(() => traffic.stop());
  await Promise.all(visitors.map((visitor) => visitor.settled()));
  return visitors;
}

/** A dashboard of machine B in a real browser, signed in by the link of whichever was started first. */
async function openDashboard(t: TestContext, a: TestServer, b: TestServer): Promise<Page> {
  const dashboard = await openPage(await launch(t));
  const link = new URL(b.link ?? (a.link as string)).pathname;
  await signIn(dashboard, { ...b, link: b.url + link });
  await dashboard.locator('[data-link=live]').waitFor();
  return dashboard;
}

async function lookOn(t: TestContext, { redis, a, b }: Machines): Promise<void> {
  const dashboard = await openDashboard(t, a, b);
  await company(t, a, 5);
  // One that comes back when it is not acked for long, as trackers do.
  const own = new SteadyVisitor(t, () => b.ws, 200);
  const [id] = await steadyIds([own]);
  await seeHere(dashboard, 6);
  const still = new BinaryVisitor(t, a.ws);
  await still.hello;
  still.frame({ type: 'move', time: 1000, x: 640, y: 360 });
  await seePointer(dashboard, 640, 360);
  await seeHere(dashboard, 7);
  assert.equal(await dashboard.locator('.banner').count(), 0);

  redis.signal('SIGSTOP');
  const banner = dashboard.locator('.banner[data-late]');
  await banner.waitFor();
  await banner.getByText('Other servers are not responding').waitFor();
  own.move(1);
  await seePointer(dashboard, 200, own.made - 1);
  await keepPictures(dashboard, 'machines-late');
  await dashboard.setViewportSize({ width: 390, height: 800 });
  await keepPictures(dashboard, 'machines-late-phone');
  await dashboard.setViewportSize({ width: 1280, height: 800 });
  assert.equal(await dashboard.locator('.row').count(), 7);
  await turnMeanwhile(t, dashboard, b);
  redis.signal('SIGCONT');
  await banner.waitFor({ state: 'detached' });
  await seeHere(dashboard, 7);

  await killTree(a);
  await seeHere(dashboard, 1);
  await dashboard.locator(`.row[data-id="${id}"]`).waitFor();
}

/**
 * While Redis is away, an administrator who is signed in can show another page on the stage and sees what happens
 * there. Nobody else is let in.
 */
async function turnMeanwhile(t: TestContext, dashboard: Page, { ws, url }: TestServer): Promise<void> {
  const shopper = new BinaryVisitor(t, ws, { page: '/shop' });
  await shopper.hello;
  await dashboard.locator('.top-page').filter({ hasText: '/shop' }).click();
  await dashboard.locator('[data-link=live]').waitFor();
  shopper.frame({ type: 'move', time: 1000, x: 222, y: 111 });
  await seePointer(dashboard, 222, 111);
  const stranger = await fetch(`${url}/v1/stream?site=demo`, { headers: { cookie: `fieldmouse=${'a'.repeat(43)}` } });
  assert.equal(stranger.status, 503);
  assert.equal((await stranger.json()).code, 'unavailable');
  shopper.bye();
  await dashboard.locator('.top-page').filter({ hasText: '/shop' }).waitFor({ state: 'detached' });
}

async function watch(t: TestContext, server: TestServer): Promise<StreamReader> {
  const stream = await StreamReader.open(t, server, { site: 'demo', moves: 'full' });
  await stream.until(() => stream.events.find(({ name }) => name === 'snapshot'), 'a snapshot');
  return stream;
}

/** Waits until a stream has told of exactly these. Nothing may have been taken out of its events. */
async function seeIds(stream: StreamReader, ids: readonly string[]): Promise<void> {
  const wanted = [...ids].sort().join();
  await stream.until(() => (hereBy(stream.events).join() === wanted ? true : undefined), `${ids.length} visitors`);
}
