import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type TestContext, test } from 'node:test';
import { launch, openPage } from './support/browser.ts';
import { keepPictures, openDashboard, seeHere, seeInk, seePointer, signIn } from './support/dashboard.ts';
import { FILE } from './support/owner.ts';
import { startServer } from './support/server.ts';
import { BinaryVisitor } from './support/visitor.ts';

type View = [vw: number, vh: number, dw: number, dh: number];

/** Each test uses a site of its own. */
const server = await startServer(FILE, { workers: 1 });

test('a pointer moved on the demo page is drawn at its place on the stage, and disappears with the tab', async (t) => {
  const { browser, dashboard } = await openDashboard(t, 1280, 800, { server });
  await dashboard.emulateMedia({ reducedMotion: 'no-preference' });
  await dashboard.getByText('No visitors yet').waitFor();
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
  await dashboard.locator('.activity-feed [data-kind=leave]').waitFor();
  assert.equal(await dashboard.locator('#pointers li').count(), 0);
  assert.equal(await dashboard.locator('.row').count(), 0);
});

test('the stage follows a followed visitor from page to page', async (t) => {
  const site = await server.newSite();
  const { dashboard } = await openDashboard(t, 1280, 800, { server, site });
  const size: [number, number, number, number] = [1000, 700, 1000, 3000];
  const anna = new BinaryVisitor(t, server.ws, { site, page: '/a', size });
  const bert = new BinaryVisitor(t, server.ws, { site, page: '/b', size });
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

test('a page that may not be framed leaves a message on the stage, and the pointers are still shown', async (t) => {
  const shop = await startShop(t);
  const site = await server.newSite('self', shop);
  const dashboard = await openPage(await launch(t));
  await signIn(dashboard, server, `/admin?site=${site}`);
  const size: View = [1280, 720, 1265, 900];
  const anna = new BinaryVisitor(t, server.ws, { site, page: '/csp', origin: shop, size });
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
    await note.getByText(`Then ${shop} does not allow its pages in a frame`).waitFor();
    // As far as a script can tell it is there: no browser says that it refused.
    await frame.waitFor();
    if (page === '/csp') await keepPictures(dashboard, 'preview-grey');
    await note.getByRole('button', { name: 'It is grey: hide it' }).click();
    await note.getByText(`${shop} does not allow its pages in a frame (frame-ancestors`).waitFor();
    await frame.waitFor({ state: 'detached' });
    await seePointer(dashboard, 300, 200);
    await dashboard.reload();
    await dashboard.locator('.preview-note[data-framing=refused]').waitFor();
    if (page === '/xfo') await note.getByText('How to allow it').click();
    if (page === '/xfo') await keepPictures(dashboard, 'preview-refused');
    await note.getByRole('button', { name: 'Retry' }).click();
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

test("the stage determines by itself whether pages of the dashboard's own origin may be framed", async (t) => {
  const site = await server.newSite('self');
  const { dashboard } = await openDashboard(t, 1280, 800, { server, site });
  // What there is not may not be framed either; openDashboard sees to it that no frame was tried.
  const anna = new BinaryVisitor(t, server.ws, { site, page: '/nothing', origin: server.url });
  await anna.hello;
  const note = dashboard.locator('.preview-note');
  await note.getByText(`${server.url} does not allow its pages in a frame`).waitFor();
  assert.equal(await dashboard.locator('iframe.preview').count(), 0);
  assert.equal(await note.getByRole('button').count(), 0);
  anna.frame({ type: 'page', time: 600, page: '/' });
  await dashboard.locator('iframe.preview').waitFor();
  assert.equal(await note.count(), 0);
});

test('the stage shows windows of one class at a time: initially the most common class, or the class in the address', async (t) => {
  const site = await server.newSite();
  const { dashboard } = await openDashboard(t, 1280, 800, { server, site });
  const come = async (size: View, x: number) => {
    const visitor = new BinaryVisitor(t, server.ws, { site, page: '/a', size });
    const { visitor: id } = await visitor.hello;
    visitor.frame({ type: 'move', time: 100, x, y: 50 });
    return id;
  };
  await come([1280, 800, 1265, 2000], 110);
  await come([1500, 900, 1485, 2000], 120);
  const phone = await come([390, 800, 390, 5000], 130);
  await seeHere(dashboard, 3);
  const pointers = dashboard.locator('#pointers li');
  const windows = dashboard.getByLabel('Window size', { exact: true });
  const shows = async (width: string, ...xs: number[]) => {
    await windows.and(dashboard.locator(`[data-width=${width}]`)).waitFor();
    for (const x of xs) await seePointer(dashboard, x, 50);
    assert.equal(await pointers.count(), xs.length);
  };
  await shows('desktop', 110, 120);
  await dashboard.locator('[data-hidden="1"]').getByText('1 in other window sizes').waitFor();
  const wide = await dashboard.locator('.surface').evaluate((one) => one.clientWidth / Number(one.dataset.scale));

  await windows.focus();
  await dashboard.keyboard.press('Home');
  await shows('all', 110, 120, 130);
  await dashboard.keyboard.press('ArrowDown');
  await shows('phone', 130);
  await dashboard.locator('[data-hidden="2"]').waitFor();
  assert.equal(new URL(dashboard.url()).searchParams.get('width'), 'phone');
  const narrow = await dashboard.locator('.surface').evaluate((one) => one.clientWidth / Number(one.dataset.scale));
  assert.deepEqual([Math.round(wide), Math.round(narrow)], [1485, 390]);
  await dashboard.reload();
  await shows('phone', 130);

  // Who follows a visitor sees it, whatever was chosen.
  await windows.selectOption('desktop');
  await shows('desktop', 110, 120);
  await dashboard.locator(`.visitors [data-id="${phone}"] button`).click();
  await dashboard.getByText('Following').waitFor();
  await seePointer(dashboard, 130, 50);
  assert.equal(await pointers.count(), 1);
});
