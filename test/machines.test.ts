/** Two machines, each a complete tree of processes, that share a Redis. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { startRedis } from './support/redis.ts';
import { startServer } from './support/server.ts';
import { StreamReader, samplesOf } from './support/stream.ts';
import { BinaryVisitor } from './support/visitor.ts';

async function startMachines(t: TestContext, flags: string[] = []) {
  const redis = await startRedis(t);
  const start = () => startServer(t, { workers: 1, flags: ['--redis', redis.url, ...flags] });
  const [a, b] = await Promise.all([start(), start()]);
  return { redis, a, b };
}

test('what a visitor does on one machine is seen on the stream of another', async (t) => {
  const { a, b } = await startMachines(t);
  const stream = await StreamReader.open(t, b, { site: 'demo', moves: 'full' });
  await stream.next('snapshot');
  const visitor = new BinaryVisitor(t, a.ws, { page: '/shop' });
  const { visitor: id } = await visitor.hello;
  const { visitors } = await stream.next('snapshot', ({ visitors }) => visitors.length > 0).catch(() => ({ visitors: [] }));
  console.log(id, visitors, stream.events);
});
