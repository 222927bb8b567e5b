import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  type AggregationState,
  Aggregator,
  newAggregation,
  type PageNumbers,
  restartAggregation,
} from '../src/store/record/aggregator.ts';
import { Sums } from '../src/store/record/sums.ts';
import { type MadeFrame, type MadeVisit, madeVisit, plainVisit, spliced, T } from './support/visits.ts';

/** Numbers pages as they come. */
class Pages implements PageNumbers {
  readonly #names = [''];

  numberOf(_site: string, page: string): number {
    if (!this.#names.includes(page)) this.#names.push(page);
    return this.#names.indexOf(page);
  }

  nameOf(number: number): string {
    return this.#names[number] ?? '';
  }
}

/** What is left of sums, but for what is nothing. */
function left(sums: Sums): unknown {
  const counts = [...sums.counts].filter(([, one]) => Object.values(one.counts).some((n) => n !== 0));
  const cells = [...sums.cells].filter(([, one]) => one.cells.size > 0);
  const spots = [...sums.spots].filter(([, one]) => one.spots.size > 0);
  return { counts: new Map(counts), cells: new Map(cells), spots: new Map(spots) };
}

const NOTHING = { counts: new Map(), cells: new Map(), spots: new Map() };

/** Visits whose clock runs on; of frames that hold something, or that tell of a page that was loaded. */
const orderly = madeVisit('demo').map((visit) => ({ ...visit, frames: inOrder(visit.frames) }));

function inOrder(frames: readonly MadeFrame[]): MadeFrame[] {
  let end = 0;
  return frames.filter(({ t, entered, samples }) => {
    if (t < end || (samples.length === 0 && !entered)) return false;
    end = samples.at(-1)?.time ?? t;
    return true;
  });
}

const cuts = fc.array(fc.boolean(), { minLength: 20, maxLength: 20 });

test('the sum is the same wherever runs are cut and counting resumes', () => {
  fc.assert(
    fc.property(orderly, cuts, cuts, (visit, cut, pause) => {
      const pages = new Pages();
      const whole = new Sums();
      const all = newAggregation(T);
      const tally = new Aggregator('demo', whole, 1, pages, all);
      for (const run of spliced(visit, () => false)) tally.add(run);
      const parts = new Sums();
      let state = newAggregation(T);
      for (const [i, run] of spliced(visit, (at) => cut[at] === true).entries()) {
        // As when it was kept meanwhile.
        if (pause[i]) state = structuredClone(state);
        new Aggregator('demo', parts, 1, pages, state).add(run);
      }
      assert.deepEqual(state, all);
      assert.deepEqual(left(parts), left(whole));
    }),
  );
});

test('everything added can be subtracted again without a remainder', () => {
  fc.assert(
    fc.property(fc.array(madeVisit('demo'), { maxLength: 3 }), cuts, (visits, cut) => {
      const pages = new Pages();
      const sums = new Sums();
      const runs = visits.map((visit) => spliced(visit, (i) => cut[i] === true));
      for (const sign of [1, -1] as const)
        for (const one of runs) {
          const tally = new Aggregator('demo', sums, sign, pages, newAggregation(T));
          for (const run of one) tally.add(run);
        }
      assert.deepEqual(left(sums), NOTHING);
    }),
  );
});

/** A state as visits have it that are counted by former rules; without a number, from before there were several. */
function formerTally(rules?: number): AggregationState {
  return restartAggregation({ since: T, tally: rules === undefined ? {} : { rules } });
}

test('visits of former versions are counted and subtracted as in those versions', () => {
  fc.assert(
    fc.property(
      madeVisit('demo'),
      madeVisit('demo'),
      cuts,
      fc.constantFrom(undefined, 2),
      (former, present, cut, rules) => {
        const pages = new Pages();
        const sums = new Sums();
        const wanted = new Sums();
        const add = (visit: MadeVisit, state: AggregationState, sign: 1 | -1, to: Sums) => {
          const tally = new Aggregator('demo', to, sign, pages, state);
          for (const run of spliced(visit, (i) => cut[i] === true)) tally.add(run);
        };
        const state = formerTally(rules);
        add(former, state, 1, sums);
        assert.equal(state.rules, rules);
        if (rules === undefined)
          for (const { spots } of sums.spots.values()) for (const spot of spots.keys()) assert.ok(spot < 256);
        for (const { counts } of sums.counts.values()) assert.equal(counts.measuredDepth + counts.measuredHeight, 0);
        add(present, newAggregation(T), 1, sums);
        add(former, restartAggregation({ since: T, tally: state }), -1, sums);
        add(present, newAggregation(T), 1, wanted);
        assert.deepEqual(left(sums), left(wanted));
      },
    ),
  );
});

for (const [rules, state, device] of [
  ['the present', newAggregation(T), 'desktop'],
  ['former', formerTally(), 'wide'],
] as const)
  test(`a window of 1,920 pixels is ${device} under the ${rules} rules`, () => {
    const sums = new Sums();
    const visit = plainVisit('demo', { frames: 1, samples: 0 });
    const [frame] = visit.frames as [MadeFrame];
    frame.size = [1920, 1080, 1905, 3000];
    frame.samples.push({ type: 'move', time: T + 1, x: 1, y: 1 });
    const tally = new Aggregator('demo', sums, 1, new Pages(), state);
    for (const run of spliced(visit, () => false)) tally.add(run);
    const devices = [...sums.cells.values()].filter(({ cells }) => cells.size > 0).map((one) => one.device);
    assert.deepEqual(new Set(devices), new Set([device]));
  });

test('the height of a page is the largest reported while it was open, and at least as much as was seen of it', () => {
  const visit = plainVisit('demo', { frames: 1, samples: 0 });
  const [frame] = visit.frames as [MadeFrame];
  frame.size = [1280, 720, 1265, 1000];
  frame.samples.push(
    { type: 'scroll', time: T + 1, y: 200 },
    { type: 'resize', time: T + 2, vw: 1280, vh: 720, dw: 1265, dh: 4000 },
    { type: 'resize', time: T + 3, vw: 1280, vh: 720, dw: 1265, dh: 2000 },
    { type: 'page', time: T + 4, page: '/short' },
    { type: 'resize', time: T + 5, vw: 1280, vh: 720, dw: 1265, dh: 300 },
    { type: 'page', time: T + 6, page: '/unknown' },
    { type: 'scroll', time: T + 7, y: 500 },
  );
  const sums = new Sums();
  const state = newAggregation(T);
  const tally = new Aggregator('demo', sums, 1, new Pages(), state);
  for (const run of spliced(visit, () => false)) tally.add(run);
  assert.deepEqual(
    state.stays.map(({ depth, height }) => [depth, height]),
    [
      [920, 4000],
      [720, 720],
      [1220, undefined],
    ],
  );
  const [site] = [...sums.counts.values()].filter(({ page }) => page === 0);
  assert.deepEqual([site?.counts.measuredDepth, site?.counts.measuredHeight], [1640, 4720]);
});

test('moves and clicks beyond the maximum number of stored stays are still counted', () => {
  const visit = plainVisit('demo', { frames: 1, samples: 0 });
  const [frame] = visit.frames as [MadeFrame];
  for (let i = 0; i < 510; i++) {
    const time = T + 10 * i;
    frame.samples.push({ type: 'page', time, page: `/${i}` }, { type: 'move', time: time + 1, x: 1, y: 1 });
  }
  const sums = new Sums();
  const state: AggregationState = newAggregation(T);
  const pages = new Pages();
  const tally = new Aggregator('demo', sums, 1, pages, state);
  for (const run of spliced(visit, () => false)) tally.add(run);
  assert.equal(state.stays.length, 500);
  const counts = [...sums.counts.values()].filter(({ page }) => page === 0);
  assert.equal(counts[0]?.counts.moves, 510);
  assert.equal(counts[0]?.counts.views, 500);
  const away = new Aggregator('demo', sums, -1, pages, newAggregation(T));
  for (const run of spliced(visit, () => false)) away.add(run);
  assert.deepEqual(left(sums), NOTHING);
});
