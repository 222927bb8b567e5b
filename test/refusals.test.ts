/** Visitors that are refused: what is kept of them, and how Settings helps. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import fc from 'fast-check';
import { WebSocket } from 'ws';
import { isLocalHost, policyFor } from '../src/dashboard/ui/snippet-advice.ts';
import { addRefusals, REFUSALS_KEPT, type Refusal, refusalOf } from '../src/model/refusal.ts';
import { openPage } from './support/browser.ts';
import { keepPictures, openDashboard } from './support/dashboard.ts';
import { until } from './support/exact.ts';
import { FILE } from './support/owner.ts';
import { startServer } from './support/server.ts';

const server = await startServer(FILE, { workers: 1 });

/** Refusals of a site as `origin reason count`. */
async function refusalsOf(site: string): Promise<string[]> {
  const { refusals } = (await (await server.api('/v1/refusals')).json()) as { refusals: Refusal[] };
  return refusals
    .filter((one) => one.site === site)
    .map(({ origin, reason, count }) => `${origin} ${reason} ${count}`)
    .sort();
}

async function connect(site: string, origin: string): Promise<void> {
  const socket = new WebSocket(`${server.ws}/v1/visit?site=${site}&page=/secret-page`, 'json', { origin });
  await once(socket, 'error');
}

test('of any refusals, the latest of a bounded number of origins are kept, and no count is lost', () => {
  const reason = fc.constantFrom('origin-not-allowed' as const, 'address-full' as const);
  const refusal = fc
    .tuple(fc.nat(40), reason, fc.nat(1000))
    .map(([host, why, last]) => refusalOf('shop', `https://a${host}.example`, why, last));
  fc.assert(
    fc.property(fc.array(fc.array(refusal, { maxLength: 30 }), { maxLength: 5 }), (lists) => {
      const all = lists.flat();
      const kept = lists.reduce<Refusal[]>((known, more) => addRefusals(known, more, 1000), []);
      const origins = new Set(kept.map(({ origin }) => origin));
      assert.ok(origins.size <= REFUSALS_KEPT.origins);
      assert.deepEqual(
        kept.map(({ last }) => last),
        kept.map(({ last }) => last).sort((a, b) => b - a),
      );
      if (new Set(all.map(({ origin }) => origin)).size > REFUSALS_KEPT.origins) return;
      assert.equal(
        kept.reduce((sum, { count }) => sum + count, 0),
        all.length,
      );
    }),
  );
});

test('whatever a client claims, only an origin and a visible key are kept', () => {
  fc.assert(
    fc.property(
      fc.string({ unit: 'binary' }),
      fc.oneof(fc.string(), fc.webUrl(), fc.constant(undefined)),
      (key, origin) => {
        const refusal = refusalOf(key, origin, 'unknown-site', 0);
        assert.ok(refusal.site.length <= 40 && !/\p{Cc}/u.test(refusal.site));
        assert.ok(
          refusal.origin === '' ||
            refusal.origin === 'null' ||
            /^[a-z][a-z0-9+.-]*:\/\/[^/?#@\s]+$/.test(refusal.origin),
        );
      },
    ),
  );
  assert.equal(refusalOf('shop', 'https://shop.example/path?query', 'unknown-site', 0).origin, '');
  assert.equal(refusalOf('shop', 'https://user:pass@shop.example', 'unknown-site', 0).origin, '');
  assert.equal(refusalOf('shop', 'capacitor://localhost', 'unknown-site', 0).origin, 'capacitor://localhost');
  assert.equal(refusalOf('a\u0000b', undefined, 'unknown-site', 0).site, '');
});

test('refused sockets, POSTs and page visits are noted together by origin and reason, without the page', async () => {
  const headers = { origin: 'https://noted.example', 'content-type': 'text/plain' };
  await connect('demo', 'https://noted.example');
  await fetch(`${server.url}/v1/visit?site=demo&page=/secret-page`, { method: 'POST', headers, body: '{}' });
  await fetch(`${server.url}/v1/hits/secret-page?site=demo`, { method: 'POST', headers });
  await connect('demoo', 'https://noted.example');
  await connect('', 'null');
  await until(async () => (await refusalsOf('demo')).some((one) => one.endsWith(' 3')), 'three refusals of the demo');
  assert.deepEqual(await refusalsOf('demo'), ['https://noted.example origin-not-allowed 3']);
  await until(async () => (await refusalsOf('')).length > 0, 'refusal without a key');
  assert.deepEqual(await refusalsOf('demoo'), ['https://noted.example unknown-site 1']);
  assert.deepEqual(await refusalsOf(''), ['null unknown-site 1']);
  const text = await (await server.api('/v1/refusals')).text();
  assert.ok(!text.includes('secret') && !text.includes('127.0.0.1'));
  const { status } = await fetch(`${server.url}/v1/refusals`);
  assert.equal(status, 401);
});

test('Settings says which origin was refused, and one click lets its visitors in', async (t) => {
  const { browser, dashboard } = await openDashboard(t, 1280, 800, { server });
  const shop = createServer((_request, response) => {
    response.setHeader('content-type', 'text/html; charset=utf-8');
    const script = `<script defer src="${server.url}/fieldmouse.js" data-site="shop"></script>`;
    response.end(`<!doctype html><title>Shop</title>${script}<h1>Shop</h1>`);
  }).listen(0, '127.0.0.1');
  t.after(() => shop.close());
  await once(shop, 'listening');
  const origin = `http://127.0.0.1:${(shop.address() as AddressInfo).port}`;
  await server.api('/v1/sites', {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ key: 'shop', name: 'Shop', origins: ['https://shop.example'] }),
  });

  await dashboard.getByRole('link', { name: 'Settings' }).click();
  const item = dashboard.locator('[data-site=shop]');
  await item.getByText('Waiting for the first visitor').waitFor();
  const visitor = await openPage(browser);
  await visitor.goto(origin);
  await item.getByText(new RegExp(`from ${origin} (was|were) refused: not an allowed origin`)).waitFor();
  await keepPictures(dashboard, 'refused');
  await item.getByRole('button', { name: `Allow ${origin}` }).click();
  await item.getByText(`${origin} is allowed now.`).waitFor();
  await item.getByText(/(was|were) refused/).waitFor({ state: 'detached' });
  await visitor.reload();
  await item.locator('[data-seen=true]').waitFor();
});

test('Settings names the sources for a content security policy, and addresses that visitors cannot reach', () => {
  const at = (address: string) => policyFor(new URL(address) as unknown as Location);
  assert.equal(
    at('https://live.example:8443/admin'),
    'script-src https://live.example:8443; connect-src https://live.example:8443 wss://live.example:8443',
  );
  assert.equal(
    at('http://live.example'),
    'script-src http://live.example; connect-src http://live.example ws://live.example',
  );
  const local =
    'localhost a.localhost 127.0.0.1 10.1.2.3 192.168.0.1 172.16.0.1 172.31.0.1 169.254.1.1 100.64.0.1 server nas.local [::1] [fd00::1] [fe80::1]';
  for (const host of local.split(' ')) assert.ok(isLocalHost(new URL(`http://${host}`).hostname), host);
  const reachable =
    'live.example 11.0.0.1 172.32.0.1 192.169.0.1 100.128.0.1 [2001:db8::1] localhost.example 10.example';
  for (const host of reachable.split(' ')) assert.ok(!isLocalHost(new URL(`http://${host}`).hostname), host);
});
