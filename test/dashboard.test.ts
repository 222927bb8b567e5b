import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type TestContext, test } from 'node:test';
import { setInterval as every, setTimeout as later } from 'node:timers/promises';
import type { Browser, Page } from 'playwright-core';
import { launch, openPage } from './support/browser.ts';
import { keepPictures, openDashboard, seeHere, seeInk, seePointer, signIn } from './support/dashboard.ts';
import { startRedis } from './support/redis.ts';
import { startServer, type TestServer } from './support/server.ts';
import { BinaryVisitor } from './support/visitor.ts';

/** Which of the demo's pages each visitor of the picture is on; the ninth leaves. */
const PLACES = [0, 0, 1, 0, 2, 0, 0, 1, 0, 0, 2];
const PASSWORD = 'correct horse battery';

/** Waits until what a selector names has the focus. */
async function seeFocus(dashboard: Page, selector: string): Promise<void> {
  await dashboard.locator(selector).and(dashboard.locator(':focus')).waitFor();
}

/** Puts the tab in the background, as far as its scripts can tell: a headless browser shows every tab. */
async function setHidden(dashboard: Page, hidden: boolean): Promise<void> {
  await dashboard.evaluate((hidden) => {
    Object.defineProperty(document, 'hidden', { value: hidden, configurable: true });
    document.dispatchEvent(new Event('visibilitychange'));
  }, hidden);
}

/** Moves each visitor's pointer about, ten frames a second, until the signal; now and then one rests. */
async function wander(visitors: BinaryVisitor[], [width, height]: View, signal: AbortSignal): Promise<void> {
  const start = performance.now();
  try {
    for await (const _ of every(100, undefined, { signal })) {
      const now = Math.round(performance.now() - start);
      for (const [i, visitor] of visitors.entries()) {
        if (Math.sin(now / 2300 + i * 1.7) < -0.75) continue;
        const times = [0, 16, 32, 48, 64, 80].map((dt) => now + dt);
        visitor.frame(...times.map((time) => ({ type: 'move' as const, time, ...placeOf(i, time, width, height) })));
        if (i === 1 && now % 1500 < 100) visitor.frame(clickAt(now + 96, placeOf(i, now + 96, width, height)));
      }
    }
  } catch (error) {
    if (!signal.aborted) throw error;
  }
}

type View = [vw: number, vh: number, dw: number, dh: number];

/** Each visitor circles about a place of its own, so that the picture is not one heap. */
function placeOf(i: number, time: number, width: number, height: number): { x: number; y: number } {
  const s = time / 1000;
  const across = 0.14 + 0.72 * ((i * 0.618) % 1) + 0.11 * Math.sin(s * (0.9 + (i % 4) * 0.2) + i * 2.1);
  const down = 0.2 + 0.6 * ((i * 0.382 + 0.1) % 1) + 0.13 * Math.sin(s * (0.7 + (i % 3) * 0.25) + i * 0.9);
  return { x: Math.round(width * across), y: Math.round(height * down) };
}

function clickAt(time: number, place: { x: number; y: number }) {
  return { type: 'click' as const, time, ...place, button: 0, ex: 0, ey: 0, selector: '' };
}

test('without signing in one gets the sign-in page, and nothing else', async (t) => {
  const server = await startServer(t);
  const page = await openPage(await launch(t));
  for (const path of ['/admin', '/admin/settings']) {
    await page.goto(server.url + path);
    await page.waitForURL('**/admin/sign-in');
    await page.getByRole('heading', { name: 'Sign in to Fieldmouse' }).waitFor();
  }
  assert.equal((await page.request.get(`${server.url}/v1/stream?site=demo`)).status(), 401);
});

test('a link signs in once; a password set then signs in again', async (t) => {
  const server = await startServer(t);
  const browser = await launch(t);
  const page = await openPage(browser);
  await signIn(page, server);
  const other = await openPage(browser);
  await other.goto(server.link as string);
  await other.getByRole('button', { name: 'Sign in' }).click();
  await other.getByRole('alert').getByText('used already').waitFor();

  const name = (await (await page.request.get(`${server.url}/v1/session`)).json()).name;
  await page.getByRole('link', { name: 'Settings' }).click();
  await page.locator('[data-form=password] [name=password]').fill(PASSWORD);
  await page.getByRole('button', { name: 'Set' }).click();
  await page.getByText('The password is set.').waitFor();
  await page.getByRole('button', { name: 'Sign out' }).click();
  await page.getByRole('heading', { name: 'Sign in to Fieldmouse' }).waitFor();

  await page.getByLabel('Name').fill(name);
  await page.getByLabel('Password').fill('not the password');
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.getByRole('alert').getByText('Name or password is wrong.').waitFor();
  await page.getByLabel('Password').fill(PASSWORD);
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.locator('[data-link=live]').waitFor();
});

test('a pointer moved on the demo page is drawn at its place on the stage, and is gone with the tab', async (t) => {
  const { server, browser, dashboard } = await openDashboard(t);
  await dashboard.getByText('Nobody is here yet').waitFor();
  const visitor = await openPage(browser);
  await visitor.goto(`${server.url}/`);
  await seeHere(dashboard, 1);
  await visitor.mouse.move(200, 150, { steps: 5 });
  await visitor.mouse.move(420, 330, { steps: 10 });
  await seePointer(dashboard, 420, 330);
  await seeInk(dashboard, 420, 330, true);
  await seeInk(dashboard, 1000, 330, false);
  assert.equal(await dashboard.locator('.row').count(), 1);

  const scrolled = await visitor.evaluate(() => {
    scrollTo({ top: 240, behavior: 'instant' });
    return Math.round(scrollY);
  });
  assert.ok(scrolled > 0, 'the demo page is long enough to scroll');
  await visitor.mouse.move(300, 310, { steps: 5 });
  await seePointer(dashboard, 300, 310 + scrolled);

  await visitor.close({ runBeforeUnload: true });
  await seeHere(dashboard, 0);
  await dashboard.locator('.happenings [data-kind=leave]').waitFor();
  assert.equal(await dashboard.locator('#pointers li').count(), 0);
  assert.equal(await dashboard.locator('.row').count(), 0);
});

test('a visitor that is followed takes the stage along from page to page', async (t) => {
  const { server, dashboard } = await openDashboard(t);
  const size: [number, number, number, number] = [1000, 700, 1000, 3000];
  const anna = new BinaryVisitor(t, server.ws, { page: '/a', size });
  const bert = new BinaryVisitor(t, server.ws, { page: '/b', size });
  const { visitor: id } = await anna.hello;
  await bert.hello;
  await seeHere(dashboard, 2);
  await dashboard.locator(`.row[data-id="${id}"] button`).click();
  await dashboard.getByRole('button', { name: 'Stop following' }).waitFor();
  await dashboard.locator('.page-chooser').and(dashboard.locator('[data-page="/a"]')).waitFor();
  anna.frame({ type: 'page', time: 1, page: '/c' }, { type: 'scroll', time: 2, y: 1500 });
  await dashboard.locator('.page-chooser').and(dashboard.locator('[data-page="/c"]')).waitFor();
  anna.frame({ type: 'move', time: 500, x: 80, y: 1650 });
  await seePointer(dashboard, 80, 1650);
  await dashboard.keyboard.press('Escape');
  await dashboard.getByRole('button', { name: 'Stop following' }).waitFor({ state: 'detached' });
});

test('all of the live screen is reached by keyboard, and on a phone what is chosen comes into sight', async (t) => {
  const { server, dashboard } = await openDashboard(t, 360, 700);
  const visitors = ['/a', '/a', '/b'].map((page) => new BinaryVisitor(t, server.ws, { page }));
  await Promise.all(visitors.map(({ hello }) => hello));
  await seeHere(dashboard, 3);
  const wide = await dashboard.evaluate(() => document.documentElement.scrollWidth);
  assert.equal(wide, 360, 'nothing sticks out');
  await dashboard.locator('.row button').first().focus();
  await dashboard.keyboard.press('ArrowDown');
  await dashboard.keyboard.press('Enter');
  await dashboard.locator('.row').nth(1).locator('button[aria-pressed=true]').waitFor();
  await dashboard.waitForFunction(() => {
    const { top, bottom } = (document.querySelector('.stage') as HTMLElement).getBoundingClientRect();
    return top < innerHeight / 2 && bottom > innerHeight / 2;
  });
  const outline = await dashboard.evaluate(() => getComputedStyle(document.activeElement as Element).outlineStyle);
  assert.equal(outline, 'solid', 'the focus is seen');
  await dashboard.keyboard.press('Escape');
  assert.equal(await dashboard.locator('.row button[aria-pressed=true]').count(), 0);
  await dashboard.locator('.top-page').filter({ hasText: '/b' }).press('Enter');
  await dashboard.locator('.page-chooser').and(dashboard.locator('[data-page="/b"]')).waitFor();
  assert.match(dashboard.url(), /page=%2Fb/);
});

test('a new site shows its snippet, and turns green when the first visitor comes from another origin', async (t) => {
  const { browser, dashboard } = await openDashboard(t);
  let snippet = '';
  const shop = createServer((_request, response) => {
    response.setHeader('content-type', 'text/html; charset=utf-8');
    response.end(`<!doctype html><title>Shop</title>${snippet}<h1>Shop</h1>`);
  }).listen(0, '127.0.0.1');
  t.after(() => shop.close());
  await once(shop, 'listening');
  const origin = `http://127.0.0.1:${(shop.address() as AddressInfo).port}`;

  await dashboard.getByRole('link', { name: 'Settings' }).click();
  await dashboard.getByRole('button', { name: 'Add a site' }).press('Enter');
  await seeFocus(dashboard, '[name=name]');
  await dashboard.locator('[name=name]').fill('Garden shop');
  await dashboard.locator('[name=key]').fill('shop');
  await dashboard.locator('[name=origins]').fill(`${origin}/some/page`);
  await dashboard.getByRole('button', { name: 'Add', exact: true }).click();
  await seeFocus(dashboard, '.primary');
  const item = dashboard.locator('[data-site=shop]');
  await item.getByText('Waiting for the first visitor').waitFor();
  assert.equal(await item.locator('[data-seen=false]').count(), 1);
  snippet = (await item.locator('.copyable code').textContent()) ?? '';

  const visitor = await openPage(browser);
  await visitor.goto(origin);
  await item.locator('[data-seen=true]').waitFor();
  await item.getByRole('link', { name: 'Live' }).click();
  await seeHere(dashboard, 1);

  await dashboard.getByRole('link', { name: 'Settings' }).click();
  await item.getByRole('button', { name: 'Edit' }).press('Enter');
  await seeFocus(dashboard, '[name=name]');
  await dashboard.getByRole('button', { name: 'Save' }).press('Enter');
  await seeFocus(dashboard, '[data-site=shop] button:text-is("Edit")');
  await item.getByRole('button', { name: 'Remove' }).press('Enter');
  await dashboard.locator('dialog').getByRole('button', { name: 'Keep' }).press('Enter');
  await seeFocus(dashboard, '[data-site=shop] .danger');
  await item.getByRole('button', { name: 'Remove' }).click();
  await dashboard.locator('dialog').getByRole('button', { name: 'Remove' }).click();
  await item.waitFor({ state: 'detached' });
});

/** A site whose pages, but for /open, may not be framed. */
async function startShop(t: TestContext): Promise<string> {
  const shop = createServer(({ url }, response) => {
    if (url === '/csp') response.setHeader('content-security-policy', "frame-ancestors 'none'");
    if (url === '/xfo') response.setHeader('x-frame-options', 'DENY');
    response.setHeader('content-type', 'text/html; charset=utf-8');
    response.end(`<!doctype html><title>Shop</title><h1>Shop at ${url}</h1>`);
  }).listen(0, '127.0.0.1');
  t.after(() => shop.close());
  await once(shop, 'listening');
  return `http://127.0.0.1:${(shop.address() as AddressInfo).port}`;
}

test('where a page may not be framed the stage says so in words, and goes on without it', async (t) => {
  const [server, shop] = [await startServer(t), await startShop(t)];
  const dashboard = await openPage(await launch(t));
  await signIn(dashboard, server);
  const headers = { 'content-type': 'application/json' };
  const body = JSON.stringify({ name: 'Demo', origins: ['self', shop] });
  assert.equal((await server.api('/v1/sites/demo', { method: 'PUT', headers, body })).status, 200);
  const size: View = [1280, 720, 1265, 900];
  const anna = new BinaryVisitor(t, server.ws, { page: '/csp', origin: shop, size });
  await anna.hello;
  anna.frame({ type: 'move', time: 500, x: 300, y: 200 });
  await seePointer(dashboard, 300, 200);
  const note = dashboard.locator('.preview-note');
  const frame = dashboard.locator('iframe.preview');
  const wish = dashboard.getByLabel('Show the page');
  assert.equal(await note.count(), 0, 'nothing is said of what is not wanted');

  for (const page of ['/csp', '/xfo']) {
    anna.frame({ type: 'page', time: 600, page }, { type: 'move', time: 700, x: 300, y: 200 });
    await dashboard.locator(`.page-chooser[data-page="${page}"]`).waitFor();
    await wish.check();
    await note.getByText(`Then ${shop} does not let its pages be shown here`).waitFor();
    // As far as a script can tell it is there: no browser says that it refused.
    await frame.waitFor();
    if (page === '/csp') await keepPictures(dashboard, 'preview-grey');
    await note.getByRole('button', { name: 'leave it out' }).click();
    await note.getByText(`${shop} does not let its pages be shown here (frame-ancestors`).waitFor();
    await frame.waitFor({ state: 'detached' });
    await seePointer(dashboard, 300, 200);
    await dashboard.reload();
    await dashboard.locator('.preview-note[data-framing=refused]').waitFor();
    if (page === '/xfo') await note.getByText('What its owner can do').click();
    if (page === '/xfo') await keepPictures(dashboard, 'preview-refused');
    await note.getByRole('button', { name: 'Try again' }).click();
    await wish.uncheck();
  }

  anna.frame({ type: 'page', time: 800, page: '/open' });
  await dashboard.locator('.page-chooser[data-page="/open"]').waitFor();
  await wish.check();
  await dashboard.frameLocator('iframe.preview').getByText('Shop at /open').waitFor();
  await dashboard.setViewportSize({ width: 360, height: 700 });
  assert.equal(await dashboard.evaluate(() => document.documentElement.scrollWidth), 360, 'nothing sticks out');
  await note.scrollIntoViewIfNeeded();
  await keepPictures(dashboard, 'preview-shown-phone');
  await note.getByRole('button', { name: 'I see the page' }).click();
  await note.waitFor({ state: 'detached' });
  await dashboard.reload();
  await dashboard.frameLocator('iframe.preview').getByText('Shop at /open').waitFor();
  assert.equal(await note.count(), 0, 'what was told is kept');
});

test("of pages of the dashboard's own origin it knows by itself whether they may be framed", async (t) => {
  const { server, dashboard } = await openDashboard(t);
  // What there is not may not be framed either; openDashboard sees to it that no frame was tried.
  const anna = new BinaryVisitor(t, server.ws, { page: '/nothing', origin: server.url });
  await anna.hello;
  const note = dashboard.locator('.preview-note');
  await note.getByText(`${server.url} does not let its pages be shown here`).waitFor();
  assert.equal(await dashboard.locator('iframe.preview').count(), 0);
  assert.equal(await note.getByRole('button').count(), 0);
  anna.frame({ type: 'page', time: 600, page: '/' });
  await dashboard.locator('iframe.preview').waitFor();
  assert.equal(await note.count(), 0);
});

test('an API token is shown once, works, and is shut out when revoked', async (t) => {
  const { server, dashboard } = await openDashboard(t);
  await dashboard.getByRole('link', { name: 'Settings' }).click();
  await dashboard.getByLabel('Name of a new token').fill('nightly');
  await dashboard.getByRole('button', { name: 'Make' }).click();
  const secret = (await dashboard.locator('.secret code').textContent()) ?? '';
  const status = async () =>
    (await fetch(`${server.url}/v1/sites`, { headers: { authorization: `Bearer ${secret}` } })).status;
  assert.equal(await status(), 200);
  const revoke = async (name: string) => {
    const row = dashboard.locator('[data-token]').filter({ hasText: name });
    await row.getByRole('button', { name: 'Revoke' }).click();
    await dashboard.locator('dialog').getByRole('button', { name: 'Revoke' }).click();
    await row.waitFor({ state: 'detached' });
  };
  await dashboard.reload();
  await revoke('nightly');
  assert.ok(!(await dashboard.content()).includes(secret));
  assert.equal(await status(), 401);

  await dashboard.getByLabel('Name of a new token').fill('weekly');
  await dashboard.getByRole('button', { name: 'Make' }).click();
  await dashboard.locator('.secret').waitFor();
  await revoke('weekly');
  assert.equal(await dashboard.locator('.secret').count(), 0, 'nobody is asked to copy a token that is no more');
});

test('a session ended from elsewhere says so on its own screen', async (t) => {
  const { server, browser, dashboard } = await openDashboard(t);
  const name = (await (await dashboard.request.get(`${server.url}/v1/session`)).json()).name;
  await dashboard.getByRole('link', { name: 'Settings' }).click();
  await dashboard.locator('[data-form=password] [name=password]').fill(PASSWORD);
  await dashboard.getByRole('button', { name: 'Set' }).click();
  await dashboard.getByText('The password is set.').waitFor();
  const other = await openPage(browser);
  await other.goto(`${server.url}/admin`);
  await other.waitForURL('**/admin/sign-in');
  await other.getByLabel('Name').fill(name);
  await other.getByLabel('Password').fill(PASSWORD);
  await other.getByRole('button', { name: 'Sign in' }).click();
  await other.locator('[data-link=live]').waitFor();

  await dashboard.reload();
  await dashboard.locator('[data-session]').getByRole('button', { name: 'End' }).click();
  await other.getByText('Your session has ended.').waitFor();
  assert.match(other.url(), /\/admin\/sign-in$/);
});

test('a killed worker leaves the dashboard as it is: visitors come back, and the stream goes on', async (t) => {
  const { server, browser, dashboard } = await openDashboard(t);
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
  process.kill(server.workerPids()[0] as number, 'SIGKILL');
  const tab = await back;
  await tab.mouse.move(100, 100, { steps: 3 });
  await tab.mouse.move(260, 240, { steps: 6 });
  await seePointer(dashboard, 260, 240);
  await seeHere(dashboard, tabs.length);
  assert.equal(await dashboard.locator('[data-link=live][data-how=fresh]').count(), 1);
  assert.equal(await dashboard.locator('.happenings [data-kind=leave]').count(), 0);
  assert.equal(await dashboard.locator('html[data-same-document=yes]').count(), 1);
});

test('a lost stream says so, and a server that is back after that starts it afresh', async (t) => {
  const { server, dashboard } = await openDashboard(t);
  await server.stop();
  await dashboard.locator('[data-link=lost]').getByText('Connection lost').waitFor();
  await dashboard.getByText(/Next try in \d+ s/).waitFor();
  const listen = server.url.replace('http:', 'tcp:');
  const again = await startServer(t, { data: server.data, listen });
  const visitor = new BinaryVisitor(t, again.ws, { page: '/' });
  await visitor.hello;
  await dashboard.locator('[data-link=live][data-how=reset]').getByText('Some events were missed').waitFor();
  await seeHere(dashboard, 1);
});

test('while Redis is away a reloaded page says so, and goes on by itself when it is back', async (t) => {
  const redis = await startRedis(t);
  const { dashboard } = await openDashboard(t, 1280, 800, { workers: 1, flags: ['--redis', redis.url] });
  const trouble = dashboard.getByRole('alert').filter({ hasText: 'Fieldmouse cannot reach its Redis now.' });
  await redis.end();
  assert.equal((await dashboard.reload())?.status(), 200);
  await trouble.getByText('This page tries again by itself.').waitFor();
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
  await dashboard.getByText('No moves in this time').waitFor();
});

test('an address without a page says so, with the way to the dashboard, wherever one comes from', async (t) => {
  const { server, dashboard } = await openDashboard(t);
  for (const path of ['/admin/nope', '/admin/settings/more', '/nothing/at/all']) {
    const answer = await dashboard.goto(server.url + path);
    assert.equal(answer?.status(), 404, path);
    await dashboard.getByRole('heading', { name: 'No such page' }).waitFor();
  }
  await keepPictures(dashboard, 'no-such-page');
  await dashboard.setViewportSize({ width: 360, height: 700 });
  await keepPictures(dashboard, 'no-such-page-phone');
  await dashboard.getByRole('link', { name: 'To the dashboard' }).click();
  await dashboard.locator('[data-link=live]').waitFor();
  // As a link within the dashboard leads there.
  await dashboard.evaluate(() => {
    const link = Object.assign(document.createElement('a'), { href: '/admin/settings/more', textContent: 'There' });
    document.body.append(link);
    link.click();
  });
  await dashboard.getByRole('heading', { name: 'No such page' }).waitFor();
  await dashboard.getByRole('link', { name: 'To the dashboard' }).click();
  await dashboard.locator('[data-link=live]').waitFor();
});

test('a site removed elsewhere gives way to one that is there', async (t) => {
  const { server, dashboard } = await openDashboard(t);
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
  await dashboard.getByText('There is no site shop.').waitFor();
  await dashboard.waitForURL('**/admin?site=demo');
});

test('a dashboard that nobody sees gives its connection up, and goes on where it was when it is seen again', async (t) => {
  const { server, dashboard } = await openDashboard(t);
  const anna = new BinaryVisitor(t, server.ws, { page: '/a' });
  await anna.hello;
  await seeHere(dashboard, 1);
  await dashboard.clock.install();
  await dashboard.reload();
  await seeHere(dashboard, 1);
  await setHidden(dashboard, true);
  await dashboard.clock.runFor(25_000);
  assert.equal(await dashboard.locator('[data-link=paused]').count(), 0, 'a glance elsewhere ends nothing');
  await dashboard.clock.runFor(5000);
  await dashboard.locator('[data-link=paused]').getByText('Paused').waitFor();
  const bert = new BinaryVisitor(t, server.ws, { page: '/b' });
  await bert.hello;
  await setHidden(dashboard, false);
  await seeHere(dashboard, 2);
  await dashboard.locator('[data-link=live][data-how=resumed]').getByText('Nothing was missed').waitFor();
  await dashboard.locator('.happenings [data-kind=join]').getByText('/b').waitFor();
});

test('the curve grows with the window, and shrinks with it again', async (t) => {
  const { dashboard } = await openDashboard(t);
  const sizes = () =>
    dashboard.evaluate(() => {
      const [card, axis] = ['.now', '.u-axis'].map((name) => document.querySelector(name)?.getBoundingClientRect());
      return [card?.height, axis?.height];
    });
  const before = await sizes();
  await dashboard.setViewportSize({ width: 3840, height: 2160 });
  await dashboard.waitForFunction(
    (height) => (document.querySelector('.u-axis')?.getBoundingClientRect().height ?? 0) > height,
    before[1] as number,
  );
  await dashboard.setViewportSize({ width: 1280, height: 800 });
  await dashboard.waitForFunction(
    (height) => document.querySelector('.u-axis')?.getBoundingClientRect().height === height,
    before[1] as number,
  );
  assert.deepEqual(await sizes(), before);
});

test('on a phone, lists with nothing in them take little room', async (t) => {
  const { dashboard } = await openDashboard(t, 360, 700);
  const disc = await dashboard.locator('.mice').boundingBox();
  assert.ok(disc && disc.width === disc.height, 'the disc is round');
  for (const list of ['.visitors', '.happenings', '.top-pages']) {
    const card = await dashboard.locator(list).boundingBox();
    assert.ok(card && card.height > 60 && card.height < 140, `${list} is ${card?.height} px high`);
  }
});

test('the demo says so when a browser asks not to be tracked', async (t) => {
  const server = await startServer(t);
  const browser = await launch(t);
  const page = await openPage(browser);
  await page.goto(server.url);
  await page.getByText('Your pointer is live on the dashboard.').waitFor();
  for (const [name, value] of [
    ['globalPrivacyControl', true],
    ['doNotTrack', '1'],
  ] as const) {
    const asking = await openPage(browser);
    await asking.addInitScript(([name, value]) => Object.defineProperty(navigator, name, { value }), [
      name,
      value,
    ] as const);
    await asking.goto(`${server.url}/garden.html`);
    await asking.getByText('Your browser asks not to be tracked, so nothing is sent.').waitFor();
    assert.equal(await asking.getByText('Your pointer is live').count(), 0);
  }
});

test('ten visitors in motion are a picture worth keeping', async (t) => {
  const { server, browser, dashboard } = await openDashboard(t, 1440, 900);
  const { pages, view } = await lookAround(browser, server);
  const arrive = async (i: number) => {
    const page = pages[PLACES[i] ?? 0] ?? '/';
    const visitor = new BinaryVisitor(t, server.ws, { page, size: view, origin: server.url });
    await visitor.hello;
    visitors.push(visitor);
    await seeHere(dashboard, visitors.length);
  };
  const visitors: BinaryVisitor[] = [];
  const stop = new AbortController();
  t.after(() => stop.abort());
  const wandering = wander(visitors, view, stop.signal);
  // Arrivals and graphs run by the second: only time fills them.
  for (let i = 0; i < PLACES.length; i++) await Promise.all([arrive(i), later(700)]);
  await later(4000);
  visitors[4]?.frame({ type: 'page', time: 90_000, page: pages[1] ?? '/' });
  visitors.splice(8, 1)[0]?.bye();
  await seeHere(dashboard, 10);
  await dashboard.waitForFunction(() => document.querySelectorAll('#pointers li').length === 6);
  await later(1500);
  await keepPictures(dashboard, 'dashboard');
  stop.abort();
  await wandering;
  assert.equal(await dashboard.locator('.row').count(), 10);
});

/** The demo site's pages, the first one first, and how large that is in a usual window. */
async function lookAround(browser: Browser, server: TestServer): Promise<{ pages: string[]; view: View }> {
  const page = await openPage(browser, { viewport: { width: 1280, height: 900 } });
  await page.goto(`${server.url}/`);
  const paths = await page.$$eval('a[href]', (links) =>
    links.map((link) => new URL((link as HTMLAnchorElement).href).pathname),
  );
  const view = await page.evaluate((): View => {
    const { scrollWidth, scrollHeight } = document.documentElement;
    return [innerWidth, innerHeight, scrollWidth, scrollHeight];
  });
  await page.context().close();
  return { pages: [...new Set(['/', ...paths])].filter((path) => !path.startsWith('/admin')), view };
}
