/** Starts real browsers. */
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';
import { after, type TestContext } from 'node:test';
import { type Browser, type BrowserContextOptions, chromium, type Page } from 'playwright-core';
import { LIMIT_MS } from './limit.ts';

export const FLAGS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

/** Programs by what they can do: the headless shell starts in half the time, but has no back-forward cache. */
const PROGRAMS = {
  any: ['chromium-headless-shell', 'chromium', 'chromium-browser', 'google-chrome'],
  full: ['chromium', 'chromium-browser', 'google-chrome'],
};

/** The browser of this test file. Starting one takes seconds on a slow machine. */
let shared: Promise<Browser> | undefined;

after(async () => (await shared)?.close());

/**
 * A headless Chromium, shared by the tests of a file, which run one after the other. Cookies and storage belong to a context
 * (`openPage`), and every context is closed after the test. All tests of a file ask for the same kind.
 */
export async function launch(t: TestContext, kind: keyof typeof PROGRAMS = 'any'): Promise<Browser> {
  if (!(await shared)?.isConnected()) shared = startChromium(kind);
  const browser = await (shared as Promise<Browser>);
  t.after(() => Promise.all(browser.contexts().map((context) => context.close())));
  return browser;
}

function startChromium(kind: keyof typeof PROGRAMS): Promise<Browser> {
  return chromium.launch({
    executablePath: chromiumPath(kind),
    args: FLAGS,
    // Playwright turns the back-forward cache off; visitors have it.
    ignoreDefaultArgs: ['--disable-back-forward-cache'],
  });
}

/** A page in a context (cookies, storage) of its own. Without a GPU, the dashboard's endless animations take half a CPU. */
export async function openPage(browser: Browser, options: BrowserContextOptions = {}): Promise<Page> {
  const context = await browser.newContext({
    viewport: { width: 1280, height: 800 },
    reducedMotion: 'reduce',
    ...options,
  });
  context.setDefaultTimeout(LIMIT_MS);
  return context.newPage();
}

/** test/support/pretest.mjs sees to it that there is one. */
export function chromiumPath(kind: keyof typeof PROGRAMS = 'any'): string {
  for (const name of PROGRAMS[kind])
    for (const folder of (process.env.PATH ?? '').split(delimiter))
      if (isProgram(join(folder, name))) return join(folder, name);
  throw new Error('no Chromium on the PATH: npm run pretest');
}

function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
