/**
 * Is the dashboard smooth? 200 visitors move at once on the page shown on the stage, while Chromium, without a GPU,
 * traces the dashboard. Server, visitors and browser share the machine.
 */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { type Browser, chromium, type Page } from 'playwright-core';
import { CHROMIUM_FLAGS } from '../test/support/programs.ts';
import type { Length } from './engine.ts';
import type { Table } from './figures.ts';
import type { Wandering } from './load/wanderers.ts';
import { start, TOKEN } from './systems.ts';

/** Chromium's own limit for a task that people notice (W3C Long Tasks). Milliseconds. */
const LONG_MS = 50;
const WARM_UP_MS = 5000;
export const CHROMIUM = process.env.CHROMIUM ?? '/usr/bin/chromium';

const CATEGORIES = ['toplevel', 'devtools.timeline', 'disabled-by-default-devtools.timeline.frame'];

/** One event of a trace (Trace Event Format); times in µs. */
interface TraceEvent {
  name: string;
  ph: string;
  pid: number;
  tid: number;
  ts: number;
  dur?: number;
  /** CPU time of the thread. */
  tdur?: number;
  args?: { name?: string };
}

const VISITORS = 200;
/** Dashboard windows, CSS pixels. */
const WINDOWS: [width: number, height: number][] = [
  [1280, 800],
  [1920, 1080],
];

export async function smoothness({ seconds }: Length): Promise<Table> {
  const columns: Figures[] = [];
  for (const [width, height] of WINDOWS) columns.push(await inWindow(width, height, seconds));
  const names = Object.keys(columns[0] as Figures);
  const over = columns.map((column) => Number(column['frames over 50 ms']));
  return {
    title: 'Smoothness of the dashboard',
    text: `${VISITORS} visitors move at the same time, at 60 Hz, on the page on stage, in Chromium without a GPU.`,
    head: ['window', ...WINDOWS.map(([width, height]) => `${width} × ${height}`)],
    rows: names.map((name) => [name, ...columns.map((column) => column[name] ?? '')]),
    targets: [{ what: 'frames over 50 ms', wanted: '0', got: over.join(', '), met: over.every((one) => one === 0) }],
  };
}

type Figures = Record<string, string>;

async function inWindow(width: number, height: number, seconds: number): Promise<Figures> {
  const visitors = VISITORS;
  const system = await start('fieldmouse', ['--workers', '2']);
  const browser = await chromium.launch({ executablePath: CHROMIUM, args: CHROMIUM_FLAGS });
  const load: Wandering = { port: system.port, visitors, seed: 1 };
  const child = fork(fileURLToPath(new URL('./load/wanderers.ts', import.meta.url)), [JSON.stringify(load)]);
  try {
    await once(child, 'message');
    const page = await openDashboard(browser, system.port, width, height);
    await page.locator(`[data-here="${visitors}"]`).waitFor();
    await page.waitForTimeout(WARM_UP_MS);
    const events = await trace(browser, page, seconds);
    const frames = drawnFrames(events);
    const tasks = mainThreadTasks(events);
    return {
      'pointers on stage': String(await page.locator('#pointers li').count()),
      'samples/s on screen': (await page.locator('.hour-head .muted').textContent()) ?? '',
      'frames/s': (frames.length / seconds).toFixed(1),
      'frame p50 / p99 / longest, ms': [0.5, 0.99, 1].map((q) => quantile(frames, q).toFixed(1)).join(' / '),
      'frames over 50 ms': String(frames.filter((ms) => ms > LONG_MS).length),
      'main thread: longest task, ms': quantile(tasks.wall, 1).toFixed(1),
      'main thread: tasks over 50 ms': String(tasks.wall.filter((ms) => ms > LONG_MS).length),
      'main thread: most expensive task, CPU ms': quantile(tasks.cpu, 1).toFixed(1),
      'main thread: CPU, %': (tasks.cpu.reduce((sum, ms) => sum + ms, 0) / (10 * seconds)).toFixed(0),
    };
  } finally {
    child.kill();
    await browser.close();
    await system.stop();
  }
}

async function openDashboard(browser: Browser, port: number, width: number, height: number): Promise<Page> {
  const context = await browser.newContext({
    viewport: { width, height },
    extraHTTPHeaders: { authorization: `Bearer ${TOKEN}` },
  });
  const page = await context.newPage();
  await page.goto(`http://127.0.0.1:${port}/admin`);
  await page.locator('[data-link=live]').waitFor();
  return page;
}

/** Returns the events of the dashboard's process. The page in the preview has its own process, and no scripts. */
async function trace(browser: Browser, page: Page, seconds: number): Promise<TraceEvent[]> {
  await browser.startTracing(page, { categories: CATEGORIES });
  await page.waitForTimeout(seconds * 1000);
  const text = (await browser.stopTracing()).toString();
  const events = (JSON.parse(text) as { traceEvents: TraceEvent[] }).traceEvents;
  const pid = events.find(({ name }) => name === 'FireAnimationFrame')?.pid;
  return events.filter((event) => event.pid === pid);
}

/** Times from one frame drawn to the next, ms. */
function drawnFrames(events: TraceEvent[]): number[] {
  const times = events.filter(({ name }) => name === 'DrawFrame').map(({ ts }) => ts / 1000);
  times.sort((a, b) => a - b);
  return times.slice(1).map((time, i) => time - (times[i] as number));
}

/** Returns the tasks of the main thread, ms: duration and CPU time of each. In the rest, it waited for a CPU. */
function mainThreadTasks(events: TraceEvent[]): { wall: number[]; cpu: number[] } {
  const tid = events.find((e) => e.name === 'thread_name' && e.args?.name === 'CrRendererMain')?.tid;
  const tasks = events.filter((e) => e.name === 'ThreadControllerImpl::RunTask' && e.ph === 'X' && e.tid === tid);
  return { wall: tasks.map(({ dur = 0 }) => dur / 1000), cpu: tasks.map(({ tdur = 0 }) => tdur / 1000) };
}

function quantile(values: number[], q: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))] ?? 0;
}
