/** WebSockets that ws alone reads: as the option says, or because Node's internals are not as expected. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { canShareReads } from '../src/ingest/self-test.ts';
import { until } from './support/exact.ts';
import { startServer, type TestServer, temporaryFolder } from './support/server.ts';
import { StreamReader } from './support/stream.ts';
import { BinaryVisitor, JsonVisitor } from './support/visitor.ts';

test('this version of Node is as shared reads need it', async () => {
  assert.equal(await canShareReads(), true);
});

/** Both kinds of visitors are admitted, acked and shown. */
async function serves(t: TestContext, server: TestServer): Promise<void> {
  const stream = await StreamReader.open(t, server, { site: 'demo', moves: 'full' });
  await stream.next('snapshot');
  const binary = new BinaryVisitor(t, server.ws, { page: '/binary' });
  await binary.hello;
  binary.frame({ type: 'move', time: 1, x: 10, y: 20 });
  await until(() => binary.acked === binary.n, 'ack');
  await stream.next('moves');
  const simple = new JsonVisitor(t, server.ws);
  await simple.hello;
  simple.send({ x: 1, y: 2 });
  await stream.next('moves');
}

test('with --plain-websockets visitors are admitted, acked and shown', async (t) => {
  const server = await startServer(t, { workers: 1, flags: ['--plain-websockets'] });
  await serves(t, server);
  assert.doesNotMatch(server.output(), /internals of Node/);
});

/** Makes `net.Socket` ignore the option on which shared reads depend, as another version of Node might. */
const OTHER_NODE = `
const net = require('node:net');
net.Socket = new Proxy(net.Socket, {
  construct: (target, [options], made) =>
    Reflect.construct(target, [options?.onread ? { ...options, onread: undefined } : options], made),
});
require('node:module').syncBuiltinESMExports();
`;

test('where the internals of Node differ, ws alone reads WebSockets, and the log says so once', async (t) => {
  const preload = join(temporaryFolder(t), 'other-node.cjs');
  writeFileSync(preload, OTHER_NODE);
  const server = await startServer(t, { workers: 1, env: { NODE_OPTIONS: `--require ${preload}` } });
  await serves(t, server);
  assert.equal(server.output().split('internals of Node.js are not as expected').length, 2);
});
