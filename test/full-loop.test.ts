/** A worker that finds more sockets ready than it can read in time. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Visitors } from '../bench/load/visitors.ts';
import { startServer } from './support/server.ts';
import { StreamReader } from './support/stream.ts';

/** More than the 1024 sockets that libuv reads between two looks for others that are ready. */
const VISITORS = 1500;
/** Frames a second, and samples in each: reading all of them takes the worker much longer than its timers may wait. */
const RATE = 10;
const SAMPLES = 500;

test('a worker that reads the backlog of many visitors sends it on as it reads, not at the end', async (t) => {
  const server = await startServer(t, {
    workers: 1,
    flags: ['--max-per-address', '10000', '--max-address-rate', '1000000000'],
  });
  const port = Number(new URL(server.url).port);
  const load = { k: 'visitors', port, speak: 'v1', visitors: VISITORS, rate: RATE, samples: SAMPLES } as const;
  const visitors = new Visitors({ ...load, first: 0, pages: 1, obedient: false, seed: 1 });
  t.after(() => visitors.close());
  await visitors.join();
  const stream = await StreamReader.open(t, server, { site: 'demo', moves: 'latest' });
  await stream.next('snapshot');
  const [worker] = server.workerPids();
  process.kill(worker as number, 'SIGSTOP');
  await visitors.send(1);
  process.kill(worker as number, 'SIGCONT');
  const seen = new Set<number>();
  let most = 0;
  while (seen.size < VISITORS) {
    const { m } = await stream.next('moves');
    // Five numbers for each: the visitor, 1, and its position.
    for (let i = 0; i < m.length; i += 5) seen.add(m[i] as number);
    most = Math.max(most, m.length / 5);
  }
  assert.ok(most < 1024, `one event shows ${most} of ${VISITORS} visitors`);
});
