import assert from 'node:assert/strict';
import { test } from 'node:test';
import { KIND, SampleBuffer } from '../src/protocol/frame.ts';
import type { Arrival, RelayItem, ToPrimary } from '../src/protocol/ipc.ts';
import { Relay } from '../src/relay/relay.ts';

const ARRIVAL: Arrival = {
  id: 'v',
  site: 's',
  page: '/',
  origin: '',
  since: 0,
  at: null,
  size: [1, 1, 1, 1],
  device: 'desktop',
  language: '',
  referrer: '',
  hidden: false,
  label: '',
};

function samplesOf(count: number): SampleBuffer {
  const samples = new SampleBuffer(count);
  for (let i = 0; i < count; i++) samples.push(KIND.move, i, i, i);
  return samples;
}

test('the queue for a suspended primary is bounded, also when visitors change pages constantly', async () => {
  const sent: ToPrimary[] = [];
  const relay = new Relay({
    flushMs: () => 100,
    send: (message, taken) => (sent.push(message) > 4 ? taken() : undefined),
  });
  relay.watch({ no: 1, site: 's', page: null, visitor: null, moves: 'full' });
  const claimed = relay.claim(ARRIVAL, null);
  relay.grant([1, 7, 0, 0]);
  const trace = await claimed;
  assert.ok(trace);
  // None of the first four messages is ever taken.
  while (!relay.saturated) {
    trace.view(0, [1, 1, 1, 1], false);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  const samples = samplesOf(1000);
  for (let i = 0; i < 1500; i++) {
    for (let k = 0; k < 5; k++) trace.take(samples, 0, 0, samples.count);
    trace.navigate(i, 0, i, `/${i}`);
  }
  trace.mark(9, 0, 9, { type: 'click', x: 1, y: 2, button: 0, ex: 0, ey: 0, selector: '' });
  await relay.close();
  const last = sent.at(-1) as { k: 'batch'; items: RelayItem[] };
  const text = last.items.reduce((sum, item) => sum + ('text' in item ? item.text.length : 0), 0);
  assert.ok(text > 1024 * 1024 && text < 3 * 1024 * 1024, `${text} bytes`);
  assert.equal(last.items.filter(({ k }) => k === 'page').length, 1500);
  assert.equal(last.items.filter(({ k }) => k === 'mark').length, 1);
});

test('departures that overflow the queue are replaced by a list of all visitors present', async (t) => {
  const VISITORS = 20_001;
  const sent: ToPrimary[] = [];
  const waiting: (() => void)[] = [];
  const relay = new Relay({
    flushMs: () => 100,
    send: (message, taken) => {
      sent.push(message);
      if (sent.length > 4) taken();
      else waiting.push(taken);
    },
  });
  t.after(() => relay.close());
  const claims = Array.from({ length: VISITORS + 1 }, (_, i) => relay.claim({ ...ARRIVAL, id: `v${i}` }, null));
  relay.grant(claims.flatMap((_, i) => [i + 1, 100 + i, 0, 0]));
  const [stays, ...leaving] = await Promise.all(claims);
  assert.ok(stays);
  // The primary stands still.
  while (!relay.saturated) {
    stays.view(0, [1, 1, 1, 1], false);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  for (const trace of leaving) trace?.disconnected(Date.now(), 'closed');
  for (const taken of waiting.splice(0)) taken();
  while (!sent.some(({ k }) => k === 'sync')) await new Promise((resolve) => setTimeout(resolve, 5));
  const sync = sent.find(({ k }) => k === 'sync') as Extract<ToPrimary, { k: 'sync' }>;
  assert.deepEqual(sync.sites, ['s']);
  assert.deepEqual(
    sync.visitors.map(({ v }) => v),
    [100],
  );
});

test('departures of visitors whose claim had ended are replaced by that list, too', async (t) => {
  const sent: ToPrimary[] = [];
  const waiting: (() => void)[] = [];
  const send = (message: ToPrimary, taken: () => void) => {
    sent.push(message);
    if (sent.length > 4) taken();
    else waiting.push(taken);
  };
  const relay = new Relay({ flushMs: () => 100, send });
  t.after(() => relay.close());
  const claimed = relay.claim(ARRIVAL, null);
  relay.grant([1, 7, 0, 0]);
  const trace = await claimed;
  while (!relay.saturated) {
    trace?.view(0, [1, 1, 1, 1], false);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  // Nobody waits for these grants any more, and no site is known for them.
  relay.grant(Array.from({ length: 20_001 }, (_, i) => [1000 + i, 1000 + i, 0, 0]).flat());
  for (const taken of waiting.splice(0)) taken();
  while (!sent.some(({ k }) => k === 'sync')) await new Promise((resolve) => setTimeout(resolve, 5));
});
