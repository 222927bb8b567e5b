/** The dashboard's lists of visits and pages, and the replay of one visit, in a real browser. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { setTimeout as later } from 'node:timers/promises';
import type { Locator, Page } from 'playwright-core';
import type { Passage, Visit } from '../src/model/visit.ts';
import { openPage } from './support/browser.ts';
import { folderWith, keepPictures, openDashboard, seeInk, seePointer } from './support/dashboard.ts';
import { FILE } from './support/owner.ts';
import { click, moves, type PastVisit } from './support/record.ts';
import { startServer, type TestServer } from './support/server.ts';

const MINUTE = 60_000;
/** Nothing that a visitor chose may become more than text. */
const EVIL = '<img src=x onerror="document.title=`evil`">';

/** A visit of two pages, 30 s long, that began `ago` minutes ago: along a line, a rest, a click, and a page change. */
function walk(id: string, ago: number, change: Partial<PastVisit> = {}): PastVisit {
  const since = Date.now() - ago * MINUTE;
  const line = Array.from({ length: 120 }, (_, i): [number, number] => [100 + i * 5, 200]);
  const first = { page: '/', entered: true, samples: [...moves(since, line), click(since + 3000, 700, 240, '#buy')] };
  const back = Array.from({ length: 120 }, (_, i): [number, number] => [700 - i * 5, 500]);
  const second = { page: '/garden.html', entered: true, samples: moves(since + 28_000, back) };
  return { id, since, frames: [first, second], ...change };
}

/** One look at a page, so many seconds long. */
function glance(id: string, ago: number, page: string, seconds: number, change: Partial<PastVisit> = {}): PastVisit {
  const since = Date.now() - ago * MINUTE;
  const samples = moves(
    since,
    [
      [10, 10],
      [20, 20],
    ],
    seconds * 1000,
  );
  return { id, since, frames: [{ page, entered: true, samples }], ...change };
}

function ids(rows: Locator): Promise<(string | null)[]> {
  return rows.evaluateAll((list) => list.map((row) => row.getAttribute('data-id')));
}

/** Waits until the list of visits is just these. */
async function seeVisits(dashboard: Page, ...wanted: string[]): Promise<void> {
  await dashboard.waitForFunction((wanted) => {
    const ids = [...document.querySelectorAll('tr[data-id]')].map((row) => row.getAttribute('data-id'));
    return document.querySelector('main')?.ariaBusy === 'false' && String(ids) === String(wanted);
  }, wanted);
}

/** Time that is played, milliseconds from the visit's begin. */
async function timeOf(dashboard: Page): Promise<number> {
  return Number(await dashboard.locator('.play-time').getAttribute('data-at'));
}

/**
 * The newest visit, once the record has it up to a move to this place. That takes some seconds, and no event says when.
 */
async function visitThatEndsAt(server: TestServer, x: number, y: number): Promise<Visit> {
  const read = async <T>(path: string) => (await (await server.api(path)).json()) as T;
  for (const end = Date.now() + 60_000; Date.now() < end; await later(200)) {
    const { visits } = await read<{ visits: Visit[] }>('/v1/visits?site=demo');
    if (!visits[0]) continue;
    const { passages } = await read<{ passages: Passage[] }>(`/v1/visits/${visits[0].id}/passages`);
    if (passages.some(({ moves }) => String(moves.slice(-2)) === `${x},${y}`)) return visits[0];
  }
  throw new Error(`no visit that ends at ${x}, ${y}`);
}

const MANY = Array.from({ length: 60 }, (_, i) => glance(`v${i}`, i + 1, '/', 1, { site: 'many' }));

/** Each test uses a site of its own, or only reads the demo, which is the first site and so the preset. */
const server = await startServer(FILE, {
  workers: 1,
  data: await folderWith(
    FILE,
    walk('emma', 90, { label: 'Emma' }),
    walk('anna', 90, { site: 'listed' }),
    glance('bert', 60, '/shop', 120, { site: 'listed', country: 'DE' }),
    glance('carl', 30, '/', 2, { site: 'listed', label: EVIL, referrer: 'https://news.example' }),
    walk('fred', 3, { site: 'sorted' }),
    walk('gina', 2, { site: 'sorted' }),
    glance('hugo', 1, '=cmd()', 4, { site: 'sorted' }),
    glance('iris', 1, EVIL, 4, { site: 'sorted' }),
    ...MANY,
  ),
});

test('visits are listed newest first, filtered, and deleted with everything they added', async (t) => {
  const { dashboard } = await openDashboard(t, 1280, 800, { server, site: 'listed' });
  await dashboard.getByRole('link', { name: 'Visits' }).click();
  await seeVisits(dashboard, 'carl', 'bert', 'anna');
  const row = (id: string) => dashboard.locator(`tr[data-id="${id}"]`);
  await row('carl').getByText(EVIL).waitFor();
  await row('carl').getByText('news.example').waitFor();
  await row('bert').getByText('Germany').waitFor();
  assert.match(await row('anna').innerText(), /\+1/);

  await dashboard.getByLabel('Duration').selectOption('Over 1 min');
  await seeVisits(dashboard, 'bert');
  await dashboard.getByRole('button', { name: 'Clear filters' }).click();
  await dashboard.getByLabel('Clicks').selectOption('With clicks');
  await seeVisits(dashboard, 'anna');
  await dashboard.getByLabel('Clicks').selectOption('With or without clicks');
  await dashboard.getByLabel('Country').selectOption('Germany');
  await seeVisits(dashboard, 'bert');
  await dashboard.getByLabel('Device').selectOption('Phone');
  await dashboard.getByText('No matching visits').waitFor();
  await dashboard.locator('.nothing').getByRole('button', { name: 'Clear filters' }).click();
  await dashboard.getByLabel('Page').selectOption('/garden.html');
  await seeVisits(dashboard, 'anna');
  assert.match(dashboard.url(), /page=%2Fgarden\.html/);
  await dashboard.reload();
  await seeVisits(dashboard, 'anna');
  await dashboard.getByRole('button', { name: 'Clear filters' }).click();

  await row('anna').getByRole('button', { name: 'Delete' }).click();
  await dashboard.locator('dialog').getByText('counts, heatmaps and the rewind').waitFor();
  await dashboard.locator('dialog').getByRole('button', { name: 'Cancel' }).click();
  await seeVisits(dashboard, 'carl', 'bert', 'anna');
  await row('anna').getByRole('button', { name: 'Delete' }).click();
  await dashboard.locator('dialog').getByRole('button', { name: 'Delete' }).click();
  await seeVisits(dashboard, 'carl', 'bert');
  assert.equal((await server.api('/v1/visits/anna')).status, 404);
  await dashboard.getByRole('link', { name: 'Pages' }).click();
  await dashboard.locator('tr[data-page="/shop"]').waitFor();
  assert.equal(await dashboard.locator('tr[data-page="/garden.html"]').count(), 0, 'it is gone from counts');
});

test('a site without visits says what to do, and long lists load page by page', async (t) => {
  const { dashboard } = await openDashboard(t, 1280, 800, { server, site: 'many' });
  await dashboard.getByRole('link', { name: 'Visits' }).click();
  const rows = dashboard.locator('tr[data-id]');
  await rows.nth(49).waitFor();
  await dashboard.getByRole('button', { name: 'Load more' }).click();
  await rows.nth(59).waitFor();
  await dashboard.getByText('No more visits.').waitFor();
  assert.deepEqual(
    await ids(rows),
    MANY.map(({ id }) => id),
  );

  await dashboard.goto(`${server.url}/admin/visits?site=${await server.newSite()}`);
  await dashboard.getByText('No visits yet').waitFor();
  await dashboard.getByRole('link', { name: 'Pages' }).click();
  await dashboard.getByText('No page views in this period').waitFor();
});

test('a visit is played: its pointer moves on the stage, the time line seeks anywhere, and it can be played again', async (t) => {
  const { dashboard } = await openDashboard(t, 1280, 800, { server });
  await dashboard.getByRole('link', { name: 'Visits' }).click();
  await dashboard.locator('tr[data-id=emma] a').click();
  const line = dashboard.getByRole('slider', { name: 'Time' });
  await dashboard.locator('.mark.click').waitFor({ state: 'attached' });
  assert.deepEqual(
    await dashboard.locator('.mark').evaluateAll((marks) => marks.map((mark) => mark.getAttribute('class'))),
    ['mark page', 'mark page', 'mark click'],
  );
  const look = () => dashboard.locator('#pointers li').getAttribute('data-x');
  await dashboard.waitForFunction(() => Number(document.querySelector('#pointers li')?.getAttribute('data-x')) > 100);
  const before = Number(await look());
  await dashboard.waitForFunction(
    (x) => Number(document.querySelector('#pointers li')?.getAttribute('data-x')) > x + 50,
    before,
  );

  await dashboard.locator('h2').first().click();
  await dashboard.keyboard.press('Space');
  await dashboard.getByRole('button', { name: 'Play', exact: true }).waitFor();
  await line.press('Home');
  await line.press('ArrowRight');
  assert.equal(await timeOf(dashboard), 5000);
  await seePointer(dashboard, 695, 200);
  await seeInk(dashboard, 695, 200, true);
  await seeInk(dashboard, 100, 200, false);
  await line.press('End');
  await seePointer(dashboard, 105, 500);
  await seeInk(dashboard, 105, 500, true);
  await dashboard.locator('[data-page="/garden.html"]').waitFor();
  await dashboard.getByText('The visit has ended.').waitFor();

  await dashboard.getByRole('button', { name: /^0:00/ }).click();
  await dashboard.locator('.bar [data-page="/"]').waitFor();
  assert.ok((await timeOf(dashboard)) < 5000);
  await line.hover({ position: { x: 2, y: 10 } });
  await dashboard.locator('.time-tip').getByText('0:00 · /').waitFor();

  await line.press('End');
  await dashboard.getByRole('button', { name: 'Watch again' }).click();
  await dashboard.getByText('The visit has ended.').waitFor({ state: 'detached' });
  await dashboard.getByRole('button', { name: '16 ×' }).click();
  await dashboard.getByText('The visit has ended.').waitFor();
  await dashboard.getByRole('button', { name: 'Replay', exact: true }).waitFor();
});

test('quiet times are skipped while the option is on, and played while it is off', async (t) => {
  const { dashboard } = await openDashboard(t, 1280, 800, { server });
  await dashboard.goto(`${server.url}/admin/visits/emma`);
  const line = dashboard.getByRole('slider', { name: 'Time' });
  await dashboard.locator('.time-quiet').waitFor({ state: 'attached' });
  await line.press('Home');
  await line.press('ArrowRight');
  // From 5 s on nothing happens until 28 s: two seconds of it are left.
  await dashboard.waitForFunction(() => Number(document.querySelector('.play-time')?.getAttribute('data-at')) > 26_000);
  await dashboard.locator('h2').first().click();
  await dashboard.keyboard.press('Space');
  await dashboard.getByLabel('Skip inactivity').uncheck();
  await line.press('Home');
  await line.press('ArrowRight');
  await line.press('ArrowRight');
  await dashboard.getByRole('button', { name: 'Play', exact: true }).click();
  await dashboard.waitForFunction(() => Number(document.querySelector('.play-time')?.getAttribute('data-at')) > 10_200);
  assert.ok((await timeOf(dashboard)) < 26_000, 'it is played');
});

test('an unknown visit says so, and links to the list of visits', async (t) => {
  const { dashboard } = await openDashboard(t, 1280, 800, { server });
  await dashboard.goto(`${server.url}/admin/visits/nobody`);
  await dashboard.getByRole('heading', { name: 'Visit not found' }).waitFor();
  await dashboard.getByRole('link', { name: 'Go to visits' }).click();
  await seeVisits(dashboard, 'emma');
});

test('pages are counted, sorted by any column, link to their visits, and are saved as CSV', async (t) => {
  const { dashboard } = await openDashboard(t, 1280, 800, { server });
  await dashboard.goto(`${server.url}/admin/pages?site=sorted`);
  const row = (page: string) => dashboard.locator('tr[data-page]').filter({ hasText: page });
  await row('/garden.html').waitFor();
  assert.equal(await row('/garden.html').locator('[data-label=Views]').innerText(), '2');
  await row(EVIL).waitFor();
  const first = () => dashboard.locator('tr[data-page]').first().getAttribute('data-page');
  await dashboard.getByRole('button', { name: 'Page', exact: true }).click();
  assert.equal(await first(), '/');
  await dashboard.getByRole('button', { name: 'Page', exact: true }).click();
  assert.equal(await first(), '=cmd()');
  assert.equal(await dashboard.locator('[data-sum]').getAttribute('data-sum'), '6');

  const depth = row('/garden.html').locator('[data-label="Scroll depth"]');
  assert.match(await depth.innerText(), /^\d+ %$/);
  assert.match((await depth.getAttribute('title')) as string, /^[\d,]+ px on average$/);
  const saving = dashboard.waitForEvent('download');
  await dashboard.getByRole('button', { name: 'Download CSV' }).click();
  const text = readFileSync(await (await saving).path(), 'utf8');
  assert.match(text, /^\uFEFFpage,now,views,visits,/);
  assert.match(text, /\r\n'=cmd\(\),0,1,1,/);
  await row('/garden.html').getByRole('link', { name: 'Visits' }).click();
  await seeVisits(dashboard, 'gina', 'fred');
  await dashboard.goBack();
  await row('/garden.html').getByRole('link', { name: 'Heatmap' }).click();
  await dashboard.locator('.page-chooser[data-page="/garden.html"]').waitFor();
  assert.notEqual(await dashboard.title(), 'evil');
});

test('on a phone nothing overflows, and a list row is a card', async (t) => {
  const { dashboard } = await openDashboard(t, 360, 700, { server });
  for (const path of ['/admin/visits', '/admin/pages', '/admin/visits/emma', '/admin/heatmap', '/admin?at=1']) {
    await dashboard.goto(server.url + path);
    await dashboard.locator('tr[data-id], tr[data-page], .time-line, .figures').first().waitFor();
    const wide = await dashboard.evaluate(() => document.documentElement.scrollWidth);
    assert.equal(wide, 360, path);
  }
});

test('a picture of a replay of the demo, recorded in a real browser, is saved', async (t) => {
  const { browser, dashboard } = await openDashboard(t, 1440, 900, { server });
  const visitor = await openPage(browser, { viewport: { width: 1280, height: 800 } });
  await visitor.goto(`${server.url}/`);
  await visitor.mouse.move(200, 300, { steps: 20 });
  await visitor.mouse.move(700, 420, { steps: 40 });
  await visitor.mouse.click(700, 420);
  await visitor.mouse.wheel(0, 500);
  await visitor.mouse.move(500, 300, { steps: 40 });
  await visitor.getByRole('link', { name: 'Garden planner' }).click();
  await visitor.waitForURL('**/garden.html');
  await visitor.mouse.move(400, 500, { steps: 40 });
  await seePointer(dashboard, 400, 500);
  await visitor.close({ runBeforeUnload: true });
  const visit = await visitThatEndsAt(server, 400, 500);
  assert.deepEqual([...new Set(visit.stays.map(({ page }) => page))], ['/', '/garden.html']);
  assert.ok(visit.clicks >= 1);

  await dashboard.goto(`${server.url}/admin/visits/${visit.id}`);
  const line = dashboard.getByRole('slider', { name: 'Time' });
  await dashboard.locator('.mark.click').first().waitFor({ state: 'attached' });
  await dashboard.locator('h2').first().click();
  await dashboard.keyboard.press('Space');
  await dashboard.getByRole('button', { name: 'Play', exact: true }).waitFor();
  await line.press('End');
  await seePointer(dashboard, 400, 500);
  await line.press('Home');
  await dashboard.getByRole('button', { name: 'Play', exact: true }).click();
  await dashboard.waitForFunction(() => Number(document.querySelector('#pointers li')?.getAttribute('data-x')) > 300);
  await keepPictures(dashboard, 'replay');
});
