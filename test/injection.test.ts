/** Hostile texts of visitors and administrators, shown on every page of the dashboard in a real browser. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import type { Page } from 'playwright-core';
import { launch, openPage } from './support/browser.ts';
import { folderWith, signIn } from './support/dashboard.ts';
import { click, moves, type PastVisit } from './support/record.ts';
import { startServer } from './support/server.ts';
import { BinaryVisitor, JsonVisitor } from './support/visitor.ts';

const IMAGE = '"><img src=x onerror="pwned=1">';
const SCRIPT = `'></title></style></textarea><script>pwned=1</script>`;
const LINK = 'javascript:pwned=1';
const TURNED = '\u202egnp.exe\u2066\u0007\u001b[31m{{7*7}}';
const EVIL = [IMAGE, SCRIPT, LINK, TURNED, '=HYPERLINK("http://evil.example")', '<svg/onload=pwned=1>'];
const PAGES = [...EVIL.map((text) => `/${text}`), LINK, '//evil.example/x', 'data:text/html,<script>pwned=1</script>'];

function visits(): PastVisit[] {
  return PAGES.map((page, i) => {
    const since = Date.now() - 600_000 + 10_000 * i;
    const text = EVIL[i % EVIL.length] as string;
    const samples = [
      ...moves(
        since,
        [
          [10, 10],
          [200, 300],
          [400, 500],
        ],
        500,
      ),
      click(since + 1200, 400, 500, text),
    ];
    const about = {
      label: text,
      language: IMAGE,
      referrer: text,
      origin: i % 2 ? LINK : 'http://127.0.0.1',
      country: 'XX',
    };
    const size: [number, number, number, number] = [1280, 800, 1265, 2400];
    return { id: `visit${i}`, since, ...about, frames: [{ page, size, entered: true, samples }] };
  });
}

/** Nothing of what was said has become more than text. */
async function assertHarmless(dashboard: Page, where: string): Promise<void> {
  const found = await dashboard.evaluate(() => ({
    pwned: 'pwned' in globalThis,
    scripts: [...document.querySelectorAll('script')].map((one) => one.getAttribute('src')),
    strangers: document.querySelectorAll('[onerror], [onload], img[src="x"], object, embed, base, meta[http-equiv]')
      .length,
    addresses: [...document.querySelectorAll('a[href], iframe[src], img[src], form[action]')].map((one) =>
      String((one as HTMLAnchorElement).href ?? (one as HTMLImageElement).src),
    ),
    frames: [...document.querySelectorAll('iframe')].map((one) => one.getAttribute('sandbox')),
  }));
  assert.equal(found.pwned, false, where);
  assert.deepEqual(found.scripts, ['/admin/app.js'], where);
  assert.equal(found.strangers, 0, where);
  for (const address of found.addresses) assert.match(address, /^(https?:|blob:|data:image\/|$)/, where);
  for (const sandbox of found.frames) assert.doesNotMatch(sandbox ?? 'allow-scripts', /allow-scripts/, where);
}

/** Text as the dashboard shows it, somewhere. */
async function seeText(dashboard: Page, text: string): Promise<void> {
  await dashboard.waitForFunction((text) => document.body.textContent?.includes(text), text);
}

test('no text of a visitor or of a site becomes more than text on any page of the dashboard', async (t) => {
  const data = await folderWith(t, ...visits());
  const server = await startServer(t, { data, workers: 1 });
  const dashboard = await openPage(await launch(t));
  const faults: string[] = [];
  dashboard.on('pageerror', (error) => faults.push(String(error)));
  dashboard.on('console', (message) => {
    // Pages that visitors made up are not there, and answers that say so may not be framed.
    const text = message.text();
    if (/Content Security Policy/.test(text) && !text.startsWith('Framing ')) faults.push(text);
  });
  await signIn(dashboard, server);
  await dashboard.locator('[data-link=live]').waitFor();
  dashboard.on('dialog', (dialog) => assert.fail(`a dialog: ${dialog.message()}`));
  const post = (path: string, body: object) =>
    server.api(path, { method: 'POST', body: JSON.stringify(body), headers: { 'content-type': 'application/json' } });
  for (const [i, name] of EVIL.entries()) {
    // Control characters are no part of a name; that is another's test.
    const plain = name.replaceAll(/\p{C}/gu, '');
    assert.equal((await post('/v1/sites', { key: `evil${i}`, name: plain, origins: [] })).status, 201);
    assert.equal((await post('/v1/tokens', { name: plain })).status, 201);
  }
  const { headers } = await fetch(`${server.url}/admin/sign-in`);
  const policy = headers.get('content-security-policy') ?? '';
  assert.match(policy, /script-src 'self'(;|$)/);
  assert.doesNotMatch(policy, /unsafe/);

  await dashboard.goto(`${server.url}/admin?site=demo`);
  await dashboard.locator('[data-link=live]').waitFor();
  for (const [i, page] of PAGES.entries()) {
    const visitor = new BinaryVisitor(t, server.ws, { page, origin: server.url });
    await visitor.hello;
    visitor.frame({ type: 'move', time: 1, x: 5, y: 5 }, click(2, 5, 5, EVIL[i % EVIL.length]));
    const named = new JsonVisitor(t, server.ws, { page, origin: server.url });
    await named.hello;
    named.send({ id: EVIL[i % EVIL.length], x: 5, y: 5 });
  }
  for (const text of [IMAGE, SCRIPT.slice(0, 40), LINK]) await seeText(dashboard, text);
  await assertHarmless(dashboard, 'live');
  for (const page of PAGES) {
    await dashboard.goto(`${server.url}/admin?${new URLSearchParams({ site: 'demo', page })}`);
    await dashboard.locator('[data-link=live]').waitFor();
    await seeText(dashboard, page.slice(0, 20));
    await assertHarmless(dashboard, `live, ${page}`);
  }

  await dashboard.goto(`${server.url}/admin/visits?site=demo`);
  await dashboard.locator('tr[data-id=visit0]').waitFor();
  await seeText(dashboard, IMAGE);
  await assertHarmless(dashboard, 'visits');
  for (const i of PAGES.keys()) {
    await dashboard.goto(`${server.url}/admin/visits/visit${i}`);
    await seeText(dashboard, (PAGES[i] as string).slice(0, 20));
    await assertHarmless(dashboard, `replay of visit ${i}`);
  }

  await dashboard.goto(`${server.url}/admin/pages?site=demo`);
  await seeText(dashboard, IMAGE);
  await assertHarmless(dashboard, 'pages');
  const saved = dashboard.waitForEvent('download');
  await dashboard.getByRole('button', { name: 'Download CSV' }).click();
  const csv = readFileSync(await (await saved).path(), 'utf8');
  assert.match(csv, /onerror/);
  assert.ok(csv.startsWith('\uFEFF'), 'spreadsheets take it for UTF-8');
  assert.doesNotMatch(csv, /(^|,)"?[=+@-]/m);

  for (const page of PAGES) {
    await dashboard.goto(`${server.url}/admin/heatmap?${new URLSearchParams({ site: 'demo', page, kind: 'click' })}`);
    await dashboard.locator('img.heat[data-state=ready]').waitFor();
    await assertHarmless(dashboard, `heatmap, ${page}`);
  }

  await dashboard.goto(`${server.url}/admin/settings`);
  await seeText(dashboard, IMAGE);
  await assertHarmless(dashboard, 'settings');
  // What an address says is shown as little.
  for (const query of ['site', 'page', 'at', 'from', 'to', 'days', 'kind', 'device', 'q']) {
    await dashboard.goto(`${server.url}/admin/visits?${new URLSearchParams({ [query]: IMAGE })}#${IMAGE}`);
    await dashboard.locator('header').first().waitFor();
    await assertHarmless(dashboard, `?${query}`);
  }
  assert.deepEqual(faults, []);
});
