/** The master known to Sentinel, with real servers and sentinels. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { RedisError } from '../src/redis/error.ts';
import { until } from './support/exact.ts';
import { freePort } from './support/free-port.ts';
import { startRedis, startRedisPair, startSentinel } from './support/redis.ts';
import { connect, refusal } from './support/redis-client.ts';

test('any of the sentinels finds the master, with separate passwords for the master and the sentinels', async (t) => {
  const { port } = await startRedis(t, ['--requirepass', 'secret-one']);
  const open = await startSentinel(t, port);
  const guarded = await startSentinel(t, port, 1, ['requirepass secret-two']);
  const away = await freePort();
  const addresses = [
    `127.0.0.1:${away},127.0.0.1:${open.port}/mymaster`,
    `127.0.0.1:${open.port}/mymaster/0`,
    `127.0.0.1:${guarded.port}/mymaster?sentinel_password=secret-two`,
  ];
  for (const [i, address] of addresses.entries()) {
    const redis = await connect(t, `redis+sentinel://:secret-one@${address}`);
    assert.equal(await redis.send('k', 'INCR', 'k'), i + 1);
  }
  const other = await connect(t, `redis+sentinel://:secret-one@127.0.0.1:${open.port}/mymaster/3`);
  assert.equal(await other.send('k', 'INCR', 'k'), 1);
});

test('an error of the sentinels or their master is reported in one line', async (t) => {
  const { port } = await startRedis(t, ['--requirepass', 'secret-one']);
  const open = await startSentinel(t, port);
  const guarded = await startSentinel(t, port, 1, ['requirepass secret-two']);
  const replica = await startRedis(t, ['--replicaof', '127.0.0.1', String(port)]);
  const late = await startSentinel(t, replica.port);
  const [away, beyond] = [await freePort(), await freePort()];
  const refusals: [address: string, code: RedisError['code'], message: RegExp][] = [
    [
      `127.0.0.1:${away},127.0.0.1:${beyond}/mymaster`,
      'unreachable',
      /^Sentinel at 127\.0\.0\.1:\d+, 127\.0\.0\.1:\d+ does not answer: connect ECONNREFUSED/,
    ],
    [`127.0.0.1:${open.port}/other`, 'failed', /^Sentinel at 127\.0\.0\.1:\d+ knows no master named other$/],
    [`127.0.0.1:${guarded.port}/mymaster`, 'refused', /^Sentinel at 127\.0\.0\.1:\d+ says: NOAUTH/],
    [`127.0.0.1:${guarded.port}/mymaster?sentinel_password=secret`, 'refused', /^Sentinel at \S+ says: WRONGPASS/],
    [`127.0.0.1:${open.port}/mymaster`, 'refused', /^Redis at 127\.0\.0\.1:\d+ \(mymaster\) says: NOAUTH/],
    [`:secret-two@127.0.0.1:${open.port}/mymaster`, 'refused', /^Redis at \S+ \(mymaster\) says: WRONGPASS/],
    [`127.0.0.1:${late.port}/mymaster`, 'unreachable', /^Redis at \S+ \(mymaster\) is a replica, not the master$/],
    [`127.0.0.1:${port}/mymaster`, 'failed', /^Sentinel at \S+ says: ERR unknown command 'SENTINEL'/],
  ];
  for (const [address, code, message] of refusals)
    await assert.rejects(connect(t, `redis+sentinel://${address}`, { connectMs: 700 }), refusal(code, message));
  const hint = /^Redis at \S+ is a sentinel: use redis\+sentinel:\/\/HOST:PORT\/NAME$/;
  await assert.rejects(connect(t, `redis://127.0.0.1:${open.port}`), refusal('failed', hint));
});

test('a suspended master is abandoned when another has taken its place', async (t) => {
  const { master, replica, url, masterPort } = await startRedisPair(t);
  const states: (string | undefined)[] = [];
  const onState = (error: RedisError | undefined) => void states.push(error?.message);
  const redis = await connect(t, url, { limitMs: 300, onState });
  assert.equal(await redis.send('k', 'INCR', 'k'), 1);
  await until(() => replica.cli('get', 'k') === '1\n', 'replication');
  master.signal('SIGSTOP');
  await assert.rejects(redis.send('k', 'INCR', 'k'), refusal('unreachable', /no answer in 300 ms/));
  await until(() => states.includes(undefined), 'another master');
  assert.equal(masterPort(), replica.port);
  const told = new RegExp(
    `^Redis at mymaster .* does not answer: 127\\.0\\.0\\.1:${replica.port} has taken its place$`,
  );
  assert.match(states[0] ?? '', told);
  // What was not answered is not done there.
  assert.equal(await redis.send('k', 'GET', 'k'), '1');
  master.signal('SIGCONT');
  await redis.close();
  await assert.rejects(redis.send('k', 'GET', 'k'), refusal('unreachable', /./));
});

test('closing stops the search for a master', async (t) => {
  const server = await startRedis(t);
  const sentinel = await startSentinel(t, server.port);
  let tell = () => {};
  const away = new Promise<void>((resolve) => {
    tell = resolve;
  });
  const redis = await connect(t, `redis+sentinel://127.0.0.1:${sentinel.port}/mymaster`, {
    onState: (error) => error && tell(),
  });
  await server.end();
  await away;
  await redis.close();
  await redis.close();
});
