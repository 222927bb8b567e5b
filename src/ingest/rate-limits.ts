/**
 * What one visitor may send, over whatever connection. Times are of a clock that is never set, as in lib/token-bucket.ts; a
 * visit's clock is one, too.
 */
import { TokenBucket } from '../lib/token-bucket.ts';

/** Clicks, page changes and the like per second; a tab that was offline may have saved up as many as the burst. */
const MARKS = { rate: 50, burst: 1000 };
/** POSTs per second. */
const POSTS = { rate: 10, burst: 30 };

/** A visitor may post so many seconds' worth of its byte rate at once. */
const BYTES_BURST_S = 32;

export class RateLimits {
  readonly #frameRate: number;
  readonly #byteRate: number;
  // Made when first used: most visitors never need one, and there are many visitors.
  #frames: TokenBucket | undefined;
  #marks: TokenBucket | undefined;
  #posts: TokenBucket | undefined;
  #bytes: TokenBucket | undefined;

  /** `frameRate`: frames per second; a burst of twice that is let through. `byteRate`: bytes per second of its POSTs. */
  constructor(frameRate: number, byteRate = Number.MAX_SAFE_INTEGER) {
    this.#frameRate = frameRate;
    this.#byteRate = byteRate;
  }

  /** Takes a frame that came by POST; a socket's are counted by its connection. False if that is more than allowed. */
  frame(now: number): boolean {
    this.#frames ??= new TokenBucket(this.#frameRate, 2 * this.#frameRate, now);
    return this.#frames.take(1, now);
  }

  /** Takes so many marks, or none. */
  marks(n: number, now: number): boolean {
    if (n === 0) return true;
    this.#marks ??= new TokenBucket(MARKS.rate, MARKS.burst, now);
    return this.#marks.take(n, now);
  }

  /** Takes the bytes of a POST; a socket's are counted by its connection. */
  bytes(n: number, now: number): boolean {
    this.#bytes ??= new TokenBucket(this.#byteRate, this.#byteRate * BYTES_BURST_S, now);
    return this.#bytes.take(n, now);
  }

  /** Takes a POST. */
  post(now: number): boolean {
    this.#posts ??= new TokenBucket(POSTS.rate, POSTS.burst, now);
    return this.#posts.take(1, now);
  }
}
