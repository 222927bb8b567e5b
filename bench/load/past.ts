/**
 * Fills a store with past visits, as workers would have done over time: pointers that wander, at 60 samples a second.
 */
import { performance } from 'node:perf_hooks';
import { KIND, SampleBuffer } from '../../src/protocol/frame.ts';
import type { Archive } from '../../src/store/archive.ts';
import { BatchWriter, PlaceMark } from '../../src/store/record/batch.ts';
import { seeded } from '../../test/support/seeded.ts';

/** Samples of one visit: a frame of six each 100 ms, for 16.7 s. */
export const VISIT_SAMPLES = 1000;
export const FRAME_SAMPLES = 6;
const FRAME_MS = 100;
const SAMPLE_MS = 1000 / 60;
/** Visits at the same time. */
const AT_ONCE = 100;
/** Number of pages. One visit in PAGES is on the page `/`; the others are spread over the other pages. */
export const PAGES = 10;
const WIDTH = 1280;
const HEIGHT = 4000;
/** Frames of one visit that are appended together, as in one commit, and commits that are filed together. */
const COMMITS_FILED = 100;

/**
 * Cost of filling, µs of one core for each sample: of this process, and of the server that has the store, if there is
 * one.
 */
export interface Filled {
  append: number;
  file: number;
  serverAppend: number;
  serverFile: number;
}

interface Guest {
  mark: PlaceMark;
  writer: BatchWriter;
  phase: number;
  x: number;
  y: number;
}

/** Samples of the visits that are there at the same time, and from the begin of one lot to that of the next, ms. */
const WAVE = AT_ONCE * VISIT_SAMPLES;
const WAVE_MS = 20_000;

/** When the first `samples` of `total` end, if all of them end by `end`, Unix ms. */
export function endOf(samples: number, total: number, end: number): number {
  return end - ((total - samples) / WAVE) * WAVE_MS;
}

/**
 * Adds visits until there are `to` samples, of which `from` exist already. `end`: when the last visit ends at the
 * latest, Unix ms. `serverMs`: CPU of the store's server so far.
 */
export async function fillPast(
  { archive }: { archive: Pick<Archive, 'append' | 'compactAll'> },
  from: number,
  to: number,
  end: number,
  serverMs: () => number = () => 0,
): Promise<Filled> {
  const spent = { append: 0, file: 0, serverAppend: 0, serverFile: 0 };
  const append = async (batches: Uint8Array[]) => {
    const [own, server] = await timed(() => archive.append(batches), serverMs);
    spent.append += own;
    spent.serverAppend += server;
  };
  const file = async () => {
    const [own, server] = await timed(() => archive.compactAll(), serverMs);
    spent.file += own;
    spent.serverFile += server;
  };
  for (let done = from; done < to; done += WAVE) {
    const began = endOf(done, to, end);
    const guests = Array.from({ length: AT_ONCE }, (_, i) => newGuest(done / VISIT_SAMPLES + i, began));
    for (let frame = 0; frame * FRAME_SAMPLES < VISIT_SAMPLES; frame++) {
      for (const guest of guests) write(guest, frame, began);
      await append(guests.map(({ writer }) => writer.take()));
      if (frame % COMMITS_FILED === COMMITS_FILED - 1) await file();
    }
    await file();
  }
  const each = (ms: number) => (1000 * ms) / (to - from);
  const { append: appended, file: filed, serverAppend, serverFile } = spent;
  return {
    append: each(appended),
    file: each(filed),
    serverAppend: each(serverAppend),
    serverFile: each(serverFile),
  };
}

/** CPU of this process and of the server meanwhile, ms. */
async function timed(work: () => unknown, serverMs: () => number): Promise<[own: number, server: number]> {
  const [cpu, before] = [process.cpuUsage(), serverMs()];
  await work();
  const { user, system } = process.cpuUsage(cpu);
  return [(user + system) / 1000, serverMs() - before];
}

function newGuest(no: number, since: number): Guest {
  const random = seeded(no + 1);
  const page = no % PAGES === 0 ? '/' : `/page-${no % PAGES}`;
  const id = idOf(random);
  const mark = new PlaceMark({ id, site: 'demo', page, size: [WIDTH, 800, WIDTH, HEIGHT] });
  const rest = { language: 'en', referrer: '', origin: '', country: '', label: '' };
  const writer = new BatchWriter();
  writer.about(mark, { since, device: 'desktop', ...rest });
  return { mark, writer, phase: 100 * random(), x: 0, y: 0 };
}

/** Returns the id of a visitor. `random` returns numbers from 0 to 1. */
export function idOf(random: () => number): string {
  return Array.from({ length: 22 }, () => Math.floor(36 * random()).toString(36)).join('');
}

const samples = new SampleBuffer(FRAME_SAMPLES);

function write({ mark, writer, phase }: Guest, frame: number, began: number): void {
  samples.clear();
  for (let i = 0; i < FRAME_SAMPLES; i++) {
    const ms = Math.round(frame * FRAME_MS + i * SAMPLE_MS);
    const [x, y] = place(phase, ms / 1000);
    samples.push(KIND.move, ms, x, y);
  }
  writer.frame(mark, frame + 1, frame === 0, samples, began, began + (frame + 1) * FRAME_MS);
}

/** Returns the place of a wandering hand after `s` seconds: often slow, at times a swing over half the page. */
export function place(phase: number, s: number): [number, number] {
  const x = 0.5 + 0.45 * Math.sin(0.9 * s + phase) * Math.cos(0.37 * s + 2 * phase);
  const y = 0.5 + 0.45 * Math.sin(0.23 * s + 3 * phase) + 0.03 * Math.sin(1.7 * s + phase);
  return [Math.round(WIDTH * x), Math.round(HEIGHT * y)];
}

/** How long something takes, ms. */
export async function elapsed(work: () => Promise<unknown>): Promise<number> {
  const begin = performance.now();
  await work();
  return performance.now() - begin;
}
