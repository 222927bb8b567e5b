/** Charts show the value under the mouse or finger at once. Only owners are told to paste a snippet. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Page } from 'playwright-core';
import { openLmdbStore } from '../src/store/lmdb/lmdb-store.ts';
import { launch, openPage } from './support/browser.ts';
import { folderWith, keepPictures, openDashboard } from './support/dashboard.ts';
import { FILE } from './support/owner.ts';
import { moves } from './support/record.ts';
import { startServer } from './support/server.ts';

const visit = (id: string) => {
  const since = Date.now() - 60_000;
  return { id, since, page: '/', frames: [{ samples: moves(since, [[1, 2]]) }] };
};

/** The middle of the last bar of the chart of days, where today is. */
async function today(page: Page): Promise<[x: number, y: number]> {
  await page.locator('.days .u-over').waitFor();
  const box = await page.locator('.days .u-over').boundingBox();
  assert.ok(box);
  // The scale begins and ends 0.6 days outside the 30 days shown.
  return [box.x + box.width * (1 - 0.6 / 30.2), box.y + box.height / 2];
}

const server = await startServer(FILE, {
  workers: 1,
  data: await folderWith(FILE, visit('anna'), visit('bert'), { ...visit('carl'), site: 'touched' }),
});

test('the value of a bar appears while the mouse is over it', async (t) => {
  const { dashboard } = await openDashboard(t, 1280, 800, { server });
  await dashboard.goto(`${server.url}/admin/pages?site=demo`);
  const [x, y] = await today(dashboard);
  const tip = dashboard.locator('.days .plot-tip');
  assert.equal(await tip.isVisible(), false);
  await dashboard.mouse.move(x, y);
  assert.match(await tip.innerText(), /: 2 views$/);
  const box = await tip.boundingBox();
  assert.ok(box && box.x > 0 && box.x + box.width < x, 'it stands where there is room');
  await keepPictures(dashboard, 'chart-tip');
  await dashboard.mouse.move(x, y + 400);
  await tip.waitFor({ state: 'hidden' });
});

test('touching a chart shows the value, too', async (t) => {
  const store = await openLmdbStore(server.data);
  const { secret } = await store.addSession('admin', '', Date.now()).then((made) => made as { secret: string });
  await store.close();
  const phone = await openPage(await launch(t), {
    viewport: { width: 390, height: 800 },
    hasTouch: true,
    isMobile: true,
  });
  await phone.context().addCookies([{ name: 'fieldmouse', value: secret, url: server.url }]);
  await phone.goto(`${server.url}/admin/pages?site=touched`);
  const [x, y] = await today(phone);
  await phone.touchscreen.tap(x, y);
  const tip = phone.locator('.days .plot-tip');
  await tip.waitFor();
  assert.match(await tip.innerText(), /: 1 view$/);
});

test('an owner of a site without visitors is told to paste the snippet, and a viewer is not', async (t) => {
  const site = await server.newSite();
  const { browser, dashboard } = await openDashboard(t, 1280, 800, { server, site });
  const store = await openLmdbStore(server.data);
  await store.addAdmin('vera', Date.now(), { role: 'viewer', sites: null });
  const { secret } = (await store.addSession('vera', '', Date.now())) as { secret: string };
  await store.close();
  const viewer = await openPage(browser);
  await viewer.context().addCookies([{ name: 'fieldmouse', value: secret, url: server.url }]);
  for (const [path, told] of [
    [`/admin?site=${site}`, 'No visitors yet'],
    [`/admin/visits?site=${site}`, 'No visits yet'],
    [`/admin/pages?site=${site}`, 'No page views in this period'],
  ] as const)
    for (const [page, snippets] of [
      [dashboard, 1],
      [viewer, 0],
    ] as const) {
      await page.goto(server.url + path);
      await page.getByText(told).waitFor();
      assert.equal(await page.locator('.copyable').count(), snippets, path);
    }
});
