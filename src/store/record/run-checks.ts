/**
 * Bounds of what a store may hold. A value beyond them was not written by us: it is damaged. They are wide, since they only keep nonsense
 * from what is read, and loops over the minutes of a visit from running for hours.
 */

import { decodeSamples, SampleBuffer } from '../../protocol/frame.ts';
import { FrameError } from '../../protocol/frame-error.ts';
import { RUN_SAMPLES } from '../../protocol/passages.ts';
import { MAX_COORDINATE } from '../../protocol/reader.ts';
import type { Run } from '../archive.ts';

const DAY_MS = 24 * 3_600_000;
/**
 * All times in a record are before this one, Unix ms. The first are of 1970: a machine without a clock of its own
 * begins there.
 */
export const LAST_TIME = Date.UTC(2200, 0, 1);
/** A visit lasts `--max-visit`, days at most; one that was imported may have gaps. */
export const MAX_VISIT_MS = 400 * DAY_MS;
/** Frames of a run, and its length in time, milliseconds: above what a store makes of them. */
export const MAX_RUN_FRAMES = 10_000;
export const MAX_RUN_MS = 2 * DAY_MS;
/** Highest number of a frame that a batch can hold. */
export const MAX_FRAME_NUMBER = 2 ** 47;

export function isTime(value: unknown): boolean {
  return typeof value === 'number' && value >= 0 && value < LAST_TIME;
}

/** Throws FrameError if what is told of a run cannot have been written. */
export function checkRun({ n, frames, t, until, size }: Omit<Run, 'page' | 'entered' | 'payload'>): void {
  const isSound =
    n <= MAX_FRAME_NUMBER &&
    frames >= 1 &&
    frames <= MAX_RUN_FRAMES &&
    isTime(t) &&
    until - t <= MAX_RUN_MS &&
    size.every((extent) => extent <= MAX_COORDINATE);
  if (!isSound) throw new FrameError('bad-number', `run ${n} has values out of bounds`);
}

const samples = new SampleBuffer(RUN_SAMPLES);

/** Throws FrameError if the samples of a run cannot be read. */
export function checkSamples({ n, payload }: Pick<Run, 'n' | 'payload'>): void {
  decodeSamples(payload, 0, samples);
  const last = samples.count > 0 ? (samples.time[samples.count - 1] as number) : 0;
  if (last > MAX_RUN_MS) throw new FrameError('bad-number', `run ${n} is too long`);
}
