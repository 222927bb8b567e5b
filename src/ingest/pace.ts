/**
 * How often visitors are asked to send: slower while this worker is overloaded, and while nobody watches their site.
 * Fewer samples are better than late or lost ones.
 */
import { ROUND_MS } from './round-robin.ts';

/** Signs of load over the past moments. */
export interface LoadFigures {
  /** The longest delay of the event loop, milliseconds. */
  loopDelayMs: number;
  /** Share of the time that the event loop was at work, 0 to 1. */
  utilization: number;
  /** The primary does not keep up. */
  saturated: boolean;
}

/** What a visitor is told. */
export interface Intervals {
  /** Between two frames, milliseconds. */
  flushMs: number;
  /** Least time between two samples, milliseconds. */
  sampleMs: number;
}

/** From the configured intervals to an eighth of it: first fewer frames, which costs no samples, then fewer samples. */
const STEPS = [
  { flush: 1, sample: 1 },
  { flush: 2, sample: 1 },
  { flush: 4, sample: 2 },
  { flush: 8, sample: 4 },
  { flush: 8, sample: 8 },
] as const;
/** Above this delay the pace is lowered, above that by two steps; below the last it may be restored, milliseconds. */
const HIGH_MS = 100;
const VERY_HIGH_MS = 400;
const LOW_MS = 50;
/** A worker that has been so busy for so long, ms, asks for fewer frames before it is late; below the other it is calm. */
const BUSY = 0.75;
const BUSY_MS = 2000;
const IDLE = 0.4;
/**
 * Calm that a step back up needs, milliseconds: doubled each time that the load returns within as long again, so that
 * the pace does not swing, and halved each time that it does not.
 */
const CALM_MS = 5000;
const MAX_CALM_MS = 40_000;

export class Pace {
  /** For visitors of sites that somebody watches, and of the others. */
  live: Intervals;
  quiet: Intervals;
  readonly #configured: Intervals;
  readonly #quietFlushMs: number;
  #step = 0;
  #calmMs = CALM_MS;
  /** Since when it has been calm, and when the last steps down and up were, ms. */
  #calmSince = 0;
  /** When it was last not busy, ms. */
  #idleAt: number;
  #loweredAt = Number.NEGATIVE_INFINITY;
  #restoredAt = Number.NEGATIVE_INFINITY;

  /** `quietFlushMs`: between two frames while nobody watches, unless the pace of those watched is slower still. `now` as in observe. */
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

  /** Takes the past moments into account. True if the pace has changed. `now` is in ms, of any clock that does not jump. */
  observe({ loopDelayMs, utilization, saturated }: LoadFigures, now: number): boolean {
    const before = this.#step;
    if (utilization <= BUSY) this.#idleAt = now;
    if (saturated || loopDelayMs > HIGH_MS) this.#onLoad(loopDelayMs > VERY_HIGH_MS ? 2 : 1, now);
    else if (now - this.#idleAt >= BUSY_MS && this.#step === 0) this.#onLoad(1, now);
    else if (loopDelayMs > LOW_MS || utilization > IDLE) this.#calmSince = now;
    else if (this.#step > 0 && now - this.#calmSince >= this.#calmMs) this.#restore(now);
    return this.#step !== before;
  }

  #onLoad(steps: number, now: number): void {
    this.#calmSince = now;
    // A step shows when everybody was told of it and has sent once more.
    if (now - this.#loweredAt < ROUND_MS + this.live.flushMs || this.#step === STEPS.length - 1) return;
    if (now - this.#restoredAt < this.#calmMs) this.#calmMs = Math.min(MAX_CALM_MS, 2 * this.#calmMs);
    this.#loweredAt = now;
    this.#set(Math.min(STEPS.length - 1, this.#step + steps));
  }

  #restore(now: number): void {
    if (this.#loweredAt < this.#restoredAt) this.#calmMs = Math.max(CALM_MS, this.#calmMs / 2);
    this.#restoredAt = this.#calmSince = now;
    this.#set(this.#step - 1);
  }
}
