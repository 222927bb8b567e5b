/** Visits and counts over HTTP: lists, single visits, the actions of a visitor, and erasing. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Passage, Visit } from '../src/model/visit.ts';
import type { LmdbArchive } from '../src/store/lmdb/lmdb-archive.ts';
import { codeOf, startHttp, type TestHttp } from './support/http.ts';
import { click, moves, record } from './support/record.ts';
import { startServer } from './support/server.ts';
import { JsonVisitor } from './support/visitor.ts';

const HOUR = 3_600_000;
/** Past, and in the middle of a day. */
const T = Math.floor(Date.now() / (24 * HOUR)) * 24 * HOUR - 12 * HOUR;
const TODAY = dayOf(Date.now());
const DAY = dayOf(T);

function dayOf(t: number): string {
  return new Date(t).toISOString().slice(0, 10);
}

/** A visit on these pages, a second on each, beginning `hour` hours after T. */
function past(id: string, hour: number, { pages = ['/'], clicks = 0, width = 1280, country = '' } = {}) {
  const since = T + hour * HOUR;
  const size: Visit['size'] = [width, 720, width, 2000];
  const frames = pages.map((page, i) => {
    const t = since + i * 1000;
    const clicked = Array.from({ length: clicks }, (_, k) => click(t + 500 + k, 20, 30, '#buy'));
    return {
      page,
      size,
      entered: true,
      samples: [
        ...moves(
          t,
          [
            [1, 2],
            [40, 50],
          ],
          400,
        ),
        ...clicked,
      ],
    };
  });
  return { id, since, country, frames };
}

async function list(http: TestHttp, query: Record<string, string>): Promise<{ ids: string[]; next: string | null }> {
  const answer = await http.api('GET', `/v1/visits?${new URLSearchParams({ site: 'demo', ...query })}`);
  assert.equal(answer.status, 200, await answer.clone().text());
  const { visits, next } = (await answer.json()) as { visits: Visit[]; next: string | null };
  return { ids: visits.map(({ id }) => id), next };
}

async function withVisits(t: Parameters<typeof startHttp>[0]) {
  const http = await startHttp(t);
  await record(
    http.store.archive,
    past('one', 1),
    past('two', 2, { pages: ['/', '/shop', '/shop/pots'], clicks: 2 }),
    past('three', 3, { width: 400, country: 'NL' }),
    { ...past('other', 2), site: 'elsewhere' },
  );
  return http;
}

test('visits are listed newest first, and filtered as requested', async (t) => {
  const http = await withVisits(t);
  const cases: [query: Record<string, string>, ids: string[]][] = [
    [{}, ['three', 'two', 'one']],
    [{ page: '/shop' }, ['two']],
    [{ from: String(T + 2 * HOUR) }, ['three', 'two']],
    [{ to: String(T + 2 * HOUR) }, ['one']],
    [{ from: String(T + HOUR), to: String(T + 2 * HOUR) }, ['one']],
    [{ device: 'phone' }, ['three']],
    [{ device: 'desktop' }, ['two', 'one']],
    [{ country: 'NL' }, ['three']],
    [{ longer: '2000' }, ['two']],
    [{ shorter: '1000' }, ['three', 'one']],
    [{ clicked: 'true' }, ['two']],
    [{ clicked: 'false' }, ['three', 'one']],
    [{ page: '/nowhere' }, []],
  ];
  for (const [query, ids] of cases) assert.deepEqual((await list(http, query)).ids, ids, JSON.stringify(query));
});

test('a list is read in pages', async (t) => {
  const http = await startHttp(t);
  const ids = Array.from({ length: 60 }, (_, i) => `visit-${String(i).padStart(2, '0')}`);
  await record(http.store.archive, ...ids.map((id, i) => past(id, i / 10)));
  assert.equal((await list(http, {})).ids.length, 50);
  const read: string[] = [];
  let next: string | null = null;
  do {
    const part = await list(http, { limit: '7', ...(next !== null && { after: next }) });
    assert.ok(part.ids.length <= 7);
    read.push(...part.ids);
    next = part.next;
  } while (next !== null);
  assert.deepEqual(read, ids.reverse());
});

test('a visit is returned whole, with the actions of its visitor page by page', async (t) => {
  const http = await withVisits(t);
  const visit = (await (await http.api('GET', '/v1/visits/two')).json()) as Visit;
  assert.deepEqual(
    visit.stays.map(({ page, t }) => [page, t]),
    ['/', '/shop', '/shop/pots'].map((page, i) => [page, T + 2 * HOUR + i * 1000]),
  );
  assert.deepEqual(
    { moves: visit.moves, clicks: visit.clicks, device: visit.device },
    { moves: 6, clicks: 6, device: 'desktop' },
  );
  const answer = await http.api('GET', '/v1/visits/two/passages');
  const { passages, next } = (await answer.json()) as { passages: Passage[]; next: string | null };
  assert.equal(next, null);
  assert.deepEqual(
    passages.map(({ page, entered }) => [page, entered]),
    [
      ['/', true],
      ['/shop', true],
      ['/shop/pots', true],
    ],
  );
  const [first] = passages;
  assert.deepEqual(first?.moves, [0, 1, 2, 400, 40, 50]);
  assert.deepEqual(first?.clicks[0], { dt: 500, x: 20, y: 30, button: 0, ex: 0, ey: 0, selector: '#buy' });
});

test('a long visit’s passages come in pages that lose nothing', async (t) => {
  const http = await startHttp(t);
  const since = T;
  const places = Array.from({ length: 500 }, (_, i): [number, number] => [(i * 7919) % 9973, (i * 104_729) % 9949]);
  const frames = Array.from({ length: 400 }, (_, i) => ({ samples: moves(since + i * 500, places, 1) }));
  await record(http.store.archive, { id: 'long', since, frames });
  await (http.store.archive as LmdbArchive).compactAll();
  const times: number[] = [];
  let parts = 0;
  let next: string | null = null;
  do {
    const query = next === null ? '' : `?after=${encodeURIComponent(next)}`;
    const answer = await http.api('GET', `/v1/visits/long/passages${query}`);
    const part = (await answer.json()) as { passages: Passage[]; next: string | null };
    for (const { t: begin, moves: flat } of part.passages)
      for (let i = 0; i < flat.length; i += 3) times.push(begin + (flat[i] as number));
    next = part.next;
    parts += 1;
  } while (next !== null);
  assert.ok(parts > 1);
  assert.deepEqual(
    times,
    Array.from({ length: 200_000 }, (_, i) => since + i),
  );
});

test('an erased visit is removed from the list, the counts and the heatmaps', async (t) => {
  const http = await withVisits(t);
  const query = `site=demo&from=${DAY}&to=${TODAY}`;
  const before = (await (await http.api('GET', `/v1/heatmap?${query}&page=/&kind=click`)).json()) as { total: number };
  assert.equal(before.total, 2);
  assert.equal((await http.api('DELETE', '/v1/visits/two')).status, 204);
  assert.deepEqual((await list(http, {})).ids, ['three', 'one']);
  const after = (await (await http.api('GET', `/v1/heatmap?${query}&page=/&kind=click`)).json()) as { total: number };
  assert.equal(after.total, 0);
  const { pages } = (await (await http.api('GET', `/v1/pages?${query}`)).json()) as { pages: { page: string }[] };
  assert.deepEqual(
    pages.map(({ page }) => page),
    ['/'],
  );
  for (const [method, path] of [
    ['DELETE', '/v1/visits/two'],
    ['GET', '/v1/visits/two'],
    ['GET', '/v1/visits/two/passages'],
  ] as const) {
    const answer = await http.api(method, path);
    assert.equal(answer.status, 404, path);
    assert.equal(await codeOf(answer), 'unknown-visit');
  }
});

test('pages are counted by day, with the visitors present now', async (t) => {
  const present = async (site: string) =>
    new Map(
      site === 'demo'
        ? [
            ['/shop', 3],
            ['/new', 1],
          ]
        : [],
    );
  const http = await startHttp(t, { present });
  await record(http.store.archive, past('one', 1), past('two', 2, { pages: ['/', '/shop'], clicks: 1 }));
  const answer = await http.api('GET', `/v1/pages?site=demo&from=${DAY}&to=${DAY}`);
  assert.equal(answer.headers.get('cache-control'), 'no-store');
  assert.deepEqual(await answer.json(), {
    pages: [
      {
        page: '/',
        views: 2,
        visits: 2,
        clicks: 1,
        moves: 4,
        ms: 900,
        depth: 1440,
        measuredDepth: 1440,
        measuredHeight: 4000,
        now: 0,
      },
      {
        page: '/shop',
        views: 1,
        visits: 1,
        clicks: 1,
        moves: 2,
        ms: 500,
        depth: 720,
        measuredDepth: 720,
        measuredHeight: 2000,
        now: 3,
      },
      {
        page: '/new',
        views: 0,
        visits: 0,
        clicks: 0,
        moves: 0,
        ms: 0,
        depth: 0,
        measuredDepth: 0,
        measuredHeight: 0,
        now: 1,
      },
    ],
    days: [
      {
        day: DAY,
        views: 3,
        visits: 2,
        clicks: 2,
        moves: 6,
        ms: 1400,
        depth: 2160,
        measuredDepth: 2160,
        measuredHeight: 6000,
      },
    ],
  });
  const recent = (await (await http.api('GET', '/v1/pages?site=demo')).json()) as { days: { day: string }[] };
  assert.deepEqual(
    recent.days.map(({ day }) => day),
    [DAY],
  );
});

test('the primary is asked for the visitors present on a page', async (t) => {
  const server = await startServer(t, { workers: 2 });
  await new JsonVisitor(t, server.ws, { page: '/garden.html' }).hello;
  await new JsonVisitor(t, server.ws, { page: '/garden.html' }).hello;
  await new JsonVisitor(t, server.ws, { page: '/' }).hello;
  const headers = { authorization: `Bearer ${server.token}` };
  const answer = await fetch(`${server.url}/v1/pages?site=demo`, { headers });
  const { pages } = (await answer.json()) as { pages: { page: string; now: number }[] };
  const here = pages.filter(({ now }) => now > 0).map(({ page, now }) => [page, now]);
  assert.deepEqual(here.sort(), [
    ['/', 1],
    ['/garden.html', 2],
  ]);
});

test('while the primary does not answer, clients are told to try again', async (t) => {
  const http = await startHttp(t, { present: async () => undefined });
  const answer = await http.api('GET', '/v1/pages?site=demo');
  assert.equal(answer.status, 503);
  assert.equal(answer.headers.get('retry-after'), '1');
  assert.equal(await codeOf(answer), 'busy');
});

test('an invalid request is rejected, and the error says what would be valid', async (t) => {
  const http = await withVisits(t);
  const later = String(T + 1);
  const cases: [path: string, status: number, right: RegExp][] = [
    ['/v1/visits', 400, /site is missing/],
    ['/v1/visits?site=nobody', 404, /no such site/],
    ['/v1/visits?site=demo&limit=0', 400, /limit must be a whole number from 1 to 200/],
    ['/v1/visits?site=demo&limit=201', 400, /from 1 to 200/],
    ['/v1/visits?site=demo&limit=1e2', 400, /from 1 to 200/],
    ['/v1/visits?site=demo&limit=1&limit=2', 400, /limit must be string/],
    ['/v1/visits?site=demo&longer=-1', 400, /longer must be a whole number/],
    ['/v1/visits?site=demo&from=yesterday', 400, /from must be a time in Unix milliseconds/],
    [`/v1/visits?site=demo&from=${later}&to=${T}`, 400, /from must not be after to/],
    ['/v1/visits?site=demo&device=watch', 400, /device must be one of phone, tablet, desktop, wide, unknown/],
    ['/v1/visits?site=demo&country=nl', 400, /country/],
    ['/v1/visits?site=demo&clicked=yes', 400, /clicked must be one of true, false/],
    ['/v1/visits?site=demo&colour=red', 400, /colour is not a known field/],
    [`/v1/visits?site=demo&page=${'x'.repeat(1025)}`, 400, /page may have at most 1024 characters/],
    ['/v1/visits/a%20b', 400, /id/],
    ['/v1/visits/nobody', 404, /no such visit/],
    ['/v1/visits/one/passages?from=1', 400, /from is not a known field/],
    ['/v1/pages?site=demo&from=2026-02-30', 400, /from must be a day such as 2026-11-20/],
    ['/v1/pages?site=demo&from=1', 400, /from must be a day/],
    [`/v1/pages?site=demo&from=${TODAY}&to=2020-01-01`, 400, /from must not be after to/],
    ['/v1/pages?site=demo&from=2020-01-01', 400, /at most 400 days/],
    ['/v1/pages?site=nobody', 404, /no such site/],
  ];
  for (const [path, status, right] of cases) {
    const answer = await http.api('GET', path);
    const body = (await answer.json()) as { detail: string };
    assert.equal(answer.status, status, path);
    assert.match(body.detail, right, path);
  }
  for (const path of ['/v1/visits?site=demo', '/v1/visits/one', '/v1/visits/one/passages', '/v1/pages?site=demo'])
    assert.equal((await http.ask('GET', path)).status, 401, path);
  assert.equal((await http.ask('DELETE', '/v1/visits/one')).status, 401);
});

test('an invalid cursor is a bad request, and an invented cursor gives an empty list', async (t) => {
  const http = await withVisits(t);
  for (const after of ['x', '1.2.3', 'NaN.NaN', '-1.-1', '9'.repeat(200), '%00', ''])
    for (const path of ['/v1/visits?site=demo&', '/v1/visits/two/passages?']) {
      const answer = await http.api('GET', `${path}after=${encodeURIComponent(after)}`);
      assert.deepEqual([answer.status, (await answer.json()).code], [400, 'bad-request'], `${path}${after}`);
    }
  assert.deepEqual((await list(http, { after: '1.1' })).ids, []);
  assert.deepEqual((await list(http, {})).ids.length, 3);
});
