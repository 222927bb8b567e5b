/** The contract suite of the record: every implementation of Archive passes it, each in a file of its own. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import fc from 'fast-check';
import { open } from 'lmdb';
import { Importer } from '../../src/commands/importer.ts';
import { type Line, readLine, visitLine } from '../../src/commands/record-lines.ts';
import { DAY_MS } from '../../src/model/day.ts';
import { MAX_COLUMN } from '../../src/model/heat.ts';
import { MAX_STAYS, type Visit } from '../../src/model/visit.ts';
import { DEVICES } from '../../src/model/visitor.ts';
import type { Sample } from '../../src/protocol/encode.ts';
import { Redis } from '../../src/redis/connection.ts';
import { siteKey } from '../../src/redis/keys.ts';
import { type RedisTarget, readTarget } from '../../src/redis/redis-url.ts';
import type { Archive, VisitQuery } from '../../src/store/archive.ts';
import { openTables } from '../../src/store/lmdb/tables.ts';
import { placeClicks } from '../../src/store/record/click-places.ts';
import { packPlace } from '../../src/store/record/place.ts';
import { RedisArchive } from '../../src/store/redis/redis-archive.ts';
import { FILE } from './owner.ts';
import {
  all,
  batchesOf,
  batchOf,
  type Delivery,
  keep,
  type MadeFrame,
  type MadeVisit,
  madeVisit,
  PAGES,
  plainVisit,
  Reckoning,
  runsOf,
  samplesIn,
  T,
} from './visits.ts';

export interface Limits {
  /** Cap of the store, bytes. */
  maxBytes?: number;
  /** Larger visits are thinned. */
  maxVisitBytes?: number;
}

export interface Opened {
  /** Opens archives that share one record, as the processes of an installation do. */
  open(): Promise<Archive>;
  /** Makes the first stored chunk of a visit unreadable. Closes all open archives. */
  damage(site: string, number: number): Promise<void>;
}

export type Opener = (t: TestContext, limits?: Limits) => Promise<Opened>;

const DAYS = { from: '2026-11-19', to: '2026-11-20' };
const DAY_LIST = [DAYS.from, DAYS.to];
const MAX_VISIT_BYTES = 20_000;
/** Longer than any record lasts. */
export const FOR_EVER_MS = 100 * 365 * 24 * 3_600_000;

/** Opens archives in a folder. */
export function inFolder(
  t: TestContext,
  folder: string,
  start: () => Promise<{ archive: Archive; close(): Promise<void> }>,
): Opened {
  const closing: (() => Promise<void>)[] = [];
  return {
    open: async () => {
      const { archive, close } = await start();
      t.after(close);
      closing.push(close);
      return archive;
    },
    damage: async (_, number) => {
      for (const close of closing) await close();
      const root = open({ path: join(folder, 'store.mdb'), maxDbs: 64 });
      const { chunks } = openTables(root);
      const [first] = chunks.getKeys({ start: [number, 0], limit: 1 });
      root.transactionSync(() => chunks.putSync(first as never, Buffer.from('damaged')));
      await root.close();
    },
  };
}

/** Without a file, since writing it is not tested here. Latency tracking would use as much memory as the test data. */
export const UNWRITTEN = ['--appendonly', 'no', '--latency-tracking', 'no'];
/** The embedded record tries all random values; every other back end tries this share of them. */
export const FEW = 0.25;
/** Time limit for Redis on a busy machine, milliseconds. */
const PATIENCE_MS = 60_000;

/** Runs the suite on a server or cluster that all tests share; each test starts with an empty one. */
export function redisContract(name: string, starting: Promise<{ url: string }>, thorough = true): void {
  const connecting = starting.then(async ({ url }) => {
    // Tests of the other stores start at the same time and keep this process busy.
    const redis = await Redis.connect(readTarget(url) as RedisTarget, { connectMs: PATIENCE_MS, limitMs: PATIENCE_MS });
    FILE.after(() => redis.close());
    return redis;
  });
  const opener: Opener = async (t, limits = {}) => {
    const redis = await connecting;
    await redis.everywhere('FLUSHALL');
    return {
      open: async () => {
        const archive = new RedisArchive(redis, limits);
        t.after(() => archive.close());
        return archive;
      },
      damage: async (site, number) => {
        const runs = siteKey(site, `runs:${number}`);
        await redis.send(runs, 'LSET', runs, '0', 'damaged');
      },
    };
  };
  contract(name, opener, { share: FEW, thorough });
}

/** How much of the suite to run. */
export interface Extent {
  /** Share of random values to try. */
  share?: number;
  /** Also run the long cases about the record itself. A thread or a cluster makes no difference to them. */
  thorough?: boolean;
}

export function contract(name: string, opener: Opener, { share = 1, thorough = true }: Extent = {}): void {
  const tries = (most: number) => ({ numRuns: Math.ceil(share * most) });
  const it = (
    title: string,
    run: (archive: Archive, open: () => Promise<Archive>, t: TestContext, damage: Opened['damage']) => Promise<void>,
    limits?: Limits,
  ) =>
    test(`${name} ${title}`, async (t) => {
      const { open, damage } = await opener(t, limits);
      await run(await open(), open, t, damage);
    });
  const itThoroughly: typeof it = (...args) => (thorough ? it(...args) : Promise.resolve());

  it('starts empty', async (archive) => {
    assert.deepEqual(await archive.visits({ site: 'demo', limit: 10 }), { items: [], next: null });
    assert.equal(await archive.visit('none'), undefined);
    assert.deepEqual(await archive.runs('none'), { items: [], next: null });
    assert.deepEqual(await archive.scenes('demo', null, T, T + 60_000), []);
    assert.deepEqual(await archive.scenes('demo', '/', T, T + 60_000), []);
    assert.deepEqual(await archive.pages('demo', DAYS), []);
    assert.deepEqual(await archive.days('demo', null, DAYS), []);
    const heat = await archive.heat({ site: 'demo', page: '/', kind: 'move', ...DAYS });
    assert.deepEqual(heat, { views: 0, cells: [], total: 0, most: 0, extent: [0, 0], elements: [] });
    assert.equal(await archive.erase('none'), false);
    assert.equal(await archive.prune(FOR_EVER_MS, Number.MAX_SAFE_INTEGER), 0);
    assert.equal((await archive.usage()).oldest, null);
    assert.deepEqual(await archive.verify(), []);
  });

  it('stores every sample once, whoever brings it, how often and in whatever order', async (archive, open) => {
    const archives = [archive, await open(), await open()];
    let runs = 0;
    const scenario = scenarioOf(() => `site-${++runs}`);
    await fc.assert(
      fc.asyncProperty(scenario, async ({ visits, groups }) => {
        for (const { by, deliveries } of groups) await archives[by]?.append(batchesOf(deliveries));
        assert.deepEqual(await archives[1]?.verify(), []);
        for (const visit of visits) await assertKept(archive, visit);
        await assertReckoned(archive, visits);
      }),
      tries(25),
    );
  });

  it('stores every sample once when all processes write at the same time', async (archive, open) => {
    const archives = [archive, await open(), await open()];
    const visits = fc.sample(madeVisit('demo'), { seed: 7, numRuns: 30 });
    const frames = visits.flatMap((visit) => visit.frames.map((frame): Delivery => [visit, frame]));
    // Each archive gets all frames; one of them frame by frame, the last frame first.
    const reversed = frames.toReversed().map((one) => batchesOf([one]));
    await Promise.all([
      ...visits.map(({ id }) => archives[0]?.append(batchesOf(frames.filter(([visit]) => visit.id === id)))),
      ...reversed.map((batches) => archives[1]?.append(batches)),
      archives[2]?.append(batchesOf(frames)),
      ...Array.from({ length: 20 }, () => archives[2]?.visits({ site: 'demo', limit: 10 })),
    ]);
    assert.deepEqual(await archive.verify(), []);
    for (const visit of visits) await assertKept(archive, visit);
    await assertReckoned(archive, visits);
  });

  it('lets every process read what another has written', async (archive, open) => {
    const other = await open();
    const visit = plainVisit('demo');
    await keep(archive, visit);
    assert.equal((await other.visit(visit.id))?.moves, 10);
  });

  it('returns the last frame of a visit up to a number, including frames from before it was opened', async (archive, open) => {
    const visit = plainVisit('demo', { frames: 6 });
    // A later page of the visitor has much higher numbers.
    const frames = visit.frames.map((frame, i) => ({ ...frame, n: i < 4 ? frame.n : 1000 + frame.n }));
    await keep(archive, { ...visit, frames });
    const other = await open();
    const last = (most: number) => other.lastFrame('demo', visit.id, most);
    assert.deepEqual(await Promise.all([0, 3, 4, 900, 1005, 2000].map(last)), [0, 3, 4, 4, 1005, 1006]);
    assert.equal(await other.lastFrame('demo', 'none', 2000), 0);
    assert.deepEqual(await archive.verify(), []);
  });

  it('continues a visit after it was read', async (archive) => {
    const visit = plainVisit('demo', { frames: 40 });
    for (const frame of visit.frames) {
      await archive.append(batchesOf([[visit, frame]]));
      assert.equal((await archive.visit(visit.id))?.moves, 10 * frame.n);
    }
    assert.deepEqual(await archive.verify(), []);
    await assertKept(archive, visit);
  });

  it('returns the latest description of a visit, with its first start', async (archive) => {
    const visit = plainVisit('demo', { frames: 2 });
    await keep(archive, { ...visit, frames: visit.frames.slice(0, 1) });
    await keep(archive, { ...visit, about: { ...visit.about, since: T + 5000, label: 'kiosk' } });
    const kept = (await archive.visit(visit.id)) as Visit;
    assert.equal(kept.since, T);
    assert.equal(kept.label, 'kiosk');
    assert.deepEqual((await archive.visits({ site: 'demo', limit: 9 })).items, [kept]);
  });

  it('returns the requested visits, newest first, in pages', async (archive) => {
    const visits = fc.sample(madeVisit('demo'), { seed: 11, numRuns: 60 });
    await keep(archive, ...visits, ...fc.sample(madeVisit('other'), { seed: 12, numRuns: 10 }));
    await archive.verify();
    const known = await Promise.all(visits.map(async ({ id }) => (await archive.visit(id)) as Visit));
    known.sort((a, b) => b.since - a.since);
    await fc.assert(
      fc.asyncProperty(visitQuery, async (query) => {
        const found = await all((after) => archive.visits({ ...query, ...(after && { after }) }));
        assertSameVisits(
          found,
          known.filter((visit) => isAsked(visit, query)),
        );
        const first = await archive.visits(query);
        assert.ok(first.items.length <= query.limit);
      }),
      tries(60),
    );
  });

  it('lists the sites that have visits, and returns visits oldest first', async (archive) => {
    assert.deepEqual(await archive.sites(), []);
    const visits = fc.sample(madeVisit('demo'), { seed: 13, numRuns: 30 });
    await keep(archive, ...visits, plainVisit('a-shop'), plainVisit('z'));
    await archive.verify();
    assert.deepEqual(await archive.sites(), ['a-shop', 'demo', 'z']);
    const query = { site: 'demo', limit: 7 };
    const newest = await all((after) => archive.visits({ ...query, ...(after && { after }) }));
    const oldest = await all((after) => archive.visits({ ...query, oldestFirst: true, ...(after && { after }) }));
    assert.deepEqual(oldest, newest.toReversed());
    assert.equal(oldest.length, 30);
    const [from, to] = [oldest[5]?.since as number, oldest[20]?.since as number];
    const some = await all((after) =>
      archive.visits({ ...query, from, to, oldestFirst: true, ...(after && { after }) }),
    );
    assert.deepEqual(
      some,
      oldest.filter(({ since }) => since >= from && since < to),
    );
  });

  itThoroughly('returns the runs of a long visit in pages', async (archive) => {
    // 80 frames of 1,000 samples, each sample about 8 bytes.
    const visit = plainVisit('demo', { frames: 80, samples: 1000 });
    for (let i = 0; i < 80; i += 20) await keep(archive, { ...visit, frames: visit.frames.slice(i, i + 20) });
    assert.deepEqual(await archive.verify(), []);
    const first = await archive.runs(visit.id);
    assert.notEqual(first.next, null);
    const bytes = first.items.reduce((sum, { payload }) => sum + payload.length, 0);
    assert.ok(bytes < 300 * 1024, `${bytes} bytes at once`);
    await assertKept(archive, visit);
  });

  it('returns the scenes of a period with all samples in it', async (archive) => {
    const visits = fc.sample(madeVisit('demo'), { seed: 13, numRuns: 40 });
    await keep(archive, ...visits, ...fc.sample(madeVisit('other'), { seed: 14, numRuns: 5 }));
    await archive.verify();
    const window = fc.record({ from: fc.integer({ min: T - 60_000, max: T + 400_000 }), ms: fc.nat(180_000) });
    await fc.assert(
      fc.asyncProperty(window, fc.constantFrom(null, ...PAGES, '/none'), async ({ from, ms }, page) => {
        await assertScenes(archive, visits, page, from, from + ms);
      }),
      tries(60),
    );
  });

  it('returns scenes of samples from before the visit was admitted', async (archive) => {
    const visit = plainVisit('demo', { since: T, frames: 3 });
    await keep(archive, { ...visit, about: { ...visit.about, since: T + 200_000 } });
    const scenes = await archive.scenes('demo', '/', T, T + 1000);
    assert.deepEqual(
      scenes.map((scene) => scene.visit.id),
      [visit.id],
    );
  });

  it('erases a visit, and subtracts it from all counts', async (archive, open) => {
    const visits = fc.sample(madeVisit('demo'), { seed: 17, numRuns: 12 });
    await keep(archive, ...visits);
    const other = await open();
    for (let left = visits; left.length > 0; ) {
      const [gone, ...rest] = left as [MadeVisit, ...MadeVisit[]];
      assert.equal(await other.erase(gone.id), true);
      assert.equal(await archive.visit(gone.id), undefined);
      assert.deepEqual(await archive.runs(gone.id), { items: [], next: null });
      assert.equal(await archive.erase(gone.id), false);
      await assertReckoned(archive, rest);
      assert.deepEqual(await archive.verify(), []);
      left = rest;
    }
    assert.deepEqual(await archive.visits({ site: 'demo', limit: 100 }), { items: [], next: null });
    assert.deepEqual(await archive.scenes('demo', null, T, T + 180_000), []);
    assert.equal((await archive.usage()).oldest, null);
  });

  itThoroughly(
    'thins the moves of a visit that grows too large, and keeps its clicks',
    async (archive) => {
      const visit = plainVisit('demo', { frames: 20, samples: 1000 });
      for (const { samples } of visit.frames)
        samples.push({ type: 'scroll', time: timeOf(samples), y: 7 }, clickAt(samples.at(-1) as Sample));
      for (const frame of visit.frames) {
        await archive.append(batchesOf([[visit, frame]]));
        await archive.compactAll();
      }
      const { truncated, moves, scrolls, clicks, until } = (await archive.visit(visit.id)) as Visit;
      assert.ok(truncated);
      const whole = (moves - 20) / 999;
      assert.ok(Number.isInteger(whole) && whole > 2 && whole < 10, `${moves} moves`);
      assert.deepEqual({ scrolls, clicks }, { scrolls: 20, clicks: 20 });
      const last = visit.frames.at(-1) as MadeFrame;
      assert.equal(until, timeOf(last.samples));
      const runs = await runsOf(archive, visit.id);
      assert.equal(
        sumOf(runs, ({ frames }) => frames),
        20,
      );
      const ends = runs.flatMap(({ payload, t }) => samplesIn(payload, t)).slice(-3);
      assert.deepEqual(ends, last.samples.slice(-3));
      await assertReckoned(archive, [visit]);
      assert.deepEqual(await archive.verify(), []);
      // An export and an import keep the visit marked as truncated.
      const line = readLine(visitLine({ ...((await archive.visit(visit.id)) as Visit), id: 'copy' }));
      const importer = new Importer(archive);
      await importer.visit((line as Extract<Line, { k: 'visit' }>).visit);
      for (const run of runs) await importer.run(run);
      await importer.flush();
      const copy = (await archive.visit('copy')) as Visit;
      assert.deepEqual([copy.truncated, copy.moves, copy.clicks], [true, moves, clicks]);
      // A small visit beside it is complete.
      const other = plainVisit('other', { frames: 3 });
      await keep(archive, other);
      assert.equal((await archive.visit(other.id))?.truncated, false);
      await assertKept(archive, other);
    },
    { maxVisitBytes: MAX_VISIT_BYTES },
  );

  itThoroughly(
    'stores at most twice the limit of a visit that sends only clicks, and accepts its frames once',
    async (archive) => {
      const visit = plainVisit('demo', { frames: 60, samples: 50 });
      for (const frame of visit.frames) frame.samples = frame.samples.map(clickAt);
      const give = async () => {
        for (const frame of visit.frames) {
          await archive.append(batchesOf([[visit, frame]]));
          await archive.compactAll();
        }
      };
      await give();
      const bytes = async () => sumOf(await runsOf(archive, visit.id), ({ payload }) => payload.length);
      const kept = await bytes();
      assert.ok(kept > MAX_VISIT_BYTES && kept < 2.5 * MAX_VISIT_BYTES, `${kept} bytes`);
      const told = (await archive.visit(visit.id)) as Visit;
      assert.ok(told.truncated && told.clicks < 60 * 50, `${told.clicks} clicks`);
      await give();
      assert.deepEqual(await archive.visit(visit.id), told);
      assert.deepEqual(await archive.verify(), []);
    },
    { maxVisitBytes: MAX_VISIT_BYTES },
  );

  it('counts a page once if its first samples are older than the report of its load', async (archive) => {
    const visit = plainVisit('demo', { since: T, frames: 2 });
    const [early, later] = visit.frames as [MadeFrame, MadeFrame];
    const loaded = { ...later, n: 1, entered: true, t: T + 5000, samples: [] };
    const frames = [loaded, { ...early, n: 2, entered: false }, { ...later, n: 3 }];
    await keep(archive, { ...visit, frames });
    assert.deepEqual(
      (await archive.visit(visit.id))?.stays.map(({ page, t }) => [page, t]),
      [['/', T]],
    );
    // The page is loaded again.
    await keep(archive, { ...visit, frames: [{ ...loaded, n: 100, t: T + 9000 }] });
    assert.deepEqual(
      (await archive.visit(visit.id))?.stays.map(({ t }) => t),
      [T, T + 9000],
    );
    assert.deepEqual(await archive.verify(), []);
  });

  it('accepts visits with oversized descriptions, and the visits beside them', async (archive) => {
    const much = '\x01'.repeat(50_000);
    const loud = plainVisit('demo');
    const beside = plainVisit('demo');
    const about = { ...loud.about, language: much, referrer: much, origin: much, country: much, label: much };
    const visits = [{ ...loud, about }, beside];
    await archive.append([batchOf(visits.flatMap((visit) => visit.frames.map((frame): Delivery => [visit, frame])))]);
    for (const visit of visits) await assertKept(archive, visit);
  });

  it('keeps the start of a visit, and updates its later description', async (archive) => {
    const visit = plainVisit('demo');
    const first = {
      ...visit.about,
      device: 'phone',
      referrer: 'https://news.example',
      origin: 'https://a.example',
    } as const;
    await keep(archive, { ...visit, about: first });
    await archive.verify();
    const later = { ...first, device: 'wide', referrer: '', origin: 'https://b.example', label: 'kiosk' } as const;
    const frames = plainVisit('demo', { since: T + 60_000 }).frames.map((frame) => ({ ...frame, n: 100 }));
    await keep(archive, { ...visit, about: later, frames });
    const kept = await archive.visit(visit.id);
    assert.deepEqual(
      [kept?.device, kept?.referrer, kept?.origin, kept?.label],
      ['phone', first.referrer, first.origin, 'kiosk'],
    );
  });

  it('returns scenes of a visit with more pages than are counted', async (archive) => {
    const visit = plainVisit('demo');
    const [frame] = visit.frames as [MadeFrame];
    const frames = Array.from({ length: MAX_STAYS + 100 }, (_, i) => {
      const t = T + i * 60_000;
      return {
        ...frame,
        n: i + 1,
        entered: true,
        page: `/${i}`,
        t,
        samples: [{ type: 'move' as const, time: t, x: 1, y: 1 }],
      };
    });
    await keep(archive, { ...visit, frames });
    const t = T + (MAX_STAYS + 50) * 60_000;
    const scenes = await archive.scenes('demo', `/${MAX_STAYS + 50}`, t, t + 1000);
    assert.deepEqual(
      scenes.map((scene) => scene.visit.id),
      [visit.id],
    );
    assert.equal(await archive.erase(visit.id), true);
    assert.deepEqual(await archive.scenes('demo', null, t, t + 1000), []);
    assert.deepEqual(await archive.verify(), []);
  });

  it('erases samples appended a moment before', async (archive) => {
    const visit = plainVisit('demo');
    await keep(archive, visit);
    assert.equal(await archive.erase(visit.id), true);
    assert.deepEqual(await archive.pages('demo', DAYS), []);
    assert.deepEqual(await archive.verify(), []);
  });

  it('stores nothing more of an erased visit that continues', async (archive, open) => {
    const visit = plainVisit('demo', { frames: 6 });
    const [first, rest] = [visit.frames.slice(0, 3), visit.frames.slice(3)];
    await keep(archive, { ...visit, frames: first });
    assert.equal(await archive.erase(visit.id), true);
    await keep(await open(), { ...visit, frames: rest }, plainVisit('demo', { page: '/other' }));
    assert.equal(await archive.visit(visit.id), undefined);
    assert.equal(await archive.erase(visit.id), false);
    assert.deepEqual(
      (await archive.pages('demo', DAYS)).map(({ page }) => page),
      ['/other'],
    );
    assert.deepEqual(await archive.verify(), []);
  });

  itThoroughly('accepts a clock that goes back and forth, in a short visit and a long one', async (archive) => {
    const visit = plainVisit('demo', { frames: 600, samples: 200 });
    for (const frame of visit.frames)
      for (const sample of frame.n % 2 ? frame.samples : []) {
        sample.time -= 30 * 60_000;
        frame.t = Math.min(frame.t, sample.time);
      }
    for (let i = 0; i < visit.frames.length; i += 100) {
      await keep(archive, { ...visit, frames: visit.frames.slice(i, i + 100) });
      assert.deepEqual(await archive.verify(), []);
    }
    const runs = await runsOf(archive, visit.id);
    const places = runs
      .flatMap(({ payload, t }) => samplesIn(payload, t))
      .map((one) => 'x' in one && `${one.x} ${one.y}`);
    const made = visit.frames.flatMap(({ samples }) => samples).map((one) => 'x' in one && `${one.x} ${one.y}`);
    assert.deepEqual(places.sort(), made.sort());
    assert.equal(await archive.erase(visit.id), true);
    assert.deepEqual(await archive.days('demo', null, DAYS), []);
  });

  itThoroughly('accepts any number of samples with the same time', async (archive) => {
    const visit = plainVisit('demo', { frames: 100, samples: 500 });
    for (const frame of visit.frames) {
      frame.t = T;
      for (const sample of frame.samples) sample.time = T;
    }
    for (let i = 0; i < visit.frames.length; i += 20) {
      await keep(archive, { ...visit, frames: visit.frames.slice(i, i + 20) });
      await archive.visit(visit.id);
    }
    await assertKept(archive, visit);
    assert.deepEqual(await archive.verify(), []);
    assert.equal(await archive.erase(visit.id), true);
    assert.deepEqual(await archive.verify(), []);
  });

  it('removes visits that ended too long ago, also beside a visit that continues', async (archive) => {
    const longest = plainVisit('demo', { since: T });
    await keep(archive, longest);
    await archive.verify();
    const old = Array.from({ length: 120 }, (_, i) => plainVisit('demo', { since: T + 1000 + i }));
    const fresh = Array.from({ length: 10 }, (_, i) => plainVisit('demo', { since: T + 90_000 + i }));
    await keep(archive, ...old, ...fresh);
    const again = plainVisit('demo', { id: longest.id, since: T + 90_000 }).frames.map((frame) => ({
      ...frame,
      n: 50,
    }));
    await keep(archive, { ...longest, frames: again });
    await archive.verify();
    let removed = 0;
    for (let n = -1; n !== 0; removed += n) n = await archive.prune(T + 60_000, Number.MAX_SAFE_INTEGER);
    assert.equal(removed + 1, 1 + old.length);
    const left = await archive.visits({ site: 'demo', limit: 200 });
    assert.deepEqual(left.items.map(({ id }) => id).sort(), [...fresh, longest].map(({ id }) => id).sort());
    assert.deepEqual(await archive.verify(), []);
  });

  it('removes all data of a removed site, and no other data', async (archive, open) => {
    const [old, late] = [T, T + 60_000].map((since) => plainVisit('shop', { since })) as [MadeVisit, MadeVisit];
    const many = Array.from({ length: 120 }, () => plainVisit('shop', { page: '/gone' }));
    await keep(archive, old, late, ...many, plainVisit('demo'));
    await archive.verify();
    await archive.dropSite('shop', T + 1000);
    const other = await open();
    while ((await other.prune(0, Number.MAX_SAFE_INTEGER)) > 0);
    const left = async (site: string) => (await archive.visits({ site, limit: 200 })).items.map(({ id }) => id);
    assert.deepEqual(await left('shop'), [late.id]);
    assert.equal((await left('demo')).length, 1);
    assert.deepEqual(
      (await archive.pages('shop', DAYS)).map(({ page }) => page),
      ['/'],
    );
    assert.deepEqual(await archive.verify(), []);
  });

  itThoroughly('removes the oldest visits until the disk usage is below the limit', async (archive) => {
    const visits = alike('demo', 60, 20, T);
    for (const visit of visits) {
      await keep(archive, visit);
      await archive.visit(visit.id);
    }
    await archive.verify();
    const { used } = await archive.usage();
    const most = Math.round(used / 2);
    while ((await archive.prune(0, most)) > 0);
    assert.ok((await archive.usage()).used <= most);
    const left = (await archive.visits({ site: 'demo', limit: 200 })).items.map(({ id }) => id).reverse();
    assert.ok(left.length > 10 && left.length < 40, `${left.length} are left`);
    assert.deepEqual(
      left,
      visits.slice(-left.length).map(({ id }) => id),
    );
    assert.equal((await archive.usage()).oldest, T + 60 - left.length);
    assert.deepEqual(await archive.verify(), []);
  });

  it('frees space in the site furthest over its share, and removes nothing from the others', async (archive) => {
    const quiet = Array.from({ length: 20 }, (_, i) => plainVisit('demo', { since: T + i, frames: 2 }));
    const loud = alike('shop', 40, 20, T + 1000);
    for (const visit of [...quiet, ...loud]) {
      await keep(archive, visit);
      await archive.visit(visit.id);
    }
    const most = Math.round((await archive.usage()).used / 2);
    while ((await archive.prune(0, most)) > 0);
    assert.ok((await archive.usage()).used <= most);
    const left = async (site: string) =>
      (await archive.visits({ site, limit: 200 })).items.map(({ id }) => id).reverse();
    assert.deepEqual(
      await left('demo'),
      quiet.map(({ id }) => id),
    );
    const rest = await left('shop');
    assert.ok(rest.length > 5 && rest.length < 35, `${rest.length} are left`);
    assert.deepEqual(
      rest,
      loud.slice(-rest.length).map(({ id }) => id),
      'within the site the oldest went',
    );
    assert.deepEqual(await archive.verify(), []);
  });

  itThoroughly('removes visits from one site after another as each becomes the largest', async (archive) => {
    const made = [3, 2, 1].flatMap((n, s) => alike(['large', 'middle', 'small'][s] as string, 12 * n, 10, T));
    for (const visit of made) {
      await keep(archive, visit);
      await archive.visit(visit.id);
    }
    const most = Math.round((await archive.usage()).used * 0.55);
    while ((await archive.prune(0, most)) > 0);
    const count = async (site: string) => (await archive.visits({ site, limit: 200 })).items.length;
    const [large = 0, middle = 0, small = 0] = await Promise.all(['large', 'middle', 'small'].map(count));
    assert.equal(small, 12);
    assert.ok(large < 24 && middle < 24 && Math.abs(large - middle) <= 2, `${large} and ${middle} are left`);
    assert.deepEqual(await archive.verify(), []);
  });

  it(
    'accepts nothing above its cap, and continues when there is room',
    async (archive) => {
      // Making samples costs more than storing them, so all visits share the same samples.
      const { frames } = plainVisit('demo', { frames: 30, samples: 500 });
      const visitOf = (i: number) => ({ ...plainVisit('demo', { since: T + i }), frames });
      const made = Array.from({ length: 250 }, (_, i) => visitOf(i));
      const batches = made.map((visit) => [batchOf(visit.frames.map((frame): Delivery => [visit, frame]))]);
      const visits: MadeVisit[] = [];
      // Writes faster than an archive that frees space by itself can do so.
      const write = async () => {
        for (let i = 0; i < made.length; i += 3) {
          await Promise.all(batches.slice(i, i + 3).map((batch) => archive.append(batch)));
          visits.push(...made.slice(i, i + 3));
        }
      };
      await assert.rejects(write, { code: 'full' });
      const full = await archive.usage();
      assert.deepEqual(await archive.verify(), []);
      // An archive that frees space by itself may have done so meanwhile.
      const { used } = await archive.usage();
      assert.ok(Math.max(full.used, used) > 4e6 && used < 1.05 * 8e6, `${full.used}, then ${used} bytes`);
      // The visits present are complete; some may have been removed to free space.
      const moves = await Promise.all(visits.map(async ({ id }) => (await archive.visit(id))?.moves ?? 0));
      assert.deepEqual([...new Set(moves)].filter(Boolean), [15_000]);
      while ((await archive.prune(0, 4e6)) > 0);
      const later = visitOf(1000);
      // The fill level may be known with a short delay.
      await eventually(() => keep(archive, later));
      // Compacts frames that could not be compacted while the store was full.
      await archive.compactAll();
      assert.equal((await archive.visit(later.id))?.moves, 15_000);
    },
    { maxBytes: 8e6 },
  );

  itThoroughly('counts pages beyond its limit as one', async (archive, open) => {
    const other = await open();
    await keep(other, plainVisit('demo', { page: '/first' }));
    await other.verify();
    await keep(archive, ...manyPages(20_500));
    assert.deepEqual(await archive.verify(), []);
    // This archive does not know yet how many pages exist.
    const late = [plainVisit('demo', { page: '/20400' }), ...manyPages(20_500).slice(-10)];
    await keep(other, ...late);
    assert.deepEqual(await other.verify(), []);
    for (const { id } of late) await archive.erase(id);
    assert.deepEqual(await archive.verify(), []);
    // Pages are removed with the last visit on them, and free their places for others.
    while ((await archive.prune(FOR_EVER_MS, Number.MAX_SAFE_INTEGER)) > 0);
    await keep(other, plainVisit('demo', { page: '/20400' }));
    assert.deepEqual(
      (await archive.pages('demo', DAYS)).map(({ page }) => page),
      ['/20400'],
    );
    assert.deepEqual(await archive.verify(), []);
  });

  it('accepts any text and number that visitors may send', async (archive) => {
    const texts = [
      '%',
      '\x01'.repeat(1024),
      '\u{1f42d}'.repeat(256),
      '/'.repeat(1024),
      '\x01\x1b\x7f',
      '__proto__',
      '(other pages)',
    ];
    const visits = texts.map((page) => plainVisit('demo', { page }));
    for (const { frames } of visits) {
      const [first] = frames as [MadeFrame];
      for (const selector of ['', 'x'.repeat(160), '\u{1f42d}'.repeat(40), '__proto__'])
        first.samples.push({ type: 'click', time: first.t + 500, x: 0, y: 0, button: 0, ex: 0, ey: 0, selector });
      for (const page of texts) first.samples.push({ type: 'page', time: first.t + 600, page });
      first.samples.push({ type: 'move', time: first.t + 700, x: -10_000_000, y: 10_000_000 });
    }
    await keep(archive, ...visits);
    assert.deepEqual(await archive.verify(), []);
    for (const visit of visits) await assertKept(archive, visit);
    await assertReckoned(archive, visits, texts);
    for (const { id } of visits) assert.equal(await archive.erase(id), true);
    assert.deepEqual(await archive.pages('demo', DAYS), []);
    assert.deepEqual(await archive.verify(), []);
  });

  it('returns a result for invalid cursors and ids', async (archive) => {
    const visit = plainVisit('demo');
    await keep(archive, visit);
    for (const after of ['', 'x', '1e999.1', '-1', '9'.repeat(40), '..', '1.2.3', 'NaN.NaN']) {
      const { items } = await archive.visits({ site: 'demo', limit: 5, after });
      assert.ok(items.length <= 1);
      assert.ok((await archive.runs(visit.id, after)).items.length <= 1);
    }
    for (const id of ['', 'x'.repeat(5000), '\0', '\u{10ffff}']) {
      assert.equal(await archive.visit(id), undefined);
      assert.equal(await archive.erase(id), false);
    }
  });

  it('removes a damaged visit when its retention ends, and the due visits beside it', async (archive, open, _, damage) => {
    const first = plainVisit('a', { frames: 40, samples: 500 });
    const later = plainVisit('a', { since: T + 1 });
    const others = [plainVisit('b', { since: T + 2 }), plainVisit('b', { since: T + 10 * DAY_MS })];
    for (const visit of [first, later, ...others]) {
      await keep(archive, visit);
      await archive.compactAll();
    }
    await damage('a', 1);
    const again = await open();
    assert.match(
      (await again.verify()).map(({ what }) => what).join(),
      new RegExp(`frames of visit ${first.id}, which`),
    );
    let removed = 0;
    for (let some = 1; some > 0; removed += some) some = await again.prune(T + DAY_MS, Number.MAX_SAFE_INTEGER);
    assert.equal(removed, 3);
    assert.deepEqual(await again.sites(), ['b']);
    assert.deepEqual(
      (await again.visits({ site: 'b', limit: 9 })).items.map(({ id }) => id),
      [others[1]?.id],
    );
    // The readable part is subtracted. The unreadable part is still counted, and verify reports it as surplus.
    const [left] = await again.days('a', null, DAYS);
    assert.ok(left && left.moves > 0 && left.moves < 40 * 500, `${left?.moves} moves`);
    const differences = await again.verify();
    assert.ok(differences.length > 0 && differences.every(({ kept, found }) => kept > 0 && found === 0));
  });

  it('removes only a few visits at once if they lasted many minutes', async (archive) => {
    const hours = (count: number) => count * 3_600_000;
    for (const id of ['long-1', 'long-2', 'longest', 'short']) {
      const lasts = id === 'short' ? 5000 : hours(id === 'longest' ? 40 : 20);
      const [first, last] = [T, T + lasts].map((since) => plainVisit('a', { id, since }));
      await keep(archive, first as MadeVisit);
      await keep(archive, { ...(last as MadeVisit), frames: [{ ...(last?.frames[0] as MadeFrame), n: 2 }] });
      await archive.compactAll();
    }
    const removed: number[] = [];
    for (let some = 1; some > 0; removed.push(some))
      some = await archive.prune(T + 10 * DAY_MS, Number.MAX_SAFE_INTEGER);
    // Each write removes at most 2,000 minutes, so the longest visit takes several writes.
    assert.deepEqual([Math.max(...removed) <= 2, removed.reduce((sum, some) => sum + some)], [true, 4]);
    assert.ok(removed.length >= 4, `${removed}`);
    assert.deepEqual([await archive.sites(), await archive.verify()], [[], []]);
    assert.deepEqual(await archive.days('a', null, { from: '2026-11-01', to: '2026-11-30' }), []);
  });

  it('shows no data of a removed site to a new site with the same key', async (archive) => {
    const [old, later] = [plainVisit('a', { frames: 3 }), plainVisit('a', { since: T + 5000 })];
    await keep(archive, old);
    await archive.dropSite('a', T + 1000);
    await keep(archive, later);
    const heat = () => archive.heat({ site: 'a', page: '/', kind: 'move', ...DAYS });
    assert.deepEqual(
      (await archive.visits({ site: 'a', limit: 9 })).items.map(({ id }) => id),
      [later.id],
    );
    assert.equal(await archive.visit(old.id), undefined);
    assert.deepEqual(await archive.runs(old.id), { items: [], next: null });
    assert.deepEqual(
      (await archive.scenes('a', null, T - 1000, T + 60_000)).map(({ visit }) => visit.id),
      [later.id],
    );
    assert.deepEqual([await archive.pages('a', DAYS), await archive.days('a', null, DAYS)], [[], []]);
    assert.equal((await heat()).total, 0);
    while ((await archive.prune(0, Number.MAX_SAFE_INTEGER)) > 0);
    assert.equal(
      (await archive.days('a', null, DAYS)).reduce((sum, { visits }) => sum + visits, 0),
      1,
    );
    assert.equal((await heat()).total, 10);
    assert.ok(await archive.visit(later.id));
  });

  it('searches a visit only on the site given', async (archive) => {
    const [visit, other] = [plainVisit('a'), plainVisit('b')];
    await keep(archive, visit, other);
    assert.equal((await archive.visit(visit.id, 'a'))?.id, visit.id);
    for (const site of ['b', 'none']) assert.equal(await archive.visit(visit.id, site), undefined);
  });

  it('erases a damaged visit', async (archive, open, _, damage) => {
    const [visit, other] = [plainVisit('demo', { frames: 3 }), plainVisit('demo', { since: T + 1 })];
    await keep(archive, visit);
    await archive.compactAll();
    await keep(archive, other);
    await archive.compactAll();
    await damage('demo', 1);
    const again = await open();
    assert.deepEqual([await again.erase(visit.id), await again.erase(visit.id)], [true, false]);
    assert.equal(await again.visit(visit.id), undefined);
    assert.ok(await again.visit(other.id));
  });

  it('compacts frames of a damaged visit, and the frames that wait beside it', async (archive, open, _, damage) => {
    const other = plainVisit('demo', { since: T + 1 });
    const { visit, again } = await comeForDamaged(archive, open, damage);
    await keep(again, other);
    await again.compactAll();
    assert.ok(await again.visit(other.id));
    const { items } = await again.runs(visit.id);
    assert.deepEqual([items.length, items[0]?.n], [1, 1]);
    const differences = await again.verify();
    assert.ok(differences.length > 0 && differences.every(({ what }) => !what.includes(other.id)));
    assert.equal(await again.erase(visit.id), true);
  });

  it('erases a damaged visit that has waiting frames', async (archive, open, _, damage) => {
    const { visit, again } = await comeForDamaged(archive, open, damage);
    assert.equal(await again.erase(visit.id), true);
    assert.equal(await again.visit(visit.id), undefined);
  });

  it('adds nothing from unreadable batches', async (archive) => {
    const visit = plainVisit('demo');
    const [good] = batchesOf([[visit, visit.frames[0] as MadeFrame]]) as [Uint8Array];
    await archive.append([good.subarray(0, good.length - 20)]).catch(() => {});
    await keep(archive, plainVisit('demo'));
    assert.deepEqual(await archive.verify(), []);
    assert.equal((await archive.visits({ site: 'demo', limit: 9 })).items.length, 1);
  });
}

/**
 * A damaged visit and a frame that waits for it. The frame is older than the visit's runs, so the whole visit must be
 * rewritten.
 */
async function comeForDamaged(archive: Archive, open: () => Promise<Archive>, damage: Opened['damage']) {
  const visit = plainVisit('demo', { frames: 3 });
  const [first, ...later] = visit.frames.map((frame) => batchOf([[visit, frame]]));
  await archive.append(later);
  await archive.compactAll();
  await damage('demo', 1);
  const again = await open();
  await again.append([first as Uint8Array]);
  return { visit, again };
}
interface Scenario {
  visits: MadeVisit[];
  groups: { by: number; deliveries: Delivery[] }[];
}

/** Some visits whose frames arrive in any order, some repeatedly, from three writers in groups. */
function scenarioOf(nextSite: () => string): fc.Arbitrary<Scenario> {
  return fc
    .constant(null)
    .map(nextSite)
    .chain((site) => fc.array(madeVisit(site), { minLength: 1, maxLength: 3 }))
    .chain((visits) => {
      const frames = visits.flatMap((visit) => visit.frames.map((frame): Delivery => [visit, frame]));
      const some = fc.subarray(frames);
      const mostly = fc.tuple(some, some).map(([a, b]) => [...frames, ...a, ...b]);
      const any = mostly.chain((list) => fc.shuffledSubarray(list, { minLength: list.length }));
      const order = fc.oneof(mostly, any);
      const cuts = fc.array(fc.record({ by: fc.nat(2), size: fc.integer({ min: 1, max: 30 }) }), {
        minLength: 1,
        maxLength: 4,
      });
      return fc.record({
        visits: fc.constant(visits),
        groups: fc.tuple(order, cuts).map(([list, cut]) => cutUp(list, cut)),
      });
    });
}

function cutUp(list: Delivery[], cuts: { by: number; size: number }[]): Scenario['groups'] {
  const groups: Scenario['groups'] = [];
  let from = 0;
  for (const { by, size } of cuts) {
    groups.push({ by, deliveries: list.slice(from, from + size) });
    from += size;
  }
  return [...groups, { by: 0, deliveries: list.slice(from) }].filter(({ deliveries }) => deliveries.length > 0);
}

/** Asserts that the record has every frame of a visit once, with all of its samples unchanged. */
async function assertKept(archive: Archive, { id, frames }: MadeVisit): Promise<void> {
  const left = new Map(frames.map((frame) => [frame.n, frame]));
  let before = Number.NEGATIVE_INFINITY;
  for (const { n, frames: count, page, size, entered, t, until, payload } of await runsOf(archive, id)) {
    const made = Array.from({ length: count }, (_, i) => left.get(n + i) as MadeFrame);
    assert.ok(made.every(Boolean), `frames ${n} to ${n + count - 1} are there once`);
    for (const one of made) left.delete(one.n);
    const [first] = made as [MadeFrame];
    const samples = made.flatMap((one) => one.samples);
    assert.deepEqual(samplesIn(payload, t), samples);
    assert.deepEqual(
      { page, size, entered, t },
      { page: first.page, size: first.size, entered: first.entered, t: first.t },
    );
    assert.equal(until, samples.at(-1)?.time ?? t);
    assert.ok(t >= before, 'in the order of time');
    before = t;
  }
  assert.deepEqual([...left.keys()], [], 'all frames are there');
}

function timeOf(samples: readonly Sample[]): number {
  return samples.at(-1)?.time ?? 0;
}

function clickAt({ time }: Sample): Sample {
  return { type: 'click', time, x: 1, y: 1, button: 0, ex: 1, ey: 1, selector: `main > p:nth-of-type(${time % 97})` };
}

function sumOf<T>(all: readonly T[], measure: (one: T) => number): number {
  return all.reduce((sum, one) => sum + measure(one), 0);
}

/** Asserts that all counts of a site equal the sums over its runs. */
async function assertReckoned(archive: Archive, visits: readonly MadeVisit[], pages = PAGES): Promise<void> {
  const site = visits[0]?.site ?? 'demo';
  const reckoning = new Reckoning();
  for (const { id } of visits) {
    const one = new Reckoning();
    const runs = await runsOf(archive, id);
    for (const each of [reckoning, one]) each.add(runs);
    const { moves, clicks, scrolls } = (await archive.visit(id)) as Visit;
    assert.deepEqual({ moves, clicks, scrolls }, { moves: one.moves, clicks: one.clicks, scrolls: one.scrolls });
  }
  for (const page of [null, ...pages]) {
    const days = await archive.days(site, page, DAYS);
    const wanted = DAY_LIST.flatMap((day) => {
      const counts = reckoning.counts.get(`${day}${page ?? ''}`);
      return counts ? [{ day, ...counts }] : [];
    });
    assert.deepEqual(days, wanted, `days of ${page}`);
  }
  await assertPages(archive, site, reckoning);
  for (const page of pages)
    for (const device of [undefined, ...DEVICES]) await assertHeat(archive, site, reckoning, page, device);
}

async function assertPages(archive: Archive, site: string, { counts }: Reckoning): Promise<void> {
  for (const [from, to] of [DAY_LIST, [DAYS.from, DAYS.from]] as [string, string][]) {
    const sums = new Map<string, Record<string, number>>();
    for (const [key, one] of counts) {
      const [day, page] = [key.slice(0, 10), key.slice(10)];
      if (page === '' || day < from || day > to) continue;
      const sum = sums.get(page) ?? {};
      for (const [what, n] of Object.entries(one)) sum[what] = (sum[what] ?? 0) + n;
      sums.set(page, sum);
    }
    const found = await archive.pages(site, { from, to });
    assert.deepEqual(new Map(found.map(({ page, ...rest }) => [page, rest])), sums);
    const views = found.map((one) => one.views);
    assert.deepEqual(
      views,
      views.toSorted((a, b) => b - a),
    );
  }
}

async function assertHeat(
  archive: Archive,
  site: string,
  reckoning: Reckoning,
  page: string,
  device: (typeof DEVICES)[number] | undefined,
): Promise<void> {
  for (const kind of ['move', 'click', 'scroll'] as const) {
    const heat = await archive.heat({ site, page, kind, ...DAYS, ...(device && { device }) });
    const devices = device ? [device] : DEVICES;
    const there = reckoning.heat(kind, page, DAY_LIST, devices);
    const wanted = kind === 'click' ? placed(there, reckoning.heat('place', page, DAY_LIST, devices)) : there;
    const width = kind === 'scroll' ? 2 : 3;
    assert.deepEqual(cellsOf(heat.cells, width), wanted, `${kind} of ${page} on ${device}`);
    const counts = [...wanted.values()];
    assert.equal(
      heat.total,
      counts.reduce((sum, n) => sum + n, 0),
    );
    assert.equal(heat.most, Math.max(0, ...counts));
    const views = [...reckoning.heat('scroll', page, DAY_LIST, devices).values()];
    assert.equal(
      heat.views,
      views.reduce((sum, n) => sum + n, 0),
    );
    if (kind === 'click') assertElements(heat.elements, reckoning.heat('element', page, DAY_LIST, devices));
  }
}

/** Returns clicks by cell, moved to the positions of their elements. */
function placed(there: ReadonlyMap<string, number>, places: ReadonlyMap<string, number>): Map<string, number> {
  const cellIn = (text: string) => {
    const [column, row] = text.split('/').map(Number) as [number, number];
    return row * (MAX_COLUMN + 1) + column;
  };
  const cells = new Map([...there].map(([text, n]) => [cellIn(text), n]));
  const elements = new Map<string, Map<number, number>>();
  for (const [text, n] of places) {
    const [selector, width, cell, spot] = JSON.parse(text) as [string, number, string, number];
    const counted = elements.get(selector) ?? new Map();
    elements.set(selector, counted.set(packPlace(width, cellIn(cell), spot), n));
  }
  placeClicks(cells, elements);
  const sorted = [...cells].sort(([a], [b]) => a - b);
  return new Map(sorted.map(([cell, n]) => [`${cell % (MAX_COLUMN + 1)}/${Math.floor(cell / (MAX_COLUMN + 1))}`, n]));
}

/** Reads `width` numbers per cell: its key, then its count. Cells are sorted. */
function cellsOf(flat: readonly number[], width: number): Map<string, number> {
  const cells = new Map<string, number>();
  for (let i = 0; i < flat.length; i += width)
    cells.set(flat.slice(i, i + width - 1).join('/'), flat[i + width - 1] as number);
  assert.equal(cells.size * width, flat.length);
  return cells;
}

function assertElements(
  elements: readonly { selector: string; count: number; spots: number[] }[],
  wanted: Map<string, number>,
): void {
  const found = new Map<string, number>();
  for (const { selector, count, spots } of elements) {
    const cells = cellsOf(spots, 3);
    assert.equal(
      count,
      [...cells.values()].reduce((sum, n) => sum + n, 0),
    );
    for (const [spot, n] of cells) found.set(`${selector}/${spot}`, n);
  }
  assert.deepEqual(found, wanted);
}

const maybe = <T>(value: fc.Arbitrary<T>) => fc.option(value, { nil: undefined, freq: 2 });
const time = fc.integer({ min: T - 100_000, max: T + 400_000 });

const visitQuery: fc.Arbitrary<VisitQuery> = fc
  .record({
    page: maybe(fc.constantFrom(...PAGES)),
    from: maybe(time),
    to: maybe(time),
    device: maybe(fc.constantFrom(...DEVICES)),
    country: maybe(fc.constantFrom('DE', 'NZ')),
    longer: maybe(fc.nat(200_000)),
    shorter: maybe(fc.nat(300_000)),
    clicked: maybe(fc.boolean()),
    limit: fc.integer({ min: 1, max: 30 }),
  })
  .map((query) => {
    const given = Object.entries(query).filter(([, value]) => value !== undefined);
    return { site: 'demo', ...Object.fromEntries(given) } as unknown as VisitQuery;
  });

function isAsked(visit: Visit, query: VisitQuery): boolean {
  const { page, from = 0, to = Infinity, device, country, longer = 0, shorter = Infinity, clicked } = query;
  const lasted = visit.until - visit.since;
  if (page !== undefined && !visit.stays.some((stay) => stay.page === page)) return false;
  if (device !== undefined && visit.device !== device) return false;
  if (country !== undefined && visit.country !== country) return false;
  if (clicked !== undefined && visit.clicks > 0 !== clicked) return false;
  return visit.since >= from && visit.since < to && lasted >= longer && lasted <= shorter;
}

/** Visits with the same start may be in any order. */
function assertSameVisits(found: readonly Visit[], wanted: readonly Visit[]): void {
  assert.deepEqual(
    found.map(({ since }) => since),
    wanted.map(({ since }) => since),
  );
  const sorted = (visits: readonly Visit[]) => visits.toSorted((a, b) => (a.id < b.id ? -1 : 1));
  assert.deepEqual(sorted(found), sorted(wanted));
}

/** Asserts that the scenes contain every sample in this period of every visitor on the page, once. */
async function assertScenes(
  archive: Archive,
  visits: readonly MadeVisit[],
  page: string | null,
  from: number,
  to: number,
): Promise<void> {
  const scenes = new Map((await archive.scenes('demo', page, from, to)).map((scene) => [scene.visit.id, scene]));
  const isIn = ({ time }: { time: number }) => time >= from && time < to;
  for (const { id } of visits) {
    const { stays } = (await archive.visit(id)) as Visit;
    const samples = (await runsOf(archive, id)).flatMap(({ payload, t }) => samplesIn(payload, t)).filter(isIn);
    const isHere = stays.some((stay) => (page ?? stay.page) === stay.page && stay.t < to && stay.until >= from);
    const scene = scenes.get(id);
    if (!isHere || samples.length === 0) continue;
    assert.ok(scene, `${id} was there`);
    assert.deepEqual(scene.runs.flatMap(({ payload, t }) => samplesIn(payload, t)).filter(isIn), samples);
    assert.equal(scene.visit.site, 'demo');
  }
  for (const { visit } of scenes.values()) assert.ok(page === null || visit.stays.some((stay) => stay.page === page));
}

/** Makes visits that have `pages` pages together, 400 per visit. */
/**
 * Makes large visits that start one after another, a millisecond apart. They share all frames but the first: making
 * samples costs more than storing them.
 */
function alike(site: string, count: number, frames: number, since: number): MadeVisit[] {
  const [, ...rest] = plainVisit(site, { since, frames, samples: 900 }).frames;
  return Array.from({ length: count }, (_, i) => {
    const visit = plainVisit(site, { since: since + i, samples: 900 });
    return { ...visit, frames: [...visit.frames, ...rest] };
  });
}

function manyPages(pages: number): MadeVisit[] {
  return Array.from({ length: Math.ceil(pages / 400) }, (_, v) => {
    const visit = plainVisit('demo', { since: T + v });
    const [frame] = visit.frames as [MadeFrame];
    for (let i = 0; i < 400; i++)
      frame.samples.push({ type: 'page', time: frame.t + 1000 + i, page: `/${400 * v + i}` });
    return visit;
  });
}

/** Repeats the action until it succeeds, for at most 5 seconds. */
async function eventually(action: () => Promise<void>): Promise<void> {
  const end = performance.now() + 5000;
  for (;;)
    try {
      return await action();
    } catch (error) {
      if (performance.now() > end) throw error;
    }
}
