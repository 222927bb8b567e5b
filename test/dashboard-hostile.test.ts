import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import fc from 'fast-check';
import type { Page } from 'playwright-core';
import {
  ago,
  clock,
  countText,
  date,
  dayNameText,
  duration,
  isoTime,
  localTime,
  numberText,
  playTime,
  shortClock,
  shortDate,
} from '../src/dashboard/ui/text.ts';
import type { Visitor } from '../src/model/visitor.ts';
import type { StreamEventName, StreamEvents } from '../src/protocol/stream-event.ts';
import { launch, openPage } from './support/browser.ts';
import { seeHere, seePointer, signIn } from './support/dashboard.ts';
import { type EventServer, eventText, hostileValue, mutated, startEventServer } from './support/hostile.ts';
import { FILE } from './support/owner.ts';
import { startServer } from './support/server.ts';

/** Rounds in the browser: each takes about a second. */
const ROUNDS = 10;

function visitor(v: number, change: Partial<Visitor> = {}): Visitor {
  return {
    v,
    id: `visitor-${v}`,
    page: '/',
    origin: '',
    since: Date.now(),
    device: 'desktop',
    size: [1280, 800, 1280, 2000],
    at: [100, 100],
    hidden: false,
    label: '',
    language: 'en',
    referrer: '',
    ...change,
  };
}

/** One good event of each kind; of some they concern the visitors of `snapshot`. */
function goodEvents(): { readonly [K in StreamEventName]: StreamEvents[K] } {
  const t = Date.now();
  const one = visitor(1);
  return {
    snapshot: {
      t,
      site: 'demo',
      visitors: [one, visitor(2, { at: null })],
      minutes: [{ t: t - 60_000, visitors: 3, samples: 9 }],
      version: '1',
    },
    join: { t, visitor: visitor(3) },
    page: { t, v: 1, page: '/b', from: '/', origin: '', size: one.size, visitor: one },
    view: { t, v: 1, size: one.size, hidden: true, device: 'phone', label: 'robot' },
    moves: { t, m: [1, 2, 0, 10, 10, 16, 20, 20, 2, 1, 5, 7, 7], page: '/' },
    click: { t, v: 1, page: '/', x: 5, y: 5, button: 0, ex: 0, ey: 0, selector: 'a' },
    scroll: { t, s: [1, 100, 500] },
    leave: { t, v: 2, reason: 'closed' },
    rates: { t, visitors: 2, samples: 4, drops: 0, flushMs: 100, activity: [1, 3, 2, 1] },
    reset: { t, reason: 'slow' },
  };
}

/** The text of an event that is good, changed, of nothing known, or no JSON at all. */
const hostileEvent: fc.Arbitrary<string> = fc
  .constantFrom(...(Object.entries(goodEvents()) as [string, unknown][]))
  .chain(([name, data]) =>
    fc.oneof(
      { weight: 6, arbitrary: mutated(data).map((one) => eventText(name, one, 'e-1')) },
      { weight: 2, arbitrary: hostileValue.map((one) => eventText(name, one)) },
      { weight: 1, arbitrary: fc.constant(eventText(name, data)) },
      { weight: 1, arbitrary: hostileValue.map((one) => eventText('unheard-of', one)) },
      {
        weight: 1,
        arbitrary: fc
          .constantFrom('', '{', '{"t":', '[1,', 'NaN', '\u0000', '{"t":1}}')
          .map((text) => `event: ${name}\ndata: ${text}\n\n`),
      },
    ),
  );

/** The server's seconds, by which the screen is drawn. */
function startSeconds(t: TestContext, events: EventServer): void {
  const timer = setInterval(() => events.say(eventText('rates', { ...goodEvents().rates, t: Date.now() })), 500);
  t.after(() => clearInterval(timer));
}

/** Its streams are those of the event servers. */
const server = await startServer(FILE, { workers: 1 });

/** A signed-in dashboard whose stream is what the event server says; its scripts must not fail. */
async function openHostile(t: TestContext): Promise<{ dashboard: Page; events: EventServer; faults: string[] }> {
  const dashboard = await openPage(await launch(t));
  const faults: string[] = [];
  dashboard.on('pageerror', (error) => faults.push(String(error.stack)));
  const events = await startEventServer(t);
  await events.capture(dashboard, '/v1/stream');
  events.send(eventText('snapshot', goodEvents().snapshot));
  const staged = dashboard.waitForResponse(/v1\/stream\?.*stage=/);
  await signIn(dashboard, server);
  await staged;
  await dashboard.locator('[data-link=live]').waitFor();
  return { dashboard, events, faults };
}

let lastV = 100;

/** A snapshot and what follows it are shown as they are, whatever came before. */
async function showsGood(dashboard: Page, events: EventServer): Promise<void> {
  lastV += 10;
  const here = [0, 1, 2].map((i) => visitor(lastV + i, { page: '/good', at: [lastV, 100 * i] }));
  events.forget();
  events.send(eventText('snapshot', { t: Date.now(), site: 'demo', visitors: here, minutes: [], version: '1' }));
  await seeHere(dashboard, here.length);
  for (const { id } of here) await dashboard.locator(`.visitors [data-id="${id}"]`).waitFor();
  assert.equal(await dashboard.locator('.visitors .row').count(), here.length);
  await seePointer(dashboard, lastV, 200);

  events.send(eventText('moves', { t: Date.now(), m: [lastV, 1, 0, 321, 123] }));
  await seePointer(dashboard, 321, 123);
  events.send(eventText('leave', { t: Date.now(), v: lastV + 1, reason: 'closed' }));
  await dashboard.locator(`.activity-feed [data-kind=leave][data-id="visitor-${lastV + 1}"]`).waitFor();
  await seeHere(dashboard, 2);
}

test('no stream breaks the live screen: after any input it shows a good snapshot and continues', async (t) => {
  const { dashboard, events, faults } = await openHostile(t);
  startSeconds(t, events);
  await fc.assert(
    fc.asyncProperty(fc.array(hostileEvent, { minLength: 10, maxLength: 40 }), async (texts) => {
      events.forget();
      for (const text of texts) events.send(text);
      lastV += 10;
      // Once this one is told of, the screen has been drawn with all that came before.
      events.send(eventText('join', { t: Date.now(), visitor: visitor(lastV) }));
      await dashboard.locator(`.activity-feed [data-id="visitor-${lastV}"]`).waitFor();
      await showsGood(dashboard, events);
      assert.deepEqual(faults, []);
    }),
    { numRuns: ROUNDS, endOnFailure: true },
  );
});

test('an unreadable event about who is present causes a fresh snapshot, and other unreadable events are ignored', async (t) => {
  const { dashboard, events, faults } = await openHostile(t);
  await seeHere(dashboard, 2);
  const before = events.asked.length;
  events.send(eventText('moves', { t: Date.now(), m: [1, -1, 0, 0, 0] }, 'e-7'));
  events.send('id: e-8\nevent: click\ndata: {"t":\n\n');
  await dashboard.locator('[data-unreadable="2"]').waitFor();
  // This stream goes on meanwhile.
  events.send(eventText('join', { t: Date.now(), visitor: visitor(9) }, 'e-9'));
  await seeHere(dashboard, 3);
  assert.equal(events.asked.length, before);

  events.send(eventText('leave', { t: Date.now(), v: null }, 'e-10'));
  events.forget();
  events.send(eventText('snapshot', { ...goodEvents().snapshot, visitors: 7 }));
  await dashboard.locator('[data-unreadable="4"]').waitFor();
  events.forget();
  events.send(eventText('rates', goodEvents().rates));
  const asked = dashboard.waitForRequest(/v1\/stream/);
  assert.ok(!(await asked).url().includes('last_event_id'));
  await dashboard.locator('[data-link=live][data-how=reset]').waitFor();
  events.send(eventText('snapshot', { ...goodEvents().snapshot, visitors: [visitor(20)] }));
  await seeHere(dashboard, 1);
  assert.deepEqual(faults, []);
});

test('a visitor reported twice, or under two numbers, is shown once', async (t) => {
  const { dashboard, events, faults } = await openHostile(t);
  const twice = [visitor(30), visitor(31, { id: 'visitor-30', page: '/b' }), visitor(32), visitor(32)];
  events.send(eventText('snapshot', { ...goodEvents().snapshot, visitors: twice }));
  events.send(eventText('join', { t: Date.now(), visitor: visitor(33, { id: 'visitor-32' }) }));
  events.send(eventText('leave', { t: Date.now(), v: 99, reason: 'closed' }));
  await dashboard.locator('.visitors [data-v="33"][data-id="visitor-32"]').waitFor();
  await dashboard.locator('.visitors [data-v="31"][data-id="visitor-30"]').waitFor();
  await seeHere(dashboard, 2);
  assert.equal(await dashboard.locator('.visitors .row').count(), 2);
  assert.deepEqual(faults, []);
});

test('no replay breaks the rewind, and its readable part is played', async (t) => {
  const { dashboard, events, faults } = await openHostile(t);
  await events.capture(dashboard, '/v1/replay');
  const at = Date.now() - 600_000;
  await fc.assert(
    fc.asyncProperty(fc.array(hostileEvent, { minLength: 10, maxLength: 40 }), async (texts) => {
      lastV += 10;
      events.forget();
      events.send(eventText('snapshot', { ...goodEvents().snapshot, t: at }));
      for (const text of texts) events.send(text);
      events.send(eventText('snapshot', { ...goodEvents().snapshot, t: at + 100, visitors: [visitor(lastV)] }));
      // A replay tells with each second that all before it is told.
      for (const t of [at + 200, at + 2000, at + 4000]) events.send(eventText('rates', { ...goodEvents().rates, t }));
      await dashboard.evaluate((at) => {
        history.pushState(null, '', `/admin?at=${at}`);
        dispatchEvent(new PopStateEvent('popstate'));
      }, at);
      await dashboard.locator(`.past .visitors [data-id="visitor-${lastV}"]`).waitFor();
      await dashboard.getByRole('button', { name: 'Back to live' }).click();
      await dashboard.locator('.screen:not(.past)').waitFor();
      assert.deepEqual(faults, []);
    }),
    { numRuns: 6, endOnFailure: true },
  );
});

test('an invalid time or number has a text, too', () => {
  const formats = [
    ago,
    clock,
    date,
    dayNameText,
    duration,
    isoTime,
    localTime,
    numberText,
    playTime,
    shortClock,
    shortDate,
  ];
  fc.assert(
    fc.property(fc.oneof(fc.double(), fc.integer(), fc.constantFrom(8.64e15, -8.64e15, 8.64e15 + 1)), (n) => {
      for (const format of formats)
        assert.ok(!/NaN|Infinity|Invalid/.test(String(format(n))), `${format.name} of ${n}`);
      assert.ok(!countText(n, 'visitor').includes('NaN'));
    }),
  );
  assert.equal(date(Number.NaN), '–');
  assert.equal(isoTime(1e300), undefined);
});
