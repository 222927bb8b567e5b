import assert from 'node:assert/strict';
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { Page } from 'playwright-core';
import { keepPictures, openDashboard, seeHere, seePointer } from './support/dashboard.ts';
import { until } from './support/exact.ts';
import { FILE } from './support/owner.ts';
import { startRedis } from './support/redis.ts';
import { startServer } from './support/server.ts';
import { BinaryVisitor } from './support/visitor.ts';

/** Puts the tab in the background, as far as its scripts can tell: a headless browser shows every tab. */
async function setHidden(dashboard: Page, hidden: boolean): Promise<void> {
  await dashboard.evaluate((hidden) => {
    Object.defineProperty(document, 'hidden', { value: hidden, configurable: true });
    document.dispatchEvent(new Event('visibilitychange'));
  }, hidden);
}

/** True if the process has the socket that listens on the port of `url`. */
function listens(pid: number, url: string): boolean {
  const port = Number(new URL(url).port).toString(16).toUpperCase().padStart(4, '0');
  const table = readFileSync('/proc/net/tcp', 'utf8');
  // proc(5): local address, remote address, state (0A: listening), …, inode.
  const inode = new RegExp(`:${port} \\w+:0000 0A(?: +\\S+){5} +(\\d+)`).exec(table)?.[1];
  const folder = `/proc/${pid}/fd`;
  try {
    return readdirSync(folder).some((name) => readlinkSync(join(folder, name)) === `socket:[${inode}]`);
  } catch {
    // A descriptor was closed, or the process ended, meanwhile.
    return false;
  }
}

/** Of the tests that do not stop it. */
const shared = await startServer(FILE, { workers: 1 });

test('a killed worker leaves the dashboard intact: visitors reconnect, and the stream continues', async (t) => {
  const { server, browser, dashboard } = await openDashboard(t, 1280, 800, { workers: 2 });
  const context = await browser.newContext();
  const tabs: Page[] = [];
  // One after the other, so that their connections are dealt out to both workers.
  for (let i = 0; i < 4; i++) {
    const tab = await context.newPage();
    const connected = tab.waitForEvent('websocket');
    await tab.goto(`${server.url}/`);
    await connected;
    tabs.push(tab);
    await seeHere(dashboard, tabs.length);
  }
  await dashboard.evaluate(() => {
    document.documentElement.dataset.sameDocument = 'yes';
  });
  // A tab whose worker is gone connects anew.
  const back = Promise.race(tabs.map((tab) => tab.waitForEvent('websocket').then(() => tab)));
  // All tabs may be on one worker. If another listens before a tab is back, the second one is killed, too.
  for (const pid of server.workerPids()) {
    process.kill(pid, 'SIGKILL');
    const isReplaced = () => {
      const pids = server.workerPids();
      return pids.length === 2 && !pids.includes(pid) && pids.every((one) => listens(one, server.url));
    };
    const replaced = until(isReplaced, 'worker that listens');
    const isBack = await Promise.race([back.then(() => true), replaced.then(() => false)]);
    await replaced;
    if (isBack) break;
  }
  const tab = await back;
  await tab.mouse.move(100, 100, { steps: 3 });
  await tab.mouse.move(260, 240, { steps: 6 });
  await seePointer(dashboard, 260, 240);
  await seeHere(dashboard, tabs.length);
  assert.equal(await dashboard.locator('[data-link=live][data-how=fresh]').count(), 1);
  assert.equal(await dashboard.locator('.activity-feed [data-kind=leave]').count(), 0);
  assert.equal(await dashboard.locator('html[data-same-document=yes]').count(), 1);
});

test('a lost stream is reported, and restarts when the server is back', async (t) => {
  const { server, dashboard } = await openDashboard(t);
  await server.stop();
  await dashboard.locator('[data-link=lost]').getByText('Connection lost').waitFor();
  await dashboard.getByText(/Retrying in \d+ s/).waitFor();
  const listen = server.url.replace('http:', 'tcp:');
  const again = await startServer(t, { data: server.data, listen, workers: 1 });
  const visitor = new BinaryVisitor(t, again.ws, { page: '/' });
  await visitor.hello;
  await dashboard.locator('[data-link=live][data-how=reset]').getByText('Some events were missed').waitFor();
  await seeHere(dashboard, 1);
});

test('while Redis is unreachable a reloaded page says so, and recovers by itself when Redis is back', async (t) => {
  const redis = await startRedis(t);
  const { dashboard } = await openDashboard(t, 1280, 800, { workers: 1, flags: ['--redis', redis.url] });
  const trouble = dashboard.getByRole('alert').filter({ hasText: 'Fieldmouse cannot reach Redis at the moment.' });
  await redis.end();
  assert.equal((await dashboard.reload())?.status(), 200);
  await trouble.getByText('Retrying automatically.').waitFor();
  await keepPictures(dashboard, 'redis-away');
  await dashboard.setViewportSize({ width: 360, height: 700 });
  await keepPictures(dashboard, 'redis-away-phone');
  await dashboard.setViewportSize({ width: 1280, height: 800 });
  await redis.restart();
  await dashboard.locator('[data-link=live]').waitFor();

  // Away again: pages within the dashboard say it in their place.
  await redis.end();
  for (const [page, path] of [
    ['Visits', '/v1/visits?'],
    ['Pages', '/v1/pages?'],
    ['Heatmap', '/v1/pages?'],
  ] as const) {
    await dashboard.getByRole('link', { name: page, exact: true }).click();
    await trouble.waitFor();
    // It asks a second time unasked, and what was told stays.
    const asks = () => dashboard.waitForRequest((request) => request.url().includes(path));
    await asks();
    assert.equal(await trouble.count(), 1, page);
  }
  await keepPictures(dashboard, 'redis-away-heatmap');
  await redis.restart();
  await dashboard.getByText('No moves in this period').waitFor();
});

test('a dashboard on a removed site switches to an existing site', async (t) => {
  const { server, dashboard } = await openDashboard(t, 1280, 800, { server: shared });
  const headers = { 'content-type': 'application/json' };
  const body = JSON.stringify({ key: 'shop', name: 'Shop', origins: ['https://shop.example'] });
  assert.equal((await server.api('/v1/sites', { method: 'POST', headers, body })).status, 201);
  await dashboard.goto(`${server.url}/admin?site=shop`);
  await dashboard.locator('select.site').and(dashboard.locator('[data-site=shop]')).waitFor();
  await dashboard.locator('[data-link=live]').waitFor();
  assert.equal((await server.api('/v1/sites/shop', { method: 'DELETE' })).status, 204);
  await dashboard.getByText('Site shop was removed.').waitFor();
  await dashboard.waitForURL('**/admin?site=demo');
  await dashboard.locator('.top .site').getByText('Demo').waitFor();
  await dashboard.locator('[data-link=live]').waitFor();
  await dashboard.goto(`${server.url}/admin?site=shop`);
  await dashboard.getByText('Site shop does not exist.').waitFor();
  await dashboard.waitForURL('**/admin?site=demo');
});

test('a hidden dashboard closes its connection, and continues where it was when shown again', async (t) => {
  const site = await shared.newSite();
  const { server, dashboard } = await openDashboard(t, 1280, 800, { server: shared, site });
  const anna = new BinaryVisitor(t, server.ws, { site, page: '/a' });
  await anna.hello;
  await seeHere(dashboard, 1);
  await dashboard.clock.install();
  await dashboard.reload();
  await seeHere(dashboard, 1);
  await setHidden(dashboard, true);
  // The stream is taken for dead after 20 s without an event, and events come at the pace of the real clock.
  await dashboard.clock.runFor(12_000);
  anna.frame({ type: 'page', time: 500, page: '/c' });
  await dashboard.locator('.row').getByText('/c').waitFor();
  await dashboard.clock.runFor(13_000);
  assert.equal(await dashboard.locator('[data-link=paused]').count(), 0, 'a glance elsewhere ends nothing');
  await dashboard.clock.runFor(5000);
  await dashboard.locator('[data-link=paused]').getByText('Paused').waitFor();
  const bert = new BinaryVisitor(t, server.ws, { site, page: '/b' });
  await bert.hello;
  await setHidden(dashboard, false);
  await seeHere(dashboard, 2);
  await dashboard.locator('[data-link=live][data-how=resumed]').getByText('Nothing was missed').waitFor();
  await dashboard.locator('.activity-feed [data-kind=join]').getByText('/b').waitFor();
});
