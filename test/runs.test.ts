/**
 * How frames are packed on their way into the record: batches, runs, chunks of runs, tiles, and ranges of received
 * numbers.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { SampleBuffer } from '../src/protocol/frame.ts';
import { passagesOf, RUN_MS, RUN_SAMPLES } from '../src/protocol/passages.ts';
import { Writer } from '../src/protocol/writer.ts';
import type { Run } from '../src/store/archive.ts';
import {
  type AboutVisit,
  type BatchFrame,
  BatchWriter,
  firstId,
  PlaceMark,
  readBatch,
} from '../src/store/record/batch.ts';
import { decodeRuns, type StoredRun } from '../src/store/record/chunk.ts';
import { addTo, isIn, lastUpTo } from '../src/store/record/ranges.ts';
import { type Counted, countInTile, mergeTile, readTile } from '../src/store/record/tile.ts';
import {
  batchOf,
  chunkOf,
  fill,
  framesIn,
  type MadeFrame,
  type MadeVisit,
  madeVisit,
  plainVisit,
  samplesIn,
  spliced,
  T,
} from './support/visits.ts';

const buffer = new SampleBuffer(RUN_SAMPLES);

test('the decoder reads what the writer writes', () => {
  const pen = () => ({ time: 0, x: 0, y: 0 });
  fc.assert(
    fc.property(madeVisit('demo'), ({ frames }) => {
      for (const { samples } of frames) {
        fill(buffer, samples);
        const out = new Writer(8);
        out.varint(0);
        out.samples(pen(), buffer, 0, 0, buffer.count);
        assert.deepEqual(samplesIn(out.copy(), 0), samples);
      }
    }),
  );
});

test('a batch contains every visit and frame added to it', () => {
  const visits = fc.array(madeVisit('demo'), { minLength: 1, maxLength: 4 });
  fc.assert(
    fc.property(visits, (made) => {
      const deliveries = made.flatMap((visit) => visit.frames.map((frame): [MadeVisit, MadeFrame] => [visit, frame]));
      const batch = batchOf(deliveries);
      assert.equal(firstId(batch), made[0]?.id);
      const told: [string, AboutVisit][] = [];
      readBatch(batch, { about: (id, about) => told.push([id, about]), frame: () => {} });
      assert.deepEqual(
        told,
        made.map(({ id, about }) => [id, about]),
      );
      const read = framesIn(batch).map(({ place, n, entered, bytes, from, to }) => ({
        place,
        n,
        entered,
        samples: samplesIn(bytes.subarray(from, to), 0),
      }));
      const put = deliveries.map(([{ id, site }, { n, entered, page, size, samples }]) => ({
        place: { id, site, page, size },
        n,
        entered,
        samples,
      }));
      assert.deepEqual(read, put);
    }),
  );
});

test('a batch writer starts empty after each batch, and a mark may move from one writer to another', () => {
  const mark = new PlaceMark({ id: 'id', site: 'demo', page: '/', size: [1, 2, 3, 4] });
  const writers = [new BatchWriter(), new BatchWriter()];
  const empty = new SampleBuffer(0);
  for (let n = 1; n < 20; n++) {
    const writer = writers[(n >> 1) % 2] as BatchWriter;
    assert.ok(writer.isEmpty);
    writer.frame(mark, n, false, empty, 0, T);
    writer.frame(mark, n + 100, true, empty, 0, T);
    const frames = framesIn(writer.take());
    assert.deepEqual(
      frames.map((one) => [one.n, one.entered, one.place]),
      [
        [n, false, mark.place],
        [n + 100, true, mark.place],
      ],
    );
  }
});

test('a sample is at most one day older than its frame', () => {
  const mark = new PlaceMark({ id: 'id', site: 'demo', page: '/', size: [1, 2, 3, 4] });
  const writer = new BatchWriter();
  fill(buffer, [{ type: 'move', time: 5, x: 1, y: 1 }]);
  writer.frame(mark, 1, false, buffer, 0, T);
  const [{ bytes, from, to }] = framesIn(writer.take()) as [BatchFrame];
  assert.equal(samplesIn(bytes.subarray(from, to), 0)[0]?.time, T - 24 * 3_600_000);
});

test('no part of a batch is accepted as another batch, wherever it is cut', () => {
  const visit = plainVisit('demo', { frames: 3 });
  const batch = batchOf(visit.frames.map((frame) => [visit, frame]));
  for (let end = 0; end < batch.length; end++) {
    const read: BatchFrame[] = [];
    try {
      readBatch(batch.subarray(0, end), { about: () => {}, frame: (frame) => read.push(frame) });
    } catch {}
    assert.deepEqual(
      read.map(({ n }) => n),
      [1, 2, 3].slice(0, read.length),
    );
  }
});

test('the ranges contain the added numbers, and no others', () => {
  fc.assert(
    fc.property(fc.uniqueArray(fc.nat(90), { maxLength: 60 }), (numbers) => {
      const ranges: number[] = [];
      for (const n of numbers) {
        assert.ok(!isIn(ranges, n));
        addTo(ranges, n);
      }
      for (let n = -1; n < 93; n++) {
        assert.equal(isIn(ranges, n), numbers.includes(n), `${n}`);
        assert.equal(lastUpTo(ranges, n), Math.max(0, ...numbers.filter((one) => one <= n)), `up to ${n}`);
      }
      assert.deepEqual(
        ranges,
        ranges.toSorted((a, b) => a - b),
      );
      assert.ok(ranges.every((n, i) => i % 2 === 1 || i === 0 || n > (ranges[i - 1] as number) + 1));
    }),
  );
});

test('beyond the maximum the lowest ranges are merged, and the others stay exact', () => {
  const ranges: number[] = [];
  for (let n = 0; n < 1000; n += 2) addTo(ranges, n);
  assert.ok(ranges.length <= 128);
  for (let n = 0; n < 1000; n += 2) assert.ok(isIn(ranges, n));
  for (let n = 901; n < 1000; n += 2) assert.ok(!isIn(ranges, n));
});

const counted = fc
  .array(fc.tuple(fc.nat(40_000_000), fc.integer({ min: 1, max: 2 ** 40 })))
  .map((pairs): Counted => new Map(pairs));

const merged = (before: Uint8Array | undefined, by: Counted) =>
  mergeTile(
    before,
    [...by.keys()].sort((a, b) => a - b),
    by,
  );

function told(tile: Uint8Array | undefined): [number, number][] {
  const cells: [number, number][] = [];
  if (tile) readTile(tile, (cell, n) => cells.push([cell, n]));
  return cells;
}

const inOrder = (cells: Counted) => [...cells].sort((a, b) => a[0] - b[0]);

test('a tile returns its cells in order', () => {
  fc.assert(
    fc.property(counted, (cells) => {
      const tile = merged(undefined, cells);
      assert.deepEqual(told(tile), inOrder(cells));
      assert.equal(tile === undefined, cells.size === 0);
    }),
  );
});

test('counts are added to a tile, and subtracted again', () => {
  const few = fc.array(fc.tuple(fc.nat(40), fc.integer({ min: 1, max: 300 }))).map((pairs): Counted => new Map(pairs));
  fc.assert(
    fc.property(fc.oneof(few, counted), few, (a, b) => {
      const sum = new Map(a);
      for (const [cell, n] of b) countInTile(sum, cell, n);
      const before = merged(undefined, a);
      const after = merged(before, b);
      assert.deepEqual(told(after), inOrder(sum));
      const less: Counted = new Map([...b].map(([cell, n]) => [cell, -n]));
      assert.deepEqual(merged(after, less), before);
    }),
  );
});

test('a count that reaches zero is removed', () => {
  const counts: Counted = new Map();
  countInTile(counts, 3, 2);
  countInTile(counts, 3, -1);
  assert.deepEqual([...counts], [[3, 1]]);
  countInTile(counts, 3, -1);
  assert.equal(counts.size, 0);
});

test('a chunk contains the runs added to it', () => {
  fc.assert(
    fc.property(madeVisit('demo'), (visit) => {
      const runs = spliced(visit).map((run, i): StoredRun => ({ ...run, page: 1000 * i }));
      const kept = decodeRuns(chunkOf(runs)).map((run) => ({
        ...run,
        payload: Buffer.from(run.payload),
      }));
      assert.deepEqual(
        kept,
        runs.map(({ n, frames, entered, t, until, page, size, payload }) => ({
          n,
          frames,
          entered,
          t,
          until,
          page,
          size,
          payload: Buffer.from(payload),
        })),
      );
    }),
  );
});

test('runs contain all samples of their frames, in order', () => {
  fc.assert(
    fc.property(madeVisit('demo'), (visit) => {
      const runs = spliced(visit);
      const samples = runs.flatMap(({ payload, t }) => samplesIn(payload, t));
      assert.deepEqual(
        samples,
        visit.frames.flatMap((frame) => frame.samples),
      );
      const numbers = runs.flatMap(({ n, frames }) => Array.from({ length: frames }, (_, i) => n + i));
      assert.deepEqual(
        numbers,
        visit.frames.map(({ n }) => n),
      );
      for (const run of runs) {
        const first = visit.frames.find(({ n }) => n === run.n) as MadeFrame;
        assert.deepEqual([run.page, run.size, run.entered, run.t], [first.page, first.size, first.entered, first.t]);
        assert.ok(run.frames === 1 || run.until - run.t <= RUN_MS);
      }
    }),
  );
});

test('consecutive frames become one run, up to its limits', () => {
  assert.equal(spliced(plainVisit('demo', { frames: 50 })).length, 1);
  for (const run of spliced(plainVisit('demo', { frames: 300 })))
    assert.ok(samplesIn(run.payload, run.t).length <= RUN_SAMPLES);
  const slow = plainVisit('demo', { frames: 8, samples: 1 });
  for (const [i, frame] of slow.frames.entries()) {
    frame.t = T + 20_000 * i;
    for (const sample of frame.samples) sample.time = frame.t;
  }
  assert.deepEqual(
    spliced(slow).map(({ frames }) => frames),
    [4, 4],
  );
});

test('passages contain everything in a run, each on its page', () => {
  fc.assert(
    fc.property(madeVisit('demo'), (visit) => {
      for (const run of spliced(visit)) {
        const passages = passagesOf(run);
        const told = { move: 0, scroll: 0, click: 0 };
        for (const { t, page, moves, scrolls, clicks } of passages) {
          const here = samplesOn(run, page);
          for (let i = 0; i < moves.length; i += 3) {
            const [dt, x, y] = moves.slice(i, i + 3) as [number, number, number];
            assert.ok(here.some((one) => one.type === 'move' && one.time === t + dt && one.x === x && one.y === y));
          }
          told.move += moves.length / 3;
          told.scroll += scrolls.length / 2;
          told.click += clicks.length;
        }
        const samples = samplesIn(run.payload, run.t);
        for (const type of ['move', 'scroll', 'click'] as const)
          assert.equal(told[type], samples.filter((one) => one.type === type).length);
      }
    }),
  );
});

function samplesOn(run: Run, page: string) {
  let now = run.page;
  return samplesIn(run.payload, run.t).filter((sample) => {
    if (sample.type === 'page') now = sample.page;
    return now === page;
  });
}
