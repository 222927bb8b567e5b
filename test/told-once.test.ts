/**
 * Events that a page sends again when it returns are stored once and sent once on a stream, even if its visitor had
 * left.
 */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import fc from 'fast-check';
import { ShownFrames } from '../src/hub/shown-frames.ts';
import { PAGE_NUMBERS } from '../src/protocol/ipc.ts';
import type { StreamEvents } from '../src/protocol/stream-event.ts';
import { freeAddress } from './support/free-port.ts';
import { FILE } from './support/owner.ts';
import { killTree, startServer, type TestServer, temporaryFolder } from './support/server.ts';
import { StreamReader } from './support/stream.ts';
import { Tab } from './support/tab.ts';

const server = await startServer(FILE, { workers: 1 });
/** Takes a visitor that is cut for one that left, at once. */
const hasty = await startServer(FILE, { flags: ['--grace', '0'] });

/** Gives clicks the selectors #c0, #c1, … */
function newTab(t: TestContext, url: () => string, site?: string): Tab {
  let made = 0;
  return new Tab(t, url, () => `#c${made++}`, '', site);
}

function watch(t: TestContext, server: TestServer, site = 'demo'): Promise<StreamReader> {
  return StreamReader.open(t, server, { site, moves: 'none' });
}

function clicksOf(stream: StreamReader): StreamEvents['click'][] {
  return stream.events.filter(({ name }) => name === 'click').map(({ data }) => data as StreamEvents['click']);
}

/** The clicks that a stream has told up to this one, without the `#`. */
async function toldUpTo(stream: StreamReader, last: string): Promise<string> {
  await stream.until(() => clicksOf(stream).find(({ selector }) => selector === last), `click ${last}`);
  return told(stream);
}

function told(stream: StreamReader): string {
  return clicksOf(stream)
    .map(({ selector }) => selector.slice(1))
    .join(' ');
}

async function hasLeft(stream: StreamReader): Promise<void> {
  await stream.until(() => stream.events.find(({ name }) => name === 'leave'), 'leave');
}

async function stored({ api }: TestServer, site = 'demo'): Promise<string> {
  const { visits } = (await (await api(`/v1/visits?site=${site}`)).json()) as { visits: { id: string }[] };
  const all: string[] = [];
  for (const { id } of visits) {
    const { passages } = (await (await api(`/v1/visits/${id}/passages`)).json()) as {
      passages: { clicks: { selector: string }[] }[];
    };
    all.push(...passages.flatMap(({ clicks }) => clicks.map(({ selector }) => selector.slice(1))));
  }
  return all.sort().join(' ');
}

/**
 * Says hello by POST and clicks; the beacon of the page that is hidden then carries the click, and nobody hears the
 * answer.
 */
async function clickAndHide(tab: Tab): Promise<void> {
  await tab.post();
  tab.click();
  await tab.leave();
}

for (const way of ['post', 'connect'] as const)
  test(`a page that returns by ${way} after its visitor has left gets no click sent twice`, async (t) => {
    const site = await hasty.newSite();
    const stream = await watch(t, hasty, site);
    const tab = newTab(t, () => hasty.url, site);
    await clickAndHide(tab);
    await toldUpTo(stream, '#c0');
    await hasLeft(stream);
    await tab[way]();
    tab.click();
    await tab.settle();
    assert.equal(await toldUpTo(stream, '#c1'), 'c0 c1');
    assert.equal(await stored(hasty, site), 'c0 c1');
  });

for (const [how, end] of [
  ['stopped', (server: TestServer) => server.stop()],
  ['killed', (server: TestServer) => killTree(server)],
] as const)
  test(`a page that returns after the server was ${how} gets no click sent twice`, async (t) => {
    const data = temporaryFolder(t);
    const listen = await freeAddress();
    let server = await startServer(t, { data, listen, workers: 1 });
    const tab = newTab(t, () => server.url);
    const before = await watch(t, server);
    await clickAndHide(tab);
    assert.equal(await toldUpTo(before, '#c0'), 'c0');
    await end(server);
    server = await startServer(t, { data, listen, workers: 1 });
    const after = await watch(t, server);
    await tab.post();
    tab.click();
    await tab.settle();
    assert.equal(await toldUpTo(after, '#c1'), 'c1');
    assert.equal(await stored(server), 'c0 c1');
  });

test('clicks on a page reached by the back button are sent', async (t) => {
  const site = await server.newSite();
  const stream = await watch(t, server, site);
  const tab = newTab(t, () => server.url, site);
  await tab.connect();
  tab.click();
  await tab.settle();
  await tab.navigate(true);
  tab.click();
  await tab.settle();
  await tab.back();
  tab.click();
  await tab.settle();
  assert.equal(await toldUpTo(stream, '#c2'), 'c0 c1 c2');
  assert.deepEqual(
    clicksOf(stream).map(({ page }) => page),
    ['/0', '/1', '/0'],
  );
  assert.equal(await stored(server, site), 'c0 c1 c2');
});

test('a click that arrives when its visitor is on the next page is sent once, for its own page', async (t) => {
  const site = await server.newSite();
  const stream = await watch(t, server, site);
  const tab = newTab(t, () => server.url, site);
  await tab.post();
  tab.click();
  // The server has it, and the page does not know: the beacon carries it, too.
  await tab.post(true);
  await toldUpTo(stream, '#c0');
  tab.click();
  await tab.navigate(false);
  assert.equal(await toldUpTo(stream, '#c1'), 'c0 c1');
  tab.click();
  await tab.settle();
  assert.equal(await toldUpTo(stream, '#c2'), 'c0 c1 c2');
  assert.deepEqual(
    clicksOf(stream).map(({ page }) => page),
    ['/0', '/0', '/1'],
  );
  assert.equal(new Set(clicksOf(stream).map(({ v }) => v)).size, 1);
  assert.equal(await stored(server, site), 'c0 c1 c2');
});

test('all clicks of one frame are sent, also with the highest possible numbers', () => {
  const shown = new ShownFrames();
  for (const n of [1, 2 ** 46, 2 ** 47])
    assert.deepEqual(
      [0, 1, 2, 2].map((i) => shown.show(n, i)),
      [true, true, true, false],
    );
});

test("events are sent once, in whatever order a visitor's pages resend their frames", () => {
  const step = fc.record({ page: fc.nat(4), frames: fc.integer({ min: 1, max: 4 }), again: fc.nat(6) });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const shown = new ShownFrames();
      const made = new Map<number, number>();
      for (const { page, frames, again } of steps) {
        const base = page * PAGE_NUMBERS + page * 100;
        const last = made.get(page) ?? 0;
        for (let n = Math.max(1, last + 1 - again); n <= last + frames; n++)
          assert.equal(shown.show(base + n, 0), n > last, `page ${page}, frame ${n} after ${last}`);
        made.set(page, last + frames);
        assert.equal(shown.lastBefore(base + last + frames + 1), base + last + frames);
      }
    }),
  );
});
