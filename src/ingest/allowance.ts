/** What one visitor may send, whatever it is connected by. */
import { Bucket } from '../bucket.ts';

/** Clicks, page changes and the like per second; a tab that was offline may have saved up as many as the burst. */
const MARKS = { rate: 50, burst: 1000 };
/** POSTs per second. */
const POSTS = { rate: 10, burst: 30 };

export class Allowance {
  readonly #frameRate: number;
  // Made when first used: most visitors never need one, and there are many visitors.
  #frames: Bucket | undefined;
  #marks: Bucket | undefined;
  #posts: Bucket | undefined;

  /** `frameRate`: frames per second; a burst of twice that is let through. */
  constructor(frameRate: number) {
    this.#frameRate = frameRate;
  }

  /** Takes a frame that came by POST; a socket's are counted by its connection. False if that is more than allowed. */
  frame(now: number): boolean {
    this.#frames ??= new Bucket(this.#frameRate, 2 * this.#frameRate, now);
    return this.#frames.take(1, now);
  }

  /** Takes so many marks, or none. */
  marks(n: number, now: number): boolean {
    if (n === 0) return true;
    this.#marks ??= new Bucket(MARKS.rate, MARKS.burst, now);
    return this.#marks.take(n, now);
  }

  /** Takes a POST. */
  post(now: number): boolean {
    this.#posts ??= new Bucket(POSTS.rate, POSTS.burst, now);
    return this.#posts.take(1, now);
  }
}
