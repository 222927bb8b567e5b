import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Activity } from '../src/dashboard/live/activity.ts';
import { Departures } from '../src/hub/departures.ts';
import { LastMinute } from '../src/hub/last-minute.ts';
import { ACTIVITY_SECONDS } from '../src/protocol/stream-event.ts';

test('the last minute of a visitor has the count of each second, as the dashboard reads it', () => {
  const step = fc.record({ gap: fc.integer({ min: 0, max: 90 }), samples: fc.integer({ min: 0, max: 200 }) });
  fc.assert(
    fc.property(
      fc.integer({ min: 0, max: 1000 }),
      fc.array(step, { maxLength: 40 }),
      fc.nat(150),
      (start, steps, rest) => {
        const minute = new LastMinute();
        const counts = new Map<number, number>();
        let second = start;
        for (const { gap, samples } of steps) {
          second += gap;
          minute.add(second, samples);
          counts.set(second, (counts.get(second) ?? 0) + samples);
        }
        second += rest;
        const activity = new Activity();
        activity.fill(minute.text(second));
        for (let ago = 0; ago < ACTIVITY_SECONDS; ago++)
          assert.equal(activity.at(ago), Math.min(counts.get(second - ago) ?? 0, 63), `${ago} s ago`);
      },
    ),
  );
});

test('the newest departures are stored, and none for longer than an hour', () => {
  const departures = new Departures();
  const at = (t: number) => ({ t, id: `visitor-${t}`, label: '', page: '/', reason: 'closed' as const });
  for (let t = 1; t <= 50; t++) departures.add('shop', at(t));
  departures.add('journal', at(60));
  const seen = () => departures.of('shop', 3_600_040).map(({ t }) => t);
  assert.deepEqual(seen(), [41, 42, 43, 44, 45, 46, 47, 48, 49, 50]);
  departures.sweep(3_600_055);
  assert.deepEqual([seen(), departures.of('journal', 100).length], [[], 1]);
});
