/** The parts of the dashboard that play the past, without a browser: clock, feed, and a visit as events. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { csvOf } from '../src/dashboard/counts/csv-file.ts';
import { Feed } from '../src/dashboard/live/feed.ts';
import { LiveState, type StreamEvent } from '../src/dashboard/live/live-state.ts';
import { chapterOf, openingOf } from '../src/dashboard/replay/chapter.ts';
import { Playhead } from '../src/dashboard/replay/playhead.ts';
import { VisitRecording } from '../src/dashboard/replay/recording.ts';
import { presenceOf } from '../src/dashboard/rewind/presence-curve.ts';
import { periodOf } from '../src/dashboard/ui/period.ts';
import type { Passage, Visit } from '../src/model/visit.ts';
import type { StreamEvents } from '../src/protocol/stream-event.ts';

const T = 1_790_000_000_000;

function visit(change: Partial<Visit> = {}): Visit {
  return {
    id: 'anna',
    site: 'demo',
    since: T,
    until: T + 60_000,
    device: 'desktop',
    size: [1280, 720, 1280, 2000],
    language: 'en',
    referrer: '',
    origin: 'https://site.example',
    country: '',
    label: '',
    stays: [{ page: '/', t: T, until: T + 60_000, depth: 720 }],
    moves: 0,
    clicks: 0,
    scrolls: 0,
    truncated: false,
    ...change,
  };
}

function passage(change: Partial<Passage> = {}): Passage {
  return {
    page: '/',
    t: T,
    until: T + 1000,
    size: [1280, 720, 1280, 2000],
    entered: true,
    moves: [],
    scrolls: [],
    clicks: [],
    views: [],
    ...change,
  };
}

function moves(t: number, m: number[]): StreamEvent {
  return { name: 'moves', data: { t, m } };
}

function rates(t: number): StreamEvent {
  return { name: 'rates', data: { t, visitors: 0, samples: 0, drops: 0, flushMs: 0, activity: [] } };
}

/** The samples of moves events: `v, time, x, y` each. */
function samplesOf(events: Iterable<StreamEvent>): number[][] {
  const samples: number[][] = [];
  for (const { name, data } of events) if (name === 'moves') samples.push(...unpack(data));
  return samples;
}

function unpack({ t, m }: StreamEvents['moves']): number[][] {
  const samples: number[][] = [];
  for (let i = 0; i + 1 < m.length; ) {
    const [v, count] = [m[i] as number, m[i + 1] as number];
    for (let k = i + 2; k < i + 2 + 3 * count; k += 3)
      samples.push([v, t + (m[k] as number), m[k + 1] as number, m[k + 2] as number]);
    i += 2 + 3 * count;
  }
  return samples;
}

/** A crowd that has taken the events up to `now`, drawn at that time. */
function placeAt(events: readonly StreamEvent[], now: number): [x: number, y: number] {
  const crowd = new LiveState();
  const playhead = new Playhead(now);
  crowd.clock = playhead;
  const feed = new Feed();
  for (const event of events) feed.add(event);
  for (const event of feed.due(now)) crowd.apply(event, now);
  const track = crowd.people.get(1)?.track;
  track?.advance(now, crowd.delay);
  return [track?.x ?? Number.NaN, track?.y ?? Number.NaN];
}

test('the playhead moves at its speed, stops at its limit, and does not jump after a pause', () => {
  const playhead = new Playhead(T);
  playhead.step(1000, T + 9999);
  playhead.step(1016, T + 9999);
  assert.equal(playhead.now(), T + 16);
  playhead.speed = 10;
  playhead.step(1032, T + 9999);
  assert.equal(playhead.now(), T + 176);
  playhead.step(1132, T + 500);
  assert.equal(playhead.now(), T + 500, 'not beyond what is known');
  playhead.rest();
  playhead.step(60_000, T + 9999);
  assert.equal(playhead.now(), T + 500);
  playhead.step(90_000, T + 999_999);
  assert.ok(playhead.now() < T + 4000, 'a tab out of sight goes on where it was');
});

test('a feed returns each event once it is complete, in whatever order events arrive', () => {
  const feed = new Feed();
  feed.add(rates(T + 1000));
  feed.add(moves(T, [1, 2, 0, 5, 5, 50, 6, 6]));
  feed.add({ name: 'leave', data: { t: T + 400, v: 2, reason: 'closed' } });
  const names = (now: number) => [...feed.due(now)].map(({ name }) => name);
  assert.deepEqual(names(T + 49), []);
  assert.deepEqual(names(T + 400), ['moves', 'leave']);
  assert.deepEqual(names(T + 999), []);
  assert.deepEqual(names(T + 5000), ['rates']);
  feed.add(rates(T + 7000));
  feed.add(rates(T + 8000));
  feed.cut(T + 7000);
  assert.deepEqual(names(T + 9000), ['rates']);
});

test('a feed splits long lists of moves into pieces, and loses nothing', () => {
  const steps = fc.array(fc.tuple(fc.integer({ min: 1, max: 3 }), fc.nat(300), fc.nat(500)), { maxLength: 60 });
  fc.assert(
    fc.property(steps, fc.integer({ min: 1, max: 400 }), (steps, step) => {
      const byVisitor = new Map<number, number[]>();
      const last = new Map<number, number>();
      for (const [v, dt, x] of steps) {
        last.set(v, (last.get(v) ?? 0) + dt);
        byVisitor.set(v, [...(byVisitor.get(v) ?? []), last.get(v) as number, x, x]);
      }
      const m = [...byVisitor].flatMap(([v, samples]) => [v, samples.length / 3, ...samples]);
      const feed = new Feed();
      feed.add(moves(T, m));
      const taken: number[][] = [];
      for (let now = T; now <= T + 30_000; now += step) {
        const due = samplesOf(feed.due(now));
        for (const [, t] of due) assert.ok((t as number) <= now && (t as number) > now - step - 100);
        taken.push(...due);
      }
      for (const v of byVisitor.keys())
        assert.deepEqual(
          taken.filter((one) => one[0] === v),
          unpack({ t: T, m }).filter((one) => one[0] === v),
        );
    }),
  );
});

test('a live state that plays the past draws pointers at their own times, not at the arrival of events', () => {
  const crowd = new LiveState();
  const playhead = new Playhead(T);
  crowd.clock = playhead;
  const visit = passage({ moves: [0, 0, 0, 100, 100, 0, 200, 200, 0] });
  for (const event of openingOf(chapterOf(visitWith(visit), visit, undefined))) crowd.apply(event, T);
  crowd.apply(moves(T, [1, 3, 0, 0, 0, 100, 100, 0, 200, 200, 0]), T + 777);
  const track = crowd.people.get(1)?.track;
  track?.advance(T + 150 + crowd.delay, crowd.delay);
  assert.equal(track?.x, 150);
  playhead.seek(T + 5000);
  assert.equal(crowd.time, T + 5000);
});

function visitWith(first: Passage): Visit {
  return visit({ stays: [{ page: first.page, t: first.t, until: first.until, depth: 0 }] });
}

test('a chapter is its passage as events, ordered by time', () => {
  const one = passage({
    moves: [0, 10, 10, 50, 20, 20, 500, 30, 30],
    scrolls: [300, 240],
    clicks: [{ dt: 60, x: 20, y: 20, button: 0, ex: 1, ey: 2, selector: 'a' }],
    views: [{ dt: 400, hidden: true }],
  });
  const { events } = chapterOf(visit({ label: 'anna' }), one, undefined);
  assert.deepEqual(
    events.map(({ name }) => name),
    ['moves', 'click', 'scroll', 'view', 'moves'],
  );
  assert.deepEqual(samplesOf(events), [
    [1, T, 10, 10],
    [1, T + 50, 20, 20],
    [1, T + 500, 30, 30],
  ]);
  const view = events.find(({ name }) => name === 'view');
  assert.deepEqual(view?.data, {
    t: T + 400,
    v: 1,
    size: one.size,
    hidden: true,
    device: 'desktop',
    label: 'anna',
  });
});

test('a page that is loaded again starts without a pointer, and a new connection on a page continues', () => {
  const one = passage({ moves: [0, 10, 20], scrolls: [0, 300] });
  const first = chapterOf(visit(), one, undefined);
  const again = chapterOf(visit(), passage({ t: T + 2000, entered: false }), first);
  assert.deepEqual([again.visitor.at, again.scroll, again.events[0]?.name], [[10, 20], 300, 'view']);
  const reloaded = chapterOf(visit(), passage({ t: T + 2000 }), first);
  assert.deepEqual([reloaded.visitor.at, reloaded.scroll, reloaded.events[0]?.name], [null, 0, 'page']);
  const gone = chapterOf(visit(), passage({ t: T + 2000, page: '/b', entered: false }), again);
  assert.deepEqual([gone.visitor.at, gone.events[0]?.name], [null, 'page']);
});

test('a chapter can be opened repeatedly, since a live state does not change it', () => {
  const chapter = chapterOf(visit(), passage({ moves: [0, 1, 1] }), undefined);
  const other = chapterOf(visit(), passage({ t: T + 10, page: '/b' }), chapter);
  const events = [...openingOf(chapter), ...chapter.events, ...other.events];
  placeAt(events, T + 100);
  assert.equal(chapter.visitor.page, '/');
  assert.deepEqual(placeAt([...openingOf(chapter), ...chapter.events], T + 100), [1, 1]);
});

test('a recording knows its marks, its quiet times, and how far it is loaded', () => {
  const recording = new VisitRecording(visit());
  assert.equal(recording.horizon, T);
  const click = { dt: 1000, x: 1, y: 1, button: 0, ex: 0, ey: 0, selector: '#b' };
  recording.add({ passages: [passage({ moves: [0, 0, 0, 900, 1, 1], clicks: [click] })], next: 'c', damaged: 0 });
  assert.equal(recording.horizon, T + 1000);
  recording.add({
    passages: [passage({ t: T + 30_000, until: T + 31_000, moves: [0, 5, 5] })],
    next: null,
    damaged: 0,
  });
  assert.ok(recording.horizon >= T + 60_000);
  assert.deepEqual(recording.quietAt(T + 5000), { from: T + 1000, to: T + 30_000 });
  assert.equal(recording.quietAt(T + 500), undefined);
  assert.deepEqual(
    recording.marks.map(({ t, kind, text }) => [t, kind, text]),
    [
      [T, 'page', '/'],
      [T + 1000, 'click', '#b'],
    ],
  );
  assert.deepEqual(
    [recording.chapterAt(T - 5), recording.chapterAt(T + 29_999), recording.chapterAt(T + 30_000)],
    [0, 0, 1],
  );
});

test('overlapping chapters are played from the first of them', () => {
  const recording = new VisitRecording(visit());
  const long = passage({ t: T + 2000, until: T + 9000, moves: [0, 5, 5, 7000, 6, 6] });
  const inside = passage({ t: T + 2080, until: T + 2080 });
  recording.add({ passages: [passage(), long, inside], next: null, damaged: 0 });
  assert.deepEqual([recording.chapterAt(T + 1500), recording.chapterAt(T + 9000)], [0, 1]);
});

test('each minute counts the visits that overlap it', () => {
  const here = presenceOf(
    [
      { since: T, until: T + 130_000 },
      { since: T + 60_000, until: T + 60_001 },
      { since: T - 1000, until: T - 1 },
      { since: T - 1000, until: T + 900_000 },
      { since: T + 240_000, until: T + 250_000 },
    ],
    T,
    T + 240_000,
  );
  assert.deepEqual(here, [2, 3, 2, 1]);
});

test('a period is taken from the address, or else covers a number of days up to today', () => {
  const now = Date.parse('2026-11-20T23:30:00Z');
  const of = (text: string, preset?: number) => periodOf(new URLSearchParams(text), now, preset);
  assert.deepEqual(of('', 30), { days: 30, from: '2026-10-22', to: '2026-11-20' });
  assert.deepEqual(of('days=1', 30), { days: 1, from: '2026-11-20', to: '2026-11-20' });
  assert.deepEqual(of('from=2026-11-01&to=2026-11-03', 30), { days: null, from: '2026-11-01', to: '2026-11-03' });
  for (const wrong of ['from=2026-11-03&to=2026-11-01', 'from=x&to=y', 'from=2026-11-01', 'days=12'])
    assert.equal(of(wrong, 7).days, 7, wrong);
  assert.equal(of('').days, undefined);
});

test('CSV quotes the fields that need it, and no field is a formula', () => {
  assert.equal(
    csvOf([
      ['a', 1],
      ['x,y', 2],
    ]),
    '\uFEFFa,1\r\n"x,y",2\r\n',
  );
  assert.equal(csvOf([['say "hi"\n', -3]]), '\uFEFF"say ""hi""\n",-3\r\n');
  for (const evil of ['=1+1', '+1', '-1', '@x', '\t=1', ' =1', '\r=1'])
    assert.match(csvOf([[evil]]), /^\uFEFF"?'/, JSON.stringify(evil));
});
