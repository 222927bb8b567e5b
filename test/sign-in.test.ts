/** Signing in and out: links, passwords, sessions, tokens, limits and cross-site requests. */
import assert from 'node:assert/strict';
import type { Socket } from 'node:net';
import { test } from 'node:test';
import { OWNER } from '../src/model/rights.ts';
import type { StreamRequest } from '../src/protocol/ipc.ts';
import { SESSION } from '../src/store/accounts/sessions.ts';
import { codeOf, cookieOf, startHttp, storePassword, type TestHttp } from './support/http.ts';
import { startServer, TOKEN } from './support/server.ts';
import { StreamReader } from './support/stream.ts';

const PASSWORD = 'a long enough one';

/** Signs an administrator in and sets the password as the dashboard does. */
async function settingPassword(http: TestHttp, name = 'ada'): Promise<string> {
  const cookie = await http.signIn(name);
  const set = await http.ask('PUT', '/v1/password', { cookie, body: { password: PASSWORD } });
  assert.equal(set.status, 204);
  return cookie;
}

/** Signs in an administrator whose password takes little time to check. */
async function withPassword(http: TestHttp): Promise<string> {
  const cookie = await http.signIn('ada');
  await storePassword(http.store, 'ada', PASSWORD);
  return cookie;
}

test('a one-time link signs in once', async (t) => {
  const { ask, store } = await startHttp(t);
  await store.addAdmin('ada', Date.now());
  const token = await store.addLink('ada', Date.now());
  const tries = await Promise.all([1, 2, 3].map(() => ask('POST', '/v1/session/link', { body: { token } })));
  assert.deepEqual(tries.map(({ status }) => status).sort(), [201, 401, 401]);
  const good = tries.find(({ status }) => status === 201) as Response;
  const who = (await good.json()) as { expires: number };
  assert.deepEqual(who, { name: 'ada', via: 'session', hasPassword: false, expires: who.expires, ...OWNER });
  assert.ok(who.expires > Date.now());
  const session = await ask('GET', '/v1/session', { cookie: cookieOf(good) });
  assert.deepEqual(await session.json(), who);
});

test('an expired or invented link does not sign in', async (t) => {
  const { ask, store } = await startHttp(t);
  await store.addAdmin('ada', 0);
  const token = await store.addLink('ada', Date.now() - 15 * 60_000 - 1);
  for (const tried of [token, 'made-up', 'x'.repeat(200)]) {
    const response = await ask('POST', '/v1/session/link', { body: { token: tried } });
    assert.equal(response.status, 401);
    assert.equal(await codeOf(response), 'bad-link');
    assert.equal(response.headers.get('set-cookie'), null);
  }
});

test('the cookie is for this server only: hidden from scripts, and Secure behind https', async (t) => {
  const { ask, store } = await startHttp(t, { flags: ['--trust-proxy', 'yes'] });
  await store.addAdmin('ada', Date.now());
  const sign = async (headers: Record<string, string>) => {
    const token = await store.addLink('ada', Date.now());
    return ask('POST', '/v1/session/link', { headers, body: { token } });
  };
  const plain = (await sign({})).headers.get('set-cookie') ?? '';
  assert.match(plain, /^fieldmouse=[\w-]{43}; Max-Age=2592000; Path=\/; HttpOnly; SameSite=Lax$/);
  const secure = (await sign({ 'x-forwarded-proto': 'https' })).headers.get('set-cookie') ?? '';
  assert.match(secure, /^__Host-fieldmouse=[\w-]{43}; Max-Age=2592000; Path=\/; HttpOnly; Secure; SameSite=Lax$/);
});

test('the cookie of a server with a base path is limited to that path', async (t) => {
  const { ask, store } = await startHttp(t, { flags: ['--trust-proxy', 'yes', '--base-path', '/stats'] });
  await store.addAdmin('ada', Date.now());
  for (const [scheme, pattern] of [
    ['http', /^fieldmouse=[\w-]{43}; Max-Age=2592000; Path=\/stats; HttpOnly; SameSite=Lax$/],
    ['https', /^__Secure-fieldmouse=[\w-]{43}; Max-Age=2592000; Path=\/stats; HttpOnly; Secure; SameSite=Lax$/],
  ] as const) {
    const headers = { 'x-forwarded-proto': scheme };
    const token = await store.addLink('ada', Date.now());
    const signedIn = await ask('POST', '/stats/v1/session/link', { headers, body: { token } });
    assert.match(signedIn.headers.get('set-cookie') ?? '', pattern);
    const cookie = cookieOf(signedIn);
    assert.equal((await ask('GET', '/stats/v1/session', { headers, cookie })).status, 200);
    const signedOut = await ask('DELETE', '/stats/v1/session', { headers, cookie });
    assert.match(signedOut.headers.get('set-cookie') ?? '', /fieldmouse=; Max-Age=0; Path=\/stats;/);
  }
});

test('a valid cookie signs in beside others of the same name, and is the one renewed', async (t) => {
  const { ask, signIn } = await startHttp(t);
  const cookie = await signIn();
  const other = `fieldmouse=${'A'.repeat(43)}`;
  for (const cookies of [`fieldmouse=stale; ${cookie}`, `${other}; a=b; ${cookie}`, `${cookie}; ${other}`]) {
    const known = await ask('GET', '/v1/session', { cookie: cookies });
    assert.equal(known.status, 200, cookies);
    assert.equal(cookieOf(known), cookie);
  }
  // Each costs a look into the store.
  const many = `${`${other}; `.repeat(10)}${cookie}`;
  assert.equal((await ask('GET', '/v1/session', { cookie: many })).status, 401);
});

test('a password signs in, and an error does not reveal whether the name or the password was wrong', async (t) => {
  const http = await startHttp(t);
  await settingPassword(http);
  await http.store.addAdmin('without', Date.now());
  const good = await http.ask('POST', '/v1/session', { body: { name: 'ada', password: PASSWORD } });
  assert.equal(good.status, 201);
  assert.equal(((await good.json()) as { hasPassword: boolean }).hasPassword, true);
  const wrong = [
    { name: 'ada', password: 'a wrong one' },
    { name: 'bob', password: PASSWORD },
    { name: 'without', password: PASSWORD },
    { name: '../ada', password: PASSWORD },
  ];
  const answers = new Set<string>();
  for (const body of wrong) {
    const response = await http.ask('POST', '/v1/session', { body });
    assert.equal(response.status, 401);
    answers.add(await response.text());
  }
  assert.equal(answers.size, 1);
});

test('a password is stored as scrypt with a salt', async (t) => {
  const http = await startHttp(t);
  await settingPassword(http, 'ada');
  await settingPassword(http, 'bob');
  const [ada, bob] = [(await http.store.admin('ada'))?.password, (await http.store.admin('bob'))?.password];
  assert.match(ada ?? '', /^scrypt\$15\$8\$3\$[\w-]{22}\$[\w-]{43}$/);
  assert.notEqual(ada, bob);
  assert.ok(!http.log.join().includes(PASSWORD));
});

test('a password is the same in every Unicode composition of its letters', async (t) => {
  const http = await startHttp(t);
  const cookie = await http.signIn();
  await http.ask('PUT', '/v1/password', { cookie, body: { password: 'caf\u00e9 au lait' } });
  const composed = { name: 'ada', password: 'cafe\u0301 au lait' };
  assert.equal((await http.ask('POST', '/v1/session', { body: composed })).status, 201);
});

test('changing a password needs the current one, and ends the other sessions', async (t) => {
  const http = await startHttp(t);
  const cookie = await withPassword(http);
  const other = cookieOf(await http.ask('POST', '/v1/session', { body: { name: 'ada', password: PASSWORD } }));
  const stranger = await http.signIn('bob');
  const change = (body: object) => http.ask('PUT', '/v1/password', { cookie, body });
  for (const body of [{ password: 'another long one' }, { current: 'wrong', password: 'another long one' }]) {
    const refused = await change(body);
    assert.equal(refused.status, 403);
    assert.equal(await codeOf(refused), 'wrong-password');
  }
  assert.equal((await change({ current: PASSWORD, password: 'short' })).status, 400);
  assert.equal((await change({ current: PASSWORD, password: 'another long one' })).status, 204);
  const statusOf = async (one: string) => (await http.ask('GET', '/v1/session', { cookie: one })).status;
  assert.deepEqual([await statusOf(cookie), await statusOf(other), await statusOf(stranger)], [200, 401, 200]);
  assert.equal((await http.ask('POST', '/v1/session', { body: { name: 'ada', password: PASSWORD } })).status, 401);
});

test('guessing a password is stopped for the name, while a link still signs in', async (t) => {
  const http = await startHttp(t);
  await withPassword(http);
  const guess = (password: string) => http.ask('POST', '/v1/session', { body: { name: 'ada', password } });
  for (let i = 0; i < 10; i++) assert.equal((await guess('a wrong one')).status, 401);
  for (const password of ['a wrong one', PASSWORD]) {
    const limited = await guess(password);
    assert.equal(limited.status, 429);
    assert.ok(Number(limited.headers.get('retry-after')) > 800);
    assert.equal(await codeOf(limited), 'too-many-attempts');
  }
  const token = await http.store.addLink('ada', Date.now());
  assert.equal((await http.ask('POST', '/v1/session/link', { body: { token } })).status, 201);
});

test('trying many names or links is stopped for the address, across all workers', async (t) => {
  const http = await startHttp(t);
  // Another worker has counted these.
  const attempt = { kind: 'address', value: '127.0.0.1', limit: 20, window: 15 * 60_000 } as const;
  for (let i = 0; i < 18; i++) await http.store.countAttempt([attempt], Date.now());
  const tries = [
    await http.ask('POST', '/v1/session', { body: { name: 'bob', password: 'x' } }),
    await http.ask('POST', '/v1/session/link', { body: { token: 'x' } }),
    await http.ask('POST', '/v1/session', { body: { name: 'eve', password: 'x' } }),
    await http.ask('POST', '/v1/session/link', { body: { token: 'x' } }),
  ];
  assert.deepEqual(
    tries.map(({ status }) => status),
    [401, 401, 429, 429],
  );
});

test('successful sign-ins count against no limit', async (t) => {
  const http = await startHttp(t);
  await withPassword(http);
  for (let i = 0; i < 12; i++) {
    const response = await http.ask('POST', '/v1/session', { body: { name: 'ada', password: PASSWORD } });
    assert.equal(response.status, 201);
  }
});

test('guessing at an unlocked screen is stopped too', async (t) => {
  const http = await startHttp(t);
  const cookie = await withPassword(http);
  const body = { current: 'wrong', password: 'another long one' };
  for (let i = 0; i < 10; i++) assert.equal((await http.ask('PUT', '/v1/password', { cookie, body })).status, 403);
  assert.equal((await http.ask('PUT', '/v1/password', { cookie, body })).status, 429);
});

test('sign-ins beyond the number that can be checked at once are told to try again', async (t) => {
  const http = await startHttp(t);
  const tries = await Promise.all(
    Array.from({ length: 20 }, (_, i) =>
      http.ask('POST', '/v1/session', { body: { name: `name${i}`, password: 'x' } }),
    ),
  );
  const statuses = tries.map(({ status }) => status);
  assert.ok(statuses.includes(401));
  assert.ok(statuses.includes(503));
  for (const response of tries) if (response.status === 503) assert.equal(response.headers.get('retry-after'), '2');
  assert.equal((await http.ask('GET', '/healthz')).status, 200);
});

test('signing out ends the session and clears the cookie', async (t) => {
  const http = await startHttp(t);
  const cookie = await http.signIn();
  const out = await http.ask('DELETE', '/v1/session', { cookie });
  assert.equal(out.status, 204);
  assert.match(out.headers.get('set-cookie') ?? '', /^fieldmouse=; Max-Age=0; Path=\//);
  assert.equal((await http.ask('GET', '/v1/session', { cookie })).status, 401);
});

test('signing in again ends the previous session', async (t) => {
  const http = await startHttp(t);
  const before = await http.signIn();
  const token = await http.store.addLink('ada', Date.now());
  const again = await http.ask('POST', '/v1/session/link', { cookie: before, body: { token } });
  assert.notEqual(cookieOf(again), before);
  assert.equal((await http.ask('GET', '/v1/session', { cookie: before })).status, 401);
  assert.equal((await http.ask('GET', '/v1/session', { cookie: cookieOf(again) })).status, 200);
});

test('sessions are listed with their browsers, and each can be ended', async (t) => {
  const http = await startHttp(t);
  const cookie = await http.signIn();
  const token = await http.store.addLink('ada', Date.now());
  const agent = 'Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0';
  const other = await http.ask('POST', '/v1/session/link', { body: { token }, headers: { 'user-agent': agent } });
  const list = async () => {
    const response = await http.ask('GET', '/v1/sessions', { cookie });
    return ((await response.json()) as { sessions: { id: string; agent: string; current: boolean }[] }).sessions;
  };
  const sessions = await list();
  assert.deepEqual(sessions.map(({ current }) => current).sort(), [false, true]);
  const ended = sessions.find(({ current }) => !current);
  assert.equal(ended?.agent, 'Firefox on Linux');
  assert.equal((await http.ask('DELETE', `/v1/sessions/${ended?.id}`, { cookie })).status, 204);
  assert.equal((await http.ask('DELETE', `/v1/sessions/${ended?.id}`, { cookie })).status, 404);
  assert.equal((await http.ask('GET', '/v1/session', { cookie: cookieOf(other) })).status, 401);
  assert.equal((await list()).length, 1);
});

test('a session in use continues, and an unused session ends after 30 days', async (t) => {
  const http = await startHttp(t);
  await http.store.addAdmin('ada', 0);
  const at = async (ago: number) => {
    const made = await http.store.addSession('ada', '', Date.now() - ago);
    return `fieldmouse=${made?.secret}`;
  };
  const [used, unused] = [await at(SESSION.slide - 60_000), await at(SESSION.slide)];
  const response = await http.ask('GET', '/v1/session', { cookie: used });
  assert.equal(response.status, 200);
  assert.ok(((await response.json()) as { expires: number }).expires > Date.now() + SESSION.slide - 60_000);
  assert.match(response.headers.get('set-cookie') ?? '', /Max-Age=2592000/);
  assert.equal((await http.ask('GET', '/v1/session', { cookie: unused })).status, 401);
});

test('an API token is shown once, works as a bearer token, and can be revoked', async (t) => {
  const http = await startHttp(t);
  const cookie = await http.signIn();
  const made = await http.ask('POST', '/v1/tokens', { cookie, body: { name: 'Night job' } });
  assert.equal(made.status, 201);
  const { secret, ...token } = (await made.json()) as { id: string; secret: string; name: string };
  const headers = { authorization: `Bearer ${secret}` };
  const who = await http.ask('GET', '/v1/session', { headers });
  assert.deepEqual(await who.json(), { name: 'Night job', via: 'token', hasPassword: false, expires: null, ...OWNER });
  const list = await http.ask('GET', '/v1/tokens', { cookie });
  const text = await list.text();
  assert.ok(!text.includes(secret.slice(-43)));
  const { tokens } = JSON.parse(text) as { tokens: { id: string; lastUsed: number }[] };
  assert.equal(tokens[0]?.id, token.id);
  assert.ok((tokens[0]?.lastUsed ?? 0) > 0);
  assert.equal((await http.ask('DELETE', `/v1/tokens/${token.id}`, { headers })).status, 204);
  assert.equal((await http.ask('GET', '/v1/session', { headers })).status, 401);
  assert.equal((await http.ask('DELETE', `/v1/tokens/${token.id}`, { cookie })).status, 404);
});

test('an invalid token is rejected, whatever the cookie says', async (t) => {
  const http = await startHttp(t);
  const cookie = await http.signIn();
  for (const authorization of ['Bearer nonsense', `Bearer ${TOKEN}x`, 'Bearer', 'bearer', 'BEARER  ', 'Bearer\tx y']) {
    const response = await http.ask('GET', '/v1/session', { cookie, headers: { authorization } });
    assert.equal(response.status, 401, authorization);
  }
  assert.equal((await http.api('GET', '/v1/session')).status, 200);
});

/** What a proxy in front of us asks for, and a browser then sends with every request. */
const FOREIGN = [
  'Basic cHJveHk6c2VjcmV0',
  'Digest username="ada"',
  'Negotiate YII=',
  'NTLM TlRM',
  'Bearerish x',
  'x',
  '',
];

test('credentials for a proxy in front sign nobody out or in', async (t) => {
  const asked: StreamRequest[] = [];
  const openStream = (request: StreamRequest, socket: Socket) => {
    asked.push(request);
    socket.end('HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n');
  };
  const http = await startHttp(t, { openStream });
  const cookie = await http.signIn();
  for (const authorization of FOREIGN) {
    const headers = { authorization };
    assert.equal((await http.ask('GET', '/v1/sites', { cookie, headers })).status, 200, authorization);
    assert.equal((await http.ask('GET', '/v1/sites', { headers })).status, 401, authorization);
    assert.equal((await http.ask('POST', '/v1/tokens', { cookie, headers, body: { name: 'x' } })).status, 201);
    assert.equal((await http.ask('GET', '/v1/stream?site=demo', { cookie, headers })).status, 200, authorization);
    assert.equal((await http.ask('GET', '/v1/stream?site=demo', { headers })).status, 401, authorization);
    // Prometheus on this machine.
    assert.equal((await http.ask('GET', '/metrics', { headers })).status, 200, authorization);
  }
  assert.equal(asked.length, FOREIGN.length);
  assert.ok(asked.every(({ credential }) => credential.startsWith('session:')));
  assert.equal((await http.ask('GET', '/metrics', { headers: { authorization: 'Bearer x' } })).status, 401);
});

test('credentials for a proxy in front do not let another site use the cookie', async (t) => {
  const http = await startHttp(t);
  const cookie = await http.signIn();
  const token = (await http.store.addLink('ada', Date.now())) as string;
  for (const authorization of FOREIGN)
    for (const from of [{ 'sec-fetch-site': 'cross-site' }, { origin: 'https://evil.example' }]) {
      const headers = { authorization, ...from };
      for (const [method, path, body] of [
        ['POST', '/v1/tokens', { name: 'x' }],
        ['DELETE', '/v1/session', undefined],
        ['DELETE', '/v1/sites/demo', undefined],
        ['POST', '/v1/session/link', { token }],
      ] as const) {
        const response = await http.ask(method, path, { cookie, headers, body });
        assert.equal(response.status, 403, `${authorization} ${method} ${path}`);
        assert.equal(await codeOf(response), 'cross-site');
      }
    }
  assert.deepEqual(await http.store.tokens(), []);
  assert.ok(await http.store.site('demo'));
});

test('a token has no password and no session', async (t) => {
  const { api } = await startHttp(t);
  for (const [method, path, body] of [
    ['PUT', '/v1/password', { password: PASSWORD }],
    ['DELETE', '/v1/session', undefined],
  ] as const) {
    const response = await api(method, path, body);
    assert.equal(response.status, 403);
    assert.equal(await codeOf(response), 'not-for-tokens');
  }
});

test("a page of another site cannot change anything with a user's cookie", async (t) => {
  const http = await startHttp(t);
  const cookie = await http.signIn();
  const own = http.url;
  const cases: [headers: Record<string, string>, allowed: boolean][] = [
    [{ 'sec-fetch-site': 'same-origin' }, true],
    [{ 'sec-fetch-site': 'cross-site' }, false],
    [{ 'sec-fetch-site': 'same-site' }, false],
    [{ 'sec-fetch-site': 'none' }, false],
    [{ 'sec-fetch-site': 'cross-site', origin: own }, false],
    [{ origin: own }, true],
    [{ origin: 'https://evil.example' }, false],
    [{ origin: `${own}0` }, false],
    [{ origin: 'null' }, false],
    [{}, true],
  ];
  for (const [headers, allowed] of cases) {
    const body = { name: 'x' };
    const response = await http.ask('POST', '/v1/tokens', { cookie, headers, body });
    assert.equal(response.status, allowed ? 201 : 403, JSON.stringify(headers));
    if (!allowed) assert.equal(await codeOf(response), 'cross-site');
  }
  assert.equal((await http.store.tokens()).length, 3);
});

test('a page of another site cannot sign a user in as somebody else', async (t) => {
  const { ask, store } = await startHttp(t);
  await store.addAdmin('eve', Date.now());
  const token = (await store.addLink('eve', Date.now())) as string;
  const headers = { origin: 'https://evil.example' };
  assert.equal((await ask('POST', '/v1/session/link', { headers, body: { token } })).status, 403);
  assert.equal(await store.takeLink(token, Date.now()), 'eve');
});

test('a body that is not JSON changes nothing, so a plain form cannot either', async (t) => {
  const http = await startHttp(t);
  const cookie = await http.signIn();
  for (const type of ['text/plain', 'application/x-www-form-urlencoded', 'multipart/form-data; boundary=x']) {
    const headers = { 'content-type': type };
    const response = await http.ask('POST', '/v1/tokens', { cookie, headers, body: '{"name":"x"}' });
    assert.equal(response.status, 415, type);
  }
  assert.deepEqual(await http.store.tokens(), []);
});

test('a removed administrator is signed out', async (t) => {
  const http = await startHttp(t);
  const cookie = await withPassword(http);
  await http.store.addAdmin('bob', 0);
  await http.store.removeAdmin('ada');
  assert.equal((await http.ask('GET', '/v1/session', { cookie })).status, 401);
  assert.equal((await http.ask('POST', '/v1/session', { body: { name: 'ada', password: PASSWORD } })).status, 401);
});

test('the link of the first start signs in on every worker, and revoking the session ends its streams', async (t) => {
  const server = await startServer(t);
  const link = server.link as string;
  const signed = await fetch(`${server.url}/v1/session/link`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ token: link.split('/').at(-1) }),
  });
  assert.equal(signed.status, 201);
  const cookie = cookieOf(signed);
  for (let i = 0; i < 6; i++) {
    const headers = { cookie, connection: 'close' };
    assert.equal((await fetch(`${server.url}/v1/session`, { headers })).status, 200);
  }
  const byCookie = { url: server.url, token: 'none' };
  await assert.rejects(StreamReader.open(t, byCookie, { site: 'demo' }), /^Error: 401/);

  const { sessions } = (await (await server.api('/v1/sessions')).json()) as { sessions: { id: string }[] };
  const { id } = sessions[0] as { id: string };
  const made = await server.api('/v1/tokens', {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: '{"name":"reader"}',
  });
  const token = (await made.json()) as { id: string; secret: string };
  const readers = [
    await openByCookie(server.url, cookie),
    await StreamReader.open(t, { url: server.url, token: token.secret }, { site: 'demo' }),
  ];
  const stays = await StreamReader.open(t, server, { site: 'demo' });
  assert.equal((await server.api(`/v1/sessions/${id}`, { method: 'DELETE' })).status, 204);
  assert.equal((await server.api(`/v1/tokens/${token.id}`, { method: 'DELETE' })).status, 204);
  for (const reader of readers) await reader.ended;
  await stays.next('rates');
});

/** Reads a stream with a cookie until it ends. */
async function openByCookie(url: string, cookie: string): Promise<{ ended: Promise<unknown> }> {
  const response = await fetch(`${url}/v1/stream?site=demo`, { headers: { cookie } });
  assert.equal(response.status, 200);
  return { ended: response.text().catch(() => {}) };
}
