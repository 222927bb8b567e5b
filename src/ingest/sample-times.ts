/** Visitors may send any times. What is stored and shown must be possible. */
import type { SampleBuffer } from '../protocol/frame.ts';

/** Maximum age of samples that a visitor had to buffer, milliseconds. */
const MAX_AGE_MS = 3_600_000;

/**
 * Bounds the times of one frame: no time is after `now`, before `earliest` (both Unix ms), or older than the frame can
 * be. `offset` turns them into Unix ms. Returns the offset to use from here on.
 *
 * An offset is too large by the travel time of the message from which it was computed. A sample in the future shows
 * that an earlier message took longer than this one.
 */
export function boundTimes(samples: SampleBuffer, offset: number, earliest: number, now: number): number {
  const { count, time } = samples;
  if (count === 0) return offset;
  const ahead = (time[count - 1] as number) + offset - now;
  const corrected = ahead > 0 || ahead < -MAX_AGE_MS ? offset - ahead : offset;
  samples.fit(Math.max(earliest, now - MAX_AGE_MS) - corrected, now - corrected);
  return corrected;
}
