/** What does the record cost in Redis? Beside the embedded store: CPU, room, and looking back at much. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Redis } from '../src/redis/connection.ts';
import { type RedisTarget, readTarget } from '../src/redis/redis-url.ts';
import type { Archive } from '../src/store/archive.ts';
import { openLmdbStore } from '../src/store/lmdb/lmdb-store.ts';
import { RedisArchive } from '../src/store/redis/redis-archive.ts';
import { type RedisServer, startRedis } from '../test/support/redis.ts';
import type { Length } from './engine.ts';
import { spread, spreadText, type Table, type Target } from './figures.ts';
import { elapsed, endOf, type Filled, FRAME_SAMPLES, fillPast, VISIT_SAMPLES } from './load/past.ts';
import { Tree } from './tree.ts';

const MILLION = 1_000_000;
/** Sizes are of the first step, looks of the last: then the page that is looked at has a million samples. */
const STEPS = [MILLION, 10 * MILLION];
const LOOKS = 20;
/** What a replay asks for first, milliseconds. */
const WINDOW_MS = 5000;

interface System {
  archive: Archive;
  /** Bytes in use. */
  used(): Promise<number>;
  /** CPU of the server so far, ms. */
  serverMs(): number;
  close(): Promise<void>;
}

interface Figures {
  /** µs of one core for each frame: of the process, and of the server. */
  append: number;
  file: number;
  serverAppend: number;
  serverFile: number;
  bytes: number;
  heat: number[];
  scene: number[];
}

export async function redis(_: Length): Promise<Table> {
  const systems = { embedded: await measured('embedded', embedded), Redis: await measured('Redis', onRedis) };
  const row = (name: string, of: (one: Figures) => string) => [name, ...Object.values(systems).map(of)];
  return {
    title: 'redis: the record in Redis',
    text:
      `Visits of ${VISIT_SAMPLES} samples, 100 at a time, a frame of ${FRAME_SAMPLES} every 100 ms, one commit for all of them; compaction follows every 100 commits. ` +
      'Redis writes each change to its disk before it answers, as the embedded store does. Bytes are those of a million samples: on disk, or in the memory of Redis.',
    head: ['', ...Object.keys(systems)],
    rows: [
      row('CPU µs per frame, appending', ({ append }) => append.toFixed(2)),
      row('CPU µs per frame, compacting', ({ file }) => file.toFixed(2)),
      row('CPU µs per frame of Redis, appending', ({ serverAppend }) => serverAppend.toFixed(2)),
      row('CPU µs per frame of Redis, compacting', ({ serverFile }) => serverFile.toFixed(2)),
      row('bytes per sample', ({ bytes }) => bytes.toFixed(2)),
      row('heatmap of a page with 1,000,000 samples, ms', ({ heat }) => spreadText(spread(heat))),
      row('first scenes of a replay, 10,000 visits, ms', ({ scene }) => spreadText(spread(scene))),
    ],
    targets: targets(systems.Redis),
  };
}

function targets({ bytes, heat, scene }: Figures): Target[] {
  const atMost = (what: string, got: number, most: number, unit = '') => ({
    what,
    wanted: `≤ ${most}${unit}`,
    got: `${got.toFixed(1)}${unit}`,
    met: got <= most,
  });
  return [
    atMost('bytes in memory per move sample', bytes, 12),
    atMost('heatmap of a page with 1,000,000 samples', spread(heat).median, 100, ' ms'),
    atMost('first scenes of a replay, 10,000 visits', spread(scene).median, 200, ' ms'),
  ];
}

async function measured(name: string, start: () => Promise<System>): Promise<Figures> {
  const system = await start();
  try {
    return await figures(name, system);
  } finally {
    await system.close();
  }
}

async function figures(name: string, { archive, used, serverMs }: System): Promise<Figures> {
  const [first, last] = STEPS as [number, number];
  const end = Date.now() - 60_000;
  process.stderr.write(`  ${name}, ${first / MILLION} M samples\n`);
  const empty = await used();
  await fillPast({ archive }, 0, first, endOf(first, last, end));
  const bytes = ((await used()) - empty) / first;
  process.stderr.write(`  ${name}, ${last / MILLION} M samples\n`);
  const filled: Filled = await fillPast({ archive }, first, last, end, serverMs);
  const days = { from: dayOf(end - 86_400_000), to: dayOf(end) };
  const heat: number[] = [];
  const scene: number[] = [];
  const begin = end - WINDOW_MS - 1000;
  for (let i = 0; i < LOOKS; i++) {
    heat.push(await elapsed(() => archive.heat({ site: 'demo', page: '/', kind: 'move', ...days })));
    scene.push(await elapsed(() => archive.scenes('demo', null, begin, begin + WINDOW_MS)));
  }
  const each = (perSample: number) => FRAME_SAMPLES * perSample;
  const { append, file, serverAppend, serverFile } = filled;
  const cpu = {
    append: each(append),
    file: each(file),
    serverAppend: each(serverAppend),
    serverFile: each(serverFile),
  };
  return { ...cpu, bytes, heat, scene };
}

function dayOf(t: number): string {
  return new Date(t).toISOString().slice(0, 10);
}

async function embedded(): Promise<System> {
  const folder = mkdtempSync(join(tmpdir(), 'fieldmouse-bench-'));
  const store = await openLmdbStore(folder);
  return {
    archive: store.archive,
    used: async () => (await store.archive.usage()).used,
    serverMs: () => 0,
    close: async () => {
      await store.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

async function onRedis(): Promise<System> {
  const ends: (() => unknown)[] = [];
  const server: RedisServer = await startRedis({ after: (end) => void ends.push(end as () => unknown) });
  const connection = await Redis.connect(readTarget(server.url) as RedisTarget);
  const archive = new RedisArchive(connection);
  const tree = new Tree(server.process.pid as number);
  return {
    archive,
    used: async () => (await archive.usage()).used,
    serverMs: () => [...tree.cpu().values()].reduce((sum, ms) => sum + ms, 0),
    close: async () => {
      await archive.close();
      await connection.close();
      for (const end of ends) await end();
    },
  };
}
