import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { LiveState, type LiveVisitor } from '../src/dashboard/live/live-state.ts';
import { PointerTrack } from '../src/dashboard/live/pointer-track.ts';
import { refusesFrames } from '../src/dashboard/ui/framing.ts';
import { previewOf } from '../src/dashboard/ui/preview.ts';
import { scaleOf, viewExtent } from '../src/dashboard/ui/view.ts';
import type { Visitor } from '../src/model/visitor.ts';

const DELAY = 100;

/** A track whose samples, at the given times, have all arrived without delay at `now`. */
function trackOf(samples: [time: number, x: number, y: number][], now: number): PointerTrack {
  const track = new PointerTrack();
  for (const [time, x, y] of samples) track.push(time, x, y);
  track.arrive(now);
  return track;
}

function visitor(v: number, change: Partial<Visitor> = {}): Visitor {
  return {
    v,
    id: `visitor-${v}`,
    page: '/',
    origin: '',
    since: 0,
    device: 'desktop',
    size: [0, 0, 0, 0],
    at: null,
    hidden: false,
    label: '',
    language: '',
    referrer: '',
    ...change,
  };
}

function people(...visitors: Visitor[]): LiveVisitor[] {
  const crowd = new LiveState();
  crowd.apply({ name: 'snapshot', data: { t: 0, site: 'demo', visitors, minutes: [], version: '' } }, 0);
  return [...crowd.people.values()];
}

test('a track plays its samples at their own times, with one constant delay', () => {
  const track = trackOf(
    [
      [1000, 0, 0],
      [1050, 50, 10],
      [1100, 100, 20],
    ],
    5000,
  );
  track.advance(5000, DELAY);
  assert.deepEqual([track.x, track.y], [0, 0]);
  track.advance(5025, DELAY);
  assert.deepEqual([track.x, track.y], [25, 5]);
  track.advance(5100, DELAY);
  assert.deepEqual([track.x, track.y], [100, 20]);
});

test('a track stays at the last sample when no more arrive', () => {
  const track = trackOf(
    [
      [0, 10, 10],
      [16, 20, 30],
    ],
    100,
  );
  track.advance(60_000, DELAY);
  assert.deepEqual([track.x, track.y], [20, 30]);
});

test('a pointer that rested for long starts to move shortly before its next sample, not earlier', () => {
  const track = trackOf([[0, 0, 0]], 0);
  track.push(10_000, 120, 0);
  track.arrive(10_000);
  track.advance(10_000 - 200 + DELAY, DELAY);
  assert.equal(track.x, 0);
  track.advance(10_000 - 60 + DELAY, DELAY);
  assert.equal(track.x, 60);
});

test("a track does not trust its sender's clock", () => {
  const ahead = trackOf(
    [
      [1_000_000, 0, 0],
      [1_000_100, 100, 0],
    ],
    100,
  );
  ahead.advance(150, DELAY);
  assert.equal(ahead.x, 50);
});

test('a late batch does not move the segment being played', () => {
  const track = trackOf(
    [
      [0, 0, 0],
      [100, 100, 0],
    ],
    100,
  );
  track.push(200, 200, 0);
  track.arrive(260);
  track.advance(250, DELAY);
  assert.ok(Math.abs(track.x - 150) < 1, `${track.x}`);
});

test('a placed pointer appears at once, without a time', () => {
  const track = new PointerTrack();
  assert.equal(track.advance(1, DELAY), false);
  track.place(7, 9);
  assert.equal(track.advance(1, DELAY), true);
  assert.deepEqual([track.x, track.y], [7, 9]);
});

test('a pointer is never drawn outside the bounding box of its samples', () => {
  const sample = fc.record({ dt: fc.nat(400), x: fc.integer({ min: -500, max: 5000 }), y: fc.nat(9000) });
  fc.assert(
    fc.property(fc.array(sample, { minLength: 1, maxLength: 300 }), fc.nat(20_000), (samples, at) => {
      const track = new PointerTrack();
      let time = 0;
      for (const { dt, x, y } of samples) {
        time += dt;
        track.push(time, x, y);
        track.arrive(time + 5);
      }
      track.advance(at, DELAY);
      const kept = samples.slice(-128);
      const xs = kept.map(({ x }) => x);
      const ys = kept.map(({ y }) => y);
      assert.ok(track.x >= Math.min(...xs) && track.x <= Math.max(...xs));
      assert.ok(track.y >= Math.min(...ys) && track.y <= Math.max(...ys));
    }),
  );
});

test('the size of a page is that of its largest document', () => {
  const here = people(
    visitor(1, { size: [1280, 800, 1265, 2400] }),
    visitor(2, { size: [390, 800, 390, 4800] }),
    visitor(3, { page: '/other', size: [3000, 3000, 3000, 9000] }),
  );
  assert.deepEqual(viewExtent(here, '/'), { width: 1265, height: 4800 });
});

test('visitors without a size widen the page with their positions', () => {
  assert.deepEqual(viewExtent(people(visitor(1)), '/'), { width: 1280, height: 720 });
  assert.deepEqual(viewExtent(people(visitor(1, { at: [1400, 30] })), '/'), { width: 1500, height: 720 });
});

test('no visitor can enlarge a page beyond the limit', () => {
  const { width, height } = viewExtent(people(visitor(1, { at: [9_999_999, 9_999_999] })), '/');
  assert.ok(width <= 7680 && height <= 40_000);
});

test('a page is fitted to the width of the stage, shown whole, or scaled to the window of the followed visitor', () => {
  const box = { width: 800, height: 600 };
  const page = { width: 1600, height: 4800 };
  assert.equal(scaleOf(box, page, 'width'), 0.5);
  assert.equal(scaleOf(box, page, 'whole'), 0.125);
  assert.equal(scaleOf(box, page, 'width', { width: 1600, height: 900 }), 0.5);
  assert.equal(scaleOf(box, { width: 100, height: 100 }, 'whole'), 1.5);
});

test('the preview is the page itself, and never an address invented by a visitor', () => {
  const home = 'https://mouse.example';
  const at = (page: string, origin: string) => previewOf(people(visitor(1, { page, origin })), page, home);
  assert.deepEqual(at('/a?b=1', home), { url: `${home}/a?b=1`, origin: home, own: true });
  assert.deepEqual(at('/a', 'https://shop.example'), {
    url: 'https://shop.example/a',
    origin: 'https://shop.example',
    own: false,
  });
  for (const page of ['//evil.example/', 'https://evil.example/', 'javascript:alert(1)', '/\\evil.example'])
    assert.equal(at(page, home), undefined, page);
  assert.equal(at('/a', ''), undefined);
  assert.equal(at('/a', 'file:///etc'), undefined);
});

test("a page of the dashboard's own origin may be framed unless its headers forbid it", () => {
  const cases: [headers: Record<string, string>, refuses: boolean][] = [
    [{}, false],
    [{ 'x-frame-options': 'SAMEORIGIN' }, false],
    [{ 'x-frame-options': 'deny' }, true],
    [{ 'content-security-policy': "default-src 'none'; frame-ancestors 'none'" }, true],
    [{ 'content-security-policy': 'frame-ancestors' }, true],
    [{ 'content-security-policy': "frame-ancestors 'self' https://a.example; img-src *" }, false],
    [{ 'content-security-policy': "img-src 'none', frame-ancestors 'NONE', script-src *" }, true],
    [{ 'content-security-policy': "frame-ancestors 'self'", 'x-frame-options': 'DENY' }, false],
    [{ 'content-security-policy': "frame-src 'none'" }, false],
  ];
  for (const [headers, refuses] of cases)
    assert.equal(refusesFrames(new Headers(headers)), refuses, JSON.stringify(headers));
});
