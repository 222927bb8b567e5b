/**
 * When things are sent: a flush interval after there is something. A page on which nothing happens has no timer.
 *
 * This module and its neighbours keep what they know in variables of their own, not in objects: a page has one
 * tracker, and every visitor loads it, so it counts that a minifier can shorten such names.
 */
import { flush } from './connection.ts';
import { guard } from './guard.ts';
import { settle } from './sampler.ts';

/** How often to send, and how close in time two moves may be, milliseconds; the server sets it. */
export const pace = { flushMs: 100, sampleMs: 16 };

/** Until when the timer counts as set, far longer than it is set for: a page may have cleared it with its own. */
let due = 0;

/** There is, or will be, something to send. */
export function wake(): void {
  const time = window.performance.now();
  if (time < due) return;
  due = time + 8 * pace.flushMs;
  setTimeout(
    guard(() => {
      due = 0;
      settle();
      flush();
    }),
    pace.flushMs,
  );
}
