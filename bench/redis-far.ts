/**
 * How long does each question of the dashboard take with Redis far away? A real server, and a proxy on its way to Redis
 * that delays answers.
 */
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { type IncomingMessage, request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { hashPassword } from '../src/http/auth/password.ts';
import { type RedisTarget, readTarget } from '../src/redis/redis-url.ts';
import { openRedisStore } from '../src/store/redis/redis-store.ts';
import { FarRedis } from '../test/support/far-redis.ts';
import { startRedis } from '../test/support/redis.ts';
import type { Length } from './engine.ts';
import type { Table } from './figures.ts';
import { elapsed, fillPast } from './load/past.ts';
import { start } from './systems.ts';

/** Round trips to Redis, milliseconds. */
const FAR_MS = [0, 200, 1000] as const;
/** How many times each question is asked. The slowest answer counts. */
const ASKS = 2;
const SAMPLES = 300_000;
const NAME = 'ada';
const PASSWORD = 'a long password';
/** What a replay asks for first, milliseconds. */
const WINDOW_MS = 5000;
/** The dashboard gives up after this time (TIMEOUT_MS of src/dashboard/shell/api.ts), milliseconds. */
const LIMIT_MS = 15_000;

interface Asked {
  method: string;
  path: string;
  body?: object;
  /** What of a stream is waited for: the first event of this name. */
  until?: string;
}

interface Far {
  port: number;
  cookie: string;
  questions: ReadonlyMap<string, Asked>;
}

export async function redisFar(_: Length): Promise<Table> {
  const ends: (() => unknown)[] = [];
  const owner = { after: (end: unknown) => void ends.unshift(end as () => unknown) };
  try {
    const redis = await startRedis(owner);
    const far = await FarRedis.open(owner, redis.port, 0);
    const folder = mkdtempSync(join(tmpdir(), 'fieldmouse-bench-'));
    owner.after(() => rmSync(folder, { recursive: true, force: true }));
    const end = await fill(redis.url, folder);
    const system = await start('fieldmouse', ['--redis', far.url]);
    owner.after(() => system.stop());
    const cookie = await signIn(system.port);
    const found = await measure(far, { port: system.port, cookie, questions: questionsOf(end) });
    return table(found);
  } finally {
    for (const end of ends) await end();
  }
}

/** Adds an administrator and some visits; gives when the last ends, Unix ms. */
async function fill(url: string, folder: string): Promise<number> {
  const store = await openRedisStore(readTarget(url) as RedisTarget, { folder });
  await store.addAdmin(NAME, Date.now());
  await store.setPassword(NAME, await hashPassword(PASSWORD));
  const end = Date.now() - 60_000;
  await fillPast(store, 0, SAMPLES, end);
  await store.close();
  return end;
}

function questionsOf(end: number): ReadonlyMap<string, Asked> {
  const get = (path: string, until?: string): Asked => ({ method: 'GET', path, ...(until && { until }) });
  const window = `from=${end - 2 * WINDOW_MS}&to=${end - WINDOW_MS}`;
  return new Map<string, Asked>([
    ['sign in by password', { method: 'POST', path: '/v1/session', body: { name: NAME, password: PASSWORD } }],
    ['session of the signed-in user', get('/v1/session')],
    ['visits', get('/v1/visits?site=demo&limit=50')],
    ['visits, with a filter that matches none', get('/v1/visits?site=demo&country=DE&limit=50')],
    ['one visit', get('/v1/visits/ID')],
    ['passages of a visit', get('/v1/visits/ID/passages')],
    ['replay, until its first scene', get(`/v1/replay?site=demo&${window}`, 'snapshot')],
    ['counts', get('/v1/pages?site=demo')],
    ['heatmap of moves', get('/v1/heatmap?site=demo&page=/')],
    ['heatmap of clicks', get('/v1/heatmap?site=demo&page=/&kind=click')],
    ['heatmap as an image', get('/v1/heatmap.png?site=demo&page=/')],
    ['settings: sites', get('/v1/sites')],
    ['settings: people', get('/v1/admins')],
    ['settings: tokens', get('/v1/tokens')],
    ['settings: sessions', get('/v1/sessions')],
    ['audit trail', get('/v1/audit')],
    ['stream, until its snapshot', get('/v1/stream?site=demo', 'snapshot')],
    ['stream of another page on stage', get('/v1/stream?site=demo&stage=/page-1', 'snapshot')],
  ]);
}

/** Milliseconds of each question, by how far Redis is. */
type Found = Map<string, number[]>;

async function measure(far: FarRedis, { port, cookie, questions }: Far): Promise<Found> {
  const [visit] = JSON.parse(String(await ask(port, cookie, questions.get('visits') as Asked))).visits;
  const found: Found = new Map();
  for (const farMs of FAR_MS) {
    process.stderr.write(`  ${farMs} ms away\n`);
    far.delayMs = farMs;
    for (const [name, asked] of questions) {
      const one = { ...asked, path: asked.path.replace('ID', visit.id) };
      let slowest = 0;
      for (let i = 0; i < ASKS; i++) slowest = Math.max(slowest, await elapsed(() => ask(port, cookie, one)));
      found.set(name, [...(found.get(name) ?? []), slowest]);
    }
  }
  far.delayMs = 0;
  return found;
}

async function signIn(port: number): Promise<string> {
  const reply = await send(port, '', {
    method: 'POST',
    path: '/v1/session',
    body: { name: NAME, password: PASSWORD },
  });
  reply.resume();
  return reply.headers['set-cookie']?.[0]?.split(';', 1)[0] ?? '';
}

async function send(port: number, cookie: string, { method, path, body }: Asked): Promise<IncomingMessage> {
  const headers = { cookie, ...(body && { 'content-type': 'application/json' }) };
  const asked = request({ host: '127.0.0.1', port, method, path, headers, agent: false });
  asked.end(body && JSON.stringify(body));
  const [reply] = (await once(asked, 'response')) as [IncomingMessage];
  if (reply.statusCode === 200 || reply.statusCode === 201) return reply;
  throw new Error(`${method} ${path}: ${reply.statusCode} ${await buffer(reply)}`);
}

/** The whole answer; of a stream what comes until its event. */
async function ask(port: number, cookie: string, asked: Asked): Promise<Buffer> {
  // Signing in ends the session that asks.
  const reply = await send(port, asked.method === 'POST' ? '' : cookie, asked);
  if (asked.until === undefined) return buffer(reply);
  let text = '';
  for await (const bytes of reply) {
    text += bytes;
    if (text.includes(`event: ${asked.until}\n`)) break;
  }
  reply.destroy();
  return Buffer.from(text);
}

function table(found: Found): Table {
  const slowest = Math.max(...[...found.values()].flat());
  return {
    title: 'redis-far: a distant Redis',
    text:
      `A server with two workers, ${SAMPLES} samples in the record, and a proxy that delays each response of Redis by the round-trip time. ` +
      `The slower of ${ASKS} requests each, milliseconds from the request to the end of the response. docs/redis.md lists the round trips.`,
    head: ['question', ...FAR_MS.map((ms) => `${ms} ms away`)],
    rows: [...found].map(([name, all]) => [name, ...all.map((ms) => ms.toFixed(0))]),
    targets: [
      {
        what: 'no request exceeds the timeout of the dashboard',
        wanted: `≤ ${LIMIT_MS} ms`,
        got: `${slowest.toFixed(0)} ms`,
        met: slowest <= LIMIT_MS,
      },
    ],
  };
}
