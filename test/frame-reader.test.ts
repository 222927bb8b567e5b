import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { type AddressInfo, connect, Socket } from 'node:net';
import { type TestContext, test } from 'node:test';
import fc from 'fast-check';
import { type WebSocket, WebSocketServer } from 'ws';
import { acceptWebSocket } from '../src/ingest/accept.ts';
import { FrameReader } from '../src/ingest/frame-reader.ts';
import { VisitorSocket } from '../src/ingest/visitor-socket.ts';

const MAX_PAYLOAD = 300;

interface Frame {
  /** First byte of the head: FIN, RSV and opcode. */
  first: number;
  payload: Buffer;
  mask: Buffer;
}

function encode({ first, payload, mask }: Frame): Buffer {
  const long = payload.length > 125;
  const head = long
    ? Buffer.from([first, 0x80 | 126, payload.length >> 8, payload.length & 255])
    : Buffer.from([first, 0x80 | payload.length]);
  return Buffer.concat([head, mask, payload.map((byte, i) => byte ^ (mask[i % 4] as number))]);
}

/** Cuts bytes into chunks of the sizes given, again and again. */
function cut(bytes: Buffer, sizes: readonly number[]): Buffer[] {
  const chunks: Buffer[] = [];
  for (let at = 0, i = 0; at < bytes.length; i++) {
    const size = sizes[i % sizes.length] as number;
    chunks.push(Buffer.from(bytes.subarray(at, at + size)));
    at += size;
  }
  return chunks;
}

/** Where `cut` cuts so many bytes. */
function boundaries(sizes: readonly number[], length: number): number[] {
  const all: number[] = [];
  for (let at = 0, i = 0; at < length; i++) {
    at += sizes[i % sizes.length] as number;
    all.push(at);
  }
  return all;
}

const payload = (most: number) => fc.uint8Array({ maxLength: most }).map((bytes) => Buffer.from(bytes));
const mask = fc.uint8Array({ minLength: 4, maxLength: 4 }).map((bytes) => Buffer.from(bytes));
const whole = fc.record({ first: fc.constantFrom(0x81, 0x82), payload: payload(MAX_PAYLOAD + 40), mask });
const ping = fc.record({ first: fc.constantFrom(0x89, 0x8a), payload: payload(20), mask });
/** A message in pieces, with a ping in between. */
const fragmented = fc
  .tuple(fc.constantFrom(1, 2), payload(40), ping, payload(40), mask)
  .map(([opcode, a, between, b, key]): Frame[] => [
    { first: opcode, payload: a, mask: key },
    between,
    { first: 0x80, payload: b, mask: key },
  ]);
const frames = fc
  .array(
    fc.oneof(
      whole.map((one) => [one]),
      ping.map((one) => [one]),
      fragmented,
    ),
    { maxLength: 12 },
  )
  // A number makes each another, so that it can be told which were taken.
  .map((all) => all.flat().map((one, i) => ({ ...one, payload: Buffer.concat([Buffer.from([i]), one.payload]) })));

/** A reader that keeps what it leaves to ws in `passed`. */
function readerTo(passed: Buffer[], onFrame: (payload: Buffer, isBinary: boolean) => void): FrameReader {
  const reader = new FrameReader(MAX_PAYLOAD);
  const socket = new Socket();
  socket.on('data', (bytes) => passed.push(bytes));
  reader.open(socket, {
    take: (bytes, from, to, isBinary) => onFrame(Buffer.from(bytes.subarray(from, to)), isBinary),
  });
  return reader;
}

test('reads whole data frames and leaves everything else to ws, byte by byte, in chunks of any size', () => {
  fc.assert(
    fc.property(frames, fc.array(fc.integer({ min: 1, max: 700 }), { minLength: 1 }), (sent, sizes) => {
      const taken: { payload: Buffer; isBinary: boolean }[] = [];
      const passed: Buffer[] = [];
      const reader = readerTo(passed, (payload, isBinary) => taken.push({ payload, isBinary }));
      for (const chunk of cut(Buffer.concat(sent.map(encode)), sizes)) reader.read(chunk, chunk.length);

      // What was taken is a part of what was sent, in order; without it, what was passed on is the rest.
      const cuts = boundaries(sizes, Buffer.concat(sent.map(encode)).length);
      const rest: Frame[] = [];
      let at = 0;
      for (const frame of sent) {
        const end = at + encode(frame).length;
        const [next] = taken;
        if (next?.payload.equals(frame.payload) && frame.first === (next.isBinary ? 0x82 : 0x81)) taken.shift();
        else {
          rest.push(frame);
          const isWhole = !cuts.some((one) => at < one && one < end);
          assert.ok(!isWhole || frame.payload.length > MAX_PAYLOAD || (frame.first !== 0x81 && frame.first !== 0x82));
        }
        at = end;
      }
      assert.equal(taken.length, 0);
      assert.deepEqual(Buffer.concat(passed), Buffer.concat(rest.map(encode)));
    }),
  );
});

test('reads every whole frame of one chunk', () => {
  fc.assert(
    fc.property(fc.array(whole), (sent) => {
      const small = sent.filter(({ payload: { length } }) => length <= MAX_PAYLOAD);
      const got: Buffer[] = [];
      const passed: Buffer[] = [];
      const reader = readerTo(passed, (payload) => got.push(payload));
      const bytes = Buffer.concat(small.map(encode));
      reader.read(bytes, bytes.length);
      assert.deepEqual(
        got,
        small.map((frame) => frame.payload),
      );
    }),
  );
});

/** A real ws server whose sockets are read here, and a client that says bytes; `early` comes with the request. */
async function connected(t: TestContext, early: Buffer = Buffer.alloc(0)) {
  const server = createServer().listen(0, '127.0.0.1');
  const sockets = new WebSocketServer({ noServer: true, WebSocket: VisitorSocket, maxPayload: MAX_PAYLOAD });
  await once(server, 'listening');
  const seen: string[] = [];
  const rest: string[] = [];
  const accepted = new Promise<WebSocket>((resolve) => {
    server.on('upgrade', async (request, old, head) => {
      // As when a site is looked up first: more comes meanwhile.
      await new Promise(setImmediate);
      const take = (bytes: Buffer, from: number, to: number) => void seen.push(bytes.toString('utf8', from, to));
      const open = (socket: WebSocket) => {
        resolve(socket);
        return { take };
      };
      assert.ok(acceptWebSocket(sockets, { request, socket: old, head }, MAX_PAYLOAD, { moved() {}, open }));
    });
  });
  const client = connect((server.address() as AddressInfo).port, '127.0.0.1');
  t.after(() => {
    client.destroy();
    server.close();
  });
  const head =
    'GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n';
  client.write(Buffer.concat([Buffer.from(head), early]));
  const socket = await accepted;
  socket.on('message', (data) => rest.push(String(data)));
  socket.on('error', () => {});
  return { client, socket, seen, rest };
}

const KEY = Buffer.from([1, 2, 3, 4]);
const text = (words: string, first = 0x81): Buffer => encode({ first, payload: Buffer.from(words), mask: KEY });

test('works inside the installed ws, which handles fragments, pings and the closing handshake', async (t) => {
  const { client, socket, seen, rest } = await connected(t);
  const pinged = once(socket, 'ping');
  const closed = once(socket, 'close');
  const split = text('in two');
  client.write(
    Buffer.concat([text('whole'), text('frag', 0x01), text('', 0x89), text('ments', 0x80), split.subarray(0, 5)]),
  );
  await pinged;
  // Who reads nothing does not see the end either, and ws waits 30 s for its own.
  client.resume();
  client.write(
    Buffer.concat([
      split.subarray(5),
      text('after'),
      encode({ first: 0x88, payload: Buffer.from([3, 232]), mask: KEY }),
      text('too late'),
    ]),
  );
  const [code] = await closed;
  assert.equal(code, 1000);
  assert.deepEqual(seen, ['whole', 'after']);
  assert.deepEqual(rest, ['fragments', 'in two']);
});

test('reads the bytes that came with the request, stops while paused, and writes unchanged', async (t) => {
  const { client, socket, seen } = await connected(t, Buffer.concat([text('first'), text('second').subarray(0, 3)]));
  assert.deepEqual(seen, ['first']);
  client.write(text('second').subarray(3));
  await once(socket, 'message');
  socket.pause();
  client.write(text('later'));
  const heard = once(client, 'data');
  socket.send('x'.repeat(100));
  // The answer's way round the loop is longer than that of a frame that was not held back.
  await heard;
  assert.deepEqual(seen, ['first']);
  socket.resume();
  while (seen.length < 2) await new Promise(setImmediate);
  assert.deepEqual(seen, ['first', 'later']);
  const closed = once(socket, 'close');
  client.destroy();
  assert.equal((await closed)[0], 1006);
});

for (const [what, bytes, wanted] of [
  ['a frame without a mask', Buffer.from([0x81, 1, 65]), 1002],
  ['a reserved bit', text('x', 0xc1), 1002],
  ['a reserved opcode', text('x', 0x83), 1002],
  ['a continuation of nothing', text('x', 0x80), 1002],
  ['a second message among fragments', Buffer.concat([text('x', 0x01), text('y')]), 1002],
  ['a frame above the limit', text('x'.repeat(MAX_PAYLOAD + 1)), 1009],
  ['a length of eight bytes', Buffer.from([0x82, 0xff, 0, 0, 0, 1, 0, 0, 0, 0, 1, 2, 3, 4]), 1009],
] as const)
  test(`leaves ${what} to ws, which closes with ${wanted}`, async (t) => {
    const { client, socket, seen } = await connected(t);
    let heard = Buffer.alloc(0);
    client.on('data', (chunk) => {
      heard = Buffer.concat([heard, chunk]);
    });
    const closed = new Promise((resolve) => socket.once('close', resolve));
    client.write(Buffer.concat([text('good'), bytes]));
    client.on('end', () => client.end());
    await closed;
    assert.deepEqual(seen, ['good']);
    const at = heard.indexOf(Buffer.from([0x88]), heard.indexOf('\r\n\r\n'));
    assert.equal(heard.readUInt16BE(at + 2), wanted);
  });
