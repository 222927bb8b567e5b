/** A distant Redis: every request takes a bounded number of round trips, which docs/operations.md states. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { type TestContext, test } from 'node:test';
import { createLogger } from '../src/log/logger.ts';
import { type RedisTarget, readTarget } from '../src/redis/redis-url.ts';
import { MinuteWriter } from '../src/store/minute-writer.ts';
import { openRedisStore, type RedisStore, type RedisStoreOptions } from '../src/store/redis/redis-store.ts';
import { FarRedis, farCluster } from './support/far-redis.ts';
import { startHttp, type TestHttp } from './support/http.ts';
import { click, moves, type PastVisit, record } from './support/record.ts';
import { startRedis, startRedisCluster } from './support/redis.ts';
import { temporaryFolder } from './support/server.ts';

/** Long enough that what is sent together comes together, milliseconds. */
const DELAY_MS = 30;
const DAY_MS = 24 * 3_600_000;
const NOW = Date.now();

/** The check of the store's id, once a second, is no part of a question. */
function isCounted(request: string): boolean {
  return !(request.startsWith('*3\r\n$4\r\nHGET\r\n$12\r\nfm:{fm}:meta\r\n') && request.length < 60);
}

/** A visit of some pages and clicks, `ago` milliseconds ago. */
function visitOf(no: number, ago: number, country = ''): PastVisit {
  const since = NOW - ago;
  const frames = Array.from({ length: 3 }, (_, i) => {
    const t = since + i * 1000;
    return {
      page: `/page-${(no + i) % 20}`,
      entered: true,
      samples: [
        ...moves(t, [
          [10 * i, 20],
          [30, 40],
        ]),
        click(t + 200, 5, 6, `#button-${no % 50}`),
      ],
    };
  });
  return { id: `far-visit-${String(no).padStart(12, '0')}`, since, country, frames };
}

/** A way to one server, or ways to all nodes of a cluster. */
interface Way {
  url: string;
  setDelay(ms: number): void;
  tripsOf(work: () => Promise<unknown>): Promise<number>;
}

interface Far {
  far: Way;
  store: RedisStore;
  http: TestHttp;
  /** Round trips of a request by a signed-in administrator. */
  tripsOf(method: string, path: string, status?: number): Promise<number>;
}

async function openFar(t: TestContext, far: Pick<Way, 'url'>, options: RedisStoreOptions): Promise<RedisStore> {
  const store = await openRedisStore(readTarget(far.url) as RedisTarget, options);
  t.after(() => store.close());
  return store;
}

async function farServer(t: TestContext): Promise<FarRedis> {
  const redis = await startRedis(t, ['--appendonly', 'no']);
  return FarRedis.open(t, redis.port, 0, isCounted);
}

async function startFar(t: TestContext, far: Way): Promise<Far> {
  const store = await openFar(t, far, { folder: temporaryFolder(t) });
  const http = await startHttp(t, {
    store,
    archive: store.archive,
    flags: ['--count-bots', 'yes'],
    past: (site) => new MinuteWriter(store, createLogger('silent', 'test')).past(site),
    openStream: ({ checked }, socket) => {
      assert.ok(checked);
      socket.end('HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n');
    },
  });
  await store.addAdmin('ada', Date.now());
  const link = await store.addLink('ada', Date.now());
  const signedIn = await http.ask('POST', '/v1/session/link', { body: { token: link } });
  const cookie = signedIn.headers.getSetCookie()[0]?.split(';', 1)[0] ?? '';
  const tripsOf = (method: string, path: string, status = 200) =>
    far.tripsOf(async () => {
      const response = await http.ask(method, path, { cookie });
      await response.text();
      assert.equal(response.status, status, path);
    });
  return { far, store, http, tripsOf };
}

/** Ninety days of visits, 2,000 of them on one. */
async function fillRecord({ archive }: RedisStore): Promise<void> {
  let no = 0;
  await record(archive, ...Array.from({ length: 90 }, (_, i) => visitOf(no++, (90 - i) * DAY_MS)));
  for (let part = 0; part < 4; part++)
    await record(archive, ...Array.from({ length: 500 }, () => visitOf(no++, DAY_MS / 2 + no * 20)));
  await archive.compactAll();
}

/** Round trips of each question as docs/redis.md has them: at most, and what is added where frames wait to be filed. */
function documented(): { most: Map<string, number>; waiting: number } {
  const text = readFileSync(new URL('../docs/redis.md', import.meta.url), 'utf8');
  const rows = text.matchAll(/^\| `([^`]+)`(?: \((.*)\))? \| (\d+) \|$/gm);
  const most = new Map([...rows].map(([, route = '', note, n]) => [note ? `${route} (${note})` : route, Number(n)]));
  const waiting = Number(/(\d+) more if frames wait/.exec(text)?.[1]);
  return { most, waiting };
}

const SPAN = `from=${NOW - 100 * DAY_MS}&to=${NOW + 1000}`;
const dayOf = (ago: number) => new Date(NOW - ago * DAY_MS).toISOString().slice(0, 10);
const DAYS = `from=${dayOf(100)}&to=${dayOf(0)}`;
const PAGE = `page=${encodeURIComponent('/page-3')}`;
const ID = visitOf(1000, 0).id;
/** A few seconds of the busy day. */
const WINDOW = `from=${NOW - DAY_MS / 2 - 25_000}&to=${NOW - DAY_MS / 2 - 21_000}`;

/** What is asked, by its name in the documentation. */
const QUESTIONS: Readonly<Record<string, string>> = {
  'GET /v1/visits': `/v1/visits?site=demo&limit=200&${SPAN}`,
  'GET /v1/visits (with filters that few visits pass)': `/v1/visits?site=demo&country=DE&${SPAN}`,
  'GET /v1/visits/ID': `/v1/visits/${ID}`,
  'GET /v1/visits/ID/passages': `/v1/visits/${ID}/passages`,
  'GET /v1/stream': '/v1/stream?site=demo',
  'GET /v1/replay': `/v1/replay?site=demo&speed=0&${WINDOW}`,
  'GET /v1/pages': `/v1/pages?site=demo&${DAYS}`,
  'GET /v1/heatmap': `/v1/heatmap?site=demo&kind=click&${PAGE}&${DAYS}`,
  'GET /v1/heatmap.png': `/v1/heatmap.png?site=demo&${PAGE}&${DAYS}`,
  'GET /v1/audit': '/v1/audit',
  'GET /v1/admins': '/v1/admins',
  'GET /v1/tokens': '/v1/tokens',
  'GET /v1/sites': '/v1/sites',
  'GET /v1/sessions': '/v1/sessions',
  'GET /v1/session': '/v1/session',
  'GET /v1/hits/PAGE': '/v1/hits/x?site=demo',
  'POST /v1/hits/PAGE': '/v1/hits/x?site=demo',
};

test('each route makes a bounded number of sequential round trips to Redis, however much is stored', async (t) => {
  await assertBounded(t, await startFar(t, await farServer(t)));
});

test('the nodes of a cluster are queried in parallel, so it needs no more round trips', async (t) => {
  await assertBounded(t, await startFar(t, await farCluster(t, await startRedisCluster(t), isCounted)));
});

/** Each question takes as many round trips as docs/redis.md has, at most. */
async function assertBounded(t: TestContext, { far, store, tripsOf }: Far): Promise<void> {
  await fillRecord(store);
  const trips: Record<string, number> = {};
  // The first time Redis may not know the scripts yet, and a session is noted as seen.
  for (const delayMs of [0, DELAY_MS]) {
    far.setDelay(delayMs);
    for (const [name, path] of Object.entries(QUESTIONS))
      trips[name] = await tripsOf(name.slice(0, name.indexOf(' ')), path);
  }
  t.diagnostic(JSON.stringify(trips));
  const { most } = documented();
  assert.deepEqual([...most.keys()].sort(), Object.keys(QUESTIONS).sort());
  for (const [name, n] of Object.entries(trips)) assert.ok(n <= (most.get(name) as number), `${name}: ${n}`);
}

test('frames that wait for compaction add a bounded number of round trips to a read', async (t) => {
  const { far, store, tripsOf } = await startFar(t, await farServer(t));
  await fillRecord(store);
  const name = 'GET /v1/visits';
  await record(store.archive, visitOf(9999, 60_000));
  await tripsOf('GET', QUESTIONS[name] as string);
  far.setDelay(DELAY_MS);
  const { most, waiting } = documented();
  for (let round = 0; round < 3; round++) {
    // Of all shards, and some of visits that are there.
    for (let i = 0; i < 40; i++) await record(store.archive, visitOf(10_000 + 30 * round + i, 60_000 - 1000 * round));
    const n = await tripsOf('GET', QUESTIONS[name] as string);
    t.diagnostic(String(n));
    assert.ok(n <= (most.get(name) as number) + waiting, String(n));
  }
});

test('an append takes one round trip, also with a cap', async (t) => {
  const far = await farServer(t);
  const options = { folder: temporaryFolder(t), maxBytes: 1e9 };
  const { archive } = await openFar(t, far, options);
  await record(archive, visitOf(1, 60_000));
  // How full Redis is has to be asked for anew with each.
  far.delayMs = 300;
  for (let i = 2; i < 6; i++) assert.equal(await far.tripsOf(() => record(archive, visitOf(i, 60_000))), 1);
});

test('chores for many sites of a cluster run for several sites in parallel', async (t) => {
  const far = await farCluster(t, await startRedisCluster(t), isCounted);
  const { archive } = await openFar(t, far, { folder: temporaryFolder(t) });
  const sites = Array.from({ length: 24 }, (_, i) => `site-${i}`);
  const fillSites = (from: number) =>
    record(archive, ...sites.map((site, i) => ({ ...visitOf(from + i, 60_000), site })));
  const yearMs = 365 * DAY_MS;
  await fillSites(0);
  // Scripts and pages are known then.
  await archive.tend(Date.now(), yearMs, true);
  far.setDelay(DELAY_MS);
  await fillSites(100);
  const trips = {
    tend: await far.tripsOf(() => archive.tend(Date.now() + DAY_MS, yearMs, true)),
    usage: await far.tripsOf(() => archive.usage()),
    sites: await far.tripsOf(() => archive.sites()),
    prune: await far.tripsOf(() => archive.prune(0, Number.POSITIVE_INFINITY)),
    remove: await far.tripsOf(() => archive.prune(Date.now() + DAY_MS, Number.POSITIVE_INFINITY)),
  };
  t.diagnostic(JSON.stringify(trips));
  for (const [name, n] of Object.entries(trips)) assert.ok(n < 2 * sites.length, `${name}: ${n}`);
});
