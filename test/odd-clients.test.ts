/**
 * Clients that differ from browsers: extra parameters, two Host headers, health checks by OPTIONS, byte order marks.
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { networkInterfaces } from 'node:os';
import { type TestContext, test } from 'node:test';
import WebSocket from 'ws';
import type { StreamRequest } from '../src/protocol/ipc.ts';
import { freePort } from './support/free-port.ts';
import { codeOf, startHttp } from './support/http.ts';
import { FILE } from './support/owner.ts';
import { exchange, statuses, upgradeText } from './support/raw.ts';
import { spawnMain, startServer, TOKEN, temporaryFolder } from './support/server.ts';

const server = await startServer(FILE, { workers: 1 });

const bearer = { authorization: `Bearer ${TOKEN}` };
const END = 'Connection: close\r\n\r\n';

test('streams ignore unknown parameters, and accept the last id under each name that readers use', async (t) => {
  const asked: StreamRequest[] = [];
  const { ask } = await startHttp(t, {
    openStream: (request, socket) => {
      asked.push(request);
      socket.end('HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n');
    },
  });
  const queries = [
    '_=1790000000000',
    '_=1&_=2',
    'lastEventId=a-5',
    'last-event-id=a-6',
    'lastEventId=1&lastEventId=2',
    '__proto__=x',
  ];
  for (const query of queries)
    assert.equal((await ask('GET', `/v1/stream?site=demo&${query}`, { headers: bearer })).status, 200, query);
  assert.deepEqual(
    asked.map(({ lastEventId }) => lastEventId),
    [null, null, 'a-5', 'a-6', null, null],
  );
  const replay = `/v1/replay?site=demo&from=1000&to=2000&speed=0&_=1`;
  assert.match(await (await ask('GET', replay, { headers: bearer })).text(), /event: end/);
  assert.equal((await ask('GET', `${replay}&lastEventId=2000`, { headers: bearer })).status, 204);
  // What they do know is still checked.
  assert.equal((await ask('GET', '/v1/stream?site=demo&moves=all&_=1', { headers: bearer })).status, 400);
});

test('a request with two Host headers, or none, is rejected on every path into the server', async (t) => {
  const { url } = server;
  const upgrade = (name: string) => `Upgrade: ${name}\r\nConnection: Upgrade\r\n`;
  const socket = `${upgrade('websocket')}Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: MDAwMDAwMDAwMDAwMDAwMA==\r\n`;
  const ways: [path: string, fields: string][] = [
    ['GET /healthz', ''],
    ['GET /', ''],
    ['GET /nothing', ''],
    ['GET /v1/hits/a?site=demo', ''],
    ['POST /v1/hits/a?site=demo', 'Content-Length: 0\r\n'],
    ['GET /v1/stream?site=demo', `Authorization: Bearer ${TOKEN}\r\n`],
    ['GET /v1/visit?site=demo', socket],
    ['GET /healthz', upgrade('h2c')],
  ];
  for (const [way, fields] of ways)
    for (const hosts of ['Host: a.example\r\nHost: b.example\r\n', 'host: a\r\nHOST: a\r\n', '']) {
      const answer = await exchange(
        t,
        url,
        `${way} HTTP/1.1\r\n${hosts}${fields}${fields.includes('Upgrade') ? '\r\n' : END}`,
      );
      assert.deepEqual(statuses(answer), [400], `${way} ${hosts}`);
      assert.match(answer, /application\/problem\+json/);
    }
  assert.deepEqual(statuses(await exchange(t, url, 'GET /healthz HTTP/1.0\r\n\r\n')), [200]);
});

test('OPTIONS answers that the server is alive, and which methods a path accepts', async (t) => {
  const { url } = server;
  for (const request of [
    'OPTIONS / HTTP/1.0\r\n\r\n',
    `OPTIONS / HTTP/1.1\r\nHost: x\r\n${END}`,
    `OPTIONS * HTTP/1.1\r\nHost: x\r\n${END}`,
  ]) {
    const answer = await exchange(t, url, request);
    assert.deepEqual(statuses(answer), [204], request);
    assert.match(answer, /\r\nallow: GET, HEAD, OPTIONS\r\n/i);
    assert.doesNotMatch(answer, /access-control/i);
  }
  assert.match(
    await exchange(t, url, `OPTIONS /v1/tokens HTTP/1.1\r\nHost: x\r\nOrigin: http://a\r\n${END}`),
    /allow: GET, HEAD, OPTIONS, POST/i,
  );
  const takes: [path: string, allow: RegExp][] = [
    ['/nothing', /allow: GET, HEAD, OPTIONS\r/i],
    ['/nothing/at?all=1', /allow: GET, HEAD, OPTIONS\r/i],
    ['/v1/visit', /allow: POST, OPTIONS\r/i],
    ['/v1/visit?site=unknown', /allow: POST, OPTIONS\r/i],
    ['/v1/hits/x', /allow: GET, HEAD, POST, OPTIONS\r/i],
    ['/v1/hits/x?site=unknown', /allow: GET, HEAD, POST, OPTIONS\r/i],
  ];
  for (const [path, allow] of takes) {
    const answer = await exchange(t, url, `OPTIONS ${path} HTTP/1.1\r\nHost: x\r\n${END}`);
    assert.deepEqual(statuses(answer), [204], path);
    assert.match(answer, allow);
    assert.doesNotMatch(answer, /access-control-allow-origin/i);
  }
  // Preflights of pages of unknown sites are refused.
  const preflight = (path: string) =>
    exchange(t, url, `OPTIONS ${path}?site=unknown HTTP/1.1\r\nHost: x\r\nOrigin: http://a\r\n${END}`);
  assert.deepEqual(statuses(await preflight('/v1/visit')), [403]);
  assert.deepEqual(statuses(await preflight('/v1/hits/x')), [404]);
  assert.deepEqual(statuses(await exchange(t, url, `DELETE / HTTP/1.1\r\nHost: x\r\n${END}`)), [405]);
});

test('an unknown version of HTTP and an invalid target are rejected on every path into the server', async (t) => {
  const { url } = server;
  const upgrade = upgradeText('*');
  const cases: [bytes: string, status: number][] = [
    [`GET * HTTP/1.1\r\nHost: x\r\n${END}`, 400],
    [`POST * HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n${END}`, 400],
    [`OPTIONS *x HTTP/1.1\r\nHost: x\r\n${END}`, 400],
    [upgrade, 400],
    [upgrade.replace('websocket', 'h2c'), 400],
    [`GET / HTTP/2.0\r\nHost: x\r\n${END}`, 505],
    [`GET /v1/hits/x HTTP/2.0\r\nHost: x\r\n${END}`, 505],
    [`GET / HTTP/3.0\r\nHost: x\r\n${END}`, 505],
    [upgradeText().replace('HTTP/1.1', 'HTTP/2.0'), 505],
  ];
  for (const [bytes, status] of cases) {
    const answer = await exchange(t, url, bytes);
    assert.deepEqual(statuses(answer), [status], bytes);
    assert.match(answer, /application\/problem\+json/);
  }
});

test('an invalid handshake is answered with a problem', async (t) => {
  const { url } = server;
  const key = 'Sec-WebSocket-Key: MDAwMDAwMDAwMDAwMDAwMA==\r\n';
  const version = 'Sec-WebSocket-Version: 13\r\n';
  const cases: [method: string, fields: string, status: number, told: RegExp][] = [
    ['GET', version, 400, /Sec-WebSocket-Key/],
    ['GET', `${version}Sec-WebSocket-Key: short\r\n`, 400, /Sec-WebSocket-Key/],
    ['GET', key, 426, /\r\nSec-WebSocket-Version: 13, 8\r\n/],
    ['GET', `${key}Sec-WebSocket-Version: 99\r\n`, 426, /\r\nSec-WebSocket-Version: 13, 8\r\n/],
    ['POST', version + key, 405, /\r\nAllow: GET\r\n/],
    ['GET', `${version}${key}Sec-WebSocket-Protocol: json,\r\n`, 400, /Sec-WebSocket-Protocol/],
  ];
  for (const [method, fields, status, told] of cases) {
    const head = `${method} /v1/visit?site=demo HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n`;
    const answer = await exchange(t, url, `${head}${fields}\r\n`);
    assert.deepEqual(statuses(answer), [status], fields);
    assert.match(answer, /Content-Type: application\/problem\+json/);
    assert.match(answer, told);
    assert.equal(JSON.parse(answer.slice(answer.indexOf('\r\n\r\n') + 4)).status, status);
  }
  const other = await exchange(
    t,
    url,
    'POST /healthz HTTP/1.1\r\nHost: x\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n',
  );
  assert.match(other, /^HTTP\/1\.1 501 .*problem\+json/s);
});

test('JSON may start with a byte order mark', async (t) => {
  const made = await server.api('/v1/tokens', {
    method: 'POST',
    body: '\ufeff{"name":"marked"}',
    headers: { 'content-type': 'application/json' },
  });
  assert.equal(made.status, 201);
  const posted = await fetch(`${server.url}/v1/visit?site=demo&page=/`, {
    method: 'POST',
    body: '\ufeff[{"x":1,"y":2}]',
    headers: { 'content-type': 'application/json' },
  });
  assert.equal(posted.status, 200, await posted.text());
  const socket = new WebSocket(`${server.ws}/v1/visit?site=demo&page=/`, 'json');
  await once(socket, 'open');
  t.after(() => socket.terminate());
  socket.send('\ufeff{"x":1,"y":2}');
  socket.ping();
  // What is wrong is closed before.
  assert.equal(await Promise.race([once(socket, 'pong').then(() => 'open'), once(socket, 'close')]), 'open');
});

const hasIpv6 = Object.values(networkInterfaces()).some((list) => list?.some(({ address }) => address === '::1'));

async function fault(t: TestContext, ...addresses: string[]): Promise<string> {
  const flags = addresses.flatMap((address) => ['--listen', address]);
  const child = spawnMain([...flags, '--data', temporaryFolder(t), '--workers', '1']);
  let text = '';
  child.stderr?.on('data', (chunk) => {
    text += chunk;
  });
  await once(child, 'exit');
  return text;
}

test('the server can listen on all of IPv4 and all of IPv6 together', { skip: !hasIpv6 }, async (t) => {
  for (const [first, second] of [
    ['0.0.0.0', '[::]'],
    ['[::]', '127.0.0.1'],
  ] as const) {
    const port = await freePort('::');
    await startServer(t, {
      workers: 1,
      listen: `tcp://${first}:${port}`,
      flags: ['--listen', `tcp://${second}:${port}`],
    });
    for (const host of ['127.0.0.1', '[::1]'])
      assert.equal((await fetch(`http://${host}:${port}/healthz`)).status, 200, `${host} of ${first} ${second}`);
  }
  const alone = await freePort('::');
  await startServer(t, { listen: `tcp://[::]:${alone}`, workers: 1 });
  assert.equal((await fetch(`http://127.0.0.1:${alone}/healthz`)).status, 200);
});

test('conflicting addresses are named as the reason', async (t) => {
  const port = await freePort('::');
  const told = await fault(t, `tcp://0.0.0.0:${port}`, `tcp://127.0.0.1:${port}`);
  assert.match(told, new RegExp(`tcp://\\S+:${port} cannot be used together with tcp://\\S+:${port}`));
});

test('parameters that other services add to an address are ignored', async (t) => {
  const { ask } = await startHttp(t);
  const added = '_=1&_=2&utm_source=mail&utm_campaign=a&fbclid=x&gclid=y&cb=3';
  for (const path of [
    '/v1/visits?site=demo',
    '/v1/pages?site=demo',
    '/v1/heatmap?site=demo&page=/',
    '/v1/heatmap.png?site=demo&page=/',
    '/v1/audit?limit=1',
    '/v1/replay?site=demo&from=1000&to=2000&speed=0',
    '/v1/sites?',
  ])
    assert.equal((await ask('GET', `${path}&${added}`, { headers: bearer })).status, 200, path);
  const passages = await ask('GET', `/v1/visits/none/passages?${added}`, { headers: bearer });
  assert.equal(await codeOf(passages), 'unknown-visit');
});

test('an unknown parameter elsewhere is still rejected', async (t) => {
  const { ask } = await startHttp(t);
  const answer = await ask('GET', '/v1/visits?site=demo&form=1', { headers: bearer });
  assert.equal(answer.status, 400);
  assert.equal(await codeOf(answer), 'bad-request');
});
