/**
 * Tabs of a Chromium that may be in the background. Playwright shows every page as visible, so these tabs are
 * controlled through the DevTools protocol.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { WebSocket } from 'ws';
import { chromiumPath } from './browser.ts';
import { until } from './exact.ts';
import { CHROMIUM_FLAGS } from './programs.ts';

interface Answer {
  id?: number;
  // biome-ignore lint/suspicious/noExplicitAny: the type of the result depends on the method.
  result?: any;
  error?: { message: string };
}

export interface TestTab {
  /** Brings the tab to the front, and the others into the background. */
  show(): Promise<void>;
  click(x: number, y: number): Promise<void>;
  evaluate(expression: string): Promise<unknown>;
}

export interface TabBrowser {
  /** Opens a tab, in front of all others or behind them. */
  open(url: string, background: boolean): Promise<TestTab>;
}

/** The connection to one tab. */
interface Window {
  windowId: number;
  sessionId: string;
}

/** Starts a Chromium with its own window and profile. */
export async function startTabs(t: TestContext): Promise<TabBrowser> {
  // Not a temporary folder of the test, which would be removed while the browser still writes to it.
  const profile = mkdtempSync(join(tmpdir(), 'fieldmouse-'));
  const args = [
    ...CHROMIUM_FLAGS,
    '--headless',
    '--remote-debugging-port=0',
    `--user-data-dir=${profile}`,
    'about:blank',
  ];
  const child = spawn(chromiumPath(), args, { stdio: ['ignore', 'ignore', 'pipe'], detached: true });
  t.after(async () => {
    // The whole group: processes of a killed browser may go on without it.
    if (child.exitCode === null && process.kill(-(child.pid as number), 'SIGKILL')) await once(child, 'exit');
    await removeFolder(profile);
  });
  const ask = await connect(t, await debuggerUrl(child.stderr));
  const windows: Window[] = [];
  const show = (front: Window) => Promise.all(windows.map((one) => setShown(ask, one, one === front)));
  return {
    async open(url, background) {
      const { targetId } = await ask('Target.createTarget', { url: 'about:blank', newWindow: true });
      const { sessionId } = await ask('Target.attachToTarget', { targetId, flatten: true });
      const { windowId } = await ask('Browser.getWindowForTarget', { targetId });
      const window = { windowId, sessionId };
      if (background) await setShown(ask, window, false);
      windows.push(window);
      if (!background) await show(window);
      await ask('Page.navigate', { url }, sessionId);
      return tabOf(ask, sessionId, () => show(window));
    },
  };
}

/** The headless shell has no tabs: a page is hidden if its window is hidden. */
async function setShown(ask: Ask, { windowId, sessionId }: Window, shown: boolean): Promise<void> {
  await ask('Browser.setWindowBounds', { windowId, bounds: { windowState: shown ? 'normal' : 'minimized' } });
  const look = { expression: 'document.hidden' };
  await until(async () => (await ask('Runtime.evaluate', look, sessionId)).result.value !== shown, 'window state');
}

/** Removes a folder to which processes of a killed browser may still write for a moment. */
async function removeFolder(folder: string): Promise<void> {
  for (let tries = 0; tries < 50; tries++)
    try {
      rmSync(folder, { recursive: true, force: true });
      return;
    } catch {
      await sleep(100);
    }
}

type Ask = (method: string, params: object, sessionId?: string) => Promise<Answer['result']>;

function tabOf(ask: Ask, sessionId: string, show: () => Promise<unknown>): TestTab {
  return {
    show: async () => void (await show()),
    async click(x, y) {
      const at = { x, y, button: 'left', clickCount: 1 };
      for (const type of ['mouseMoved', 'mousePressed', 'mouseReleased'])
        await ask('Input.dispatchMouseEvent', { type, ...at }, sessionId);
    },
    evaluate: async (expression) => (await ask('Runtime.evaluate', { expression }, sessionId)).result.value,
  };
}

/** Chromium prints this on stderr when it listens. */
async function debuggerUrl(stderr: NodeJS.ReadableStream): Promise<string> {
  let text = '';
  for await (const chunk of stderr) {
    text += String(chunk);
    const url = /ws:\/\/\S+/.exec(text)?.[0];
    if (url) {
      stderr.resume();
      return url;
    }
  }
  throw new Error(`no debugger: ${text}`);
}

async function connect(t: TestContext, url: string): Promise<Ask> {
  const socket = new WebSocket(url);
  t.after(() => socket.terminate());
  await once(socket, 'open');
  const waiting = new Map<number, (answer: Answer) => void>();
  socket.on('message', (data) => {
    const answer = JSON.parse(String(data)) as Answer;
    if (answer.id !== undefined) waiting.get(answer.id)?.(answer);
  });
  let last = 0;
  return (method, params, sessionId) =>
    new Promise((resolve, reject) => {
      const id = ++last;
      waiting.set(id, ({ result, error }) => {
        waiting.delete(id);
        if (error) reject(new Error(`${method}: ${error.message}`));
        else resolve(result);
      });
      socket.send(JSON.stringify({ id, method, params, sessionId }));
    });
}
