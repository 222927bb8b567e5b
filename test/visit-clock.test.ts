/** A server's clock that is set while visitors are there. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { packFrames } from '../src/protocol/encode.ts';
import type { Passage, Visit } from '../src/protocol/visit.ts';
import { until } from './support/exact.ts';
import { startServer, type TestServer, temporaryFolder } from './support/server.ts';
import { StreamReader } from './support/stream.ts';
import { BinaryVisitor, helloFrame, JsonVisitor, samplesFrame } from './support/visitor.ts';

const HOUR = 3_600_000;

/** A server whose processes are off by what `set` was told last. */
async function startWithClock(t: TestContext): Promise<{ server: TestServer; set(ms: number): void }> {
  const file = join(temporaryFolder(t), 'clock');
  const set = (ms: number) => writeFileSync(file, String(ms));
  set(0);
  const preload = new URL('support/clock.mjs', import.meta.url).href;
  const env = { FIELDMOUSE_TEST_CLOCK: file, NODE_OPTIONS: `--import ${preload}` };
  return { server: await startServer(t, { workers: 1, env }), set };
}

async function visitOf(server: TestServer, id: string, clicks: number): Promise<Visit> {
  let visit: Visit | undefined;
  await until(async () => {
    const answer = await server.api(`/v1/visits/${id}`);
    visit = answer.status === 200 ? ((await answer.json()) as Visit) : undefined;
    return visit?.clicks === clicks;
  }, 'visit with its clicks');
  return visit as Visit;
}

/** What a visit of some seconds may last on a busy machine, milliseconds. */
const MOST_MS = 120_000;

for (const [name, step] of [
  ['back', -HOUR],
  ['ahead', HOUR],
] as const) {
  test(`a visit lasts as long as it did when the server's clock steps ${name} an hour`, async (t) => {
    const { server, set } = await startWithClock(t);
    const json = new JsonVisitor(t, server.ws);
    const binary = new BinaryVisitor(t, server.ws);
    const ids = [(await json.hello).visitor, (await binary.hello).visitor];
    let posted = { visitor: '', token: '', n: 0 };
    const start = performance.now();
    const post = async (last: number, x: number) => {
      const clock = Math.floor(performance.now() - start);
      const frames = [helloFrame({ token: posted.token, last, clock })];
      if (last > 0) frames.push(samplesFrame(last, [click(clock, x)]));
      const body = Uint8Array.from(packFrames(frames.map((frame) => [...frame])));
      const headers = { 'content-type': 'text/plain' };
      posted = await (await fetch(`${server.url}/v1/visit?site=demo`, { method: 'POST', headers, body })).json();
    };
    await post(0, 0);
    const act = async (x: number) => {
      const clock = Math.floor(performance.now() - start);
      json.send({ type: 'click', x, y: 1 });
      const n = binary.frame(click(clock, x));
      await post(posted.n + 1, x);
      await until(() => binary.acked >= n, 'ack');
    };
    await act(1);
    set(step);
    await act(2);
    await sleep(20);
    await act(3);
    for (const id of [...ids, posted.visitor]) {
      const { since, until: end } = await visitOf(server, id, 3);
      assert.ok(end >= since && end - since < MOST_MS, `${end - since} ms`);
    }
  });
}

test('a visit goes on where it was on its next page after the clock stepped back, and then leaves in time', async (t) => {
  const { server, set } = await startWithClock(t);
  const stream = await StreamReader.open(t, server, { site: 'demo' });
  const first = new BinaryVisitor(t, server.ws);
  const { token, visitor } = await first.hello;
  first.frame(click(1, 1));
  await until(() => first.acked >= first.n, 'ack');
  set(-HOUR);
  const next = new BinaryVisitor(t, server.ws, { token, page: '/next' });
  const closed = once(first.socket, 'close');
  assert.equal((await next.hello).visitor, visitor);
  await closed;
  next.frame(click(5, 2));
  await until(() => next.acked >= next.n, 'ack');
  const { since, until: end } = await visitOf(server, visitor, 2);
  assert.ok(end >= since && end - since < MOST_MS, `${end - since} ms`);
  next.bye();
  set(-2 * HOUR);
  await stream.next('leave');
});

function click(time: number, x: number) {
  return { type: 'click', time, x, y: 1, button: 0, ex: 0, ey: 0, selector: '' } as const;
}

test('events of a json client are never in the future, and never before its last one', async (t) => {
  const server = await startServer(t, { workers: 1 });
  const json = new JsonVisitor(t, server.ws);
  const { visitor } = await json.hello;
  json.send({ type: 'click', x: 1, y: 1, t: Date.now() + 50_000 });
  json.send([
    { type: 'click', x: 2, y: 1, t: Date.now() - 30_000 },
    { type: 'page', page: '/next', t: Date.now() - 40_000 },
  ]);
  const visit = await visitOf(server, visitor, 2);
  assert.ok(visit.until <= Date.now() && visit.until - visit.since < MOST_MS);
  const answer = await server.api(`/v1/visits/${visitor}/passages`);
  const { passages } = (await answer.json()) as { passages: Passage[] };
  const clicks = passages.flatMap((passage) => passage.clicks.map(({ dt, x }) => ({ t: passage.t + dt, x })));
  assert.deepEqual(
    clicks.map(({ x }) => x),
    [1, 2],
  );
  assert.ok((clicks[1]?.t ?? 0) >= (clicks[0]?.t ?? 0));
});
