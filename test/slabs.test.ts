/** The memory of events is reused, but never while a reader still has unsent bytes in it. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { type TestContext, test } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import fc from 'fast-check';
import { EVERYBODY, FanOut } from '../src/hub/fan-out.ts';
import { Slabs } from '../src/hub/slabs.ts';

const MB = 2 ** 20;

test('bytes stay unchanged while they are stored, or while a reader has them unsent', () => {
  const step = fc.record({ size: fc.integer({ min: 1, max: 100_000 }), slow: fc.boolean(), settle: fc.boolean() });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 300 }), fc.integer({ min: 1, max: 20 }), (steps, most) => {
      const slabs = new Slabs<{ hasUnsent: boolean }>();
      const reader = { hasUnsent: false };
      const kept: [Buffer, string][] = [];
      let owed: [Buffer, string][] = [];
      for (const [i, { size, slow, settle }] of steps.entries()) {
        reader.hasUnsent = slow;
        if (!slow) owed = [];
        // What is settled while nothing is owed may be written over from then on.
        if (settle) slabs.settle([reader]);
        const text = `${i} ü `.repeat(Math.ceil(size / 5));
        const one: [Buffer, string] = [slabs.write(text), text];
        kept.push(one);
        if (slow) owed.push(one);
        if (kept.length > most) slabs.drop((kept.shift() as [Buffer, string])[0]);
        for (const [bytes, was] of [...kept, ...owed]) assert.ok(bytes.toString() === was);
      }
    }),
    { numRuns: 50 },
  );
});

/** A process that connects, and reads all it is sent. */
async function reader(t: TestContext): Promise<Socket> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const code = `require('net').connect(${(server.address() as AddressInfo).port}, '127.0.0.1').resume()`;
  const child = spawn(process.execPath, ['-e', code]);
  t.after(() => child.kill());
  const [socket] = (await once(server, 'connection')) as [Socket];
  server.close();
  t.after(() => socket.destroy());
  return socket;
}

test('streams with many events need no more memory than the events stored for reconnects', async (t) => {
  const fanOut = new FanOut({
    maxStreams: 10,
    maxStreamsEach: 10,
    tell: () => {},
    snapshot: () => ({ t: 0, site: 'demo', visitors: [], minutes: [], version: 'test' }),
    others: { watchedChanged() {}, refresh() {}, event() {}, rendered() {} },
  });
  const socket = await reader(t);
  const request = { site: 'demo', page: null, visitor: null, stage: null, moves: 'none', lastEventId: null } as const;
  fanOut.subscribe(socket, { ...request, credential: 'env', holders: [], checked: true, made: 0 });
  const text = JSON.stringify({ t: 0, v: 1, x: 'x'.repeat(1000) });
  const begin = process.memoryUsage().arrayBuffers;
  let most = 0;
  // 32 MB are kept; four times as much comes.
  for (let i = 0; i < 1300; i++) {
    fanOut.batch(() => {
      for (let n = 0; n < 100; n++) fanOut.show('demo', 'click', EVERYBODY, text);
    });
    await nextTurn();
    while (socket.writableLength > 0) await nextTurn();
    most = Math.max(most, process.memoryUsage().arrayBuffers - begin);
  }
  t.diagnostic(`${(most / MB).toFixed(1)} MB`);
  assert.ok(most < 40 * MB, `${most / MB} MB`);
  await fanOut.close();
});
