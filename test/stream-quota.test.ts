/** Stream quotas: no account, token or address can use up all streams. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { StreamQuota } from '../src/hub/stream-quota.ts';
import { codeOf } from './support/http.ts';
import { startServer } from './support/server.ts';

const MB = 1024 * 1024;

test('streams are limited in total, and per holder', () => {
  const quota = new StreamQuota({ maxStreams: 4, maxStreamsEach: 2 });
  const [ada, bob, eve] = [
    ['ada', 'a'],
    ['bob', 'b'],
    ['eve', 'a'],
  ];
  assert.equal(quota.enter(ada, 0), undefined);
  assert.equal(quota.enter(ada, 0), undefined);
  assert.equal(quota.enter(ada, 0)?.status, 429);
  assert.equal(quota.enter(eve, 0)?.status, 429, 'of the same address');
  assert.equal(quota.enter(bob, 0), undefined);
  quota.leave(ada);
  assert.equal(quota.enter(eve, 0), undefined);
  assert.equal(quota.enter(bob, 0), undefined);
  assert.equal(quota.enter(['max', 'm'], 0)?.status, 503);
});

test('snapshots of one holder are limited in parallel and per second, and snapshots of others are not', () => {
  const quota = new StreamQuota({ maxStreams: 1000, maxStreamsEach: 1000 });
  assert.ok(quota.spend(['ada', 'a'], 60 * MB, 0));
  assert.equal(quota.enter(['ada', 'a'], 0), undefined);
  assert.ok(!quota.spend(['ada', 'a'], 12 * MB, 0));
  const refusal = quota.enter(['ada', 'x'], 0);
  assert.deepEqual([refusal?.status, refusal?.retryAfter], [429, 2]);
  assert.equal(quota.enter(['bob', 'b'], 0), undefined);
  quota.sweep(1000);
  assert.equal(quota.enter(['ada', 'x'], 1000)?.status, 429);
  assert.equal(quota.enter(['ada', 'x'], 2000), undefined);
  // A clock that steps back forgives nothing, and takes nothing.
  assert.equal(quota.enter(['ada', 'x'], -1000)?.status, 429);
});

test('one account cannot use up all streams, and is told when to try again', async (t) => {
  const flags = ['--max-streams-each', '2', '--max-replays', '4', '--trust-proxy', '127.0.0.1'];
  const server = await startServer(t, { workers: 1, flags });
  const made = await server.api('/v1/tokens', {
    method: 'POST',
    body: '{"name":"other"}',
    headers: { 'content-type': 'application/json' },
  });
  const { secret } = (await made.json()) as { secret: string };
  const ended = new AbortController();
  t.after(() => ended.abort());
  const open = (path: string, address: string, token = server.token) =>
    fetch(server.url + path, {
      headers: { authorization: `Bearer ${token}`, 'x-forwarded-for': address },
      signal: ended.signal,
    });
  const stream = '/v1/stream?site=demo';
  assert.equal((await open(stream, '203.0.113.1')).status, 200);
  assert.equal((await open(stream, '203.0.113.2')).status, 200);
  const refused = await open(stream, '203.0.113.3');
  assert.equal(refused.status, 429);
  assert.match(refused.headers.get('retry-after') ?? '', /^\d+$/);
  assert.match(refused.headers.get('content-type') ?? '', /problem\+json/);
  assert.equal(await codeOf(refused), 'too-many-streams');
  assert.equal((await open(stream, '203.0.113.1', secret)).status, 200);
  assert.equal((await open(stream, '203.0.113.1', secret)).status, 429, 'by the address');
  assert.equal((await open(stream, '203.0.113.4', secret)).status, 200);
  const replay = `/v1/replay?site=demo&from=${Date.now() - 3_600_000}`;
  assert.equal((await open(replay, '203.0.113.1')).status, 200);
  assert.equal((await open(replay, '203.0.113.2')).status, 429);
  assert.equal((await open(replay, '203.0.113.2', secret)).status, 200);
});
