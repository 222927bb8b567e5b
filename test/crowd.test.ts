import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Activity } from '../src/dashboard/live/activity.ts';
import { LiveState, type StreamEvent } from '../src/dashboard/live/live-state.ts';
import { MinuteCurve } from '../src/dashboard/live/minute-curve.ts';
import { badgeOf } from '../src/dashboard/ui/visitor-badge.ts';
import type { Visitor } from '../src/model/visitor.ts';

function visitor(v: number, change: Partial<Visitor> = {}): Visitor {
  return {
    v,
    id: `visitor-${v}`,
    page: '/',
    origin: 'https://site.example',
    since: 1000 + v,
    device: 'desktop',
    size: [1280, 800, 1280, 2000],
    at: null,
    hidden: false,
    label: '',
    language: 'en',
    referrer: '',
    ...change,
  };
}

function snapshot(...visitors: Visitor[]): StreamEvent {
  return { name: 'snapshot', data: { t: 60_000, site: 'demo', visitors, minutes: [], version: '1' } };
}

function crowdOf(...visitors: Visitor[]): LiveState {
  const crowd = new LiveState();
  crowd.apply(snapshot(...visitors), 0);
  return crowd;
}

/** What was told as it happened. */
function newsOf(crowd: LiveState) {
  return crowd.feed.items.filter(({ isPast }) => !isPast);
}

test('the live state starts from the snapshot, then follows joins and leaves', () => {
  const crowd = crowdOf(visitor(1), visitor(2));
  crowd.apply({ name: 'join', data: { t: 61_000, visitor: visitor(3, { page: '/b' }) } }, 1);
  crowd.apply({ name: 'leave', data: { t: 62_000, v: 1, reason: 'closed' } }, 2);
  assert.deepEqual(
    crowd.newestFirst().map((person) => person.visitor.v),
    [3, 2],
  );
  assert.deepEqual(
    newsOf(crowd).map(({ kind, id }) => [kind, id]),
    [
      ['leave', 'visitor-1'],
      ['join', 'visitor-3'],
    ],
  );
});

test('the live state counts visitors per page, the fullest page first', () => {
  const crowd = crowdOf(visitor(1), visitor(2, { page: '/b' }), visitor(3, { page: '/b' }));
  assert.deepEqual(crowd.pages(), [
    { page: '/b', visitors: 2 },
    { page: '/', visitors: 1 },
  ]);
});

test('a visitor with a label is shown by that label', () => {
  const crowd = crowdOf(visitor(1));
  const { size, device } = visitor(1);
  crowd.apply({ name: 'view', data: { t: 1, v: 1, size, device, hidden: true, label: 'anna' } }, 1);
  assert.equal(crowd.people.get(1)?.badge.name, 'anna');
  assert.equal(crowd.people.get(1)?.visitor.hidden, true);
});

test('a page change clears the track, since positions of one page mean nothing on another', () => {
  const crowd = crowdOf(visitor(1, { at: [5, 5] }));
  const { size } = visitor(1);
  const moved = visitor(1, { page: '/b' });
  crowd.apply({ name: 'page', data: { t: 1, v: 1, page: '/b', from: '/', origin: '', size, visitor: moved } }, 1);
  assert.equal(crowd.people.get(1)?.track.count, 0);
  assert.equal(crowd.people.get(1)?.visitor.page, '/b');
});

test('one flat list carries the moves of several visitors', () => {
  const crowd = crowdOf(visitor(1), visitor(2));
  crowd.apply(
    { name: 'moves', data: { t: 100, m: [1, 2, 0, 10, 11, 16, 12, 13, 9, 1, 0, 1, 1, 2, 1, 5, 20, 21] } },
    200,
  );
  const [one, two] = [crowd.people.get(1)?.track, crowd.people.get(2)?.track];
  assert.deepEqual([one?.count, one?.xAt(1), one?.timeAt(1)], [2, 12, 116]);
  assert.deepEqual([two?.count, two?.yAt(0), two?.timeAt(0)], [1, 21, 105]);
});

test('events of unknown visitors, and truncated lists, are ignored', () => {
  const crowd = crowdOf(visitor(1));
  crowd.apply({ name: 'moves', data: { t: 0, m: [1, 3, 0, 1] } }, 0);
  crowd.apply({ name: 'moves', data: { t: 0, m: [7, 1, 0, 1, 1] } }, 0);
  crowd.apply({ name: 'leave', data: { t: 0, v: 7, reason: 'lost' } }, 0);
  crowd.apply({ name: 'scroll', data: { t: 0, s: [7, 1, 1] } }, 0);
  assert.equal(crowd.people.size, 1);
  assert.equal(newsOf(crowd).length, 0);
});

test('a fresh snapshot keeps the graphs of visitors still present, also under a new number', () => {
  const crowd = crowdOf(visitor(1), visitor(2));
  const graph = crowd.people.get(1)?.activity;
  crowd.apply(snapshot(visitor(8, { id: 'visitor-1' })), 1);
  assert.equal(crowd.people.size, 1);
  assert.equal(crowd.people.get(8)?.activity, graph);
});

test('rates advance every graph by a second, also for idle visitors', () => {
  const crowd = crowdOf(visitor(1), visitor(2));
  const rates = { t: 61_000, visitors: 2, samples: 30, drops: 0, flushMs: 250, activity: [1, 30] };
  crowd.apply({ name: 'rates', data: rates }, 1);
  crowd.apply({ name: 'rates', data: { ...rates, flushMs: 0, activity: [] } }, 2);
  assert.deepEqual(
    [0, 1, 2].map((ago) => crowd.people.get(1)?.activity.at(ago)),
    [0, 30, 0],
  );
  assert.equal(crowd.flushMs, 250);
});

test('the list of feed items is bounded', () => {
  const crowd = crowdOf();
  for (let v = 0; v < 500; v++) crowd.apply({ name: 'join', data: { t: v, visitor: visitor(v) } }, v);
  assert.equal(crowd.feed.items.length, 80);
  assert.equal(crowd.feed.items[0]?.id, 'visitor-499');
});

test('an hour has sixty minutes and ends now, and older minutes are dropped', () => {
  const minutes = new MinuteCurve();
  minutes.replace([{ t: 0, visitors: 9, samples: 1 }]);
  minutes.add(60_000 * 59 + 5, 3);
  assert.deepEqual(minutes.rows(60_000 * 59, 0)[1].filter(Boolean), [9, 3]);
  minutes.add(60_000 * 61, 4);
  const [times, counts] = minutes.rows(60_000 * 61, 6);
  assert.equal(times.length, 60);
  assert.deepEqual(counts.filter(Boolean), [3, 6]);
});

test('a minute without data is a gap, not 0', () => {
  const minutes = new MinuteCurve();
  minutes.replace([2, 3, 57].map((n) => ({ t: 60_000 * n, visitors: n % 3, samples: 0 })));
  const [, counts] = minutes.rows(60_000 * 59, 0);
  assert.deepEqual(
    [0, 1, 2, 3, 4, 57, 58, 59].map((n) => counts[n]),
    [null, null, 2, 0, null, 0, null, 0],
  );
});

test('an activity graph covers one minute', () => {
  const activity = new Activity();
  for (let second = 1; second <= 100; second++) activity.add(second);
  assert.deepEqual([activity.at(0), activity.at(59)], [100, 41]);
});

test('a label that arrives after the join is applied to earlier feed items', () => {
  const crowd = crowdOf(visitor(1));
  crowd.apply({ name: 'join', data: { t: 1, visitor: visitor(2) } }, 1);
  crowd.apply({ name: 'leave', data: { t: 2, v: 1, reason: 'closed' } }, 2);
  const [left, joined] = crowd.feed.items;
  const { size, device } = visitor(2);
  crowd.apply({ name: 'view', data: { t: 3, v: 2, size, device, hidden: false, label: 'bot7' } }, 3);
  assert.equal(crowd.feed.items[0], left, 'lines of others stay');
  assert.deepEqual(crowd.feed.items[1], { ...joined, badge: badgeOf('visitor-2', 'bot7') });
  assert.notEqual(crowd.feed.items[1], joined, 'a changed line is a new object, so it is drawn again');
  crowd.apply(snapshot(visitor(2, { label: 'bot8' })), 4);
  assert.equal(crowd.feed.items[1]?.badge.name, 'bot8');
});

test('a badge depends on the id alone, and a label replaces the generated name', () => {
  assert.deepEqual(badgeOf('abc', ''), badgeOf('abc', ''));
  assert.notDeepEqual(badgeOf('abc', ''), badgeOf('abd', ''));
  assert.match(badgeOf('abc', '').name, /^[A-Z][a-z]+ [A-Z][a-z]+$/);
  assert.deepEqual(
    ['anna', 'Till 7', 'x', '…', '北 京'].map((label) => badgeOf('abc', label).initials),
    ['AA', 'T7', 'X', '?', '北京'],
  );
});

test('a hundred visitors get many different names and colours', () => {
  const badges = Array.from({ length: 100 }, (_, i) => badgeOf(`visitor-${i}`, ''));
  assert.ok(new Set(badges.map(({ name }) => name)).size > 85);
  assert.ok(new Set(badges.map(({ colour }) => colour)).size > 30);
});

test('a snapshot after a gap adds the visitors who joined meanwhile, and not those merely unknown before', () => {
  const crowd = crowdOf(visitor(1), visitor(2));
  assert.equal(crowd.feed.since, 60_000);
  const rates = { t: 61_000, visitors: 2, samples: 0, drops: 0, flushMs: 100, activity: [] };
  crowd.apply({ name: 'rates', data: rates }, 1);
  const visitors = [visitor(2), visitor(5, { since: 63_000 }), visitor(4, { since: 62_000 }), visitor(3)];
  const later: StreamEvent = {
    name: 'snapshot',
    data: { t: 64_000, site: 'demo', visitors, minutes: [], version: '1' },
  };
  crowd.apply(later, 2);
  assert.deepEqual(
    newsOf(crowd).map(({ t, kind, id }) => [t, kind, id]),
    [
      [63_000, 'join', 'visitor-5'],
      [62_000, 'join', 'visitor-4'],
    ],
  );
  crowd.apply(later, 3);
  assert.equal(newsOf(crowd).length, 2);
  assert.equal(crowd.feed.since, 60_000);
});

test('a live state that was suspended for a rewind resumes where it was', () => {
  const crowd = crowdOf(visitor(1));
  crowd.apply({ name: 'join', data: { t: 61_000, visitor: visitor(3, { since: 61_000 }) } }, 1);
  crowd.apply({ name: 'rates', data: { t: 62_000, visitors: 2, samples: 0, drops: 0, flushMs: 100, activity: [] } }, 2);
  const told = crowd.feed.save();
  crowd.clear();
  assert.deepEqual([crowd.feed.items, crowd.feed.since, crowd.known], [[], undefined, false]);
  crowd.feed.restore(told);
  assert.equal(crowd.known, false, 'who is here is not known before the snapshot');
  const visitors = [visitor(1), visitor(3, { since: 61_000 }), visitor(4, { since: 63_000 })];
  crowd.apply({ name: 'snapshot', data: { t: 64_000, site: 'demo', visitors, minutes: [], version: '1' } }, 3);
  assert.deepEqual(
    newsOf(crowd).map(({ t, kind, id }) => [t, kind, id]),
    [
      [63_000, 'join', 'visitor-4'],
      [61_000, 'join', 'visitor-3'],
    ],
  );
  assert.deepEqual([crowd.feed.since, crowd.known], [60_000, true]);
});

test('times that no date can represent are replaced by the present', () => {
  for (const t of [-9.8e15, 8.64e15 + 1, 2 ** 53, Number.NaN, Number.POSITIVE_INFINITY, '1' as unknown as number]) {
    const crowd = crowdOf(visitor(1, { since: t }));
    crowd.apply({ name: 'join', data: { t, visitor: visitor(2, { since: t }) } }, 1);
    crowd.apply(
      { name: 'page', data: { t, v: 1, page: '/b', from: '/', origin: '', size: [1, 1, 1, 1], visitor: visitor(1) } },
      2,
    );
    crowd.apply({ name: 'leave', data: { t, v: 2, reason: 'closed' } }, 3);
    const times = [...crowd.feed.items.map((one) => one.t), ...crowd.newestFirst().map((one) => one.visitor.since)];
    assert.equal(times.length, 5);
    for (const time of times) assert.doesNotThrow(() => new Date(time).toISOString(), `${t}`);
  }
});

test("the first snapshot shows who joined before, who left, and everyone's activity of the last minute", () => {
  const crowd = new LiveState();
  const gone = (t: number, id: string) => ({ t, id, label: '', page: '/gone', reason: 'lost' as const });
  const left = [gone(1000, 'visitor-8'), gone(1500, 'visitor-2')];
  const first = snapshot(visitor(1), visitor(2)) as Extract<StreamEvent, { name: 'snapshot' }>;
  crowd.apply({ name: 'snapshot', data: { ...first.data, left, activity: [1, 'CB', 7, '_', 2, 'A'] } }, 0);
  assert.deepEqual(
    crowd.feed.items.map(({ t, kind, id, page }) => [t, kind, id, page]),
    [
      [1002, 'join', 'visitor-2', '/'],
      [1001, 'join', 'visitor-1', '/'],
      [1000, 'leave', 'visitor-8', '/gone'],
    ],
  );
  assert.deepEqual(
    [0, 1, 2].map((ago) => crowd.byId('visitor-1')?.activity.at(ago)),
    [1, 2, 0],
  );
  crowd.apply(first, 1);
  assert.equal(crowd.feed.items.length, 3);
  assert.equal(crowd.byId('visitor-1')?.activity.at(1), 2, 'a server that has just been started knows less');
});

test('a returning visitor is shown as back, not as new', () => {
  const crowd = crowdOf();
  crowd.apply({ name: 'join', data: { t: 90_000, visitor: visitor(1, { since: 30_000 }) } }, 1);
  crowd.apply({ name: 'join', data: { t: 91_000, visitor: visitor(2, { since: 90_900 }) } }, 2);
  assert.deepEqual(
    crowd.feed.items.map(({ isBack = false }) => isBack),
    [false, true],
  );
});

test('the time of the last visitor comes from the last leave, or else from the minutes', () => {
  const crowd = crowdOf(visitor(1));
  crowd.apply({ name: 'leave', data: { t: 65_000, v: 1, reason: 'closed' } }, 1);
  assert.deepEqual(crowd.lastLeft(), { t: 65_000, isExact: true });
  const minutes = [
    { t: 3_600_000, visitors: 2, samples: 0 },
    { t: 3_660_000, visitors: 0, samples: 0 },
  ];
  crowd.apply({ name: 'snapshot', data: { t: 3_700_000, site: 'demo', visitors: [], minutes, version: '1' } }, 2);
  assert.deepEqual(crowd.lastLeft(), { t: 3_600_000, isExact: false });
  assert.equal(new LiveState().lastLeft(), undefined);
});
