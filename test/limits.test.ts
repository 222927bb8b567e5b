import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import fc from 'fast-check';
import { Backoff } from '../src/cluster/backoff.ts';
import { Admission } from '../src/ingest/admission.ts';
import { ByteBudget } from '../src/ingest/byte-budget.ts';
import { TokenBucket } from '../src/lib/token-bucket.ts';

test('a bucket never admits more than burst and rate allow', () => {
  fc.assert(
    fc.property(fc.array(fc.nat(200), { maxLength: 200 }), (gaps) => {
      const bucket = new TokenBucket(50, 100, 0);
      let now = 0;
      let taken = 0;
      for (const gap of gaps) {
        now += gap;
        if (bucket.take(1, now)) taken += 1;
      }
      assert.ok(taken <= 100 + (now * 50) / 1000);
    }),
  );
});

test('a bucket gains nothing for a time that it has already seen', () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: -5000, max: 5000 }), { maxLength: 200 }), (steps) => {
      const bucket = new TokenBucket(50, 100, 0);
      let now = 0;
      let latest = 0;
      let taken = 0;
      for (const step of steps) {
        now = Math.max(0, now + step);
        latest = Math.max(latest, now);
        if (bucket.take(1, now)) taken += 1;
      }
      while (bucket.take(1, now)) taken += 1;
      assert.ok(taken <= 100 + (latest * 50) / 1000);
    }),
  );
});

/** Files in which limits and intervals are; wall-clock times are none of their business. */
const TIMED = [
  'lib/token-bucket.ts',
  'log/log-limit.ts',
  'log/logger.ts',
  'cluster/supervisor.ts',
  'cluster/watchdog.ts',
  'http/address-limit.ts',
  'ingest/admission.ts',
  'ingest/rate-limits.ts',
  'ingest/byte-budget.ts',
  'ingest/ingest.ts',
  'ingest/pace.ts',
  'hub/presence.ts',
];

test('limits and intervals use a monotonic clock', () => {
  for (const file of TIMED)
    assert.doesNotMatch(readFileSync(new URL(`../src/${file}`, import.meta.url), 'utf8'), /Date\.now\(\)/, file);
});

test('a bucket admits a steady sender at its rate for ever', () => {
  const bucket = new TokenBucket(50, 1, 0);
  for (let now = 0; now < 10_000; now += 20) assert.ok(bucket.take(1, now));
});

test('admission counts connections, per address and in total', () => {
  const admission = new Admission(3, 2);
  const leave = admission.enter('a', 0) as () => void;
  admission.enter('a', 0);
  assert.equal(admission.enter('a', 0), 'address-full');
  const other = admission.enter('b', 0) as () => void;
  assert.equal(admission.enter('c', 0), 'worker-full');
  leave();
  leave();
  assert.equal(admission.count, 2);
  other();
  assert.equal(admission.count, 1);
});

test('admission slows down an address that brings new visitors constantly, and forgets it when it rests', () => {
  const admission = new Admission(1000, 10);
  const come = (now: number) => {
    const leave = admission.enter('a', now);
    if (typeof leave === 'function') leave();
    return typeof leave === 'function' ? 'in' : leave;
  };
  assert.deepEqual(
    Array.from({ length: 11 }, () => come(0)),
    [...Array(10).fill('in'), 'address-fast'],
  );
  assert.equal(come(1000), 'in');
  assert.equal(come(1000), 'address-fast');
  admission.sweep(20_000);
  assert.deepEqual(
    Array.from({ length: 10 }, () => come(20_000)),
    Array(10).fill('in'),
  );
});

test('an address that sent too much is forgotten only when its byte budget is full again', () => {
  const admission = new Admission(10, 10, 100);
  assert.ok(admission.bytesOf('a', 0).take(25_600, 0));
  admission.sweep(200_000);
  assert.ok(!admission.bytesOf('a', 200_000).take(25_600, 200_000));
  assert.ok(admission.bytesOf('b', 0).take(25_600, 0), 'another address has its own');
  admission.sweep(600_000);
  assert.ok(admission.bytesOf('a', 600_000).take(25_600, 600_000));
});

test('a connection has its own byte budget beside the budget of its address', () => {
  const address = new TokenBucket(100, 4000, 0);
  const [one, other] = [new ByteBudget(50, address, 0), new ByteBudget(50, address, 0)];
  assert.ok(one.take(1600, 0));
  assert.ok(!one.take(1, 0), 'a burst of 32 s');
  assert.ok(other.take(1600, 0));
  assert.ok(new ByteBudget(50, address, 0).take(800, 0));
  assert.ok(!new ByteBudget(50, address, 0).take(1, 0), 'a new connection does not renew the budget of the address');
  assert.ok(one.take(50, 1000));
});

test('a crash loop is slowed down, and forgotten after a quiet minute', () => {
  const backoff = new Backoff();
  const delays = Array.from({ length: 12 }, (_, i) => backoff.death(i * 10));
  assert.deepEqual(
    delays.map(({ looping }) => looping),
    [...Array(4).fill(false), ...Array(8).fill(true)],
  );
  assert.deepEqual(
    delays.map(({ delayMs }) => delayMs),
    [100, 100, 100, 100, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000, 30_000],
  );
  assert.deepEqual(backoff.death(120_000), { delayMs: 100, looping: false, deaths: 1 });
});
