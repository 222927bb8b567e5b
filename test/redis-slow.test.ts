/** A Redis whose responses take seconds: no process exits, acks are delayed, and a stop works. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { type RedisTarget, readTarget } from '../src/redis/redis-url.ts';
import { openRedisStore } from '../src/store/redis/redis-store.ts';
import { assertExact, settle, Traffic, until } from './support/exact.ts';
import { FarRedis } from './support/far-redis.ts';
import { startRedis } from './support/redis.ts';
import { startServer, temporaryFolder } from './support/server.ts';
import { SteadyVisitor } from './support/steady-visitor.ts';
import { StreamReader, samplesOf } from './support/stream.ts';

/** How long an answer takes, milliseconds: longer than an append, or another machine's news, is waited for. */
const SLOW_MS = 4000;
/** Answers are slow for so long, milliseconds. */
const SLOW_FOR_MS = 12_000;

async function startSlow(t: TestContext, workers: number) {
  const redis = await startRedis(t);
  const far = await FarRedis.open(t, redis.port, 0);
  const server = await startServer(t, { flags: ['--redis', far.url], workers });
  const visitors = Array.from({ length: 6 }, (_, no) => new SteadyVisitor(t, () => server.ws, no));
  const traffic = new Traffic(visitors, 200, 3);
  t.after(() => traffic.stop());
  await until(() => visitors.every(({ acked }) => acked > 0), 'acks');
  const stream = await StreamReader.open(t, server, { site: 'demo', moves: 'full' });
  await stream.next('moves');
  return { redis, far, server, visitors, traffic, stream };
}

test('responses take 4 s for a while: no process restarts, and everything sent is acked later and stored once', async (t) => {
  const { redis, far, server, visitors, traffic, stream } = await startSlow(t, 2);
  const pids = server.workerPids();
  far.delayMs = SLOW_MS;
  const asked = server.api('/v1/visits?site=demo');
  for (let part = 0; part < 4; part++) {
    stream.events.length = 0;
    await sleep(SLOW_FOR_MS / 4);
    assert.ok(samplesOf(stream.events).length > 0, `moves in part ${part}`);
  }
  far.delayMs = 0;
  const before = visitors.map(({ acked }) => acked);
  await until(() => visitors.every(({ acked }, i) => acked > (before[i] as number)), 'acks');
  assert.ok([200, 503].includes((await asked).status));
  assert.deepEqual([server.process.exitCode, server.workerPids()], [null, pids]);
  traffic.stop();
  await settle(visitors);
  assert.equal(await server.stop(), 0);
  await assertExact(
    t,
    () => openRedisStore(readTarget(redis.url) as RedisTarget, { folder: temporaryFolder(t) }),
    visitors,
  );
});

test('a server that is stopped while Redis takes 4 s to answer exits with code 0', async (t) => {
  const { far, server, visitors } = await startSlow(t, 1);
  const acked = visitors.map((visitor) => visitor.acked);
  await until(() => visitors.every((visitor, i) => visitor.acked > (acked[i] as number)), 'more acks');
  far.delayMs = SLOW_MS;
  // Something is under way everywhere then.
  await until(() => /Redis does not answer in time/.test(server.output()), 'word of it');
  assert.equal(await server.stop(), 0, server.output());
});

test('an unreadable entry in a stream between nodes stops no process', async (t) => {
  const redis = await startRedis(t, ['--appendonly', 'no']);
  const server = await startServer(t, { flags: ['--redis', redis.url], workers: 1 });
  const stream = await StreamReader.open(t, server, { site: 'demo', moves: 'full' });
  const written = (key: string, ...texts: string[]) =>
    redis.cli('xadd', key, '*', 'other.run', '1', 'v', '1', ...texts);
  for (const body of ['null', '{"k":"alive"}', '{"k":"alive","watches":1,"refresh":{},"lacks":null}', '{"k":"ask"}'])
    written('fm:{fm}:control', 'c', body);
  for (const body of ['[true,true,null]', '[true,true,{"visitors":[null],"minutes":3}]', '{}'])
    written('fm:site:{demo}:live', 'a', body);
  await until(() => /cannot be read/.test(server.output()), 'word of it');
  const visitor = new SteadyVisitor(t, () => server.ws, 1);
  visitor.move(3);
  await stream.next('moves');
  await visitor.settled();
  assert.equal(await server.stop(), 0);
});
