/** Pages, problems, the visitor endpoint and streams over plain HTTP. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { test } from 'node:test';
import { readConfig } from '../src/config/config.ts';
import { DASHBOARD_PAGES } from '../src/model/dashboard-page.ts';
import type { StreamRequest } from '../src/protocol/ipc.ts';
import type { Beacon } from '../src/protocol/post.ts';
import { codeOf, startHttp } from './support/http.ts';
import { TOKEN } from './support/server.ts';

const ADDRESS = 'address:127.0.0.1';
const bearer = { authorization: `Bearer ${TOKEN}` };

/** Sends bytes as they are and resolves with all that comes back until the server closes, a character a byte. */
async function exchange(url: string, text: string): Promise<string> {
  const { hostname, port } = new URL(url);
  const socket = connect(Number(port), hostname);
  const chunks: Buffer[] = [];
  socket.on('data', (chunk) => chunks.push(chunk));
  socket.write(text);
  await once(socket, 'close');
  return Buffer.concat(chunks).toString('latin1');
}

/** An answer without what differs from second to second. */
function undated(answer: string): string {
  return answer.replace(/^Date: .*\r\n/m, '');
}

test('the demo site is at the root, with the script under its configured name', async (t) => {
  const { ask } = await startHttp(t, { flags: ['--script-path', '/mouse/m.js', '--endpoint', '/mouse/in'] });
  for (const path of ['/', '/index.html', '/garden.html']) {
    const page = await ask('GET', path);
    assert.equal(page.status, 200, path);
    assert.match(page.headers.get('content-type') ?? '', /^text\/html/);
    assert.match(await page.text(), /<script defer src="\/mouse\/m\.js">/);
  }
  const style = await ask('GET', '/demo.css');
  assert.match(style.headers.get('content-type') ?? '', /^text\/css/);
  // A frame without an origin of its own must get it.
  assert.equal(style.headers.get('cross-origin-resource-policy'), 'cross-origin');
  const script = await ask('GET', '/mouse/m.js');
  assert.equal(await script.text(), 'var endpoint="/mouse/in";');
  assert.equal((await ask('GET', '/fieldmouse.js')).status, 404);
});

test('any site may load the visitor script, which is compressed and not sent again while unchanged', async (t) => {
  const { ask } = await startHttp(t);
  const tags = new Set<string>();
  for (const [accepted, encoding] of [
    ['br, gzip', 'br'],
    ['gzip', 'gzip'],
    ['br;q=0, gzip', 'gzip'],
    ['identity', null],
  ] as const) {
    const script = await ask('GET', '/fieldmouse.js', { headers: { 'accept-encoding': accepted } });
    assert.equal(script.headers.get('content-encoding'), encoding);
    assert.equal(await script.text(), 'var endpoint="/v1/visit";');
    assert.equal(script.headers.get('cross-origin-resource-policy'), 'cross-origin');
    assert.equal(script.headers.get('access-control-allow-origin'), '*');
    assert.match(script.headers.get('content-type') ?? '', /^text\/javascript/);
    const tag = script.headers.get('etag') as string;
    tags.add(tag);
    const headers = { 'accept-encoding': accepted, 'if-none-match': `"other", W/${tag}` };
    assert.equal((await ask('GET', '/fieldmouse.js', { headers })).status, 304);
  }
  assert.equal(tags.size, 3);
});

test('a static file is answered alike, however its path is spelled', async (t) => {
  const { url } = await startHttp(t);
  const ask = (method: string, path: string, more: string) =>
    exchange(url, `${method} ${path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n${more}\r\n`);
  for (const [path, ...others] of [
    ['/garden.html', '/garden.html?a=b', '/garden.html/', '/%67arden.html', '/garden.html#x'],
    ['/fieldmouse.js', '/fieldmouse.js?v=1', '/fieldmouse.js/', '/fieldmouse%2ejs'],
    ['/admin/sign-in', '/admin/sign-in?', '/admin/sign-in/', '/admin/link/abc'],
  ] as const)
    for (const encoding of ['', 'accept-encoding: gzip\r\n', 'accept-encoding: br\r\n']) {
      const whole = await ask('GET', path, encoding);
      const [, tag] = /^etag: (.*)\r$/m.exec(whole) ?? [];
      for (const [method, more] of [
        ['GET', encoding],
        ['HEAD', encoding],
        ['GET', `${encoding}if-none-match: ${tag}\r\n`],
        ['HEAD', `${encoding}if-none-match: ${tag}\r\n`],
      ] as const) {
        const expected = undated(await ask(method, path, more));
        for (const other of others) assert.equal(undated(await ask(method, other, more)), expected, other);
      }
    }
});

test('HEAD and 304 have the headers of a static file and no body', async (t) => {
  const { url } = await startHttp(t);
  for (const path of ['/', '/fieldmouse.js', '/admin/sign-in', '/admin/link/abc']) {
    const ask = async (method: string, more = '') => {
      const head = `${method} ${path} HTTP/1.1\r\nhost: x\r\naccept-encoding: gzip\r\nconnection: close\r\n${more}\r\n`;
      const [text = '', body] = undated(await exchange(url, head)).split('\r\n\r\n');
      const [status, ...lines] = text.split('\r\n');
      return { status, headers: lines, body };
    };
    const whole = await ask('GET');
    assert.equal(whole.status, 'HTTP/1.1 200 OK');
    assert.ok(whole.headers.includes(`content-length: ${whole.body?.length}`), path);
    assert.deepEqual(await ask('HEAD'), { ...whole, body: '' });
    const tag = whole.headers.find((line) => line.startsWith('etag: '))?.slice('etag: '.length);
    const kept = whole.headers.filter((line) => !/^content-(encoding|type|length):/.test(line));
    for (const name of ['etag', 'cache-control', 'vary'])
      assert.ok(
        kept.some((line) => line.startsWith(`${name}: `)),
        name,
      );
    for (const method of ['GET', 'HEAD'])
      for (const known of [tag, `W/${tag}`, `"other",${tag}`])
        assert.deepEqual(await ask(method, `if-none-match: ${known}\r\n`), {
          status: 'HTTP/1.1 304 Not Modified',
          headers: kept,
          body: '',
        });
    assert.deepEqual(await ask('GET', 'if-none-match: "other"\r\n'), whole);
  }
});

test('an encoding is used only if the client accepts it', async (t) => {
  const { ask } = await startHttp(t);
  for (const [accepted, encoding] of [
    ['', null],
    ['*', null],
    ['deflate', null],
    ['xbr, gzipped', null],
    ['br;q=0', null],
    ['br;q=0.000, gzip;q=0', null],
    ['br ; q=0, gzip; q=0.0 ', null],
    ['br;q=0.001, gzip;q=0', 'br'],
    ['gzip;q=1.0, BR', 'br'],
    ['deflate,gzip;q=0.5,br;q=0', 'gzip'],
    ['br;q=0\t,\tgzip', 'gzip'],
  ] as const)
    for (const path of ['/', '/garden.html/', '/fieldmouse.js']) {
      const file = await ask('GET', path, { headers: { 'accept-encoding': accepted } });
      assert.equal(file.headers.get('content-encoding'), encoding, accepted);
      assert.match(await file.text(), /<script defer|var endpoint/);
    }
});

test('a connection serves static files and routes alternately', async (t) => {
  const { url } = await startHttp(t);
  const paths = ['/', '/healthz', '/fieldmouse.js', '/nothing', '/garden.html'];
  const requests = paths.map((path, i) => {
    const method = path === '/garden.html' ? 'HEAD' : 'GET';
    const last = i === paths.length - 1 ? 'connection: close\r\n' : '';
    return `${method} ${path} HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n${last}\r\nhi`;
  });
  const answers = await exchange(url, requests.join(''));
  assert.deepEqual(
    answers.match(/HTTP\/1\.1 \d+/g),
    [200, 200, 200, 404, 200].map((status) => `HTTP/1.1 ${status}`),
  );
});

test('every kind of response has its security headers', async (t) => {
  const { ask, api } = await startHttp(t);
  const data = {
    'content-security-policy': "default-src 'none';frame-ancestors 'none'",
    'cross-origin-opener-policy': 'same-origin',
    'cross-origin-resource-policy': 'same-origin',
    'referrer-policy': 'no-referrer',
    'x-content-type-options': 'nosniff',
    'x-dns-prefetch-control': 'off',
    'x-download-options': 'noopen',
    'x-frame-options': 'DENY',
    'x-permitted-cross-domain-policies': 'none',
    'x-xss-protection': '0',
  };
  const demo = {
    ...data,
    'content-security-policy':
      "default-src 'self';img-src 'self' data:;base-uri 'none';form-action 'self';frame-ancestors 'self'",
    'referrer-policy': 'strict-origin-when-cross-origin',
    'x-frame-options': 'SAMEORIGIN',
  };
  const dashboard = {
    ...data,
    'content-security-policy':
      "default-src 'none';script-src 'self';style-src 'self';img-src 'self' data:;font-src 'self';connect-src 'self';" +
      "frame-src 'self' http: https:;form-action 'self';base-uri 'none';frame-ancestors 'none'",
  };
  const missing = {
    ...data,
    'content-security-policy':
      "default-src 'none';style-src 'self';img-src data:;form-action 'none';base-uri 'none';frame-ancestors 'none'",
  };
  const shared = { ...data, 'cross-origin-resource-policy': 'cross-origin' };
  const visit = { 'cross-origin-resource-policy': 'cross-origin', 'x-content-type-options': 'nosniff' };
  const none = Object.fromEntries(Object.keys(data).map((name) => [name, null]));
  const cases: [answer: Response, status: number, expected: Record<string, string | null>][] = [
    [await ask('GET', '/'), 200, demo],
    [await ask('GET', '/index.html/'), 200, demo],
    [await ask('GET', '/demo.css'), 200, shared],
    [await ask('GET', '/fieldmouse.js'), 200, shared],
    [await ask('GET', '/admin/sign-in'), 200, dashboard],
    [await ask('GET', '/admin/link/abc'), 200, dashboard],
    [await ask('GET', '/admin'), 200, dashboard],
    [await ask('GET', '/admin/app.js'), 200, data],
    [await ask('GET', '/healthz'), 200, data],
    [await api('GET', '/v1/sites'), 200, data],
    [await ask('GET', '/v1/sites'), 401, data],
    [await ask('GET', '/nothing'), 404, data],
    [await ask('GET', '/nothing', { headers: { accept: 'text/html' } }), 404, missing],
    [await ask('POST', '/'), 405, data],
    [await ask('DELETE', '/v1/visit'), 405, data],
    [await ask('POST', '/v1/visit?site=demo', { body: {} }), 200, { ...none, ...visit }],
    [await ask('GET', '/v1/visit'), 426, { ...none, ...visit }],
  ];
  for (const [{ url, status, headers }, wanted, expected] of cases) {
    assert.equal(status, wanted, url);
    const sent = Object.keys(data).map((name) => [name, headers.get(name)]);
    assert.deepEqual(Object.fromEntries(sent), expected, url);
  }
});

test('everybody gets the same pages of the dashboard, whatever the state of the store', async (t) => {
  const { ask, signIn, store } = await startHttp(t);
  const cookie = await signIn();
  const away = async () => Promise.reject(Object.assign(new Error('away'), { code: 'unreachable' }));
  Object.assign(store, { session: away });
  const paths = Object.values(DASHBOARD_PAGES).map(({ path }) => path.replace(/:\w+/g, 'x'));
  for (const path of [...paths, ...paths.map((path) => `${path}/`)])
    for (const who of [{}, { cookie }]) {
      const page = await ask('GET', path, who);
      assert.equal(page.status, 200, path);
      assert.match(await page.text(), /Dashboard/, path);
    }
  const session = await ask('GET', '/v1/session', { cookie, headers: { accept: 'text/html' } });
  assert.equal(session.status, 503);
  assert.equal(session.headers.get('retry-after'), '2');
  assert.match(session.headers.get('content-type') ?? '', /^application\/problem\+json/);
});

test('an unknown page is answered with an HTML page for browsers, and with a problem for programs', async (t) => {
  const { ask } = await startHttp(t);
  const browser = 'text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8';
  const cases: [method: string, path: string, accept: string, status: number, type: RegExp][] = [
    ['GET', '/admin/nope', browser, 404, /^text\/html/],
    ['GET', '/admin/visits/x/y', browser, 404, /^text\/html/],
    ['HEAD', '/nothing', browser, 404, /^text\/html/],
    ['GET', '/%zz', browser, 400, /^text\/html/],
    ['GET', '/admin/nope', '*/*', 404, /problem\+json/],
    ['GET', '/admin/nope', 'application/json, text/html;q=0', 404, /problem\+json/],
    ['POST', '/nothing', browser, 404, /problem\+json/],
    ['GET', '/v1/sites', browser, 401, /problem\+json/],
  ];
  for (const [method, path, accept, status, type] of cases) {
    const answer = await ask(method, path, { headers: { accept } });
    const what = `${method} ${path} ${accept}`;
    assert.equal(answer.status, status, what);
    assert.match(answer.headers.get('content-type') ?? '', type, what);
    assert.equal(answer.headers.get('cache-control'), 'no-store', what);
    if (method === 'GET' && type.test('text/html')) assert.match(await answer.text(), /Page not found/);
  }
});

test('files compressed by the build are sent compressed to browsers that accept it', async (t) => {
  const { ask } = await startHttp(t);
  for (const path of ['/admin/style.css', '/demo.css'])
    for (const [accepted, encoding] of [
      ['gzip, br', 'br'],
      ['identity', null],
    ] as const) {
      const file = await ask('GET', path, { headers: { 'accept-encoding': accepted } });
      assert.equal(file.headers.get('content-encoding'), encoding);
      assert.match(file.headers.get('content-type') ?? '', /^text\/css/);
      assert.match(file.headers.get('vary') ?? '', /accept-encoding/i);
      assert.equal(file.headers.get('cache-control'), 'no-cache');
      assert.equal(await file.text(), 'body{}');
    }
  assert.equal((await ask('GET', '/admin/style.css.br')).status, 404);
});

test('the dashboard runs under a strict policy, and no other site may frame it', async (t) => {
  const { ask } = await startHttp(t);
  const { headers } = await ask('GET', '/admin/sign-in');
  const policy = new Map(
    (headers.get('content-security-policy') ?? '').split(';').map((rule) => {
      const [name = '', ...values] = rule.trim().split(' ');
      return [name, values.join(' ')];
    }),
  );
  assert.deepEqual(Object.fromEntries(policy), {
    'default-src': "'none'",
    'script-src': "'self'",
    'style-src': "'self'",
    'img-src': "'self' data:",
    'font-src': "'self'",
    'connect-src': "'self'",
    'frame-src': "'self' http: https:",
    'form-action': "'self'",
    'base-uri': "'none'",
    'frame-ancestors': "'none'",
  });
  assert.equal(headers.get('x-content-type-options'), 'nosniff');
  // One-time links are in the path.
  assert.equal(headers.get('referrer-policy'), 'no-referrer');
});

test('no path leads outside the served folders', async (t) => {
  const { url } = await startHttp(t);
  for (const path of [
    '/../fieldmouse.js',
    '/%2e%2e/data/store.mdb',
    '/admin/..%2f..%2fdata/store.mdb',
    '//etc/passwd',
  ]) {
    const answer = await exchange(url, `GET ${path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n`);
    assert.match(answer, /^HTTP\/1\.1 (400|404) /, path);
  }
});

test('every error is answered with a problem', async (t) => {
  const { ask } = await startHttp(t, { flags: ['--max-body', '2000'] });
  const json = { ...bearer, 'content-type': 'application/json' };
  const cases: [
    method: string,
    path: string,
    headers: Record<string, string>,
    body: string | undefined,
    number,
    string,
  ][] = [
    ['GET', '/nothing', {}, undefined, 404, 'not-found'],
    ['POST', '/nothing', {}, undefined, 404, 'not-found'],
    ['GET', '/%zz', {}, undefined, 400, 'bad-request'],
    ['DELETE', '/v1/sites', bearer, undefined, 405, 'bad-method'],
    ['POST', '/v1/server', json, '{', 405, 'bad-method'],
    ['POST', '/', {}, undefined, 405, 'bad-method'],
    ['POST', '/v1/sites', json, '{"key":', 400, 'bad-json'],
    ['POST', '/v1/sites', json, '', 400, 'bad-json'],
    ['POST', '/v1/sites', json, '[]', 400, 'bad-request'],
    ['POST', '/v1/sites', json, '{"__proto__":{"key":"a"}}', 400, 'bad-json'],
    ['POST', '/v1/sites', json, `{"key":"a","name":"${'x'.repeat(2000)}"}`, 413, 'too-large'],
    ['POST', '/v1/sites', { ...bearer, 'content-type': 'text/plain' }, '{}', 415, 'bad-media-type'],
    [
      'POST',
      '/v1/sites',
      { ...bearer, 'content-type': 'application/x-www-form-urlencoded' },
      'a=b',
      415,
      'bad-media-type',
    ],
    ['GET', '/v1/sites', {}, undefined, 401, 'signed-out'],
    ['GET', '/v1/stream?site=demo', {}, undefined, 401, 'signed-out'],
  ];
  for (const [method, path, headers, body, status, code] of cases) {
    const response = await ask(method, path, { headers, ...(body !== undefined && { body }) });
    const what = `${method} ${path} ${body?.slice(0, 30)}`;
    assert.equal(response.status, status, what);
    assert.match(response.headers.get('content-type') ?? '', /^application\/problem\+json/, what);
    const problem = (await response.json()) as Record<string, unknown>;
    assert.equal(problem.type, 'about:blank');
    assert.equal(problem.status, status);
    assert.equal(problem.code, code, what);
    assert.equal(typeof problem.title, 'string');
    assert.equal(typeof problem.detail, 'string');
    if (status === 405) assert.match(response.headers.get('allow') ?? '', /GET/, what);
  }
});

test('the status of a thrown error is used, and any other error is a logged 500 that hides its text', async (t) => {
  const faults: Record<string, Error> = {
    teapot: Object.assign(new Error('short and stout'), { statusCode: 418 }),
    busy: Object.assign(new Error('secret details'), { statusCode: 503 }),
    odd: Object.assign(new Error('secret details'), { statusCode: 200 }),
    plain: new Error('secret details'),
  };
  const beacon = async ({ page }: Beacon): Promise<never> => {
    throw faults[page] as Error;
  };
  const { ask, log } = await startHttp(t, { beacon });
  const post = (page: string) => ask('POST', `/v1/visit?site=demo&page=${page}`, { body: {} });
  const teapot = await post('teapot');
  assert.equal(teapot.status, 418);
  assert.equal(((await teapot.json()) as { detail: string }).detail, 'short and stout');
  for (const [page, status] of [
    ['busy', 503],
    ['odd', 500],
    ['plain', 500],
  ] as const) {
    const response = await post(page);
    assert.equal(response.status, status);
    assert.doesNotMatch(await response.text(), /secret|stack/);
  }
  assert.equal(log.filter((line) => line.includes('request failed')).length, 3);
});

test('a stack is shown in development mode', async (t) => {
  const beacon = async () => Promise.reject(new Error('what went wrong'));
  const { ask } = await startHttp(t, { beacon, env: { NODE_ENV: 'development' } });
  const response = await ask('POST', '/v1/visit?site=demo', { body: {} });
  assert.equal(response.status, 500);
  const { stack, detail } = (await response.json()) as { stack: string; detail: string };
  assert.equal(detail, 'what went wrong');
  assert.match(stack, /http\.test\.ts/);
});

test('bytes that are not a request are answered with a problem, and others are still served', async (t) => {
  const { url, ask } = await startHttp(t);
  const nonsense = await exchange(url, 'hello, is anybody there?\r\n\r\n');
  assert.match(nonsense, /^HTTP\/1\.1 400 Bad Request\r\n/);
  assert.match(nonsense, /application\/problem\+json/);
  const large = await exchange(url, `GET / HTTP/1.1\r\nhost: x\r\nx: ${'x'.repeat(100_000)}\r\n\r\n`);
  assert.match(large, /^HTTP\/1\.1 431 /);
  assert.equal((await ask('GET', '/healthz')).status, 200);
});

test('health distinguishes liveness from readiness', async (t) => {
  let ready = true;
  const { ask } = await startHttp(t, { ready: () => ready });
  assert.equal((await ask('GET', '/healthz')).status, 200);
  assert.equal((await ask('GET', '/readyz')).status, 200);
  ready = false;
  assert.equal((await ask('GET', '/healthz')).status, 200);
  const draining = await ask('GET', '/readyz');
  assert.equal(draining.status, 503);
  assert.equal(draining.headers.get('retry-after'), '2');
});

test('neither the visitor script nor its endpoint can be moved to a path of the API', async (t) => {
  const { ask } = await startHttp(t);
  const { paths } = (await (await ask('GET', '/v1/openapi.json')).json()) as { paths: Record<string, object> };
  const own = Object.keys(paths).filter((path) => path !== '/v1/visit');
  for (const path of own.map((one) => one.replace(/\{[^}]*\}/g, 'x')))
    for (const flag of ['--script-path', '--endpoint'])
      assert.throws(
        () => readConfig([flag, path], {}),
        /a path that the server does not use itself/,
        `${flag} ${path}`,
      );
});

test('the OpenAPI description names every route of the API', async (t) => {
  const { ask } = await startHttp(t);
  const response = await ask('GET', '/v1/openapi.json');
  const { openapi, paths } = (await response.json()) as { openapi: string; paths: Record<string, object> };
  assert.match(openapi, /^3\.1/);
  const routes = Object.entries(paths).flatMap(([path, methods]) => Object.keys(methods).map((m) => `${m} ${path}`));
  assert.deepEqual(
    routes.filter((route) => !route.startsWith('head ')).sort(),
    [
      'get /healthz',
      'get /readyz',
      'get /metrics',
      'post /v1/visit',
      'get /v1/session',
      'post /v1/session',
      'delete /v1/session',
      'post /v1/session/link',
      'put /v1/password',
      'get /v1/sessions',
      'delete /v1/sessions/{id}',
      'get /v1/admins',
      'post /v1/admins',
      'put /v1/admins/{name}',
      'delete /v1/admins/{name}',
      'post /v1/admins/{name}/link',
      'get /v1/audit',
      'get /v1/tokens',
      'post /v1/tokens',
      'delete /v1/tokens/{id}',
      'get /v1/sites',
      'post /v1/sites',
      'put /v1/sites/{key}',
      'delete /v1/sites/{key}',
      'get /v1/server',
      'get /v1/stream',
      'get /v1/visits',
      'get /v1/visits/{id}',
      'delete /v1/visits/{id}',
      'get /v1/visits/{id}/passages',
      'get /v1/pages',
      'get /v1/refusals',
      'get /v1/heatmap',
      'get /v1/heatmap.png',
      'get /v1/replay',
      'get /v1/hits/{*}',
      'post /v1/hits/{*}',
    ].sort(),
  );
});

test('the API limits the requests of one address', async (t) => {
  const { ask } = await startHttp(t);
  const statuses = new Map<number, number>();
  let limited: Response | undefined;
  for (let batch = 0; batch < 61; batch++)
    for (const response of await Promise.all(Array.from({ length: 10 }, () => ask('GET', '/v1/session')))) {
      statuses.set(response.status, (statuses.get(response.status) ?? 0) + 1);
      if (response.status === 429) limited ??= response;
      else await response.arrayBuffer();
    }
  assert.deepEqual(Object.fromEntries(statuses), { 401: 600, 429: 10 });
  assert.ok(limited);
  assert.match(limited.headers.get('retry-after') ?? '', /^\d+$/);
  assert.equal(await codeOf(limited), 'too-many-requests');
  assert.equal((await ask('GET', '/')).status, 200);
});

test('logs contain no address, token, cookie or query', async (t) => {
  const { ask, api, signIn, log, store } = await startHttp(t);
  const cookie = await signIn();
  await store.addAdmin('bob', Date.now());
  const token = (await store.addLink('bob', Date.now())) as string;
  await ask('GET', `/admin/link/${token}`);
  await ask('GET', '/v1/stream?site=none&page=/secret-page', { cookie });
  await ask('GET', '/nothing/secret-page?secret-query');
  await ask('POST', '/v1/session', { body: { name: 'ada', password: 'secret-password' } });
  const made = (await (await api('POST', '/v1/tokens', { name: 'ci' })).json()) as { secret: string };
  await ask('GET', '/v1/session', { headers: { authorization: `Bearer ${made.secret}` } });
  const text = log.join('\n');
  assert.match(text, /\/v1\/stream/);
  for (const secret of ['127.0.0.1', TOKEN, token, made.secret, cookie.split('=')[1] as string, 'secret-'])
    assert.ok(!text.includes(secret), secret);
});

test('requests are logged at debug level only, including static files', async (t) => {
  const loud = await startHttp(t, { flags: ['--log-level', 'debug'] });
  await loud.ask('GET', '/garden.html?secret=1');
  await loud.ask('HEAD', '/garden.html/');
  const quiet = await startHttp(t);
  await quiet.ask('GET', '/garden.html');
  // The note follows the answer; that of a later request follows both.
  for (const { ask } of [loud, quiet]) await ask('GET', '/healthz');
  const route = '/garden.html';
  assert.deepEqual(
    loud.log
      .map((line) => JSON.parse(line))
      .filter(({ fields }) => fields.route === route)
      .map(({ fields: { ms, ...fields }, message }) => ({ ...fields, message, ms: Number.isInteger(ms) })),
    ['GET', 'HEAD'].map((method) => ({ method, route, status: 200, message: 'request', ms: true })),
  );
  assert.ok(!quiet.log.some((line) => line.includes(route)));
});

test('the endpoint passes frames on unchanged', async (t) => {
  const got: Beacon[] = [];
  const beacon = async (request: Beacon) => {
    got.push(request);
    return { status: 200, body: { type: 'hello' } };
  };
  const { ask, url } = await startHttp(t, { beacon, flags: ['--endpoint', '/in'] });
  const bytes = new Uint8Array([0, 255, 254, 10]);
  const response = await fetch(`${url}/in?site=demo&page=%2Fa%20b`, {
    method: 'POST',
    headers: { 'content-type': 'text/plain;charset=UTF-8', origin: url },
    body: bytes,
  });
  assert.equal(response.status, 200);
  assert.deepEqual(await response.json(), { type: 'hello' });
  await ask('POST', '/in?site=none', { body: '{"x":' });
  const host = new URL(url).host;
  const peer = { address: '127.0.0.1', host, country: '', isSecure: false };
  assert.deepEqual(got, [
    { site: 'demo', page: '/a b', origin: url, peer, json: false, body: Buffer.from(bytes) },
    { site: 'none', page: '', origin: undefined, peer, json: true, body: Buffer.from('{"x":') },
  ]);
});

test('the endpoint returns the result of ingest, as a problem if it is one', async (t) => {
  const beacon = async () => ({ status: 429, body: { code: 'too-fast' }, retryAfter: 7 });
  const { ask } = await startHttp(t, { beacon });
  const response = await ask('POST', '/v1/visit?site=demo', { body: {} });
  assert.equal(response.status, 429);
  assert.equal(response.headers.get('retry-after'), '7');
  assert.match(response.headers.get('content-type') ?? '', /problem\+json/);
  assert.equal(await codeOf(response), 'too-fast');
});

test('the endpoint answers other origins only where the site allows them', async (t) => {
  const { ask, store } = await startHttp(t);
  const good = 'https://shop.example';
  await store.addSite({ key: 'shop', name: 'Shop', origins: [good], created: 0, firstSeen: null });
  const headers = (origin: string) => ({ origin, 'access-control-request-method': 'POST' });
  const preflight = await ask('OPTIONS', '/v1/visit?site=shop', { headers: headers(good) });
  assert.equal(preflight.status, 204);
  assert.equal(preflight.headers.get('access-control-allow-origin'), good);
  assert.equal(preflight.headers.get('access-control-allow-methods'), 'POST');
  assert.equal(preflight.headers.get('access-control-allow-headers'), 'content-type');
  for (const origin of ['https://shop.example.evil.test', 'http://shop.example', 'https://shop.example:8443', 'null']) {
    const refused = await ask('OPTIONS', '/v1/visit?site=shop', { headers: headers(origin) });
    assert.equal(refused.status, 403, origin);
    assert.equal(refused.headers.get('access-control-allow-origin'), null);
  }
  const posted = await ask('POST', '/v1/visit?site=shop', { headers: { origin: good }, body: {} });
  assert.equal(posted.headers.get('access-control-allow-origin'), good);
  assert.equal(posted.headers.get('vary'), 'Origin');
  assert.equal(posted.headers.get('cross-origin-resource-policy'), 'cross-origin');
});

test('the endpoint lets a page read why it was rejected', async (t) => {
  const { ask, store } = await startHttp(t, { flags: ['--max-body', '1024'] });
  const origin = 'https://shop.example';
  await store.addSite({ key: 'shop', name: 'Shop', origins: [origin], created: 0, firstSeen: null });
  const large = await ask('POST', '/v1/visit?site=shop', { headers: { origin }, body: 'x'.repeat(2000) });
  assert.equal(large.status, 413);
  assert.equal(large.headers.get('access-control-allow-origin'), origin);
  assert.equal(await codeOf(large), 'too-large');
  const image = await ask('POST', '/v1/visit?site=shop', {
    headers: { origin, 'content-type': 'image/png' },
    body: 'x',
  });
  assert.equal(image.status, 415);
  assert.equal(image.headers.get('access-control-allow-origin'), origin);
  assert.equal((await ask('POST', '/v1/visit', { body: {} })).status, 400);
});

test('the endpoint lets any page read that its site is unknown or does not allow the page', async (t) => {
  const { ask, store } = await startHttp(t);
  const good = 'https://shop.example';
  await store.addSite({ key: 'shop', name: 'Shop', origins: [good], created: 0, firstSeen: null });
  const get = async (site: string, origin: string) => {
    const response = await ask('GET', `/v1/visit?site=${site}`, { headers: { origin } });
    return [response.status, await codeOf(response), response.headers.get('access-control-allow-origin')];
  };
  assert.deepEqual(await get('shop', 'https://copy.example'), [403, 'origin-not-allowed', '*']);
  assert.deepEqual(await get('none', good), [404, 'unknown-site', '*']);
  assert.deepEqual(await get('shop', good), [426, 'upgrade-required', good]);
  const posted = await ask('POST', '/v1/visit?site=none', { headers: { origin: good }, body: {} });
  assert.equal(posted.headers.get('access-control-allow-origin'), '*');
});

test('the endpoint answers a plain GET with a request to upgrade', async (t) => {
  const { ask } = await startHttp(t);
  const response = await ask('GET', '/v1/visit?site=demo');
  assert.equal(response.status, 426);
  assert.equal(response.headers.get('upgrade'), 'websocket');
  assert.equal(await codeOf(response), 'upgrade-required');
});

test('a trusted proxy sets the requested host and the client address', async (t) => {
  const got: Beacon[] = [];
  const beacon = async (request: Beacon) => {
    got.push(request);
    return { status: 200, body: {} };
  };
  const headers = {
    'x-forwarded-for': '198.51.100.7',
    'x-forwarded-host': 'mouse.example',
    'x-forwarded-proto': 'https',
  };
  const trusting = await startHttp(t, { beacon, flags: ['--trust-proxy', '127.0.0.1'] });
  await trusting.ask('POST', '/v1/visit?site=demo', { headers, body: {} });
  const wary = await startHttp(t, { beacon });
  await wary.ask('POST', '/v1/visit?site=demo', { headers, body: {} });
  assert.deepEqual(
    got.map(({ peer }) => peer),
    [
      { address: '198.51.100.7', host: 'mouse.example', country: '', isSecure: true },
      { address: '127.0.0.1', host: new URL(wary.url).host, country: '', isSecure: false },
    ],
  );
});

test("a stream's socket is handed over untouched, with the requested parameters", async (t) => {
  const asked: StreamRequest[] = [];
  const openStream = (request: StreamRequest, socket: Socket) => {
    asked.push(request);
    socket.end('HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nhere it is');
  };
  const { ask, signIn, store } = await startHttp(t, { openStream });
  const plain = await ask('GET', '/v1/stream?site=demo', { headers: bearer });
  assert.equal(await plain.text(), 'here it is');
  assert.deepEqual([...plain.headers], [['connection', 'close']]);
  const query = 'site=demo&page=%2Fa&visitor=abc_-&stage=%2Fb&moves=latest&last_event_id=e-1';
  await (await ask('GET', `/v1/stream?${query}`, { cookie: await signIn() })).text();
  const { secret, token } = await store.addToken('ci', 0);
  const headers = { authorization: `Bearer ${secret}`, 'last-event-id': 'e-2' };
  await (await ask('GET', `/v1/stream?${query}`, { headers })).text();
  const [session] = await store.sessions(Date.now());
  const made = (await store.site('demo'))?.created;
  const nothing = { page: null, visitor: null, stage: null, moves: 'full', lastEventId: null };
  const all = { page: '/a', visitor: 'abc_-', stage: '/b', moves: 'latest' };
  assert.deepEqual(asked, [
    { site: 'demo', ...nothing, credential: 'env', holders: ['env', ADDRESS], checked: true, made },
    {
      site: 'demo',
      ...all,
      lastEventId: 'e-1',
      credential: `session:${session?.id}`,
      holders: ['admin:ada', ADDRESS],
      checked: true,
      made,
    },
    {
      site: 'demo',
      ...all,
      lastEventId: 'e-2',
      credential: `token:${token.id}`,
      holders: [`token:${token.id}`, ADDRESS],
      checked: true,
      made,
    },
  ]);
});

test("a stream's socket is handed over with the stored last hour of its site", async (t) => {
  const kept = { machines: [{ machine: 'a', minutes: [{ t: 60_000, visitors: 2, samples: 3 }] }], ran: [60_000] };
  const handed: unknown[] = [];
  const past = async (site: string) => (site === 'demo' ? kept : null);
  const { ask } = await startHttp(t, {
    past,
    openStream: (_request, socket, past) => {
      handed.push(past);
      socket.end('HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n');
    },
  });
  await (await ask('GET', '/v1/stream?site=demo', { headers: bearer })).text();
  assert.deepEqual(handed, [kept]);
});

test('a stream that cannot be handed over is cut', async (t) => {
  const openStream = () => {
    throw new Error('the primary is gone');
  };
  const { ask, log } = await startHttp(t, { openStream });
  await assert.rejects(ask('GET', '/v1/stream?site=demo', { headers: bearer }));
  assert.match(log.join(), /the stream could not be handed over/);
});

test('a stream is rejected for bad parameters, unknown sites, other methods and bodies', async (t) => {
  const openStream = () => assert.fail('handed over');
  const { ask, url } = await startHttp(t, { openStream });
  const cases: [path: string, status: number][] = [
    ['/v1/stream', 400],
    ['/v1/stream?site=', 400],
    ['/v1/stream?site=demo&site=shop', 400],
    ['/v1/stream?site=demo&moves=some', 400],
    ['/v1/stream?site=demo&visitor=a/b', 400],
    ['/v1/stream?site=demo&page=', 400],
    [`/v1/stream?site=demo&page=${'x'.repeat(1025)}`, 400],
    ['/v1/stream?site=none', 404],
  ];
  for (const [path, status] of cases) assert.equal((await ask('GET', path, { headers: bearer })).status, status, path);
  assert.equal((await ask('HEAD', '/v1/stream?site=demo', { headers: bearer })).status, 405);
  assert.equal((await ask('POST', '/v1/stream?site=demo', { headers: bearer })).status, 405);
  const head = (version: string, more: string) =>
    `GET /v1/stream?site=demo HTTP/${version}\r\nhost: x\r\nconnection: close\r\nauthorization: ${bearer.authorization}\r\n${more}\r\n`;
  assert.match(await exchange(url, `${head('1.1', 'content-length: 2\r\n')}hi`), /^HTTP\/1\.1 400 /);
});
