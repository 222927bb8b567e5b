/** A page that its visitor has left. What it still sends is stored; streams get only its published marks. */

import { isPublished, type Mark } from '../model/mark.ts';
import type { Visitor } from '../model/visitor.ts';
import { type Hello, KIND, type SampleBuffer } from '../protocol/frame.ts';
import type { LateMark } from '../protocol/ipc.ts';
import type { RecordSink } from './contract.ts';
import type { RateLimits } from './rate-limits.ts';
import { boundTimes } from './sample-times.ts';

type OnMark = (mark: Omit<LateMark, 'site' | 'id'>) => void;

export class EarlierPage {
  readonly #recording: RecordSink;
  readonly #rateLimits: RateLimits;
  #offset: number;
  readonly #now: number;
  readonly #onMark: OnMark;
  #page: string;
  #size: Visitor['size'];

  /** `hello` arrived with the frames at `now`, Unix ms. `onMark` is called for each published mark. */
  constructor(recording: RecordSink, rateLimits: RateLimits, hello: Hello, now: number, onMark: OnMark) {
    this.#onMark = onMark;
    this.#recording = recording;
    this.#rateLimits = rateLimits;
    this.#offset = now - hello.clock;
    this.#now = now;
    this.#page = hello.page;
    this.#size = [hello.vw, hello.vh, hello.dw, hello.dh];
  }

  /** Stores frame `n` once. Returns false if it is more than the visitor may send now. */
  take(n: number, samples: SampleBuffer): boolean {
    if (!this.#rateLimits.frame(this.#now) || !this.#rateLimits.marks(samples.marks.length, this.#now)) return false;
    this.#offset = boundTimes(samples, this.#offset, 0, this.#now);
    this.#recording.take(n, this.#page, this.#size, samples, this.#offset, this.#now, true);
    let nextMark = 0;
    for (let i = 0; i < samples.count; i++)
      if (samples.kind[i] === KIND.mark)
        this.#applyMark(samples.marks[nextMark++] as Mark, n, i, (samples.time[i] as number) + this.#offset);
    return true;
  }

  #applyMark(mark: Mark, n: number, i: number, t: number): void {
    if (mark.type === 'page') this.#page = mark.page;
    else if (mark.type === 'resize') this.#size = [mark.vw, mark.vh, mark.dw, mark.dh];
    else if (isPublished(mark)) this.#onMark({ n, i, t, page: this.#page, mark });
  }
}
