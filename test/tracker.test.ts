/**
 * The visitor script in a real Chromium. The page has another origin than the server, as on a real site, unless a test
 * says otherwise.
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { type AddressInfo, connect, createServer as createTcpServer, type Server, type Socket } from 'node:net';
import { type TestContext, test } from 'node:test';
import type { Browser, BrowserContextOptions, Page } from 'playwright-core';
import { click, move, page as pageChange } from '../src/protocol/encode.ts';
import { decodeHead, decodeSamples, FRAME, KIND, READ_BYTES, SampleBuffer } from '../src/protocol/frame.ts';
import { ELEMENT_SCALE } from '../src/protocol/limits.ts';
import { ack, add, cut, emptyOutbox, unacked } from '../src/tracker/outbox.ts';
import type { Tracker } from '../src/tracker/tracker.ts';
import { launch, openPage } from './support/browser.ts';
import { startServer, type TestServer } from './support/server.ts';
import { StreamReader, samplesOf } from './support/stream.ts';

/** What the tests of this file share: starting a server and a browser takes longer than most of them. */
interface World {
  server: TestServer;
  browser: Browser;
  host: Host;
}

/** A web server that is not Fieldmouse, with the pages of the site. */
interface Host {
  url: string;
  /** Sets the page that a path answers with; the tracker's script element goes in front of it. */
  page(path: string, options?: PageOptions): void;
  /** Sets a script that a path answers with. */
  script(path: string, text: string): void;
}

interface PageOptions {
  site?: string;
  /** More attributes of the script element, or undefined for none at all. */
  script?: string;
  body?: string;
  headers?: Record<string, string>;
  /** Origin the script comes from; the server's by default. */
  from?: string;
}

const TALL = '<main style="height: 3000px"><button id="buy" class="big red">Buy</button><a href="/two">Two</a></main>';

async function startHost(t: TestContext, server: TestServer): Promise<Host> {
  const pages = new Map<string, { html: string; headers: Record<string, string> }>();
  const http = createServer((request, response) => {
    const page = pages.get((request.url ?? '').split('?')[0] as string);
    response.writeHead(page ? 200 : 404, { 'content-type': 'text/html', ...page?.headers });
    response.end(page?.html);
  });
  http.listen(0, '127.0.0.1');
  await once(http, 'listening');
  t.after(() => {
    http.close();
    http.closeAllConnections();
  });
  return {
    url: `http://127.0.0.1:${(http.address() as AddressInfo).port}`,
    page(path, { site = 'demo', script = '', body = TALL, headers = {}, from = server.url } = {}) {
      const element = `<script defer src="${from}/fieldmouse.js" data-site="${site}" ${script}></script>`;
      const html = `<!doctype html><title>${path}</title><style>body { margin: 0 }</style>${element}${body}`;
      pages.set(path, { html, headers });
    },
    script(path, text) {
      pages.set(path, { html: text, headers: { 'content-type': 'text/javascript' } });
    },
  };
}

/** A site of its own for one test, and its stream, live. */
async function openSite({ server, host }: World, t: TestContext, key: string): Promise<StreamReader> {
  const body = JSON.stringify({ key, name: key, origins: [host.url] });
  const made = await server.api('/v1/sites', { method: 'POST', body, headers: { 'content-type': 'application/json' } });
  assert.equal(made.status, 201, await made.text());
  const stream = await StreamReader.open(t, server, { site: key, moves: 'full' });
  await stream.next('snapshot');
  return stream;
}

/** Opens a page that fails the test when the page sees an error. */
async function openTab({ browser }: World, t: TestContext, options: BrowserContextOptions = {}): Promise<Page> {
  const page = await openPage(browser, options);
  t.after(() => page.context().close());
  const errors: unknown[] = [];
  page.on('pageerror', (error) => errors.push(error));
  t.after(() => assert.deepEqual(errors, [], 'the page sees no error'));
  return page;
}

/** All that a page sends but for plain GETs: URLs of WebSockets and requests, frames and bodies. */
function record(page: Page): { to: string[]; sent: Buffer[] } {
  const to: string[] = [];
  const sent: Buffer[] = [];
  page.on('websocket', (socket) => {
    to.push(socket.url());
    socket.on('framesent', ({ payload }) => sent.push(Buffer.from(payload)));
  });
  page.on('request', (request) => {
    if (request.method() === 'GET') return;
    to.push(request.url());
    sent.push(request.postDataBuffer() ?? Buffer.alloc(0));
  });
  return { to, sent };
}

/** Waits until a visitor's pointer was at a place, page pixels. */
async function seeAt(stream: StreamReader, v: number, x: number, y: number): Promise<void> {
  await stream.until(
    () => samplesOf(stream.events).some(([who, , atX, atY]) => who === v && atX === x && atY === y) || undefined,
    `pointer of ${v} at ${x}, ${y}`,
  );
}

function names(stream: StreamReader): string[] {
  return stream.events.map(({ name }) => name);
}

test('the visitor script', async (t) => {
  const server = await startServer(t, { flags: ['--grace', '20000'] });
  const world = { server, host: await startHost(t, server) };
  // In full Chromium a page takes two or three times the CPU time that it takes in the headless shell.
  for (const [kind, cases] of [
    ['any', CASES],
    ['full', CACHE_CASES],
  ] as const) {
    const browser = await launch(t, kind);
    for (const [title, run] of Object.entries(cases)) await t.test(title, (t) => run({ ...world, browser }, t));
  }
});

/** Frames that a tab sends over its WebSockets from now on, by number. */
function framesOf(tab: Page): Map<number, Buffer> {
  const frames = new Map<number, Buffer>();
  tab.on('websocket', (socket) =>
    socket.on('framesent', ({ payload }) => {
      const bytes = Buffer.from(payload);
      const { n, type } = decodeHead(bytes);
      if (type === FRAME.samples) frames.set(n, bytes);
    }),
  );
  return frames;
}

/** Fails if two moves are closer in time than the server asked for, 16 ms. */
function assertApart(frames: ReadonlyMap<number, Buffer>): void {
  const times = [...frames.values()].flatMap(moveTimes);
  const gaps = times.slice(1).map((time, i) => time - (times[i] as number));
  // Whole milliseconds on both sides of the cut: 16 may read as 15.
  assert.ok(gaps.length > 0 && Math.min(...gaps) >= 15, `gaps of ${gaps}`);
}

/** Times of a frame's moves by the clock of the page: the server's may differ while it learns how late messages are. */
function moveTimes(frame: Buffer): number[] {
  const samples = new SampleBuffer(1000);
  decodeSamples(frame, decodeHead(frame).offset, samples);
  return [...samples.time.subarray(0, samples.count)].filter((_, i) => samples.kind[i] === KIND.move);
}

type Cases = Record<string, (world: World, t: TestContext) => Promise<void>>;

const CASES: Cases = {
  async 'sends moves in page pixels, scrolled or not'(world, t) {
    const stream = await openSite(world, t, 'moves');
    world.host.page('/', { site: 'moves' });
    const tab = await openTab(world, t);
    await tab.goto(`${world.host.url}/?secret=1`);
    const { visitor } = await stream.next('join');
    assert.deepEqual([visitor.page, visitor.origin], ['/', world.host.url]);
    assert.deepEqual(visitor.size, [1280, 800, 1280, 3000]);
    await tab.mouse.move(100, 150);
    await tab.mouse.move(333, 222, { steps: 7 });
    await seeAt(stream, visitor.v, 333, 222);
    await tab.evaluate(() => scrollTo(0, 1000));
    const scrolled = () =>
      stream.events.find(({ name, data }) => name === 'scroll' && 's' in data && data.s[1] === 1000);
    await stream.until(scrolled, 'scroll');
    await seeAt(stream, visitor.v, 333, 1222);
    await tab.mouse.move(400, 300, { steps: 3 });
    await seeAt(stream, visitor.v, 400, 1300);
  },

  async 'separates moves by the sampling interval, and ends where the pointer rests'(world, t) {
    const stream = await openSite(world, t, 'thin');
    world.host.page('/', { site: 'thin' });
    const tab = await openTab(world, t);
    const frames = framesOf(tab);
    await tab.goto(`${world.host.url}/`);
    const { visitor } = await stream.next('join');
    await tab.mouse.move(10, 10);
    await tab.mouse.move(610, 410, { steps: 200 });
    await seeAt(stream, visitor.v, 610, 410);
    assertApart(frames);
  },

  async 'separates moves on a busy page, which receives them late and several at once'(world, t) {
    const stream = await openSite(world, t, 'busy');
    const body = `<script>
      setInterval(() => {
        for (const end = performance.now() + 150; performance.now() < end; );
      }, 160);
    </script>`;
    world.host.page('/', { site: 'busy', body });
    const tab = await openTab(world, t);
    const frames = framesOf(tab);
    await tab.goto(`${world.host.url}/`);
    const { visitor } = await stream.next('join');
    const moveTo = (i: number) => tab.mouse.move(10 + 3 * i, 10 + 2 * i);
    // Several bursts: the browser may join all moves of one to a single event.
    for (let burst = 0; burst < 5; burst++)
      await Promise.all(Array.from({ length: 40 }, (_, i) => moveTo(40 * burst + i)));
    await seeAt(stream, visitor.v, 607, 408);
    assertApart(frames);
  },

  async 'reports a click with its position in the element and a short selector'(world, t) {
    const stream = await openSite(world, t, 'clicks');
    const body =
      '<button id="buy" class="big red" style="position: absolute; left: 100px; top: 200px; width: 200px; height: 80px">' +
      'Secret text</button><div data-fieldmouse="hero" style="position: absolute; top: 400px; width: 400px; height: 100px"></div>';
    world.host.page('/', { site: 'clicks', body });
    const tab = await openTab(world, t);
    await tab.goto(`${world.host.url}/`);
    const { visitor } = await stream.next('join');
    await tab.mouse.click(150, 260);
    const click = await stream.next('click');
    assert.deepEqual([click.v, click.page, click.x, click.y, click.button], [visitor.v, '/', 150, 260, 0]);
    assert.equal(click.selector, 'button#buy.big.red');
    assert.deepEqual([click.ex, click.ey], [Math.round(ELEMENT_SCALE / 4), Math.round((ELEMENT_SCALE * 3) / 4)]);
    await tab.mouse.click(200, 450, { button: 'right' });
    const second = await stream.next('click');
    assert.deepEqual([second.button, second.selector], [2, 'div[data-fieldmouse=hero]']);
    await tab.focus('#buy');
    await tab.keyboard.press('Enter');
    const byKey = await stream.next('click');
    assert.deepEqual([byKey.x, byKey.y], [200, 240], 'a key clicks in the middle');
    await tab.evaluate(() => document.getElementById('buy')?.click());
    await tab.mouse.click(5, 5);
    assert.deepEqual([(await stream.next('click')).x], [5], 'a script is no visitor');
  },

  async 'reports page changes of a single-page app, never with the query'(world, t) {
    const stream = await openSite(world, t, 'spa');
    world.host.page('/', { site: 'spa' });
    const tab = await openTab(world, t);
    await tab.goto(`${world.host.url}/`);
    const { visitor } = await stream.next('join');
    assert.deepEqual(
      await tab.evaluate(() => {
        history.pushState({ a: 1 }, '', '/cart?token=secret');
        return [history.state, location.search];
      }),
      [{ a: 1 }, '?token=secret'],
    );
    const change = await stream.next('page');
    assert.deepEqual([change.v, change.page, change.from], [visitor.v, '/cart', '/']);
    await tab.evaluate(() => history.replaceState(null, '', '/cart/done'));
    assert.equal((await stream.next('page')).page, '/cart/done');
    await tab.evaluate(() => history.back());
    assert.equal((await stream.next('page')).page, '/');
    await tab.mouse.click(20, 30);
    assert.equal((await stream.next('click')).page, '/');
    const thrown = await tab.evaluate(() => {
      try {
        history.pushState(null, '', 'https://example.org/');
        return '';
      } catch (error) {
        return (error as Error).name;
      }
    });
    assert.equal(thrown, 'SecurityError', 'what the page does wrong it is still told');
  },

  async 'sends nothing under Global Privacy Control or Do Not Track'(world, t) {
    const stream = await openSite(world, t, 'private');
    world.host.page('/', { site: 'private' });
    for (const [name, value] of [
      ['globalPrivacyControl', true],
      ['doNotTrack', '1'],
    ] as const) {
      const tab = await openTab(world, t);
      await tab.addInitScript(([name, value]) => Object.defineProperty(navigator, name, { value }), [
        name,
        value,
      ] as const);
      const { to } = record(tab);
      await tab.goto(`${world.host.url}/`);
      await tab.mouse.click(100, 100);
      await tab.evaluate(() => window.fieldmouse?.start());
      assert.equal(await tab.evaluate(() => sessionStorage.length), 0);
      await tab.goto('about:blank');
      assert.deepEqual(to, [], name);
    }
    const tab = await openTab(world, t);
    await tab.goto(`${world.host.url}/`);
    await stream.next('join');
    assert.equal((await (await world.server.api('/v1/sites')).json()).sites.length > 0, true);
  },

  async 'waits for start where consent is required, and stop ends it'(world, t) {
    const stream = await openSite(world, t, 'consent');
    world.host.page('/', { site: 'consent', script: 'data-consent="required"' });
    const tab = await openTab(world, t);
    const { to } = record(tab);
    await tab.goto(`${world.host.url}/`);
    await tab.mouse.click(100, 100);
    assert.deepEqual(to, []);
    await tab.evaluate(() => window.fieldmouse?.start());
    const { visitor } = await stream.next('join');
    await tab.mouse.move(50, 60);
    await seeAt(stream, visitor.v, 50, 60);
    await tab.evaluate(() => window.fieldmouse?.stop());
    const leave = await stream.next('leave');
    assert.deepEqual([leave.v, leave.reason], [visitor.v, 'closed']);
    const connections = to.length;
    await tab.mouse.click(70, 80);
    const left = await tab.evaluate(() => [sessionStorage.length, /native/.test(String(history.pushState))]);
    assert.deepEqual(left, [0, true], 'no token is left, and history is as it was');
    assert.equal(to.length, connections);
    await tab.evaluate(() => window.fieldmouse?.start());
    assert.notEqual((await stream.next('join')).visitor.id, visitor.id, 'a new start is a new visitor');
  },

  async 'sends nothing that the visitor types'(world, t) {
    const stream = await openSite(world, t, 'typed');
    const body = '<form><input name="user"><input type="password" name="pass"><textarea></textarea></form>';
    world.host.page('/', { site: 'typed', body });
    const tab = await openTab(world, t);
    const { sent } = record(tab);
    await tab.goto(`${world.host.url}/`);
    await stream.next('join');
    for (const selector of ['[name=user]', '[name=pass]', 'textarea']) {
      await tab.click(selector);
      await tab.keyboard.type('hunter2');
      await stream.next('click');
    }
    await tab.goto('about:blank');
    await stream.next('leave');
    assert.ok(sent.length >= 3, 'clicks were sent');
    for (const bytes of sent) assert.ok(!bytes.includes('hunter') && !bytes.includes('user'), bytes.toString('latin1'));
  },

  async 'uses POST where WebSocket does not exist'(world, t) {
    const stream = await openSite(world, t, 'post');
    world.host.page('/', { site: 'post' });
    const tab = await openTab(world, t);
    await tab.addInitScript(() => Reflect.deleteProperty(window, 'WebSocket'));
    await checkPosting(world, stream, tab);
  },

  async 'uses POST where the page forbids WebSockets'(world, t) {
    const stream = await openSite(world, t, 'csp');
    const headers = { 'content-security-policy': `connect-src ${world.server.url}` };
    world.host.page('/', { site: 'csp', headers });
    const tab = await openTab(world, t);
    await checkPosting(world, stream, tab);
  },

  async 'hands the last samples to the browser when the page closes'(world, t) {
    const stream = await openSite(world, t, 'beacon');
    world.host.page('/', { site: 'beacon' });
    const tab = await openTab(world, t);
    await tab.goto(`${world.host.url}/`);
    const { visitor } = await stream.next('join');
    await tab.mouse.move(100, 40);
    await seeAt(stream, visitor.v, 100, 40);
    await tab.evaluate(() => addEventListener('pointerup', () => location.assign('about:blank')));
    await tab.mouse.click(123, 45);
    const click = await stream.next('click');
    assert.deepEqual([click.v, click.x, click.y], [visitor.v, 123, 45]);
    const leave = await stream.next('leave');
    assert.deepEqual([leave.v, leave.reason], [visitor.v, 'closed']);
  },

  async 'keeps one visitor across the pages of a site'(world, t) {
    const stream = await openSite(world, t, 'pages');
    world.host.page('/', { site: 'pages' });
    world.host.page('/two', { site: 'pages' });
    const tab = await openTab(world, t);
    await tab.goto(`${world.host.url}/`);
    const { visitor } = await stream.next('join');
    await tab.mouse.move(40, 50);
    await seeAt(stream, visitor.v, 40, 50);
    stream.events.length = 0;
    await tab.click('a');
    await tab.waitForURL('**/two');
    await stream.until(() => stream.events.find(({ name }) => name === 'page'), 'page');
    await tab.mouse.move(60, 70, { steps: 3 });
    await seeAt(stream, visitor.v, 60, 70);
    assert.ok(!names(stream).some((name) => name === 'join' || name === 'leave'), names(stream).join());
  },

  async 'gives a duplicated tab a visitor of its own'(world, t) {
    const stream = await openSite(world, t, 'twice');
    world.host.page('/', { site: 'twice' });
    const tab = await openTab(world, t);
    await tab.goto(`${world.host.url}/`);
    const first = (await stream.next('join')).visitor;
    await tab.mouse.move(11, 12);
    await seeAt(stream, first.v, 11, 12);
    // A tab opened by a page starts with a copy of its sessionStorage, as a duplicated one does. The token that both
    // have names one visitor: the tab that comes last goes on as that.
    const [other] = await Promise.all([tab.context().waitForEvent('page'), tab.evaluate(() => window.open('/')?.name)]);
    const second = (await stream.next('join')).visitor;
    assert.notEqual(second.id, first.id);
    await other.bringToFront();
    await other.mouse.move(21, 22, { steps: 2 });
    await tab.bringToFront();
    await tab.mouse.move(31, 32, { steps: 2 });
    await seeAt(stream, first.v, 21, 22);
    await seeAt(stream, second.v, 31, 32);
    assert.ok(!names(stream).includes('leave'));
  },

  async 'is harmless if loaded twice'(world, t) {
    const stream = await openSite(world, t, 'double');
    const again = `<script defer src="${world.server.url}/fieldmouse.js" data-site="double"></script>`;
    world.host.page('/', { site: 'double', body: again + TALL });
    const tab = await openTab(world, t);
    const { to } = record(tab);
    await tab.goto(`${world.host.url}/`);
    const { visitor } = await stream.next('join');
    await tab.mouse.move(41, 42);
    await seeAt(stream, visitor.v, 41, 42);
    assert.equal(to.length, 1);
    assert.deepEqual(
      await tab.evaluate(() => Object.keys(window).filter((key) => /mouse$/.test(key) && !/^on/.test(key))),
      ['fieldmouse'],
    );
  },

  async 'works as a module in a bundle'(world, t) {
    const stream = await openSite(world, t, 'module');
    const options = JSON.stringify({ site: 'module', server: world.server.url });
    world.host.script('/tracker.mjs', readFileSync(new URL('../dist/public/fieldmouse.mjs', import.meta.url), 'utf8'));
    world.host.page('/', {
      script: 'nomodule',
      body: `${TALL}<script type="module">import { start } from '/tracker.mjs'; window.tracker = start(${options});</script>`,
    });
    const tab = await openTab(world, t);
    await tab.goto(`${world.host.url}/`);
    const { visitor } = await stream.next('join');
    await tab.mouse.click(61, 62);
    assert.equal((await stream.next('click')).x, 61);
    await tab.evaluate(() => (window as unknown as { tracker: Tracker }).tracker.stop());
    assert.equal((await stream.next('leave')).v, visitor.v);
  },

  async 'stops permanently when its site is removed'(world, t) {
    const stream = await openSite(world, t, 'removed');
    world.host.page('/', { site: 'removed' });
    const tab = await openTab(world, t);
    const { to } = record(tab);
    const socket = tab.waitForEvent('websocket');
    await tab.goto(`${world.host.url}/`);
    await stream.next('join');
    const closed = (await socket).waitForEvent('close');
    const warned = tab.waitForEvent('console');
    assert.equal((await world.server.api('/v1/sites/removed', { method: 'DELETE' })).status, 204);
    await closed;
    assert.equal((await warned).text(), 'Fieldmouse: refused (4410) The site was removed.');
    await tab.waitForFunction(() => /native/.test(String(history.pushState)));
    await tab.mouse.click(10, 10);
    await tab.goto('about:blank');
    assert.equal(to.length, 1, to.join());
  },

  async 'works without storage, and where the page has broken what it needs'(world, t) {
    const stream = await openSite(world, t, 'broken');
    world.host.page('/', { site: 'broken' });
    const tab = await openTab(world, t);
    await tab.addInitScript(() => {
      Object.defineProperty(window, 'sessionStorage', {
        get() {
          throw new Error('forbidden');
        },
      });
      Element.prototype.getBoundingClientRect = () => {
        throw new Error('broken');
      };
      Reflect.deleteProperty(PointerEvent.prototype, 'getCoalescedEvents');
    });
    await tab.goto(`${world.host.url}/`);
    const { visitor } = await stream.next('join');
    await tab.mouse.click(51, 52);
    await seeAt(stream, visitor.v, 51, 52);
  },

  async 'reports touches'(world, t) {
    const stream = await openSite(world, t, 'touch');
    world.host.page('/', { site: 'touch' });
    const tab = await openTab(world, t, { hasTouch: true, isMobile: true, viewport: { width: 390, height: 800 } });
    await tab.goto(`${world.host.url}/`);
    const { visitor } = await stream.next('join');
    await tab.touchscreen.tap(100, 300);
    await seeAt(stream, visitor.v, 100, 300);
    await stream.next('click');
  },

  async 'keeps clicks and page changes while the server is unreachable, and then sends them all'(world, t) {
    const stream = await openSite(world, t, 'offline');
    const way = await openWay(t, world.server);
    world.host.page('/', { site: 'offline', from: way.url });
    const tab = await openTab(world, t);
    await tab.goto(`${world.host.url}/`);
    const { visitor } = await stream.next('join');
    await tab.mouse.move(1, 1);
    await seeAt(stream, visitor.v, 1, 1);
    stream.events.length = 0;
    way.block();
    await tab.mouse.click(201, 202);
    await tab.evaluate(() => history.pushState(null, '', '/later'));
    await tab.mouse.click(301, 302);
    way.open();
    await stream.until(() => names(stream).filter((name) => name === 'click').length === 2 || undefined, 'both clicks');
    await tab.mouse.move(401, 402, { steps: 3 });
    await seeAt(stream, visitor.v, 401, 402);
    const story = stream.events.flatMap(({ name, data }) =>
      name === 'click' || name === 'page' || name === 'join' || name === 'leave'
        ? [[name, 'page' in data ? data.page : '', 'x' in data ? data.x : 0]]
        : [],
    );
    assert.deepEqual(story, [
      ['click', '/', 201],
      ['page', '/later', 0],
      ['click', '/later', 301],
    ]);
    const places = samplesOf(stream.events).map(([, time, x, y]) => `${time} ${x} ${y}`);
    assert.deepEqual(places, [...new Set(places)], 'no sample comes twice');
  },
};

/** The headless shell has no back-forward cache. */
const CACHE_CASES: Cases = {
  async 'continues when the page returns from the back-forward cache'(world, t) {
    const stream = await openSite(world, t, 'bfcache');
    world.host.page('/', { site: 'bfcache' });
    world.host.page('/away', { site: 'nobody', body: '<p>away' });
    const tab = await openTab(world, t);
    await tab.goto(`${world.host.url}/`);
    await stream.next('join');
    const kept = tab.evaluate(() => {
      addEventListener('pageshow', ({ persisted }) => {
        document.title = persisted ? 'kept' : 'new';
      });
    });
    await kept;
    await tab.evaluate(() => location.assign('/away'));
    await stream.next('leave');
    await tab.waitForURL('**/away');
    await tab.goBack({ waitUntil: 'commit' });
    await tab.waitForFunction(() => document.title === 'kept');
    const { visitor } = await stream.next('join');
    await tab.mouse.move(70, 90, { steps: 2 });
    await seeAt(stream, visitor.v, 70, 90);
  },

  async 'continues as the visitor of a later page when it returns from the back-forward cache'(world, t) {
    const stream = await openSite(world, t, 'changed');
    world.host.page('/', { site: 'changed' });
    world.host.page('/other', { site: 'changed', body: `<script>sessionStorage.clear()</script>${TALL}` });
    const tab = await openTab(world, t);
    await tab.goto(`${world.host.url}/`);
    const first = (await stream.next('join')).visitor;
    await tab.mouse.move(11, 12);
    await seeAt(stream, first.v, 11, 12);
    await tab.evaluate(() => {
      addEventListener('pageshow', ({ persisted }) => {
        document.title = persisted ? 'kept' : 'new';
      });
    });
    // Not acked when the page goes, so the last beacon has it.
    await tab.mouse.click(15, 16);
    await tab.evaluate(() => location.assign('/other'));
    const { visitor } = await stream.next('join');
    assert.notEqual(visitor.id, first.id);
    // The server has more frames of this visitor than the first page made.
    for (let i = 0; i < 5; i++) {
      await tab.mouse.move(20 + i, 30);
      await seeAt(stream, visitor.v, 20 + i, 30);
    }
    stream.events.length = 0;
    await tab.goBack({ waitUntil: 'commit' });
    await tab.waitForFunction(() => document.title === 'kept');
    await tab.mouse.move(70, 90);
    await seeAt(stream, visitor.v, 70, 90);
    assert.ok(!names(stream).includes('click'), 'what the last beacon had is not sent again');
  },
};

/** Moves, clicks and leaves by POST, on the page at `/`. */
async function checkPosting({ host }: World, stream: StreamReader, tab: Page): Promise<void> {
  const { to } = record(tab);
  await tab.goto(`${host.url}/`);
  const { visitor } = await stream.next('join');
  await tab.mouse.move(300, 200, { steps: 5 });
  await seeAt(stream, visitor.v, 300, 200);
  await tab.mouse.click(310, 210);
  assert.equal((await stream.next('click')).x, 310);
  await tab.mouse.click(320, 220);
  await tab.goto('about:blank');
  assert.equal((await stream.next('click')).x, 320, 'the last click goes with the page');
  assert.equal((await stream.next('leave')).reason, 'closed');
  assert.ok(to.some((url) => url.startsWith('http')));
}

/** A way to the server that can be cut: a TCP proxy. */
async function openWay(t: TestContext, server: TestServer) {
  const target = Number(new URL(server.url).port);
  const sockets = new Set<Socket>();
  let blocked = false;
  const proxy: Server = createTcpServer((near) => {
    if (blocked) return near.destroy();
    const far = connect(target, '127.0.0.1');
    for (const [one, other] of [
      [near, far],
      [far, near],
    ] as const) {
      sockets.add(one);
      one.on('error', () => {});
      one.on('close', () => {
        sockets.delete(one);
        other.destroy();
      });
      one.pipe(other);
    }
    return undefined;
  });
  const cutAll = () => {
    for (const socket of sockets) socket.destroy();
  };
  proxy.listen(0, '127.0.0.1');
  await once(proxy, 'listening');
  t.after(() => {
    proxy.close();
    cutAll();
  });
  return {
    url: `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`,
    block() {
      blocked = true;
      cutAll();
    },
    open() {
      blocked = false;
    },
  };
}

test('the visitor script uses other names if the server is configured so', async (t) => {
  const server = await startServer(t, { workers: 1, flags: ['--script-path', '/s.js', '--endpoint', '/e'] });
  const stream = await StreamReader.open(t, server, { site: 'demo', moves: 'full' });
  const tab = await openPage(await launch(t));
  const { to } = record(tab);
  // The browser tells of a connection when it comes to it, which may be after the server does.
  const told = tab.waitForEvent('websocket');
  await tab.goto(server.url);
  const { visitor } = await stream.next('join');
  assert.deepEqual([visitor.page, visitor.origin], ['/', server.url]);
  await told;
  // It may have had to come again, where the machine is busy.
  assert.deepEqual([...new Set(to)], [`${server.ws}/e?site=demo`]);
  assert.equal(await tab.locator('script[data-site]').getAttribute('src'), '/s.js');
});

/** What the script runs in; the tests below run a part of it here. */
Object.assign(globalThis, { window: globalThis });

/** The samples of frames: number of the frame, and what its samples are. */
function readFrames(frames: number[][]): { n: number; count: number; pages: string[]; clicks: number }[] {
  return frames.map((frame) => {
    const bytes = Uint8Array.from(frame);
    const { n, offset } = decodeHead(bytes);
    const into = new SampleBuffer(1024);
    decodeSamples(bytes, offset, into);
    const pages = into.marks.flatMap((mark) => (mark.type === 'page' ? [mark.page] : []));
    return { n, count: into.count, pages, clicks: into.marks.filter(({ type }) => type === 'click').length };
  });
}

test('an outbox drops its oldest moves first and keeps clicks and page changes', () => {
  emptyOutbox('/');
  add(click(0, [1, 1], 0, [0, 0], 'a'));
  for (let i = 0; i < 5000; i++) add(move(i, [i, i]));
  add(pageChange(5000, '/next'));
  const frames = readFrames(cut(100));
  const total = frames.reduce((sum, { count }) => sum + count, 0);
  assert.equal(total, 1500);
  assert.equal(frames[0]?.clicks, 1);
  assert.deepEqual(frames.at(-1)?.pages, ['/next']);
});

test('an outbox makes no frame that a server would reject, whatever it holds', () => {
  emptyOutbox('/');
  ack(0, true);
  const long = (i: number) => `/${i}/${'é'.repeat(600)}`;
  for (let i = 0; i < 200; i++) add(pageChange(i, long(i)));
  for (let i = 0; i < 200; i++) add(click(i, [i, i], 0, [0, 0], 's'.repeat(160)));
  for (let i = 0; i < 640; i++) add(move(i, [i, i]));
  const frames = cut(1000);
  assert.ok(frames.every(({ length }) => length <= READ_BYTES / 2));
  const read = readFrames(frames);
  assert.equal(read.flatMap(({ pages }) => pages).length, 200);
  assert.equal(
    read.reduce((sum, { clicks }) => sum + clicks, 0),
    200,
  );
  assert.equal(Math.max(...read.map(({ count }) => count)), 64, 'what a hand does in a second is one frame');
});

test('an outbox with a full window keeps the frames it sent, waits, and then continues', () => {
  emptyOutbox('/');
  ack(0, true);
  for (let i = 0; i < 3; i++) {
    add(click(i, [i, i], 0, [0, 0], 'a'));
    cut(3);
  }
  const sent = unacked();
  for (let i = 3; i < 9; i++) add(click(i, [i, i], 0, [0, 0], 'a'));
  assert.deepEqual(cut(3), []);
  assert.deepEqual(unacked(), sent);
  ack(1);
  assert.deepEqual(readFrames(cut(3)), [{ n: 4, count: 6, pages: [], clicks: 6 }]);
});

test('an outbox resends the same bytes until they are acked, and renumbers them for a new server', () => {
  emptyOutbox('/');
  ack(40, true);
  add(move(1, [1, 2]));
  const [first] = cut(100);
  add(move(2, [3, 4]));
  const [second] = cut(100);
  assert.deepEqual(unacked(), [first, second]);
  ack(41);
  assert.deepEqual(unacked(), [second]);
  ack(0, true);
  assert.deepEqual(readFrames(unacked()), [{ n: 1, count: 1, pages: [], clicks: 0 }]);
});
