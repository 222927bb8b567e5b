/** The audit trail: what requests and starts write into it, and what must never be in it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { AuditEntry } from '../src/model/audit.ts';
import { openLmdbStore } from '../src/store/lmdb/lmdb-store.ts';
import { codeOf, startHttp, storePassword, type TestHttp } from './support/http.ts';
import { moves, record } from './support/record.ts';
import { startServer, temporaryFolder } from './support/server.ts';

const PASSWORD = 'a long enough one';
const AGENT = 'Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0';

/** The trail from the begin on, as `who what on`. */
async function trail({ store }: Pick<TestHttp, 'store'>): Promise<string[]> {
  const { items } = await store.audit({ limit: 1000 });
  return items.map(({ who, what, on, count }) => `${who} ${what} ${on}${count > 1 ? ` ×${count}` : ''}`).reverse();
}

test('the audit trail records each change made over HTTP and who made it', async (t) => {
  const http = await startHttp(t);
  const { store } = http;
  const since = Date.now() - 60_000;
  await record(store.archive, { id: 'visit-one', since, frames: [{ samples: moves(since, [[1, 2]]) }] });
  const cookie = await http.signIn();
  const asked = async (method: string, path: string, body?: object) => {
    const answer = await http.ask(method, path, { cookie, ...(body && { body }) });
    assert.ok(answer.ok, `${method} ${path} ${answer.status}`);
    return answer.status === 204 ? {} : await answer.json();
  };
  await asked('PUT', '/v1/password', { password: PASSWORD });
  await asked('POST', '/v1/sites', { key: 'shop', name: 'Shop', origins: [] });
  await asked('PUT', '/v1/sites/shop', { name: 'The shop', origins: [] });
  await asked('POST', '/v1/admins', { name: 'bob', role: 'viewer', sites: ['shop'] });
  await asked('PUT', '/v1/admins/bob', { role: 'viewer', sites: null });
  const made = await store.addSession('bob', '', Date.now());
  await asked('DELETE', `/v1/sessions/${made?.session.id}`);
  await asked('DELETE', '/v1/admins/bob');
  const { id, secret } = (await asked('POST', '/v1/tokens', { name: 'Night job' })) as { id: string; secret: string };
  const headers = { authorization: `Bearer ${secret}` };
  assert.equal((await http.ask('DELETE', '/v1/visits/visit-one', { headers })).status, 204);
  await asked('DELETE', `/v1/tokens/${id}`);
  await asked('DELETE', '/v1/sites/shop');
  await asked('DELETE', '/v1/session');
  assert.deepEqual(await trail(http), [
    'ada signed-in by link',
    'ada password-set ada',
    'ada site-added shop',
    'ada site-changed shop',
    'ada admin-added bob, a viewer of shop',
    'ada link-made bob',
    'ada admin-changed bob, a viewer of all sites',
    'ada session-ended bob',
    'ada admin-removed bob',
    'ada token-made Night job, an owner',
    'token Night job visit-erased visit-one',
    'ada token-revoked Night job',
    'ada site-removed shop',
    'ada signed-out ada',
  ]);
});

test('rejected sign-ins are counted under existing names only, and no secret is stored', async (t) => {
  const http = await startHttp(t);
  const cookie = await http.signIn();
  await storePassword(http.store, 'ada', PASSWORD);
  const sign = (name: string, password: string) =>
    http.ask('POST', '/v1/session', { body: { name, password }, headers: { 'user-agent': AGENT } });
  for (const password of ['wrong-secret-1', 'wrong-secret-2', 'wrong-secret-3'])
    assert.equal((await sign('ada', password)).status, 401);
  // People type passwords into the field for the name.
  for (const name of [PASSWORD, 'eve']) assert.equal((await sign(name, 'wrong-secret-4')).status, 401);
  assert.equal((await http.ask('POST', '/v1/session/link', { body: { token: 'wrong-link' } })).status, 401);
  const body = { current: 'wrong-secret-5', password: 'another long one' };
  assert.equal((await http.ask('PUT', '/v1/password', { cookie, body })).status, 403);
  for (let i = 0; i < 2; i++) assert.equal((await sign('ada', PASSWORD)).status, 201);
  assert.deepEqual((await trail(http)).slice(1), [
    'ada sign-in-refused by password ×3',
    'unknown name sign-in-refused by password ×2',
    'unknown name sign-in-refused by link',
    'ada sign-in-refused to change the password',
    'ada signed-in by password ×2',
  ]);
  const { items } = await http.store.audit({ limit: 100 });
  assert.equal(items[0]?.from, 'Firefox on Linux');
  const text = JSON.stringify(items);
  for (const secret of ['127.0.0.1', PASSWORD, 'wrong-', 'another long', cookie.split('=')[1] as string])
    assert.ok(!text.includes(secret), secret);
});

test('attempts beyond the limit write no more entries', async (t) => {
  const http = await startHttp(t);
  await http.signIn();
  await storePassword(http.store, 'ada', PASSWORD);
  const guesses = Array.from({ length: 14 }, () => ({ name: 'ada', password: 'wrong' }));
  for (const body of guesses) await http.ask('POST', '/v1/session', { body });
  assert.equal((await trail(http)).at(-1), 'ada sign-in-refused by password ×10');
});

test('the trail is read in pages and with filters, and invalid filters are rejected', async (t) => {
  const http = await startHttp(t);
  for (let i = 0; i < 5; i++)
    await http.store.note({ at: 1000 + i, who: i % 2 ? 'ada' : 'bob', what: 'site-changed', on: `${i}` });
  const read = async (query: string) => {
    const answer = await http.api('GET', `/v1/audit${query}`);
    assert.equal(answer.status, 200, query);
    const { entries, next } = (await answer.json()) as { entries: AuditEntry[]; next: string | null };
    return { on: entries.map(({ on }) => on).join(''), next };
  };
  const first = await read('?limit=2');
  assert.equal(first.on, '43');
  assert.equal((await read(`?limit=5&after=${first.next}`)).on, '210');
  assert.deepEqual(await read('?who=ada&what=site-changed'), { on: '31', next: null });
  assert.deepEqual(await read('?what=restored'), { on: '', next: null });
  for (const query of ['?limit=0', '?limit=201', '?what=none', '?after=x', '?who=', '?more=1'])
    assert.equal(await codeOf(await http.api('GET', `/v1/audit${query}`)), 'bad-request', query);
});

test('the trail records starts with changed options, and the creation of the first administrator', async (t) => {
  const data = temporaryFolder(t);
  await (await startServer(t, { data, workers: 1 })).stop();
  const server = await startServer(t, {
    data,
    workers: 1,
    flags: ['--log-level', 'warn'],
    env: { FIELDMOUSE_TOKEN: 'another-token-0123' },
  });
  await server.stop();
  const store = await openLmdbStore(data);
  t.after(() => store.close());
  assert.deepEqual(await trail({ store }), [
    'server admin-added admin',
    'server link-made admin',
    'server options-changed token, log-level',
  ]);
});
