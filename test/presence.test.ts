import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import { WebSocket } from 'ws';
import type { Passage } from '../src/model/visit.ts';
import { CLOSE } from '../src/protocol/close.ts';
import type { HelloReply } from '../src/protocol/control.ts';
import { packFrames } from '../src/protocol/encode.ts';
import { until } from './support/exact.ts';
import { FILE } from './support/owner.ts';
import { startServer } from './support/server.ts';
import { StreamReader } from './support/stream.ts';
import { BinaryVisitor, byeFrame, helloFrame, JsonVisitor, samplesFrame, spread } from './support/visitor.ts';

const server = await startServer(FILE);

test('a visitor that never moves is shown', async (t) => {
  const site = await server.newSite();
  const stream = await StreamReader.open(t, server, { site });
  const visitor = new BinaryVisitor(t, server.ws, { site });
  const { visitor: id } = await visitor.hello;
  assert.equal((await stream.next('join')).visitor.id, id);
});

test('a disconnected visitor that returns in time neither leaves nor joins', async (t) => {
  const site = await server.newSite();
  const stream = await StreamReader.open(t, server, { site, moves: 'full' });
  const visitor = new BinaryVisitor(t, server.ws, { site });
  const { token, visitor: id } = await visitor.hello;
  const { visitor: card } = await stream.next('join');
  visitor.frame({ type: 'move', time: 1, x: 1, y: 1 });
  await stream.next('moves');
  visitor.socket.terminate();
  const again = new BinaryVisitor(t, server.ws, { site, token, last: visitor.n });
  const hello = await again.hello;
  // What is stored of it is not asked for; it sends again what was not acked.
  assert.deepEqual([hello.visitor, hello.n], [id, 0]);
  again.frame({ type: 'move', time: 2, x: 2, y: 2 });
  const moves = await stream.next('moves');
  assert.equal(moves.m[0], card.v);
  assert.ok(stream.events.every(({ name }) => name !== 'leave' && name !== 'join'));
});

test('a json visitor resumes with the token it was given', async (t) => {
  const site = await server.newSite();
  const first = new JsonVisitor(t, server.ws, { site });
  const { token, visitor } = await first.hello;
  first.socket.terminate();
  const again = new JsonVisitor(t, server.ws, { site, token });
  assert.equal((await again.hello).visitor, visitor);
});

test('a disconnected visitor that does not return leaves as lost after the grace period', async (t) => {
  const server = await startServer(t, { workers: 1, flags: ['--grace', '300'] });
  const stream = await StreamReader.open(t, server, { site: 'demo' });
  const visitor = new BinaryVisitor(t, server.ws);
  await visitor.hello;
  visitor.socket.terminate();
  assert.equal((await stream.next('leave')).reason, 'lost');
});

test('a later connection takes the visitor over, and the earlier connection is told so', async (t) => {
  const site = await server.newSite();
  const visitor = new BinaryVisitor(t, server.ws, { site });
  const { token, visitor: id } = await visitor.hello;
  visitor.frame({ type: 'move', time: 1, x: 1, y: 1 });
  const closed = once(visitor.socket, 'close');
  const again = new BinaryVisitor(t, server.ws, { site, token });
  const hello = await again.hello;
  assert.equal(hello.visitor, id);
  assert.ok(hello.n > visitor.n, 'a page that was loaded has numbers of its own');
  assert.equal((await closed)[0], CLOSE.takenOver);
});

test('a token that is forged, altered or from another site makes a new visitor', async (t) => {
  const site = await server.newSite();
  await server.api('/v1/sites', {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ key: 'other', name: 'Other', origins: [] }),
  });
  const visitor = new BinaryVisitor(t, server.ws, { site });
  const { token, visitor: id } = await visitor.hello;
  const altered = `${'A'.repeat(22)}${token.slice(22)}`;
  for (const [key, bad] of [
    [site, altered],
    [site, 'x.y.z'],
    ['other', token],
  ] as const) {
    const thief = new BinaryVisitor(t, server.ws, { site: key, token: bad });
    assert.notEqual((await thief.hello).visitor, id);
  }
  assert.equal(visitor.socket.readyState, visitor.socket.OPEN);
});

test('a beacon carries the last frames and ends the visit, however long the grace period is', async (t) => {
  const server = await startServer(t, { workers: 1, flags: ['--grace', '60000'] });
  const stream = await StreamReader.open(t, server, { site: 'demo', moves: 'full' });
  const visitor = new BinaryVisitor(t, server.ws);
  const { token } = await visitor.hello;
  const n = visitor.frame({ type: 'move', time: 1, x: 1, y: 1 });
  await stream.next('moves');
  const frames = [
    helloFrame({ token, last: n + 1 }),
    samplesFrame(n, [{ type: 'move', time: 1, x: 1, y: 1 }]),
    samplesFrame(n + 1, [{ type: 'move', time: 9, x: 2, y: 2 }]),
    byeFrame(),
  ];
  const body = Uint8Array.from(packFrames(frames.map((frame) => [...frame])));
  const response = await fetch(`${server.url}/v1/visit?site=demo&page=/`, {
    method: 'POST',
    headers: { 'content-type': 'text/plain' },
    body,
  });
  assert.equal(response.status, 200);
  assert.equal(((await response.json()) as { n: number }).n, n + 1);
  const moves = await stream.next('moves');
  assert.deepEqual(moves.m.slice(-2), [2, 2]);
  const leave = await stream.next('leave');
  assert.equal(leave.reason, 'closed');
});

test('the last frames of a page that arrive after the next page’s socket are stored, and the visitor stays on the next page', async (t) => {
  const site = await server.newSite();
  const stream = await StreamReader.open(t, server, { site, moves: 'full' });
  const lastClick = { type: 'click', time: 5, x: 1, y: 2, button: 0, ex: 0, ey: 0, selector: '#last' } as const;
  const pick = ({ visitor, token, n }: HelloReply) => ({ visitor, token, n });
  // On both workers, whichever a connection comes to.
  for (let i = 0; i < 6; i++) {
    const first = new BinaryVisitor(t, server.ws, { site });
    const { token, visitor } = await first.hello;
    const next = new BinaryVisitor(t, server.ws, { site, token, page: '/next' });
    assert.equal((await next.hello).visitor, visitor);
    for (let k = 0; k < 4; k++) {
      const frames = [helloFrame({ token, page: '/first', last: 2 }), samplesFrame(2, [lastClick]), byeFrame()];
      const body = Uint8Array.from(packFrames(frames.map((frame) => [...frame])));
      const headers = { 'content-type': 'text/plain', connection: 'close' };
      const late = await fetch(`${server.url}/v1/visit?site=${site}`, { method: 'POST', headers, body });
      assert.equal(late.status, 200);
      assert.deepEqual(pick(await late.json()), { visitor, token: '', n: 2 });
    }
    const { passages } = await (await server.api(`/v1/visits/${visitor}/passages`)).json();
    const clicks = passages.flatMap((passage: Passage) => passage.clicks.map(() => passage.page));
    assert.deepEqual(clicks, ['/first']);
    const { visitor: joined } = await stream.next('join', (event) => event.visitor.id === visitor);
    next.frame({ type: 'move', time: 1, x: 70 + i, y: 2 });
    await stream.next('moves', ({ m }) => m[0] === joined.v && m.at(-2) === 70 + i);
    next.bye();
    const { reason } = await stream.next('leave', ({ v }) => v === joined.v);
    assert.equal(reason, 'closed');
  }
});

test('the last action of a visitor is shown before it leaves', async (t) => {
  const site = await server.newSite();
  const stream = await StreamReader.open(t, server, { site, moves: 'full' });
  await stream.next('snapshot');
  const visitor = new JsonVisitor(t, server.ws, { site });
  await visitor.hello;
  visitor.send({ x: 11, y: 22 });
  visitor.socket.send('not JSON');
  await stream.until(() => stream.events.find(({ name }) => name === 'leave'));
  assert.deepEqual(
    stream.events.map(({ name }) => name).filter((name) => name !== 'rates'),
    ['join', 'moves', 'leave'],
  );
});

test('visitors use only POST where WebSocket is blocked', async (t) => {
  const site = await server.newSite();
  const stream = await StreamReader.open(t, server, { site, moves: 'full' });
  let token = '';
  // The first frame of a page is its second: the first is that it was loaded.
  for (let n = 2; n <= 6; n++) {
    const frames = [
      helloFrame({ token, page: '/post', last: token ? n - 1 : 0 }),
      samplesFrame(n, [{ type: 'move', time: n, x: n, y: n }]),
    ];
    const body = Uint8Array.from(packFrames(frames.map((frame) => [...frame])));
    const response = await fetch(`${server.url}/v1/visit?site=${site}`, {
      method: 'POST',
      headers: { 'content-type': 'text/plain' },
      body,
    });
    const reply = (await response.json()) as { token: string; n: number };
    assert.equal(reply.n, n);
    token = reply.token;
    const moves = await stream.next('moves', ({ m }) => m.length > 0);
    assert.deepEqual(moves.m.slice(-2), [n, n]);
  }
  assert.equal(stream.events.filter(({ name }) => name === 'join').length, 0);
});

test('a dead worker’s visitors leave unless they return', async (t) => {
  const server = await startServer(t, { flags: ['--grace', '1500'], workers: 2 });
  const stream = await StreamReader.open(t, server, { site: 'demo' });
  const visitors = await spread(12, async () => {
    const visitor = new BinaryVisitor(t, server.ws);
    await visitor.hello;
    return visitor;
  });
  const hellos = await Promise.all(visitors.map(({ hello }) => hello));
  const numbers = new Map<string, number>();
  for (let i = 0; i < visitors.length; i++) {
    const { visitor } = await stream.next('join');
    numbers.set(visitor.id, visitor.v);
  }
  const closes = visitors.map(({ socket }, i) => once(socket, 'close').then(() => i));
  process.kill(server.workerPids()[0] as number, 'SIGKILL');
  const back = await Promise.race(closes);
  const again = new BinaryVisitor(t, server.ws, { token: hellos[back]?.token ?? '' });
  assert.equal((await again.hello).visitor, hellos[back]?.visitor);
  const dead = hellos.filter((_, i) => i !== back && visitors[i]?.socket.readyState !== WebSocket.OPEN);
  const left: number[] = [];
  for (const _ of dead) {
    const { v, reason } = await stream.next('leave');
    assert.equal(reason, 'lost');
    left.push(v);
  }
  assert.deepEqual(left.sort(), dead.map(({ visitor }) => numbers.get(visitor)).sort());
  const { visitors: here } = await (await StreamReader.open(t, server, { site: 'demo' })).next('snapshot');
  assert.equal(here.length, 12 - dead.length);
  assert.ok(here.some(({ id }) => id === hellos[back]?.visitor));
});

test('of many connections with one token exactly one stays and is shown', async (t) => {
  const site = await server.newSite();
  const stream = await StreamReader.open(t, server, { site });
  const first = new BinaryVisitor(t, server.ws, { site });
  const { token, visitor: id } = await first.hello;
  const others = Array.from({ length: 8 }, () => new BinaryVisitor(t, server.ws, { site, token }));
  await Promise.allSettled(others.map(({ hello }) => hello));
  const isOpen = ({ socket }: BinaryVisitor) => socket.readyState === WebSocket.OPEN;
  // Those that lost it are closed once all that they sent is stored and acked.
  await until(() => [first, ...others].filter(isOpen).length === 1, 'end of the others');
  await stream.next('rates');
  const open = [first, ...others].filter(isOpen);
  assert.equal(open.length, 1);
  const { visitors } = await (await StreamReader.open(t, server, { site })).next('snapshot');
  assert.deepEqual(
    visitors.map((one) => one.id),
    [id],
  );
  open[0]?.socket.close(1000);
  await stream.next('leave');
});

test('each page of a visitor has higher numbers than its earlier pages', async (t) => {
  const server = await startServer(t, { workers: 2, flags: ['--grace', '0'] });
  let token = '';
  let last = 0;
  for (let i = 0; i < 20; i++) {
    const page = new BinaryVisitor(t, server.ws, { token, page: `/${i}` });
    const hello = await page.hello;
    assert.ok(hello.n > last, `${hello.n} > ${last}`);
    ({ token } = hello);
    for (let k = 0; k < 5; k++) last = page.frame({ type: 'move', time: k, x: i, y: k });
    // Half of them are gone from the primary's memory before the next one comes.
    const closed = once(page.socket, 'close');
    if (i % 2 === 0) page.bye();
    else page.socket.terminate();
    await closed;
  }
});

test('a page that uses only POST and is reloaded is shown as another page', async () => {
  const site = await server.newSite();
  let token = '';
  let visitor = '';
  let last = 0;
  for (const page of ['/one', '/two', '/two']) {
    const frames = [helloFrame({ token, page })].map((frame) => [...frame]);
    const headers = { 'content-type': 'text/plain' };
    const url = `${server.url}/v1/visit?site=${site}`;
    const response = await fetch(url, { method: 'POST', headers, body: Uint8Array.from(packFrames(frames)) });
    const reply = (await response.json()) as { token: string; visitor: string; n: number };
    assert.ok(reply.n > last);
    ({ token, visitor, n: last } = reply);
  }
  const visit = (await (await server.api(`/v1/visits/${visitor}`)).json()) as { stays: { page: string }[] };
  assert.deepEqual(
    visit.stays.map(({ page }) => page),
    ['/one', '/two', '/two'],
  );
});

test('frames numbered for a visitor whose token is lost are stored once, for the new visitor', async () => {
  const site = await server.newSite();
  const clickNo = (k: number) =>
    ({ type: 'click', time: k, x: k, y: 2, button: 0, ex: 0, ey: 0, selector: `#c${k}` }) as const;
  const post = async (...frames: Uint8Array[]) => {
    const body = Uint8Array.from(packFrames(frames.map((frame) => [...frame])));
    return fetch(`${server.url}/v1/visit?site=${site}`, {
      method: 'POST',
      headers: { 'content-type': 'text/plain' },
      body,
    });
  };
  for (const token of ['', 'none.of.ours.at-all']) {
    const answer = await post(
      helloFrame({ token, last: 9 }),
      samplesFrame(8, [clickNo(1)]),
      samplesFrame(9, [clickNo(2)]),
    );
    assert.equal(answer.status, 200);
    const { visitor, n, token: given } = (await answer.json()) as HelloReply;
    const again = await post(
      helloFrame({ token: given, last: n + 2 }),
      samplesFrame(n + 1, [clickNo(1)]),
      samplesFrame(n + 2, [clickNo(2)]),
    );
    assert.equal(((await again.json()) as HelloReply).n, n + 2);
    const { passages } = await (await server.api(`/v1/visits/${visitor}/passages`)).json();
    assert.equal(passages.flatMap((passage: Passage) => passage.clicks).length, 2);
    const last = await post(helloFrame({ token, last: 9 }), samplesFrame(9, [clickNo(2)]), byeFrame());
    assert.equal(last.status, 409);
    assert.equal(((await last.json()) as { code: string }).code, 'unknown-visitor');
  }
});

test('a page whose visitor is taken over is told first which frames are stored', async (t) => {
  const site = await server.newSite();
  for (let i = 0; i < 4; i++) {
    const first = new BinaryVisitor(t, server.ws, { site });
    const { token } = await first.hello;
    const closed = once(first.socket, 'close');
    // Taken and not committed yet when the visitor goes.
    const n = first.frame({ type: 'move', time: 1, x: 1, y: 1 });
    const second = new BinaryVisitor(t, server.ws, { site, token });
    await second.hello;
    assert.equal((await closed)[0], CLOSE.takenOver);
    assert.equal(first.acked, n);
    second.bye();
  }
});
