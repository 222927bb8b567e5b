/**
 * A Redis that returns empty, with another store, or with a policy that evicts data: the server notices, reports it,
 * and keeps its visitors.
 */
import assert from 'node:assert/strict';
import { copyFileSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { until } from './support/exact.ts';
import { freeAddress } from './support/free-port.ts';
import { type RedisServer, startRedis, startRedisCluster, startRedisPair } from './support/redis.ts';
import { startServer, type TestServer } from './support/server.ts';
import { SteadyVisitor } from './support/steady-visitor.ts';
import { StreamReader } from './support/stream.ts';

/** Closed for good: the site is gone. */
const SITE_GONE = 4410;

/** Lines of a server's log that say this. */
function lines(server: TestServer, what: RegExp): string[] {
  return server
    .output()
    .split('\n')
    .filter((line) => what.test(line));
}

async function startBoth(t: TestContext, redis: RedisServer) {
  // A worker that takes the place of the only one would have another port if the system chose it.
  const listen = await freeAddress();
  const server = await startServer(t, { flags: ['--redis', redis.url], workers: 1, listen });
  const visitor = new SteadyVisitor(t, () => server.ws, 1);
  const stream = await StreamReader.open(t, server, { site: 'demo', moves: 'full' });
  visitor.move(3);
  await until(() => visitor.acked === 3, 'ack');
  return { server, visitor, stream };
}

/** The visitor stays, and is seen; what it sends is not acked. */
async function assertWaits({ visitor, stream }: Awaited<ReturnType<typeof startBoth>>): Promise<void> {
  stream.events.length = 0;
  visitor.move(3);
  await stream.next('moves');
  assert.ok(!visitor.closes.includes(SITE_GONE), String(visitor.closes));
  assert.equal(visitor.acked, 3);
}

/** Of several nodes all are named. */
const LOST = /Redis at .+ has lost its data/;

test('Redis is flushed: each process reports it once, tabs wait, and nothing is exchanged with other servers', async (t) => {
  const redis = await startRedis(t, ['--appendonly', 'no']);
  const all = await startBoth(t, redis);
  const { server, visitor } = all;
  redis.cli('flushall');
  await until(() => lines(server, LOST).length === 2, 'word of the loss');
  await assertWaits(all);
  const refused = await server.api('/v1/sites');
  assert.equal(refused.status, 503);
  assert.equal(lines(server, /is reachable again/).length, 0);
  // Nothing was written in place of what is lost.
  assert.equal(redis.cli('exists', 'fm:{fm}:meta', 'fm:{fm}:sites').trim(), '0');
  assert.equal(lines(server, LOST).filter((line) => line.includes('"level":50')).length, 2);
  assert.equal(visitor.connections, 1);
  // Each machine says every 2 s that it is there; one such message may have been on its way.
  await until(async () => {
    redis.cli('flushall');
    await sleep(2500);
    return redis.cli('dbsize').trim() === '0';
  }, 'silence');
});

for (const [where, start] of [
  ['a cluster', startCluster],
  ['the master known to Sentinel', startPair],
] as const)
  test(`${where} is flushed: the loss is reported, nothing is written, and tabs wait`, async (t) => {
    const { url, servers } = await start(t);
    const server = await startServer(t, { flags: ['--redis', url], workers: 1 });
    const visitor = new SteadyVisitor(t, () => server.ws, 1);
    visitor.move(3);
    await until(() => visitor.acked === 3, 'ack');
    for (const one of servers) one.cli('flushall');
    await until(() => lines(server, LOST).length >= 2, 'word of the loss');
    visitor.move(3);
    assert.equal((await server.api('/v1/sites')).status, 503);
    assert.ok(!visitor.closes.includes(SITE_GONE), String(visitor.closes));
    for (const one of servers) assert.doesNotMatch(one.cli('--scan'), /meta|sites/);
  });

async function startCluster(t: TestContext) {
  const { url, nodes } = await startRedisCluster(t);
  return { url, servers: nodes };
}

async function startPair(t: TestContext) {
  const { url, master } = await startRedisPair(t);
  return { url, servers: [master] };
}

test('Redis without a file is killed and restarts empty: tabs wait until its data is restored', async (t) => {
  const redis = await startRedis(t, ['--appendonly', 'no']);
  const all = await startBoth(t, redis);
  const { server, visitor } = all;
  const apart = mkdtempSync(join(tmpdir(), 'redis-copy-'));
  t.after(() => rmSync(apart, { recursive: true, force: true }));
  redis.cli('save');
  copyFileSync(join(redis.folder, 'dump.rdb'), join(apart, 'dump.rdb'));
  rmSync(join(redis.folder, 'dump.rdb'));
  await redis.end('SIGKILL');
  await redis.restart();
  await until(() => lines(server, LOST).length === 2, 'word of the loss');
  await assertWaits(all);
  assert.equal(lines(server, /is reachable again/).length, 0);
  // A worker that is started meanwhile does not found a store.
  process.kill(server.workerPids()[0] as number, 'SIGKILL');
  await until(() => lines(server, LOST).length > 2, 'refusal of the new worker');
  assert.equal(redis.cli('exists', 'fm:{fm}:meta').trim(), '0');
  await redis.end('SIGKILL');
  copyFileSync(join(apart, 'dump.rdb'), join(redis.folder, 'dump.rdb'));
  await redis.restart();
  await until(() => visitor.acked === visitor.made, 'acks of all that was made');
  assert.ok(!visitor.closes.includes(SITE_GONE), String(visitor.closes));
});

test('a server that starts on an emptied Redis creates a new store, and a server with the old store rejects it', async (t) => {
  const redis = await startRedis(t);
  const all = await startBoth(t, redis);
  const [server, data] = [all.server, all.server.data];
  redis.cli('flushall');
  const other = await startServer(t, { flags: ['--redis', redis.url], workers: 1 });
  assert.ok(other.link);
  // Which of the two a process sees first depends on when it looks; it says so once.
  await until(() => lines(server, /has lost its data|holds another store/).length >= 2, 'word of another store');
  await assertWaits(all);
  assert.equal((await other.api('/v1/sites')).status, 200);
  assert.equal((await server.api('/v1/sites')).status, 503);
  await server.stop();
  const again = await startServer(t, { flags: ['--redis', redis.url], workers: 1, data });
  assert.equal(lines(again, /holds another store than at the last start/).length, 1);
});

test('a changed eviction policy is reported while the server runs, and so is its correction', async (t) => {
  const redis = await startRedis(t);
  const server = await startServer(t, { flags: ['--redis', redis.url], workers: 1 });
  redis.cli('config', 'set', 'maxmemory-policy', 'allkeys-lru');
  await until(() => lines(server, /evicts data .*allkeys-lru/).length === 1, 'word of the policy');
  redis.cli('config', 'set', 'maxmemory-policy', 'noeviction');
  await until(() => lines(server, /no longer evicts data/).length === 1, 'word that it is right');
  assert.equal(lines(server, /Redis at \S+ evicts data/).length, 1);
});
