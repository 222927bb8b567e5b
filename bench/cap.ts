/**
 * What does --max-store cost visitors and the disk: after it was lowered, and while a store at its cap is written to?
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { KIND, SampleBuffer } from '../src/protocol/frame.ts';
import { openLmdbStore } from '../src/store/lmdb/lmdb-store.ts';
import { BatchWriter, PlaceMark } from '../src/store/record/batch.ts';
import type { Owner } from '../test/support/owner.ts';
import { folderBytes } from '../test/support/server.ts';
import type { Length } from './engine.ts';
import { VISITORS, Watch } from './erase.ts';
import type { Table, Target } from './figures.ts';
import { sampled } from './scene.ts';
import { start } from './systems.ts';

const MB = 1_000_000;
/**
 * FIELDMOUSE_CAP_FROM_MB, _TO_MB: the lowered cap; FIELDMOUSE_CAPS_MB, FIELDMOUSE_CAP_SECONDS: the caps that stores are
 * kept at, and for how long.
 */
const FROM_MB = Number(process.env.FIELDMOUSE_CAP_FROM_MB ?? 250);
const TO_MB = Number(process.env.FIELDMOUSE_CAP_TO_MB ?? 50);
const CAPS_MB = (process.env.FIELDMOUSE_CAPS_MB ?? '20,50,100,200').split(',').filter(Boolean).map(Number);
const SECONDS = Number(process.env.FIELDMOUSE_CAP_SECONDS ?? 120);
const MAX_GAP_MS = 250;
/** How long visitors are observed while nothing is removed, and after enough was removed, milliseconds. */
const BASE_MS = 10_000;
/** Time limit for a store to shrink below its lowered cap, milliseconds. */
const LOWER_LIMIT_MS = 30 * 60_000;
/** How often the size of the data folder is read, milliseconds. */
const LOOK_MS = 100;
/** A store is filled to this share of its cap. Visits are removed from 0.8 on, of 20 MB from 0.62 on. */
const FILLED = 0.6;
/** Samples per frame. All visitors together send 60,000 samples per second, some 300 KB. */
const FRAME_SAMPLES = 60;
const FILL_SAMPLES = 500;
const FILL_FRAMES = 20;
const FILL_VISITS = 20;

export async function cap(_: Length): Promise<Table> {
  const table: Pick<Table, 'rows' | 'targets'> = { rows: [], targets: [] };
  if (FROM_MB > 0) await lower(table);
  for (const megabytes of CAPS_MB) await fillSteadily(table, megabytes);
  const text =
    `${VISITORS} visitors send a frame of ${FRAME_SAMPLES} samples every 100 ms, with 2 workers. ` +
    'The size is that of all files in the data folder, read every 100 ms.';
  return { title: 'cap: acks and disk space at --max-store', text, head: ['', 'figure'], ...table };
}

/** Restarts a server with a lower cap. */
async function lower({ rows, targets }: Pick<Table, 'rows' | 'targets'>): Promise<void> {
  await inFolder(async (folder) => {
    await fill(folder, FROM_MB * MB);
    const base = await watched(folder, ['--max-store', '100GB'], (watch) => gapOf(watch, BASE_MS));
    const begin = performance.now();
    const { gap, seconds } = await watched(folder, ['--max-store', `${TO_MB}MB`], async (watch) => {
      const used = await untilBelow(folder, TO_MB * MB);
      const seconds = (performance.now() - begin) / 1000;
      process.stderr.write(`  ${used} bytes in use after ${seconds.toFixed(1)} s\n`);
      return { gap: await gapOf(watch, BASE_MS), seconds };
    });
    const name = `lowered from ${FROM_MB} MB to ${TO_MB} MB`;
    rows.push([`${name}: longest time without an ack before, ms`, base.toFixed(0)]);
    rows.push([
      `${name}: longest time without an ack during the removal of visits and ${BASE_MS / 1000} s after it, ms`,
      gap.toFixed(0),
    ]);
    rows.push([`${name}: time until less than the cap is in use, s`, seconds.toFixed(1)]);
    rows.push([`${name}: size of the folder, MB`, (folderBytes(folder) / MB).toFixed(1)]);
    targets.push(gapTarget(name, gap));
  });
}

/** Writes to a store at its cap. */
async function fillSteadily({ rows, targets }: Pick<Table, 'rows' | 'targets'>, megabytes: number): Promise<void> {
  await inFolder(async (folder) => {
    await fill(folder, FILLED * megabytes * MB);
    const { gap, sizes, removed } = await watched(folder, ['--max-store', `${megabytes}MB`], async (watch) => {
      const sizes = await sampled(SECONDS * 1000, LOOK_MS, () => folderBytes(folder));
      return { gap: watch.longest(), sizes, removed: (await usageOf(folder)).removed.cap };
    });
    const share = Math.max(...sizes) / (megabytes * MB);
    const name = `${megabytes} MB for ${SECONDS} s`;
    rows.push([`${name}: longest time without an ack, ms`, gap.toFixed(0)]);
    rows.push([`${name}: peak size, share of the cap`, `${(100 * share).toFixed(1)} %`]);
    rows.push([`${name}: visits removed`, String(removed)]);
    targets.push(gapTarget(name, gap), {
      what: `peak size, ${name}`,
      wanted: '≤ 100 % of the cap',
      got: `${(100 * share).toFixed(1)} %`,
      met: share <= 1,
    });
  });
}

function gapTarget(name: string, gap: number): Target {
  return {
    what: `longest time without an ack, ${name}`,
    wanted: `≤ ${MAX_GAP_MS} ms`,
    got: `${gap.toFixed(0)} ms`,
    met: gap <= MAX_GAP_MS,
  };
}

async function inFolder(play: (folder: string) => Promise<void>): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'fieldmouse-bench-'));
  try {
    await play(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Starts a server on a folder, with visitors, runs `play`, and stops the server. */
async function watched<T>(folder: string, flags: string[], play: (watch: Watch) => Promise<T>): Promise<T> {
  const server = await start('fieldmouse', ['--data', folder, '--workers', '2', '--retain', '3650d', ...flags]);
  const ends: (() => unknown)[] = [() => server.stop()];
  try {
    const owner: Owner = { after: (end: unknown) => void ends.push(end as () => void) };
    const watch = new Watch(owner, `ws://127.0.0.1:${server.port}`, FRAME_SAMPLES);
    await watch.ready;
    return await play(watch);
  } finally {
    for (const end of ends.reverse()) await end();
  }
}

/** The longest time without an ack since it was asked last, and in the next milliseconds. */
async function gapOf(watch: Watch, ms: number): Promise<number> {
  await sleep(ms);
  return watch.longest();
}

/** Waits until less than `bytes` are in use. Resolves with the bytes in use. */
async function untilBelow(folder: string, bytes: number): Promise<number> {
  const end = performance.now() + LOWER_LIMIT_MS;
  for (;;) {
    const { used } = await usageOf(folder);
    if (used < bytes) return used;
    if (performance.now() > end) throw new Error(`${used} bytes are still in use`);
    await sleep(1000);
  }
}

async function usageOf(folder: string) {
  const store = await openLmdbStore(folder, { create: false });
  try {
    return await store.archive.usage();
  } finally {
    await store.close();
  }
}

/** Fills a store with visits of some 50 KB each until `bytes` are in use. */
async function fill(folder: string, bytes: number): Promise<void> {
  const store = await openLmdbStore(folder, { durability: 'system' });
  const samples = new SampleBuffer(FILL_SAMPLES);
  for (let i = 0; i < FILL_SAMPLES; i++) samples.push(KIND.move, i * 16, (37 * i) % 1280, (91 * i) % 5000);
  const since = Date.now() - 2 * 3_600_000;
  for (let no = 0; (await store.archive.usage()).used < bytes; no += FILL_VISITS) {
    const batches = Array.from({ length: FILL_VISITS }, (_, i) => pastVisit(no + i, since, samples));
    await store.archive.append(batches);
    await store.archive.compactAll();
  }
  await store.close();
}

function pastVisit(no: number, begin: number, samples: SampleBuffer): Uint8Array {
  const since = begin + no * 10;
  const writer = new BatchWriter();
  const mark = new PlaceMark({ id: `past-${no}`, site: 'demo', page: `/${no % 10}`, size: [1280, 720, 1280, 5000] });
  writer.about(mark, { since, device: 'desktop', language: 'en', referrer: '', origin: '', country: '', label: '' });
  for (let n = 1; n <= FILL_FRAMES; n++) {
    const t = since + n * FILL_SAMPLES * 16;
    writer.frame(mark, n, n === 1, samples, t, t);
  }
  return writer.take();
}
