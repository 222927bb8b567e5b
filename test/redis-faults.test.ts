/**
 * Everything acked is in Redis exactly once, whatever happens to Redis or to one of the nodes that share it. Two
 * servers have visitors, and the record is compared sample by sample. test/support/exact.ts prints the figures.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { type RedisTarget, readTarget } from '../src/redis/redis-url.ts';
import { openRedisStore } from '../src/store/redis/redis-store.ts';
import { assertExact, settle, Traffic, until } from './support/exact.ts';
import { startNginx } from './support/nginx.ts';
import { startRedis, startRedisCluster, startRedisPair } from './support/redis.ts';
import { killTree, startServer, type TestServer, temporaryFolder } from './support/server.ts';
import { SteadyVisitor } from './support/steady-visitor.ts';
import { StreamReader, samplesOf } from './support/stream.ts';

/** The proxy signs its own certificate. */
process.env.NODE_TLS_REJECT_UNAUTHORIZED = '0';

const VISITORS = 30;
/** Time between two frames of a visitor, milliseconds. */
const EVERY_MS = 250;
/** A worker that keeps what Redis does not take grows by no more, bytes. */
const MAX_GROWTH = 100 * 2 ** 20;

interface Machines {
  trees: [TestServer, TestServer];
  visitors: SteadyVisitor[];
  /** Every visitor has had an ack since. */
  goOn(): Promise<void>;
  /** Stops all, and compares. */
  assertExact(): Promise<void>;
}

/** Two servers with visitors that send all the time, half of them on each. */
async function startMachines(t: TestContext, url: string, ...flags: string[]): Promise<Machines> {
  const options = { flags: ['--redis', url, ...flags], workers: 1 };
  const trees = await Promise.all([startServer(t, options), startServer(t, options)]);
  const visitors = Array.from({ length: VISITORS }, (_, no) => {
    const tree = trees[no % 2] as TestServer;
    return new SteadyVisitor(t, () => tree.ws, no);
  });
  const traffic = new Traffic(visitors, EVERY_MS, 6);
  t.after(() => traffic.stop());
  const machines: Machines = {
    trees,
    visitors,
    goOn: async () => {
      const before = visitors.map(({ acked }) => acked);
      await until(() => visitors.every(({ acked }, i) => acked > (before[i] as number)), 'acks');
    },
    assertExact: async () => {
      traffic.stop();
      await settle(visitors);
      for (const tree of trees) await tree.stop();
      const folder = temporaryFolder(t);
      await assertExact(t, () => openRedisStore(readTarget(url) as RedisTarget, { folder }), visitors);
    },
  };
  await machines.goOn();
  return machines;
}

/** What a server's processes have in memory, bytes. */
function memoryOf({ process: { pid }, workerPids }: TestServer): number {
  const pages = [pid as number, ...workerPids()].map((one) => readFileSync(`/proc/${one}/statm`, 'utf8').split(' ')[1]);
  return 4096 * pages.reduce((sum, n) => sum + Number(n), 0);
}

test('Redis is suspended, killed and accepts no writes: what was acked is stored exactly once', async (t) => {
  const redis = await startRedis(t);
  const machines = await startMachines(t, redis.url);
  const [tree] = machines.trees;

  await t.test(
    "suspended longer than any timeout: acks wait, each node's live view continues, memory does not grow",
    async (t) => {
      const stream = await StreamReader.open(t, tree, { site: 'demo', moves: 'full' });
      await stream.next('moves');
      redis.signal('SIGSTOP');
      const [acked, memory] = [machines.visitors.map((one) => one.acked), memoryOf(tree)];
      // Like the tracker, visitors reconnect after 10 s without an ack. While they do, streams show no moves.
      for (let part = 0; part < 4; part++) {
        stream.events.length = 0;
        await sleep(3000);
        assert.ok(samplesOf(stream.events).length > 100, `moves in part ${part}`);
      }
      // Those under way when it stopped may still come.
      const more = machines.visitors.filter((one, i) => one.acked > (acked[i] as number) + 100);
      assert.deepEqual(more, []);
      assert.ok(memoryOf(tree) - memory < MAX_GROWTH);
      redis.signal('SIGCONT');
      await machines.goOn();
    },
  );

  await t.test('killed, and back after some seconds', async () => {
    for (let round = 0; round < 2; round++) {
      await redis.end('SIGKILL');
      await sleep(2000);
      await redis.restart();
      await machines.goOn();
    }
  });

  await t.test('no writes for some seconds (CLIENT PAUSE)', async () => {
    redis.cli('client', 'pause', '3000', 'write');
    await sleep(3000);
    await machines.goOn();
  });

  await machines.assertExact();
});

test('a cluster node is killed and its replica takes over: everything acked with --redis-replicas 1 is stored', async (t) => {
  const { url, nodes } = await startRedisCluster(t, 1);
  const machines = await startMachines(t, url, '--redis-replicas', '1');
  const slot = nodes[0]?.cli('cluster', 'keyslot', 'fm:site:{demo}:x').trim() ?? '';
  const ports = nodes.map(({ port }) => port);
  const ownerOf = () => {
    const alive = nodes.find(({ process }) => process.exitCode === null && process.signalCode === null);
    const slots = JSON.parse(alive?.cli('--json', 'cluster', 'slots') ?? '[]') as [number, number, [string, number]][];
    return slots.find(([from, to]) => Number(slot) >= from && Number(slot) <= to)?.[2][1];
  };
  const first = ownerOf();
  const owner = nodes[ports.indexOf(first as number)];
  await owner?.end('SIGKILL');
  await until(() => ownerOf() !== first, 'another owner of the site');
  // Without a second copy nothing is acked: the killed node comes back as the replica.
  await owner?.restart();
  await machines.goOn();
  await machines.assertExact();
});

test('the master known to Sentinel is killed and its replica takes over: everything acked with --redis-replicas 1 is stored', async (t) => {
  const { master, replica, url, masterPort } = await startRedisPair(t);
  const machines = await startMachines(t, url, '--redis-replicas', '1');
  await master.end('SIGKILL');
  await until(() => masterPort() === replica.port, 'another master');
  // Without a second copy nothing is acked, so the killed one returns as the replica. Sentinels would take some 10 s.
  await master.restart();
  master.cli('replicaof', '127.0.0.1', String(replica.port));
  await machines.goOn();
  await machines.assertExact();
});

test('a whole node is killed: nginx moves its visitors to the other node, where they continue', async (t) => {
  const redis = await startRedis(t);
  const options = { flags: ['--redis', redis.url, '--trust-proxy', '127.0.0.1'], workers: 1 };
  const trees = await Promise.all([startServer(t, options), startServer(t, options)]);
  const proxy = await startNginx(t, ...trees.map((tree) => tree.url));
  const visitors = Array.from({ length: VISITORS }, (_, no) => new SteadyVisitor(t, () => proxy.ws, no));
  const traffic = new Traffic(visitors, EVERY_MS, 6);
  t.after(() => traffic.stop());
  await until(() => visitors.every(({ acked }) => acked > 0), 'acks');
  const ids = visitors.map(({ id }) => id);
  await killTree(trees[0]);
  const before = visitors.map(({ acked }) => acked);
  await until(() => visitors.every(({ acked }, i) => acked > (before[i] as number)), 'acks of the other machine');
  const moved = visitors.filter(({ connections }) => connections > 1).length;
  assert.ok(moved > 0 && moved < VISITORS, `${moved} visitors moved`);
  const stream = await StreamReader.open(t, trees[1], { site: 'demo' });
  const snapshot = await stream.next('snapshot');
  assert.deepEqual(snapshot.visitors.map(({ id }) => id).sort(), ids.sort());
  traffic.stop();
  await settle(visitors);
  assert.equal(await trees[1].stop(), 0);
  const target = readTarget(redis.url) as RedisTarget;
  await assertExact(t, () => openRedisStore(target, { folder: temporaryFolder(t) }), visitors);
});
