import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type Mark, POINTERS } from '../src/model/mark.ts';
import { MAX_TEXT } from '../src/model/text.ts';
import { encodeFrame, encodeHello, encodeSamples, packFrames, type Sample } from '../src/protocol/encode.ts';
import {
  decodeHead,
  decodeHello,
  decodeSamples,
  FRAME,
  type Hello,
  KIND,
  SampleBuffer,
  splitFrames,
} from '../src/protocol/frame.ts';
import { FrameError } from '../src/protocol/frame-error.ts';
import { ELEMENT_SCALE, MAX_COORDINATE } from '../src/protocol/limits.ts';
import { withoutNul } from '../src/protocol/reader.ts';
import { seeded } from './support/seeded.ts';

const MAX_SAMPLES = 64;

const coordinate = fc.integer({ min: -MAX_COORDINATE, max: MAX_COORDINATE });
const extent = fc.integer({ min: 0, max: MAX_COORDINATE });
const clock = fc.integer({ min: 0, max: 2 ** 40 });
const number = fc.integer({ min: 0, max: 2 ** 46 });
/** Texts from visitors have no NUL. */
const short = fc.string({ unit: 'binary', maxLength: 30 }).map(withoutNul);
const place = fc.integer({ min: 0, max: ELEMENT_SCALE });
const sizes = { vw: extent, vh: extent, dw: extent, dh: extent };

const step: fc.Arbitrary<Sample> = fc
  .oneof(
    fc.record({ type: fc.constant('move' as const), x: coordinate, y: coordinate }),
    fc.record({ type: fc.constant('scroll' as const), y: extent }),
    fc.record({
      type: fc.constant('click' as const),
      x: coordinate,
      y: coordinate,
      button: fc.integer({ min: 0, max: 255 }),
      ex: place,
      ey: place,
      selector: short,
    }),
    fc.record({ type: fc.constant('page' as const), page: short }),
    fc.record({ type: fc.constant('resize' as const), ...sizes }),
    fc.record({ type: fc.constant('visibility' as const), visible: fc.boolean() }),
    fc.record({ type: fc.constant('pointer' as const), pointer: fc.constantFrom(...POINTERS) }),
  )
  .map((sample) => ({ time: 0, ...sample }));

/** Samples whose times never run back. */
const samples = fc
  .tuple(clock, fc.array(fc.tuple(fc.integer({ min: 0, max: 100_000 }), step), { maxLength: MAX_SAMPLES }))
  .map(([start, steps]) => {
    let time = start;
    return steps.map(([since, sample]): Sample => {
      time += since;
      return { ...sample, time };
    });
  });

const hello: fc.Arbitrary<Hello> = fc.record(
  {
    clock,
    ...sizes,
    token: short,
    page: short,
    language: fc.string({ maxLength: MAX_TEXT.language }).map(withoutNul),
    referrer: short,
    last: clock,
  },
  { noNullPrototype: true },
);

function frameOf(n: number, list: readonly Sample[]): Uint8Array {
  return Uint8Array.from(encodeFrame(n, FRAME.samples, encodeSamples(list)));
}

function decode(bytes: Uint8Array, capacity = MAX_SAMPLES): Sample[] {
  const buffer = new SampleBuffer(capacity);
  decodeSamples(bytes, decodeHead(bytes).offset, buffer);
  return listOf(buffer);
}

/** The buffer's samples as the plain objects that the encoder takes. */
function listOf(buffer: SampleBuffer): Sample[] {
  const marks = buffer.marks.values();
  return Array.from({ length: buffer.count }, (_, i) => {
    const [time, x, y] = [buffer.time[i] as number, buffer.x[i] as number, buffer.y[i] as number];
    if (buffer.kind[i] === KIND.move) return { time, type: 'move', x, y };
    if (buffer.kind[i] === KIND.scroll) return { time, type: 'scroll', y };
    return { ...(marks.next().value as Mark), time };
  });
}

/** What `read` throws; fails when that is not a FrameError. */
function faultOf(read: () => unknown): FrameError | undefined {
  try {
    read();
    return undefined;
  } catch (error) {
    assert.ok(error instanceof FrameError, `threw ${error}`);
    return error;
  }
}

function faultCode(read: () => unknown): string | undefined {
  return faultOf(read)?.code;
}

test('decodes every kind of sample as encoded', () => {
  fc.assert(
    fc.property(number, samples, (n, list) => {
      const bytes = frameOf(n, list);
      assert.deepEqual(decodeHead(bytes).n, n);
      assert.deepEqual(decodeHead(bytes).type, FRAME.samples);
      assert.deepEqual(decode(bytes), list);
    }),
    { numRuns: 500 },
  );
});

test('decodes hello as encoded', () => {
  fc.assert(
    fc.property(hello, (given) => {
      const bytes = Uint8Array.from(encodeFrame(0, FRAME.hello, encodeHello(given)));
      const { n, type, offset } = decodeHead(bytes);
      assert.deepEqual([n, type], [0, FRAME.hello]);
      assert.deepEqual(decodeHello(bytes, offset), given);
    }),
  );
});

test('encodes a bye as a head alone', () => {
  assert.deepEqual(decodeHead(Uint8Array.from(encodeFrame(5, FRAME.bye))), { n: 5, type: FRAME.bye, offset: 1 });
});

test('cuts long texts at a whole character', () => {
  const long = '€'.repeat(2000);
  const bytes = Uint8Array.from(
    encodeHello({
      clock: 0,
      vw: 0,
      vh: 0,
      dw: 0,
      dh: 0,
      token: long,
      page: long,
      language: long,
      referrer: long,
      last: 7,
    }),
  );
  const read = decodeHello(bytes, 0);
  for (const name of ['token', 'page', 'language'] as const)
    assert.equal(read[name], '€'.repeat(Math.floor(MAX_TEXT[name] / 3)), name);
  assert.equal(read.referrer, '€'.repeat(Math.floor(MAX_TEXT.origin / 3)));
});

test('treats a time that goes backwards as the time before it', () => {
  const list: Sample[] = [
    { time: 50, type: 'move', x: 1, y: 1 },
    { time: 20, type: 'move', x: 2, y: 2 },
    { time: 60, type: 'move', x: 3, y: 3 },
  ];
  assert.deepEqual(
    decode(frameOf(1, list)).map(({ time }) => time),
    [50, 50, 60],
  );
});

test('returns fewer samples or throws FrameError for a frame cut anywhere', () => {
  fc.assert(
    fc.property(samples, (list) => {
      const bytes = frameOf(1, list);
      for (let end = 0; end < bytes.length; end++) {
        let decoded: Sample[] = [];
        const fault = faultOf(() => {
          decoded = decode(bytes.subarray(0, end));
        });
        if (!fault) assert.deepEqual(decoded, list.slice(0, decoded.length));
      }
    }),
    { numRuns: 50 },
  );
});

test('reports truncated for a hello cut anywhere', () => {
  fc.assert(
    fc.property(hello, (given) => {
      const bytes = Uint8Array.from(encodeHello(given));
      for (let end = 0; end < bytes.length; end++)
        assert.equal(
          faultCode(() => decodeHello(bytes.subarray(0, end), 0)),
          'truncated',
        );
    }),
    { numRuns: 50 },
  );
});

test('throws nothing but FrameError for random bytes', () => {
  const buffer = new SampleBuffer(MAX_SAMPLES);
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
      faultOf(() => decodeHead(bytes));
      faultOf(() => decodeHello(bytes, 0));
      faultOf(() => decodeSamples(bytes, 0, buffer));
      faultOf(() => splitFrames(bytes, 16_384));
    }),
    { numRuns: 10_000 },
  );
});

test('throws nothing but FrameError for a frame with one byte changed', () => {
  const buffer = new SampleBuffer(MAX_SAMPLES);
  fc.assert(
    fc.property(samples, fc.nat(), fc.integer({ min: 0, max: 255 }), (list, at, value) => {
      const bytes = frameOf(1, list);
      bytes[at % bytes.length] = value;
      faultOf(() => decodeSamples(bytes, decodeHead(bytes).offset, buffer));
      assert.ok(buffer.count <= MAX_SAMPLES);
    }),
    { numRuns: 2_000 },
  );
});

test('names the error of an invalid frame', () => {
  const buffer = new SampleBuffer(MAX_SAMPLES);
  const samplesOf = (...bytes: number[]) => faultCode(() => decodeSamples(Uint8Array.from(bytes), 0, buffer));
  assert.equal(
    faultCode(() => decodeHead(Uint8Array.of(3))),
    'bad-type',
    'frame type 3',
  );
  assert.equal(
    faultCode(() => decodeHead(new Uint8Array(0))),
    'truncated',
  );
  assert.equal(samplesOf(128, 128, 128, 128, 128, 128, 128, 1), 'bad-number', 'varint of 8 bytes');
  assert.equal(samplesOf(0, 3, 5), 'bad-type', 'mark 5');
  assert.equal(samplesOf(0, 3, 4, 3), 'bad-type', 'pointer 3');
  assert.equal(samplesOf(0, 3, 1, 1, 0xff), 'bad-text', 'not UTF-8');
  assert.equal(samplesOf(0, 3, 1, 0x81, 0x08), 'bad-text', 'page of 1025 bytes');
  assert.equal(samplesOf(0, 2, 0xff, 0xff, 0xff, 0x7f), 'bad-number', 'scrolled off the page');
});

test('rejects positions beyond the maximum page pixel', () => {
  const at = (x: number) => frameOf(1, [{ time: 0, type: 'move', x, y: 0 }]);
  assert.equal(
    faultCode(() => decode(at(MAX_COORDINATE))),
    undefined,
  );
  assert.equal(
    faultCode(() => decode(at(MAX_COORDINATE + 1))),
    'bad-number',
  );
  assert.equal(
    faultCode(() => decode(at(-MAX_COORDINATE - 1))),
    'bad-number',
  );
});

test('stores as many samples as the buffer holds, and not one more', () => {
  const list = Array.from({ length: 9 }, (_, i): Sample => ({ time: i, type: 'move', x: i, y: i }));
  assert.equal(decode(frameOf(1, list), 9).length, 9);
  assert.equal(
    faultCode(() => decode(frameOf(1, list), 8)),
    'too-many-samples',
  );
});

test('splits the body of a POST into the frames packed into it', () => {
  const frames = fc.array(fc.array(fc.integer({ min: 0, max: 255 }), { maxLength: 300 }), { maxLength: 20 });
  fc.assert(
    fc.property(frames, (given) => {
      const body = Uint8Array.from(packFrames(given));
      assert.deepEqual(
        splitFrames(body, 300).map((frame) => [...frame]),
        given,
      );
    }),
  );
  const body = Uint8Array.from(packFrames([[1, 2, 3]]));
  assert.equal(
    faultCode(() => splitFrames(body, 2)),
    'too-large',
  );
  assert.equal(
    faultCode(() => splitFrames(body.subarray(0, 3), 300)),
    'truncated',
  );
});

test('needs at most 4 bytes per move at the median of frames from realistic pointer paths', () => {
  const random = seeded(42);
  const perMove: number[] = [];
  for (let path = 0; path < 200; path++) {
    const moves = strokes(random);
    for (let i = 0; i + 6 <= moves.length; i += 6) perMove.push(frameOf(1000 + i, moves.slice(i, i + 6)).length / 6);
  }
  perMove.sort((a, b) => a - b);
  const median = perMove[perMove.length >> 1] as number;
  assert.ok(perMove.length > 500);
  assert.ok(median <= 4, `median ${median.toFixed(2)} bytes per move, the frame's head included`);
});

/**
 * A few reaches from target to target at 60 Hz, each with the bell-shaped speed of hand movements (minimum jerk,
 * Flash and Hogan 1985), a bow to one side and a tremor of a pixel.
 */
function strokes(random: () => number): Sample[] {
  const list: Sample[] = [];
  let time = Math.round(random() * 600_000);
  let from = { x: random() * 1280, y: random() * 2000 };
  for (let reach = 0; reach < 4; reach++) {
    const to = { x: random() * 1280, y: Math.max(0, from.y + (random() - 0.5) * 800) };
    const bow = (random() - 0.5) * 0.3;
    const steps = 12 + Math.floor(random() * 40);
    for (let i = 1; i <= steps; i++) {
      const u = i / steps;
      const done = u ** 3 * (10 - 15 * u + 6 * u ** 2);
      const side = Math.sin(Math.PI * done) * bow;
      time += 16 + Math.round(random());
      list.push({
        time,
        type: 'move',
        x: Math.round(from.x + (to.x - from.x) * done - (to.y - from.y) * side + random() - 0.5),
        y: Math.round(from.y + (to.y - from.y) * done + (to.x - from.x) * side + random() - 0.5),
      });
    }
    time += 200 + Math.round(random() * 800);
    from = to;
  }
  return list;
}
