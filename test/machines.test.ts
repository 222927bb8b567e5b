/** Two machines, each a complete tree of processes, that share a Redis. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Page } from 'playwright-core';
import type { StreamEvents } from '../src/protocol/stream.ts';
import { launch, openPage } from './support/browser.ts';
import { keepPictures, seeHere, seePointer, signIn } from './support/dashboard.ts';
import { Traffic } from './support/exact.ts';
import { type RedisServer, startRedis } from './support/redis.ts';
import { startServer, type TestServer } from './support/server.ts';
import { SteadyVisitor } from './support/steady-visitor.ts';
import { hereBy, StreamReader, unpackMoves } from './support/stream.ts';
import { BinaryVisitor } from './support/visitor.ts';

async function startMachines(t: TestContext, flags: string[] = []) {
  const redis = await startRedis(t);
  const [a, b] = await Promise.all([startMachine(t, redis, flags), startMachine(t, redis, flags)]);
  return { redis, a, b };
}

function startMachine(t: TestContext, redis: RedisServer, flags: string[] = []): Promise<TestServer> {
  return startServer(t, { workers: 1, flags: ['--redis', redis.url, ...flags] });
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

async function kill(server: TestServer): Promise<void> {
  const { process: primary } = server;
  for (const pid of [...server.workerPids(), primary.pid as number]) process.kill(pid, 'SIGKILL');
  await new Promise((resolve) => primary.once('exit', resolve));
}

test('what a visitor does on one machine is seen on the streams of another, as on those of its own', async (t) => {
  const { a, b } = await startMachines(t);
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
});

/** Visitors on machine A, whose pointers go about until the test ends. */
async function company(t: TestContext, { ws }: TestServer, count: number): Promise<SteadyVisitor[]> {
  const visitors = Array.from({ length: count }, (_, no) => new SteadyVisitor(t, () => ws, 100 * no));
  const traffic = new Traffic(visitors, 100, 6);
  t.after(() => traffic.stop());
  await Promise.all(visitors.map((visitor) => visitor.settled()));
  return visitors;
}

/** A signed-in dashboard in a real browser. */
async function openDashboardOf(t: TestContext, server: TestServer): Promise<Page> {
  const dashboard = await openPage(await launch(t));
  await signIn(dashboard, server);
  await dashboard.locator('[data-link=live]').waitFor();
  return dashboard;
}

test('a dashboard shows visitors of another machine, says when that is late, and lets them go when it dies', async (t) => {
  const { redis, a, b } = await startMachines(t);
  const dashboard = await openDashboardOf(t, b);
  await company(t, a, 5);
  const own = new BinaryVisitor(t, b.ws);
  const { visitor: id } = await own.hello;
  await seeHere(dashboard, 6);
  const still = new BinaryVisitor(t, a.ws);
  await still.hello;
  still.frame({ type: 'move', time: 1000, x: 640, y: 360 });
  await seePointer(dashboard, 640, 360);
  await seeHere(dashboard, 7);
  assert.equal(await dashboard.locator('.banner').count(), 0);

  redis.signal('SIGSTOP');
  const banner = dashboard.locator('.banner');
  await banner.waitFor();
  await banner.getByText('Other machines are late').waitFor();
  own.frame({ type: 'move', time: 3000, x: 300, y: 200 });
  await seePointer(dashboard, 300, 200);
  await keepPictures(dashboard, 'machines-late');
  await dashboard.setViewportSize({ width: 390, height: 800 });
  await keepPictures(dashboard, 'machines-late-phone');
  await dashboard.setViewportSize({ width: 1280, height: 800 });
  assert.equal(await dashboard.locator('.row').count(), 7);
  redis.signal('SIGCONT');
  await banner.waitFor({ state: 'detached' });
  await seeHere(dashboard, 7);

  const began = performance.now();
  await kill(a);
  await seeHere(dashboard, 1);
  assert.ok(performance.now() - began < 10_000);
  await dashboard.locator(`.row[data-id="${id}"]`).waitFor();
});

test('whatever happens to Redis, each machine goes on, and then all of them show the same', async (t) => {
  const { redis, a, b } = await startMachines(t, ['--grace', '1000']);
  const streams = [await watch(t, a), await watch(t, b)] as [StreamReader, StreamReader];
  const staying = [new BinaryVisitor(t, a.ws), new BinaryVisitor(t, b.ws)] as const;
  const ids = await Promise.all(staying.map(async ({ hello }) => (await hello).visitor));
  for (const stream of streams) await seeIds(stream, ids);
  let x = 0;

  /** What machines do without Redis, and with it again. */
  const survive = async (fault: () => Promise<void>, mend: () => Promise<void>) => {
    const leaving = [new BinaryVisitor(t, a.ws), new BinaryVisitor(t, b.ws)];
    const gone = await Promise.all(leaving.map(async ({ hello }) => (await hello).visitor));
    for (const stream of streams) await seeIds(stream, [...ids, ...gone]);
    await fault();
    for (const visitor of leaving) visitor.bye();
    const coming = [new BinaryVisitor(t, a.ws), new BinaryVisitor(t, b.ws)];
    x += 1;
    for (const [i, visitor] of staying.entries()) {
      visitor.frame({ type: 'move', time: 1000 * x, x: 100 * i + x, y: 5 });
      const stream = streams[i] as StreamReader;
      await stream.until(() => placesOf(stream).includes(100 * i + x) || undefined, 'a move of its own');
    }
    const from = streams.map(({ events }) => events.length);
    await Promise.all(
      streams.map((stream, i) =>
        stream.until(() => lateIn(stream.events.slice(from[i])).find((late) => late > 0), 'being late'),
      ),
    );
    await mend();
    ids.push(...(await Promise.all(coming.map(async ({ hello }) => (await hello).visitor))));
    for (const stream of streams) await seeIds(stream, ids);
    await Promise.all(
      streams.map((stream) => {
        const end = stream.events.length;
        return stream.until(() => lateIn(stream.events.slice(end)).find((late) => late === 0), 'being in time');
      }),
    );
    x += 1;
    staying[0].frame({ type: 'move', time: 1000 * x, x, y: 5 });
    await streams[1].until(() => placesOf(streams[1]).includes(x) || undefined, 'a move of the other');
  };

  // Held up for as long as a machine may be silent.
  await survive(
    async () => redis.signal('SIGSTOP'),
    async () => {
      await sleep(3000);
      redis.signal('SIGCONT');
    },
  );
  await survive(
    () => redis.end('SIGKILL'),
    () => redis.restart(),
  );
  assert.equal(streams[0].events.filter(({ name }) => name === 'reset').length, 0);
});

function placesOf({ events }: StreamReader): number[] {
  return events.flatMap(({ name, data }) =>
    name === 'moves' ? unpackMoves(data as StreamEvents['moves']).map(([, , x]) => x) : [],
  );
}

function lateIn(events: StreamReader['events']): number[] {
  return events.flatMap(({ name, data }) => (name === 'rates' ? [(data as StreamEvents['rates']).late ?? 0] : []));
}
