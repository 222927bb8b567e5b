/** Times that visitors tell are theirs to choose: what is kept and shown of them has to be possible. */
import type { SampleBuffer } from '../protocol/frame.ts';

/** How old what a visitor had to keep may be, milliseconds. */
const MAX_AGE_MS = 3_600_000;

/**
 * Bounds the times of one frame: none is after `now`, before `least` (both Unix ms), or older than the frame could be.
 * `offset` makes them Unix ms. Returns the offset to use from here on.
 *
 * An offset is too large by the time that the message took from which it was made. A sample in the future shows that an
 * earlier message took longer than this one.
 */
export function boundTimes(samples: SampleBuffer, offset: number, least: number, now: number): number {
  const { count, time } = samples;
  if (count === 0) return offset;
  const ahead = (time[count - 1] as number) + offset - now;
  const right = ahead > 0 || ahead < -MAX_AGE_MS ? offset - ahead : offset;
  samples.fit(Math.max(least, now - MAX_AGE_MS) - right, now - right);
  return right;
}
