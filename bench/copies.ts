/**
 * Are backups of a running server complete? Each is restored, compared with what was acked before it, written to, and
 * verified. How long does that take?
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { Store } from '../src/store/contract.ts';
import { openLmdbStore } from '../src/store/lmdb/lmdb-store.ts';
import type { Owner } from '../test/support/owner.ts';
import { moves, record } from '../test/support/record.ts';
import { PAGE_EVERY, SteadyVisitor } from '../test/support/steady-visitor.ts';
import { all, samplesIn } from '../test/support/visits.ts';
import type { Length } from './engine.ts';
import { spread, spreadText, type Table } from './figures.ts';
import { fillPast } from './load/past.ts';
import { start } from './systems.ts';

/** Number of copies in all scenes together; FIELDMOUSE_COPIES sets another number. */
const COPIES = Number(process.env.FIELDMOUSE_COPIES ?? 8);
/** Size of the largest store, MB; FIELDMOUSE_COPIES_MB sets another size. */
const LARGEST = Number(process.env.FIELDMOUSE_COPIES_MB ?? 500);
const MAIN = fileURLToPath(new URL('../dist/main.js', import.meta.url));
/** Size of a stored sample, bytes. */
const SAMPLE_BYTES = 5.1;
/** Number of samples in each frame of a visitor. */
const SAMPLES = 6;
/** Interval between two frames of a visitor, milliseconds. */
const FRAME_MS = 100;
/** How long visitors browse before each copy, milliseconds. */
const APART_MS = 2000;

/** Visitors that browse, the size of the store before they come, and which share of the copies is made of it. */
const SCENES = [
  { visitors: 60, megabytes: 5, share: 0.4 },
  { visitors: 150, megabytes: 5, share: 0.2 },
  { visitors: 200, megabytes: 50, share: 0.2 },
  { visitors: 100, megabytes: 150, share: 0.15 },
  { visitors: 80, megabytes: 500, share: 0.05 },
] as const;

type Scene = (typeof SCENES)[number];

interface Copy {
  megabytes: number;
  backupMs: number;
  restoreMs: number;
  verifyMs: number;
  /** Samples that were acked before the copy started: it must contain all of them. */
  acked: number;
}

export async function copies(_: Length): Promise<Table> {
  const rows: string[][] = [];
  let [made, good] = [0, 0];
  for (const scene of SCENES.filter((one) => one.megabytes <= LARGEST)) {
    const count = Math.max(1, Math.round(scene.share * COPIES));
    const outcomes = await copiesOf(scene, count);
    const found = outcomes.filter((one): one is Copy => typeof one !== 'string');
    made += count;
    good += found.length;
    rows.push(...rowsOf(scene, count, found));
    for (const fault of outcomes) if (typeof fault === 'string') rows.push(['  a bad copy', fault]);
  }
  return {
    title: 'copies: live backups',
    text:
      `Visitors send ${SAMPLES} samples every ${FRAME_MS} ms, with clicks and page changes, while copies are made, restored to another folder, ` +
      'compared with the samples acked before, written to and verified.',
    head: ['', 'figure'],
    rows,
    targets: [{ what: 'good copies', wanted: `${made} of ${made}`, got: `${good}`, met: good === made }],
  };
}

function rowsOf({ visitors, megabytes }: Scene, count: number, found: readonly Copy[]): string[][] {
  const name = `${visitors} visitors, ${megabytes} MB at first`;
  if (found.length === 0) return [[`${name}: good copies`, `0 of ${count}`]];
  const textOf = (value: (copy: Copy) => number, digits = 1) => spreadText(spread(found.map(value)), digits);
  const perGigabyte = (ms: (copy: Copy) => number) => textOf((copy) => ms(copy) / copy.megabytes);
  return [
    [`${name}: good copies`, `${found.length} of ${count}`],
    [`${name}: MB of a copy`, textOf((copy) => copy.megabytes, 0)],
    [`${name}: samples acked before it`, textOf(({ acked }) => acked, 0)],
    [`${name}: backup under load, s per GB`, perGigabyte(({ backupMs }) => backupMs)],
    [`${name}: restore, s per GB`, perGigabyte(({ restoreMs }) => restoreMs)],
    [`${name}: verify, s per GB`, perGigabyte(({ verifyMs }) => verifyMs)],
  ];
}

async function copiesOf({ visitors: count, megabytes }: Scene, copies: number): Promise<(Copy | string)[]> {
  const folder = mkdtempSync(join(tmpdir(), 'fieldmouse-bench-'));
  const ends: (() => unknown)[] = [() => rmSync(folder, { recursive: true, force: true })];
  try {
    const data = join(folder, 'data');
    await fill(data, megabytes);
    const server = await start('fieldmouse', ['--data', data, '--max-store', '20GB']);
    ends.push(() => server.stop());
    const owner: Owner = { after: (end: unknown) => void ends.push(end as () => void) };
    const address = () => `ws://127.0.0.1:${server.port}`;
    const visitors = Array.from({ length: count }, (_, no) => new SteadyVisitor(owner, address, no));
    const timer = setInterval(() => {
      for (const visitor of visitors) visitor.browse(SAMPLES);
    }, FRAME_MS);
    ends.push(() => clearInterval(timer));
    const outcomes: (Copy | string)[] = [];
    for (let i = 1; i <= copies; i++) {
      await sleep(APART_MS);
      const outcome = await tryCopy(data, join(folder, 'copy'), visitors);
      outcomes.push(outcome);
      const verdict = typeof outcome === 'string' ? outcome : 'good';
      process.stderr.write(`  ${count} visitors, ${megabytes} MB: copy ${i} of ${copies}: ${verdict}\n`);
    }
    return outcomes;
  } finally {
    for (const end of ends.reverse()) await end();
  }
}

async function fill(data: string, megabytes: number): Promise<void> {
  const store = await openLmdbStore(data, { durability: 'system' });
  await fillPast(store, 0, (megabytes * 1e6) / SAMPLE_BYTES, Date.now() - 60_000);
  await store.close();
}

/** A copy, or its fault. */
async function tryCopy(data: string, folder: string, visitors: readonly SteadyVisitor[]): Promise<Copy | string> {
  try {
    return await copyOnce(data, folder, visitors);
  } catch (error) {
    return (error as Error).message;
  } finally {
    rmSync(folder, { recursive: true, force: true });
    rmSync(`${folder}.mdb`, { force: true });
  }
}

async function copyOnce(data: string, folder: string, visitors: readonly SteadyVisitor[]): Promise<Copy> {
  const before = visitors.map(({ acked }) => acked);
  const file = `${folder}.mdb`;
  const backupMs = await run('backup', file, '--data', data);
  const megabytes = statSync(file).size / 1e6;
  const restoreMs = await run('restore', file, '--data', folder);
  const verifyMs = await run('verify', '--data', folder);
  const store = await openLmdbStore(folder, { create: false });
  try {
    for (const [i, visitor] of visitors.entries()) await checkAcked(store, visitor, before[i] as number);
    await record(store.archive, { id: 'written-later', since: Date.now() - 9000, frames: laterFrames() });
    await store.archive.compactAll();
  } finally {
    await store.close();
  }
  await run('verify', '--data', folder);
  return { megabytes, backupMs, restoreMs, verifyMs, acked: before.reduce((sum, n) => sum + n, 0) };
}

/** Enough for a write of many pages. */
function laterFrames() {
  const places = Array.from({ length: 500 }, (_, i): [number, number] => [(i * 37) % 1200, (i * 53) % 1900]);
  return Array.from({ length: 40 }, (_, i) => ({ samples: moves(Date.now() - 8000 + 200 * i, places, 0) }));
}

/** Throws an Error if an acked sample is missing in the store, or is stored twice. */
async function checkAcked(store: Store, visitor: SteadyVisitor, acked: number): Promise<void> {
  const serials = new Set<number>();
  let pages = 0;
  for (const id of [...visitor.former, visitor.id])
    for (const { payload, t } of await all((after) => store.archive.runs(id, after)))
      for (const sample of samplesIn(payload, t)) {
        if (sample.type === 'page') pages += 1;
        if (!('y' in sample)) continue;
        if (serials.has(sample.y)) throw new Error(`sample ${sample.y} of visitor ${visitor.no} is there twice`);
        serials.add(sample.y);
      }
  if (pages < Math.floor(acked / PAGE_EVERY)) throw new Error(`a page change of visitor ${visitor.no} is missing`);
  for (let serial = 0; serial < acked; serial++)
    if (!serials.has(serial) && serial % PAGE_EVERY !== PAGE_EVERY - 1)
      throw new Error(`sample ${serial} of visitor ${visitor.no} is missing`);
}

/** Runs a command, which must succeed without warnings. Returns how long it took, milliseconds. */
async function run(...args: string[]): Promise<number> {
  const begin = performance.now();
  const child = spawn(process.execPath, [MAIN, ...args], { stdio: ['ignore', 'ignore', 'pipe'] });
  const [said, [code, signal]] = await Promise.all([text(child.stderr), once(child, 'exit')]);
  if (code !== 0 || said !== '') throw new Error(`${args[0]} ended with ${code ?? signal}: ${said.trim()}`);
  return performance.now() - begin;
}
