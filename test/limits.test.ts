import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import fc from 'fast-check';
import { Backoff } from '../src/cluster/backoff.ts';
import { type AddressUse, Admission } from '../src/ingest/admission.ts';
import { RateLimits } from '../src/ingest/rate-limits.ts';
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
  const one = admission.enter('a', 0) as AddressUse;
  admission.enter('a', 0);
  assert.equal(admission.enter('a', 0), 'address-full');
  const other = admission.enter('b', 0) as AddressUse;
  assert.equal(admission.enter('c', 0), 'worker-full');
  admission.leave(one);
  assert.equal(admission.count, 2);
  admission.leave(other);
  assert.equal(admission.count, 1);
});

test('admission slows down an address that brings new visitors constantly, and forgets it when it rests', () => {
  const admission = new Admission(1000, 10);
  const come = (now: number) => {
    const entry = admission.enter('a', now);
    if (typeof entry === 'string') return entry;
    admission.leave(entry);
    return 'in';
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

test('a connection has its own byte budget, a burst of 32 s', () => {
  const [one, other] = [new RateLimits(1, 50), new RateLimits(1, 50)];
  assert.ok(one.bytes(1600, 0));
  assert.ok(!one.bytes(1, 0));
  assert.ok(other.bytes(1600, 0));
  assert.ok(one.bytes(50, 1000));
});

test('limits that are full can be replaced by new ones', () => {
  const use = fc.record({ gap: fc.nat(20_000), bytes: fc.nat(2000), what: fc.constantFrom('frame', 'post', 'marks') });
  fc.assert(
    fc.property(fc.array(use, { maxLength: 200 }), (uses) => {
      const kept = new RateLimits(5, 50);
      let replaced = new RateLimits(5, 50);
      let now = 0;
      for (const { gap, bytes, what } of uses) {
        now += gap;
        if (replaced.areFull(now)) replaced = new RateLimits(5, 50);
        const answers = [kept, replaced].map((limits) => [
          limits.bytes(bytes, now),
          what === 'marks' ? limits.marks(bytes, now) : limits[what as 'frame' | 'post'](now),
        ]);
        assert.deepEqual(answers[1], answers[0]);
      }
    }),
  );
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
