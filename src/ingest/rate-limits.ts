/**
 * What one visitor may send over any connection. Times are of a clock that nobody can set, as in lib/token-bucket.ts; a
 * visit's clock is one.
 */
import { TokenBucket } from '../lib/token-bucket.ts';

/** Clicks, page changes and other marks per second. The burst is for a tab that was offline. */
const MARKS = { rate: 50, burst: 1000 };
/** POSTs per second. */
const POSTS = { rate: 10, burst: 30 };

/** The burst of a visitor's POSTs, in seconds of its byte rate. */
const BYTES_BURST_S = 32;

export class RateLimits {
  readonly #frameRate: number;
  readonly #byteRate: number;
  // Created on first use: most visitors never need one, and there are many visitors.
  #frames: TokenBucket | undefined;
  #marks: TokenBucket | undefined;
  #posts: TokenBucket | undefined;
  #bytes: TokenBucket | undefined;

  /** `frameRate`: frames per second; the burst is twice that. `byteRate`: bytes per second of the visitor's POSTs. */
  constructor(frameRate: number, byteRate = Number.MAX_SAFE_INTEGER) {
    this.#frameRate = frameRate;
    this.#byteRate = byteRate;
  }

  /**
   * Counts a frame that came by POST; a socket's frames are counted by its connection. Returns false if the limit is
   * reached.
   */
  frame(now: number): boolean {
    this.#frames ??= new TokenBucket(this.#frameRate, 2 * this.#frameRate, now);
    return this.#frames.take(1, now);
  }

  /** Counts `n` marks, or none if the limit is reached. */
  marks(n: number, now: number): boolean {
    if (n === 0) return true;
    this.#marks ??= new TokenBucket(MARKS.rate, MARKS.burst, now);
    return this.#marks.take(n, now);
  }

  /**
   * Counts the bytes of a POST; a socket's bytes are counted by its connection. Returns false if the limit is reached.
   */
  bytes(n: number, now: number): boolean {
    this.#bytes ??= new TokenBucket(this.#byteRate, this.#byteRate * BYTES_BURST_S, now);
    return this.#bytes.take(n, now);
  }

  /** True if nothing was used lately: then these limits can be replaced by new ones. */
  areFull(now: number): boolean {
    return [this.#frames, this.#marks, this.#posts, this.#bytes].every((bucket) => !bucket || bucket.isFull(now));
  }

  /** Counts a POST. Returns false if the limit is reached. */
  post(now: number): boolean {
    this.#posts ??= new TokenBucket(POSTS.rate, POSTS.burst, now);
    return this.#posts.take(1, now);
  }
}
