/** The connection to Redis, with real servers. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { test } from 'node:test';
import type { RedisError } from '../src/redis/error.ts';
import { siteKey } from '../src/redis/keys.ts';
import { type RedisTarget, readTarget, targetText } from '../src/redis/redis-url.ts';
import { freePort } from './support/free-port.ts';
import { startRedis, startRedisCluster } from './support/redis.ts';
import { connect, refusal } from './support/redis-client.ts';

for (const kind of ['a server', 'a cluster'] as const)
  test(`${kind} runs commands, and several in one step`, async (t) => {
    const { url } = kind === 'a server' ? await startRedis(t) : await startRedisCluster(t);
    const redis = await connect(t, url);
    const sites = Array.from({ length: 20 }, (_, i) => `site-${i}`);
    await Promise.all(
      sites.map(async (site) => {
        const [version, hash, list] = [siteKey(site, 'version'), siteKey(site, 'hash'), siteKey(site, 'list')];
        const bytes = Buffer.from([0, 255, 10, 13]);
        const commands = [
          ['RPUSH', list, bytes],
          ['ADD', hash, 'a', '2', 'b', '3', 'a', '-2'],
        ] as const;
        assert.equal(await redis.commit(version, '0', commands), true);
        assert.equal(await redis.commit(version, '0', commands), false);
        // Nothing of it is begun.
        const long = ['RPUSH', list, ...Array<string>(9000).fill('x')];
        await assert.rejects(redis.commit(version, null, [['DEL', hash], long]), RangeError);
        assert.deepEqual(await redis.send(hash, 'HGETALL', hash), ['b', '3']);
        assert.deepEqual(await redis.sendForBytes(list, 'LRANGE', list, '0', '-1'), [bytes]);
        assert.equal(await redis.commit(version, null, [['DEL', list]], true), true);
        assert.equal(await redis.send(version, 'GET', version), '2');
      }),
    );
    const sizes = await redis.everywhere<number>('DBSIZE');
    assert.equal(
      sizes.reduce((sum, n) => sum + n, 0),
      40,
    );
    assert.equal(sizes.length, kind === 'a server' ? 1 : 3);
  });

test('a connection error is reported in one line', async (t) => {
  const { url, port, cli } = await startRedis(t, ['--requirepass', 'secret-one']);
  await assert.rejects(connect(t, url), refusal('refused', /NOAUTH/));
  await assert.rejects(connect(t, `redis://:secret-two@127.0.0.1:${port}`), refusal('refused', /WRONGPASS/));
  const free = await freePort();
  await assert.rejects(
    connect(t, `redis://:secret@127.0.0.1:${free}`, { connectMs: 500 }),
    refusal('unreachable', /ECONNREFUSED/),
  );
  const redis = await connect(t, `redis://:secret-one@127.0.0.1:${port}`);
  cli('-a', 'secret-one', '--no-auth-warning', 'config', 'set', 'maxmemory', '100kb');
  await assert.rejects(redis.send('k', 'SET', 'k', 'v'), refusal('full', /OOM/));
  await assert.rejects(redis.commit('n', null, [['SET', 'k', 'v']]), refusal('full', /OOM/));
  assert.equal(await redis.commit('n', null, [['DEL', 'k']], true), true);
});

test('a Redis that is too old is rejected', async (t) => {
  // What a Redis of then answers to all that it is asked before it is used.
  const info = '# Server\r\nredis_version:6.2.14\r\n';
  const old = createServer((socket) => {
    socket.on('error', () => {});
    socket.on('data', (bytes) => {
      const asked = String(bytes).match(/^\*\d+$/gm)?.length ?? 0;
      socket.write(`$${info.length}\r\n${info}\r\n`.repeat(asked));
    });
  });
  old.listen(0, '127.0.0.1');
  await once(old, 'listening');
  t.after(() => old.close());
  const { port } = old.address() as AddressInfo;
  const message = /^Redis at 127\.0\.0\.1:\d+ is version 6\.2\.14; 7\.0 or later is needed$/;
  await assert.rejects(connect(t, `redis://127.0.0.1:${port}`), refusal('version', message));
});

test('a suspended or stopped Redis ends waiting commands in time, and is used again when it is back', async (t) => {
  const server = await startRedis(t);
  const states: (string | undefined)[] = [];
  let tell = () => {};
  const onState = (error: RedisError | undefined) => {
    states.push(error?.code);
    tell();
  };
  const redis = await connect(t, server.url, { limitMs: 300, onState });
  await redis.send('k', 'SET', 'k', 'v');
  server.signal('SIGSTOP');
  await assert.rejects(redis.send('k', 'GET', 'k'), refusal('unreachable', /no answer in 300 ms/));
  server.signal('SIGCONT');
  assert.equal(await redis.send('k', 'GET', 'k'), 'v');
  await server.end();
  await assert.rejects(redis.send('k', 'GET', 'k'), refusal('unreachable', /./));
  const back = new Promise<void>((resolve) => {
    tell = () => states.at(-1) === undefined && resolve();
  });
  await server.restart();
  await back;
  assert.equal(await redis.send('k', 'GET', 'k'), 'v');
  assert.ok(states.includes('unreachable'));
});

test('invalid addresses are rejected', () => {
  const wrong = ['localhost', 'http://a', 'redis://', 'redis://a/x', 'redis://a/1,redis://b', 'redis://:100%@a'];
  const of = (rest: string) => `redis+sentinel://${rest}`;
  const wrongSentinels = ['', 'a', 'a/', '/m', 'a,/m', 'a:x/m', '::1/m', 'a/m/x', 'a/m/1000', 'a/m n', ':100%@a/m'].map(
    of,
  );
  const wrongUsers = ['a/m?x=1', 'a/m?sentinel_pasword=x'].map(of);
  for (const text of [
    ...wrong,
    ...wrongSentinels,
    ...wrongUsers,
    'redis://b,redis+sentinel://a/m',
    'http+sentinel://a/m',
  ])
    assert.throws(
      () => readTarget(text),
      (error) => typeof error === 'string',
      text,
    );
  assert.equal(readTarget(' '), undefined);
});

test('addresses are parsed, and shown without user and password', () => {
  const user = 'sentinel_username=v&sentinel_password=q%26+%2F';
  const read: [text: string, target: RedisTarget, shown: string][] = [
    ['redis://u:p@a:1/2', { urls: ['redis://u:p@a:1/2'] }, 'a:1'],
    ['rediss://a, rediss://b:1', { urls: ['rediss://a', 'rediss://b:1'] }, 'a:6379, b:1'],
    [
      'redis+sentinel://a/My_master.1',
      { urls: ['redis://My_master.1'], sentinels: ['redis://a:26379'] },
      'My_master.1 (sentinels a:26379)',
    ],
    [
      `rediss+sentinel://u:p%40@a:1,[::1]/m/2?${user}`,
      { urls: ['rediss://u:p%40@m/2'], sentinels: ['a:1', '[::1]:26379'].map((at) => `rediss://v:q%26%2B%2F@${at}`) },
      'm (sentinels a:1, [::1]:26379)',
    ],
    [
      'redis+sentinel://:p@a/m?sentinel_password=q',
      { urls: ['redis://:p@m'], sentinels: ['redis://:q@a:26379'] },
      'm (sentinels a:26379)',
    ],
  ];
  for (const [text, target, shown] of read) {
    assert.deepEqual(readTarget(text), target);
    assert.equal(targetText(target), shown);
  }
});
