/**
 * This version continues stores of format 1. In that format windows from 1,920 pixels on were wide, and clicks on
 * elements had no position on the page. It had no page heights either. test/support has one store of each kind as such
 * a version left it: six visits with documents of 1,100, 1,440, 1,680, 1,900, 2,000 and 400 pixels. Each clicked eight
 * times on the page "/" and four times on "/seeds"; a quarter of the clicks hit no element.
 */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { gunzipSync } from 'node:zlib';
import { open } from 'lmdb';
import { Redis } from '../src/redis/connection.ts';
import { type RedisTarget, readTarget } from '../src/redis/redis-url.ts';
import type { Archive } from '../src/store/archive.ts';
import { openLmdbStore } from '../src/store/lmdb/lmdb-store.ts';
import { openRedisStore } from '../src/store/redis/redis-store.ts';
import { runHere } from './support/command.ts';
import { type PastFrame, type PastVisit, record } from './support/record.ts';
import { startRedis } from './support/redis.ts';
import { temporaryFolder } from './support/server.ts';

const T = Date.UTC(2026, 10, 19, 12);
const DAYS = { from: '2026-11-19', to: '2026-11-20' };
const WIDTHS = [1100, 1440, 1680, 1900, 2000, 400];

interface Opened {
  archive: Archive;
  format(): Promise<unknown>;
}

const stores: Record<string, (t: TestContext) => Promise<Opened>> = {
  embedded: async (t) => {
    const folder = temporaryFolder(t);
    writeFileSync(join(folder, 'store.mdb'), fixture('store-format-1.mdb.gz'));
    const store = await openLmdbStore(folder);
    t.after(() => store.close());
    const format = async () => {
      const root = open({ path: join(folder, 'store.mdb'), maxDbs: 64, readOnly: true });
      const found = root.openDB<number, string>('meta', {}).get('format');
      await root.close();
      return found;
    };
    return { archive: store.archive, format };
  },
  Redis: async (t) => {
    const { url } = await startRedis(t);
    const target = readTarget(url) as RedisTarget;
    const redis = await Redis.connect(target);
    t.after(() => redis.close());
    for (const line of String(fixture('redis-format-1.ndjson.gz')).trim().split('\n')) {
      const [name, key, ...rest] = JSON.parse(line) as [string, string, ...string[]];
      await redis.send(key, name, key, ...rest.map((text) => Buffer.from(text, 'latin1')));
    }
    const store = await openRedisStore(target, { folder: temporaryFolder(t) });
    t.after(() => store.close());
    return { archive: store.archive, format: async () => Number(await redis.send(META, 'HGET', META, 'format')) };
  },
};

const META = 'fm:{fm}:meta';

function fixture(name: string): Buffer {
  return gunzipSync(readFileSync(join(import.meta.dirname, 'support', name)));
}

/** What a visit of the stores did the `n`th time; from 3 on in this version. */
function frameOf(width: number, since: number, n: number): PastFrame {
  const samples = [0, 1, 2, 3].flatMap((k) => {
    const time = since + n * 5000 + k * 20;
    const place = { ex: 8000 + 4096 * k, ey: 16_000, selector: k === 3 ? '' : 'button.buy' };
    return [
      { type: 'move', time, x: width / 2 + k, y: 420 } as const,
      { type: 'click', time: time + 10, x: width / 2 - 40 + 20 * k, y: 420, button: 0, ...place } as const,
    ];
  });
  return { page: n === 2 ? '/seeds' : '/', size: [width, 800, width, 3000], entered: n === 0, samples };
}

function visit(id: string, width: number, i: number, frames: number): PastVisit {
  const since = T + i * 60_000;
  return { id, since, frames: Array.from({ length: frames }, (_, n) => frameOf(width, since, n)) };
}

async function clicks(archive: Archive, device?: 'desktop' | 'wide' | 'phone') {
  return archive.heat({ site: 'demo', page: '/', kind: 'click', ...DAYS, ...(device && { device }) });
}

async function measured(archive: Archive) {
  const page = (await archive.pages('demo', DAYS)).find((one) => one.page === '/');
  return [page?.measuredDepth, page?.measuredHeight];
}

for (const [name, openFormer] of Object.entries(stores)) {
  test(`${name}: a store of format 1 can be read, written and erased from, and always agrees with its frames`, async (t) => {
    const { archive, format } = await openFormer(t);
    assert.equal(await format(), 3);
    assert.deepEqual(await measured(archive), [0, 0]);
    assert.deepEqual(await archive.verify(), []);
    assert.equal((await clicks(archive, 'desktop')).total, 32);
    assert.equal((await clicks(archive, 'wide')).total, 8);

    // The visits go on, and others come.
    await record(archive, ...WIDTHS.map((width, i) => visit(`former${width}`, width, i, 5)));
    await record(archive, ...WIDTHS.map((width, i) => visit(`present${width}`, width, i, 3)));
    await archive.compactAll();
    assert.deepEqual(await archive.verify(), []);
    assert.equal((await clicks(archive, 'wide')).total, 16, 'a visit goes on in the class that it began in');
    assert.equal((await clicks(archive, 'desktop')).total, 4 * 16 + 5 * 8);
    assert.equal((await clicks(archive)).total, 6 * 16 + 6 * 8);
    assert.deepEqual(await measured(archive), [6 * 800, 6 * 3000], 'only of visits that began in this version');

    for (const width of WIDTHS) assert.equal(await archive.erase(`former${width}`), true);
    while ((await archive.prune(0, Number.MAX_SAFE_INTEGER)) > 0);
    assert.deepEqual(await archive.verify(), []);
    const left = await clicks(archive, 'desktop');
    assert.equal(left.total, 5 * 8);
    // 30 clicks on the button, two times on three places of it, are in its place in one width; the others are where
    // they were.
    const columns = left.cells.filter((_, i) => i % 3 === 0);
    assert.ok(columns.length <= 3 + 2 * 5, columns.join());

    for (const width of WIDTHS) assert.equal(await archive.erase(`present${width}`), true);
    while ((await archive.prune(0, Number.MAX_SAFE_INTEGER)) > 0);
    assert.deepEqual(await archive.verify(), []);
    assert.deepEqual(await archive.pages('demo', DAYS), []);
    assert.deepEqual((await clicks(archive)).cells, []);
  });
}

test('a store of format 1 is copied to Redis completely, and a repeat copies nothing', async (t) => {
  const folder = temporaryFolder(t);
  writeFileSync(join(folder, 'store.mdb'), fixture('store-format-1.mdb.gz'));
  const { url } = await startRedis(t);
  for (const visits of [6, 0]) {
    const { code, out, err } = await runHere(['migrate', 'to-redis', '--data', folder, '--redis', url]);
    assert.deepEqual([code, err], [0, '']);
    assert.match(out, new RegExp(`; ${visits} visits with `));
  }
});
