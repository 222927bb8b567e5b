/**
 * The stored form of runs: several in one value, with page numbers instead of names. A run consists of its number and
 * the number of its frames (varints), a byte that is 1 if the page was entered with it, its time, duration, page and
 * window (varints), and the length-prefixed payload.
 */

import type { Visitor } from '../../model/visitor.ts';
import { Reader } from '../../protocol/reader.ts';
import type { Writer } from '../../protocol/writer.ts';
import type { Run } from '../archive.ts';
import type { DamageLog } from './damage.ts';
import { checkRun } from './run-checks.ts';

/** A run with the page's number instead of its name. */
export interface StoredRun {
  n: number;
  frames: number;
  entered: boolean;
  t: number;
  until: number;
  page: number;
  size: Visitor['size'];
  payload: Uint8Array;
}

/**
 * Target size of a chunk, bytes: four pages of 4 KB, minus what a store may need for itself. Larger values waste less
 * space, smaller ones are faster to write.
 */
export const CHUNK_BYTES = 4 * 4096 - 32;

/** A visit with more chunks than this is long. */
export const LONG_CHUNKS = 8;

/** Appends a run to a chunk. */
export function writeRun(out: Writer, { n, frames, entered, t, until, page, size, payload }: StoredRun): void {
  out.varint(n);
  out.varint(frames);
  out.byte(entered ? 1 : 0);
  out.varint(t);
  out.varint(until - t);
  out.varint(page);
  for (const extent of size) out.varint(extent);
  out.bytes(payload);
}

/**
 * Returns the runs of a chunk, in order. Their payloads are views of `bytes`. Throws FrameError if the chunk is
 * damaged. With `damage` it does not throw, but returns the runs before the damage.
 */
export function decodeRuns(bytes: Uint8Array, damage?: DamageLog): StoredRun[] {
  const r = new Reader(bytes, 0, bytes.length);
  const runs: StoredRun[] = [];
  while (!r.atEnd()) {
    const run = damage ? damage.tryRead(() => decodeRun(r)) : decodeRun(r);
    if (run === undefined) break;
    runs.push(run);
  }
  return runs;
}

/**
 * Returns the run with the name of its page. Each property is copied by name because a spread is slower, and stores
 * have many runs.
 */
export function nameRun({ n, frames, entered, t, until, size, payload }: StoredRun, page: string): Run {
  return { n, frames, entered, t, until, page, size, payload };
}

function decodeRun(r: Reader): StoredRun {
  const n = r.varint();
  const frames = r.varint();
  const entered = r.byte() === 1;
  const t = r.varint();
  const until = t + r.varint();
  const page = r.varint();
  const size: StoredRun['size'] = [r.varint(), r.varint(), r.varint(), r.varint()];
  const payload = r.take(r.varint());
  const run = { n, frames, entered, t, until, page, size, payload };
  checkRun(run);
  return run;
}
