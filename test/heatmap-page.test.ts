/** The dashboard's heatmaps in a real browser: the image over the page, and the numbers under the pointer. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Page } from 'playwright-core';
import { folderWith, keepPictures, openDashboard, pictureTest } from './support/dashboard.ts';
import { freeAddress } from './support/free-port.ts';
import { FILE } from './support/owner.ts';
import { click, type PastVisit } from './support/record.ts';
import { startServer } from './support/server.ts';

const MINUTE = 60_000;
const EVIL = '<script>alert(1)</script>';
const DESKTOP: [number, number, number, number] = [1280, 800, 1265, 2400];

/** A visit whose pointer rests at some places, clicks there, and scrolls. */
function visit(
  id: string,
  places: [x: number, y: number][],
  scroll: number,
  change: Partial<PastVisit> = {},
): PastVisit {
  const since = Date.now() - 10 * MINUTE;
  const samples = places.flatMap(([x, y], i) => [
    ...Array.from({ length: 10 }, (_, k) => ({ type: 'move' as const, time: since + i * 1000 + k * 20, x, y })),
    click(since + i * 1000 + 300, x, y, i === 0 ? '#to-seeds' : EVIL),
  ]);
  const end = since + places.length * 1000;
  const frames = [
    {
      page: '/',
      entered: true,
      size: DESKTOP,
      samples: [...samples, { type: 'scroll' as const, time: end, y: scroll }],
    },
  ];
  return { id, since, origin: '', frames, ...change };
}

/** Opacity of the heatmap's picture at a place of the page, 0 to 255. */
async function inkAt(dashboard: Page, x: number, y: number): Promise<number> {
  return dashboard.evaluate(
    ([x, y]) => {
      const image = document.querySelector('img.heat') as HTMLImageElement;
      const surface = document.querySelector('.surface') as HTMLElement;
      const scale = Number(surface.dataset.scale);
      const canvas = document.createElement('canvas');
      canvas.width = image.naturalWidth;
      canvas.height = image.naturalHeight;
      const context = canvas.getContext('2d') as CanvasRenderingContext2D;
      context.drawImage(image, 0, 0);
      const dense = image.naturalWidth / (image.clientWidth / scale);
      return context.getImageData(Math.round(x * dense), Math.round(y * dense), 1, 1).data[3] as number;
    },
    [x, y] as const,
  );
}

async function ready(dashboard: Page): Promise<void> {
  await dashboard.locator('[data-ready=true] img.heat[data-state=ready]').waitFor();
}

/** Points at a place of the page. */
async function pointAt(dashboard: Page, x: number, y: number): Promise<void> {
  const scale = Number(await dashboard.locator('.surface').getAttribute('data-scale'));
  await dashboard.locator('.surface').hover({ position: { x: x * scale, y: y * scale } });
}

/** The demo has one visit. */
const server = await startServer(FILE, {
  workers: 1,
  data: await folderWith(
    FILE,
    visit('anna', [[300, 200]], 0),
    visit(
      'bert',
      [
        [300, 200],
        [900, 500],
      ],
      0,
      { site: 'three-visits' },
    ),
    visit('carl', [[300, 200]], 800, { site: 'three-visits' }),
    visit('dora', [[300, 200]], 1600, { site: 'three-visits' }),
    visit('emil', [[300, 200]], 0, { site: 'shop', origin: 'https://shop.example' }),
  ),
});

test("a heatmap lies over its page at the visitors' positions, and shows the numbers under the pointer", async (t) => {
  const { dashboard } = await openDashboard(t, 1280, 800, { server, site: 'three-visits' });
  await dashboard.getByRole('link', { name: 'Heatmap' }).click();
  await ready(dashboard);
  assert.equal(await dashboard.getByLabel('Window size').inputValue(), 'desktop', 'as its last visitor');
  assert.ok((await inkAt(dashboard, 304, 200)) > 150);
  assert.equal(await inkAt(dashboard, 600, 900), 0);
  await pointAt(dashboard, 300, 200);
  await dashboard.locator('.probe-tip[data-count="30"]').waitFor();
  await pointAt(dashboard, 600, 350);
  await dashboard.locator('.probe-tip[data-count="0"]').waitFor();

  await dashboard.getByRole('button', { name: 'Clicks' }).click();
  await ready(dashboard);
  await dashboard.locator('.figures[data-total="4"][data-views="3"]').waitFor();
  await pointAt(dashboard, 300, 200);
  await dashboard.locator('.probe-tip[data-count="3"]').waitFor();
  assert.deepEqual(await dashboard.locator('.element code').allInnerTexts(), ['#to-seeds', EVIL]);

  await dashboard.getByRole('button', { name: 'Scroll depth' }).click();
  await ready(dashboard);
  // Windows of 800 pixels, at 0, 800 and 1,600. Lines at the same depth are one, with one label.
  const folds = await dashboard
    .locator('.fold')
    .evaluateAll((lines) => lines.map((line) => [line.getAttribute('data-shares'), line.textContent]));
  assert.deepEqual(folds, [
    ['1 0.75', 'Everybody saw the page down to here: 800 pixels'],
    ['0.5', '50 % saw the page down to here: 1600 pixels'],
    ['0.25', '25 % saw the page down to here: 2400 pixels'],
  ]);
  const tops = await dashboard
    .locator('.fold')
    .evaluateAll((lines) => lines.map((line) => (line as HTMLElement).offsetTop));
  assert.deepEqual(
    tops,
    [...tops].sort((a, b) => a - b),
  );
  await pointAt(dashboard, 300, 400);
  await dashboard.locator('.probe-tip[data-count="100"]').waitFor();
  assert.equal(
    await dashboard.locator('.depths').innerText(),
    'seen by everybody down to 800 pixels, by 50 % down to 1,600 pixels, by 25 % down to 2,400 pixels',
  );
  assert.match(dashboard.url(), /kind=scroll/);
  await dashboard.reload();
  await ready(dashboard);
  assert.equal(await dashboard.locator('.fold').count(), 3);
});

test('an image that loads at once appears in a browser that paints late', async (t) => {
  const { dashboard } = await openDashboard(t, 1280, 800, { server });
  await dashboard.getByRole('link', { name: 'Heatmap' }).click();
  await ready(dashboard);
  await dashboard.addInitScript(() => {
    const { setTimeout, requestAnimationFrame } = window;
    window.requestAnimationFrame = (draw) =>
      requestAnimationFrame(() => setTimeout(() => draw(performance.now()), 500));
    window.setTimeout = ((work: () => void, wait = 0) => setTimeout(work, wait + 500)) as typeof window.setTimeout;
  });
  await dashboard.reload();
  await ready(dashboard);
});

test('a page without recordings says so and offers a link, and a failed request can be retried', async (t) => {
  const { dashboard } = await openDashboard(t, 1280, 800, { server });
  await dashboard.getByRole('link', { name: 'Heatmap' }).click();
  await ready(dashboard);
  await dashboard.getByLabel('Window size').selectOption('phone');
  await dashboard.getByText('No moves in phone windows in this period').waitFor();
  await dashboard.getByRole('button', { name: 'Show all sizes' }).click();
  await ready(dashboard);

  await dashboard.route('**/v1/heatmap?*', (route) => route.abort());
  await dashboard.getByRole('button', { name: 'Clicks' }).click();
  await dashboard.getByRole('alert').getByText('The server is not responding').waitFor();
  await dashboard.unroute('**/v1/heatmap?*');
  await dashboard.route('**/v1/heatmap.png?*', (route) => route.abort());
  await dashboard.getByRole('button', { name: 'Retry' }).click();
  await dashboard.getByText('The heatmap could not be loaded.').waitFor();
  await dashboard.unroute('**/v1/heatmap.png?*');
  await dashboard.getByRole('button', { name: 'Retry' }).click();
  await ready(dashboard);
});

test('a site without visits has no heatmap, and the page behind a heatmap can be hidden', async (t) => {
  const { dashboard } = await openDashboard(t, 1280, 800, { server, site: 'shop' });
  await dashboard.getByRole('link', { name: 'Heatmap' }).click();
  await ready(dashboard);
  assert.equal(await dashboard.locator('.preview').count(), 0, 'another site is not asked without being told to');
  assert.equal(await dashboard.getByLabel('Show the page').isChecked(), false);

  await dashboard.goto(`${server.url}/admin/heatmap?site=${await server.newSite()}`);
  await dashboard.getByText('No moves in this period').waitFor();
});

pictureTest('a picture of a heatmap of the demo is saved', async (t) => {
  const listen = await freeAddress();
  const url = listen.replace('tcp:', 'http:');
  const random = randomOf(7);
  const places = () =>
    Array.from({ length: 12 }, (): [number, number] => {
      const [x, y, spread] = SPOTS[Math.floor(random() * SPOTS.length)] as (typeof SPOTS)[number];
      const near = () => (random() + random() + random() - 1.5) * spread;
      return [Math.max(0, Math.round(x + near())), Math.max(0, Math.round(y + near()))];
    });
  const folder = await folderWith(
    t,
    ...Array.from({ length: 60 }, (_, i) => visit(`v${i}`, places(), Math.round(random() * 1600), { origin: url })),
  );
  const { dashboard } = await openDashboard(t, 1440, 900, { data: folder, listen });
  await dashboard.getByRole('link', { name: 'Heatmap' }).click();
  await ready(dashboard);
  await dashboard.locator('iframe.preview').waitFor();
  await dashboard.frameLocator('iframe.preview').getByText('Let a corner').waitFor();
  await pointAt(dashboard, 560, 300);
  await keepPictures(dashboard, 'heatmap');
  await dashboard.getByRole('button', { name: 'Clicks' }).click();
  await ready(dashboard);
  await keepPictures(dashboard, 'heatmap-clicks');
  await dashboard.getByRole('button', { name: 'Scroll depth' }).click();
  await ready(dashboard);
  await dashboard.frameLocator('iframe.preview').getByText('Let a corner').waitFor();
  await keepPictures(dashboard, 'heatmap-scroll-top');
  await dashboard.locator('.scroller').evaluate((scroller) => scroller.scrollTo(0, 700));
  await keepPictures(dashboard, 'heatmap-scroll');
});

/** Where people look on the demo: buttons, the headline, cards. */
const SPOTS: [x: number, y: number, spread: number][] = [
  [110, 510, 70],
  [820, 40, 90],
  [460, 280, 260],
  [640, 420, 160],
  [240, 1300, 150],
  [640, 1300, 150],
];

/** Park and Miller's generator: the same picture each time. */
function randomOf(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state * 16_807) % 2_147_483_647;
    return state / 2_147_483_647;
  };
}
