/**
 * Properties of the record in Redis only: replicas, full memory, and servers or processes that die or are suspended.
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Visit } from '../src/model/visit.ts';
import { SampleBuffer } from '../src/protocol/frame.ts';
import { Redis } from '../src/redis/connection.ts';
import { commonKey, siteKey } from '../src/redis/keys.ts';
import { type RedisTarget, readTarget } from '../src/redis/redis-url.ts';
import type { Archive } from '../src/store/archive.ts';
import { StoreError } from '../src/store/contract.ts';
import { Recorder, Recording } from '../src/store/record/recorder.ts';
import { SITE_SHARDS, siteShardOf } from '../src/store/record/shard.ts';
import { splitBatch } from '../src/store/record/split.ts';
import { mergeTile } from '../src/store/record/tile.ts';
import { RedisArchive, type RedisArchiveOptions } from '../src/store/redis/redis-archive.ts';
import { ThreadArchive } from '../src/store/thread/thread-archive.ts';
import { until } from './support/exact.ts';
import { forkModule } from './support/fork-module.ts';
import { freePort } from './support/free-port.ts';
import { type RedisCluster, type RedisServer, startRedis, startRedisCluster } from './support/redis.ts';
import { threadModule } from './support/server.ts';
import { all, batchOf, type Delivery, fill, keep, type MadeVisit, plainVisit, samplesIn, T } from './support/visits.ts';

const THREAD = threadModule('store/thread/thread-main');
const FOR_EVER_MS = 100 * 365 * 24 * 3_600_000;
/** Something may take so long, milliseconds. */
const PATIENCE_MS = 20_000;

interface Opened {
  redis: Redis;
  archive: RedisArchive;
}

async function open(t: TestContext, url: string, options: RedisArchiveOptions = {}): Promise<Opened> {
  const redis = await Redis.connect(readTarget(url) as RedisTarget);
  const archive = new RedisArchive(redis, options);
  t.after(async () => {
    await archive.close();
    await redis.close();
  });
  return { redis, archive };
}

async function inThread(t: TestContext, url: string): Promise<ThreadArchive> {
  const redis = readTarget(url) as RedisTarget;
  const data = { redis, replicas: 0, maxBytes: Number.POSITIVE_INFINITY, retainMs: FOR_EVER_MS };
  const archive = await ThreadArchive.start(data, assert.fail, undefined, undefined, THREAD);
  t.after(() => archive.close());
  return archive;
}

/** All frames of these visits are there, once, and the record agrees with itself. */
async function assertThere(archive: Archive, visits: readonly MadeVisit[]): Promise<void> {
  assert.deepEqual(await archive.verify(), []);
  for (const { id, frames } of visits) {
    const runs = await all((after) => archive.runs(id, after));
    const found = runs.flatMap(({ payload, t }) => samplesIn(payload, t));
    assert.deepEqual(
      found,
      frames.flatMap(({ samples }) => samples),
    );
  }
}

async function code(promise: Promise<unknown>): Promise<string> {
  return promise.then(
    () => 'done',
    (error: StoreError) => error.code,
  );
}

/** It can be written and read. */
async function goesOn(archive: Archive): Promise<void> {
  const tries = () => Promise.all([code(archive.append([])), code(archive.usage())]);
  await until(async () => (await tries()).every((one) => one === 'done'), 'Redis again', PATIENCE_MS);
}

test('frames on too few replicas are not acked, and are stored once when sent again', async (t) => {
  const main = await startRedis(t, ['--repl-diskless-sync-delay', '0']);
  const replica = await startRedis(t, ['--replicaof', '127.0.0.1', String(main.port)]);
  const { archive } = await open(t, main.url, { replicas: 1 });
  const [visit, other] = [plainVisit('demo'), plainVisit('demo')];
  await goesOn(archive);
  await keep(archive, other);
  replica.signal('SIGSTOP');
  assert.equal(await code(keep(archive, visit)), 'unreachable');
  assert.equal(await code(archive.append([])), 'unreachable');
  replica.signal('SIGCONT');
  await goesOn(archive);
  await keep(archive, visit);
  await assertThere(archive, [visit, other]);
  assert.match(replica.cli('keys', '*'), /journal|visits/);
});

test('the wait for replicas happens once per node, however many sites there are', async (t) => {
  const { nodes, url } = await startRedisCluster(t, 1, ['--repl-diskless-sync-delay', '0']);
  const { archive } = await open(t, url, { replicas: 1 });
  const waits = () =>
    nodes.map((node) => Number(/cmdstat_wait:calls=(\d+)/.exec(node.cli('info', 'commandstats'))?.[1] ?? 0));
  const visits = Array.from({ length: 30 }, (_, i) => plainVisit(`site-${i}`, { frames: 2 }));
  const [first, second] = [0, 1].map((n) => visits.map((visit) => [visit, visit.frames[n]] as Delivery));
  await goesOn(archive);
  const before = waits();
  await archive.append([batchOf(first as Delivery[])]);
  const after = waits();
  assert.deepEqual(after.map((n, i) => n - (before[i] as number)).sort(), [0, 0, 0, 1, 1, 1]);
  // One that has no replica in time is enough to withhold the ack.
  const replica = nodes.find((node) => node.cli('role').startsWith('slave'));
  replica?.signal('SIGSTOP');
  assert.equal(await code(archive.append([batchOf(second as Delivery[])])), 'unreachable');
  replica?.signal('SIGCONT');
  await until(
    async () => (await code(archive.append([batchOf(second as Delivery[])]))) === 'done',
    'an ack',
    PATIENCE_MS,
  );
  await assertThere(archive, visits);
});

test('a visit from a list, or with a known site, is not searched on all sites', async (t) => {
  const { url, cli } = await startRedis(t, ['--appendonly', 'no']);
  const { archive } = await open(t, url);
  const visits = Array.from({ length: 100 }, (_, i) => plainVisit(`site-${i}`));
  await keep(archive, ...visits);
  await archive.compactAll();
  const [{ id, site }] = visits as [MadeVisit];
  const commands = () => Number(/total_commands_processed:(\d+)/.exec(cli('info', 'stats'))?.[1]);
  const costOf = async (look: (archive: Archive) => Promise<unknown>) => {
    const { archive: fresh } = await open(t, url);
    const before = commands();
    assert.ok(await look(fresh));
    return commands() - before;
  };
  const inList = async (fresh: Archive) => {
    const [listed] = (await fresh.visits({ site, limit: 10 })).items;
    return (await fresh.runs(listed?.id as string)).items.length > 0;
  };
  const [byId, bySite, byList] = [
    await costOf((fresh) => fresh.visit(id)),
    await costOf((fresh) => fresh.visit(id, site)),
    await costOf(inList),
  ];
  // A list is read in few round trips, by more commands.
  assert.ok(byId > 200 && bySite < 10 && byList < 50, `${byId}, ${bySite} and ${byList} commands`);
});

test('a full Redis accepts no more, frees space, and continues', async (t) => {
  const { url } = await startRedis(t, ['--appendonly', 'no', '--maxmemory', '8mb', '--latency-tracking', 'no']);
  const { archive } = await open(t, url);
  const visitOf = (i: number) => plainVisit('demo', { since: T + i, frames: 30, samples: 500 });
  const visits: MadeVisit[] = [];
  const write = async () => {
    for (let i = 0; i < 500; i++) {
      const visit = visitOf(i);
      await keep(archive, visit);
      visits.push(visit);
    }
  };
  await assert.rejects(write, { code: 'full' });
  assert.deepEqual(await archive.verify(), []);
  const later = visitOf(1000);
  await until(
    async () => {
      await archive.tend(Date.now(), FOR_EVER_MS, true);
      return (await code(keep(archive, later))) === 'done';
    },
    'room',
    PATIENCE_MS,
  );
  assert.deepEqual(await archive.verify(), []);
  const kept = (await archive.visits({ site: 'demo', limit: 500 })).items;
  assert.deepEqual([...new Set(kept.map(({ moves }) => moves))], [15_000]);
  // The oldest went.
  const left = visits.slice(visits.length - kept.length + 1).map(({ id }) => id);
  assert.deepEqual(kept.map(({ id }) => id).reverse(), [...left, later.id]);
});

test('acked data survives a killed Redis', async (t) => {
  const server = await startRedis(t);
  const { archive } = await open(t, server.url);
  const visits = Array.from({ length: 40 }, (_, i) => plainVisit('demo', { since: T + i, frames: 20 }));
  const frames = Array.from({ length: 20 }, (_, i) => visits.map((visit) => [visit, visit.frames[i]] as Delivery));
  const batches = (i: number) => (frames[i] as Delivery[]).map((one) => batchOf([one]));
  let acked = 0;
  let killed: Promise<void> | undefined;
  const append = async () => {
    for (; acked < frames.length; acked++) {
      await archive.append(batches(acked));
      if (acked === 4) killed ??= server.end();
    }
  };
  await assert.rejects(append, { code: 'unreachable' });
  await killed;
  const before = acked;
  await server.restart();
  await goesOn(archive);
  const kept = await Promise.all(visits.map(async ({ id }) => ((await archive.visit(id)) as Visit).moves));
  assert.ok(
    kept.every((moves) => moves >= 10 * before),
    `${before} were acked`,
  );
  await append();
  await assertThere(archive, visits);
});

test('frames that a killed process was compacting are compacted by others', async (t) => {
  const { url } = await startRedis(t, ['--appendonly', 'no']);
  const { redis, archive } = await open(t, url);
  const visits = Array.from({ length: 60 }, (_, i) => plainVisit('demo', { since: T + i, frames: 30, samples: 300 }));
  await keep(archive, ...visits);
  const child = forkModule('compaction-process', [url]);
  t.after(() => child.kill('SIGKILL'));
  await once(child, 'message');
  const version = siteKey('demo', 'record');
  const exited = once(child, 'exit');
  await until(async () => Number(await redis.send(version, 'GET', version)) > 0, 'begin of filing', PATIENCE_MS);
  child.kill('SIGKILL');
  await exited;
  const journals = Array.from({ length: SITE_SHARDS }, (_, shard) => siteKey('demo', `journal:${shard}`));
  assert.ok((await redis.send<number>(version, 'EXISTS', ...journals)) > 0, 'it was not done');
  await assertThere(archive, visits);
});

test('while Redis is suspended nothing is acked and the queue stays small, then all continues', async (t) => {
  const server = await startRedis(t);
  const archive = await inThread(t, server.url);
  const troubles: string[] = [];
  const recorder = new Recorder({
    archive,
    commitMs: 20,
    onTrouble: (error) => troubles.push((error as StoreError).code),
    onRecovery: () => troubles.push('over'),
    bySite: true,
  });
  t.after(() => recorder.close());
  const visit = plainVisit('demo', { frames: 60 });
  const place = { id: visit.id, site: 'demo', page: '/', size: visit.frames[0]?.size as never };
  let recording = new Recording(recorder, place, visit.about, 0);
  const send = (from: number, to: number) => {
    for (const frame of visit.frames.slice(from, to)) take(recording, frame);
  };
  send(0, 20);
  await recording.settled();
  assert.equal(recording.kept, 20);
  server.signal('SIGSTOP');
  send(20, 40);
  await recording.settled();
  assert.deepEqual([recording.kept, recording.broken, troubles], [20, true, ['unreachable']]);
  assert.equal(recorder.hasRoom, false);
  const reading = archive.visit(visit.id);
  server.signal('SIGCONT');
  assert.equal(((await reading) as Visit).moves >= 200, true);
  await until(() => !recorder.inTrouble, 'recovery', PATIENCE_MS);
  assert.deepEqual(troubles, ['unreachable', 'over']);
  recording = recording.restart(20);
  send(20, 60);
  await recording.settled();
  assert.equal(recording.kept, 60);
  await assertThere(archive, [visit]);
});

const buffer = new SampleBuffer(1024);

function take(recording: Recording, { n, page, size, samples, t }: MadeVisit['frames'][number]): void {
  fill(buffer, samples);
  recording.take(n, page, size, buffer, 0, t);
}

test('a thread continues after an outage of Redis, and does not start without Redis', async (t) => {
  const server = await startRedis(t);
  const absent = `redis://127.0.0.1:${await freePort()}`;
  const hopeless = assert.rejects(
    inThread(t, absent),
    (error) => error instanceof StoreError && error.code === 'unreachable',
  );
  const archive = await inThread(t, server.url);
  const [before, after] = [plainVisit('demo'), plainVisit('demo')];
  await keep(archive, before);
  await server.end();
  assert.equal(await code(keep(archive, after)), 'unreachable');
  assert.equal(await code(archive.visits({ site: 'demo', limit: 9 })), 'unreachable');
  await server.restart();
  await goesOn(archive);
  await keep(archive, after);
  await assertThere(archive, [before, after]);
  const notes: unknown[] = [];
  const data = { redis: readTarget(server.url) as RedisTarget, replicas: 0, maxBytes: 1e12, retainMs: FOR_EVER_MS };
  const noting = await ThreadArchive.start(
    data,
    assert.fail,
    assert.fail,
    async (note) => void notes.push(note),
    THREAD,
  );
  t.after(() => noting.close());
  const note = { at: 1, who: 'me', what: 'visit-erased', on: before.id } as const;
  assert.deepEqual([await noting.erase('none', note), await noting.erase(before.id, note)], [false, true]);
  assert.deepEqual(notes, [note]);
  await hopeless;
});

test('any process compacts and removes what is due', async (t) => {
  const { url } = await startRedis(t, ['--appendonly', 'no']);
  const { redis, archive } = await open(t, url);
  const { archive: other } = await open(t, url);
  const now = Date.now();
  const [old, fresh] = [plainVisit('demo', { since: now - 100_000 }), plainVisit('demo', { since: now })];
  await keep(archive, old, fresh);
  const visits = siteKey('demo', 'visits');
  await Promise.all([archive.tend(now, FOR_EVER_MS), other.tend(now, FOR_EVER_MS)]);
  assert.equal(await redis.send(visits, 'EXISTS', visits), 0, 'nothing is due yet');
  await Promise.all([archive.tend(now + 60_000, FOR_EVER_MS), other.tend(now + 60_000, FOR_EVER_MS)]);
  assert.equal(await redis.send(visits, 'HLEN', visits), 2);
  await Promise.all([archive.tend(now + 120_000, 170_000), other.tend(now + 120_000, 170_000)]);
  const { items } = await archive.visits({ site: 'demo', limit: 9 });
  assert.deepEqual(
    items.map(({ id }) => id),
    [fresh.id],
  );
  assert.deepEqual(await archive.verify(), []);
});

test('frames committed before the clock was set back are compacted at once', async (t) => {
  const { url } = await startRedis(t);
  const { redis, archive } = await open(t, url);
  const visit = plainVisit('demo');
  const clock = Date.now;
  const ahead = t.mock.method(Date, 'now', () => clock() + 3_600_000);
  await archive.append(visit.frames.map((frame) => batchOf([[visit, frame]])));
  ahead.mock.restore();
  const journal = siteKey('demo', `journal:${siteShardOf(visit.id)}`);
  assert.equal(await redis.send(journal, 'EXISTS', journal), 1);
  await archive.tend(Date.now(), FOR_EVER_MS);
  assert.equal(await redis.send(journal, 'EXISTS', journal), 0);
});

test('a damaged visit is removed when its retention ends, with one log line, and delays nothing else', async (t) => {
  const { url } = await startRedis(t);
  const { redis, archive } = await open(t, url);
  const now = Date.now();
  const [lost, other] = [plainVisit('a', { since: now - 200_000 }), plainVisit('b', { since: now - 200_000 })];
  await keep(archive, lost, other);
  await archive.compactAll();
  const visits = siteKey('a', 'visits');
  await redis.send(visits, 'HSET', visits, '1', '{"id":');
  assert.notDeepEqual(await archive.verify(), []);
  const warned: string[] = [];
  const listener = ({ message }: Error) => void warned.push(message);
  process.on('warning', listener);
  t.after(() => process.off('warning', listener));
  await archive.tend(now, 100_000);
  await until(() => warned.length > 0, 'a line');
  assert.deepEqual(warned, [
    'A damaged visit was removed from the site a in Redis; data that could not be read remains in the counts: its entry is not there',
  ]);
  // Its runs were there, so that nothing is left of it.
  assert.deepEqual([await archive.sites(), await archive.verify()], [[], []]);
});

test('an unreachable node of a cluster delays only the sites on that node', async (t) => {
  const { nodes, url } = await startRedisCluster(t, 0, ['--cluster-require-full-coverage', 'no']);
  const { archive } = await open(t, url, { maxBytes: 1024 ** 3 });
  const [before, after] = [plainVisit('demo'), plainVisit('demo')];
  await keep(archive, before);
  const other = nodes.find((node) => node.cli('dbsize').trim() === '0');
  await other?.end();
  await sleep(300);
  assert.equal(await code(keep(archive, after)), 'done');
  assert.ok(await archive.visit(after.id));
});

/** The node of a cluster that has a key. */
function ownerOf({ nodes }: RedisCluster, key: string): RedisServer {
  return nodes.find((node) => !node.cli('exists', key).startsWith('MOVED')) as RedisServer;
}

test('when a node of a cluster is nearly full, the oldest visits of its own sites are removed, and no others', async (t) => {
  const cluster = await startRedisCluster(t);
  const { archive } = await open(t, cluster.url);
  const sites = Array.from({ length: 12 }, (_, i) => `site-${i}`);
  const full = ownerOf(cluster, siteKey('site-0', 'record'));
  const others = sites.filter((site) => ownerOf(cluster, siteKey(site, 'record')) !== full);
  await keep(archive, ...sites.map((site) => plainVisit(site)));
  await archive.compactAll();
  const used = Number(/^used_memory:(\d+)/m.exec(full.cli('info', 'memory'))?.[1]);
  full.cli('config', 'set', 'maxmemory', String(Math.round(1.1 * used)));
  const clear = async () => {
    await archive.tend(Date.now(), FOR_EVER_MS, true);
    return (await archive.sites()).length <= others.length;
  };
  await until(clear, 'room', PATIENCE_MS);
  assert.deepEqual(await archive.sites(), others.sort());
});

for (const [what, of, signal] of [
  ['with the record of a site is unreachable', 'site', 'SIGKILL'],
  ['with the list of sites is unreachable', 'list', 'SIGKILL'],
  ['is suspended', 'site', 'SIGSTOP'],
] as const)
  test(`while a node of a cluster ${what}, sites on other nodes are compacted and pruned`, async (t) => {
    const cluster = await startRedisCluster(t, 0, ['--cluster-require-full-coverage', 'no']);
    const { redis, archive } = await open(t, cluster.url, { maxBytes: 1024 ** 3 });
    const now = Date.now();
    const sites = Array.from({ length: 12 }, (_, i) => `site-${i}`);
    const away = ownerOf(cluster, of === 'list' ? commonKey('recorded') : siteKey('site-0', 'record'));
    const others = sites.filter((site) => ownerOf(cluster, siteKey(site, 'record')) !== away);
    assert.ok(others.length > 0 && others.length < sites.length);
    await keep(archive, ...sites.map((site) => plainVisit(site, { since: now - 200_000 })));
    await archive.compactAll();
    if (signal === 'SIGSTOP') away.signal(signal);
    else await away.end(signal);
    await sleep(300);
    const left = async () => {
      const keys = others.map((site) => siteKey(site, 'by-time'));
      return (await Promise.all(keys.map((key) => redis.send<number>(key, 'EXISTS', key)))).filter(Boolean).length;
    };
    const clear = async () => {
      await archive.tend(Date.now(), 100_000, true).catch((error) => assert.equal(error.code, 'unreachable'));
      return (await left()) === 0;
    };
    await until(clear, 'all that is due cleared away', PATIENCE_MS);
  });

test('of very many batches only the unreadable one is quarantined', async (t) => {
  const { url } = await startRedis(t);
  const { redis, archive } = await open(t, url);
  const visit = plainVisit('demo', { frames: 6000, samples: 1 });
  const key = siteKey('demo', `journal:${siteShardOf(visit.id)}`);
  const told = new Set<string>();
  const [first, ...others] = visit.frames.map((frame) => batchOf([[visit, frame]], told));
  await archive.append([first as Uint8Array]);
  await redis.send(key, 'RPUSH', key, '1', 'not a batch');
  await archive.append(others);
  await archive.compactAll();
  const found = await all((after) => archive.runs(visit.id, after));
  assert.equal(found.flatMap(({ payload, t: at }) => samplesIn(payload, at)).length, 6000);
  assert.equal(await redis.send(key, 'LLEN', siteKey('demo', 'damaged')), 2);
});

test('batches of one site pass through a recorder unchanged, and others are split by site', async (t) => {
  const batches: Uint8Array[] = [];
  const append = async (some: readonly Uint8Array[]) => void batches.push(...some);
  const fail = () => assert.fail();
  const recorder = new Recorder({ archive: { append }, commitMs: 1, onTrouble: fail, onRecovery: fail, bySite: true });
  const visits = Array.from({ length: 100 }, (_, i) => plainVisit(i % 3 ? 'demo' : 'shop'));
  const recordings = visits.map(({ id, site, about, frames: [frame] }) => {
    const { page, size } = frame as MadeVisit['frames'][number];
    return new Recording(recorder, { id, site, page, size }, about, 0);
  });
  for (const [i, recording] of recordings.entries()) take(recording, visits[i]?.frames[0] as never);
  await recorder.close();
  for (const bytes of batches) {
    const parts = splitBatch(bytes);
    assert.deepEqual([parts.length, parts[0]?.bytes === bytes], [1, true]);
  }
  const { url } = await startRedis(t, ['--appendonly', 'no']);
  const { archive } = await open(t, url);
  await archive.append([batchOf(visits.flatMap((visit) => visit.frames.map((frame): Delivery => [visit, frame])))]);
  assert.deepEqual(await archive.sites(), ['demo', 'shop']);
  await assertThere(archive, visits);
  await archive.append(batches);
  await assertThere(archive, visits);
});

test('verify of the record in Redis reports its progress, and finds every difference from the frames', async (t) => {
  const { url } = await startRedis(t, ['--appendonly', 'no']);
  for (const [what, tamper] of Object.entries(TAMPERS)) {
    const { redis, archive } = await open(t, url);
    await redis.everywhere('FLUSHALL');
    const visits = [plainVisit('demo'), plainVisit('demo', { frames: 3 }), plainVisit('demo')];
    const [{ frames }] = visits as [MadeVisit];
    frames[0]?.samples.push({ type: 'click', time: T + 500, x: 1, y: 1, button: 0, ex: 0, ey: 0, selector: 'a' });
    await keep(archive, ...visits);
    const told: [number, number][] = [];
    assert.deepEqual(await archive.verify((done, total) => told.push([done, total])), []);
    assert.deepEqual(told.at(-1), [3, 3]);
    const [name, command] = tamper;
    await redis.send(siteKey('demo', name), command[0] as string, siteKey('demo', name), ...command.slice(1));
    assert.notDeepEqual(await archive.verify(), [], what);
  }
});

const DAY = Math.floor(T / 86_400_000);

/** Changes to a record that make it disagree with itself: a key, and a command with what follows on that. */
const TAMPERS: Record<string, [key: string, command: (string | Buffer)[]]> = {
  'a count that is another': [`counts:${DAY}`, ['HSET', '0', '9 9 9 9 9 9']],
  'a count that is missing': [`counts:${DAY}`, ['HDEL', '1']],
  'tiles of a heatmap that are missing': [`cells:1:${DAY}`, ['DEL']],
  'a tile that is another': [`cells:1:${DAY}`, ['HSET', '8.0', mergeTile(undefined, [7], new Map([[7, 1]])) as Buffer]],
  'clicks on an element that are missing': [`spots:1:${DAY}`, ['DEL']],
  'runs that are missing': ['runs:2', ['DEL']],
  'a visit that is missing': ['visits', ['HDEL', '1']],
};
