/**
 * What is forbidden without rights: every route of the API and every page. sign-in.test.ts tests how rights are gained
 * and lost.
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import { WebSocket } from 'ws';
import { startHttp } from './support/http.ts';
import { exchange } from './support/raw.ts';
import { startServer, TOKEN } from './support/server.ts';
import { StreamReader } from './support/stream.ts';

/** What anybody may ask: signs of life, what visitors need, and the door. */
const OPEN = [
  // On this machine; metrics.test.ts has the rest.
  'get /metrics',
  'get /healthz',
  'get /readyz',
  'post /v1/visit',
  'get /v1/hits/{*}',
  'post /v1/hits/{*}',
  'post /v1/session',
  'post /v1/session/link',
];

/** Every other route that the server describes, with something in place of each parameter. */
async function closedRoutes(url: string): Promise<[method: string, path: string][]> {
  const { paths } = (await (await fetch(`${url}/v1/openapi.json`)).json()) as { paths: Record<string, object> };
  const routes = Object.entries(paths).flatMap(([path, methods]) =>
    Object.keys(methods).map((method): [string, string] => [method, path]),
  );
  const closed = routes.filter(([method, path]) => !OPEN.includes(`${method.replace('head', 'get')} ${path}`));
  return closed.map(([method, path]) => [method.toUpperCase(), path.replaceAll(/\{[^}]*\}/g, 'x')]);
}

test('without a session or token every administrator route answers 401, whatever is requested', async (t) => {
  const server = await startServer(t, { workers: 1 });
  const routes = await closedRoutes(server.url);
  t.diagnostic(`${routes.length} routes`);
  assert.ok(routes.length > 20);
  const wrong: Record<string, string>[] = [
    {},
    { cookie: 'fieldmouse=x' },
    { cookie: `fieldmouse=${'A'.repeat(43)}; __Host-fieldmouse=${'A'.repeat(43)}` },
    { authorization: 'Bearer ' },
    { authorization: `Bearer ${TOKEN}x` },
    { authorization: `Bearer ${TOKEN.slice(0, -1)}` },
    { authorization: `Basic ${btoa(`a:${TOKEN}`)}` },
    { authorization: `Bearer fm_0123456789ab_${'A'.repeat(43)}` },
  ];
  for (const headers of wrong)
    for (const [method, path] of routes) {
      const response = await fetch(`${server.url}${path}?site=demo`, { method, headers });
      await response.body?.cancel();
      assert.equal(response.status, 401, `${method} ${path} ${JSON.stringify(headers)}`);
    }
});

test('a revoked token and a revoked session open no route', async (t) => {
  const { url, api, ask, signIn } = await startHttp(t);
  const routes = await closedRoutes(url);
  const cookie = await signIn();
  const made = (await (await api('POST', '/v1/tokens', { name: 'reader' })).json()) as { id: string; secret: string };
  const authorization = `Bearer ${made.secret}`;
  const statuses = async (headers: Record<string, string>) =>
    Promise.all(
      routes.map(async ([method, path]) => {
        const response = await fetch(`${url}${path}?site=none`, { method, headers });
        await response.body?.cancel();
        return response.status;
      }),
    );
  assert.ok(!(await statuses({ authorization })).includes(401));
  const { sessions } = (await (await api('GET', '/v1/sessions')).json()) as { sessions: { id: string }[] };
  assert.equal((await ask('GET', '/v1/session', { cookie })).status, 200);
  await api('DELETE', `/v1/sessions/${sessions[0]?.id}`);
  await api('DELETE', `/v1/tokens/${made.id}`);
  for (const headers of [{ authorization }, { cookie }])
    assert.deepEqual([...new Set(await statuses(headers))], [401], JSON.stringify(headers));
});

test('a page whose host name was pointed at this machine cannot read metrics', async (t) => {
  const { url } = await startHttp(t);
  const ask = async (host: string) =>
    (await exchange(t, url, `GET /metrics HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`)).slice(0, 12);
  for (const host of ['evil.example', '127.0.0.1.evil.example', 'localhost.evil.example:2112', '', 'x@127.0.0.1'])
    assert.match(await ask(host), /^HTTP\/1\.1 40[01]$/, host);
  for (const host of ['localhost', '127.0.0.1:2112', '[::1]:2112']) assert.equal(await ask(host), 'HTTP/1.1 200', host);
});

test('every page of the dashboard is the same file for everybody, and contains no data', async (t) => {
  const { ask } = await startHttp(t);
  const paths = ['', '/', '/visits', '/visits/x', '/pages', '/heatmap', '/settings', '?site=demo', '/%76isits'];
  const file = await (await ask('GET', '/admin/sign-in')).text();
  for (const path of paths)
    for (const cookie of ['', 'fieldmouse=x', `fieldmouse=${'A'.repeat(43)}`]) {
      const response = await ask('GET', `/admin${path}`, { cookie });
      assert.deepEqual([response.status, await response.text()], [200, file], path);
    }
});

test('the live stream and a replay end within seconds after their token is revoked', async (t) => {
  const server = await startServer(t);
  const made = await server.api('/v1/tokens', {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: '{"name":"reader"}',
  });
  const { id, secret } = (await made.json()) as { id: string; secret: string };
  const by = { url: server.url, token: secret };
  const live = await StreamReader.open(t, by, { site: 'demo' });
  const from = String(Date.now() - 3_600_000);
  const replay = await StreamReader.open(t, by, { site: 'demo', from, speed: '60' }, {}, '/v1/replay');
  await live.next('snapshot');
  await server.api(`/v1/tokens/${id}`, { method: 'DELETE' });
  await Promise.all([live.ended, replay.ended]);
  assert.ok(replay.events.every(({ name }) => name !== 'end'));
});

test('a page of a foreign origin gets no WebSocket and no visit, and can read only that it is rejected', async (t) => {
  const server = await startServer(t, { workers: 1 });
  const port = new URL(server.url).port;
  const origins = [
    'https://evil.example',
    'null',
    `http://127.0.0.1:${port}.evil.example`,
    `http://127.0.0.1:1${port}`,
    `http://127.0.0.1:${port}@evil.example`,
    `http://evil.example/127.0.0.1:${port}`,
    `ftp://127.0.0.1:${port}`,
    'self',
    '',
  ];
  for (const origin of origins.filter(Boolean)) {
    const socket = new WebSocket(`${server.ws}/v1/visit?site=demo&page=/`, ['json'], { origin });
    const [, response] = await once(
      socket.on('error', () => {}),
      'unexpected-response',
    );
    assert.equal(response.statusCode, 403, origin);
    response.destroy();
    const posted = await fetch(`${server.url}/v1/visit?site=demo&page=/`, {
      method: 'POST',
      body: '{"x":1,"y":1}',
      headers: { origin, 'content-type': 'application/json' },
    });
    assert.deepEqual([posted.status, posted.headers.get('access-control-allow-origin')], [403, '*'], origin);
    assert.equal(((await posted.json()) as { code: string }).code, 'origin-not-allowed', origin);
    const api = await server.api('/v1/sites', { headers: { origin } });
    assert.equal(api.headers.get('access-control-allow-origin'), null, origin);
  }
});

test("a page of another site changes nothing through any route with a signed-in user's cookie", async (t) => {
  const { url, signIn } = await startHttp(t);
  const cookie = await signIn();
  const routes = (await closedRoutes(url)).filter(([method]) => method !== 'GET' && method !== 'HEAD');
  routes.push(['POST', '/v1/session'], ['POST', '/v1/session/link']);
  const foreign: Record<string, string>[] = [
    { 'sec-fetch-site': 'cross-site' },
    { 'sec-fetch-site': 'same-site' },
    { 'sec-fetch-site': 'none' },
    { origin: 'https://evil.example' },
    { origin: 'null' },
    { origin: `${url}.evil.example` },
    { 'sec-fetch-site': 'cross-site', origin: url },
  ];
  for (const headers of foreign)
    for (const [method, path] of routes) {
      const response = await fetch(url + path, { method, headers: { ...headers, cookie } });
      assert.deepEqual(
        [response.status, ((await response.json()) as { code: string }).code],
        [403, 'cross-site'],
        `${method} ${path} ${JSON.stringify(headers)}`,
      );
    }
});
