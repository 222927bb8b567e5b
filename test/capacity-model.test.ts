import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { CONSTANTS, type Constants, FIGURES } from '../bench/capacity-constants.ts';
import {
  activeShare,
  bottlenecks,
  capacity,
  FLUSH_S,
  frameRate,
  HARDWARE,
  type Load,
  machineCpu,
  occupied,
  primaryCpu,
  QUIET_FLUSH_S,
  redisLoad,
  siteLoad,
  TYPICAL,
  WORST,
  watchOf,
  workerCosts,
  zipf,
} from '../bench/capacity-model.ts';
import { capacityText, withText } from '../bench/capacity-text.ts';
import { frameBytes } from '../bench/load/frame-bytes.ts';
import { shardOfSlot } from '../bench/load/shard-of-slot.ts';
import { slotOf } from '../src/redis/hash-slot.ts';
import { siteKey } from '../src/redis/keys.ts';

function near(got: number, wanted: number, within = 1e-9): void {
  assert.ok(Math.abs(got - wanted) <= within * Math.abs(wanted), `${got}, not ${wanted}`);
}

/** Round figures, with which one can reckon by hand. */
const ROUND: Constants = {
  ...(Object.fromEntries(Object.keys(FIGURES).map((name) => [name, 0])) as unknown as Constants),
  watchedUs: 3,
  unheardUs: 2.5,
  quietUs: 1,
  storingUs: 3,
  visitUs: 100,
  appendUs: 10,
  readSampleUs: 0.1,
  entryUs: 5,
  subscriberSampleUs: 0.01,
  connections: 20_000,
  redisAppendUs: 4,
  redisFrameUs: 1,
  redisSampleUs: 0.1,
  redisVisitUs: 50,
  redisLiveUs: 20,
  redisReadUs: 10,
  keptSampleBytes: 8,
  keptVisitBytes: 100,
  recordFrameBytes: 60,
  recordSampleBytes: 2,
  filedSampleBytes: 5,
  shownFrameBytes: 10,
  shownSampleBytes: 10,
};

test('docs/scaling.md contains the figures of the model, which npm run bench -- scaling writes', () => {
  const document = readFileSync(new URL('../docs/scaling.md', import.meta.url), 'utf8');
  assert.equal(document, withText(document, capacityText(CONSTANTS)));
});

test('the model uses the byte counts that the code produces', () => {
  const { recordFrameBytes, recordSampleBytes, shownFrameBytes, shownSampleBytes } = CONSTANTS;
  for (const samples of [6, 60]) near(recordFrameBytes + samples * recordSampleBytes, frameBytes(samples).record, 0.01);
  for (const samples of [1, 6]) near(shownFrameBytes + samples * shownSampleBytes, frameBytes(samples).shown, 0.01);
});

test('the keys of a site are in the slot that Redis Cluster computes', () => {
  // As `redis-cli cluster keyslot` answers.
  const slots = { foo: 12_182, '123456789': 12_739, '{}a': 10_875, 'a{b}{c}': 3300 };
  for (const [key, slot] of Object.entries(slots)) assert.equal(slotOf(key), slot, key);
  assert.equal(slotOf(siteKey('shop', 'visits')), slotOf('shop'));
  assert.deepEqual(
    [0, 4095, 4096, 16_383].map((slot) => shardOfSlot(slot, 4)),
    [0, 0, 1, 3],
  );
});

test('a pointer that always moves makes one frame per flush, and shorter movements cost more frames', () => {
  assert.equal(frameRate(WORST, FLUSH_S), 10);
  assert.equal(frameRate(WORST, QUIET_FLUSH_S), 1);
  // A motion of 2 s in each 20; of random length it is 1 ÷ (1 − e^(−1/2)) = 2.5415 frames of a second.
  near(frameRate(TYPICAL, 1), 2.5415 / 20, 1e-4);
  near(activeShare(TYPICAL, 1), 1 - 0.9 * Math.exp(-1 / 18));
  assert.equal(activeShare(WORST, 1), 1);
});

test('items distributed at random over boxes leave some boxes empty', () => {
  near(occupied(64, 0.001), 0.001, 1e-4);
  near(occupied(64, 64), 64 * (1 - 1 / Math.E));
  near(occupied(64, 10_000), 64);
});

test('a node reads a site while it watches, and writes while others watch', () => {
  assert.deepEqual(watchOf(3, 1), { watched: 1 - Math.exp(-3), published: 0, read: 0 });
  const many = watchOf(1000, 2);
  near(many.published, 1);
  near(many.read, 2);
  // One who watches, of a hundred machines: nearly all is written, and read once.
  const one = watchOf(0.01, 100);
  near(one.published / one.watched, 0.99, 0.001);
  near(one.read / one.watched, 0.99, 0.02);
});

test('zipf gives the second half of the first, and the third a third', () => {
  const [first = 0, second = 0, third = 0] = zipf(3);
  near(first, 6 / 11);
  near(second, 3 / 11);
  near(third, 2 / 11);
});

test('the cost of a frame and of a sample follows from three measured rows', () => {
  // (2.5 − 1) µs × 60 samples ÷ 9 frames; 3 − 2.5; 3 − 0.5 − 10 ÷ 6.
  const { frame, shown, sample } = workerCosts(ROUND);
  near(frame, 10);
  near(shown, 0.5);
  near(sample, 5 / 6);
});

const A = { ...WORST, stayS: 100 };
const FLEET = { machines: 2, workers: 4 };

/** 10,000 visitors on two machines of two workers, watched on both: 100,000 frames, so that all boxes are full. */
function load(): Load {
  return siteLoad(10_000, { watched: 1, published: 1, read: 2 }, FLEET, A, ROUND);
}

test('the load of one fully watched site matches a calculation by hand', () => {
  const site = load();
  assert.equal(site.frames, 100_000);
  assert.equal(site.samples, 600_000);
  assert.equal(site.visits, 100);
  // Four workers, ten groups, 16 journals.
  near(site.appends, 640, 1e-9);
  assert.equal(site.recordBytes, 100_000 * 60 + 600_000 * 2);
  assert.equal(site.filedBytes, 3_000_000);
  // Two machines: an entry each tick, and one each second.
  near(site.liveEntries, 2 * (62.5 + 1));
  assert.equal(site.liveBytes, 100_000 * 10 + 600_000 * 10);
  assert.equal(site.readBytes, 2 * site.liveBytes);
});

test('the demand on nodes and on Redis matches a calculation by hand', () => {
  const site = load();
  const workers = 100_000 * 10 + 600_000 * (5 / 6) + 600_000 * 0.5 + 100 * 100;
  near(machineCpu(site, false, ROUND), workers);
  near(machineCpu(site, true, ROUND), workers + 640 * 10 + 1_200_000 * 0.1 + 3 * 127 * 5);
  // Ten streams.
  near(primaryCpu(10_000, FLEET, A, ROUND), 600_000 * (0.1 + 9 * 0.01) + 127 * 5);
  const redis = redisLoad(site, A, HARDWARE, ROUND);
  near(redis.cpu, 640 * 4 + 100_000 + 60_000 + 5000 + 127 * 20 + 254 * 10);
  near(redis.in, 7_200_000 + 3_000_000 + 7_000_000);
  near(redis.out, 7_200_000 + 14_000_000 + redis.in);
  near(redis.memory, (600_000 * 8 + 100 * 100) * 86_400);
});

test('the number of nodes follows from the cores needed, and limits are listed in the order in which they are reached', () => {
  const one = capacity(100_000, WORST, HARDWARE, CONSTANTS);
  assert.equal(one.machines, Math.ceil(one.cpu / (HARDWARE.cores * 1_000_000 * HARDWARE.use)));
  const all = bottlenecks(one);
  assert.deepEqual(all.slice(0, 2).sort(), ['Redis CPU', 'Redis memory']);
  for (const [i, resource] of all.slice(1).entries())
    assert.ok(one.needs[resource] <= one.needs[all[i] as keyof typeof one.needs]);
  const few = capacity(100, TYPICAL, HARDWARE, CONSTANTS);
  assert.equal(few.machines, 1);
  assert.ok(bottlenecks(few).every((resource) => few.needs[resource] < 1 && !resource.startsWith('Redis')));
});

test('for 6,000 visitors the model is within a quarter of the measurement, on the safe side', () => {
  // bench/RESULTS.md, Capacity: one page of twenty in full, and twice everybody's latest, ten of sixty.
  const { frame, sample, shown } = workerCosts(CONSTANTS);
  const says = sample + frame / 6 + shown * (1 / 20 + 2 / 6);
  assert.ok(says > 3.26 && says < 1.25 * 3.26, String(says));
});

test('twice the visitors need at least as much of every resource', () => {
  for (const a of [TYPICAL, WORST]) {
    const [less, more] = [10_000, 20_000].map((visitors) => capacity(visitors, a, HARDWARE, CONSTANTS));
    assert.ok(less && more && more.cpu > less.cpu && more.redis.cpu > less.redis.cpu && more.network > less.network);
  }
});
