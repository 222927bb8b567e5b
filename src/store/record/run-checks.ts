/**
 * Bounds of stored values. A value outside them was not written by Fieldmouse: it is damaged. The bounds are wide. They
 * only reject nonsense, and keep loops over the minutes of a visit from running for hours.
 */

import { decodeSamples, SampleBuffer } from '../../protocol/frame.ts';
import { FrameError } from '../../protocol/frame-error.ts';
import { MAX_COORDINATE } from '../../protocol/limits.ts';
import { RUN_SAMPLES } from '../../protocol/passages.ts';
import type { Run } from '../archive.ts';

const DAY_MS = 24 * 3_600_000;
/**
 * All times in a record are before this one, Unix ms. The earliest are of 1970, where a computer without a
 * battery-backed clock starts.
 */
export const LAST_TIME = Date.UTC(2200, 0, 1);
/** Maximum duration of a visit. `--max-visit` is days at most, but an imported visit may have gaps. */
export const MAX_VISIT_MS = 400 * DAY_MS;
/** Maximum number of frames of a run, and its maximum duration, milliseconds. Both are above what a store writes. */
export const MAX_RUN_FRAMES = 10_000;
export const MAX_RUN_MS = 2 * DAY_MS;
/** Highest number of a frame that a batch can hold. */
export const MAX_FRAME_NUMBER = 2 ** 47;

export function isTime(value: unknown): boolean {
  return typeof value === 'number' && value >= 0 && value < LAST_TIME;
}

/** Throws FrameError if the values of a run are out of bounds. */
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
