import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect } from 'node:net';
import { type TestContext, test } from 'node:test';
import fc from 'fast-check';
import { WebSocket } from 'ws';
import { CLOSE } from '../src/protocol/close.ts';
import { packFrames } from '../src/protocol/encode.ts';
import { until } from './support/exact.ts';
import { FILE } from './support/owner.ts';
import { startServer, type TestServer } from './support/server.ts';
import { StreamReader, samplesOf } from './support/stream.ts';
import { BinaryVisitor, helloFrame, JsonVisitor, samplesFrame } from './support/visitor.ts';

const server = await startServer(FILE, { workers: 1 });
/** It allows a visitor few frames and bytes per second. */
const slow = await startServer(FILE, { workers: 1, flags: ['--max-frame-rate', '20', '--max-rate', '256'] });
/** Its limits were higher when trackers connected. */
const lowered = await startServer(FILE, { workers: 1, flags: ['--max-frame', '256', '--max-samples', '2'] });

function open(t: TestContext, server: TestServer, path: string, protocols: string[], origin?: string): WebSocket {
  const socket = new WebSocket(server.ws + path, protocols, origin ? { origin } : {});
  socket.on('error', () => {});
  t.after(() => socket.terminate());
  return socket;
}

/** The HTTP answer to an upgrade that is refused. */
async function refusal(socket: WebSocket): Promise<{ status: number; code: string; retryAfter: string | undefined }> {
  const [, response] = await once(socket, 'unexpected-response');
  let body = '';
  for await (const chunk of response) body += chunk;
  assert.equal(response.headers['content-type'], 'application/problem+json');
  return { status: response.statusCode, code: JSON.parse(body).code, retryAfter: response.headers['retry-after'] };
}

async function closeCode(socket: WebSocket): Promise<number> {
  return (await once(socket, 'close'))[0] as number;
}

const VISIT = '/v1/visit?site=demo&page=/';

test('a rejected upgrade is answered with a problem', async (t) => {
  const cases: [string, string[], string | undefined, number, string][] = [
    ['/v1/visit?site=nowhere', ['json'], undefined, 404, 'unknown-site'],
    ['/v1/visit', ['json'], undefined, 404, 'unknown-site'],
    ['/elsewhere?site=demo', ['json'], undefined, 404, 'not-found'],
    [VISIT, ['chat'], undefined, 400, 'bad-subprotocol'],
    [VISIT, ['json'], 'https://evil.example', 403, 'origin-not-allowed'],
    [VISIT, ['json'], `${server.url}.evil.example`, 403, 'origin-not-allowed'],
    [VISIT, ['json'], 'null', 403, 'origin-not-allowed'],
    [`/v1/visit?site=demo&page=/${'x'.repeat(2000)}`, ['json'], undefined, 400, 'bad-page'],
  ];
  for (const [path, protocols, origin, status, code] of cases) {
    const got = await refusal(open(t, server, path, protocols, origin));
    assert.deepEqual([got.status, got.code], [status, code], path);
  }
  const own = open(t, server, VISIT, ['json'], server.url);
  await once(own, 'open');
});

test('a connection that breaks the protocol is closed with the code that says why', async (t) => {
  const server = await startServer(t, { workers: 1, flags: ['--hello-timeout', '200'] });
  const pids = server.workerPids();
  const json = (text: string | Buffer) => async () => {
    const socket = open(t, server, VISIT, ['json']);
    await once(socket, 'message');
    const code = closeCode(socket);
    socket.send(text);
    return code;
  };
  const binary =
    (frame: Uint8Array, hello = true) =>
    async () => {
      const socket = open(t, server, VISIT, ['fieldmouse.v1']);
      await once(socket, 'open');
      const code = closeCode(socket);
      if (hello) {
        socket.send(helloFrame());
        await once(socket, 'message');
      }
      socket.send(frame);
      return code;
    };
  const samples = samplesFrame(1, [{ type: 'move', time: 5, x: 500, y: 500 }]);
  const cases: [string, () => Promise<number>, number][] = [
    ['broken JSON', json('{"x":1,'), CLOSE.badFrame],
    ['JSON of the wrong shape', json('{"x":"left"}'), CLOSE.badFrame],
    ['a number as text', json('42'), CLOSE.badFrame],
    ['infinite coordinates', json('{"x":1e400,"y":0}'), CLOSE.badFrame],
    ['bytes on a json connection', json(Buffer.from([1, 2, 3])), CLOSE.badFrame],
    ['too large a text', json(`[${'{"x":1,"y":1},'.repeat(2000)}{"x":1,"y":1}]`), CLOSE.tooBig],
    ['too many samples', json(`[${'[],'.repeat(5000)}[]]`), CLOSE.badFrame],
    ['garbage', binary(Uint8Array.from([255, 255, 255, 255, 255, 255, 255, 255])), CLOSE.badFrame],
    ['a frame cut short', binary(samples.subarray(0, samples.length - 1)), CLOSE.badFrame],
    ['an empty frame', binary(new Uint8Array(0)), CLOSE.badFrame],
    ['samples before hello', binary(samples, false), CLOSE.badFrame],
    ['a second hello', binary(helloFrame()), CLOSE.badFrame],
    ['too large a frame', binary(new Uint8Array(20_000)), CLOSE.tooBig],
    ['no hello', async () => closeCode(open(t, server, VISIT, ['fieldmouse.v1'])), CLOSE.helloTimeout],
  ];
  for (const [name, run, code] of cases) assert.equal(await run(), code, name);
  assert.deepEqual(server.workerPids(), pids);
});

test('text that is not UTF-8 is closed with 1007', async (t) => {
  const socket = open(t, server, VISIT, ['json']);
  await once(socket, 'message');
  const code = closeCode(socket);
  (socket as unknown as { _socket: { write(bytes: Buffer): void } })._socket.write(
    Buffer.from([0x81, 0x82, 0, 0, 0, 0, 0xc3, 0x28]),
  );
  assert.equal(await code, CLOSE.badPayload);
});

test('a visitor above the frame rate is disconnected, and others stay connected', async (t) => {
  const calm = new BinaryVisitor(t, slow.ws);
  await calm.hello;
  const flood = open(t, slow, VISIT, ['json']);
  await once(flood, 'message');
  const code = closeCode(flood);
  for (let i = 0; i < 200; i++) flood.send('{"x":1,"y":1}');
  assert.equal(await code, CLOSE.tooFast);
  assert.equal(calm.socket.readyState, WebSocket.OPEN);
});

test('a visitor that sends more bytes than allowed is disconnected, and others stay connected', async (t) => {
  const calm = new BinaryVisitor(t, slow.ws);
  await calm.hello;
  const flood = open(t, slow, VISIT, ['json']);
  await once(flood, 'message');
  const code = closeCode(flood);
  // 10 frames are far below the frame rate; their 10 KB are above a burst of 8 KB.
  for (let i = 0; i < 10; i++) flood.send(JSON.stringify({ x: 1, y: 1, label: 'x'.repeat(1000) }));
  assert.equal(await code, CLOSE.tooFast);
  assert.equal(calm.socket.readyState, WebSocket.OPEN);
});

test('an address that sends more bytes than allowed is rejected, however many connections it uses', async (t) => {
  const server = await startServer(t, { workers: 1, flags: ['--max-rate', '256', '--max-address-rate', '256'] });
  const body = JSON.stringify({ x: 1, y: 1, label: 'x'.repeat(1000) });
  let closed = 0;
  for (let tries = 0; closed === 0 && tries < 20; tries++) {
    const socket = open(t, server, VISIT, ['json']);
    await once(socket, 'message');
    socket.once('close', (code) => {
      if (code === CLOSE.tooFast) closed += 1;
    });
    for (let i = 0; i < 8; i++) socket.send(body);
    const ended = closeCode(socket);
    socket.close();
    await ended;
  }
  const post = () =>
    fetch(`${server.url}/v1/visit?site=demo`, {
      method: 'POST',
      body,
      headers: { 'content-type': 'application/json' },
    });
  const statuses = new Set<number>();
  // What is left, or has come back meanwhile, is less than a few POSTs.
  for (let i = 0; i < 100 && !statuses.has(429); i++) statuses.add((await post()).status);
  assert.ok(statuses.has(429), [...statuses].join());
});

test('connections above the limits are rejected with the time to try again', async (t) => {
  const server = await startServer(t, { workers: 1, flags: ['--max-per-address', '3', '--max-connections', '5'] });
  for (let i = 0; i < 3; i++) await once(open(t, server, VISIT, ['json']), 'message');
  const got = await refusal(open(t, server, VISIT, ['json']));
  assert.deepEqual([got.status, got.code, got.retryAfter], [429, 'address-full', '10']);
  const tight = await startServer(t, { workers: 1, flags: ['--max-connections', '1'] });
  const only = open(t, tight, VISIT, ['json']);
  await once(only, 'message');
  assert.deepEqual((await refusal(open(t, tight, VISIT, ['json']))).status, 503);
  const closed = once(only, 'close');
  only.close();
  await closed;
  const freed = open(t, tight, VISIT, ['json']);
  await once(freed, 'message');
});

test('bodies that are not frames are answered with a problem', async () => {
  const post = async (body: string | Uint8Array<ArrayBuffer>, type: string, query = 'site=demo') => {
    const response = await fetch(`${server.url}/v1/visit?${query}`, {
      method: 'POST',
      body,
      headers: { 'content-type': type },
    });
    const { code } = (await response.json()) as { code: string };
    return [response.status, code];
  };
  assert.deepEqual(await post('garbage', 'text/plain'), [400, 'truncated']);
  assert.deepEqual(await post('', 'text/plain'), [400, 'bad-type']);
  assert.deepEqual(await post(new Uint8Array([255, 255, 3]), 'text/plain'), [413, 'too-large']);
  assert.deepEqual(await post('{"x":', 'application/json'), [400, 'bad-json']);
  assert.deepEqual(await post('{"x":1,"y":1}', 'application/json', 'site=nowhere'), [404, 'unknown-site']);
  assert.equal((await post('{}', 'image/png'))[0], 415);
});

test('a frame above a lowered limit is acked but not stored, so its tracker continues', async (t) => {
  const stream = await StreamReader.open(t, lowered, { site: 'demo' });
  const clicks = (n: number, selector: string) =>
    Array.from(
      { length: n },
      () => ({ type: 'click', x: 1, y: 1, time: 1, button: 0, ex: 0, ey: 0, selector }) as const,
    );
  const page = `/${'p'.repeat(300)}`;
  const visitor = new BinaryVisitor(t, lowered.ws, { page });
  await visitor.hello;
  visitor.frame(...clicks(20, `large${'x'.repeat(50)}`));
  const last = visitor.frame(...clicks(1, 'small'));
  await until(() => visitor.acked === last, 'an ack');
  assert.equal((await stream.next('click')).selector, 'small');
  const body = packFrames(
    [
      helloFrame({ page }),
      samplesFrame(5, clicks(20, `large${'x'.repeat(50)}`)),
      samplesFrame(6, clicks(1, 'posted')),
    ].map((frame) => [...frame]),
  );
  const response = await fetch(`${lowered.url}${VISIT}`, { method: 'POST', body: Uint8Array.from(body) });
  assert.equal(((await response.json()) as { n: number }).n, 6);
  assert.equal((await stream.next('click')).selector, 'posted');
  const text = new JsonVisitor(t, lowered.ws);
  await text.hello;
  const code = closeCode(text.socket);
  text.send({ type: 'click', x: 1, y: 1, selector: 'x'.repeat(300) });
  assert.equal(await code, CLOSE.tooBig);
});

test('a lowered sample limit disconnects nobody: the allowed number of samples of each frame is stored', async (t) => {
  const stream = await StreamReader.open(t, lowered, { site: 'demo' });
  const moved = await StreamReader.open(t, lowered, { site: 'demo', moves: 'full' });
  const click = (selector: string) =>
    ({ type: 'click', x: 1, y: 1, time: 1, button: 0, ex: 0, ey: 0, selector }) as const;
  const moves = (x: number) => [1, 2, 3].map((i) => ({ type: 'move', x: x + i, y: 1, time: 1 }) as const);
  const visitor = new BinaryVisitor(t, lowered.ws);
  await visitor.hello;
  visitor.frame(click('a'), ...moves(10));
  const last = visitor.frame(click('b'), click('c'), click('d'), ...moves(20));
  await until(() => visitor.acked === last, 'an ack');
  const body = packFrames(
    [helloFrame(), samplesFrame(5, [...moves(30), click('e'), ...moves(40)])].map((frame) => [...frame]),
  );
  const response = await fetch(`${lowered.url}${VISIT}`, { method: 'POST', body: Uint8Array.from(body) });
  assert.equal(((await response.json()) as { n: number }).n, 5);
  const text = new JsonVisitor(t, lowered.ws);
  await text.hello;
  text.send([...moves(50), { type: 'click', x: 1, y: 1, selector: 'f' }]);
  const clicks: string[] = [];
  while (clicks.at(-1) !== 'f') clicks.push((await stream.next('click')).selector);
  const headers = { 'content-type': 'application/json' };
  const posted = JSON.stringify([...moves(60), { type: 'click', x: 1, y: 1, selector: 'g' }]);
  assert.equal((await fetch(`${lowered.url}${VISIT}`, { method: 'POST', headers, body: posted })).status, 200);
  clicks.push((await stream.next('click')).selector);
  assert.deepEqual(clicks, ['a', 'd', 'e', 'f', 'g'], 'the oldest go first');
  const ends = [13, 23, 43, 53, 63];
  const places = () => [...new Set(samplesOf(moved.events).map(([, , x]) => x))].filter((x) => x > 1).sort();
  await moved.until(() => ends.every((x) => places().includes(x)) || undefined, 'the last move of each frame');
  assert.deepEqual(places(), ends);
});

test('a visitor whose origin is no longer allowed is told the reason', async (t) => {
  const headers = { 'content-type': 'application/json' };
  const site = (origin: string) => JSON.stringify({ name: 'Moved', origins: [origin] });
  const made = JSON.stringify({ key: 'moved', name: 'Moved', origins: ['https://a.example'] });
  assert.equal((await server.api('/v1/sites', { method: 'POST', headers, body: made })).status, 201);
  const visitor = new JsonVisitor(t, server.ws, { site: 'moved', origin: 'https://a.example' });
  await visitor.hello;
  const closed = once(visitor.socket, 'close');
  const change = await server.api('/v1/sites/moved', { method: 'PUT', headers, body: site('https://b.example') });
  assert.equal(change.status, 200);
  const [code, reason] = await closed;
  assert.deepEqual([code, String(reason)], [CLOSE.siteGone, 'This site does not allow that origin any more.']);
});

test('frames before an invalid frame of a POST are stored, and a visitor admitted for them leaves', async (t) => {
  const site = await server.newSite();
  const stream = await StreamReader.open(t, server, { site });
  const click = { type: 'click', x: 1, y: 1, time: 1, button: 0, ex: 0, ey: 0, selector: 'good' } as const;
  const frames = [helloFrame(), samplesFrame(5, [click]), new Uint8Array([6 * 4 + 1, 0, 255])];
  const body = Uint8Array.from(packFrames(frames.map((frame) => [...frame])));
  const response = await fetch(`${server.url}/v1/visit?site=${site}`, { method: 'POST', body });
  assert.deepEqual([response.status, (await response.json()).code], [400, 'truncated']);
  assert.equal((await stream.next('click')).selector, 'good');
  assert.equal((await stream.next('leave')).reason, 'refused');
});

test('a visitor that floods marks is disconnected, and streams of other sites are unaffected', async (t) => {
  const server = await startServer(t, { workers: 1 });
  const site = JSON.stringify({ key: 'other', name: 'Other', origins: [] });
  await server.api('/v1/sites', { method: 'POST', headers: { 'content-type': 'application/json' }, body: site });
  const stream = await StreamReader.open(t, server, { site: 'other' });
  await stream.next('snapshot');
  const flood = new BinaryVisitor(t, server.ws);
  await flood.hello;
  const code = closeCode(flood.socket);
  const click = { type: 'click', x: 1, y: 1, time: 1, button: 0, ex: 0, ey: 0, selector: '' } as const;
  for (let i = 0; i < 5; i++) flood.frame(...Array.from({ length: 500 }, () => click));
  assert.equal(await code, CLOSE.tooFast);
  const body = `[${Array(1024).fill('{"type":"click","x":1,"y":1}').join(',')}]`;
  const post = () =>
    fetch(`${server.url}${VISIT}`, { method: 'POST', body, headers: { 'content-type': 'application/json' } });
  assert.equal((await post()).status, 429);
  await stream.next('rates');
  assert.ok(stream.events.every(({ name }) => name !== 'reset'));
});

test('a rejected client that stays connected is cut off', async (t) => {
  const server = await startServer(t, { workers: 1 });
  const socket = connect({ port: Number(new URL(server.url).port), host: '127.0.0.1', allowHalfOpen: true });
  socket.on('error', () => {});
  t.after(() => socket.destroy());
  socket.write(
    'GET /v1/visit?site=none HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: MDAwMDAwMDAwMDAwMDAwMA==\r\n\r\n',
  );
  socket.resume();
  await once(socket, 'end');
  const [pid] = server.workerPids();
  assert.ok(pid);
  assert.equal(await server.stop(), 0);
});

test('an upgrade to another protocol is ignored, and the request is answered', async (t) => {
  const socket = connect(Number(new URL(server.url).port), '127.0.0.1');
  t.after(() => socket.destroy());
  socket.write(
    'GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: x\r\n\r\n',
  );
  let text = '';
  for await (const chunk of socket) text += chunk;
  assert.match(text, /^HTTP\/1\.1 200 /);
});

test('ten thousand random frames disconnect only their senders', async (t) => {
  const server = await startServer(t, { workers: 1, flags: ['--max-frame-rate', '10000'] });
  const pids = server.workerPids();
  const stream = await StreamReader.open(t, server, { site: 'demo', moves: 'full' });
  await stream.next('snapshot');
  const good = new BinaryVisitor(t, server.ws);
  await good.hello;
  const { visitor } = await stream.next('join');
  const frames = fc.sample(fc.oneof(fc.uint8Array({ maxLength: 64 }), mutatedFrame()), { numRuns: 10_000, seed: 7 });
  let sent = 0;
  let bad: WebSocket | undefined;
  let x = 0;
  while (sent < frames.length) {
    if (bad?.readyState !== WebSocket.OPEN) {
      bad = open(t, server, VISIT, ['fieldmouse.v1']);
      await once(bad, 'open');
      bad.send(helloFrame());
      await once(bad, 'message');
    }
    // A burst per connection: the server takes what is valid, and closes at the first that is not.
    for (const frame of frames.slice(sent, sent + 50)) bad.send(frame);
    sent += 50;
    x += 1;
    good.frame({ type: 'move', time: x * 16, x, y: 0 });
  }
  const mine = await stream.until(() => {
    const own = samplesOf(stream.events).filter(([v]) => v === visitor.v);
    return own.length >= x ? own : undefined;
  });
  assert.deepEqual(
    mine.map(([, , one]) => one),
    Array.from({ length: x }, (_, i) => i + 1),
  );
  assert.deepEqual(server.workerPids(), pids);
  assert.equal(good.socket.readyState, WebSocket.OPEN);
});

/** A real frame with a few bytes changed. */
function mutatedFrame(): fc.Arbitrary<Uint8Array> {
  const real = samplesFrame(3, [
    { type: 'move', time: 100, x: 300, y: 400 },
    { type: 'click', time: 110, x: 301, y: 402, button: 0, ex: 5, ey: 6, selector: 'a.b' },
    { type: 'page', time: 120, page: '/next' },
    { type: 'resize', time: 130, vw: 800, vh: 600, dw: 800, dh: 900 },
  ]);
  return fc.array(fc.tuple(fc.nat(real.length - 1), fc.nat(255)), { minLength: 1, maxLength: 4 }).map((changes) => {
    const bytes = real.slice();
    for (const [at, value] of changes) bytes[at] = value;
    return bytes;
  });
}

test('raw bytes on the port get a response or a close, and the server keeps running', async () => {
  const port = Number(new URL(server.url).port);
  for (const bytes of [
    '\0\0\0\0',
    'GET\r\n\r\n',
    `GET /${'a'.repeat(100_000)} HTTP/1.1\r\n\r\n`,
    'POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n',
  ]) {
    const socket = connect(port, '127.0.0.1');
    socket.on('error', () => {});
    socket.resume();
    const closed = new Promise((resolve) => socket.once('close', resolve));
    socket.end(bytes);
    await closed;
  }
  assert.equal((await fetch(`${server.url}/healthz`)).status, 200);
});
