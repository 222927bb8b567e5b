/** Several nodes on one Redis: complete servers, each with its own data folder. test/store.test.ts has the contract. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { readConfig } from '../src/config/config.ts';
import type { AuditEntry } from '../src/model/audit.ts';
import { firstSteps } from '../src/primary.ts';
import { StoreError } from '../src/store/contract.ts';
import { openStore } from '../src/store/open.ts';
import { type Ran, runHere } from './support/command.ts';
import { until } from './support/exact.ts';
import { freePort } from './support/free-port.ts';
import { codeOf, cookieOf } from './support/http.ts';
import { exchange } from './support/raw.ts';
import { type RedisServer, startRedis } from './support/redis.ts';
import { spawnMain, startServer, type TestServer, temporaryFolder } from './support/server.ts';
import { StreamReader } from './support/stream.ts';

/** A command in this process. */
function run(t: TestContext, line: string, url: string): Promise<Ran> {
  return runHere([...line.split(' '), '--redis', url, '--data', temporaryFolder(t)]);
}

function post(server: TestServer, path: string, body?: unknown): Promise<Response> {
  return fetch(server.url + path, {
    method: 'POST',
    ...(body !== undefined && { headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) }),
  });
}

/** Counts visits at several servers at once. The answered totals, in order; -1 for what was refused. */
async function countAt(servers: readonly TestServer[], page: string, count: number): Promise<number[]> {
  const answers = Array.from({ length: count }, async (_, i) => {
    const response = await post(servers[i % servers.length] as TestServer, `/v1/hits${page}?site=demo`);
    const { hits = -1 } = (await response.json()) as { hits?: number };
    return response.status === 200 ? hits : -1;
  });
  return (await Promise.all(answers)).sort((a, b) => a - b);
}

test('of servers that start for the first time at the same moment one prints a link, and the others refer to it', async (t) => {
  const redis = await startRedis(t, ['--appendonly', 'no']);
  const trail = async () => {
    const { out } = await run(t, 'audit --format ndjson', redis.url);
    return out.split('\n').map((line) => (JSON.parse(line) as AuditEntry).what);
  };
  const stores = async () => {
    const { config } = readConfig(['--redis', redis.url, '--data', temporaryFolder(t)], {});
    const opened = await Promise.all(Array.from({ length: 4 }, () => openStore(config, { create: true })));
    for (const store of opened) t.after(() => store.close());
    return opened;
  };
  for (let i = 0; i < 10; i++) {
    redis.cli('flushall');
    const steps = await Promise.all((await stores()).map(firstSteps));
    assert.equal(steps.filter(({ firstLink }) => firstLink !== undefined).length, 1);
    assert.equal(steps.filter(({ nobodyCanSignIn }) => nobodyCanSignIn).length, 3);
    assert.deepEqual(await trail(), ['link-made', 'admin-added']);
  }

  redis.cli('flushall');
  const start = () => startServer(t, { flags: ['--redis', redis.url], workers: 1 });
  const servers = await Promise.all([start(), start()]);
  assert.equal(servers.filter(({ link }) => link !== undefined).length, 1);
  const other = servers.find(({ link }) => link === undefined) as TestServer;
  assert.match(
    other.output(),
    /^Nobody has signed in yet\. To get a new link: npx fieldmouse admin add NAME --data \S+ --redis URL$/m,
  );
  assert.deepEqual(await trail(), ['link-made', 'admin-added']);
});

test('nodes that share a Redis have the same sign-ins, limits, tokens and totals', async (t) => {
  const redis = await startRedis(t);
  const flags = ['--redis', redis.url, '--count-bots', 'yes'];
  const one = await startServer(t, { flags, workers: 2 });
  const two = await startServer(t, { flags, workers: 1 });
  assert.equal(two.link, undefined);

  // A link is used up once, wherever.
  const token = one.link?.split('/').at(-1);
  const taken = await Promise.all([one, two].map((server) => post(server, '/v1/session/link', { token })));
  assert.deepEqual(taken.map(({ status }) => status).sort(), [201, 401]);
  const cookie = cookieOf(taken.find(({ status }) => status === 201) as Response);
  for (const server of [one, two]) {
    const response = await fetch(`${server.url}/v1/session`, { headers: { cookie } });
    assert.deepEqual([response.status, ((await response.json()) as { name: string }).name], [200, 'admin']);
  }

  // A site that is added here may be reported to there.
  const site = { key: 'shop', name: 'Shop', origins: ['https://a.example'] };
  const json = { 'content-type': 'application/json' };
  const added = await one.api('/v1/sites', { method: 'POST', headers: json, body: JSON.stringify(site) });
  assert.equal(added.status, 201);
  assert.equal((await post(two, '/v1/hits/?site=shop')).status, 200);

  // Each visit has a total of its own.
  const totals = await countAt([one, two], '/pots', 400);
  assert.deepEqual(
    totals,
    Array.from({ length: 400 }, (_, i) => i + 1),
  );
  const told = (await (await fetch(`${two.url}/v1/hits/pots?site=demo`)).json()) as { hits: number };
  assert.equal(told.hits, 400);

  // What is revoked here opens nothing there, and ends what is open.
  const made = await two.api('/v1/tokens', { method: 'POST', headers: json, body: JSON.stringify({ name: 'ci' }) });
  const { id, secret } = (await made.json()) as { id: string; secret: string };
  const stream = await StreamReader.open(t, { url: two.url, token: secret }, { site: 'demo' });
  await stream.next('snapshot');
  assert.equal((await one.api(`/v1/tokens/${id}`, { method: 'DELETE' })).status, 204);
  await stream.ended;
  const refused = await fetch(`${two.url}/v1/sites`, { headers: { authorization: `Bearer ${secret}` } });
  assert.equal(refused.status, 401);

  // Wrong attempts count together: twenty of an address, of which one was that with the link.
  const wrong = await Promise.all(
    Array.from({ length: 24 }, (_, i) => post(i % 2 ? one : two, '/v1/session/link', { token: 'made-up' })),
  );
  assert.equal(wrong.filter(({ status }) => status === 401).length, 19);
  assert.equal(wrong.filter(({ status }) => status === 429).length, 5);

  const { entries } = (await (await two.api('/v1/audit')).json()) as { entries: AuditEntry[] };
  const deeds = entries.map(({ what, count }) => (count > 1 ? `${what} ${count}` : what));
  assert.deepEqual(deeds.sort(), [
    'admin-added',
    'link-made',
    'sign-in-refused 20',
    'signed-in',
    'site-added',
    'token-made',
    'token-revoked',
  ]);
  for (const server of [one, two]) {
    assert.equal(await server.stop(), 0);
    const store = await openStore(configOf(redis, server.data));
    assert.deepEqual(await store.addresses(), [server.url.replace('http', 'tcp')]);
    await store.close();
  }
  assert.match(one.output(), /Redis has frames on disk before they are acked/);
});

test('a Redis that stops loses no answered visit, and stops no process', async (t) => {
  const redis = await startRedis(t);
  const server = await startServer(t, { flags: ['--redis', redis.url, '--count-bots', 'yes'], workers: 1 });
  const workers = server.workerPids();
  const stream = await StreamReader.open(t, server, { site: 'demo' });
  await stream.next('snapshot');

  const answered: number[] = [];
  const codes = new Set<string>();
  let isOver = false;
  const client = async () => {
    while (!isOver) {
      const response = await post(server, '/v1/hits/pots?site=demo');
      if (response.status === 200) answered.push(((await response.json()) as { hits: number }).hits);
      else {
        codes.add(`${response.status} ${await codeOf(response)}`);
        await sleep(20);
      }
    }
  };
  const clients = Promise.all(Array.from({ length: 4 }, client));
  await until(() => answered.length >= 50, '50 answers');
  await redis.end('SIGKILL');
  await until(() => codes.size > 0, 'a refusal');
  await checkWhileAway(t, server, stream);
  await redis.restart();
  const before = answered.length;
  await until(() => answered.length > before, 'an answer');
  isOver = true;
  await clients;

  assert.deepEqual([...codes], ['503 unavailable']);
  assert.equal(new Set(answered).size, answered.length);
  const kept = Number(redis.cli('hget', 'fm:{fm}:hits:demo', '/pots'));
  // One that was under way may have been counted and not answered.
  assert.ok(kept >= Math.max(...answered) && kept <= answered.length + 4, `${kept} kept, ${answered.length} answered`);
  assert.deepEqual(server.workerPids(), workers);
  stream.events.length = 0;
  await stream.next('rates');
  const lines = (what: RegExp) =>
    server
      .output()
      .split('\n')
      .filter((line) => what.test(line));
  // Of the primary and of its worker.
  assert.equal(lines(/Redis is unreachable/).length, 2, server.output());
  await until(() => lines(/Redis is reachable again/).length === 2, 'word that it is back');
  // One that holds still does not hold up a stop.
  redis.signal('SIGSTOP');
  assert.equal(await server.stop(), 0);
  assert.equal(lines(/Redis is reachable again/).length, 2, server.output());
  assert.equal(lines(/"level":(50|60)/).length, 2, server.output());
});

/** What needs Redis is refused; what does not goes on. */
async function checkWhileAway(t: TestContext, server: TestServer, stream: StreamReader): Promise<void> {
  const { status, headers } = await server.api('/v1/sites');
  assert.deepEqual([status, headers.get('retry-after')], [503, '2']);
  const upgrade = await exchange(t, server.url, UPGRADE);
  assert.match(upgrade, /^HTTP\/1\.1 503 .*"unavailable"/s);
  for (const path of ['/readyz', '/healthz', '/fieldmouse.js'])
    assert.equal((await fetch(server.url + path)).status, 200, path);
  // Streams are checked once a second, just after this.
  stream.events.length = 0;
  for (let i = 0; i < 2; i++) await stream.next('rates');
}

const UPGRADE = [
  'GET /v1/visit?site=demo HTTP/1.1',
  'Host: x',
  'Connection: Upgrade',
  'Upgrade: websocket',
  'Sec-WebSocket-Version: 13',
  'Sec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==',
  '\r\n',
].join('\r\n');

/** The command line in a process of its own, which is to say no. What it prints. */
async function refused(...args: string[]): Promise<string> {
  const child = spawnMain(args);
  const [out, err, [code]] = await Promise.all([
    text(child.stdout as NodeJS.ReadableStream),
    text(child.stderr as NodeJS.ReadableStream),
    once(child, 'exit') as Promise<[number]>,
  ]);
  assert.deepEqual([out, code], ['', 1], err);
  return err;
}

test('an unusable Redis is reported in one line that never shows a password', async (t) => {
  const redis = await startRedis(t, ['--requirepass', 'secret-one']);
  const url = (password: string, port: number) => `redis://:${password}@127.0.0.1:${port}`;
  const data = temporaryFolder(t);
  const start = (where: string) => refused('start', '--listen', 'tcp://127.0.0.1:0', '--data', data, '--redis', where);
  const free = await freePort();
  const [wrong, absent, listed] = await Promise.all([
    start(url('secret-two', redis.port)),
    start(url('secret-two', free)),
    refused('admin', 'list', '--redis', url('secret-two', redis.port)),
  ]);
  for (const line of [wrong, listed])
    assert.match(line, /^fieldmouse: Redis at 127\.0\.0\.1:\d+ says: WRONGPASS [^\n]*\n$/);
  assert.match(absent, /^fieldmouse: Redis at 127\.0\.0\.1:\d+ does not answer: connect ECONNREFUSED [^\n]*\n$/);
  for (const line of [wrong, absent, listed]) assert.ok(!line.includes('secret-'), line);
});

test('a server rejects a Redis that may evict acked data', async (t) => {
  const redis = await startRedis(t, ['--maxmemory-policy', 'allkeys-lru']);
  await assert.rejects(openStore(configOf(redis, temporaryFolder(t)), { isServer: true }), {
    code: 'unsafe',
    message: `Redis at 127.0.0.1:${redis.port} evicts data when its memory is full (maxmemory-policy allkeys-lru); set maxmemory-policy noeviction`,
  });
});

test('a server logs what an ack guarantees with the settings of Redis', async (t) => {
  const redis = await startRedis(t);
  const said = async (...flags: string[]) => {
    const lines: string[] = [];
    const write = (first: unknown, second?: string) => void lines.push(second ?? String(first));
    const log = { debug: write, info: write, warn: write, error: write };
    await (await openStore(configOf(redis, temporaryFolder(t), ...flags), { log, isServer: true })).close();
    return lines;
  };
  assert.deepEqual(await said(), ['Redis has frames on disk before they are acked (appendfsync always)']);
  assert.match(
    (await said('--redis-replicas', '1')).join('\n'),
    /\nRedis has 0 replicas, but --redis-replicas requires 1: nothing/,
  );
  redis.cli('config', 'set', 'appendfsync', 'everysec');
  assert.match(
    (await said()).join('\n'),
    /^Redis writes its file to the disk once a second .* up to a second .* is lost/,
  );
  redis.cli('config', 'set', 'appendfsync', 'no');
  assert.match((await said()).join('\n'), /^Redis lets the operating system decide/);
  redis.cli('acl', 'setuser', 'default', '-config');
  assert.match((await said()).join('\n'), /^Redis does not say when its file reaches the disk/);
  redis.cli('acl', 'setuser', 'default', '+config');
  redis.cli('config', 'set', 'appendonly', 'no');
  assert.match(
    (await said()).join('\n'),
    /^Redis keeps its data in memory only .* redis-cli CONFIG SET appendonly yes/,
  );
});

function configOf({ url }: Pick<RedisServer, 'url'>, data: string, ...flags: string[]) {
  return readConfig(['--redis', url, '--data', data, ...flags], {}).config;
}

const RIGHTS = '~fm:* &fm:* +@all -@admin -@dangerous +info +config|get';

test('commands work on Redis, and report what only Redis has', async (t) => {
  const redis = await startRedis(t);
  // The user that docs/redis.md names.
  redis.cli('acl', 'setuser', 'app', 'on', '>p@ss/word', ...RIGHTS.split(' '));
  const url = redis.url.replace('//', '//app:p%40ss%2Fword@');
  const command = (line: string) => run(t, line, url);
  await (await openStore(configOf({ url }, temporaryFolder(t)), { create: true })).close();
  assert.match(
    (await command('admin add ada --listen tcp://0.0.0.0:8080')).out,
    /http:\/\/localhost:8080\/admin\/link\//,
  );
  assert.match((await command('admin list')).out, /^ada /m);
  assert.match((await command('token add ci')).out, /fm_[0-9a-f]{12}_/);
  assert.equal((await command('site add shop --name Shop --origin https://a.example')).code, 0);
  const store = await openStore(configOf({ url }, temporaryFolder(t)), { isServer: true });
  t.after(() => store.close());
  for (let i = 0; i < 3; i++) await store.hit('shop', '/pots');
  assert.match((await command('hits list')).out, /^shop +3 +\/pots$/m);
  assert.equal((await command('hits remove shop/pots --yes')).code, 0);
  assert.deepEqual(await store.allHits(), []);
  assert.match((await command('audit')).out, /hits-removed/);
  assert.equal((await command('site remove shop --yes')).code, 0);
  for (const line of ['backup x', 'restore x']) {
    const { code, out, err } = await command(line);
    assert.deepEqual([code, out], [1, '']);
    assert.match(
      err,
      /^fieldmouse: with --redis there is no store file: use Redis persistence \(RDB, AOF\), or fieldmouse (ex|im)port[^\n]*$/,
    );
  }
});

test('a full Redis rejects additions and accepts removals', async (t) => {
  const redis = await startRedis(t);
  const store = await openStore(configOf(redis, temporaryFolder(t)), { create: true });
  t.after(() => store.close());
  await store.addAdmin('ada', 1);
  const { secret, session } = (await store.addSession('ada', '', 1)) ?? assert.fail();
  redis.cli('config', 'set', 'maxmemory', '100kb');
  await assert.rejects(store.addToken('ci', 1), { name: 'StoreError', code: 'full' });
  await assert.rejects(store.hit('demo', '/'), { name: 'StoreError', code: 'full' });
  assert.equal((await store.session(secret, 10 * 60_000))?.id, session.id);
  assert.equal(await store.removeSession(session.id, { at: 2, who: 'ada', what: 'session-ended', on: 'ada' }), true);
  assert.equal(await store.removeSite('demo', 2), true);
});

test('a store of a later version is rejected, and the wait for a suspended Redis is bounded', async (t) => {
  const redis = await startRedis(t);
  const config = configOf(redis, temporaryFolder(t));
  const store = await openStore(config, { create: true });
  t.after(() => store.close());
  redis.cli('hset', 'fm:{fm}:meta', 'format', '99');
  await assert.rejects(openStore(config), {
    code: 'newer-store',
    message: /^Redis at \S+ was written by a later version/,
  });
  await redis.end();
  const away = (error: unknown) => error instanceof StoreError && error.code === 'unreachable';
  await until(() => store.sites().then(() => false, away), 'refusal');
  for (const ask of [
    () => store.site('demo'),
    () => store.note({ at: 1, who: 'ada', what: 'signed-in', on: '' }),
    () => store.hit('demo', '/'),
    () => store.hits('demo', '/'),
    () => store.countAttempt([{ kind: 'name', value: 'ada', limit: 1, window: 1000 }], 1),
    () => store.audit({ limit: 1 }),
  ])
    await assert.rejects(ask, away);
});

test('a store that Redis has lost is not written to, nor is another store in its place', async (t) => {
  const redis = await startRedis(t);
  const config = configOf(redis, temporaryFolder(t));
  const before = await openStore(config, { create: true });
  t.after(() => before.close());
  await before.addAdmin('ada', 1);
  redis.cli('flushall');
  const note = () => before.note({ at: 1, who: 'ada', what: 'signed-in', on: '' });
  await assert.rejects(note, { code: 'unreachable', message: /^Redis at \S+ has lost its data/ });
  await assert.rejects(before.site('demo'), { code: 'unreachable' });
  await assert.rejects(before.admins(), { code: 'unreachable' });
  await assert.rejects(before.hit('demo', '/'), { code: 'unreachable' });
  await assert.rejects(openStore(config, { id: await before.id() }), { code: 'unreachable', message: /lost its data/ });
  assert.equal(redis.cli('dbsize').trim(), '0');

  const after = await openStore(config, { create: true });
  t.after(() => after.close());
  assert.deepEqual(
    (await after.sites()).map(({ key }) => key),
    ['demo'],
  );
  assert.notEqual(await after.id(), await before.id());
  await until(
    () =>
      note().then(
        () => assert.fail('written'),
        ({ message }: Error) => message.includes(' holds another store '),
      ),
    'refusal',
  );
  await assert.rejects(before.site('demo'), { code: 'unreachable', message: /holds another store/ });
  assert.deepEqual((await after.audit({ limit: 9 })).items, []);
});

test('--require-persistence rejects a Redis that stores data in memory only', async (t) => {
  const redis = await startRedis(t, ['--appendonly', 'no']);
  const config = configOf(redis, temporaryFolder(t), '--require-persistence');
  await assert.rejects(openStore(config, { isServer: true }), { code: 'unsafe', message: /CONFIG SET appendonly yes/ });
  redis.cli('config', 'set', 'appendonly', 'yes');
  await (await openStore(config, { isServer: true })).close();
});

test('Redis stores no secret and no address in plain text, and drops expired counters', async (t) => {
  const redis = await startRedis(t);
  const store = await openStore(configOf(redis, temporaryFolder(t)), { create: true });
  await store.addAdmin('ada', 1);
  const link = (await store.addLink('ada', 1)) as string;
  const session = (await store.addSession('ada', '', 1))?.secret as string;
  const { secret } = await store.addToken('ci', 1);
  await store.countAttempt([{ kind: 'address', value: '192.0.2.123', limit: 5, window: 300 }], 1);
  await store.close();
  const counter = redis.cli('--scan', '--pattern', 'fm:{fm}:address:*').trim();
  assert.match(counter, /:address:[0-9a-f]{4}$/);
  const kept = ['links', 'sessions', 'tokens', 'audit', 'admins'].map((name) =>
    name === 'audit' ? redis.cli('zrange', 'fm:{fm}:audit', '0', '-1') : redis.cli('hgetall', `fm:{fm}:${name}`),
  );
  assert.match(kept.join('\n'), /"name":"ada"/);
  for (const text of [link, session, secret, secret.slice(-43), '192.0.2.123'])
    assert.ok(!kept.join('\n').includes(text));
  await until(() => redis.cli('exists', counter).trim() === '0', 'end of the counter');
});
