/** A picture of a busy dashboard: `npm run pictures`. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setInterval as every, setTimeout as later } from 'node:timers/promises';
import type { Browser } from 'playwright-core';
import { openPage } from './support/browser.ts';
import { keepPictures, openDashboard, seeHere } from './support/dashboard.ts';
import type { TestServer } from './support/server.ts';
import { BinaryVisitor } from './support/visitor.ts';

/** Which of the demo's pages each visitor of the picture is on; the ninth leaves. */
const PLACES = [0, 0, 1, 0, 2, 0, 0, 1, 0, 0, 2];

type View = [vw: number, vh: number, dw: number, dh: number];

/** Moves each visitor's pointer about, ten frames a second, until the signal; now and then one rests. */
async function wander(visitors: BinaryVisitor[], [width, height]: View, signal: AbortSignal): Promise<void> {
  const start = performance.now();
  try {
    for await (const _ of every(100, undefined, { signal })) {
      const now = Math.round(performance.now() - start);
      for (const [i, visitor] of visitors.entries()) {
        if (Math.sin(now / 2300 + i * 1.7) < -0.75) continue;
        const times = [0, 16, 32, 48, 64, 80].map((dt) => now + dt);
        visitor.frame(...times.map((time) => ({ type: 'move' as const, time, ...placeOf(i, time, width, height) })));
        if (i === 1 && now % 1500 < 100) visitor.frame(clickAt(now + 96, placeOf(i, now + 96, width, height)));
      }
    }
  } catch (error) {
    if (!signal.aborted) throw error;
  }
}

/** Each visitor circles about a place of its own, so that the picture is not one heap. */
function placeOf(i: number, time: number, width: number, height: number): { x: number; y: number } {
  const s = time / 1000;
  const across = 0.14 + 0.72 * ((i * 0.618) % 1) + 0.11 * Math.sin(s * (0.9 + (i % 4) * 0.2) + i * 2.1);
  const down = 0.2 + 0.6 * ((i * 0.382 + 0.1) % 1) + 0.13 * Math.sin(s * (0.7 + (i % 3) * 0.25) + i * 0.9);
  return { x: Math.round(width * across), y: Math.round(height * down) };
}

function clickAt(time: number, place: { x: number; y: number }) {
  return { type: 'click' as const, time, ...place, button: 0, ex: 0, ey: 0, selector: '' };
}

test('a picture of ten moving visitors is saved', async (t) => {
  const { server, browser, dashboard } = await openDashboard(t, 1440, 900);
  await dashboard.emulateMedia({ reducedMotion: 'no-preference' });
  const { pages, view } = await lookAround(browser, server);
  const arrive = async (i: number) => {
    const page = pages[PLACES[i] ?? 0] ?? '/';
    const visitor = new BinaryVisitor(t, server.ws, { page, size: view, origin: server.url });
    await visitor.hello;
    visitors.push(visitor);
    await seeHere(dashboard, visitors.length);
  };
  const visitors: BinaryVisitor[] = [];
  const stop = new AbortController();
  t.after(() => stop.abort());
  const wandering = wander(visitors, view, stop.signal);
  // Arrivals and graphs run by the second: only time fills them.
  for (let i = 0; i < PLACES.length; i++) await Promise.all([arrive(i), later(700)]);
  await later(4000);
  visitors[4]?.frame({ type: 'page', time: 90_000, page: pages[1] ?? '/' });
  visitors.splice(8, 1)[0]?.bye();
  await seeHere(dashboard, 10);
  await dashboard.waitForFunction(() => document.querySelectorAll('#pointers li').length === 6);
  await later(1500);
  await keepPictures(dashboard, 'dashboard');
  stop.abort();
  await wandering;
  assert.equal(await dashboard.locator('.row').count(), 10);
});

/** The demo site's pages, the first one first, and how large that is in a usual window. */
async function lookAround(browser: Browser, server: TestServer): Promise<{ pages: string[]; view: View }> {
  const page = await openPage(browser, { viewport: { width: 1280, height: 900 } });
  await page.goto(`${server.url}/`);
  const paths = await page.$$eval('a[href]', (links) =>
    links.map((link) => new URL((link as HTMLAnchorElement).href).pathname),
  );
  const view = await page.evaluate((): View => {
    const { scrollWidth, scrollHeight } = document.documentElement;
    return [innerWidth, innerHeight, scrollWidth, scrollHeight];
  });
  await page.context().close();
  return { pages: [...new Set(['/', ...paths])].filter((path) => !path.startsWith('/admin')), view };
}
