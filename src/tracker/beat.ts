/**
 * Decides when samples are sent: one flush interval after the first of them. An idle page has no timer.
 *
 * The modules of the tracker keep their state in module variables, not in objects. A page has only one tracker, and a
 * minifier can shorten the names of variables, which keeps the script small.
 */
import { flush } from './connection.ts';
import { guarded } from './guard.ts';
import { settle } from './sampler.ts';

/** Flush interval, and minimum time between two moves, milliseconds. The server sets both. */
export const pace = { flushMs: 100, sampleMs: 16 };

/**
 * Until this time the timer counts as set. That is much longer than the timer runs: a page that clears all timers may
 * have cleared it, too.
 */
export let due = 0;

/** Sets the timer. Called when there is, or may soon be, something to send. */
export function wake(): void {
  const time = window.performance.now();
  if (time < due) return;
  due = time + 8 * pace.flushMs;
  setTimeout(
    guarded(() => {
      due = 0;
      settle();
      flush();
    }),
    pace.flushMs,
  );
}
