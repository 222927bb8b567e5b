/** What one visitor may send, whatever it is connected by. */
import { Bucket } from './bucket.ts';

/** Clicks, page changes and the like per second; a tab that was offline may have saved up as many as the burst. */
const MARKS = { rate: 50, burst: 1000 };
/** POSTs per second. */
const POSTS = { rate: 10, burst: 30 };

export class Allowance {
  readonly frames: Bucket;
  readonly marks: Bucket;
  readonly posts: Bucket;

  /** `frameRate`: frames per second; a burst of twice that is let through. */
  constructor(frameRate: number, now: number) {
    this.frames = new Bucket(frameRate, 2 * frameRate, now);
    this.marks = new Bucket(MARKS.rate, MARKS.burst, now);
    this.posts = new Bucket(POSTS.rate, POSTS.burst, now);
  }
}
