/**
 * Timers that also run between two frames. libuv runs timers only after it has read every socket that is ready, or
 * 49,152 of them. A worker that is overloaded by more than 1024 visitors always finds more of them ready, and its
 * timers would be late by seconds.
 */
import { performance } from 'node:perf_hooks';

/** A timer that is later than this runs between two frames, milliseconds. */
const LATE_MS = 20;
/**
 * An event loop that runs no timer for this time is busy with sockets, milliseconds. A worker always has a timer of
 * 50 ms.
 */
const NO_TURN_MS = 70;

const timers = new Set<PunctualTimer>();
let checkedAt = 0;
/** When the event loop last ran one of the timers, ms. */
let turnedAt = performance.now();

export class PunctualTimer {
  readonly #run: () => void;
  readonly #ms: number;
  readonly #repeats: boolean;
  readonly #timer: NodeJS.Timeout;
  #dueAt: number;

  /** Runs `run` after this time, milliseconds; if it `repeats`, again and again. */
  constructor(run: () => void, ms: number, repeats = false) {
    this.#run = run;
    this.#ms = ms;
    this.#repeats = repeats;
    this.#dueAt = performance.now() + ms;
    this.#timer = (repeats ? setInterval : setTimeout)(() => this.#onTurn(), ms);
    timers.add(this);
  }

  #onTurn(): void {
    turnedAt = performance.now();
    this.#fire(turnedAt);
  }

  #fire(now: number): void {
    if (this.#repeats) this.#dueAt = now + this.#ms;
    else this.stop();
    this.#run();
  }

  runIfLate(now: number): void {
    if (now - this.#dueAt < LATE_MS) return;
    if (this.#repeats) this.#timer.refresh();
    this.#fire(now);
  }

  /** Stopping twice is safe. */
  stop(): void {
    clearTimeout(this.#timer);
    timers.delete(this);
  }
}

/** Runs the timers that are late. Call it for each frame, before it is handled. `now` is of performance.now(). */
export function runLateTimers(now: number): void {
  if (now - checkedAt < LATE_MS) return;
  checkedAt = now;
  for (const timer of timers) timer.runIfLate(now);
}

/** False while the event loop reads sockets and runs no timer. */
export function isTurning(): boolean {
  return sinceTurnMs() < NO_TURN_MS;
}

/** How long the event loop has run no timer, ms; about 0 when called by a timer that is on time. */
export function sinceTurnMs(): number {
  return performance.now() - turnedAt;
}
