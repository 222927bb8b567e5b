/** Hubs of several nodes in this process, which exchange events through a real Redis. */
import assert from 'node:assert/strict';
import { describe, type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import { pino } from 'pino';
import { TAG, type ToWorker } from '../src/protocol/ipc.ts';
import { commonKey, siteKey } from '../src/redis/keys.ts';
import { until } from './support/exact.ts';
import { LIMIT_MS } from './support/limit.ts';
import { arrival, Machine, type Shown } from './support/machine.ts';
import { type RedisServer, startRedis, startRedisCluster } from './support/redis.ts';
import { Valve } from './support/valve.ts';

/** These messages need not reach the disk, and a slow disk must not delay them. */
const IN_MEMORY = ['--appendonly', 'no'];

/** Rendered text of one visitor's moves to these places. */
function moves(v: number, ...xs: number[]): string {
  return `${v},${xs.length},${xs.map((x) => `0,${x},0`).join(',')}`;
}

/** Places that a stream has shown. */
function placesOf(shown: Shown): number[] {
  return shown.of('moves').flatMap(({ m }) => m.filter((_, i) => i >= 2 && i % 3 === 0));
}

/** The number of the machine's channel of a site, once its worker is to render that. */
async function channelOf(machine: Machine, site = 'demo'): Promise<number> {
  await until(() => machine.channels.some((one) => one.site === site), 'a channel');
  return machine.channels.find((one) => one.site === site)?.no as number;
}

/** Two machines; the way of the second to Redis can be shut. */
async function startWithValve(t: TestContext) {
  const redis = await startRedis(t, IN_MEMORY);
  const valve = await Valve.open(t, redis.port);
  const a = await Machine.start(t, redis.url);
  const b = await Machine.start(t, `redis://127.0.0.1:${valve.port}`);
  return { redis, valve, a, b };
}

/** Three machines, each with a part of what is to be seen. */
async function seeAll(t: TestContext, url: string): Promise<void> {
  const [a, b, c] = await Promise.all([0, 1, 2].map(() => Machine.start(t, url)));
  assert.ok(a && b && c);
  const early = await a.join('early', 'site-1', '/old');
  const streams = await Promise.all([b.watch('site-1'), c.watch('site-2')]);
  const [one, two] = streams as [Shown, Shown];
  await one.seeHere(['early']);
  const channel = await channelOf(a, 'site-1');
  const anna = await a.join('anna', 'site-1');
  const bert = await b.join('bert', 'site-2');
  for (let i = 0; i < 200; i++) {
    a.batch({ k: 'moves', c: channel, t: i, text: moves(anna.v, i), n: 1 });
    if (i % 10 === 0)
      a.batch({ k: 'page', v: anna.v, n: i + 1, i: 0, t: i, page: `/${i}`, origin: '', size: [1, 2, 3, 4] });
    if (i % 20 === 0) await sleep(1);
  }
  a.leave(anna);
  await Promise.all([one.see('leave'), two.seeHere(['bert'])]);
  assert.deepEqual(
    placesOf(one),
    Array.from({ length: 200 }, (_, i) => i),
  );
  assert.deepEqual(
    one.of('page').map(({ page }) => page),
    Array.from({ length: 20 }, (_, i) => `/${10 * i}`),
  );
  // Every tenth move came after its page.
  const order = one.events
    .map(({ name, data }) =>
      name === 'page' ? (data as { t: number }).t : name === 'moves' ? (data as { t: number }).t : -1,
    )
    .filter((t) => t >= 0);
  assert.deepEqual(
    order,
    [...order].sort((x, y) => x - y),
  );
  assert.deepEqual([one.here(), two.here()], [['early'], ['bert']]);
  assert.equal(new Set([early.v, anna.v, bert.v]).size, 3);
  const rates = await one.see('rates', ({ visitors }) => visitors === 1);
  assert.equal(rates.late, undefined);
  assert.equal(one.of('reset').length + two.of('reset').length, 0);
}

// It sets the clock of this process.
test('a node whose number was reassigned during an outage reports it, and publishes none of its visitors', async (t) => {
  const redis = await startRedis(t, IN_MEMORY);
  const valve = await Valve.open(t, redis.port);
  const said: string[] = [];
  const log = pino({ level: 'error' }, { write: (line) => void said.push(line) });
  const a = await Machine.start(t, redis.url);
  const b = await Machine.start(t, `redis://127.0.0.1:${valve.port}`, { log });
  const streams = (await Promise.all([a.watch(), b.watch()])) as [Shown, Shown];
  await Promise.all([a.join('anna'), b.join('bert')]);
  for (const shown of streams) await shown.seeHere(['anna', 'bert']);
  valve.shut();
  await b.join('carl');
  redis.cli('set', commonKey(`slot:${b.broker.share.slot}`), 'another', 'px', '86400000');
  const now = performance.now.bind(performance);
  t.mock.method(performance, 'now', () => now() + 6 * 60_000);
  valve.open();
  await streams[0].seeHere(['anna']);
  await streams[1].seeHere(['bert', 'carl']);
  await streams[1].see('rates', ({ late = 0 }) => late > 0);
  assert.match(said.join(), /another server has the numbers of this one/);
  assert.ok(!redis.cli('xrange', siteKey('demo', 'live'), '-', '+').includes('carl'));
  assert.equal(redis.cli('get', commonKey(`slot:${b.broker.share.slot}`)).trim(), 'another');
});

test('a node whose number was reassigned while the system slept publishes none of its visitors', async (t) => {
  const redis = await startRedis(t, IN_MEMORY);
  const said: string[] = [];
  const log = pino({ level: 'error' }, { write: (line) => void said.push(line) });
  const a = await Machine.start(t, redis.url);
  const b = await Machine.start(t, redis.url, { log });
  const streams = (await Promise.all([a.watch(), b.watch()])) as [Shown, Shown];
  await Promise.all([a.join('anna'), b.join('bert')]);
  for (const shown of streams) await shown.seeHere(['anna', 'bert']);
  redis.cli('set', commonKey(`slot:${b.broker.share.slot}`), 'another', 'px', '86400000');
  const now = Date.now.bind(Date);
  // performance.now() stands still during a system sleep.
  t.mock.method(Date, 'now', () => now() + 6 * 60_000);
  await b.join('carl');
  await streams[0].seeHere(['anna']);
  await streams[1].seeHere(['bert', 'carl']);
  assert.match(said.join(), /another server has the numbers of this one/);
  assert.ok(!redis.cli('xrange', siteKey('demo', 'live'), '-', '+').includes('carl'));
});

test('when all node numbers are taken, the number of the node silent for longest is reassigned', async (t) => {
  const redis = await startRedis(t, IN_MEMORY);
  const day = 24 * 3_600_000;
  const left = (slot: number, ms: number) => redis.cli('pexpire', commonKey(`slot:${slot}`), String(ms));
  const fill = `for i = 0, 1023 do redis.call('SET', '${commonKey('slot:')}' .. i, 'dead', 'PX', ${day}) end`;
  redis.cli('eval', fill, '0');
  await assert.rejects(Machine.start(t, redis.url), /has reached its limit of \d+ servers/);
  left(7, day - 11 * 60_000);
  left(500, day - 12 * 60_000);
  const machines = [await Machine.start(t, redis.url), await Machine.start(t, redis.url)];
  assert.deepEqual(
    machines.map(({ broker }) => broker.share.slot),
    [500, 7],
  );
  await assert.rejects(Machine.start(t, redis.url), /has reached its limit of \d+ servers/);
  for (const machine of machines) await machine.close();
  assert.equal(redis.cli('exists', commonKey('slot:7'), commonKey('slot:500')).trim(), '0');
});

// By itself, since redis-cli makes clusters, and holds this process up meanwhile.
test('through a cluster, each node sees the events of all nodes, in the order of each visitor', async (t) => {
  await seeAll(t, (await startRedisCluster(t)).url);
});

// They wait for most of their time.
describe('nodes that share a Redis', { concurrency: 8 }, () => {
  for (const kind of ['alone', 'with another'] as const)
    test(`a node (${kind}) shows the events of its own visitors in order`, async (t) => {
      const url = kind === 'alone' ? undefined : (await startRedis(t, IN_MEMORY)).url;
      const a = await Machine.start(t, url);
      if (url) await Machine.start(t, url);
      const shown = await a.watch();
      const anna = await a.join('anna');
      if (kind === 'alone') assert.equal(anna.v, 1);
      a.batch({ k: 'moves', c: await channelOf(a), t: 1, text: moves(anna.v, 1, 2), n: 2 });
      a.leave(anna);
      await shown.see('leave');
      const names = shown.events.map(({ name }) => name).filter((name) => name !== 'rates' && name !== 'snapshot');
      assert.deepEqual(names, ['join', 'moves', 'leave']);
      assert.deepEqual(placesOf(shown), [1, 2]);
    });

  test('through a server, each node sees the events of all nodes, in the order of each visitor', async (t) => {
    await seeAll(t, (await startRedis(t, IN_MEMORY)).url);
  });

  test('events that no other node watches are not published', async (t) => {
    const redis = await startRedis(t, IN_MEMORY);
    const [a, b] = [await Machine.start(t, redis.url), await Machine.start(t, redis.url)];
    const local = await a.watch('demo');
    const anna = await a.join('anna');
    const channel = await channelOf(a);
    await until(() => a.broker.figures().machines === 1 && b.broker.figures().machines === 1, 'both');
    const tell = () => a.batch({ k: 'moves', c: channel, t: 1, text: moves(anna.v, ...Array(1000).fill(7)), n: 1000 });
    tell();
    await local.see('moves');
    const before = a.broker.figures().bytesOut;
    assert.ok(before < 5000, `${before} bytes`);

    const remote = await b.watch('demo');
    await remote.seeHere(['anna']);
    tell();
    await remote.see('moves');
    const carried = a.broker.figures().bytesOut - before;
    assert.ok(carried > 6000 && carried < 20_000, `${carried} bytes`);
  });

  test('a node that no longer watches receives no more events', async (t) => {
    const redis = await startRedis(t, IN_MEMORY);
    const [a, b] = [await Machine.start(t, redis.url), await Machine.start(t, redis.url)];
    const shown = await b.watch();
    await channelOf(a);
    const anna = await a.join('anna');
    await shown.seeHere(['anna']);
    await b.close();
    await until(() => a.channels.length === 0, 'no channel');
    const before = a.broker.figures().bytesOut;
    a.batch({ k: 'view', v: anna.v, t: 1, size: [1, 2, 3, 4], hidden: true, label: 'x'.repeat(10_000) });
    await until(() => a.broker.figures().bytesOut > before, 'a sign of life');
    assert.ok(a.broker.figures().bytesOut - before < 2000);
  });

  test('a node that falls silent is removed with its visitors, and returns with all of them', async (t) => {
    const { valve, a, b } = await startWithValve(t);
    const streams = await Promise.all([a.watch(), b.watch()]);
    await Promise.all([a.join('anna'), b.join('bert')]);
    for (const shown of streams) await shown.seeHere(['anna', 'bert']);
    const began = performance.now();
    valve.shut();
    const [one, two] = streams as [Shown, Shown];
    await two.see('rates', ({ late = 0 }) => late > 1500);
    // The machine that is cut off does not take the others for dead.
    await one.seeHere(['anna']);
    const took = performance.now() - began;
    assert.ok(took > 3000, `${took} ms`);
    assert.deepEqual(two.here(), ['anna', 'bert']);
    await Promise.all([a.join('carl'), b.join('dora')]);
    valve.open();
    for (const shown of streams) await shown.seeHere(['anna', 'bert', 'carl', 'dora']);
    assert.equal(one.of('leave').length, 1);
    assert.equal(two.of('leave').length, 0);
  });

  test('a node that stops is removed at once', async (t) => {
    const { url } = await startRedis(t, IN_MEMORY);
    const [a, b] = [await Machine.start(t, url), await Machine.start(t, url)];
    const shown = await a.watch();
    await b.join('bert');
    await shown.seeHere(['bert']);
    await b.close();
    const { reason } = await shown.see('leave');
    assert.equal(reason, 'server');
  });

  test('entries trimmed before they were read cause a reset, and delayed entries do not', async (t) => {
    const { redis, valve, a, b } = await startWithValve(t);
    const shown = await b.watch();
    const channel = await channelOf(a);
    const anna = await a.join('anna');
    await shown.seeHere(['anna']);
    valve.shut();
    for (let i = 0; i < 50; i++) a.batch({ k: 'moves', c: channel, t: i, text: moves(anna.v, i), n: 1 });
    await a.join('bert');
    await until(() => redis.cli('xlen', siteKey('demo', 'live')) >= '3', 'entries');
    valve.open();
    await shown.seeHere(['anna', 'bert']);
    assert.deepEqual(
      placesOf(shown),
      Array.from({ length: 50 }, (_, i) => i),
    );
    assert.equal(shown.of('reset').length, 0);

    valve.shut();
    const before = a.broker.figures().entriesOut;
    a.leave(anna);
    await a.join('carl');
    await until(() => a.broker.figures().entriesOut > before, 'an entry');
    redis.cli('xtrim', siteKey('demo', 'live'), 'maxlen', '0');
    valve.open();
    await shown.see('reset', ({ reason }) => reason === 'resync');
    await shown.seeHere(['bert', 'carl']);
    assert.ok(b.broker.figures().gaps > 0);
  });

  test('the queue for Redis is bounded, and after Redis recovers the whole state is sent again', async (t) => {
    const { valve, a, b } = await startWithValve(t);
    const shown = await a.watch();
    const channel = await channelOf(b);
    const anna = await b.join('anna');
    await shown.seeHere(['anna']);
    valve.shut();
    const text = moves(anna.v, ...Array(10_000).fill(7));
    for (let i = 0; i < 100; i++) b.batch({ k: 'moves', c: channel, t: i, text, n: 10_000 });
    await b.join('bert');
    valve.open();
    await shown.seeHere(['anna', 'bert']);
    // Moves gave way, and the worker is asked for the latest positions.
    await until(() => b.told.some((one) => one.k === 'refresh' && one.no === channel), 'a refresh');
    assert.equal(shown.of('reset').length, 0);
    assert.ok(placesOf(shown).length < 100_000);

    valve.shut();
    const label = 'x'.repeat(100_000);
    for (let i = 0; i < 30; i++) b.batch({ k: 'view', v: anna.v, t: i, size: [1, 2, 3, 4], hidden: false, label });
    await b.join('carl');
    assert.ok(b.broker.figures().overflows > 0);
    valve.open();
    await shown.see('reset');
    await shown.seeHere(['anna', 'bert', 'carl']);
  });

  test('pages list the visitors of all nodes, also of sites that nobody watches', async (t) => {
    const { valve, a, b } = await startWithValve(t);
    await Promise.all([a.join('anna', 'shop', '/x'), b.join('bert', 'shop', '/x'), b.join('carl', 'shop', '/y')]);
    await until(() => a.broker.figures().machines === 1, 'the other');
    const ask = async (no: number) => {
      a.hub.receive(1, { tag: TAG, k: 'ask', ask: no, site: 'shop' }, undefined);
      const find = () => a.told.find((one) => one.k === 'answer' && one.ask === no);
      await until(() => find() !== undefined, 'an answer');
      return (find() as Extract<ToWorker, { k: 'answer' }>).pages;
    };
    const all = [
      ['/x', 2],
      ['/y', 1],
    ];
    let no = 1;
    // On a busy machine the other's answer may come when it is not waited for any more.
    for (const end = performance.now() + LIMIT_MS; !isDeepStrictEqual(await ask(no), all); no++)
      assert.ok(performance.now() < end, 'the answer of all machines');
    valve.shut();
    assert.deepEqual(await ask(no + 1), [['/x', 1]]);
  });

  test('rates and minutes cover all nodes', async (t) => {
    const { url } = await startRedis(t, IN_MEMORY);
    const [a, b] = [await Machine.start(t, url), await Machine.start(t, url)];
    const anna = await a.join('anna');
    await b.join('bert');
    const shown = await b.watch();
    await shown.seeHere(['anna', 'bert']);
    const rows = [anna.v, 30, 40, 1, 12];
    a.hub.receive(
      1,
      { tag: TAG, k: 'seen', sites: [{ site: 'demo', samples: 12, drops: 3, rows }], flushMs: 250 },
      undefined,
    );
    const rates = await shown.see('rates', ({ samples }) => samples > 0);
    assert.deepEqual(
      [rates.visitors, rates.samples, rates.drops, rates.flushMs, rates.activity],
      [2, 12, 3, 250, [anna.v, 12]],
    );
    const later = await b.watch();
    const { visitors, minutes } = await later.see('snapshot');
    assert.deepEqual(visitors.find(({ id }) => id === 'anna')?.at, [30, 40]);
    assert.equal(
      minutes.reduce((sum, { samples }) => sum + samples, 0),
      12,
    );
    assert.equal(minutes.at(-1)?.visitors, 2);
  });

  test('entries from a node of another version are ignored and reported once', async (t) => {
    const redis = await startRedis(t, IN_MEMORY);
    const warned: unknown[] = [];
    // A busy machine may also be warned that Redis is late.
    const write = (line: string) => {
      const { machine } = JSON.parse(line) as { machine?: string };
      if (machine) warned.push(machine);
    };
    const log = pino({ level: 'warn' }, { write });
    const a = await Machine.start(t, redis.url, { log });
    const shown = await a.watch();
    const alive = ['c', JSON.stringify({ k: 'alive', watches: [], lacks: {}, refresh: [] })];
    const visitor = { v: 7, ...arrival('carl', 'demo', '/') };
    const state = ['a', JSON.stringify([true, true, { visitors: [{ visitor, at: Date.now() }], minutes: [] }])];
    const tell = (key: string, ...entry: string[]) => redis.cli('xadd', key, '*', ...entry);
    const control = commonKey('control');
    for (const n of ['1', '2']) tell(control, 'later', n, 'v', '2', ...alive);
    tell(siteKey('demo', 'live'), 'later', '1', 'v', '2', ...state);
    tell(control, 'early', '1', ...alive);
    await until(() => warned.length >= 2, 'lines');
    assert.equal(a.broker.figures().machines, 0);
    const b = await Machine.start(t, redis.url);
    await b.join('bert');
    await shown.seeHere(['bert']);
    assert.deepEqual([warned, a.broker.figures().machines], [['later', 'early'], 1]);
  });

  test('a visitor that reconnects on another node is shown once, on the latest node', async (t) => {
    const redis = await startRedis(t, IN_MEMORY);
    const [a, b, c] = await Promise.all([0, 1, 2].map(() => Machine.start(t, redis.url)));
    assert.ok(a && b && c);
    const streams = await Promise.all([a.watch(), b.watch(), c.watch()]);
    const first = await a.join('anna');
    await Promise.all(streams.map((shown) => shown.seeHere(['anna'])));
    await sleep(2);
    const second = await b.join('anna');
    for (const shown of streams) {
      await shown.see('join', ({ visitor }) => visitor.v === second.v);
      await shown.see('leave', ({ v }) => v === first.v);
      await shown.seeHere(['anna']);
      const now = Date.now();
      assert.equal((await shown.see('rates', ({ t }) => t > now)).visitors, 1);
    }
    assert.ok(a.told.some((message) => message.k === 'release' && message.v === first.v));
    await sleep(2);
    const third = await a.join('anna');
    for (const shown of streams) {
      await shown.see('join', ({ visitor }) => visitor.v === third.v);
      await shown.see('leave', ({ v }) => v === second.v);
      await shown.seeHere(['anna']);
    }
  });

  for (const fault of ['held up', 'killed and started anew', 'paused', 'replaced by its replica'] as const)
    test(`while Redis is ${fault} each node keeps running, and afterwards all nodes show the same visitors`, async (t) => {
      // Or a replica would have to wait for others.
      const redis = await startRedis(t, ['--repl-diskless-sync-delay', '0']);
      const [a, b] = [await Machine.start(t, redis.url), await Machine.start(t, redis.url)];
      const streams = (await Promise.all([a.watch(), b.watch()])) as [Shown, Shown];
      const [anna, bert] = [await a.join('anna'), await b.join('bert')];
      for (const shown of streams) await shown.seeHere(['anna', 'bert']);
      const mend = await breakRedis(t, redis, fault);
      await Promise.all([a.join('carl'), b.join('dora')]);
      a.leave(anna);
      b.leave(bert);
      await streams[0].seeHere(['bert', 'carl']);
      await streams[1].seeHere(['anna', 'dora']);
      for (const shown of streams) await shown.see('rates', ({ late = 0 }) => late > 0);
      await mend();
      for (const shown of streams) {
        await shown.seeHere(['carl', 'dora']);
        const now = Date.now();
        await shown.see('rates', ({ t, late = 0 }) => t > now && late === 0);
        assert.deepEqual(shown.of('reset'), []);
        const joined = shown.of('join').map(({ visitor }) => visitor.id);
        assert.deepEqual(new Set(joined).size, joined.length);
      }
    });
});

type Fault = 'held up' | 'killed and started anew' | 'paused' | 'replaced by its replica';

/** Gives what ends it. */
async function breakRedis(t: TestContext, redis: RedisServer, fault: Fault): Promise<() => Promise<void> | void> {
  switch (fault) {
    case 'held up':
      redis.signal('SIGSTOP');
      return () => redis.signal('SIGCONT');
    case 'killed and started anew':
      await redis.end('SIGKILL');
      return () => redis.restart();
    case 'paused':
      redis.cli('client', 'pause', '3000', 'all');
      return () => {};
    case 'replaced by its replica': {
      const replica = await startRedis(t, ['--replicaof', `127.0.0.1 ${redis.port}`]);
      const info = () => replica.cli('info', 'replication');
      await until(() => info().includes('master_link_status:up'), 'a replica');
      await redis.end('SIGKILL');
      return () => {
        replica.cli('replicaof', 'no', 'one');
        replica.cli('config', 'set', 'port', String(redis.port));
      };
    }
  }
}
