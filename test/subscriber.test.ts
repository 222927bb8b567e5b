import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { type TestContext, test } from 'node:test';
import { Subscriber } from '../src/hub/subscriber.ts';

const REQUEST = {
  site: 's',
  page: null,
  visitor: null,
  stage: null,
  moves: 'full',
  lastEventId: null,
  credential: 'c',
  holders: ['c'],
  checked: true,
  made: 0,
} as const;
const SECOND = 1000;

/** A stream to a reader that has not read anything, with more written than the kernel takes. */
async function stalled(t: TestContext): Promise<{ subscriber: Subscriber; socket: Socket; reader: Socket }> {
  const server = createServer({ pauseOnConnect: true }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const reader = connect((server.address() as AddressInfo).port, '127.0.0.1').pause();
  const [socket] = (await once(server, 'connection')) as [Socket];
  t.after(() => {
    socket.destroy();
    reader.destroy();
    server.close();
  });
  const subscriber = new Subscriber(socket, REQUEST, { restart() {}, caughtUp() {}, closed() {} });
  // In one write, of which the kernel takes a part.
  subscriber.writeInitial(Buffer.alloc(32 * 1024 * 1024));
  await new Promise(setImmediate);
  assert.ok(socket.writableLength > 0);
  return { subscriber, socket, reader };
}

test('a reader that accepts no data for 30 s is evicted', async (t) => {
  const { subscriber, socket } = await stalled(t);
  for (let now = 0; now < 30; now++) subscriber.evictIfStuck(now * SECOND);
  assert.ok(!socket.destroyed);
  subscriber.evictIfStuck(30 * SECOND);
  assert.ok(socket.destroyed);
});

test('a slow reader that accepts part of a long write now and then is not evicted', async (t) => {
  const { subscriber, socket, reader } = await stalled(t);
  for (let now = 0; now < 100; now++) {
    subscriber.evictIfStuck(now * SECOND);
    if (now % 25 !== 24) continue;
    const before = (socket as Socket & { _handle: { writeQueueSize: number } })._handle.writeQueueSize;
    reader.resume();
    while ((socket as Socket & { _handle: { writeQueueSize: number } })._handle.writeQueueSize === before)
      await new Promise(setImmediate);
    reader.pause();
  }
  assert.ok(!socket.destroyed && socket.writableLength > 0);
});

test('a reader that has read everything is not evicted, however long nothing is written', async (t) => {
  const { subscriber, socket, reader } = await stalled(t);
  subscriber.evictIfStuck(0);
  reader.resume();
  while (socket.writableLength > 0) await new Promise(setImmediate);
  for (let now = 0; now < 100; now++) subscriber.evictIfStuck(now * SECOND);
  assert.ok(!socket.destroyed);
});
