/** The visitor script on pages that have changed what it uses: globals, prototypes, timers, and the document mode. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { clicksAt, startSite } from './support/site.ts';
import { samplesOf } from './support/stream.ts';

const BUTTON = '<button id=buy style="position:absolute;left:100px;top:1200px;width:200px;height:50px"></button>';
const TALL = '<p id=end style="position:absolute;top:0;left:500px"></p><i style="display:block;height:3000px"></i>';

/** Sockets behind a proxy, as scripts that look into them make: their events have another target. */
const WRAPPED = `
  Object.defineProperty(navigator, 'sendBeacon', { value: undefined });
  window.sockets = [];
  window.WebSocket = new Proxy(WebSocket, {
    construct(Native, values) {
      const socket = new Native(...values);
      sockets.push(socket);
      return new Proxy(socket, {
        get: (_, name) => (typeof socket[name] === 'function' ? socket[name].bind(socket) : socket[name]),
        set: (_, name, value) => Reflect.set(socket, name, value),
      });
    },
  });`;

const LATER = `
  const original = History.prototype.pushState;
  History.prototype.pushState = function (...values) {
    document.title = 'called';
    return original.apply(this, values);
  };
  history.pushState(null, '', '/next');
  addEventListener('pointermove', () => {
    let last = setTimeout(() => {});
    while (last-- > 0) clearTimeout(last);
  }, { once: true });`;

test('pages in quirks mode, and pages with variables named like those of the window, report page pixels', async (t) => {
  const variables =
    'let scrollX = 7, scrollY = 9, history = [], performance = 1; const innerWidth = 5, innerHeight = 6; class Element {} class Document {}';
  const { url, stream, page } = await startSite(t, {
    '/quirks/narrow': `<style>body{width:300px}</style>${BUTTON}${TALL}`,
    '/quirks/shell': `<style>html,body{height:100%;overflow:hidden}</style>${BUTTON.replace('1200', '200')}${TALL}`,
    '/let': `<script>${variables}</script>${BUTTON}${TALL}`,
    '/var': `<script>var scrollY = 7; var scrollX = 9; var parent = 5;</script>${BUTTON}${TALL}`,
  });
  for (const path of ['/quirks/narrow', '/quirks/shell', '/let', '/var']) {
    const tab = await page
      .context()
      .browser()
      ?.newPage({ viewport: { width: 1280, height: 800 } });
    assert.ok(tab);
    await tab.goto(url + path);
    assert.deepEqual((await stream.next('join')).visitor.size.slice(0, 2), [1280, 800], path);
    await tab.evaluate(() => window.scrollTo(0, 1000));
    await tab.mouse.click(150, 220);
    const { x, y, selector } = await stream.next('click');
    assert.deepEqual([selector, x, y], ['button#buy', 150, path === '/quirks/shell' ? 220 : 1220], path);
    if (path === '/let') assert.equal(await tab.evaluate('Object.keys(history).join()'), '', 'the array of the page');
    await tab.close();
  }
});

test('page variables with names that the script uses cost no click', async (t) => {
  const scripts = {
    '/var': `var URL = 'https://example.org', CSS = {}, console = {};`,
    '/const': 'const URL = 1, CSS = 2, console = 3;',
    '/function': 'function addEventListener(element, type, listener) { element.addEventListener(type, listener); }',
    '/class':
      'function Element() {} function Document() {} var Node = {}, Event = 1, EventTarget = 2, HTMLElement = 3;',
    '/missing': 'delete window.MutationObserver;',
  };
  const pages = Object.entries(scripts).map(([path, script]) => [
    path,
    `<script>${script}</script><p id=a></p><p id=end>`,
  ]);
  const { url, stream, page } = await startSite(t, Object.fromEntries(pages));
  const sockets: string[] = [];
  page.on('websocket', (socket) => sockets.push(new URL(socket.url()).pathname));
  for (const path of Object.keys(scripts)) {
    await page.goto(url + path);
    assert.deepEqual(await clicksAt(page, stream, [[10, 10]]), ['p#a'], path);
  }
  assert.deepEqual([...new Set(sockets)], ['/v1/visit'], 'it asks nobody but its server');
});

test('methods that the page breaks or wraps cost no click', async (t) => {
  const link =
    '<a id=none href="#" style="position:absolute;left:0;top:0"><b style="position:absolute;left:100px;top:300px;width:90px;height:50px"></b></a>';
  const busy = 'const end = Date.now() + 600; while (Date.now() < end);';
  const label = `<label id=l style="position:absolute;top:400px"><input id=in type=checkbox style="width:100px;height:40px" onclick="${busy}"></label>`;
  const { url, stream, page } = await startSite(t, { '/': `<p id=end></p>${link}${label}` });
  await page.addInitScript(() => {
    Element.prototype.closest = () => {
      throw new Error('broken');
    };
  });
  await page.goto(url);
  await stream.next('join');
  await page.mouse.click(150, 320);
  const click = await stream.next('click');
  assert.deepEqual([click.selector, click.ex, click.ey], ['a#none', 0, 0], 'what has no extent has no far corner');
  const other = await page.context().browser()?.newPage();
  assert.ok(other);
  await other.goto(url);
  const session = await other.context().newCDPSession(other);
  const at = { x: 50, y: 420, button: 'left', clickCount: 1 } as const;
  const send = (type: 'mousePressed' | 'mouseReleased') => session.send('Input.dispatchMouseEvent', { type, ...at });
  await Promise.all([
    send('mousePressed'),
    send('mouseReleased'),
    send('mousePressed'),
    send('mouseReleased'),
    stream.next('join'),
  ]);
  assert.deepEqual(await clicksAt(other, stream, []), ['input#in', 'input#in'], 'two clicks while the page is busy');
  await other.close();
});

test('continues if the page clears all timers, wraps WebSocket or history, or has no sendBeacon', async (t) => {
  const { url, stream, page } = await startSite(t, { '/': '<p id=end></p>' });
  await page.addInitScript(WRAPPED);
  await page.goto(url);
  const { visitor } = await stream.next('join');
  const again = page.waitForEvent('websocket');
  await page.evaluate('sockets[0].close()');
  await again;
  await page.evaluate(LATER);
  assert.equal(await page.title(), 'called', 'who wraps it later is called');
  assert.equal((await stream.next('page')).page, '/next');
  const isTold = () => samplesOf(stream.events).some(([, , x]) => x > 10);
  const deadline = Date.now() + 15_000;
  for (let i = 10; !isTold() && Date.now() < deadline; i++) await page.mouse.move(i % 500, 10);
  assert.ok(isTold(), 'moves after the timers were cleared');
  assert.deepEqual(await clicksAt(page, stream, [[900, 600]]), ['html']);
  // The page's own listener is called after that of the script.
  await page.evaluate(() => addEventListener('click', () => window.fieldmouse?.stop()));
  await page.mouse.click(700, 500);
  assert.equal((await stream.next('click')).x, 700, 'the click that stops it');
  assert.equal((await stream.next('leave')).v, visitor.v);
});
