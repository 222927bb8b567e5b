/** The past as the events of the live stream: from scenes to events. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Passage, Visit } from '../src/model/visit.ts';
import type { Visitor } from '../src/model/visitor.ts';
import { SiteReplay, type SiteReplayOptions, type VisitPassages } from '../src/replay/site-replay.ts';
import type { ReplayEvent } from '../src/replay/visit-player.ts';
import { unpackMoves } from './support/stream.ts';

const FROM = 1_790_000_000_000;
const SIZE: Visit['size'] = [1280, 720, 1280, 2000];

function visit(id: string, since: number, until: number, page = '/'): Visit {
  const about = { device: 'desktop', language: 'en', referrer: '', origin: '', country: '', label: '' } as const;
  const stays = [{ page, t: since, until, depth: 720 }];
  return {
    id,
    site: 'demo',
    since,
    until,
    ...about,
    size: SIZE,
    stays,
    moves: 0,
    clicks: 0,
    scrolls: 0,
    truncated: false,
  };
}

function passage(t: number, more: Partial<Passage> = {}): Passage {
  const empty = { moves: [], scrolls: [], clicks: [], views: [] };
  return { page: '/', t, until: t, size: SIZE, entered: false, ...empty, ...more };
}

const CLICK = { x: 1, y: 2, button: 0, ex: 0, ey: 0, selector: '' };

/** All events of scenes told in windows that end at `ends`. */
function play(
  scenes: readonly VisitPassages[],
  ends: readonly number[],
  options: Partial<SiteReplayOptions> = {},
): ReplayEvent[] {
  const rewind = new SiteReplay({ site: 'demo', stage: null, from: FROM, step: 100, version: '1', ...options });
  let from = options.from ?? FROM;
  return ends.flatMap((to) => {
    const events = [...rewind.window(during(scenes, from, to), to)].flatMap((beat) => beat.events);
    from = to;
    return events;
  });
}

/** As a store gives them: with what touches the time, and the passage before. */
function during(scenes: readonly VisitPassages[], from: number, to: number): VisitPassages[] {
  const here = scenes.filter(({ visit: { since, until } }) => since < to && until >= from);
  return here.map(({ visit, passages }) => {
    const before = passages.findLastIndex(({ until }) => until < from);
    return { visit, passages: passages.slice(Math.max(0, before)).filter(({ t }) => t < to) };
  });
}

function named<N extends ReplayEvent['name']>(events: readonly ReplayEvent[], name: N) {
  return events.flatMap((event) =>
    event.name === name ? [event.data as Extract<ReplayEvent, { name: N }>['data']] : [],
  );
}

const namesOf = (events: readonly ReplayEvent[]) => events.map(({ name }) => name).filter((name) => name !== 'rates');

test('a visit is replayed from joining to leaving', () => {
  const moves = [0, 10, 20, 150, 30, 40];
  const clicks = [{ dt: 60, ...CLICK }];
  const scene = { visit: visit('a', FROM + 500, FROM + 900), passages: [passage(FROM + 500, { moves, clicks })] };
  const events = play([scene], [FROM + 2000]);
  assert.deepEqual(namesOf(events), ['snapshot', 'join', 'moves', 'click', 'moves', 'leave']);
  const [snapshot] = named(events, 'snapshot');
  assert.deepEqual(snapshot, { t: FROM, site: 'demo', visitors: [], minutes: [], version: '1' });
  const [join] = named(events, 'join');
  assert.equal(join?.t, FROM + 500);
  assert.equal(join?.visitor.id, 'a');
  assert.equal(join?.visitor.at, null);
  assert.deepEqual(named(events, 'moves').flatMap(unpackMoves), [
    [1, FROM + 500, 10, 20],
    [1, FROM + 650, 30, 40],
  ]);
  assert.deepEqual(named(events, 'click'), [{ t: FROM + 560, v: 1, page: '/', ...CLICK }]);
  assert.deepEqual(named(events, 'leave'), [{ t: FROM + 900, v: 1, reason: 'closed' }]);
});

test('the snapshot contains visitors already present, in their state at that time', () => {
  const passages = [
    passage(FROM - 3000, { until: FROM - 2000, moves: [0, 1, 1], views: [{ dt: 1000, hidden: true }] }),
    passage(FROM - 1000, { page: '/b', until: FROM + 1000, moves: [0, 5, 6, 2000, 7, 8], size: [800, 600, 800, 900] }),
  ];
  const events = play([{ visit: visit('a', FROM - 9000, FROM + 5000), passages }], [FROM + 2000]);
  const [snapshot] = named(events, 'snapshot');
  assert.equal(snapshot?.visitors.length, 1);
  const { page, at, hidden, size, device, since } = (snapshot as NonNullable<typeof snapshot>).visitors[0] as Visitor;
  assert.deepEqual(
    { page, at, hidden, size, device, since },
    {
      page: '/b',
      at: [5, 6],
      hidden: true,
      size: [800, 600, 800, 900],
      device: 'tablet',
      since: FROM - 9000,
    },
  );
  assert.deepEqual(namesOf(events), ['snapshot', 'moves']);
});

test('a visitor who was idle for long is at its last recorded position', () => {
  const quiet = visit('a', FROM - 900_000, FROM + 900_000);
  quiet.stays.push({ page: '/read', t: FROM - 800_000, until: FROM - 700_000, depth: 0 });
  quiet.stays.push({ page: '/next', t: FROM + 500_000, until: FROM + 700_000, depth: 0 });
  const [snapshot] = named(play([{ visit: quiet, passages: [] }], [FROM + 1000]), 'snapshot');
  assert.equal(snapshot?.visitors[0]?.page, '/read');
});

test('a page change is between the moves of both pages, and clears the position', () => {
  const passages = [
    passage(FROM + 100, { moves: [0, 1, 1], scrolls: [10, 300] }),
    passage(FROM + 120, { page: '/b', moves: [5, 2, 2], entered: true, until: FROM + 125 }),
  ];
  const events = play([{ visit: visit('a', FROM + 50, FROM + 10_000), passages }], [FROM + 1000]);
  assert.deepEqual(namesOf(events), ['snapshot', 'join', 'moves', 'scroll', 'page', 'moves']);
  const [page] = named(events, 'page');
  assert.deepEqual(
    { ...page, visitor: undefined },
    {
      t: FROM + 120,
      v: 1,
      page: '/b',
      from: '/',
      origin: '',
      size: SIZE,
      visitor: undefined,
    },
  );
  assert.equal(page?.visitor.at, null);
  assert.deepEqual(named(events, 'scroll')[0]?.s, [1, 300, 510]);
});

test('a stage receives moves and scrolls of its page only, and all other events', () => {
  const passages = [
    passage(FROM + 100, { moves: [0, 1, 1], clicks: [{ dt: 2, ...CLICK }] }),
    passage(FROM + 200, { page: '/b', moves: [0, 2, 2], scrolls: [1, 9], clicks: [{ dt: 2, ...CLICK }] }),
  ];
  const events = play([{ visit: visit('a', FROM + 50, FROM + 400), passages }], [FROM + 1000], { stage: '/b' });
  assert.deepEqual(namesOf(events), ['snapshot', 'join', 'click', 'page', 'moves', 'scroll', 'click', 'leave']);
  assert.deepEqual(named(events, 'moves')[0], { t: FROM + 200, page: '/b', m: [1, 1, 0, 2, 2] });
});

test('each second reports the number of visitors and the activity of each', () => {
  const busy = {
    visit: visit('a', FROM + 100, FROM + 5000),
    passages: [passage(FROM + 200, { moves: [0, 1, 1, 1500, 2, 2] })],
  };
  const still = { visit: visit('b', FROM - 100, FROM + 1200), passages: [] };
  const rates = named(play([busy, still], [FROM + 3000]), 'rates');
  assert.deepEqual(rates, [
    { t: FROM + 1000, visitors: 2, samples: 1, drops: 0, flushMs: 100, activity: [1, 1] },
    { t: FROM + 2000, visitors: 1, samples: 1, drops: 0, flushMs: 100, activity: [1, 1] },
    { t: FROM + 3000, visitors: 1, samples: 0, drops: 0, flushMs: 0, activity: [] },
  ]);
});

test('a visitor not yet in the record joins later, and an absent visitor returns', () => {
  const rewind = new SiteReplay({ site: 'demo', stage: null, from: FROM, step: 100, version: '1' });
  const window = (scenes: VisitPassages[], to: number) =>
    [...rewind.window(scenes, to)].flatMap(({ events }) => events);
  assert.deepEqual(namesOf(window([], FROM + 1000)), ['snapshot']);
  const late = window([{ visit: visit('a', FROM + 500, FROM + 1500), passages: [] }], FROM + 2000);
  assert.deepEqual(namesOf(late), ['join', 'leave']);
  assert.equal(named(late, 'join')[0]?.t, FROM + 1000);
  const back = window([{ visit: visit('a', FROM + 500, FROM + 9000), passages: [] }], FROM + 3000);
  assert.deepEqual(namesOf(back), ['join']);
});

test('a visitor with recent activity may still be present', () => {
  const rewind = new SiteReplay({ site: 'demo', stage: null, from: FROM, step: 100, version: '1' });
  const scenes = [-300, -100].map((until) => ({ visit: visit(`a${until}`, FROM - 900, FROM + until), passages: [] }));
  const window = (to: number, settled: number) =>
    [...rewind.window(scenes, to, settled)].flatMap(({ events }) => events);
  const first = window(FROM + 1000, FROM - 200);
  assert.deepEqual(
    named(first, 'snapshot').flatMap(({ visitors }) => visitors.map(({ id }) => id)),
    ['a-100'],
  );
  assert.deepEqual(named(first, 'leave'), []);
  assert.equal(named(window(FROM + 2000, FROM), 'leave').length, 1);
});

test('many events at once are split into parts', () => {
  const moves = Array.from({ length: 10_000 }, (_, i) => [Math.floor(i / 200), i, 1]).flat();
  const scenes = [{ visit: visit('a', FROM, FROM + 9000), passages: [passage(FROM, { moves })] }];
  const told = named(play(scenes, [FROM + 1000]), 'moves');
  assert.ok(told.every(({ m }) => m.length < 3 * 4096 + 100));
  assert.deepEqual(
    told.flatMap(unpackMoves).map(([, , x]) => x),
    Array.from({ length: 10_000 }, (_, i) => i),
  );
});

/** A visitor's life: successive passages with moves, scrolls and clicks at growing times. */
const life = fc
  .record({
    since: fc.integer({ min: -3000, max: 4000 }),
    passages: fc.array(
      fc.record({
        page: fc.constantFrom('/', '/b', '/c'),
        pause: fc.integer({ min: 0, max: 1500 }),
        moves: fc.array(fc.tuple(fc.nat(300), fc.nat(1000), fc.nat(1000)), { maxLength: 12 }),
        scrolls: fc.array(fc.nat(700), { maxLength: 3 }),
        clicks: fc.array(fc.nat(700), { maxLength: 3 }),
      }),
      { maxLength: 5 },
    ),
    rest: fc.nat(1000),
  })
  .map(({ since, passages, rest }) => {
    let t = FROM + since;
    const lived = passages.map((one) => {
      t += one.pause;
      const made = livePassage(t, one);
      t = made.until;
      return made;
    });
    return { since: FROM + since, passages: lived, until: t + rest };
  });

function livePassage(
  t: number,
  given: { page: string; moves: [number, number, number][]; scrolls: number[]; clicks: number[] },
): Passage {
  let dt = 0;
  const moves = given.moves.flatMap(([step, x, y]) => {
    dt += step;
    return [dt, x, y];
  });
  const scrolls = given.scrolls.sort((a, b) => a - b).flatMap((at) => [at, at]);
  const clicks = given.clicks.sort((a, b) => a - b).map((at) => ({ dt: at, ...CLICK }));
  const last = Math.max(dt, scrolls.at(-2) ?? 0, clicks.at(-1)?.dt ?? 0);
  return passage(t, { page: given.page, moves, scrolls, clicks, until: t + last });
}

const lives = fc.array(life, { maxLength: 6 });
const scenesOf = (all: readonly { since: number; until: number; passages: Passage[] }[]): VisitPassages[] =>
  all.map(({ since, until, passages }, i) => ({
    visit: visit(`visitor-${i}`, since, until, passages[0]?.page ?? '/'),
    passages,
  }));

/** Ends of windows: some, in order, and the last. */
const TO = FROM + 8000;
const windows = fc
  .uniqueArray(fc.integer({ min: 1, max: 7999 }), { maxLength: 6 })
  .map((ends) => [...ends.sort((a, b) => a - b).map((end) => FROM + end), TO]);
const steps = fc.constantFrom(100, 250, 1000, 6000);
const stages = fc.constantFrom(null, '/', '/b');

/** Samples of the time that is told, on a stage: `t, x, y` of each visitor by id. */
function expected(scenes: readonly VisitPassages[], stage: string | null): Map<string, number[][]> {
  return new Map(
    scenes.map(({ visit, passages }) => {
      const samples: number[][] = [];
      for (const { page, t, moves } of passages)
        for (let i = 0; i < moves.length; i += 3) {
          const at = t + (moves[i] as number);
          if ((stage === null || page === stage) && at >= FROM && at < TO)
            samples.push([at, moves[i + 1] as number, moves[i + 2] as number]);
        }
      return [visit.id, samples];
    }),
  );
}

/** What a reader makes of the events; it fails on any of a visitor that is not there. */
class Reader {
  readonly pages = new Map<number, string>();
  readonly ids = new Map<number, string>();
  readonly samples = new Map<string, number[][]>();
  /** Time of the last event of each visitor that has one. */
  readonly last = new Map<number, number>();

  apply(event: ReplayEvent): void {
    if (event.name === 'snapshot') for (const visitor of event.data.visitors) this.#enter(visitor);
    else if (event.name === 'join') this.#enter(event.data.visitor);
    else if (event.name === 'leave') {
      this.#pass(event.data.v, event.data.t);
      this.pages.delete(event.data.v);
    } else if (event.name === 'page') {
      assert.equal(this.pages.get(event.data.v), event.data.from);
      this.#pass(event.data.v, event.data.t);
      this.pages.set(event.data.v, event.data.page);
    } else if (event.name === 'click') {
      assert.equal(this.pages.get(event.data.v), event.data.page);
      this.#pass(event.data.v, event.data.t);
    } else if (event.name === 'moves')
      for (const sample of unpackMoves(event.data)) this.#move(sample, event.data.page);
    else if (event.name === 'scroll') assert.ok(this.pages.has(event.data.s[0] as number));
  }

  #enter({ v, id, page }: { v: number; id: string; page: string }): void {
    assert.ok(!this.pages.has(v));
    this.pages.set(v, page);
    this.ids.set(v, id);
  }

  /** Nothing of a visitor is told before what it did earlier. */
  #pass(v: number, t: number): void {
    assert.ok(this.pages.has(v), `${v} is not there`);
    assert.ok(t >= (this.last.get(v) ?? 0), `${t} after ${this.last.get(v)}`);
    this.last.set(v, t);
  }

  #move([v, t, x, y]: [number, number, number, number], page: string | undefined): void {
    this.#pass(v, t);
    if (page !== undefined) assert.equal(this.pages.get(v), page);
    const id = this.ids.get(v) as string;
    this.samples.set(id, [...(this.samples.get(id) ?? []), [t, x, y]]);
  }
}

test('every sample is sent once, in its visitor’s order and on its page, wherever the time is split', () => {
  fc.assert(
    fc.property(lives, windows, steps, stages, (all, ends, step, stage) => {
      const scenes = scenesOf(all);
      const events = play(scenes, ends, { step, stage });
      const reader = new Reader();
      for (const event of events) reader.apply(event);
      for (const [id, samples] of expected(scenes, stage)) assert.deepEqual(reader.samples.get(id) ?? [], samples);
      const clicks = scenes.flatMap(({ passages }) =>
        passages.flatMap(({ t, clicks }) => clicks.map(({ dt }) => t + dt).filter((at) => at >= FROM && at < TO)),
      );
      assert.deepEqual(
        named(events, 'click')
          .map(({ t }) => t)
          .sort(),
        clicks.sort(),
      );
    }),
    { numRuns: 500 },
  );
});

test('every visitor joins and leaves once, and is counted in between', () => {
  fc.assert(
    fc.property(lives, windows, steps, (all, ends, step) => {
      const scenes = scenesOf(all);
      const events = play(scenes, ends, { step });
      const [snapshot] = named(events, 'snapshot');
      const visits = scenes.map(({ visit }) => visit);
      const there = visits.filter(({ since, until }) => since < FROM && until >= FROM);
      assert.deepEqual(
        snapshot?.visitors.map(({ id }) => id),
        there.map(({ id }) => id),
      );
      const joins = visits.filter(({ since }) => since >= FROM && since < TO).map(({ since }) => since);
      const leaves = visits.filter(({ until }) => until >= FROM && until < TO).map(({ until }) => until);
      assert.deepEqual(
        named(events, 'join')
          .map(({ t }) => t)
          .sort(),
        joins.sort(),
      );
      assert.deepEqual(
        named(events, 'leave')
          .map(({ t }) => t)
          .sort(),
        leaves.sort(),
      );
      for (const { t, visitors } of named(events, 'rates'))
        assert.equal(visitors, visits.filter(({ since, until }) => since < t && until >= t).length, `at ${t - FROM}`);
    }),
    { numRuns: 500 },
  );
});

test('rates are sent each second and add up to all samples', () => {
  fc.assert(
    fc.property(lives, windows, steps, (all, ends, step) => {
      const scenes = scenesOf(all);
      const rates = named(play(scenes, ends, { step }), 'rates');
      assert.deepEqual(
        rates.map(({ t }) => t - FROM),
        [1000, 2000, 3000, 4000, 5000, 6000, 7000, 8000],
      );
      let samples = 0;
      for (const { passages } of scenes)
        for (const { t, moves, scrolls, clicks } of passages) {
          const times = [
            ...moves.filter((_, i) => i % 3 === 0),
            ...scrolls.filter((_, i) => i % 2 === 0),
            ...clicks.map(({ dt }) => dt),
          ];
          samples += times.filter((dt) => t + dt >= FROM && t + dt < TO).length;
        }
      assert.equal(
        rates.reduce((sum, one) => sum + one.samples, 0),
        samples,
      );
    }),
    { numRuns: 500 },
  );
});
