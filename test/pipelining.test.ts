/** Pipelined requests on one connection: no response overtakes an earlier one. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { type TestContext, test } from 'node:test';
import { PipelineLimit } from '../src/http/pipeline-limit.ts';
import { afterAnswers, noteAnswer } from '../src/http/response-order.ts';
import { openLmdbStore } from '../src/store/lmdb/lmdb-store.ts';
import { storePassword } from './support/http.ts';
import { FILE } from './support/owner.ts';
import { answerOf, exchange, openRaw, statuses, upgradeText } from './support/raw.ts';
import { startServer, TOKEN, temporaryFolder } from './support/server.ts';

/**
 * A request that checks a password, which takes time; the response is 401. Each has another address and name, because
 * wrong attempts are limited.
 */
function slow(fields = ''): string {
  count += 1;
  assert.ok(count <= MOST_SLOW, 'an unknown name takes 0.2 s of CPU');
  const body = JSON.stringify({ name: `nobody-${count}`, password: 'a long enough one' });
  return (
    `POST /v1/session HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nX-Forwarded-For: 203.0.113.${count}\r\n` +
    `Content-Length: ${body.length}\r\n${fields}\r\n${body}`
  );
}
let count = 0;
const MOST_SLOW = 40;

const PROXY = ['--trust-proxy', '127.0.0.1'];
const server = await startServer(FILE, { workers: 1, flags: PROXY, data: await withNames() });
const STREAM = `GET /v1/stream?site=demo HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${TOKEN}\r\n\r\n`;
const GET = 'GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n';
const expecting = (what: string) => `GET /healthz HTTP/1.1\r\nHost: x\r\nExpect: ${what}\r\n\r\n`;
const h2c = (method: string) => `${method} /healthz HTTP/1.1\r\nHost: x\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n`;

/** A data folder that knows the names of slow requests. Their passwords take little CPU to check. */
async function withNames(): Promise<string> {
  const data = temporaryFolder(FILE);
  const store = await openLmdbStore(data, { durability: 'system' });
  for (let no = 1; no <= MOST_SLOW; no++) {
    await store.addAdmin(`nobody-${no}`, Date.now());
    await storePassword(store, `nobody-${no}`, 'another long one');
  }
  await store.close();
  return data;
}

/** Reads until the text has what is looked for, or the connection ends. */
async function readUntil(socket: Socket, pattern: RegExp): Promise<string> {
  let text = '';
  socket.setEncoding('latin1');
  for await (const chunk of socket) {
    text += chunk;
    if (pattern.test(text)) break;
  }
  return text;
}

async function sent(t: TestContext, url: string, bytes: string): Promise<Socket> {
  const socket = await openRaw(t, url);
  socket.write(bytes, 'latin1');
  return socket;
}

test('an upgrade is handled after the responses before it', async (t) => {
  const { url } = server;
  const followers: [name: string, follower: string, until: RegExp, expected: number[]][] = [
    ['a stream', STREAM, /event: snapshot/, [401, 200]],
    ['a WebSocket', upgradeText(), /101 Switching/, [401, 101]],
    ['a refused WebSocket', upgradeText('/v1/visit?site=none'), /never/, [401, 404]],
    ['an upgrade that is passed over', h2c('GET'), /never/, [401, 200]],
    ['one that cannot be', h2c('POST'), /never/, [401, 501]],
    ['what is no request', 'nonsense\r\n\r\n', /never/, [401, 400]],
    ['a request for a tunnel', 'CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n', /never/, [401, 405]],
    ['an unknown expectation', expecting('x'), /never/, [401, 417]],
    ['a request with two hosts', 'GET /healthz HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n', /never/, [401, 400]],
  ];
  for (const [name, follower, until, expected] of followers) {
    const text = await readUntil(await sent(t, url, slow() + follower), until);
    assert.deepEqual(statuses(text), expected, name);
    const many = await readUntil(await sent(t, url, slow() + GET + follower), until);
    assert.deepEqual(statuses(many), [401, 200, ...expected.slice(1)], name);
  }
  // Nothing of this ends the worker.
  assert.ok(!server.output().includes('worker died'));
});

test('requests for a tunnel and requests with an unknown expectation are answered with a problem', async (t) => {
  const { url } = server;
  const tunnel = await exchange(t, url, 'CONNECT a.example:443 HTTP/1.1\r\nHost: a.example:443\r\n\r\n');
  assert.match(tunnel, /^HTTP\/1\.1 405 .*\r\nAllow: .*application\/problem\+json.*"code":"bad-method"/s);
  const expectation = await exchange(t, url, expecting('200-ok'));
  assert.match(expectation, /^HTTP\/1\.1 417 .*application\/problem\+json.*"code":"bad-expectation"/s);
});

test('up to 100 pipelined requests may wait: all are answered, then the one above the limit is rejected', async (t) => {
  const { url } = server;
  const text = await exchange(t, url, GET.repeat(1500));
  assert.deepEqual(statuses(text), [...Array(100).fill(200), 429]);
  assert.match(text, /"code":"too-many-requests"/);
  // The first one takes its time, and more comes meanwhile.
  const socket = await sent(t, url, slow() + GET.repeat(60));
  socket.write(GET.repeat(60));
  socket.write(GET.repeat(1000));
  assert.deepEqual(statuses(await answerOf(socket)), [401, ...Array(99).fill(200), 429]);
  assert.deepEqual(
    statuses(await exchange(t, url, GET.repeat(99) + GET.replace('\r\n\r\n', '\r\nConnection: close\r\n\r\n'))).length,
    100,
  );
});

test('only a few of the requests that wait are handled at a time, in order', async (t) => {
  const handled: { path: string | undefined; response: ServerResponse }[] = [];
  const limit = new PipelineLimit(6, 2);
  const local = createServer((request, response) => {
    if (limit.enter(request, response) !== 'taken') response.writeHead(429).end();
    else
      limit.whenItsTurn(request, () => {
        handled.push({ path: request.url, response });
        local.emit('handled');
      });
  });
  local.listen(0, '127.0.0.1');
  await once(local, 'listening');
  t.after(() => {
    local.closeAllConnections();
    local.close();
  });
  const paths = ['/1', '/2', '/3', '/4', '/5', '/6', '/7', '/8'];
  const text = paths.map((path) => `GET ${path} HTTP/1.1\r\nHost: x\r\n\r\n`).join('');
  const socket = await sent(t, `http://127.0.0.1:${(local.address() as AddressInfo).port}`, text);
  while (handled.length < 2) await once(local, 'handled');
  for (let next = 0; next < 6; next++) {
    assert.equal(handled.length, Math.min(next + 2, 6));
    const more = next < 4 ? once(local, 'handled') : undefined;
    handled[next]?.response.end();
    await more;
  }
  assert.deepEqual(statuses(await answerOf(socket)), [...Array(6).fill(200), 429]);
  assert.deepEqual(
    handled.map(({ path }) => path),
    paths.slice(0, 6),
  );
});

test('a response that closes the connection is the last', async (t) => {
  const { url } = server;
  for (const follower of [STREAM, upgradeText(), h2c('GET'), 'nonsense\r\n\r\n'])
    assert.deepEqual(statuses(await exchange(t, url, slow('Connection: close\r\n') + follower)), [401]);
});

test('a request with an unreadable rest is answered at once, after the requests before it', async (t) => {
  const { url } = server;
  const broken =
    'POST /v1/session HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n';
  assert.deepEqual(statuses(await exchange(t, url, broken)), [400]);
  assert.deepEqual(statuses(await exchange(t, url, slow() + broken)), [401, 400]);
});

test('a long response is written whole before an upgrade after it', async (t) => {
  const { url } = server;
  const { headers } = await fetch(`${url}/admin`);
  const page = Number(headers.get('content-length'));
  const pages = 60;
  const socket = await sent(t, url, 'GET /admin HTTP/1.1\r\nHost: x\r\n\r\n'.repeat(pages) + upgradeText());
  const text = await readUntil(socket, /101 Switching/);
  assert.deepEqual(statuses(text), [...Array<number>(pages).fill(200), 101]);
  assert.ok(text.length > pages * page);
});

/** A server of which the first answer never ends, or ends as `answer` says; `then` is called at the upgrade's turn. */
async function upgradeAfter(t: TestContext, write: (socket: Socket) => void, limitMs: number) {
  const server = createServer((request, response) => {
    noteAnswer(request, response);
    response.write('a beginning');
  });
  const turned: string[] = [];
  server.on('upgrade', (_request, socket) => afterAnswers(socket, () => turned.push('upgrade'), limitMs));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  const socket = await openRaw(t, `http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  write(socket);
  return { socket, turned };
}

test('the wait for a response that never ends is bounded', async (t) => {
  const { socket, turned } = await upgradeAfter(
    t,
    (socket) => socket.write(`GET / HTTP/1.1\r\nHost: x\r\n\r\n${upgradeText()}`),
    200,
  );
  assert.equal(statuses(await answerOf(socket)).length, 1);
  assert.deepEqual(turned, []);
});
