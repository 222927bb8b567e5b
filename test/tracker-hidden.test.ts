/** Pages where WebSockets are blocked: they leave when hidden, join when shown, and are silent while idle. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { packFrames } from '../src/protocol/encode.ts';
import { READ_BYTES, splitFrames } from '../src/protocol/frame.ts';
import { startTabs } from './support/background-tab.ts';
import { until } from './support/exact.ts';
import { startServer } from './support/server.ts';
import { startSite } from './support/site.ts';
import { StreamReader } from './support/stream.ts';
import { byeFrame, helloFrame, samplesFrame } from './support/visitor.ts';

/** `http:` does not stand for WebSockets. */
const NO_SOCKETS = '<meta http-equiv=content-security-policy content="connect-src http:"><p id=end></p>';

test('a hidden page that uses POST says bye with its last frames, and returns when it is shown', async (t) => {
  const { url, stream } = await startSite(t, { '/': NO_SOCKETS });
  const browser = await startTabs(t);
  const tab = await browser.open(url, false);
  const { visitor } = await stream.next('join');
  await tab.click(111, 112);
  assert.equal((await stream.next('click')).x, 111);
  await tab.click(121, 122);
  await browser.open('about:blank', false);
  assert.equal(await tab.evaluate('document.hidden'), true);
  assert.equal((await stream.next('click')).x, 121);
  assert.deepEqual(await stream.next('leave').then(({ v, reason }) => [v, reason]), [visitor.v, 'closed']);
  await tab.show();
  assert.equal((await stream.next('join')).visitor.id, visitor.id);
  await tab.click(131, 132);
  await stream.next('click', ({ x }) => x === 131);
});

test('a page opened in the background without WebSockets joins when it is shown', async (t) => {
  const { url, server, stream } = await startSite(t, { '/hidden': NO_SOCKETS, '/shown': NO_SOCKETS, '/free': '' });
  const browser = await startTabs(t);
  const hidden = await browser.open(`${url}/hidden`, true);
  // Opened later, it joins first: both try by POST in their third attempt.
  await browser.open(`${url}/shown`, false);
  assert.equal((await stream.next('join')).visitor.page, '/shown');
  assert.equal(await hidden.evaluate('document.hidden'), true);
  await browser.open(`${url}/free`, true);
  assert.equal((await stream.next('join')).visitor.page, '/free', 'over a WebSocket a hidden page is there');
  await hidden.show();
  assert.equal((await stream.next('join')).visitor.page, '/hidden');
  await hidden.click(211, 212);
  assert.equal((await stream.next('click')).x, 211);
  assert.equal(server.workerPids().length, 1);
});

test('an idle page posts only that it is open', async (t) => {
  const { url, stream, page } = await startSite(t, { '/': NO_SOCKETS });
  /** How many frames were in each POST. */
  const posts: number[] = [];
  await page.route(/\/v1\/visit/, async (route) => {
    posts.push(splitFrames(route.request().postDataBuffer() ?? Buffer.alloc(0), READ_BYTES).length - 1);
    const response = await route.fetch();
    // As where nobody looks on, however busy the server is.
    await route.fulfill({ response, json: { ...(await response.json()), flushMs: 1000 } });
  });
  await page.goto(url);
  await until(() => posts.slice(-2).join() === '1,0', 'a POST without frames');
  await page.mouse.click(50, 50);
  await stream.next('click');
  posts.length = 0;
  await until(() => posts.length >= 3, 'three POSTs');
  await page.unrouteAll({ behavior: 'ignoreErrors' });
  assert.equal(posts.slice(1, 3).join(), '0,0', `frames in each POST: ${posts}`);
});

test('a bye by POST stores the frames before it, ends the visit once, and is answered with the stored number', async (t) => {
  const server = await startServer(t, { workers: 2 });
  const stream = await StreamReader.open(t, server, { site: 'demo' });
  const post = async (...frames: Uint8Array[]) => {
    const body = Uint8Array.from(packFrames(frames.map((frame) => [...frame])));
    const response = await fetch(`${server.url}/v1/visit?site=demo&page=/`, { method: 'POST', body });
    return (await response.json()) as { visitor: string; token: string; n: number };
  };
  const { visitor, token, n } = await post(helloFrame());
  const click = { type: 'click', x: 7, y: 1, time: 1, button: 0, ex: 0, ey: 0, selector: '' } as const;
  const hello = helloFrame({ token, last: n + 1 });
  const last = samplesFrame(n + 1, [click]);
  const parting = await post(hello, last, byeFrame());
  assert.deepEqual([parting.visitor, parting.n], [visitor, n + 1]);
  assert.equal((await stream.next('click')).x, 7);
  assert.equal((await stream.next('leave')).reason, 'closed');
  const back = await post(hello, last);
  assert.deepEqual([back.visitor, back.n], [visitor, n + 1], 'what the bye had is not taken again');
  assert.equal((await stream.next('join')).visitor.id, visitor);
  await stream.next('rates');
  assert.ok(!stream.events.some(({ name }) => name === 'click'), 'nor is it shown again');
});
