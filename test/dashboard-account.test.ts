import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import type { Page } from 'playwright-core';
import { launch, openPage } from './support/browser.ts';
import { openDashboard, seeHere } from './support/dashboard.ts';
import { FILE } from './support/owner.ts';
import { startServer } from './support/server.ts';

const PASSWORD = 'correct horse battery';

/** Waits until what a selector names has the focus. */
async function seeFocus(dashboard: Page, selector: string): Promise<void> {
  await dashboard.locator(selector).and(dashboard.locator(':focus')).waitFor();
}

const server = await startServer(FILE, { workers: 1 });

test('without a session every address shows the sign-in page, and nothing else', async (t) => {
  const page = await openPage(await launch(t));
  for (const path of ['/admin', '/admin/settings']) {
    await page.goto(server.url + path);
    await page.waitForURL('**/admin/sign-in');
    await page.getByRole('heading', { name: 'Sign in to Fieldmouse' }).waitFor();
  }
  assert.equal((await page.request.get(`${server.url}/v1/stream?site=demo`)).status(), 401);
});

test('a link signs in once, and the password set then signs in again', async (t) => {
  const server = await startServer(t, { workers: 1 });
  const browser = await launch(t);
  const page = await openPage(browser);
  await page.goto(server.link as string);
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.waitForURL('**/admin');
  const other = await openPage(browser);
  await other.goto(server.link as string);
  await other.getByRole('button', { name: 'Sign in' }).click();
  await other.getByRole('alert').getByText('already used').waitFor();

  const name = (await (await page.request.get(`${server.url}/v1/session`)).json()).name;
  await page.getByRole('link', { name: 'Settings' }).click();
  await page.locator('[data-form=password] [name=password]').fill(PASSWORD);
  await page.getByRole('button', { name: 'Set password' }).click();
  await page.getByText('Password saved.').waitFor();
  await page.getByRole('button', { name: 'Sign out' }).click();
  await page.getByRole('heading', { name: 'Sign in to Fieldmouse' }).waitFor();

  await page.getByLabel('Name').fill(name);
  await page.getByLabel('Password').fill('not the password');
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.getByRole('alert').getByText('The name or password is wrong.').waitFor();
  await page.getByLabel('Password').fill(PASSWORD);
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.locator('[data-link=live]').waitFor();
});

test('an API token is shown once, works, and is rejected after it is revoked', async (t) => {
  const { dashboard } = await openDashboard(t, 1280, 800, { server });
  await dashboard.getByRole('link', { name: 'Settings' }).click();
  await dashboard.getByLabel('Name of a new token').fill('nightly');
  await dashboard.getByRole('button', { name: 'Create token' }).click();
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
  await dashboard.getByRole('button', { name: 'Create token' }).click();
  await dashboard.locator('.secret').waitFor();
  await revoke('weekly');
  assert.equal(await dashboard.locator('.secret').count(), 0, 'nobody is asked to copy a token that is no more');
});

test('a session ended elsewhere is reported on its own screen', async (t) => {
  const { browser, dashboard } = await openDashboard(t, 1280, 800, { server });
  const name = (await (await dashboard.request.get(`${server.url}/v1/session`)).json()).name;
  await dashboard.getByRole('link', { name: 'Settings' }).click();
  await dashboard.locator('[data-form=password] [name=password]').fill(PASSWORD);
  await dashboard.getByRole('button', { name: 'Set password' }).click();
  await dashboard.getByText('Password saved.').waitFor();
  const other = await openPage(browser);
  await other.goto(`${server.url}/admin`);
  await other.waitForURL('**/admin/sign-in');
  await other.getByLabel('Name').fill(name);
  await other.getByLabel('Password').fill(PASSWORD);
  await other.getByRole('button', { name: 'Sign in' }).click();
  await other.locator('[data-link=live]').waitFor();

  await dashboard.reload();
  await dashboard.locator('[data-session]').getByRole('button', { name: 'End session' }).click();
  await other.getByText('Your session has ended.').waitFor();
  assert.match(other.url(), /\/admin\/sign-in$/);
});

test('a new site shows its snippet, and turns green when the first visitor connects from another origin', async (t) => {
  const { browser, dashboard } = await openDashboard(t, 1280, 800, { server });
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
  snippet = (await item.locator('.copyable code').first().textContent()) ?? '';

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
  await dashboard.locator('dialog').getByRole('button', { name: 'Cancel' }).press('Enter');
  await seeFocus(dashboard, '[data-site=shop] .danger');
  await item.getByRole('button', { name: 'Remove' }).click();
  await dashboard.locator('dialog').getByRole('button', { name: 'Remove' }).click();
  await item.waitFor({ state: 'detached' });
});
