import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Visitor } from '../src/model/visitor.ts';
import { launch, openPage } from './support/browser.ts';
import { folderWith, signIn } from './support/dashboard.ts';
import { hostileJson, hostileValue, mutated } from './support/hostile.ts';
import { click, moves } from './support/record.ts';
import { startServer } from './support/server.ts';

/** Pages of the dashboard, what of the API they show, and what is seen there if all is well. */
const PAGES = [
  ['/admin/visits', '/v1/visits', 'tr[data-id=past]'],
  ['/admin/visits', '/v1/pages', 'tr[data-id=past]'],
  ['/admin/visits/past', '/v1/visits/past', '#pointers li'],
  ['/admin/pages', '/v1/pages', '[data-page="/"]'],
  ['/admin/heatmap?width=all', '/v1/pages', '[data-ready=true]'],
  ['/admin/heatmap?kind=click&width=all', '/v1/heatmap', '[data-ready=true]'],
  ['/admin/heatmap?kind=scroll&width=all', '/v1/heatmap', '[data-ready=true]'],
  ['/admin/settings', '/v1/admins', '[data-person=ann]'],
  ['/admin/settings', '/v1/sessions', '[data-person=ann]'],
  ['/admin/settings', '/v1/sites', '[data-person=ann]'],
  ['/admin/audit', '/v1/audit', '[data-what=signed-in]'],
  ['/admin', '/v1/server', '[data-link=live]'],
  ['/admin', '/v1/session', '[data-link=live]'],
  ['/admin', '/healthz', '[data-link=live]'],
] as const;

test('no response, stored browser value or address breaks a page of the dashboard', async (t) => {
  const since = Date.now() - 60_000;
  const samples = [
    ...moves(since, [
      [10, 10],
      [50, 60],
    ]),
    click(since + 100, 50, 60),
    moves(since + 200, [[70, 80]]),
  ].flat();
  const frames = [{ page: '/', entered: true, size: [1280, 800, 1280, 2000] as Visitor['size'], samples }];
  const data = await folderWith(t, { id: 'past', since, origin: '', frames });
  const server = await startServer(t, { workers: 1, data });
  const person = JSON.stringify({ name: 'ann', role: 'owner', sites: null });
  const headers = { 'content-type': 'application/json' };
  assert.equal((await server.api('/v1/admins', { method: 'POST', headers, body: person })).status, 201);
  const dashboard = await openPage(await launch(t));
  const faults: string[] = [];
  dashboard.on('pageerror', (error) => faults.push(String(error.stack)));
  await signIn(dashboard, server);
  await dashboard.evaluate(() => {
    for (const name of ['theme', 'opacity.move', 'opacity.click', 'opacity.scroll', 'preview', 'framing.null'])
      localStorage.setItem(`fieldmouse.${name}`, '{"__proto__":[1e999]}');
  });
  let before = '';
  for (const [path, asked, good] of PAGES) {
    const real = await (await server.api(`${asked}${asked === '/v1/session' ? '' : '?site=demo'}`)).json();
    for (const value of fc.sample(fc.oneof(mutated(real), hostileValue), 2)) {
      const body = hostileJson(value);
      const isAsked = (url: URL) => url.pathname === asked;
      await dashboard.route(isAsked, (route) => route.fulfill({ contentType: 'application/json', body }));
      const answered = dashboard.waitForResponse((response) => isAsked(new URL(response.url())));
      await dashboard.goto(server.url + path);
      await answered;
      await dashboard.locator('main, .failed').first().waitFor();
      await dashboard.unroute(isAsked);
      assert.deepEqual(faults, [], `${path} with ${body.slice(0, 500)} from ${asked}`);
    }
    if (path === before) continue;
    before = path;
    await dashboard.goto(server.url + path);
    await dashboard.locator(good).first().waitFor({ state: 'attached' });
  }
  for (const search of [
    'at=999999999999999&page=%ED%A0%80&width=__proto__',
    'from=0000-01-01&to=9999-12-31&days=1e9',
    'site=__proto__&kind=constructor&length=toString',
  ])
    for (const path of ['/admin', '/admin/visits', '/admin/pages']) {
      await dashboard.goto(`${server.url}${path}?${search}`);
      await dashboard.locator('main').first().waitFor();
    }
  assert.deepEqual(faults, []);
});
