/** Starts real browsers. */
import { after, type TestContext } from 'node:test';
import { type Browser, type BrowserContextOptions, chromium, type Page } from 'playwright-core';
import { LIMIT_MS } from './limit.ts';
import { CHROMIUM, CHROMIUM_FLAGS, findProgram } from './programs.ts';

type Kind = keyof typeof CHROMIUM;

/** The browsers of this test file, one of each kind. Starting one takes seconds on a slow machine. */
const shared = new Map<Kind, Promise<Browser>>();

after(async () => {
  for (const browser of shared.values()) await (await browser).close();
});

/**
 * Returns a headless Chromium, shared by the tests of a file, which run one after another. Cookies and storage belong
 * to a context (`openPage`), and every context is closed after its test.
 */
export async function launch(t: TestContext, kind: Kind = 'any'): Promise<Browser> {
  if (!(await shared.get(kind))?.isConnected()) shared.set(kind, startChromium(kind));
  const browser = await (shared.get(kind) as Promise<Browser>);
  t.after(() => Promise.all(browser.contexts().map((context) => context.close())));
  return browser;
}

function startChromium(kind: Kind): Promise<Browser> {
  return chromium.launch({
    executablePath: chromiumPath(kind),
    args: CHROMIUM_FLAGS,
    // Playwright disables the back-forward cache, which visitors have.
    ignoreDefaultArgs: ['--disable-back-forward-cache'],
  });
}

/**
 * Opens a page in its own context (cookies, storage), with reduced motion: without a GPU, the endless animations of the
 * dashboard take half a CPU.
 */
export async function openPage(browser: Browser, options: BrowserContextOptions = {}): Promise<Page> {
  const context = await browser.newContext({
    viewport: { width: 1280, height: 800 },
    reducedMotion: 'reduce',
    ...options,
  });
  context.setDefaultTimeout(LIMIT_MS);
  return context.newPage();
}

/** Path of an installed Chromium. test/support/pretest.ts installs one. */
export function chromiumPath(kind: Kind = 'any'): string {
  const path = findProgram(CHROMIUM[kind]);
  if (path === undefined) throw new Error('Chromium is not installed: npm run pretest');
  return path;
}
