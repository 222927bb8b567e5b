import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DASHBOARD_PAGES, findPage } from '../src/model/dashboard-page.ts';
import { launch, openPage } from './support/browser.ts';
import { keepPictures, openDashboard, seeHere } from './support/dashboard.ts';
import { FILE } from './support/owner.ts';
import { startServer } from './support/server.ts';
import { BinaryVisitor } from './support/visitor.ts';

const server = await startServer(FILE, { workers: 1 });

test('the whole live screen works by keyboard, and on a phone a selected item scrolls into view', async (t) => {
  const site = await server.newSite();
  const { dashboard } = await openDashboard(t, 360, 700, { server, site });
  const visitors = ['/a', '/a', '/b'].map((page) => new BinaryVisitor(t, server.ws, { site, page }));
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

test('each page of the route table is shown, also after a reload', async (t) => {
  const { dashboard } = await openDashboard(t, 1280, 800, { server });
  for (const [name, { path, section }] of Object.entries(DASHBOARD_PAGES)) {
    const answer = await dashboard.goto(server.url + path.replace(/:\w+/g, 'x'));
    assert.equal(answer?.status(), 200, name);
    await dashboard.locator('main').waitFor();
    assert.equal(await dashboard.getByText('Page not found').count(), 0, name);
    if (name === 'sign-in') await dashboard.waitForURL(`${server.url}/admin`);
    else assert.equal(await dashboard.locator('nav [aria-current=page]').count(), section ? 1 : 0, name);
  }
});

test('the pages of the dashboard are found by path', () => {
  assert.deepEqual(findPage('/admin/'), { name: 'live', parameters: {} });
  assert.deepEqual(findPage('/admin/visits/a%20b'), { name: 'visit', parameters: { id: 'a%20b' } });
  assert.deepEqual(findPage('/admin/link/x/'), { name: 'link', parameters: { token: 'x' } });
  for (const path of ['/admin/nope', '/admin/settings/more', '/admin/visits/x/y', '/admin/link', '/administrators'])
    assert.equal(findPage(path), undefined, path);
});

test('an unknown address says so and links to the dashboard, wherever the visitor comes from', async (t) => {
  const { dashboard } = await openDashboard(t, 1280, 800, { server });
  for (const path of ['/admin/nope', '/admin/settings/more', '/nothing/at/all']) {
    const answer = await dashboard.goto(server.url + path);
    assert.equal(answer?.status(), 404, path);
    await dashboard.getByRole('heading', { name: 'Page not found' }).waitFor();
  }
  await keepPictures(dashboard, 'no-such-page');
  await dashboard.setViewportSize({ width: 360, height: 700 });
  await keepPictures(dashboard, 'no-such-page-phone');
  await dashboard.getByRole('link', { name: 'Go to the dashboard' }).click();
  await dashboard.locator('[data-link=live]').waitFor();
  // As a link within the dashboard leads there.
  await dashboard.evaluate(() => {
    const link = Object.assign(document.createElement('a'), { href: '/admin/settings/more', textContent: 'There' });
    document.body.append(link);
    link.click();
  });
  await dashboard.getByRole('heading', { name: 'Page not found' }).waitFor();
  await dashboard.getByRole('link', { name: 'Go to the dashboard' }).click();
  await dashboard.locator('[data-link=live]').waitFor();
});

test('the chart grows and shrinks with the window', async (t) => {
  const { dashboard } = await openDashboard(t, 1280, 800, { server });
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

test('on a phone, empty lists take little room', async (t) => {
  const { dashboard } = await openDashboard(t, 360, 700, { server });
  const disc = await dashboard.locator('.mice').boundingBox();
  assert.ok(disc && disc.width === disc.height, 'the disc is round');
  for (const list of ['.visitors', '.activity-feed', '.top-pages']) {
    const card = await dashboard.locator(list).boundingBox();
    assert.ok(card && card.height > 60 && card.height < 140, `${list} is ${card?.height} px high`);
  }
});

test('the demo says so when a browser asks not to be tracked', async (t) => {
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
