/**
 * Administrators, tokens and the audit trail in the dashboard, in a real browser, and the restricted view of a viewer.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openLmdbStore } from '../src/store/lmdb/lmdb-store.ts';
import { openPage } from './support/browser.ts';
import { keepPictures, openDashboard } from './support/dashboard.ts';

test('an owner adds a viewer by a link, the viewer sees only its site, and the audit trail records it', async (t) => {
  const { server, browser, dashboard } = await openDashboard(t);
  await server.api('/v1/sites', {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ key: 'shop', name: 'Shop', origins: ['self'] }),
  });
  await dashboard.goto(`${server.url}/admin/settings`);
  const form = dashboard.locator('[data-form=person]');
  await form.getByLabel('Name of a new person').fill('bob');
  await form.getByRole('button', { name: 'Viewer' }).click();
  await form.getByRole('button', { name: 'Selected sites' }).click();
  await form.getByLabel('Shop').check();
  await form.getByRole('button', { name: 'Add person' }).click();
  const bob = dashboard.locator('[data-person=bob]');
  await bob.getByText('of shop').waitFor();
  const link = (await dashboard.locator('.secret code').textContent()) as string;
  await dashboard.locator('#people-title').scrollIntoViewIfNeeded();
  await keepPictures(dashboard, 'people');

  const viewer = await openPage(browser);
  await viewer.goto(link);
  await viewer.getByRole('button', { name: 'Sign in' }).click();
  await viewer.locator('[data-link=live]').waitFor();
  await viewer.getByRole('link', { name: 'Settings' }).click();
  await viewer.getByRole('heading', { name: 'Account' }).waitFor();
  for (const name of ['Sites', 'People', 'API tokens', 'Audit trail'])
    assert.equal(await viewer.getByRole('heading', { name, exact: true }).count(), 0, name);
  await viewer.locator('[data-session]').first().waitFor();
  assert.equal(await viewer.locator('[data-session]').count(), 1);
  await viewer.goto(`${server.url}/admin/audit`);
  await viewer.getByRole('heading', { name: 'Page not found' }).waitFor();
  await viewer.goto(`${server.url}/admin?site=demo`);
  await viewer.locator('.site').getByText('Shop').waitFor();

  await dashboard.getByRole('link', { name: 'Open' }).click();
  await dashboard.getByRole('heading', { name: 'Audit trail' }).waitFor();
  await dashboard.locator('tr[data-what=admin-added]').getByText('bob, a viewer of shop').waitFor();
  await keepPictures(dashboard, 'audit');
  await dashboard.getByLabel('Action').selectOption('signed-in');
  await dashboard.locator('tr[data-what=link-made]').first().waitFor({ state: 'detached' });
  await dashboard.locator('tr[data-what=signed-in]').nth(1).waitFor();
  assert.equal(await dashboard.locator('tbody tr').count(), 2);
  await dashboard.getByLabel('User').fill('nobody');
  await dashboard.keyboard.press('Enter');
  await dashboard.getByRole('heading', { name: 'No matching entries' }).waitFor();
  await dashboard.getByRole('button', { name: 'Clear filters' }).click();
  await dashboard.locator('tr[data-what=site-added]').waitFor();
});

test('rights are changed and administrators removed, except the last owner, also by keyboard', async (t) => {
  const { server, dashboard } = await openDashboard(t);
  const store = await openLmdbStore(server.data);
  t.after(() => store.close());
  await store.addAdmin('bob', Date.now());
  await dashboard.goto(`${server.url}/admin/settings`);
  const bob = dashboard.locator('[data-person=bob]');
  await bob.getByRole('button', { name: 'Edit rights' }).focus();
  await dashboard.keyboard.press('Enter');
  await bob.getByRole('button', { name: 'Viewer' }).click();
  await bob.getByRole('button', { name: 'Save' }).click();
  await bob.getByText('of all sites').waitFor();
  assert.deepEqual((await store.admin('bob'))?.role, 'viewer');
  await bob.getByRole('button', { name: 'Edit rights' }).and(dashboard.locator(':focus')).waitFor();
  const own = dashboard.locator('[data-person=admin]');
  await own.getByRole('button', { name: 'Remove' }).click();
  await dashboard.getByRole('dialog').getByRole('button', { name: 'Remove' }).click();
  await dashboard.getByRole('alert').getByText('This is the last owner').waitFor();
  await bob.getByRole('button', { name: 'Remove' }).click();
  await dashboard.getByRole('dialog').getByRole('button', { name: 'Remove' }).click();
  await bob.waitFor({ state: 'detached' });
  assert.equal(await store.admin('bob'), undefined);

  const form = dashboard.locator('[data-form=token]');
  await form.getByLabel('Name of a new token').fill('reader');
  await form.getByRole('button', { name: 'Viewer' }).click();
  await form.getByRole('button', { name: 'Create token' }).click();
  await dashboard.locator('[data-token]').getByText('of all sites').waitFor();
  assert.equal((await store.tokens())[0]?.role, 'viewer');
});
