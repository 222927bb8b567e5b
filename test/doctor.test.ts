/** `fieldmouse doctor`: what it finds out about pages, and how it reads their policies. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import fc from 'fast-check';
import { forbiddenBy, readPolicies } from '../src/commands/content-policy.ts';
import { checkFraming, checkTags, readSource } from '../src/commands/page-check.ts';
import { runHere } from './support/command.ts';
import { FILE } from './support/owner.ts';
import { startServer } from './support/server.ts';

const server = await startServer(FILE, { workers: 1 });

interface Page {
  html?: string;
  headers?: Record<string, string>;
  status?: number;
}

const pages = new Map<string, Page>();
const site = createServer((request, response) => {
  const { html = '', headers = {}, status = 200 } = pages.get(request.url ?? '') ?? { status: 404 };
  response.writeHead(status, { 'content-type': 'text/html', ...headers }).end(html);
}).listen(0, '127.0.0.1');
FILE.after(() => site.close());
await once(site, 'listening');
const origin = `http://127.0.0.1:${(site.address() as AddressInfo).port}`;

/** A port on which nothing listens. */
async function closedPort(): Promise<number> {
  const closed = createServer().listen(0, '127.0.0.1');
  await once(closed, 'listening');
  const { port } = closed.address() as AddressInfo;
  closed.close();
  await once(closed, 'close');
  return port;
}
const nowhere = `http://127.0.0.1:${await closedPort()}`;

const tag = (attributes = 'data-site="shop"') =>
  `<script defer src="${server.url}/fieldmouse.js" ${attributes}></script>`;

async function examine(page: Page): Promise<{ code: number; out: string; err: string }> {
  pages.set('/page', page);
  return runHere(['doctor', `${origin}/page`]);
}

async function addShop(origins: string[]): Promise<void> {
  const headers = { 'content-type': 'application/json' };
  await server.api('/v1/sites/shop', { method: 'DELETE' });
  const body = JSON.stringify({ key: 'shop', name: 'Shop', origins });
  assert.equal((await server.api('/v1/sites', { method: 'POST', headers, body })).status, 201);
}

test('a page that is set up well passes, and makes no visitor', async () => {
  await addShop([origin]);
  const { code, out } = await examine({ html: `<!doctype html><head>${tag()}<p>Shop` });
  assert.deepEqual([code, out.match(/fault|note/g)], [0, null], out);
  assert.match(out, /the site shop allows http:\/\/127\.0\.0\.1/);
  const { sites } = (await (await server.api('/v1/sites')).json()) as { sites: { key: string; firstSeen: unknown }[] };
  assert.equal(sites.find(({ key }) => key === 'shop')?.firstSeen, null);
});

test('each fault of a page is named, with what to do', async () => {
  await addShop(['https://shop.example']);
  const cases: [page: Page, expected: RegExp][] = [
    [{ html: '<p>Shop' }, /blind .*no Fieldmouse script: paste the snippet/],
    [{ html: `<!-- ${tag()} --><textarea>${tag()}</textarea>` }, /blind .*no Fieldmouse script/],
    [{ html: tag('') }, /fault .*no data-site/],
    [{ html: tag('data-site="My shop"') }, /fault .*is not a site key/],
    [{ html: tag('data-site="&#27;]0;x&#7;"') }, /fault .*data-site is "\?\]0;x\?"/],
    [{ html: tag('data-site="shop" type="module"') }, /fault .*type="module"/],
    [{ html: '<script src="data:text/javascript,1" data-site="x"></script>' }, /blind /],
    [
      { html: `<script src="https://other.example/x.js" data-site="OTHER"></script>${tag('data-site="shpo"')}` },
      /key shpo/,
    ],
    [{ html: tag('data-site="shpo"') }, /fault .*no site with the key shpo/],
    [{ html: tag() }, /fault .*does not allow http:\/\/127/],
    [{ html: '<script src="/fieldmouse.js" data-site="shop"></script>' }, /fault .*answers with status 404/],
    [{ html: '<script src="/page" data-site="shop"></script>' }, /fault .*is not a script but text\/html/],
    [{ html: `<script src="${nowhere}/fieldmouse.js" data-site="shop"></script>` }, /fault .*cannot be loaded/],
    [
      { html: tag(), headers: { 'content-security-policy': "default-src 'self'" } },
      /fault .*forbids the script: add http:\/\/127\S+ to default-src/,
    ],
    [
      { html: `<meta http-equiv="Content-Security-Policy" content="connect-src 'self'">${tag()}` },
      /fault .*forbids connections: add http:\/\/127\S+ and ws:\/\/127\S+ to connect-src/,
    ],
  ];
  for (const [page, expected] of cases) {
    const { code, out } = await examine(page);
    assert.equal(code, 1, out);
    assert.match(out, expected);
    assert.match(out, /(are not seen|cannot be told from outside)\.$/);
  }
});

test('what is no fault is noted', async () => {
  await addShop([origin]);
  const cases: [page: Page, expected: RegExp][] = [
    [{ html: tag() + tag() }, /note .*the script 2 times/],
    [{ html: tag('data-site="shop" data-consent="required"') }, /note .*waits for consent/],
    [{ html: tag('data-site="shop" type="text/plain"') }, /note .*the type "text\/plain"/],
    [
      { html: tag(), headers: { 'x-frame-options': 'SAMEORIGIN' } },
      /note .*forbids frames.*frame-ancestors 'self' http/,
    ],
    [
      { html: tag(), headers: { 'content-security-policy': `connect-src ${server.url}` } },
      /note .*forbids ws:.*by POST/,
    ],
  ];
  for (const [page, expected] of cases) {
    const { code, out } = await examine(page);
    assert.equal(code, 0, out);
    assert.match(out, expected);
  }
});

test('an address that cannot be read is one line', async () => {
  for (const [address, expected, code] of [
    ['shop.example', /write it as https:\/\/shop\.example/, 2],
    [`${nowhere}/`, /does not answer: .*ECONNREFUSED/, 1],
    [`${origin}/none`, /answers with status 404/, 1],
  ] as const) {
    const ran = await runHere(['doctor', address]);
    assert.equal(ran.code, code);
    assert.match(ran.err, expected);
  }
});

test('policies are read as browsers read them', () => {
  const self = new URL('https://shop.example/page');
  const script = new URL('https://live.example/fieldmouse.js');
  const allows = (policy: string, url = script, kind: 'script' | 'connect' = 'script', nonce?: string) =>
    forbiddenBy(readPolicies(policy), kind, url, self, nonce) === undefined;
  for (const policy of [
    '',
    "img-src 'none'",
    'script-src *',
    'script-src https:',
    'script-src http://live.example',
    'script-src live.example',
    'SCRIPT-SRC https://LIVE.example:443',
    'script-src https://*.example',
    'script-src https://live.example:*/fieldmouse.js',
    'script-src https://live.example/',
    "default-src 'none'; script-src https://live.example",
    "script-src 'none'; script-src-elem live.example",
    'script-src https:, default-src live.example',
    'script-src http://live.example:80',
  ])
    assert.ok(allows(policy), policy);
  for (const policy of [
    "script-src 'none'",
    "script-src 'none'; script-src *",
    'script-src https://live.example/FIELDMOUSE.js',
    'script-src',
    "script-src 'self'",
    'default-src shop.example',
    'script-src live.example:8443',
    'script-src https://live.example/other.js',
    'script-src https://*.live.example',
    "script-src 'strict-dynamic' https:",
    "script-src 'nonce-abc'",
    'script-src https:, default-src other.example',
  ])
    assert.ok(!allows(policy), policy);
  assert.ok(allows("script-src 'nonce-abc' 'strict-dynamic'", script, 'script', 'abc'));
  assert.ok(!allows("script-src 'nonce-abc'", script, 'script', 'other'));
  const socket = new URL('wss://live.example/v1/visit');
  for (const policy of [
    'connect-src *',
    'connect-src wss:',
    'connect-src ws://live.example',
    "connect-src 'self' wss://live.example",
  ])
    assert.ok(allows(policy, socket, 'connect'), policy);
  for (const policy of ['connect-src https:', 'connect-src https://live.example', 'connect-src live.example'])
    assert.ok(!allows(policy, socket, 'connect'), policy);
  assert.ok(allows("default-src 'strict-dynamic' wss:", socket, 'connect'));
  assert.ok(allows("connect-src 'self'", new URL('wss://shop.example/v1/visit'), 'connect'));
});

test('no page and no policy makes the doctor fail', () => {
  const url = new URL('https://shop.example/');
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), fc.string(), (html, value) => {
      const headers = new Headers();
      try {
        headers.set('content-security-policy', value);
        headers.set('x-frame-options', value);
      } catch {
        // Not the value of a header.
      }
      const source = readSource({ url, headers, html: `<script src=${html}>${html}` }, '/fieldmouse.js');
      assert.ok(checkTags({ url }, source).length > 0);
      forbiddenBy(source.policies, 'script', url, url);
      checkFraming({ url, headers }, url);
    }),
  );
});
