/**
 * The commands that copy everything from a data folder to Redis and back. Those that only prepare or inspect run in
 * this process.
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { presentNodes } from '../src/broker/present-nodes.ts';
import { type RedisTarget, readTarget } from '../src/redis/redis-url.ts';
import { openLmdbStore } from '../src/store/lmdb/lmdb-store.ts';
import { openRedisStore, type RedisStore } from '../src/store/redis/redis-store.ts';
import { run, runHere } from './support/command.ts';
import { until } from './support/exact.ts';
import { LIMIT_MS } from './support/limit.ts';
import { Machine } from './support/machine.ts';
import { startRedis, startRedisCluster } from './support/redis.ts';
import { spawnMain, startServer, temporaryFolder } from './support/server.ts';
import { keep, PAGES, plainVisit, T } from './support/visits.ts';

/** Everything, but for when it was exported. */
async function exported(...where: string[]): Promise<string> {
  const { code, data, err } = await runHere(['export', ...where]);
  assert.deepEqual([code, err], [0, '']);
  return data.slice(data.indexOf('\n'));
}

/** A folder with a site, two administrators, a token, and visits of several sites. */
async function filled(t: TestContext, count: number): Promise<string> {
  const folder = join(temporaryFolder(t), 'data');
  const store = await openLmdbStore(folder);
  await store.addSite({ key: 'shop', name: 'Shop', origins: ['https://a.example'], created: T, firstSeen: null });
  for (const name of ['ada', 'bob']) await store.addAdmin(name, T);
  await store.addToken('builds', T);
  await Promise.all(Array.from({ length: 5 }, () => store.hit('shop', '/')));
  const visits = ['demo', 'shop'].flatMap((site) =>
    Array.from({ length: count }, (_, i) => {
      const page = PAGES[i % PAGES.length] as string;
      return plainVisit(site, { since: T + 1000 * i, page, frames: 1 + (i % 7), samples: 20 });
    }),
  );
  await keep(store.archive, ...visits, plainVisit('shop', { frames: 60, samples: 800 }));
  await store.archive.compactAll();
  await store.close();
  return folder;
}

async function inRedis(t: TestContext, url: string): Promise<RedisStore> {
  const store = await openRedisStore(readTarget(url) as RedisTarget, { folder: temporaryFolder(t) });
  t.after(() => store.close());
  return store;
}

test('everything is copied to Redis and back, byte by byte, and a repeat copies nothing', async (t) => {
  const redis = await startRedis(t);
  const folder = await filled(t, 25);
  const before = await exported('--data', folder);
  const there = await run('migrate', 'to-redis', '--data', folder, '--redis', redis.url);
  assert.deepEqual([there.code, there.err], [0, '']);
  assert.match(
    there.out,
    /^Everything in \S+ is now in Redis at 127\.0\.0\.1:\d+; 51 visits with \d+ runs were copied this time\./,
  );
  assert.equal(await exported('--data', folder, '--redis', redis.url), before);
  const store = await inRedis(t, redis.url);
  assert.deepEqual(
    (await store.admins()).map(({ name }) => name),
    ['ada', 'bob'],
  );
  assert.equal(await store.hits('shop', '/'), 5);
  assert.deepEqual(await store.archive.verify(), []);
  const again = await runHere(['migrate', 'to-redis', '--data', folder, '--redis', redis.url]);
  assert.match(again.out, /; 0 visits with 0 runs were copied this time/);
  const other = join(temporaryFolder(t), 'other');
  const back = await run('migrate', 'to-folder', '--data', other, '--redis', redis.url);
  assert.deepEqual([back.code, back.err], [0, '']);
  assert.equal(await exported('--data', other), before);
  assert.match((await runHere(['verify', '--data', other])).out, /all counts and heatmaps match the frames/);
  assert.match((await runHere(['admin', 'list', '--data', other])).out, /^ada .*\nbob /m);
});

test('changes made to the copy since then are reported, not overwritten silently', async (t) => {
  const redis = await startRedis(t);
  const folder = await filled(t, 2);
  await runHere(['migrate', 'to-redis', '--data', folder, '--redis', redis.url]);
  const store = await inRedis(t, redis.url);
  await store.removeAdmin('bob');
  const back = await run('migrate', 'to-folder', '--data', folder, '--redis', redis.url);
  assert.deepEqual([back.code, back.out], [1, '']);
  assert.match(
    back.err,
    /^fieldmouse: sites, administrators, .* in \S+ or Redis at .* have changed since .*; nothing was copied this time\./,
  );
  const other = join(temporaryFolder(t), 'other');
  assert.equal((await runHere(['migrate', 'to-folder', '--data', other, '--redis', redis.url])).code, 0);
  assert.doesNotMatch((await runHere(['admin', 'list', '--data', other])).out, /bob/);
});

test('an interrupted migration continues where it stopped', async (t) => {
  const redis = await startRedis(t);
  const folder = await filled(t, 60);
  const child = spawnMain(['migrate', 'to-redis', '--data', folder, '--redis', redis.url]);
  const exited = once(child, 'exit');
  const end = performance.now() + LIMIT_MS;
  // Once the first visits are there, and before the last are.
  while (!redis.cli('keys', 'fm:site:*').includes(':journal') && child.exitCode === null)
    assert.ok(performance.now() < end);
  child.kill('SIGKILL');
  await exited;
  const { code, out, err } = await run('migrate', 'to-redis', '--data', folder, '--redis', redis.url);
  assert.deepEqual([code, err], [0, '']);
  assert.match(out, /visits with \d+ runs were copied this time/);
  assert.equal(await exported('--data', folder, '--redis', redis.url), await exported('--data', folder));
  assert.deepEqual(await (await inRedis(t, redis.url)).archive.verify(), []);
});

test('a migration that is impossible is reported in one line, and nothing is copied', async (t) => {
  const redis = await startRedis(t);
  const [folder, empty] = [await filled(t, 2), join(temporaryFolder(t), 'none')];
  const refused = async (pattern: RegExp, code: number, ...args: string[]) => {
    const ran = await run('migrate', ...args);
    assert.equal(ran.code, code);
    assert.match(ran.err, pattern);
    assert.equal(ran.out, '');
  };
  await refused(/migrate: needs --redis URL/, 2, 'to-redis', '--data', folder);
  await refused(/migrate away: needs one of to-redis, to-folder/, 2, 'away');
  await refused(/^fieldmouse: there is no store in .*none/, 1, 'to-redis', '--data', empty, '--redis', redis.url);
  const server = await startServer(t, { data: folder, workers: 1 });
  await refused(
    /^fieldmouse: a server or another command is using \S+: stop it first; nothing was copied\n$/,
    1,
    ...['to-redis', '--data', folder, '--redis', redis.url],
  );
  await server.stop();
  const store = await inRedis(t, redis.url);
  await store.addAdmin('eve', T);
  await refused(
    /has administrators or visits of another installation; nothing was copied/,
    1,
    'to-redis',
    '--data',
    folder,
    '--redis',
    redis.url,
  );
  assert.deepEqual(await store.archive.sites(), []);
  assert.deepEqual(
    (await store.admins()).map(({ name }) => name),
    ['eve'],
  );
});

test('nothing is copied while servers run on the Redis, and no folder is created', async (t) => {
  const redis = await startRedis(t);
  const [folder, other] = [await filled(t, 2), join(temporaryFolder(t), 'other')];
  const flags = ['--redis', redis.url];
  const [first, second] = [
    await startServer(t, { workers: 1, flags }),
    await startServer(t, { workers: 1, flags, data: join(temporaryFolder(t), 'second') }),
  ];
  const refused = async (way: string, data: string, count: RegExp) => {
    const { code, out, err } = await run('migrate', way, '--data', data, ...flags);
    assert.deepEqual([code, out], [1, '']);
    assert.match(err, /^fieldmouse: [^\n]+ on Redis at 127\.0\.0\.1:\d+: stop [^\n]+; nothing was copied\n$/);
    assert.match(err, count);
  };
  await until(async () => (await presentNodes(readTarget(redis.url) as RedisTarget)) === 2, 'both are heard');
  await refused('to-folder', other, /: 2 servers run on .*: stop them first \(if one was killed, try again in 6 s\)/);
  await refused('to-redis', folder, /: 2 servers run on /);
  assert.ok(!existsSync(other));
  await second.stop();
  await refused('to-folder', other, /: 1 server runs on .*: stop it first \(if it was killed, try again in 6 s\)/);
  await first.stop();
  assert.equal((await runHere(['migrate', 'to-folder', '--data', other, ...flags])).code, 0);
});

test('a killed server blocks a migration for some seconds only, though its lease is still stored', async (t) => {
  const redis = await startRedis(t);
  const flags = ['--redis', redis.url];
  const server = await startServer(t, { workers: 1, flags });
  const running = () => presentNodes(readTarget(redis.url) as RedisTarget);
  await until(async () => (await running()) === 1, 'it is heard');
  server.process.kill('SIGKILL');
  assert.equal(await running(), 1);
  await until(async () => (await running()) === 0, 'it is not heard any more', 15_000);
  assert.notEqual(redis.cli('keys', 'fm:{fm}:slot:*').trim(), '');
  const other = join(temporaryFolder(t), 'other');
  const { code, err } = await run('migrate', 'to-folder', '--data', other, ...flags);
  assert.deepEqual([code, err], [0, '']);
});

test('nodes are counted on a cluster too, until they report that they stop', async (t) => {
  const { url } = await startRedisCluster(t);
  const target = readTarget(url) as RedisTarget;
  assert.equal(await presentNodes(target), 0);
  const [first] = [await Machine.start(t, url), await Machine.start(t, url)];
  await until(async () => (await presentNodes(target)) === 2, 'both are heard');
  await first.close();
  assert.equal(await presentNodes(target), 1);
});

test('data in the copy that was removed since is reported, and a new folder solves it', async (t) => {
  const redis = await startRedis(t);
  const folder = await filled(t, 2);
  await runHere(['migrate', 'to-redis', '--data', folder, '--redis', redis.url]);
  const store = await inRedis(t, redis.url);
  const [visit] = (await store.archive.visits({ site: 'shop', limit: 1 })).items;
  assert.ok(await store.archive.erase(visit?.id as string));
  const back = await run('migrate', 'to-folder', '--data', folder, '--redis', redis.url);
  assert.deepEqual([back.code, back.out], [1, '']);
  assert.match(
    back.err,
    /^fieldmouse: counts of shop differ in \S+; run .* again; if they still differ, use a new folder/,
  );
  const other = join(temporaryFolder(t), 'other');
  assert.equal((await runHere(['migrate', 'to-folder', '--data', other, '--redis', redis.url])).code, 0);
});
