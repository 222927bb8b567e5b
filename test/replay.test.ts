/** The past as a stream: the live events again, at the requested speed and no faster than the reader accepts them. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { get, type IncomingMessage } from 'node:http';
import { type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { StreamEvent } from '../src/dashboard/live/live-state.ts';
import type { Visit } from '../src/model/visit.ts';
import type { Visitor } from '../src/model/visitor.ts';
import type { Sample } from '../src/protocol/encode.ts';
import type { Archive } from '../src/store/archive.ts';
import type { LmdbArchive } from '../src/store/lmdb/lmdb-archive.ts';
import { codeOf, startHttp, type TestHttp } from './support/http.ts';
import { click, moves, type PastVisit, record } from './support/record.ts';
import { startServer, type TestServer, TOKEN } from './support/server.ts';
import { type ReadEvent, StreamReader, samplesOf, unpackMoves } from './support/stream.ts';
import { BinaryVisitor } from './support/visitor.ts';

const HOUR = 3_600_000;
const FROM = Date.now() - HOUR;

type Query = Record<string, string | number>;

function open(t: TestContext, http: { url: string }, query: Query): Promise<StreamReader> {
  const all = Object.fromEntries(
    Object.entries({ site: 'demo', from: FROM, ...query }).map(([k, v]) => [k, String(v)]),
  );
  return StreamReader.open(t, { url: http.url, token: TOKEN }, all, {}, '/v1/replay');
}

/** Reads a replay to its end. */
async function whole(t: TestContext, http: { url: string }, query: Query): Promise<ReadEvent[]> {
  const reader = await open(t, http, query);
  await reader.ended;
  return reader.events;
}

const namesOf = (events: readonly ReadEvent[]) => events.map(({ name }) => name).filter((name) => name !== 'rates');

/** Compacts visits, so that readers find all of them at once. A busy store shows new frames some seconds later. */
async function keep({ store }: TestHttp, ...visits: PastVisit[]): Promise<void> {
  await record(store.archive, ...visits);
  await (store.archive as LmdbArchive).compactAll();
}

/** Many moves of one visitor: `seconds` of 62 a second. */
function busy(id: string, seconds: number) {
  const frames = Array.from({ length: seconds }, (_, second) => {
    const places = Array.from({ length: 62 }, (_, i): [number, number] => [second, i * 13]);
    return { samples: moves(FROM + second * 1000, places) };
  });
  return { id, since: FROM, frames };
}

/** The store's record, with a count of how often it was asked for scenes. */
function counting(archive: Archive): { archive: Archive; asked(): number } {
  let asked = 0;
  const scenes: Archive['scenes'] = (...query) => {
    asked += 1;
    return archive.scenes(...query);
  };
  return {
    archive: new Proxy(archive, { get: (all, name) => (name === 'scenes' ? scenes : bound(all, name)) }),
    asked: () => asked,
  };
}

function bound(archive: Archive, name: string | symbol): unknown {
  const value = archive[name as keyof Archive];
  return typeof value === 'function' ? value.bind(archive) : value;
}

/** A response whose body nobody reads yet. */
async function unread(t: TestContext, http: TestHttp, query: Query): Promise<IncomingMessage> {
  const text = new URLSearchParams(
    Object.entries({ site: 'demo', from: FROM, ...query }).map(([k, v]) => [k, String(v)]),
  );
  const request = get(`${http.url}/v1/replay?${text}`, { headers: { authorization: `Bearer ${TOKEN}` } });
  t.after(() => request.destroy());
  const [response] = (await once(request, 'response')) as [IncomingMessage];
  return response;
}

/** Resolves with a value once it has stayed the same for half a second. */
async function settled(look: () => number): Promise<number> {
  let value = look();
  for (let still = 0; still < 10; still++) {
    await sleep(50);
    if (look() !== value) still = 0;
    value = look();
  }
  return value;
}

test('a visit is replayed with its times, from the snapshot to the end', async (t) => {
  const http = await startHttp(t);
  const samples = [
    ...moves(
      FROM + 2000,
      [
        [1, 2],
        [3, 4],
        [5, 6],
      ],
      100,
    ),
    click(FROM + 2300, 7, 8),
  ];
  const next = { page: '/b', entered: true, samples: moves(FROM + 4000, [[9, 9]]) };
  await keep(
    http,
    { id: 'one', since: FROM + 1500, frames: [{ entered: true, samples }, next] },
    { id: 'elsewhere', site: 'other', since: FROM, frames: [{ samples: moves(FROM, [[1, 1]]) }] },
  );
  const events = await whole(t, http, { to: FROM + 10_000, speed: 0 });
  assert.deepEqual(namesOf(events), ['snapshot', 'join', 'moves', 'click', 'page', 'moves', 'leave', 'end']);
  assert.deepEqual(samplesOf(events), [
    [1, FROM + 2000, 1, 2],
    [1, FROM + 2100, 3, 4],
    [1, FROM + 2200, 5, 6],
    [1, FROM + 4000, 9, 9],
  ]);
  assert.deepEqual(events.at(-1), { id: String(FROM + 10_000), name: 'end', data: { t: FROM + 10_000 } });
  const staged = await whole(t, http, { to: FROM + 10_000, speed: 0, page: '/b' });
  assert.deepEqual(samplesOf(staged), [[1, FROM + 4000, 9, 9]]);
});

test('a long and busy period is replayed completely and in order', async (t) => {
  const http = await startHttp(t);
  const ids = ['a', 'b', 'c', 'd'];
  await keep(http, ...ids.map((id) => busy(id, 100)));
  const events = await whole(t, http, { to: FROM + 200_000, speed: 0 });
  const bySample = new Map<number, number[]>();
  for (const [v, at, , y] of samplesOf(events)) bySample.set(v, [...(bySample.get(v) ?? []), at, y]);
  const expected = busy('a', 100).frames.flatMap(({ samples }) =>
    samples.flatMap((one) => [one.time, 'y' in one ? one.y : 0]),
  );
  assert.equal(bySample.size, 4);
  for (const list of bySample.values()) assert.deepEqual(list, expected);
  const seconds = events.filter(({ name }) => name === 'rates').map(({ data }) => (data as { t: number }).t);
  assert.deepEqual(
    seconds,
    Array.from({ length: 200 }, (_, i) => FROM + 1000 * (i + 1)),
  );
});

test('no event is sent before its time', async (t) => {
  const http = await startHttp(t);
  await keep(http, busy('a', 3));
  const begin = performance.now();
  const reader = await open(t, http, { to: FROM + 60_000, speed: 4 });
  await reader.next('moves', ({ t: base, m }) => base + (m[2] as number) >= FROM + 2000);
  // 2 s of the past, four times as fast.
  assert.ok(performance.now() - begin > 450, 'too early');
});

test('nothing is read for a reader that accepts no data, and the replay resumes where it stopped', async (t) => {
  const data = await startHttp(t);
  const samples = (k: number) =>
    moves(
      FROM + k * 1000,
      Array.from({ length: 1000 }, (_, i) => [k * 7, (i * 37) % 3001]),
      1,
    );
  const frames = Array.from({ length: 100 }, (_, k) => ({ samples: samples(k) }));
  for (let i = 0; i < 20; i++) await keep(data, { id: `visitor-${i}`, since: FROM, frames });
  const { archive, asked } = counting(data.store.archive);
  const http = await startHttp(t, { archive });
  const response = await unread(t, http, { to: FROM + 100_000, speed: 0 });
  const untaken = await settled(asked);
  let bytes = 0;
  let last = '';
  for await (const chunk of response) {
    bytes += chunk.length;
    last = `${last}${chunk}`.slice(-200);
  }
  assert.match(last, /event: end\n/);
  assert.ok(bytes > 10 * 1024 * 1024, `${bytes} bytes`);
  assert.ok(untaken < asked() - 4, `${untaken} of ${asked()} windows were read for nobody`);
});

test('closing a replay stops the reading, and frees its place', async (t) => {
  const data = await startHttp(t);
  await keep(data, busy('a', 60));
  const { archive, asked } = counting(data.store.archive);
  const http = await startHttp(t, { archive, flags: ['--max-replays', '1'] });
  const reader = await open(t, http, { speed: 60 });
  await reader.next('snapshot');
  const path = `/v1/replay?site=demo&from=${FROM}&to=${FROM + 1000}&speed=0`;
  const refused = await http.api('GET', path);
  assert.equal(refused.status, 503);
  assert.equal(refused.headers.get('retry-after'), '5');
  assert.equal(await codeOf(refused), 'too-many-streams');
  reader.close();
  await reader.ended;
  const before = await settled(asked);
  const next = await http.api('GET', path);
  assert.equal(next.status, 200);
  await next.text();
  assert.equal(asked(), before + 1);
});

test('a replay whose reader is disconnected resumes at the second it had reached', async (t) => {
  const http = await startHttp(t);
  await keep(http, busy('a', 10));
  const events = await whole(t, http, { to: FROM + 5000, speed: 0 });
  const ids = events.flatMap(({ id }) => id ?? []);
  assert.ok(ids.length >= 5);
  for (const more of [
    { headers: { 'last-event-id': String(FROM + 3000) } },
    { query: `&last_event_id=${FROM + 3000}` },
  ]) {
    const headers = { authorization: `Bearer ${TOKEN}`, ...more.headers };
    const path = `/v1/replay?site=demo&from=${FROM}&to=${FROM + 5000}&speed=0${more.query ?? ''}`;
    const text = await (await http.ask('GET', path, { headers })).text();
    const begin = JSON.parse(/event: snapshot\ndata: (.*)\n/.exec(text)?.[1] ?? '') as {
      t: number;
      visitors: { id: string; at: number[] }[];
    };
    assert.equal(begin.t, FROM + 3000);
    assert.deepEqual(
      begin.visitors.map(({ id, at }) => [id, at]),
      [['a', [2, 61 * 13]]],
    );
    assert.ok(!text.includes(`"t":${FROM + 2000}`));
  }
  // A browser that connects again after the end is told not to.
  const headers = { authorization: `Bearer ${TOKEN}`, 'last-event-id': ids.at(-1) as string };
  const over = await http.ask('GET', `/v1/replay?site=demo&from=${FROM}&to=${FROM + 5000}`, { headers });
  assert.equal(over.status, 204);
});

test('a replay ends when the server stops, when its token is revoked and when its site is removed', async (t) => {
  let stops = false;
  const http = await startHttp(t, { ready: () => !stops });
  await keep(http, busy('a', 100));
  const { secret, token } = await http.store.addToken('reader', Date.now());
  const query = { site: 'demo', from: String(FROM), speed: '60' };
  const revoked = await StreamReader.open(t, { url: http.url, token: secret }, query, {}, '/v1/replay');
  await revoked.next('snapshot');
  await http.store.removeToken(token.id);
  await revoked.ended;
  assert.ok(!revoked.events.some(({ name }) => name === 'end'));
  const stopped = await open(t, http, { speed: 1 });
  await stopped.next('snapshot');
  stops = true;
  await stopped.ended;
  stops = false;
  const orphan = await open(t, http, { speed: 60 });
  await orphan.next('snapshot');
  await http.store.removeSite('demo', Date.now());
  await orphan.ended;
  assert.ok(!orphan.events.some(({ name }) => name === 'end'));
});

test('a failing store ends a replay, and nothing else', async (t) => {
  const http = await startHttp(t);
  await keep(http, busy('a', 100));
  let fails = false;
  const archive = new Proxy<Archive>(http.store.archive, {
    get: (all, name) => (fails && name === 'scenes' ? () => Promise.reject(new Error('gone')) : bound(all, name)),
  });
  const other = await startHttp(t, { archive });
  const reader = await open(t, other, { speed: 60 });
  await reader.next('snapshot');
  fails = true;
  await reader.ended;
  assert.ok(!reader.events.some(({ name }) => name === 'end'));
  fails = false;
  assert.ok((await whole(t, other, { to: FROM + 1000, speed: 0 })).some(({ name }) => name === 'end'));
});

test('an invalid replay is rejected, and the error says what would be valid', async (t) => {
  const http = await startHttp(t);
  const path = `/v1/replay?site=demo&from=${FROM}`;
  const cases: [path: string, status: number, right: RegExp][] = [
    [`/v1/replay?from=${FROM}`, 400, /site is missing/],
    ['/v1/replay?site=demo', 400, /from is missing/],
    [`/v1/replay?site=nobody&from=${FROM}`, 404, /no such site/],
    ['/v1/replay?site=demo&from=2026-11-20', 400, /from must be a time in Unix milliseconds/],
    [`/v1/replay?site=demo&from=${Date.now() + HOUR}`, 400, /from must be in the past/],
    [`${path}&to=${FROM}`, 400, /from must be before to/],
    [`${path}&to=${FROM - 1}`, 400, /from must not be after to/],
    [`${path}&to=${FROM + 25 * HOUR}`, 400, /at most 24 hours apart/],
    [`${path}&speed=61`, 400, /speed must be a whole number from 0 to 60/],
    [`${path}&speed=0.5`, 400, /speed must be a whole number/],
    [`${path}&page=`, 400, /page is empty/],
  ];
  for (const [asked, status, right] of cases) {
    const answer = await http.api('GET', asked);
    assert.equal(answer.status, status, asked);
    assert.match(((await answer.json()) as { detail: string }).detail, right, asked);
  }
  assert.equal((await http.ask('GET', path)).status, 401);
  assert.equal((await http.api('HEAD', path)).status, 405);
});

/** What a stream tells of each visitor, by id. */
function stories(events: readonly ReadEvent[]) {
  const ids = new Map<number, string>();
  const all = new Map<
    string,
    { since: number; samples: number[][]; clicks: object[]; pages: object[]; scroll: number[]; left: string[] }
  >();
  const of = (v: number) => all.get(ids.get(v) ?? '');
  const meet = ({ v, id, since }: Visitor) => {
    ids.set(v, id);
    all.set(id, { since, samples: [], clicks: [], pages: [], scroll: [], left: [] });
  };
  for (const event of events) {
    const { name, data } = event as StreamEvent;
    if (name === 'snapshot') data.visitors.forEach(meet);
    else if (name === 'join') meet(data.visitor);
    else if (name === 'moves') for (const [v, ...sample] of unpackMoves(data)) of(v)?.samples.push(sample);
    else if (name === 'click') of(data.v)?.clicks.push({ ...data, v: 0 });
    else if (name === 'page') of(data.v)?.pages.push([data.from, data.page, data.origin, data.size]);
    else if (name === 'scroll')
      for (let i = 0; i < data.s.length; i += 3)
        of(data.s[i] as number)?.scroll.splice(0, 2, ...data.s.slice(i + 1, i + 3));
    else if (name === 'leave') of(data.v)?.left.push(data.reason);
  }
  return Object.fromEntries([...all].sort((a, b) => (a[0] < b[0] ? -1 : 1)));
}

test('a replay sends the same events as the live stream', async (t) => {
  const server = await startServer(t, { workers: 2 });
  const from = Date.now() - 1;
  const live = await StreamReader.open(t, server, { site: 'demo' });
  await live.next('snapshot');
  await Promise.all(Array.from({ length: 6 }, (_, i) => wander(t, server, i)));
  await live.until(
    () => (live.events.filter(({ name }) => name === 'leave').length === 6 ? true : undefined),
    'leaves',
  );
  await shown(server, 6, 120);
  const query = { site: 'demo', from: String(from), speed: '0' };
  const replay = await StreamReader.open(t, server, query, {}, '/v1/replay');
  await replay.ended;
  const told = stories(live.events);
  assert.equal(Object.keys(told).length, 6);
  assert.ok(Object.values(told).every(({ samples }) => samples.length === 120));
  assert.deepEqual(stories(replay.events), told);
  const later = await StreamReader.open(t, server, { ...query, page: '/b' }, {}, '/v1/replay');
  await later.ended;
  assert.equal(samplesOf(later.events).length, 360);
});

/** Waits until the record shows this number of visits and moves: a busy machine compacts new frames some time later. */
async function shown(server: TestServer, count: number, each: number): Promise<void> {
  for (let tries = 0; tries < 100; tries++) {
    const { visits } = (await (await server.api('/v1/visits?site=demo')).json()) as { visits: Visit[] };
    if (visits.length === count && visits.every((visit) => visit.moves === each)) return;
    await sleep(100);
  }
  assert.fail('the visits do not show');
}

/** A visitor that moves, clicks, scrolls and goes to another page by two connections. */
async function wander(t: TestContext, server: { ws: string }, i: number): Promise<void> {
  const token = await stroll(t, server, i, '/', '');
  await stroll(t, server, i, '/b', token);
}

async function stroll(t: TestContext, server: { ws: string }, i: number, page: string, token: string): Promise<string> {
  const begin = performance.now();
  const visitor = new BinaryVisitor(t, server.ws, { page, token });
  const hello = await visitor.hello;
  for (let k = 0; k < 20; k++) {
    const time = Math.round(performance.now() - begin);
    const places = [0, 3, 5].map((dt): Sample => ({ type: 'move', time: time + dt, x: i * 100 + dt, y: k }));
    const more: Sample[] =
      k % 7 === 3 ? [{ type: 'scroll', time: time + 6, y: 10 * k }, click(time + 7, i, k, `#b${i}`)] : [];
    visitor.frame(...places, ...more);
    await sleep(15);
  }
  while (visitor.acked < visitor.n) await once(visitor.socket, 'message');
  if (page === '/b') visitor.bye();
  else visitor.socket.close(4000);
  await once(visitor.socket, 'close');
  return hello.token;
}

test('a moment is found among thousands of visits', async (t) => {
  const http = await startHttp(t);
  const many = Array.from({ length: 2000 }, (_, i) => {
    const since = FROM - 24 * HOUR + i * 40_000;
    return {
      id: `visit-${i}`,
      since,
      frames: [
        {
          samples: moves(
            since,
            [
              [1, 1],
              [i, 2],
            ],
            3000,
          ),
        },
      ],
    };
  });
  await keep(http, ...many);
  const middle = many[1000]?.since as number;
  const events = await whole(t, http, { from: middle - 1000, to: middle + 5000, speed: 0 });
  assert.deepEqual(namesOf(events), ['snapshot', 'join', 'moves', 'moves', 'leave', 'end']);
});
