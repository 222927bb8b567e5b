/** The dashboard's addresses: the page requested before signing in, and the position of a rewind or replay. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Page } from 'playwright-core';
import { launch, openPage } from './support/browser.ts';
import { runHere } from './support/command.ts';
import { folderWith, openDashboard } from './support/dashboard.ts';
import { FILE } from './support/owner.ts';
import { moves, type PastVisit } from './support/record.ts';
import { startServer } from './support/server.ts';

const PASSWORD = 'correct horse battery';

/** A visit of 20 s. */
function visit(id: string, page = '/', label = ''): PastVisit {
  const since = Date.now() - 10 * 60_000;
  const line = Array.from({ length: 200 }, (_, i): [number, number] => [100 + i, 200]);
  return { id, since, label, frames: [{ page, entered: true, samples: moves(since, line, 100) }] };
}

/** Waits until the address has a moment after this one, Unix ms. */
async function seeMoment(page: Page, after: number): Promise<number> {
  await page.waitForURL((url) => Number(url.searchParams.get('at')) > after);
  return Number(new URL(page.url()).searchParams.get('at'));
}

const ANNA = visit('anna');
const BERT = { ...visit('bert'), site: 'shop' };
const server = await startServer(FILE, { workers: 1, data: await folderWith(FILE, ANNA, BERT) });

test('signing in leads to the requested address, and nowhere else', async (t) => {
  const { browser, dashboard } = await openDashboard(t, 1280, 800, { server });
  await dashboard.getByRole('link', { name: 'Settings' }).click();
  await dashboard.locator('[data-form=password] [name=password]').fill(PASSWORD);
  await dashboard.getByRole('button', { name: 'Set password' }).click();
  await dashboard.getByText('Password saved.').waitFor();
  const signIn = async (page: Page) => {
    await page.getByLabel('Name').fill('admin');
    await page.getByLabel('Password').fill(PASSWORD);
    await page.getByRole('button', { name: 'Sign in' }).click();
  };
  const asked = '/admin/heatmap?site=demo&kind=click&page=%2Fa%26b';
  const page = await openPage(browser);
  await page.goto(server.url + asked);
  await page.waitForURL('**/admin/sign-in');
  await page.reload();
  await signIn(page);
  await page.waitForURL(server.url + asked);

  const other = await openPage(browser);
  for (const evil of ['https://evil.example/admin', '//evil.example/admin', '/v1/session', 'javascript:alert(1)', 7]) {
    await other.goto(`${server.url}/admin/sign-in`);
    await other.getByRole('heading', { name: 'Sign in to Fieldmouse' }).waitFor();
    await other.evaluate((askedFor) => history.replaceState({ askedFor }, ''), evil);
    await signIn(other);
    await other.locator('[data-link=live]').waitFor();
    assert.equal(new URL(other.url()).origin + new URL(other.url()).pathname, `${server.url}/admin`, String(evil));
    await other.context().clearCookies();
  }
});

test('a sign-in link opened in the same tab leads to the requested address, and nowhere else', async (t) => {
  const page = await openPage(await launch(t));
  const useLink = async () => {
    const { out } = await runHere(['admin', 'add', 'admin', '--data', server.data]);
    await page.goto(server.url + (/\/admin\/link\/\S+/.exec(out)?.[0] as string));
    await page.getByRole('button', { name: 'Sign in' }).click();
  };
  const asked = '/admin/visits?site=demo&days=7';
  await page.goto(server.url + asked);
  await page.waitForURL('**/admin/sign-in');
  await useLink();
  await page.waitForURL(server.url + asked);
  for (const evil of ['https://evil.example/admin', '//evil.example/admin', '/v1/session', '', undefined]) {
    await page.context().clearCookies();
    await page.goto(`${server.url}/admin/sign-in`);
    await page.getByRole('heading', { name: 'Sign in to Fieldmouse' }).waitFor();
    await page.evaluate((address) => {
      if (address !== undefined) sessionStorage.setItem('fieldmouse.asked-for', address);
    }, evil);
    await useLink();
    await page.locator('[data-link=live]').waitFor();
    assert.equal(new URL(page.url()).origin + new URL(page.url()).pathname, `${server.url}/admin`, evil);
  }
});

test('a link to another section keeps the site, even if it is clicked while the sites are still loading', async (t) => {
  const { dashboard } = await openDashboard(t, 1280, 800, { server, site: 'shop' });
  let load = () => {};
  const mayLoad = new Promise<void>((resolve) => {
    load = resolve;
  });
  await dashboard.route('**/v1/sites', (route) => mayLoad.then(() => route.continue()));
  await dashboard.reload();
  await dashboard.getByRole('link', { name: 'Visits' }).click();
  await dashboard.getByRole('heading', { name: 'Visits' }).or(dashboard.getByText('Loading…')).first().waitFor();
  load();
  await dashboard.locator('tr[data-id=bert]').waitFor();
  assert.equal(new URL(dashboard.url()).searchParams.get('site'), 'shop');
});

test('the address follows the position of a rewind and of a replay, and opens that position again', async (t) => {
  const { dashboard } = await openDashboard(t, 1280, 800, { server });
  await dashboard.goto(`${server.url}/admin/visits/anna?site=demo`);
  const shown = await seeMoment(dashboard, ANNA.since + 1000);
  assert.ok(shown < ANNA.since + 20_000);
  await dashboard.goto(`${server.url}/admin/visits/anna?site=demo&at=${ANNA.since + 15_000}`);
  await dashboard.waitForFunction(() => Number(document.querySelector('.play-time')?.getAttribute('data-at')) > 14_900);
  await seeMoment(dashboard, ANNA.since + 15_000);

  await dashboard.goto(`${server.url}/admin?site=demo&at=${ANNA.since}`);
  const at = await seeMoment(dashboard, ANNA.since + 2000);
  await dashboard.reload();
  await dashboard.waitForFunction((at) => Number(document.querySelector('.band')?.getAttribute('data-at')) > at, at);
  await dashboard.keyboard.press('Escape');
  await dashboard.locator('[data-link=live]').waitFor();
  assert.equal(new URL(dashboard.url()).searchParams.get('at'), null);
});
