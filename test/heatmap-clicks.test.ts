/** Clicks of real browsers on a page whose layout depends on the width of the window, shown on the heatmap. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { launch, openPage } from './support/browser.ts';
import { signIn } from './support/dashboard.ts';
import { until } from './support/exact.ts';
import { startSite } from './support/site.ts';

const WIDTHS = [1100, 1440, 1680, 1900];
const PAGE = `<style>main{text-align:center}button{margin-top:300px;width:160px;height:48px}nav{display:flex;justify-content:center;gap:40px}
  nav a{width:80px;height:24px}p{margin-top:900px}</style>
  <main><nav><a href="#a">One</a><a href="#b">Two</a><a href="#c">Three</a></nav><button>Buy</button></main><p></p>`;

interface Heat {
  cells: number[];
  total: number;
  extent: [number, number];
  elements: { selector: string; count: number }[];
}

const NOTHING: Heat = { cells: [], total: 0, extent: [0, 0], elements: [] };

/** Connected areas of cells that have clicks, with their bounds in page pixels. */
function spotsOf({ cells }: Heat): { left: number; right: number; top: number; bottom: number; count: number }[] {
  const left = new Map<string, number>();
  for (let i = 0; i < cells.length; i += 3) left.set(`${cells[i]} ${cells[i + 1]}`, cells[i + 2] as number);
  const spots = [];
  for (const first of [...left.keys()]) {
    if (!left.has(first)) continue;
    const spot = { left: Infinity, right: 0, top: Infinity, bottom: 0, count: 0 };
    const next = [first];
    for (let key = next.pop(); key !== undefined; key = next.pop()) {
      const count = left.get(key);
      if (count === undefined) continue;
      left.delete(key);
      const [column, row] = key.split(' ').map(Number) as [number, number];
      spot.count += count;
      spot.left = Math.min(spot.left, column * 16);
      spot.right = Math.max(spot.right, column * 16 + 16);
      spot.top = Math.min(spot.top, row * 16);
      spot.bottom = Math.max(spot.bottom, row * 16 + 16);
      // What is nearer than that is one spot on the picture.
      for (let x = -3; x <= 3; x++) for (let y = -3; y <= 3; y++) next.push(`${column + x} ${row + y}`);
    }
    spots.push(spot);
  }
  return spots;
}

test('clicks on a button in windows of four widths are one spot, on the button', async (t) => {
  const { url, server, site, page } = await startSite(t, { '/': PAGE });
  const boxes = new Map<number, { x: number; y: number; width: number; height: number }>();
  let clicks = 0;
  let shown = 0;
  const click = async (name: string, across: number) => {
    const box = await page.getByText(name).boundingBox();
    assert.ok(box);
    await page.mouse.click(box.x + across * box.width, box.y + box.height / 2);
    clicks += 1;
    return box;
  };
  for (const width of WIDTHS) {
    await page.setViewportSize({ width, height: 800 });
    await page.goto(url);
    for (const across of width === 1440 ? [0.1, 0.3, 0.5, 0.7, 0.9] : [0.2, 0.5, 0.8])
      boxes.set(width, await click('Buy', across));
    if (width === 1440) shown = await page.evaluate(() => document.documentElement.clientWidth);
    for (const name of ['One', 'Two', 'Three']) await click(name, 0.5);
  }
  const address = `/v1/heatmap?site=${site}&page=%2F&kind=click&width=desktop`;
  let heat = NOTHING;
  await until(async () => {
    heat = (await (await server.api(address)).json()) as Heat;
    return heat.total === clicks;
  }, `${clicks} clicks`);
  assert.deepEqual(
    heat.elements.map(({ selector, count }) => [selector, count]),
    [
      ['button', 14],
      ['a', 12],
    ],
  );
  const spots = spotsOf(heat).sort((a, b) => a.top - b.top || a.left - b.left);
  assert.deepEqual(
    spots.map(({ count }) => count),
    [4, 4, 4, 14],
    'a spot for each link, and one for the button',
  );
  const [button, box] = [spots[3] as (typeof spots)[0], boxes.get(1440) as { x: number; y: number; width: number }];
  assert.ok(button.left >= box.x - 16 && button.right <= box.x + box.width + 16, JSON.stringify([button, box]));
  assert.ok(button.top >= box.y - 16 && button.bottom <= box.y + 48 + 16, JSON.stringify([button, box]));
  assert.equal(Math.floor(shown / 16) * 16 + 16, heat.extent[0]);

  // The page is shown in that width: the spot is on the button behind it.
  const dashboard = await openPage(await launch(t), { viewport: { width: 1500, height: 900 } });
  await signIn(dashboard, server);
  await dashboard.goto(`${server.url}/admin/heatmap?site=${site}&page=%2F&kind=click&width=desktop`);
  await dashboard.locator('[data-ready=true] img.heat[data-state=ready]').waitFor();
  if (process.env.FM_PICTURE) await dashboard.screenshot({ path: process.env.FM_PICTURE });
});
