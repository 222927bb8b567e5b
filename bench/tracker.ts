/**
 * What does the visitor script cost in the visitor's browser? A pointer moves over a page of 300 sections in headless
 * Chromium. Measured is the thread time that the page's main thread spends in scripts: while the page loads, and while
 * the pointer moves. rrweb and Clarity do the same beside it, and so does a page without a script.
 */
import { readFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { type Browser, type CDPSession, chromium } from 'playwright-core';
import { CHROMIUM_FLAGS } from '../test/support/programs.ts';
import type { Length } from './engine.ts';
import { type Spread, spread, spreadText, type Table } from './figures.ts';
import { CHROMIUM } from './smoothness.ts';
import { start, TOKEN } from './systems.ts';

const SECTIONS = 300;
const MOVE_S = 10;
/** Between two moves: about 55 a second. Milliseconds. */
const MOVE_MS = 1000 / 55;
/** From the load of the page until the moves begin, milliseconds. */
const SETTLE_MS = 3000;
const MAX_LOAD_MS = 10;
const MAX_MOVES_MS = 35;

/** Script time of the page's main thread, ms. */
interface Cost {
  load: number;
  moves: number;
  sent: number;
}

interface Candidate {
  name: string;
  /** HTML that a site adds to its pages. `port` is Fieldmouse's. */
  tag(port: number): string;
  /** A stream shows the page meanwhile. */
  watched?: boolean;
}

const CANDIDATES: Candidate[] = [
  { name: 'no script', tag: () => '' },
  { name: 'an empty listener', tag: () => EMPTY_LISTENER },
  { name: 'an empty listener, and ten messages a second', tag: (port) => EMPTY_LISTENER + messages(port) },
  { name: 'Fieldmouse, watched', tag: ourTag, watched: true },
  { name: 'Fieldmouse, nobody watching', tag: ourTag },
  {
    name: 'rrweb, record',
    tag: () =>
      '<script src="/rrweb.js"></script><script>const events = []; rrweb.record({ emit: (event) => events.push(event) })</script>',
  },
  {
    name: 'Clarity',
    tag: () =>
      '<script src="/clarity.js"></script><script>clarity("start", { projectId: "bench", upload: "/collect" })</script>',
  },
];

/** What any script costs that follows the pointer, and one that also sends. */
const EMPTY_LISTENER = '<script>addEventListener("pointermove", () => {}, true)</script>';

function messages(port: number): string {
  return (
    `<script>const socket = new WebSocket("ws://127.0.0.1:${port}/v1/visit?site=bench", "json"); ` +
    `setInterval(() => socket.readyState === 1 && socket.send('{"x":1,"y":1}'), 100)</script>`
  );
}

function ourTag(port: number): string {
  return `<script defer src="http://127.0.0.1:${port}/fieldmouse.js" data-site="bench"></script>`;
}

export async function tracker({ runs }: Length): Promise<Table> {
  const costs = new Map<string, Cost[]>();
  const browser = await chromium.launch({ executablePath: CHROMIUM, args: CHROMIUM_FLAGS });
  try {
    for (let run = 1; run <= runs; run++)
      for (const candidate of CANDIDATES) {
        process.stderr.write(`  ${candidate.name}, run ${run} of ${runs}\n`);
        costs.set(candidate.name, [...(costs.get(candidate.name) ?? []), await measure(browser, candidate)]);
      }
  } finally {
    await browser.close();
  }
  return tableOf(costs);
}

function tableOf(costs: ReadonlyMap<string, Cost[]>): Table {
  const of = (name: string, what: keyof Cost): Spread => spread((costs.get(name) as Cost[]).map((cost) => cost[what]));
  const target = (what: 'load' | 'moves', text: string, most: number) => {
    const got = of('Fieldmouse, watched', what);
    return { what: text, wanted: `≤ ${most} ms`, got: `${spreadText(got, 1)} ms`, met: got.median <= most };
  };
  return {
    title: 'tracker: the cost in the visitor’s browser',
    text:
      `A page of ${SECTIONS} sections in headless Chromium; the pointer moves for ${MOVE_S} s. Thread time of the page's main thread in scripts, ms. ` +
      'rrweb keeps its events and sends nothing.',
    head: ['', 'loading the page', `${MOVE_S} s of moves`, 'moves'],
    rows: [...costs.keys()].map((name) => [
      name,
      spreadText(of(name, 'load'), 1),
      spreadText(of(name, 'moves'), 1),
      spreadText(of(name, 'sent'), 0),
    ]),
    targets: [
      target('load', 'loading the page, watched', MAX_LOAD_MS),
      target('moves', `${MOVE_S} s of moves, watched`, MAX_MOVES_MS),
    ],
  };
}

async function measure(browser: Browser, candidate: Candidate): Promise<Cost> {
  const system = await start('fieldmouse', ['--workers', '1']);
  const site = await openSite(() => candidate.tag(system.port));
  const { port } = site.address() as AddressInfo;
  const stop = new AbortController();
  try {
    await addSite(system.port, `http://127.0.0.1:${port}`);
    if (candidate.watched) await watch(system.port, stop.signal);
    return await visit(browser, `http://127.0.0.1:${port}/`);
  } finally {
    stop.abort();
    site.closeAllConnections();
    site.close();
    await system.stop();
  }
}

/** Serves the page, and the other scripts. */
async function openSite(tag: () => string): Promise<Server> {
  const section = (i: number) =>
    `<section id="s${i}"><h2>Section ${i}</h2><p>Some words, and <a href="#s${i}">a link</a>.</p><button>Buy</button></section>`;
  const sections = Array.from({ length: SECTIONS }, (_, i) => section(i)).join('');
  const scripts: Record<string, string> = {
    '/rrweb.js': fileOf('rrweb/dist/rrweb.umd.min.cjs'),
    '/clarity.js': fileOf('clarity-js/build/clarity.min.js'),
  };
  const server = createServer((request, response) => {
    request.resume();
    const script = scripts[request.url ?? ''];
    response.setHeader('Content-Type', script === undefined ? 'text/html; charset=utf-8' : 'text/javascript');
    response.end(script ?? `<!doctype html><title>Bench</title>${tag()}<main>${sections}</main>`);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return server;
}

function fileOf(path: string): string {
  return readFileSync(fileURLToPath(new URL(`../node_modules/${path}`, import.meta.url)), 'utf8');
}

async function addSite(port: number, origin: string): Promise<void> {
  const response = await fetch(`http://127.0.0.1:${port}/v1/sites`, {
    method: 'POST',
    headers: { Authorization: `Bearer ${TOKEN}`, 'Content-Type': 'application/json' },
    body: JSON.stringify({ key: 'bench', name: 'Bench', origins: [origin] }),
  });
  if (!response.ok) throw new Error(`the site was not added: ${response.status} ${await response.text()}`);
}

/** Opens a stream of the site until `signal` ends it. */
async function watch(port: number, signal: AbortSignal): Promise<void> {
  const response = await fetch(`http://127.0.0.1:${port}/v1/stream?site=bench&moves=full`, {
    headers: { Authorization: `Bearer ${TOKEN}` },
    signal,
  });
  void response.body?.pipeTo(new WritableStream()).catch(() => {});
}

async function visit(browser: Browser, url: string): Promise<Cost> {
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 } });
  const page = await context.newPage();
  const cdp = await context.newCDPSession(page);
  await cdp.send('Performance.enable', { timeDomain: 'threadTicks' });
  try {
    await page.goto(url);
    await sleep(SETTLE_MS);
    const load = await scriptMs(cdp);
    const sent = await move(cdp);
    return { load, moves: (await scriptMs(cdp)) - load, sent };
  } finally {
    await context.close();
  }
}

async function scriptMs(cdp: CDPSession): Promise<number> {
  const { metrics } = await cdp.send('Performance.getMetrics');
  return 1000 * (metrics.find(({ name }) => name === 'ScriptDuration')?.value ?? 0);
}

/** Moves the pointer for MOVE_S. Returns the number of moves. */
async function move(cdp: CDPSession): Promise<number> {
  const start = performance.now();
  let count = 0;
  for (let now = start; now - start < 1000 * MOVE_S; now = performance.now()) {
    const angle = (now - start) / 500;
    const [x, y] = [640 + 500 * Math.cos(angle), 400 + 300 * Math.sin(1.3 * angle)];
    await cdp.send('Input.dispatchMouseEvent', { type: 'mouseMoved', x, y });
    count += 1;
    await sleep(Math.max(0, start + count * MOVE_MS - performance.now()));
  }
  return count;
}
