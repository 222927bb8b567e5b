import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { KIND, SampleBuffer } from '../src/protocol/frame.ts';
import { FrameError } from '../src/protocol/frame-error.ts';
import { decodeJson } from '../src/protocol/json.ts';
import { decodeJsonMove } from '../src/protocol/json-move.ts';
import { ELEMENT_SCALE, MAX_COORDINATE } from '../src/protocol/limits.ts';

const NOW = 1_700_000_000_000;

function read(value: unknown, capacity = 64) {
  const buffer = new SampleBuffer(capacity);
  const frame = decodeJson(typeof value === 'string' ? value : JSON.stringify(value), NOW, buffer);
  const { count, marks } = buffer;
  const list = Array.from({ length: count }, (_, i) => [buffer.kind[i], buffer.time[i], buffer.x[i], buffer.y[i]]);
  return { ...frame, list, marks };
}

function faultCode(value: unknown, capacity?: number): string | undefined {
  try {
    read(value, capacity);
    return undefined;
  } catch (error) {
    assert.ok(error instanceof FrameError, `threw ${error}`);
    return error.code;
  }
}

test('reads the object of a simple client as a move at the time of arrival', () => {
  const { label, list, token, bye } = read({ id: 'kiosk 3', x: 10.4, y: 20.6 });
  assert.deepEqual(list, [[KIND.move, NOW, 10, 21]]);
  assert.deepEqual([label, token, bye], ['kiosk 3', undefined, false]);
});

test('reads an array of objects in order and uses its first label', () => {
  const { label, list } = read([
    { id: 7, x: 1, y: 2, t: NOW - 32 },
    { id: 'other', type: 'move', x: 3, y: 4, t: NOW - 16 },
    { type: 'scroll', y: 500 },
  ]);
  assert.equal(label, '7');
  assert.deepEqual(list, [
    [KIND.move, NOW - 32, 1, 2],
    [KIND.move, NOW - 16, 3, 4],
    [KIND.scroll, NOW, 0, 500],
  ]);
});

test('gives a sample whose clock is a minute off its time of arrival', () => {
  const times = [NOW - 60_001, NOW + 60_001, 0, NOW - 60_000].map((t) => read({ x: 1, y: 1, t }).list[0]?.[1]);
  assert.deepEqual(times, [NOW, NOW, NOW, NOW - 60_000]);
});

test('reads clicks, page changes, sizes and visibility', () => {
  const { list, marks } = read([
    { type: 'click', x: 5, y: 6, button: 2, ex: 100, ey: ELEMENT_SCALE + 1, selector: 'a#b' },
    { type: 'click', x: 5, y: 6 },
    { type: 'page', page: '/next' },
    { type: 'resize', vw: 800, vh: 600 },
    { type: 'visibility', visible: false },
  ]);
  assert.deepEqual(list[0], [KIND.mark, NOW, 5, 6]);
  assert.deepEqual(marks, [
    { type: 'click', x: 5, y: 6, button: 2, ex: 100, ey: ELEMENT_SCALE, selector: 'a#b' },
    { type: 'click', x: 5, y: 6, button: 0, ex: 0, ey: 0, selector: '' },
    { type: 'page', page: '/next' },
    { type: 'resize', vw: 800, vh: 600, dw: 800, dh: 600 },
    { type: 'visibility', visible: false },
  ]);
});

test('reads hello with a token, and bye, as no samples', () => {
  const { token, bye, list } = read([{ type: 'hello', token: 'abc' }, { type: 'bye' }]);
  assert.deepEqual([token, bye, list.length], ['abc', true, 0]);
});

test('names the error', () => {
  const cases: [unknown, string][] = [
    ['{"x":1', 'bad-json'],
    ['', 'bad-json'],
    [null, 'bad-json'],
    [5, 'bad-json'],
    [[[]], 'bad-number'],
    [[{ x: 1, y: 1 }, 'x'], 'bad-json'],
    [{}, 'bad-number'],
    [{ x: 1 }, 'bad-number'],
    [{ x: '1', y: 1 }, 'bad-number'],
    [{ x: MAX_COORDINATE + 1, y: 1 }, 'bad-number'],
    ['{"x":1e999,"y":1}', 'bad-number'],
    [{ x: 1, y: 1, t: 'now' }, 'bad-number'],
    [{ type: 'scroll', y: -1 }, 'bad-number'],
    [{ type: 'click', x: 1, y: 1, button: -1 }, 'bad-number'],
    [{ type: 'click', x: 1, y: 1, selector: 'a'.repeat(161) }, 'bad-text'],
    [{ type: 'page', page: 'a'.repeat(1025) }, 'bad-text'],
    [{ type: 'hello', token: 5 }, 'bad-text'],
    [{ id: {}, x: 1, y: 1 }, 'bad-text'],
    [{ type: 'toString' }, 'bad-type'],
    [{ type: 1 }, 'bad-type'],
  ];
  for (const [value, code] of cases) assert.equal(faultCode(value), code, JSON.stringify(value));
});

test('stores as many samples as the buffer holds, and not one more', () => {
  const moves = Array.from({ length: 9 }, (_, i) => ({ x: i, y: i }));
  assert.equal(read(moves, 9).list.length, 9);
  assert.equal(faultCode(moves, 8), 'too-many-samples');
});

test('cuts a long label', () => {
  assert.equal(read({ id: 'a'.repeat(100), x: 1, y: 1 }).label, 'a'.repeat(64));
});

test('validates a label by its visible characters', () => {
  const labelOf = (id: string) => read({ id, x: 1, y: 1 }).label;
  const family = '\u{1f468}\u200d\u{1f469}\u200d\u{1f467}';
  assert.equal(labelOf('  Kasse 3\u00a0'), 'Kasse 3');
  assert.equal(labelOf('u\u0308'), '\u00fc');
  assert.equal(labelOf(family.repeat(70)), family.repeat(64));
  assert.equal(labelOf(' '), '');
  for (const id of ['\u202eevil', 'two\nlines', '\u200b', '\u2800', 'a\u0000b', '\ud800', '\ue000'])
    assert.equal(faultCode({ id, x: 1, y: 1 }), 'bad-text', JSON.stringify(id));
});

test('throws nothing but FrameError for any JSON, and keeps numbers within their bounds', () => {
  const near = fc.record(
    {
      id: fc.jsonValue(),
      type: fc.oneof(
        fc.constantFrom('move', 'scroll', 'click', 'page', 'resize', 'visibility', 'hello', 'bye'),
        fc.jsonValue(),
      ),
      x: fc.oneof(fc.double(), fc.jsonValue()),
      y: fc.oneof(fc.double(), fc.jsonValue()),
      t: fc.oneof(fc.integer(), fc.jsonValue()),
      button: fc.jsonValue(),
      selector: fc.jsonValue(),
      page: fc.jsonValue(),
      vw: fc.jsonValue(),
      token: fc.jsonValue(),
    },
    { requiredKeys: [] },
  );
  fc.assert(
    fc.property(fc.oneof(near, fc.array(near), fc.jsonValue()), (value) => {
      faultCode(value);
      try {
        for (const [, , x, y] of read(value).list)
          assert.ok(Math.abs(x as number) <= MAX_COORDINATE && Math.abs(y as number) <= MAX_COORDINATE);
      } catch (error) {
        assert.ok(error instanceof FrameError);
      }
    }),
    { numRuns: 5_000 },
  );
});

test('throws nothing but FrameError for any text', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary', maxLength: 200 }), (text) => {
      faultCode(text);
    }),
    { numRuns: 5_000 },
  );
});

/** What the short way says of a text: undefined if it leaves it to the other. */
function readShort(value: string, skipId = true) {
  const bytes = Buffer.from(`..${value}..`);
  const buffer = new SampleBuffer(4);
  if (!decodeJsonMove(bytes, 2, bytes.length - 2, skipId, NOW, buffer)) return undefined;
  return Array.from({ length: buffer.count }, (_, i) => [buffer.kind[i], buffer.time[i], buffer.x[i], buffer.y[i]]);
}

test('reads plain moves on the fast path', () => {
  const move = { id: 'kiosk 3', x: 10.5, y: -20.49, t: NOW - 5 };
  const wanted = [[KIND.move, NOW - 5, 11, -20]];
  for (const value of [
    JSON.stringify(move),
    `{"id": "kiosk 3", "x": 10.5, "y": -20.49, "t": ${NOW - 5}}`,
    `{"t":${NOW - 5},"y":-20.49,"x":10.5}`,
  ])
    assert.deepEqual(readShort(value), wanted, value);
  assert.deepEqual(readShort('{"x":0,"y":7}'), [[KIND.move, NOW, 0, 7]]);
  assert.equal(readShort('{"id":"a","x":1,"y":2}', false), undefined);
});

test('leaves other and invalid samples to the slow path', () => {
  for (const value of [
    '',
    '{}',
    '[]',
    '{"x":1}',
    '{"x":1,"y":2',
    '{"x":1,"y":2}}',
    '{"x":1,"y":2,}',
    '{"x":1,"x":2,"y":3}',
    '{"x":01,"y":2}',
    '{"x":1.,"y":2}',
    '{"x":.5,"y":2}',
    '{"x":-,"y":2}',
    '{"x":1e1,"y":2}',
    '{"x":10000001,"y":2}',
    '{"x":1,"y":2,"type":"move"}',
    '{"id":"\\u0041","x":1,"y":2}',
    '{"id":"ü","x":1,"y":2}',
    '{"id":5,"x":1,"y":2}',
    '{"id":"a","id":"b","x":1,"y":2}',
    '{"x":1,"y":1234567890123456}',
  ])
    assert.equal(readShort(value), undefined, value);
});

test('gives the same result on the fast path as on the slow path', () => {
  const number = fc.oneof(
    fc.integer(),
    fc.double(),
    fc.integer({ min: -1e9, max: 1e9 }).map((n) => n / 1000),
    fc.constantFrom(0, -0, 0.5, -0.5, NOW, NOW - 60_001),
  );
  const member = fc.oneof(
    fc.tuple(fc.constantFrom('x', 'y', 't'), number),
    fc.tuple(fc.constantFrom('x', 'y', 't'), number),
    fc.tuple(fc.constant('id'), fc.string()),
    fc.tuple(fc.constantFrom('id', 'type', 'x', ''), fc.jsonValue()),
  );
  const object = fc
    .array(member, { maxLength: 5 })
    .map(
      (members) => `{${members.map(([name, value]) => `${JSON.stringify(name)}:${JSON.stringify(value)}`).join(',')}}`,
    );
  const changed = fc
    .tuple(object, fc.nat(), fc.constantFrom('', ' ', '0', '"', ',', '-', '.', '}'))
    .map(([value, at, put]) => {
      const i = at % (value.length + 1);
      return value.slice(0, i) + put + value.slice(i + 1);
    });
  fc.assert(
    fc.property(fc.oneof(object, changed), (value) => {
      const short = readShort(value);
      if (short === undefined) return;
      const { list, marks, token, bye } = read(value);
      assert.deepEqual([short, marks.length, token, bye], [list, 0, undefined, false]);
    }),
    { numRuns: 2000 },
  );
});
