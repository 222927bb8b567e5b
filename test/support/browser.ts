/** Starts real browsers. */
import { after, type TestContext } from 'node:test';
import { type Browser, type BrowserContextOptions, chromium, type Page } from 'playwright-core';
import { LIMIT_MS } from './limit.ts';
import { CHROMIUM, findProgram } from './programs.ts';

export const FLAGS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

/** The browser of this test file. Starting one takes seconds on a slow machine. */
let shared: Promise<Browser> | undefined;

after(async () => (await shared)?.close());

/**
 * Returns a headless Chromium, shared by the tests of a file, which run one after another. Cookies and storage belong
 * to a context (`openPage`), and every context is closed after its test. All tests of a file must use the same kind.
 */
export async function launch(t: TestContext, kind: keyof typeof CHROMIUM = 'any'): Promise<Browser> {
  if (!(await shared)?.isConnected()) shared = startChromium(kind);
  const browser = await (shared as Promise<Browser>);
  t.after(() => Promise.all(browser.contexts().map((context) => context.close())));
  return browser;
}

function startChromium(kind: keyof typeof CHROMIUM): Promise<Browser> {
  return chromium.launch({
    executablePath: chromiumPath(kind),
    args: FLAGS,
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
export function chromiumPath(kind: keyof typeof CHROMIUM = 'any'): string {
  const path = findProgram(CHROMIUM[kind]);
  if (path === undefined) throw new Error('Chromium is not installed: npm run pretest');
  return path;
}
