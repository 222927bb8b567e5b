/** A page that its visitor has left: what it still sends is stored, and shown to nobody. */
import type { Hello, SampleBuffer } from '../protocol/frame.ts';
import type { Visitor } from '../protocol/stream.ts';
import type { Allowance } from './allowance.ts';
import type { Recording } from './contract.ts';
import { boundTimes } from './sample-times.ts';

export class EarlierPage {
  readonly #recording: Recording;
  readonly #allowance: Allowance;
  #offset: number;
  readonly #now: number;
  #page: string;
  #size: Visitor['size'];

  /** `hello` came with the frames, at `now`, Unix ms. */
  constructor(recording: Recording, allowance: Allowance, hello: Hello, now: number) {
    this.#recording = recording;
    this.#allowance = allowance;
    this.#offset = now - hello.clock;
    this.#now = now;
    this.#page = hello.page;
    this.#size = [hello.vw, hello.vh, hello.dw, hello.dh];
  }

  /** Stores frame `n`, once. False if it is more than the visitor may send now. */
  take(n: number, samples: SampleBuffer): boolean {
    if (!this.#allowance.frame(this.#now) || !this.#allowance.marks(samples.marks.length, this.#now)) return false;
    this.#offset = boundTimes(samples, this.#offset, 0, this.#now);
    this.#recording.take(n, this.#page, this.#size, samples, this.#offset, this.#now, true);
    for (const mark of samples.marks)
      if (mark.type === 'page') this.#page = mark.page;
      else if (mark.type === 'resize') this.#size = [mark.vw, mark.vh, mark.dw, mark.dh];
    return true;
  }
}
