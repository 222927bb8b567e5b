/** The names of visitors, countries and paths in the dashboard's lists. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { allCountries, cutMiddle, readablePath } from '../src/dashboard/ui/text.ts';
import { Names } from '../src/dashboard/ui/visitor-badge.ts';
import { openLmdbStore } from '../src/store/lmdb/lmdb-store.ts';
import { folderWith, keepPictures, openDashboard } from './support/dashboard.ts';
import { until } from './support/exact.ts';
import { FILE } from './support/owner.ts';
import { moves, type PastVisit, record } from './support/record.ts';
import { startServer } from './support/server.ts';

const LONG = `/caf%C3%A9/${'a-very-long-part/'.repeat(6)}the-end-of-it`;

/** A visit of 20 s. */
function visit(id: string, page = '/', label = ''): PastVisit {
  const since = Date.now() - 10 * 60_000;
  const line = Array.from({ length: 200 }, (_, i): [number, number] => [100 + i, 200]);
  return { id, since, label, frames: [{ page, entered: true, samples: moves(since, line, 100) }] };
}

const [BOB, OTHER_BOB] = [visit('b1', '/', 'Bob'), visit('b2', '/', 'Bob')];
OTHER_BOB.since += 60_000;

const server = await startServer(FILE, {
  workers: 1,
  data: await folderWith(
    FILE,
    visit('anna', LONG),
    ...Array.from({ length: 40 }, (_, i) => ({ ...visit(`v${i}`, '/', 'Kiosk'), site: 'kiosks' })),
    ...[BOB, OTHER_BOB].map((one) => ({ ...one, site: 'namesakes' })),
  ),
});

test('visitors in one list have different names, whatever labels they send', async (t) => {
  fc.assert(
    fc.property(fc.uniqueArray(fc.string(), { minLength: 1, maxLength: 300 }), fc.string(), (ids, label) => {
      const names = new Names();
      const given = ids.map((id) => names.badgeOf(id, label).name);
      assert.equal(new Set(given).size, ids.length);
      assert.deepEqual(
        ids.map((id) => names.badgeOf(id, label).name),
        given,
        'a name stays',
      );
    }),
    { seed: 7, numRuns: 50 },
  );
  const many = new Names();
  assert.equal(new Set(Array.from({ length: 20_000 }, (_, i) => many.badgeOf(`v${i}`, '').name)).size, 20_000);

  const { dashboard } = await openDashboard(t, 1280, 800, { server, site: 'kiosks' });
  await dashboard.getByRole('link', { name: 'Visits' }).click();
  await dashboard.locator('tr[data-id]').nth(39).waitFor();
  const names = await dashboard.locator('.visit-link .name').allInnerTexts();
  assert.equal(new Set(names).size, 40);
  assert.ok(names.every((name) => name.startsWith('Kiosk')));
});

test('the question before deleting and the replay use the name from the list, which stays when another visitor arrives', async (t) => {
  const { dashboard } = await openDashboard(t, 1280, 800, { server, site: 'namesakes' });
  await dashboard.getByRole('link', { name: 'Visits' }).click();
  const nameOf = (id: string) => dashboard.locator(`tr[data-id="${id}"] .name`).innerText();
  const [plain, numbered] = [await nameOf('b1'), await nameOf('b2')];
  assert.equal(plain, 'Bob');
  assert.match(numbered, /^Bob \d+$/);
  await dashboard.locator('tr[data-id=b2]').getByTitle('Delete').click();
  await dashboard.getByText(`Delete the visit of ${numbered}?`).waitFor();
  await dashboard.getByText(/^It started on .*\d:\d\d/).waitFor();
  await dashboard.keyboard.press('Escape');

  const store = await openLmdbStore(server.data);
  t.after(() => store.close());
  const third = { ...visit('b3', '/', 'Bob'), site: 'namesakes' };
  third.since += 120_000;
  await record(store.archive, third);
  // The dashboard asks once, and a busy store may list a new visit some seconds later.
  const list = async () => (await server.api('/v1/visits?site=namesakes')).text();
  await until(async () => (await list()).includes('"b3"'), 'new visit in the list');
  for (const again of [() => dashboard.getByRole('link', { name: 'Live' }).click(), () => dashboard.reload()]) {
    await again();
    await dashboard.getByRole('link', { name: 'Visits' }).click();
    await dashboard.locator('tr[data-id=b3]').waitFor();
    assert.deepEqual([await nameOf('b1'), await nameOf('b2')], [plain, numbered]);
    assert.ok(![plain, numbered].includes(await nameOf('b3')));
  }
  await dashboard.locator('tr[data-id=b2] .visit-link').click();
  const heading = dashboard.getByRole('heading', { level: 1 });
  await heading.getByText(`Replay of ${numbered}, `).waitFor({ state: 'attached' });
  assert.equal(await dashboard.locator('.about .name').innerText(), numbered);
  await dashboard.locator('.about').getByRole('button', { name: 'Delete' }).click();
  await dashboard.getByText(`Delete the visit of ${numbered}?`).waitFor();
});

test('the country filter shows the country in the address, whatever it is', async (t) => {
  const { dashboard } = await openDashboard(t, 1280, 800, { server });
  const select = dashboard.getByLabel('Country');
  for (const [code, name] of [
    ['XK', 'Kosovo'],
    ['xk', 'Kosovo'],
    ['DE', 'Germany'],
    ['QQ', 'QQ'],
    ['1', 'Any country'],
  ] as const) {
    await dashboard.goto(`${server.url}/admin/visits?site=demo&country=${code}`);
    await select.waitFor();
    assert.equal(await select.evaluate((one) => (one as HTMLSelectElement).selectedOptions[0]?.text), name, code);
  }
});

test('paths are shown decoded, and shortened in the middle', async (t) => {
  for (const [path, readable] of [
    ['/caf%C3%A9', '/café'],
    ['/%E6%97%A5%E6%9C%AC/', '/日本/'],
    ['/a%20b', '/a b'],
    ['/a%2Fb%3Fc', '/a%2Fb%3Fc'],
    ['/%E2%80%AEcod.exe', '/%E2%80%AEcod.exe'],
    ['/%0A%00', '/%0A%00'],
    ['/%C3%28/%zz/100%', '/%C3%28/%zz/100%'],
    ['/%D9%85%DB%8C%E2%80%8C%D8%B1', '/می\u200cر'],
  ])
    assert.equal(readablePath(path as string), readable, path);
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), fc.integer({ min: 3, max: 80 }), (text, most) => {
      const encoded = readablePath(`/${text}`);
      assert.ok(!/%61/.test(readablePath('/%61')) && [...cutMiddle(encoded, most)].length <= Math.max(most, 1));
    }),
    { seed: 7 },
  );
  const { dashboard } = await openDashboard(t, 1280, 800, { server });
  await dashboard.goto(`${server.url}/admin/pages?site=demo`);
  const path = dashboard.locator('td .path');
  await path.waitFor();
  assert.equal(await path.getAttribute('title'), readablePath(LONG));
  await dashboard.setViewportSize({ width: 700, height: 800 });
  const [head, tail] = [path.locator('span').first(), path.locator('span').last()];
  await dashboard.waitForFunction(() => {
    const head = document.querySelector('td .path-head');
    return head !== null && head.scrollWidth > head.clientWidth;
  });
  assert.ok((await head.innerText()).startsWith('/café/'));
  assert.equal(await tail.innerText(), [...readablePath(LONG)].slice(-20).join(''));
  assert.ok(await tail.evaluate((span) => span.scrollWidth <= span.clientWidth || span.clientWidth === 0));
  await keepPictures(dashboard, 'long-path');
});

test('every country can be chosen by its name, and by no other', () => {
  const all = allCountries();
  assert.ok(all.length > 240);
  assert.deepEqual(
    all.find(([code]) => code === 'XK'),
    ['XK', 'Kosovo'],
  );
  assert.equal(new Set(all.map(([, name]) => name)).size, all.length);
  assert.ok(all.every(([code, name]) => /^[A-Z]{2}$/.test(code) && name !== code));
  assert.deepEqual(
    all.filter(([, name]) => name === 'Germany' || name === 'Georgia').map(([code]) => code),
    ['GE', 'DE'],
  );
});
