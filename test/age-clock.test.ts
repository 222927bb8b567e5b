/** A clock that is set ahead by more than --retain removes no visits. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { DAY_MS } from '../src/model/day.ts';
import { openLmdbStore } from '../src/store/lmdb/lmdb-store.ts';
import { ageTime, followClock, MAX_RATE } from '../src/store/record/age-clock.ts';
import { until } from './support/exact.ts';
import { startRedis } from './support/redis.ts';
import { startServer, type TestServer, temporaryFolder } from './support/server.ts';
import { BinaryVisitor } from './support/visitor.ts';
import { keep, plainVisit } from './support/visits.ts';

const RETAIN_MS = 2 * DAY_MS;

test("the store's clock follows the system clock at a limited maximum rate", () => {
  const at = 1_790_000_000_000;
  assert.equal(followClock(at, 1000, at + 1000), at + 1000);
  assert.equal(followClock(at, 1000, at + 400 * DAY_MS), at + MAX_RATE * 1000);
  assert.equal(followClock(at, 1000, at - 400 * DAY_MS), at - MAX_RATE * 1000);
  assert.equal(followClock(at, -1000, at + DAY_MS), at);
  // What is older by either of them only is kept.
  assert.equal(ageTime(at, 1000, at - DAY_MS), at - DAY_MS);
  assert.equal(ageTime(at, 1000, at + DAY_MS), at + MAX_RATE * 1000);
});

/** A server whose clock is `set`, with a visit that is too old, and one of a moment ago. */
async function startWithClock(
  t: TestContext,
  flags: string[],
): Promise<{ server: TestServer; set(ms: number): void; id: string }> {
  const file = join(temporaryFolder(t), 'clock');
  const set = (ms: number) => writeFileSync(file, String(ms));
  set(0);
  const preload = new URL('support/clock.mjs', import.meta.url).href;
  const env = { FIELDMOUSE_TEST_CLOCK: file, NODE_OPTIONS: `--import ${preload}` };
  const server = await startServer(t, { workers: 2, env, flags: ['--retain', '2d', ...flags] });
  const visitor = new BinaryVisitor(t, server.ws);
  const { visitor: id } = await visitor.hello;
  visitor.frame({ type: 'move', time: 1, x: 1, y: 1 });
  await until(() => visitor.acked >= visitor.n, 'ack');
  visitor.bye();
  return { server, set, id };
}

async function statusOf(server: TestServer, id: string): Promise<number> {
  return (await server.api(`/v1/visits/${id}`)).status;
}

for (const where of ['the data folder', 'Redis'])
  test(`a clock that jumps ahead by more than --retain removes nothing from ${where}, and the log reports that the clock is ahead`, async (t) => {
    const flags = where === 'Redis' ? ['--redis', (await startRedis(t)).url] : [];
    const { server, set, id } = await startWithClock(t, flags);
    assert.equal(await statusOf(server, id), 200);
    set(400 * DAY_MS);
    await until(() => server.output().includes('is ahead of the time in the store'), 'line of the log');
    assert.equal(await statusOf(server, id), 200);
    set(0);
    assert.equal(await statusOf(server, id), 200);
  });

test('data past the retention period is removed, and the log names the reason', async (t) => {
  const data = temporaryFolder(t);
  const store = await openLmdbStore(data);
  const now = Date.now();
  const old = plainVisit('demo', { since: now - RETAIN_MS - DAY_MS });
  const young = plainVisit('demo', { since: now - RETAIN_MS + DAY_MS });
  const erased = plainVisit('demo', { since: now - 60_000 });
  await keep(store.archive, old, young, erased);
  await store.archive.erase(erased.id);
  await store.close();
  const server = await startServer(t, { data, workers: 1, flags: ['--retain', '2d'] });
  await until(async () => (await statusOf(server, old.id)) === 404, 'old visit gone');
  await until(() => /"age":1.*visits were removed/.test(server.output()), 'line of the log');
  assert.equal(await statusOf(server, young.id), 200);
  const metrics = await (await server.api('/metrics')).text();
  assert.match(metrics, /^fieldmouse_visits_removed_total\{reason="age"\} 1$/m);
  assert.match(metrics, /^fieldmouse_visits_removed_total\{reason="erase"\} 1$/m);
});
