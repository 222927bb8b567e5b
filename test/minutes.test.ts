/** The last hour of a site is counted and stored, and is shown again after a restart. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { isDeepStrictEqual } from 'node:util';
import { pino } from 'pino';
import { MinutesByNode } from '../src/hub/minutes-by-node.ts';
import { KEPT_MINUTES, MINUTE_MS, type Minute, minuteOf, oldestMinute } from '../src/model/minute.ts';
import { SELF } from '../src/model/site.ts';
import { TAG } from '../src/protocol/ipc.ts';
import { NO_SITE } from '../src/protocol/peer.ts';
import { type RedisTarget, readTarget } from '../src/redis/redis-url.ts';
import { type Store, StoreError } from '../src/store/contract.ts';
import { openLmdbStore } from '../src/store/lmdb/lmdb-store.ts';
import { MinuteWriter } from '../src/store/minute-writer.ts';
import { openRedisStore } from '../src/store/redis/redis-store.ts';
import { until } from './support/exact.ts';
import { Machine } from './support/machine.ts';
import { startRedis } from './support/redis.ts';
import { killTree, startServer, type TestServer, temporaryFolder } from './support/server.ts';
import { StreamReader } from './support/stream.ts';
import { BinaryVisitor } from './support/visitor.ts';

/** A minute so many minutes before now. */
function ago(minutes: number, visitors: number, samples = 0, now = Date.now()): Minute {
  return { t: minuteOf(now) - minutes * MINUTE_MS, visitors, samples };
}

function at(minutes: readonly Minute[], t: number): Minute | undefined {
  return minutes.find((minute) => minute.t === t);
}

function samplesOf(machine: Machine, samples: number): void {
  const sites = [{ site: 'demo', samples, drops: 0, rows: [] }];
  machine.hub.receive(1, { tag: TAG, k: 'seen', sites, flushMs: 100 }, undefined);
}

/** Sets the clock of this process; timers go on. */
function setClock(t: TestContext, now: number): void {
  t.mock.timers.reset();
  t.mock.timers.enable({ apis: ['Date'], now });
}

test('a minute is stored once when it has ended, and the current minute on request', async (t) => {
  const first = minuteOf(Date.now());
  setClock(t, first);
  const machine = await Machine.start(t);
  await machine.join('anna');
  await machine.join('bert');
  samplesOf(machine, 30);
  setClock(t, first + MINUTE_MS);
  await until(() => machine.kept.length > 0, 'a minute kept', 15_000);
  const [kept] = machine.kept;
  assert.deepEqual([kept?.site, kept?.t, kept?.visitors], ['demo', first, 2]);
  assert.deepEqual(machine.ran, [first]);
  await machine.hub.keepMinutes(Date.now());
  assert.deepEqual(
    machine.kept.map(({ t, visitors }) => [t, visitors]),
    [
      [first, 2],
      [first + MINUTE_MS, 2],
    ],
  );
  await machine.hub.keepMinutes(Date.now());
  assert.equal(machine.kept.length, 2);
  assert.deepEqual(machine.ran, [first, first + MINUTE_MS]);
});

test('a minute that could not be stored is stored later', async (t) => {
  const first = minuteOf(Date.now());
  setClock(t, first);
  const machine = await Machine.start(t);
  machine.canKeep = false;
  await machine.join('anna');
  setClock(t, first + MINUTE_MS);
  await until(() => machine.refused === 1, 'a first try', 15_000);
  setClock(t, first + 2 * MINUTE_MS);
  await until(() => machine.refused === 2, 'another try', 15_000);
  machine.canKeep = true;
  setClock(t, first + 3 * MINUTE_MS);
  await until(() => machine.kept.length > 0, 'minutes kept', 15_000);
  assert.deepEqual(
    machine.kept.map((minute) => minute.t),
    [0, 1, 2].map((n) => first + n * MINUTE_MS),
  );
});

test('minutes from before a start continue: with the maximum of visitors, and the sum of samples', async (t) => {
  const now = minuteOf(Date.now());
  setClock(t, now);
  const machine = await Machine.start(t);
  await machine.join('anna');
  samplesOf(machine, 5);
  const old = { t: oldestMinute(now) - MINUTE_MS, visitors: 9, samples: 9 };
  machine.hub.recall('demo', [old, ago(59, 4), ago(20, 7, 70), ago(0, 3, 40)]);
  // In that minute nobody was there; before and after it no server ran.
  machine.hub.recall(NO_SITE, [ago(40, 0), ago(20, 0)]);
  const { minutes } = await (await machine.watch()).see('snapshot');
  assert.deepEqual(minutes, [ago(59, 4), ago(40, 0), ago(20, 7, 70), ago(0, 3, 40)]);
  const younger = await (await machine.watch('demo', { made: ago(20, 0).t + 5000 })).see('snapshot');
  assert.deepEqual(younger.minutes, [ago(20, 7, 70), ago(0, 3, 40)], 'what was before the site was made is of another');
  const shown = await machine.watch();
  await shown.see('rates', ({ samples }) => samples === 5);
  const later = await (await machine.watch()).see('snapshot');
  assert.deepEqual(later.minutes.at(-1), ago(0, 3, 45));
  // It is forgotten when its hour is over.
  setClock(t, now + (KEPT_MINUTES - 1) * MINUTE_MS);
  const next = await machine.watch();
  await next.see('rates', (rates) => rates.t > now + MINUTE_MS);
  const last = await (await machine.watch()).see('snapshot');
  assert.deepEqual(
    last.minutes.map((minute) => minute.t),
    [now, now + (KEPT_MINUTES - 1) * MINUTE_MS],
  );
});

test('a snapshot has the minutes of removed nodes, and counts each node once, from whatever source', async (t) => {
  const { url } = await startRedis(t);
  const a = await Machine.start(t, url, { name: 'a' });
  const b = await Machine.start(t, url, { name: 'b' });
  const now = Date.now();
  const before = (minutes: number, visitors: number, samples?: number) => ago(minutes, visitors, samples, now);
  a.hub.recall('demo', [before(30, 5, 50)]);
  b.hub.recall('demo', [before(30, 2, 20)]);
  const machines = [
    { machine: 'a', minutes: [before(40, 6), before(30, 4, 40)] },
    { machine: 'b', minutes: [before(40, 1), before(30, 2, 20)] },
    { machine: 'gone', minutes: [before(30, 1), before(10, 3)] },
  ];
  const past = { machines, ran: [10, 9, 70].map((minutes) => before(minutes, 0).t) };
  const first = await b.watch('demo', { past });
  const some = [before(40, 7), before(30, 7, 60), before(10, 3), before(9, 0)];
  assert.deepEqual((await first.see('snapshot')).minutes.slice(0, 4), some);
  const all = some.with(1, before(30, 8, 70));
  await first.see('snapshot', ({ minutes }) => isDeepStrictEqual(minutes.slice(0, 4), all));
  // It is started anew, as another run of the same.
  await a.close();
  const again = await Machine.start(t, url, { name: 'a' });
  again.hub.recall('demo', [before(30, 5, 50)]);
  await again.join('anna');
  await first.seeHere(['anna']);
  const { minutes } = await (await b.watch('demo', { past })).see('snapshot');
  assert.deepEqual(minutes.slice(0, 4), all);
  assert.deepEqual(minutes.at(-1)?.visitors, 1);
});

test('minutes that cannot be stored or read disturb nobody and are reported once, and an unreachable Redis is not reported', async () => {
  let error: Error = new StoreError('full', 'no room');
  const fail = () => Promise.reject(error);
  const said: string[] = [];
  const log = pino({}, { write: (line) => void said.push(line) });
  const store = { sites: fail, minutes: fail, putMinutes: fail };
  const kept = new MinuteWriter(store, log);
  const tryAll = async () => {
    assert.equal(await kept.put('a', [{ site: 'demo', ...ago(1, 1) }]), false);
    assert.equal(await kept.past('demo'), null);
    await kept.recall('a', () => assert.fail('nothing is to be told'));
  };
  await tryAll();
  assert.equal(said.length, 1);
  error = new StoreError('unreachable', 'away');
  const other = new MinuteWriter(store, log);
  await Promise.all([tryAll(), other.put('a', []), other.past('demo')]);
  assert.equal(said.length, 1);
  // A store that does not answer holds up no stream.
  store.minutes = () => new Promise<never>(() => {});
  assert.equal(await kept.past('demo'), null);
});

async function snapshotOf(t: TestContext, server: TestServer) {
  const stream = await StreamReader.open(t, server, { site: 'demo' });
  return { stream, snapshot: await stream.next('snapshot') };
}

/** Has a new store's site be one that was made long ago, and closes the store. */
async function beginLongAgo(store: Store): Promise<void> {
  await store.removeSite('demo', Date.now());
  await store.addSite({ key: 'demo', name: 'Demo', origins: [SELF], created: 0, firstSeen: null });
  await store.close();
}

/** Keeps a minute of a machine's, as if it had run at that time, and in the minute after it. */
async function keep(store: Store, minute: Minute): Promise<void> {
  const nobody = { site: NO_SITE, t: minute.t + MINUTE_MS, visitors: 0, samples: 0 };
  await store.putMinutes(await store.machine(), [{ site: 'demo', ...minute }, nobody], Date.now());
}

/** That minute, the one after it, in which nobody was there, and the one after that, in which no server ran. */
function threeFrom(minutes: readonly Minute[], t: number): (number | undefined)[] {
  return [0, 1, 2].map((n) => at(minutes, t + n * MINUTE_MS)?.visitors);
}

test('a server that is stopped and started again still has its last hour', async (t) => {
  const data = temporaryFolder(t);
  await beginLongAgo(await openLmdbStore(data));
  const before = await startServer(t, { workers: 1, data });
  await new BinaryVisitor(t, before.ws).hello;
  const here = (await snapshotOf(t, before)).snapshot.minutes.at(-1) as Minute;
  assert.equal(here.visitors, 1);
  const [early, late] = [ago(30, 7, 70), ago(20, 3)];
  const store = await openLmdbStore(before.data);
  for (const minute of [early, late]) await keep(store, minute);
  await store.close();
  assert.equal(await before.stop(), 0);
  const after = await startServer(t, { workers: 1, data: before.data });
  const { snapshot } = await snapshotOf(t, after);
  assert.deepEqual([at(snapshot.minutes, early.t), at(snapshot.minutes, late.t)], [early, late]);
  assert.deepEqual(threeFrom(snapshot.minutes, early.t), [7, 0, undefined]);
  assert.equal(at(snapshot.minutes, here.t)?.visitors, 1);
});

test('the minutes of a node that died are on the others, and count once when it returns', async (t) => {
  const redis = await startRedis(t);
  await beginLongAgo(await openRedisStore(readTarget(redis.url) as RedisTarget, { folder: temporaryFolder(t) }));
  const start = (data?: string) =>
    startServer(t, { workers: 1, flags: ['--redis', redis.url], ...(data !== undefined && { data }) });
  const [a, b] = await Promise.all([start(), start()]);
  const ofA = ago(30, 7, 70);
  const ofB = { ...ofA, visitors: 2, samples: 0 };
  for (const [{ data }, minute] of [
    [a, ofA],
    [b, ofB],
  ] as const) {
    const store = await openRedisStore(readTarget(redis.url) as RedisTarget, { folder: data });
    await keep(store, minute);
    await store.close();
  }
  const both = { t: ofA.t, visitors: 9, samples: 70 };
  await killTree(a);
  const alone = await snapshotOf(t, b);
  assert.deepEqual(at(alone.snapshot.minutes, ofA.t), both);
  assert.deepEqual(threeFrom(alone.snapshot.minutes, ofA.t), [9, 0, undefined]);
  const again = await start(a.data);
  await new BinaryVisitor(t, again.ws).hello;
  await alone.stream.next('join');
  for (const server of [again, b]) {
    const { visitors, minutes } = (await snapshotOf(t, server)).snapshot;
    assert.equal(visitors.length, 1);
    assert.deepEqual(at(minutes, ofA.t), both);
  }
});

test('the minute in which a stopped node was last heard does not count, though its silence is noticed later', () => {
  const now = minuteOf(Date.now());
  const told = (...minutes: number[]) => {
    const known = new MinutesByNode();
    known.add({ machine: 'a', minutes: minutes.map((one) => ago(one, 4, 0, now)) });
    return known;
  };
  const own = { machine: 'own', minutes: [] };
  const after = (known: MinutesByNode) => {
    known.end('a', now + 2000);
    return known.sums(own, now).map(({ t }) => (now - t) / MINUTE_MS);
  };
  assert.deepEqual(after(told(2, 1, 0)), [2, 1]);
  assert.deepEqual(after(told(2, 1)), [2]);
  assert.deepEqual(after(told(3, 2)), [3, 2], 'nobody was there in its last minutes');
  assert.deepEqual(after(new MinutesByNode()), []);
});
