/**
 * How often visitors are asked to send. They send less often while this worker is overloaded and while nobody watches
 * their site. Fewer samples are better than late or lost ones.
 */
import { ROUND_MS } from './round-robin.ts';

/** Signs of load since the last call. */
export interface LoadFigures {
  /** The longest delay of the event loop, milliseconds. */
  loopDelayMs: number;
  /** Share of the time in which the event loop was busy, 0 to 1. */
  utilization: number;
  /** The primary does not keep up. */
  saturated: boolean;
}

/** The intervals that a visitor is told. */
export interface Intervals {
  /** Time between two frames, milliseconds. */
  flushMs: number;
  /** Minimum time between two samples, milliseconds. */
  sampleMs: number;
}

/**
 * From the configured intervals to an eighth of the samples: first fewer frames, which costs no samples, then fewer
 * samples.
 */
const STEPS = [
  { flush: 1, sample: 1 },
  { flush: 2, sample: 1 },
  { flush: 4, sample: 2 },
  { flush: 8, sample: 4 },
  { flush: 8, sample: 8 },
] as const;
/**
 * Above the first delay the pace is lowered by a step, above the second by two. Below the last, on average, it may be
 * raised. Milliseconds.
 */
const HIGH_DELAY_MS = 100;
const VERY_HIGH_MS = 400;
const LOW_MS = 50;
/** A worker that has had this utilization for this time (ms) lowers the pace before it is late. */
const BUSY_UTILIZATION = 0.75;
const BUSY_MS = 2000;
/**
 * Below this average utilization a worker is calm. With 5,000 visitors, twice as many frames made a worker half as busy
 * again: each costs less, because more of them are read at once.
 */
const IDLE_UTILIZATION = 0.5;
/** Weight of the latest observation in the averages. They span about ten, because single ones vary. */
const WEIGHT = 0.1;
/**
 * How long the load must be low before the pace is raised, milliseconds. Doubled each time that the load returns soon,
 * however many steps it then takes, so that the pace does not oscillate; halved each time that it does not return.
 */
const RESTORE_MS = 5000;
/**
 * If the worker now has less than this share of the utilization at which raising the pace failed, visitors have left,
 * and the pace is raised without the longer wait.
 */
const RELIEF = 0.5;
/** A load that returns after this time has nothing to do with the pace, milliseconds. */
const RETURN_MS = 30_000;
const MAX_RESTORE_MS = 40_000;

export class Pace {
  /** Intervals for sites that somebody watches, and for others. */
  live: Intervals;
  quiet: Intervals;
  readonly #configured: Intervals;
  readonly #quietFlushMs: number;
  #step = 0;
  #restoreMs = RESTORE_MS;
  /** When the calm started, and when the last steps down and up were, ms. */
  #idleSince = 0;
  /** When the worker was last not busy, ms. */
  #idleAt: number;
  /** Averages. */
  #utilization = 0;
  #delayMs = 0;
  /** Average utilization when the pace was last raised, and when it was raised although the load then returned. */
  #restoredAtUtilization = 0;
  #failedAtUtilization = 0;
  #loweredAt = Number.NEGATIVE_INFINITY;
  #restoredAt = Number.NEGATIVE_INFINITY;

  /**
   * `quietFlushMs`: flush interval while nobody is watching, unless the pace for watched sites is slower. `now` as in
   * observe.
   */
  constructor(configured: Intervals, quietFlushMs: number, now: number) {
    this.#idleAt = now;
    this.#configured = configured;
    this.#quietFlushMs = quietFlushMs;
    this.live = this.quiet = configured;
    this.#set(0);
  }

  #set(step: number): void {
    const { flush, sample } = STEPS[step] as (typeof STEPS)[number];
    const flushMs = this.#configured.flushMs * flush;
    const sampleMs = this.#configured.sampleMs * sample;
    this.#step = step;
    this.live = { flushMs, sampleMs };
    this.quiet = flushMs < this.#quietFlushMs ? { flushMs: this.#quietFlushMs, sampleMs } : this.live;
  }

  /**
   * Evaluates the load since the last call. Returns true if the pace has changed. `now` is in ms, of a clock that does
   * not jump.
   */
  observe({ loopDelayMs, utilization, saturated }: LoadFigures, now: number): boolean {
    const before = this.#step;
    if (utilization <= BUSY_UTILIZATION) this.#idleAt = now;
    this.#utilization += WEIGHT * (utilization - this.#utilization);
    this.#delayMs += WEIGHT * (loopDelayMs - this.#delayMs);
    if (saturated || loopDelayMs > HIGH_DELAY_MS) this.#onLoad(loopDelayMs > VERY_HIGH_MS ? 2 : 1, now);
    else if (now - this.#idleAt >= BUSY_MS && this.#step === 0) this.#onLoad(1, now);
    else if (this.#delayMs > LOW_MS || this.#utilization > IDLE_UTILIZATION) this.#idleSince = now;
    else if (this.#step > 0 && now - this.#idleSince >= this.#restoreWait()) this.#restore(now);
    return this.#step !== before;
  }

  #onLoad(steps: number, now: number): void {
    this.#idleSince = now;
    // A step has an effect only after every visitor has been told and has sent once.
    if (now - this.#loweredAt < ROUND_MS + this.live.flushMs || this.#step === STEPS.length - 1) return;
    const isFirstStep = this.#loweredAt < this.#restoredAt;
    if (isFirstStep && now - this.#restoredAt < RETURN_MS) {
      this.#restoreMs = Math.min(MAX_RESTORE_MS, 2 * this.#restoreMs);
      this.#failedAtUtilization = this.#restoredAtUtilization;
    }
    this.#loweredAt = now;
    this.#set(Math.min(STEPS.length - 1, this.#step + steps));
  }

  #restoreWait(): number {
    return this.#utilization < RELIEF * this.#failedAtUtilization ? RESTORE_MS : this.#restoreMs;
  }

  #restore(now: number): void {
    if (this.#loweredAt < this.#restoredAt) this.#restoreMs = Math.max(RESTORE_MS, this.#restoreMs / 2);
    this.#restoredAt = this.#idleSince = now;
    this.#restoredAtUtilization = this.#utilization;
    this.#set(this.#step - 1);
  }
}
