/** Sites: their routes, the origins whose pages may report, and changes that reach every process. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import fc from 'fast-check';
import { WebSocket } from 'ws';
import { isAllowedOrigin, isOwnOrigin, normalOrigin } from '../src/model/site.ts';
import { until } from './support/exact.ts';
import { codeOf, startHttp } from './support/http.ts';
import { FILE } from './support/owner.ts';
import { spawnMain, startServer } from './support/server.ts';
import { JsonVisitor } from './support/visitor.ts';

const server = await startServer(FILE);

test('an origin is normalised as browsers write it', () => {
  const cases: [given: string, normal: string | undefined][] = [
    ['https://www.example.org', 'https://www.example.org'],
    ['HTTPS://WWW.Example.ORG', 'https://www.example.org'],
    ['https://www.example.org/', 'https://www.example.org'],
    ['https://www.example.org:443', 'https://www.example.org'],
    ['http://www.example.org:443', 'http://www.example.org:443'],
    ['http://[::1]:8080', 'http://[::1]:8080'],
    ['https://müller.example', 'https://xn--mller-kva.example'],
    ['self', 'self'],
    ['https://www.example.org/shop', undefined],
    ['https://www.example.org?', undefined],
    ['https://*.example.org', 'https://*.example.org'],
    ['HTTPS://*.Example.org:443/', 'https://*.example.org'],
    ['https://*.example.org:8443', 'https://*.example.org:8443'],
    ['http://localhost:*', 'http://localhost:*'],
    ['HTTP://LOCALHOST:*/', 'http://localhost:*'],
    ['http://127.0.0.1:*', 'http://127.0.0.1:*'],
    ['http://[::1]:*', 'http://[::1]:*'],
    ['https://*', undefined],
    ['https://*.org', undefined],
    ['https://*.org.', undefined],
    ['https://*.*.example.org', undefined],
    ['https://a.*.example.org', undefined],
    ['https://a*.example.org', undefined],
    ['https://*.example.org:*', undefined],
    ['https://*.0.0.1', undefined],
    ['https://www.example.org:*', undefined],
    ['http://localhost:*/shop', undefined],
    ['*', undefined],
    ['https://user@example.org', undefined],
    ['ftp://example.org', undefined],
    ['javascript:alert(1)', undefined],
    ['www.example.org', undefined],
    ['null', undefined],
    ['*', undefined],
    ['', undefined],
    ['https://', undefined],
    ['https://a b', undefined],
  ];
  for (const [given, normal] of cases) assert.equal(normalOrigin(given), normal, given);
});

test('an origin is allowed only as a whole', () => {
  const site = { origins: ['https://shop.example'] };
  const refused = [
    'https://shop.example.evil.test',
    'https://evil-shop.example',
    'https://shop.example:8443',
    'http://shop.example',
    'https://shop.example/',
    'https://SHOP.example',
    'https://a.shop.example',
    'null',
    'self',
    '',
  ];
  assert.ok(isAllowedOrigin(site, 'https://shop.example', 'mouse.example'));
  // No browser: it could claim any.
  assert.ok(isAllowedOrigin(site, undefined, 'mouse.example'));
  for (const origin of refused) assert.ok(!isAllowedOrigin(site, origin, 'mouse.example'), origin);
  assert.ok(!isAllowedOrigin(site, 'http://mouse.example', 'mouse.example'), 'own, but not listed');
});

test('a pattern allows one label or any local port, and nothing else', () => {
  const site = {
    origins: ['https://*.shop.example', 'http://*.dev.example:8080', 'http://localhost:*', 'http://[::1]:*'],
  };
  const allowed = [
    'https://www.shop.example',
    'https://pr-17_b.shop.example',
    'https://xn--mller-kva.shop.example',
    'http://a.dev.example:8080',
    'http://localhost',
    'http://localhost:3000',
    'http://[::1]:5173',
  ];
  const refused = [
    'https://shop.example',
    'https://.shop.example',
    'https://a.b.shop.example',
    'https://evil.test/.shop.example',
    'https://evil.test:.shop.example',
    'https://user@.shop.example',
    'https://*.shop.example',
    'http://www.shop.example',
    'https://www.shop.example:8443',
    'https://www.shop.example.evil.test',
    'https://wwwshop.example',
    'http://a.dev.example',
    'https://localhost',
    'http://localhost:',
    'http://localhost:80a',
    'http://localhost:123456',
    'http://localhost.evil.test',
    'http://localhost:3000.evil.test',
    'http://127.0.0.1:3000',
  ];
  for (const origin of allowed) assert.ok(isAllowedOrigin(site, origin, undefined), origin);
  for (const origin of refused) assert.ok(!isAllowedOrigin(site, origin, undefined), origin);
});

test('self is the requested host, by http or https', () => {
  const site = { origins: ['self'] };
  const cases: [origin: string, host: string | undefined, allowed: boolean][] = [
    ['http://mouse.example', 'mouse.example', true],
    ['https://mouse.example', 'mouse.example', true],
    ['http://mouse.example', 'MOUSE.example:80', true],
    ['http://mouse.example:8080', 'mouse.example:8080', true],
    ['http://[::1]:2112', '[::1]:2112', true],
    ['http://mouse.example:8080', 'mouse.example', false],
    ['http://mouse.example', 'mouse.example:8080', false],
    ['http://mouse.example.evil.test', 'mouse.example', false],
    ['http://evil.test', 'mouse.example', false],
    ['http://evil.test', 'evil.test/@mouse.example', false],
    ['http://mouse.example', undefined, false],
    ['http://mouse.example', '', false],
    ['null', 'null', false],
    ['self', 'self', false],
  ];
  for (const [origin, host, allowed] of cases)
    assert.equal(isAllowedOrigin(site, origin, host), allowed, `${origin} at ${host}`);
});

test('no text makes the origin check throw, and a normalised origin does not change again', () => {
  fc.assert(
    fc.property(fc.string(), fc.string(), (origin, host) => {
      isOwnOrigin(origin, host);
      assert.equal(isAllowedOrigin({ origins: [] }, origin, host), false);
      const normal = normalOrigin(origin);
      if (normal !== undefined) assert.equal(normalOrigin(normal), normal);
    }),
  );
  fc.assert(
    fc.property(fc.webUrl(), (url) => {
      const { origin } = new URL(url);
      assert.equal(normalOrigin(origin), origin);
    }),
  );
});

test('sites are added, changed, listed and removed', async (t) => {
  const { api } = await startHttp(t);
  const added = await api('POST', '/v1/sites', {
    key: 'shop',
    name: 'My shop',
    origins: ['https://Shop.example/', 'https://shop.example:443', 'self', 'http://localhost:8080'],
  });
  assert.equal(added.status, 201);
  const site = (await added.json()) as { created: number };
  assert.deepEqual(site, {
    key: 'shop',
    name: 'My shop',
    origins: ['https://shop.example', 'self', 'http://localhost:8080'],
    created: site.created,
    firstSeen: null,
  });
  const changed = await api('PUT', '/v1/sites/shop', { name: 'Shop', origins: [] });
  assert.deepEqual(await changed.json(), { ...site, name: 'Shop', origins: [] });
  const { sites } = (await (await api('GET', '/v1/sites')).json()) as { sites: { key: string }[] };
  assert.deepEqual(
    sites.map(({ key }) => key),
    ['demo', 'shop'],
  );
  assert.equal((await api('DELETE', '/v1/sites/shop')).status, 204);
  for (const [method, body] of [
    ['DELETE', undefined],
    ['PUT', { name: 'Shop', origins: [] }],
  ] as const) {
    const response = await api(method, '/v1/sites/shop', body);
    assert.equal(response.status, 404);
    assert.equal(await codeOf(response), 'unknown-site');
  }
});

test('an invalid site is rejected with the reason', async (t) => {
  const { api } = await startHttp(t);
  const good = { key: 'shop', name: 'Shop', origins: ['https://shop.example'] };
  const cases: [body: object, status: number, code: string][] = [
    [{ ...good, key: 'demo' }, 409, 'site-exists'],
    [{ ...good, key: 'My Shop' }, 400, 'bad-request'],
    [{ ...good, key: '' }, 400, 'bad-request'],
    [{ ...good, key: 'x'.repeat(41) }, 400, 'bad-request'],
    [{ ...good, key: 5 }, 400, 'bad-request'],
    [{ ...good, name: '' }, 400, 'bad-request'],
    [{ ...good, name: ' ' }, 400, 'bad-request'],
    [{ ...good, name: 'two\nlines' }, 400, 'bad-request'],
    [{ ...good, name: 'x'.repeat(101) }, 400, 'bad-request'],
    [{ ...good, origins: ['https://shop.example/path'] }, 400, 'bad-origin'],
    [{ ...good, origins: ['*'] }, 400, 'bad-origin'],
    [{ ...good, origins: 'https://shop.example' }, 400, 'bad-request'],
    [{ ...good, origins: Array.from({ length: 51 }, (_, i) => `https://${i}.example`) }, 400, 'bad-request'],
    [{ ...good, firstSeen: 1 }, 400, 'bad-request'],
    [{ key: 'shop', name: 'Shop' }, 400, 'bad-request'],
  ];
  for (const [body, status, code] of cases) {
    const response = await api('POST', '/v1/sites', body);
    assert.equal(response.status, status, JSON.stringify(body));
    assert.equal(await codeOf(response), code, JSON.stringify(body));
  }
  assert.equal((await api('POST', '/v1/sites', { ...good, name: 'Größe 🐭' })).status, 201);
});

test('the snippet uses the configured paths', async (t) => {
  const { api } = await startHttp(t, { flags: ['--script-path', 'm.js', '--endpoint', 'in'] });
  assert.deepEqual(await (await api('GET', '/v1/server')).json(), {
    version: '0.0.0-test',
    scriptPath: '/m.js',
    endpoint: '/in',
  });
});

test('adding or removing a site reaches every worker without a restart, also from the command line', async (t) => {
  const origin = 'https://shop.example';
  const visit = async (site: string, from = origin): Promise<boolean> => {
    const visitor = new JsonVisitor(t, server.ws, { site, origin: from });
    const [reply] = await Promise.allSettled([visitor.hello]);
    visitor.socket.terminate();
    return reply.status === 'fulfilled';
  };
  /** Connections are spread over both workers. */
  const visits = (site: string, from?: string) => Promise.all(Array.from({ length: 6 }, () => visit(site, from)));
  const all = (answer: boolean) => Array.from({ length: 6 }, () => answer);

  assert.deepEqual(await visits('shop'), all(false));
  const added = await server.api('/v1/sites', {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ key: 'shop', name: 'Shop', origins: [origin] }),
  });
  assert.equal(added.status, 201);
  assert.deepEqual(await visits('shop'), all(true));
  assert.deepEqual(await visits('shop', 'https://shop.example.evil.test'), all(false));
  // Noted beside what visitors wait for.
  await until(async () => typeof (await firstSeen(server, 'shop')) === 'number', 'a first visitor noted');

  const command = async (...words: string[]) => {
    const child = spawnMain([...words, '--data', server.data]);
    assert.deepEqual(await once(child, 'exit'), [0, null]);
  };
  await command('site', 'remove', 'shop', '--yes');
  assert.deepEqual(await visits('shop'), all(false));
  await command('site', 'add', 'blog', '--name', 'Blog', '--origin', origin);
  assert.deepEqual(await visits('blog'), all(true));
});

test('the demo site accepts visitors from the server itself and from nowhere else', async (t) => {
  const own = new JsonVisitor(t, server.ws, { origin: server.url });
  assert.equal((await own.hello).type, 'hello');
  const other = new WebSocket(`${server.ws}/v1/visit?site=demo&page=/`, ['json'], { origin: 'https://evil.example' });
  other.on('error', () => {});
  const [, response] = await once(other, 'unexpected-response');
  response.destroy();
  assert.equal(response.statusCode, 403);
});

interface Api {
  api(path: string): Promise<Response>;
}

async function firstSeen(server: Api, key: string): Promise<number | null | undefined> {
  const { sites } = (await (await server.api('/v1/sites')).json()) as {
    sites: { key: string; firstSeen: number | null }[];
  };
  return sites.find((site) => site.key === key)?.firstSeen;
}
