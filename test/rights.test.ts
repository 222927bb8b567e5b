/**
 * Rights: every route for owners, viewers and requests without credentials, what viewers see, and streams that follow
 * rights.
 */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { type Need, OWNER, type Rights } from '../src/model/rights.ts';
import { openLmdbStore } from '../src/store/lmdb/lmdb-store.ts';
import { codeOf, startHttp, type TestHttp } from './support/http.ts';
import { moves, record } from './support/record.ts';
import { startServer } from './support/server.ts';
import { StreamReader } from './support/stream.ts';

const T = Date.now() - 60_000;
const OF_SHOP: Rights = { role: 'viewer', sites: ['shop'] };
const OF_NONE: Rights = { role: 'viewer', sites: [] };

interface Asked {
  needs: Need;
  /** What is asked for; with `SITE` in the place of a site's key. */
  path: string;
  body?: object;
}

/** Every route that is for people who signed in, as the API's description has it. */
const ROUTES: Record<string, Asked> = {
  'get /v1/session': { needs: 'own', path: '/v1/session' },
  'delete /v1/session': { needs: 'own', path: '/v1/session' },
  'put /v1/password': { needs: 'own', path: '/v1/password', body: { password: 'a long enough one' } },
  'get /v1/sessions': { needs: 'own', path: '/v1/sessions' },
  'delete /v1/sessions/{id}': { needs: 'own', path: '/v1/sessions/none' },
  'get /v1/admins': { needs: 'manage', path: '/v1/admins' },
  'post /v1/admins': { needs: 'manage', path: '/v1/admins', body: { name: 'new', role: 'owner', sites: null } },
  'put /v1/admins/{name}': { needs: 'manage', path: '/v1/admins/bob', body: OWNER },
  'delete /v1/admins/{name}': { needs: 'manage', path: '/v1/admins/bob' },
  'post /v1/admins/{name}/link': { needs: 'manage', path: '/v1/admins/ada/link' },
  'get /v1/tokens': { needs: 'manage', path: '/v1/tokens' },
  'post /v1/tokens': { needs: 'manage', path: '/v1/tokens', body: { name: 'made' } },
  'delete /v1/tokens/{id}': { needs: 'manage', path: '/v1/tokens/none' },
  'get /v1/audit': { needs: 'manage', path: '/v1/audit' },
  'get /v1/sites': { needs: 'look', path: '/v1/sites' },
  'post /v1/sites': { needs: 'manage', path: '/v1/sites', body: { key: 'new', name: 'New', origins: [] } },
  'put /v1/sites/{key}': { needs: 'manage', path: '/v1/sites/shop', body: { name: 'Other', origins: [] } },
  'delete /v1/sites/{key}': { needs: 'manage', path: '/v1/sites/spare' },
  'get /v1/refusals': { needs: 'manage', path: '/v1/refusals' },
  'get /v1/server': { needs: 'look', path: '/v1/server' },
  'get /v1/stream': { needs: 'look', path: '/v1/stream?site=SITE' },
  'get /v1/visits': { needs: 'look', path: '/v1/visits?site=SITE' },
  'get /v1/visits/{id}': { needs: 'look', path: '/v1/visits/of-SITE' },
  'delete /v1/visits/{id}': { needs: 'manage', path: '/v1/visits/of-spare' },
  'get /v1/visits/{id}/passages': { needs: 'look', path: '/v1/visits/of-SITE/passages' },
  'get /v1/pages': { needs: 'look', path: '/v1/pages?site=SITE' },
  'get /v1/heatmap': { needs: 'look', path: '/v1/heatmap?site=SITE&page=%2F' },
  'get /v1/heatmap.png': { needs: 'look', path: '/v1/heatmap.png?site=SITE&page=%2F' },
  'get /v1/replay': { needs: 'look', path: `/v1/replay?site=SITE&from=${T}&to=${T + 2000}&speed=0` },
};

type Headers = Record<string, string>;

/** Three sites with a visit each, an owner, and viewers by session and by token. */
async function furnish(t: TestContext) {
  const http = await startHttp(t, {
    openStream: (_request, socket) => void socket.end('HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n'),
  });
  const { store } = http;
  for (const key of ['shop', 'spare'])
    await store.addSite({ key, name: key, origins: [], created: T, firstSeen: null });
  for (const site of ['demo', 'shop', 'spare'])
    await record(store.archive, { id: `of-${site}`, site, since: T, frames: [{ samples: moves(T, [[1, 2]]) }] });
  await store.addAdmin('ada', T);
  await store.addAdmin('bob', T, OF_SHOP);
  const session = async (name: string): Promise<Headers> => {
    const made = await store.addSession(name, '', Date.now());
    return { cookie: `fieldmouse=${made?.secret}` };
  };
  const token = async (rights?: Rights): Promise<Headers> => {
    const { secret } = await store.addToken('ada', Date.now(), rights);
    return { authorization: `Bearer ${secret}` };
  };
  return { http, session, token };
}

function ask({ ask }: TestHttp, route: string, site: string, headers: Headers): Promise<Response> {
  const { path, body } = ROUTES[route] as Asked;
  const method = route.split(' ', 1)[0] as string;
  return ask(method.toUpperCase(), path.replace('SITE', site), { headers, ...(body && { body }) });
}

/** What there is but for sessions, and when tokens were used. */
async function contents({ store }: TestHttp): Promise<object> {
  const tokens = (await store.tokens()).map(({ lastUsed, ...token }) => token);
  const visits = await Promise.all(['demo', 'shop', 'spare'].map((site) => store.archive.visit(`of-${site}`)));
  return { sites: await store.sites(), admins: await store.admins(), tokens, visits };
}

test('every documented route is for signed-in users or for everybody, and is tested here', async (t) => {
  const { ask } = await startHttp(t);
  const { paths } = (await (await ask('GET', '/v1/openapi.json')).json()) as {
    paths: Record<string, Record<string, { security?: [] }>>;
  };
  const closed = Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).flatMap(([method, { security }]) => (security?.length === 0 ? [] : [`${method} ${path}`])),
  );
  assert.deepEqual(closed.sort(), ['get /metrics', ...Object.keys(ROUTES)].sort());
});

test('requests without valid credentials get 401 on every route', async (t) => {
  const { http, token } = await furnish(t);
  const { authorization } = await token();
  for (const headers of [{}, { cookie: 'fieldmouse=none' }, { authorization: `${authorization}x` }] as Headers[])
    for (const route of Object.keys(ROUTES)) {
      const answer = await ask(http, route, 'shop', headers);
      assert.deepEqual([answer.status, await codeOf(answer)], [401, 'signed-out'], route);
    }
});

test('viewers see their sites, manage their own account, and change nothing else', async (t) => {
  const { http, session, token } = await furnish(t);
  const before = await contents(http);
  const viewers = [() => session('bob'), () => token(OF_SHOP)];
  const [bySession] = viewers;
  for (const viewer of viewers)
    for (const [route, { needs, path }] of Object.entries(ROUTES)) {
      const answer = await ask(http, route, 'shop', await viewer());
      const isOther = needs === 'look' && path.includes('SITE');
      if (needs === 'manage') assert.deepEqual([answer.status, await codeOf(answer)], [403, 'forbidden'], route);
      else if (needs === 'look' || viewer === bySession)
        assert.ok(![401, 403].includes(answer.status), `${route} ${answer.status}`);
      if (isOther) assert.equal(answer.status, 200, route);
    }
  // What is nobody's business is as unknown as what is not there.
  for (const headers of [await session('bob'), await token(OF_SHOP), await token(OF_NONE)])
    for (const [route, { path }] of Object.entries(ROUTES).filter(([, one]) => one.path.includes('SITE'))) {
      const [other, none] = [await ask(http, route, 'demo', headers), await ask(http, route, 'none', headers)];
      assert.equal(other.status, 404, path);
      assert.equal(await other.text(), await none.text(), path);
    }
  // Nor do other faults of a request tell.
  for (const query of ['from=never', 'from=2026-01-02&to=2026-01-01'])
    for (const site of ['demo', 'none'])
      assert.equal(
        (await http.ask('GET', `/v1/pages?site=${site}&${query}`, { headers: await token(OF_SHOP) })).status,
        404,
      );
  const after = (await contents(http)) as { admins: { name: string; password: null }[]; tokens: { name: string }[] };
  for (const admin of after.admins) admin.password = null;
  assert.deepEqual({ ...after, tokens: [] }, { ...before, tokens: [] });
});

test('owners may do everything, by token too', async (t) => {
  const { http, session, token } = await furnish(t);
  for (const [route, { needs }] of Object.entries(ROUTES)) {
    const answer = await ask(http, route, 'demo', needs === 'own' ? await session('ada') : await token());
    assert.ok(answer.status < 300 || (answer.status === 404 && route.endsWith('{id}')), `${route} ${answer.status}`);
  }
});

test('metrics of the whole server are for accounts that see all sites', async (t) => {
  const { http, session, token } = await furnish(t);
  const statusOf = async (headers: Headers) =>
    (await http.ask('GET', '/metrics', { headers: { ...headers, 'x-forwarded-for': '192.0.2.1' } })).status;
  assert.equal(await statusOf({}), 401);
  assert.equal(await statusOf(await session('bob')), 403);
  assert.equal(await statusOf(await token(OF_NONE)), 403);
  assert.equal(await statusOf(await token({ role: 'viewer', sites: null })), 200);
  assert.equal(await statusOf(await session('ada')), 200);
});

test('lists contain only visible items, and viewers cannot see sessions of others', async (t) => {
  const { http, session, token } = await furnish(t);
  const sites = async (headers: Headers) => {
    const { sites } = (await (await http.ask('GET', '/v1/sites', { headers })).json()) as { sites: { key: string }[] };
    return sites.map(({ key }) => key);
  };
  assert.deepEqual(await sites(await session('bob')), ['shop']);
  assert.deepEqual(await sites(await token(OF_NONE)), []);
  assert.deepEqual(await sites(await token({ role: 'viewer', sites: null })), ['demo', 'shop', 'spare']);

  const [ada, bob] = [await session('ada'), await session('bob')];
  const other = await session('bob');
  const names = async (headers: Headers) => {
    const answer = await http.ask('GET', '/v1/sessions', { headers });
    return ((await answer.json()) as { sessions: { id: string; name: string }[] }).sessions.map(({ name }) => name);
  };
  assert.ok((await names(ada)).includes('ada'));
  assert.deepEqual([...new Set(await names(bob))], ['bob']);
  // This token is called ada.
  assert.deepEqual(await names(await token(OF_SHOP)), []);
  for (const { id, name } of await http.store.sessions(Date.now())) {
    const status = name === 'bob' ? 204 : 404;
    if (name === 'ada')
      assert.equal((await http.ask('DELETE', `/v1/sessions/${id}`, { headers: await token(OF_SHOP) })).status, 404);
    assert.equal((await http.ask('DELETE', `/v1/sessions/${id}`, { headers: await session('bob') })).status, status);
  }
  assert.equal((await http.ask('GET', '/v1/session', { headers: other })).status, 401);
  assert.equal((await http.ask('GET', '/v1/session', { headers: ada })).status, 200);
});

test('owners add, change and remove administrators, except the last owner', async (t) => {
  const { http, session } = await furnish(t);
  const headers = await session('ada');
  const change = (method: string, path: string, body?: object) =>
    http.ask(method, `/v1/admins${path}`, { headers, ...(body && { body }) });
  const made = await change('POST', '', { name: 'eve', role: 'viewer', sites: ['shop'] });
  assert.equal(made.status, 201);
  const { token } = (await made.json()) as { token: string };
  const signed = await http.ask('POST', '/v1/session/link', { body: { token } });
  const who = (await signed.json()) as Rights;
  assert.deepEqual([signed.status, who.role, who.sites], [201, 'viewer', ['shop']]);
  const cases: [method: string, path: string, body: object | undefined, status: number, code: string][] = [
    ['POST', '', { name: 'eve', ...OWNER }, 409, 'admin-exists'],
    // They would be read as eve.
    ...['EVE', 'e\u200dve', 'ｅｖｅ', 'eve\u180b'].map((name): (typeof cases)[number] => [
      'POST',
      '',
      { name, ...OWNER },
      409,
      'admin-exists',
    ]),
    ['POST', '', { name: '\u3164', ...OWNER }, 400, 'bad-request'],
    ['POST', '', { name: 'a\uffa0', ...OWNER }, 400, 'bad-request'],
    ['POST', '', { name: 'a/b', ...OWNER }, 400, 'bad-request'],
    ['POST', '', { name: 'max', role: 'viewer', sites: ['none'] }, 404, 'unknown-site'],
    ['POST', '', { name: 'max', role: 'owner', sites: ['shop'] }, 400, 'bad-request'],
    ['POST', '', { name: 'max', role: 'king', sites: null }, 400, 'bad-request'],
    ['POST', '', { name: 'max' }, 400, 'bad-request'],
    ['PUT', '/none', OWNER, 404, 'unknown-admin'],
    ['PUT', '/ada', OF_SHOP, 409, 'last-owner'],
    ['DELETE', '/ada', undefined, 409, 'last-owner'],
    ['DELETE', '/none', undefined, 404, 'unknown-admin'],
    ['POST', '/none/link', undefined, 404, 'unknown-admin'],
  ];
  for (const [method, path, body, status, code] of cases) {
    const answer = await change(method, path, body);
    assert.deepEqual([answer.status, await codeOf(answer)], [status, code], `${method} ${path} ${code}`);
  }
  assert.equal((await change('PUT', '/eve', OWNER)).status, 204);
  const list = (await (await change('GET', '')).json()) as { admins: { name: string }[] };
  const created = (await http.store.admin('eve'))?.created;
  assert.deepEqual(list.admins.at(-1), { name: 'eve', created, hasPassword: false, ...OWNER });
  assert.equal((await change('DELETE', '/ada')).status, 204);
  assert.equal((await change('GET', '')).status, 401);
});

test('a stream ends when its viewer loses the site, and other streams continue', async (t) => {
  const server = await startServer(t);
  const store = await openLmdbStore(server.data);
  t.after(() => store.close());
  const now = Date.now();
  await store.addSite({ key: 'shop', name: 'Shop', origins: [], created: now, firstSeen: null });
  await store.addAdmin('bob', now, { role: 'viewer', sites: ['demo', 'shop'] });
  const made = await store.addSession('bob', '', now);
  const cookie = `fieldmouse=${made?.secret}`;
  const watch = async (site: string) => {
    const answer = await fetch(`${server.url}/v1/stream?site=${site}`, { headers: { cookie } });
    return { status: answer.status, text: answer.text() };
  };
  const [demo, shop] = [await watch('demo'), await watch('shop')];
  assert.deepEqual([demo.status, shop.status], [200, 200]);
  const owner = await StreamReader.open(t, server, { site: 'demo' });
  await owner.next('snapshot');
  let isShopOver = false;
  shop.text.then(() => {
    isShopOver = true;
  });
  await store.setRights('bob', { role: 'viewer', sites: ['shop'] });
  await demo.text;
  assert.equal((await watch('demo')).status, 404);
  await owner.next('rates');
  assert.equal(isShopOver, false);
  await store.removeAdmin('bob');
  await shop.text;
});

test('a replay ends when its viewer loses the site', async (t) => {
  const { http } = await furnish(t);
  const { store } = http;
  const { secret } = await store.addToken('reader', Date.now(), OF_SHOP);
  const from = T - 3_600_000;
  await record(
    store.archive,
    ...Array.from({ length: 50 }, (_, i) => ({
      id: `v${i}`,
      site: 'shop',
      since: from + i * 60_000,
      frames: [{ samples: moves(from + i * 60_000, [[1, 2]]) }],
    })),
  );
  const query = { site: 'shop', from: String(from), speed: '60' };
  const replay = await StreamReader.open(t, { url: http.url, token: secret }, query, {}, '/v1/replay');
  await replay.next('snapshot');
  await store.removeSite('shop', Date.now());
  await store.addSite({ key: 'shop', name: 'Another', origins: [], created: T, firstSeen: null });
  await replay.ended;
  assert.ok(!replay.events.some(({ name }) => name === 'end'));
});
