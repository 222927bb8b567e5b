/**
 * Attacks on connections, each on a real server. `npm run attack` runs them longer and measures the effect on other
 * clients.
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { CLOSE } from '../src/protocol/close.ts';
import { churn, flood, hoard, SLOW, slowly } from './support/attack.ts';
import { until } from './support/exact.ts';
import { LIMIT_MS } from './support/limit.ts';
import { FILE } from './support/owner.ts';
import { closeCodeOf, openRaw, openRawVisitor, usage, wsFrame } from './support/raw.ts';
import { startServer, type TestServer } from './support/server.ts';
import { BinaryVisitor, helloFrame, samplesFrame } from './support/visitor.ts';

const server = await startServer(FILE, { workers: 1 });
const pair = await startServer(FILE);

/** Others that come and go by themselves: the store's, and what Node keeps open. */
const SOME_FILES = 12;
const SOME_MB = 80;

/** A visitor that goes on while others attack: each of its frames is to be acked. */
class Bystander {
  readonly #visitor: BinaryVisitor;

  private constructor(visitor: BinaryVisitor) {
    this.#visitor = visitor;
  }

  static async come(t: TestContext, server: TestServer): Promise<Bystander> {
    const visitor = new BinaryVisitor(t, server.ws);
    await visitor.hello;
    return new Bystander(visitor);
  }

  /** Sends a frame, and waits for its ack. */
  async served(): Promise<void> {
    const n = this.#visitor.frame({ type: 'move', time: 1, x: 1, y: 1 });
    while (this.#visitor.acked < n) await once(this.#visitor.socket, 'message');
  }
}

/** Waits until a server's workers hold no more than before, and are the same. */
async function relieved(server: TestServer, before: ReturnType<typeof usage>, pids: number[]): Promise<void> {
  assert.deepEqual(server.workerPids(), pids);
  const most = before.map(({ files }) => files + SOME_FILES);
  await until(() => usage(pids).every(({ files }, i) => files <= (most[i] as number)), 'return of the descriptors');
}

test('clients that send nothing, or one byte per second, are disconnected while others are served', async (t) => {
  const server = await startServer(t, { workers: 1, flags: ['--hello-timeout', '2000'] });
  const bystander = await Bystander.come(t, server);
  const pids = server.workerPids();
  const before = usage(pids);
  const kinds = [SLOW.silent, SLOW.headers, SLOW['half a frame']];
  const attacks = await Promise.all(kinds.map((text) => slowly(server.url, 60, text)));
  await bystander.served();
  assert.equal((await fetch(`${server.url}/healthz`)).status, 200);
  for (const { cut } of attacks) assert.ok((await cut) > 1000);
  await bystander.served();
  await relieved(server, before, pids);
});

test('thousands of connections that open and close leave no resources in use', async (t) => {
  const bystander = await Bystander.come(t, pair);
  const pids = pair.workerPids();
  await churn(pair.url, 300, 50);
  const before = usage(pids);
  const { outcomes } = await churn(pair.url, 2000, 50);
  t.diagnostic(JSON.stringify([...outcomes]));
  assert.ok((outcomes.get('101') ?? 0) > 1000);
  await bystander.served();
  await relieved(pair, before, pids);
  for (const [i, { rssMb }] of usage(pids).entries()) assert.ok(rssMb < (before[i]?.rssMb ?? 0) + SOME_MB);
});

test('one address gets no more connections than its limit, and others can still connect', async (t) => {
  const server = await startServer(t, { workers: 1, flags: ['--max-per-address', '50'] });
  const pids = server.workerPids();
  const before = usage(pids);
  const { outcomes, held, end } = await hoard(server.url, 400, '127.0.9.1');
  t.after(end);
  assert.deepEqual([...outcomes.keys()].sort(), ['101', '429']);
  assert.ok(held.length <= 50, `${held.length} with a limit of 50`);
  await (await Bystander.come(t, server)).served();
  end();
  await relieved(server, before, pids);
});

for (const kind of ['frames', 'pings', 'fragments'] as const)
  test(`a visitor that sends a hundred times the allowed ${kind} is disconnected each time, and the frames of others are acked`, async (t) => {
    const pids = pair.workerPids();
    const bystanders = await Promise.all(Array.from({ length: 10 }, () => Bystander.come(t, pair)));
    const attack = flood(pair.url, kind, 12_000, LIMIT_MS / 1000, 3);
    for (let i = 0; i < 2; i++) await Promise.all(bystanders.map((one) => one.served()));
    const { sent, outcomes } = await attack;
    t.diagnostic(`${sent} sent, ${JSON.stringify([...outcomes])}`);
    assert.ok((outcomes.get('101') ?? 0) > 1, 'it was cut, and came again');
    await Promise.all(bystanders.map((one) => one.served()));
    assert.deepEqual(pair.workerPids(), pids);
  });

test('pings and message fragments are limited', async (t) => {
  const attack = async (bytes: Buffer[]) => {
    const { socket } = await openRawVisitor(t, server.url);
    socket.write(wsFrame(0x82, helloFrame()));
    socket.write(Buffer.concat(bytes));
    return closeCodeOf(socket);
  };
  const crumbs = (count: number) => [
    wsFrame(2, Uint8Array.of(1)),
    ...repeat(count, () => wsFrame(0, Uint8Array.of(1))),
  ];
  // At once they are too many for ws, which cuts the connection.
  assert.ok([CLOSE.tooFast, 1006].includes(await attack(repeat(1000, () => wsFrame(0x89)))));
  assert.equal(await attack(repeat(1000, () => wsFrame(0x8a))), CLOSE.tooFast);
  assert.equal(await attack(crumbs(100)), 1008);
  assert.equal(await attack([...repeat(100, () => wsFrame(2)), wsFrame(0)]), 1002);
});

test('a message fragmented as a network may fragment it is accepted', async (t) => {
  const { socket } = await openRawVisitor(t, server.url);
  const hello = helloFrame();
  const [first, ...rest] = [...hello].map((byte) => Uint8Array.of(byte));
  const all = [wsFrame(2, first), ...rest.slice(0, -1).map((one) => wsFrame(0, one)), wsFrame(0x80, rest.at(-1))];
  // Byte by byte on the wire, too.
  for (const byte of Buffer.concat(all)) socket.write(Uint8Array.of(byte));
  assert.match(String((await once(socket, 'data'))[0]), /"type":"hello"/);
});

test('a visitor that never reads costs no more than one that does', async (t) => {
  const bystander = await Bystander.come(t, server);
  const [before] = usage(server.workerPids());
  const { socket } = await openRawVisitor(t, server.url);
  socket.pause();
  socket.write(wsFrame(0x82, helloFrame()));
  // Below the frame rate, half of it pings, which are to be answered.
  for (let n = 1; n <= 150; n++) {
    socket.write(wsFrame(0x82, samplesFrame(n, [{ type: 'move', time: n, x: n, y: n }])));
    socket.write(wsFrame(0x89, new Uint8Array(125)));
    await sleep(20);
  }
  await bystander.served();
  const [after] = usage(server.workerPids());
  assert.ok((after?.rssMb ?? 0) < (before?.rssMb ?? 0) + SOME_MB);
});

test('a client that sends many requests at once and never reads is disconnected, and holds no files or memory', async (t) => {
  // What the requests would fill, if all of them were taken before the first answer is out, is more than this heap.
  const server = await startServer(t, { workers: 1, env: { NODE_OPTIONS: '--max-old-space-size=128' } });
  const pids = server.workerPids();
  const [before] = usage(pids);
  const sockets = await Promise.all(repeat(40, () => openRaw(t, server.url)));
  const cuts = sockets.map((socket) => new Promise((resolve) => socket.once('end', resolve).once('close', resolve)));
  for (const socket of sockets) {
    // It is cut with requests that nobody has read.
    socket.on('error', () => {});
    socket.pause();
    socket.write('GET /admin/app.js HTTP/1.1\r\nHost: x\r\n\r\n'.repeat(1500));
  }
  const [most] = usage(pids);
  for (const socket of sockets) socket.resume();
  await Promise.all(cuts);
  await (await Bystander.come(t, server)).served();
  const [after] = usage(pids);
  for (const one of [most, after]) assert.ok((one?.files ?? 0) < (before?.files ?? 0) + 40 + SOME_FILES);
  assert.deepEqual(server.workerPids(), pids);
});

test('a connection may send requests repeatedly, and several at once', async (t) => {
  const socket = await openRaw(t, server.url);
  let text = '';
  socket.on('data', (chunk) => {
    text += chunk;
  });
  for (let i = 0; i < 30; i++) {
    socket.write('GET /readyz HTTP/1.1\r\nHost: x\r\n\r\n'.repeat(20));
    await until(() => text.split('HTTP/1.1 200').length > 20 * (i + 1), 'answers');
  }
});

test('compression is not negotiated, and a compressed message is rejected', async (t) => {
  const offer = 'Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n';
  for (const first of [0xc2, 0xc1, 0xa2, 0x92, 0x83, 0x8b]) {
    const { socket, head } = await openRawVisitor(t, server.url, offer);
    assert.match(head, /^HTTP\/1\.1 101 /);
    assert.doesNotMatch(head, /extensions/i);
    socket.write(Buffer.concat([wsFrame(0x82, helloFrame()), wsFrame(first, Uint8Array.of(1, 2, 3))]));
    assert.equal(await closeCodeOf(socket), 1002, first.toString(16));
  }
});

function repeat<T>(count: number, make: () => T): T[] {
  return Array.from({ length: count }, make);
}
