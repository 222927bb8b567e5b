/** Access of recent viewers while the store is unreachable. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import { RecentViewers } from '../src/hub/recent-viewers.ts';
import { until } from './support/exact.ts';
import { Machine, type Shown } from './support/machine.ts';

const ada = { credential: 'session:ada', site: 'demo' };
const MINUTE = 60_000;

test('a recent viewer keeps access while a stream is open, and for a minute after', () => {
  const onlookers = new RecentViewers();
  assert.equal(onlookers.has(ada, 0), false);
  onlookers.opened(ada);
  onlookers.opened(ada);
  onlookers.closed(ada, 1000);
  onlookers.sweep(10 * MINUTE);
  assert.equal(onlookers.has(ada, 10 * MINUTE), true, 'the other stream is open');
  onlookers.closed(ada, 10 * MINUTE);
  assert.equal(onlookers.has(ada, 11 * MINUTE), true);
  assert.equal(onlookers.has(ada, 11 * MINUTE + 1), false);
  onlookers.sweep(11 * MINUTE + 1);
  assert.equal(onlookers.has(ada, 10 * MINUTE), false, 'forgotten');
});

test('access belongs to one credential and one site', () => {
  const onlookers = new RecentViewers();
  onlookers.opened(ada);
  assert.equal(onlookers.has({ ...ada, credential: 'session:bob' }, 0), false);
  assert.equal(onlookers.has({ ...ada, site: 'shop' }, 0), false);
});

test('a viewer whose access was revoked stays without it, whenever the last stream closes', () => {
  const onlookers = new RecentViewers();
  onlookers.opened(ada);
  onlookers.opened(ada);
  onlookers.forget(ada);
  onlookers.closed(ada, 0);
  onlookers.closed(ada, 0);
  assert.equal(onlookers.has(ada, 0), false);
  onlookers.opened(ada);
  assert.equal(onlookers.has(ada, 0), true);
});

test('a viewer who closes a stream and then loses access gets no stream while the store is unreachable', async (t) => {
  const machine = await Machine.start(t);
  const unchecked = () => machine.watch('demo', { checked: false });
  await seeRefused(await unchecked());
  await leave(await machine.watch());
  const second = await unchecked();
  await leave(second);
  machine.mayLook = false;
  await until(() => machine.forbidden > 0, 'a look at who looked on');
  await seeRefused(await unchecked());
});

test('a viewer who loses access loses all streams of the site', async (t) => {
  const machine = await Machine.start(t);
  const streams = [await machine.watch(), await machine.watch('demo', { checked: false })];
  for (const stream of streams) await stream.see('snapshot');
  const ended = Promise.all(streams.map(({ socket }) => once(socket, 'close')));
  machine.mayLook = false;
  await ended;
  await seeRefused(await machine.watch('demo', { checked: false }));
});

async function seeRefused({ socket, events }: Shown): Promise<void> {
  await once(socket, 'close');
  assert.deepEqual(events, []);
}

async function leave(shown: Shown): Promise<void> {
  await shown.see('snapshot');
  const closed = once(shown.socket, 'close');
  shown.socket.destroy();
  await closed;
}
