/** The rewind of a whole site on the live screen, in a real browser. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Page } from 'playwright-core';
import { openPage } from './support/browser.ts';
import { folderWith, keepPictures, openDashboard, seeHere, seeInk, seePointer } from './support/dashboard.ts';
import { until } from './support/exact.ts';
import { freeAddress } from './support/free-port.ts';
import { FILE } from './support/owner.ts';
import type { PastVisit } from './support/record.ts';
import { startServer } from './support/server.ts';
import { BinaryVisitor } from './support/visitor.ts';

const MINUTE = 60_000;
const VIEW: [number, number, number, number] = [1280, 900, 1265, 2400];
const EVIL = '<b onclick=alert(1)>';

/** A visit that circles about a place on a page for some minutes, 30 samples a second. */
function circle(id: string, since: number, minutes: number, i: number, change: Partial<PastVisit> = {}): PastVisit {
  const page = i % 4 === 3 ? '/garden.html' : '/';
  const frames = Array.from({ length: minutes * 60 }, (_, second) => {
    const samples = Array.from({ length: 30 }, (_, k) => {
      const time = since + second * 1000 + k * 33;
      return { type: 'move' as const, time, ...placeAt(i, time) };
    });
    return { page, size: VIEW, entered: second === 0, samples };
  });
  return { id, since, frames, ...change };
}

/** All visits of a site. */
function onSite(site: string, ...visits: PastVisit[]): PastVisit[] {
  return visits.map((visit) => ({ ...visit, site }));
}

function placeAt(i: number, t: number): { x: number; y: number } {
  const s = (t % 1_000_000) / 1000;
  return {
    x: Math.round(240 + 130 * (i % 7) + 90 * Math.sin(s * (1 + i / 9) + i)),
    y: Math.round(220 + 70 * (i % 6) + 80 * Math.cos(s * (0.8 + i / 11) + i * 2)),
  };
}

/** Unix ms that are played. */
async function playedAt(dashboard: Page): Promise<number> {
  return Number(await dashboard.locator('.band').getAttribute('data-at'));
}

/** Waits until the rewind has played beyond a time. */
async function seePlayed(dashboard: Page, t: number): Promise<void> {
  await dashboard.waitForFunction((t) => Number(document.querySelector('.band')?.getAttribute('data-at')) > t, t);
}

/** Waits until so many were here then. */
async function seeThen(dashboard: Page, visitors: number): Promise<void> {
  await dashboard.locator(`[data-then="${visitors}"]`).waitFor();
}

/** Where each pointer on stage is, by its visitor's id. */
function pointers(dashboard: Page): Promise<Record<string, [number, number]>> {
  return dashboard
    .locator('#pointers li')
    .evaluateAll((list) =>
      Object.fromEntries(
        (list as HTMLElement[]).map(({ dataset: { id, x, y } }) => [id ?? '', [Number(x), Number(y)]]),
      ),
    );
}

const begin = Date.now() - 20 * MINUTE;
/** Start of the visits that are looked for on the chart of the day. */
const earlier = Date.now() - 3 * 60 * MINUTE;
const moved = begin + 40_000;
const listen = await freeAddress();

/** Each test uses a site of its own. The demo has many visits, of which the dashboard shows the pages. */
const server = await startServer(FILE, {
  workers: 1,
  listen,
  data: await folderWith(
    FILE,
    ...onSite(
      'played',
      circle('anna', begin, 3, 0),
      circle('bert', begin + 10_000, 3, 1, { label: EVIL }),
      circle('carl', begin, 3, 3),
    ),
    ...onSite(
      'followed',
      {
        id: 'dora',
        since: begin,
        frames: [
          ...circle('dora', begin, 1, 0).frames.slice(0, 40),
          ...circle('dora', moved, 1, 0).frames.map((frame, i) => ({ ...frame, page: '/b', entered: i === 0 })),
        ],
      },
      circle('emil', begin, 2, 1),
      circle('fred', begin, 2, 2),
    ),
    ...onSite('searched', circle('gina', earlier, 2, 0), circle('hugo', earlier, 1, 1)),
    ...onSite('retried', circle('iris', begin, 2, 0)),
    ...Array.from({ length: 14 }, (_, i) =>
      circle(`v${i}`, begin + i * 1500, 3, i, { origin: listen.replace('tcp:', 'http:') }),
    ),
    ...Array.from({ length: 60 }, (_, i) => circle(`d${i}`, begin - ((i * i * 13) % 1380) * MINUTE, 2 / 60, i)),
  ),
});

test('the live screen plays the past of all visitors at once, and returns to live without a reload', async (t) => {
  const { dashboard } = await openDashboard(t, 1280, 800, { server, site: 'played' });
  const here = new BinaryVisitor(t, server.ws, { site: 'played', page: '/now' });
  const { visitor: id } = await here.hello;
  await seeHere(dashboard, 1);
  const arrival = dashboard.locator(`.activity-feed [data-kind=join][data-id="${id}"]`);
  await arrival.waitFor();
  await dashboard.evaluate(() => {
    document.documentElement.dataset.sameDocument = 'yes';
  });
  await dashboard.getByRole('button', { name: 'Rewind' }).click();
  await dashboard
    .locator('.band')
    .getByText(/^Rewind – \d\d:\d\d:\d\d, .*, 1 ×$/)
    .waitFor();
  await dashboard.evaluate((at) => {
    const link = document.createElement('a');
    link.href = `/admin?site=played&at=${at}&page=%2F`;
    document.body.append(link);
    link.click();
  }, begin + 30_000);
  await seeThen(dashboard, 3);
  await dashboard.waitForFunction(() => document.querySelectorAll('#pointers li').length === 2);
  await dashboard.locator('.row').getByText(EVIL).waitFor();
  await dashboard.getByText('at that time · activity').waitFor();

  await dashboard.locator('h2').first().click();
  await dashboard.keyboard.press('Space');
  await dashboard.getByRole('button', { name: 'Play', exact: true }).waitFor();
  const still = await playedAt(dashboard);
  const places = await pointers(dashboard);
  for (const [id, i] of [
    ['anna', 0],
    ['bert', 1],
  ] as const) {
    const { x, y } = placeAt(i, still - 200);
    const [px, py] = places[id] as [number, number];
    // The list of pointers may be one picture older than the band.
    assert.ok(Math.hypot(px - x, py - y) < 60, `${id} is drawn at ${px}, ${py}, and was at ${x}, ${y}`);
  }
  const [x, y] = places.anna as [number, number];
  await seeInk(dashboard, x, y, true);
  assert.equal(await playedAt(dashboard), still, 'it stands');

  await dashboard.getByRole('button', { name: '30 ×', exact: true }).click();
  await dashboard.getByRole('button', { name: 'Play', exact: true }).click();
  await seePlayed(dashboard, still + 30_000);
  assert.notDeepEqual(await pointers(dashboard), places);
  await dashboard.getByRole('button', { name: 'Pause' }).click();
  const before = await playedAt(dashboard);
  await dashboard.getByRole('button', { name: 'One minute back' }).click();
  await dashboard.waitForFunction(
    (t) => Math.abs(Number(document.querySelector('.band')?.getAttribute('data-at')) - t) < 2000,
    before - MINUTE,
  );
  await dashboard.getByRole('button', { name: 'Play', exact: true }).click();
  await seeThen(dashboard, 0);
  await dashboard.locator('.activity-feed [data-kind=leave]').first().waitFor();

  await dashboard.keyboard.press('Escape');
  await seeHere(dashboard, 1);
  await dashboard.locator('[data-link=live]').waitFor();
  assert.equal(await dashboard.locator('.band').count(), 0);
  assert.equal(await arrival.count(), 1, 'what was told before the rewind is told');
  assert.equal(await dashboard.locator('.activity-feed [data-kind]').count(), 1);
  here.frame({ type: 'move', time: 100, x: 333, y: 222 });
  await dashboard.locator('.top-page').filter({ hasText: '/now' }).click();
  await seePointer(dashboard, 333, 222);
  assert.equal(await dashboard.locator('html[data-same-document=yes]').count(), 1);
});

test('a visitor can be followed in the past too, and Escape ends first that and then the rewind', async (t) => {
  const { dashboard } = await openDashboard(t, 1280, 800, { server, site: 'followed' });
  await dashboard.goto(`${server.url}/admin?site=followed&at=${begin + 30_000}`);
  await seeThen(dashboard, 3);
  await dashboard.locator('.row[data-id=dora] button').click();
  await dashboard.getByRole('button', { name: 'Stop following' }).waitFor();
  await dashboard.getByRole('button', { name: '5 ×', exact: true }).click();
  await dashboard.locator('.page-chooser[data-page="/b"]').waitFor();
  await dashboard.locator('#pointers li[data-id=dora]').waitFor({ state: 'attached' });
  await dashboard.keyboard.press('Escape');
  await dashboard.getByRole('button', { name: 'Stop following' }).waitFor({ state: 'detached' });
  await dashboard.locator('.band').waitFor();
  await dashboard.keyboard.press('Escape');
  await dashboard.locator('[data-link=live]').waitFor();
  await dashboard.goBack();
  await dashboard.locator('.band').waitFor();
});

test('a moment is chosen on the day’s chart, by keys and by date, and the present ends the rewind', async (t) => {
  const { dashboard } = await openDashboard(t, 1280, 800, { server, site: 'searched' });
  await dashboard.getByRole('button', { name: 'Rewind' }).click();
  const line = dashboard.getByRole('slider', { name: 'Time of day' });
  await dashboard.locator('.day-curve path').waitFor({ state: 'attached' });
  const box = await line.boundingBox();
  assert.ok(box);
  const [to, from] = await line.evaluate((slider) => {
    const now = Date.now();
    const length = Number(slider.ariaValueMax) * 1000;
    return [now, now - length];
  });
  const x = ((earlier + 30_000 - from) / (to - from)) * box.width;
  await line.hover({ position: { x, y: 10 } });
  await dashboard
    .locator('.time-tip')
    .getByText(/visitors?$/)
    .waitFor();
  await line.click({ position: { x, y: 10 } });
  // A pixel of the line is more than a minute.
  await dashboard.waitForFunction(
    (t) => Math.abs(Number(document.querySelector('.band')?.getAttribute('data-at')) - t) < 180_000,
    earlier,
  );
  const chosen = await playedAt(dashboard);
  await line.press('PageDown');
  await dashboard.waitForFunction(
    (t) => Number(document.querySelector('.band')?.getAttribute('data-at')) < t,
    chosen - 50 * MINUTE,
  );
  const wanted = earlier + 20_000;
  const local = new Date(wanted - new Date(wanted).getTimezoneOffset() * MINUTE).toISOString().slice(0, 19);
  await dashboard.getByLabel('Date and time').fill(local);
  await seeThen(dashboard, 2);
  await line.press('End');
  await dashboard.getByRole('button', { name: '60 ×', exact: true }).click();
  await dashboard.locator('.band').getByText('caught up', { exact: true }).waitFor();
  await dashboard.getByRole('button', { name: 'Back to live' }).click();
  await dashboard.locator('[data-link=live]').waitFor();
});

test('visitors present stay when playback reaches the present, and the future cannot be chosen', async (t) => {
  const site = await server.newSite();
  const { dashboard } = await openDashboard(t, 1280, 800, { server, site });
  const before = Date.now();
  const here = new BinaryVisitor(t, server.ws, { site, page: '/now' });
  await here.hello;
  here.frame({ type: 'move', time: 100, x: 333, y: 222 });
  await seeHere(dashboard, 1);
  await until(() => here.acked > 0, 'an ack');
  await dashboard.goto(`${server.url}/admin?site=${site}&at=${before}`);
  await dashboard.locator('.band').getByText('caught up', { exact: true }).waitFor();
  await seeThen(dashboard, 1);
  const later = Date.now() + 60 * MINUTE;
  for (const at of [later, 4_102_444_800_000]) {
    await dashboard.goto(`${server.url}/admin?site=${site}&at=${at}`);
    await dashboard.locator('.band').getByText('caught up', { exact: true }).waitFor();
    assert.ok((await playedAt(dashboard)) < later);
  }
  await dashboard.getByLabel('Date and time').fill('2030-01-01T00:00:00');
  await dashboard.waitForFunction(() => !document.querySelector<HTMLInputElement>('.moment')?.value.startsWith('2030'));
  await dashboard.getByRole('button', { name: 'Back to live' }).click();
  await dashboard.locator('[data-link=live]').waitFor();
});

test('an address with the earliest possible time requests nothing before it', async (t) => {
  const site = await server.newSite();
  const { dashboard } = await openDashboard(t, 1280, 800, { server, site });
  const answers = ['**/v1/replay?*', '**/v1/visits?*'].map((path) => dashboard.waitForResponse(path));
  await dashboard.goto(`${server.url}/admin?site=${site}&at=0`);
  for (const answer of await Promise.all(answers))
    assert.deepEqual([answer.status(), new URL(answer.url()).searchParams.get('from')], [200, '0']);
});

test('a rewind that the server rejects says why, and can be tried again', async (t) => {
  const { dashboard } = await openDashboard(t, 1280, 800, { server, site: 'retried' });
  const problem = {
    type: 'about:blank',
    title: 'Busy',
    status: 503,
    code: 'too-many-streams',
    detail: 'Too many replays are open.',
  };
  await dashboard.route('**/v1/replay?*', (route) => route.fulfill({ status: 503, json: problem }));
  await dashboard.goto(`${server.url}/admin?site=retried&at=${begin + 10_000}`);
  await dashboard.getByText('Too many replays are open.').waitFor();
  await dashboard.unroute('**/v1/replay?*');
  await dashboard.getByRole('button', { name: 'Retry' }).click();
  await seeThen(dashboard, 1);
});

test('a picture of a rewind of many visitors is saved', async (t) => {
  const { browser, dashboard } = await openDashboard(t, 1440, 900, { server });
  // Somebody is here now: not to be seen in the past.
  const visitor = await openPage(browser);
  await visitor.goto(`${server.url}/`);
  await seeHere(dashboard, 1);
  await dashboard.goto(`${server.url}/admin?site=demo&at=${begin + 70_000}`);
  await dashboard.getByRole('button', { name: '2 ×', exact: true }).click();
  await seePlayed(dashboard, begin + 75_000);
  await dashboard.locator('.day-curve path').waitFor({ state: 'attached' });
  await dashboard.frameLocator('iframe.preview').getByText('Let a corner').waitFor();
  await keepPictures(dashboard, 'rewind');
  assert.ok((await dashboard.locator('#pointers li').count()) >= 10);
  assert.ok(await dashboard.locator(`[data-then="14"]`).count());
});
