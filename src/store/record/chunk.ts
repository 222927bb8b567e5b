/**
 * Runs as a store keeps them: several in one value, pages by number. A run is led by varints for its number, its
 * frames, a byte that is 1 if the page was entered with it, varints for its time, its length in time, its page and the window, and
 * the payload with its length.
 */

import type { Visitor } from '../../model/visitor.ts';
import { Reader } from '../../protocol/reader.ts';
import type { Writer } from '../../protocol/writer.ts';
import type { Run } from '../archive.ts';
import type { DamageLog } from './damage.ts';
import { checkRun } from './run-checks.ts';

/** A run with its page's number in place of the name. */
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

/** Four pages of 4 KB, less what a store may need of them itself: larger values waste less, smaller ones are filed faster. */
export const CHUNK_BYTES = 4 * 4096 - 32;

/** A visit of more chunks is a long one. */
export const LONG_CHUNKS = 8;

/** Adds a run to a chunk. */
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
 * The runs of a chunk, in its order. Their payloads are parts of `bytes`. Throws FrameError if it is damaged; with `damage`, the runs in
 * front of the damage are given.
 */
export function decodeRuns(bytes: Uint8Array, damage?: DamageLog): StoredRun[] {
  const r = new Reader(bytes, 0, bytes.length);
  const runs: StoredRun[] = [];
  while (!r.atEnd()) {
    const run = damage ? damage.pass(() => decodeRun(r)) : decodeRun(r);
    if (run === undefined) break;
    runs.push(run);
  }
  return runs;
}

/** The same run with the name of its page. It copies each property, since a spread is slower and stores have many runs. */
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
