/** The dashboard in a real browser, signed in, and helpers that read its stage. */
import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { Page } from 'playwright-core';
import { openLmdbStore } from '../../src/store/lmdb/lmdb-store.ts';
import { launch, openPage } from './browser.ts';
import type { Owner } from './owner.ts';
import { type PastVisit, record } from './record.ts';
import { type ServerOptions, startServer, type TestServer, temporaryFolder } from './server.ts';

const ARTIFACTS = fileURLToPath(new URL('../../artifacts/', import.meta.url));

/** The first link of a server works once, so all tests on a server share one session. */
const sessions = new WeakMap<TestServer, Promise<string>>();

/** Opens the dashboard with a session from the server's first link, without the sign-in page. */
export async function signIn(page: Page, server: TestServer, path = '/admin'): Promise<void> {
  if (!sessions.has(server)) sessions.set(server, useLink(server));
  const value = (await sessions.get(server)) as string;
  await page.context().addCookies([{ name: 'fieldmouse', value, url: server.url }]);
  await page.goto(server.url + path);
}

async function useLink({ url, link = '' }: TestServer): Promise<string> {
  const answer = await fetch(`${url}/v1/session/link`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ token: link.slice(link.lastIndexOf('/') + 1) }),
  });
  const [cookie = ''] = answer.headers.getSetCookie();
  return /^fieldmouse=([^;]+)/.exec(cookie)?.[1] as string;
}

export interface DashboardOptions extends ServerOptions {
  /** A server shared by several tests; by default a new one is started. */
  server?: TestServer;
  /** Key of the site that is shown; by default the demo. */
  site?: string;
}

/**
 * Starts a server and a browser, and opens a signed-in dashboard with a live stream. The test fails if one of its
 * scripts fails.
 */
export async function openDashboard(
  t: TestContext,
  width = 1280,
  height = 800,
  { server: shared, site, ...options }: DashboardOptions = {},
) {
  const server = shared ?? (await startServer(t, { workers: 1, ...options }));
  const browser = await launch(t);
  const dashboard = await openPage(browser, { viewport: { width, height } });
  const faults: string[] = [];
  dashboard.on('pageerror', (error) => faults.push(String(error)));
  dashboard.on('console', (message) => {
    if (/Content Security Policy/.test(message.text())) faults.push(message.text());
  });
  t.after(() => assert.deepEqual(faults, []));
  await signIn(dashboard, server, site === undefined ? '/admin' : `/admin?site=${site}`);
  await dashboard.locator('[data-link=live]').waitFor();
  return { server, browser, dashboard };
}

/** Makes a data folder with finished visits, and with their sites, and returns its path. */
export async function folderWith(t: Owner, ...visits: PastVisit[]): Promise<string> {
  const data = temporaryFolder(t);
  const store = await openLmdbStore(data);
  for (const key of new Set(visits.map(({ site = 'demo' }) => site)))
    if (key !== 'demo') await store.addSite({ key, name: key, origins: [], created: Date.now(), firstSeen: null });
  await record(store.archive, ...visits);
  await store.close();
  return data;
}

/** Waits until the dashboard shows this number of visitors. */
export async function seeHere(dashboard: Page, visitors: number): Promise<void> {
  await dashboard.locator(`[data-here="${visitors}"]`).waitFor();
}

/** Waits until a pointer is drawn at a position, page pixels. */
export async function seePointer(dashboard: Page, x: number, y: number): Promise<void> {
  await dashboard.locator(`#pointers li[data-x="${x}"][data-y="${y}"]`).waitFor({ state: 'attached' });
}

/** Waits until the stage's canvas is painted, or empty, right beside the tip of a pointer at a position on the page. */
export async function seeInk(dashboard: Page, x: number, y: number, painted: boolean): Promise<void> {
  const look = ([x, y, painted]: readonly [number, number, boolean]) => {
    const canvas = document.querySelector('.stage-box canvas') as HTMLCanvasElement;
    const surface = document.querySelector('.surface') as HTMLElement;
    const scroller = surface.parentElement as HTMLElement;
    const scale = Number(surface.dataset.scale);
    const dense = canvas.width / canvas.clientWidth;
    const left = (surface.offsetLeft - scroller.scrollLeft + x * scale + 4) * dense;
    const top = (surface.offsetTop - scroller.scrollTop + y * scale + 6) * dense;
    const pixel = canvas.getContext('2d')?.getImageData(Math.round(left), Math.round(top), 1, 1);
    return (pixel?.data[3] ?? 0) > 200 === painted;
  };
  await dashboard.waitForFunction(look, [x, y, painted] as const);
}

/** A test whose only result is pictures. */
export const pictureTest = (title: string, run: (t: TestContext) => Promise<void>) =>
  process.env.FIELDMOUSE_PICTURES ? test(title, run) : undefined;

/** Saves screenshots in light and dark mode for `npm run pictures`. One takes seconds. */
export async function keepPictures(dashboard: Page, name: string): Promise<void> {
  if (!process.env.FIELDMOUSE_PICTURES) return;
  mkdirSync(ARTIFACTS, { recursive: true });
  await dashboard.screenshot({ path: `${ARTIFACTS}${name}.png` });
  await dashboard.emulateMedia({ colorScheme: 'dark' });
  await dashboard.screenshot({ path: `${ARTIFACTS}${name}-dark.png` });
  await dashboard.emulateMedia({ colorScheme: 'light' });
}
