import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { KIND, SampleBuffer } from '../src/protocol/frame.ts';
import { MAX_COORDINATE } from '../src/protocol/limits.ts';
import { MovesText } from '../src/relay/moves-text.ts';

const coordinate = fc.integer({ min: -MAX_COORDINATE, max: MAX_COORDINATE });
const sample = fc.record({
  kind: fc.constantFrom(KIND.move, KIND.move, KIND.scroll),
  time: fc.integer({ min: -(2 ** 29), max: 2 ** 29 }),
  x: coordinate,
  y: coordinate,
});
const frame = fc.record({
  v: fc.oneof(fc.integer({ min: 1, max: 2 ** 31 + 1000 }), fc.maxSafeNat()),
  shift: fc.integer({ min: -1000, max: 1000 }),
  samples: fc.array(sample, { maxLength: 40 }),
});

test('renders the moves of frames as numbers with commas, batch after batch', () => {
  const text = new MovesText();
  fc.assert(
    fc.property(fc.array(frame), (frames) => {
      const wanted: number[] = [];
      for (const { v, shift, samples } of frames) {
        const buffer = new SampleBuffer(64);
        for (const { kind, time, x, y } of samples) buffer.push(kind, time, x, y);
        text.add(v, buffer, shift, 0, buffer.count);
        const moves = samples.filter(({ kind }) => kind === KIND.move);
        if (moves.length > 0) wanted.push(v, moves.length, ...moves.flatMap(({ time, x, y }) => [time + shift, x, y]));
      }
      assert.equal(text.isEmpty, wanted.length === 0);
      assert.equal(text.take(), wanted.join(','));
      assert.ok(text.isEmpty);
    }),
  );
});

test('renders a time that is far off in days, not as another number', () => {
  const text = new MovesText();
  text.addOne(1, -(2 ** 45), 2, 3);
  text.addOne(1, 2 ** 45, 2, 3);
  assert.equal(text.take(), `1,1,${-(2 ** 30)},2,3,1,1,${2 ** 30},2,3`);
});

test('reports when it holds so much text that moves must be dropped', () => {
  const text = new MovesText();
  while (!text.isFull) text.addOne(1_000_000_000, 1_000_000, 1_000_000, 1_000_000);
  assert.ok(text.take().length < 1025 * 1024);
  assert.ok(!text.isFull);
});
