import { KIND, type SampleBuffer } from '../protocol/frame.ts';

/** Maximum size of a visitor's number and count, and of one sample, bytes. */
const HEAD_BYTES = 32;
const SAMPLE_BYTES = 36;
const FIRST_CAPACITY = 16 * 1024;
/** Above this size of unsent text moves are skipped: 0.4 s of 150,000 samples a second from one worker. */
const MAX_BYTES = 1024 * 1024;
/** A larger buffer is not reused for the next batch. */
const MAX_REUSED_CAPACITY = 256 * 1024;
/** Maximum offset of a sample's time from its batch, milliseconds. That is days; only a broken clock is further off. */
const MAX_SHIFT = 2 ** 30;

const MAX_INTEGER = 2 ** 31 - 1;
const SPLIT = 1_000_000_000;

/**
 * The moves of one batch in the format of the stream: `v,count,dt,x,y,…` for each frame. Digits are written into reused
 * bytes, without a string for each number.
 */
export class MovesText {
  /** Number of samples rendered. */
  count = 0;
  #bytes = Buffer.allocUnsafeSlow(FIRST_CAPACITY);
  #length = 0;

  get isEmpty(): boolean {
    return this.#length === 0;
  }

  get isFull(): boolean {
    return this.#length > MAX_BYTES;
  }

  /** Adds the moves among samples `from` to `to`; `offset` turns their times into offsets from the batch's. */
  add(v: number, samples: SampleBuffer, offset: number, from: number, to: number): void {
    const { kind, time, x, y } = samples;
    let count = 0;
    for (let i = from; i < to; i++) if (kind[i] === KIND.move) count += 1;
    if (count === 0) return;
    this.#head(v, count);
    for (let i = from; i < to; i++)
      if (kind[i] === KIND.move) this.#sample((time[i] as number) + offset, x[i] as number, y[i] as number);
  }

  /** Adds one position. */
  addOne(v: number, dt: number, x: number, y: number): void {
    this.#head(v, 1);
    this.#sample(dt, x, y);
  }

  /** Returns the text and clears the buffer. */
  take(): string {
    const text = this.#bytes.toString('latin1', 0, this.#length);
    if (this.#bytes.length > MAX_REUSED_CAPACITY) this.#bytes = Buffer.allocUnsafeSlow(FIRST_CAPACITY);
    this.#length = 0;
    this.count = 0;
    return text;
  }

  #head(v: number, count: number): void {
    this.#reserve(HEAD_BYTES + count * SAMPLE_BYTES);
    if (this.#length > 0) this.#comma();
    this.#number(v);
    this.#comma();
    this.#integer(count);
    this.count += count;
  }

  #sample(dt: number, x: number, y: number): void {
    this.#comma();
    this.#integer(Math.max(-MAX_SHIFT, Math.min(MAX_SHIFT, dt)));
    this.#comma();
    this.#integer(x);
    this.#comma();
    this.#integer(y);
  }

  #reserve(more: number): void {
    const needed = this.#length + more;
    if (needed <= this.#bytes.length) return;
    const grown = Buffer.allocUnsafeSlow(2 * needed);
    this.#bytes.copy(grown, 0, 0, this.#length);
    this.#bytes = grown;
  }

  #comma(): void {
    this.#bytes[this.#length++] = 0x2c;
  }

  /** Writes a visitor's number. With several nodes it may have more than 31 bits. */
  #number(value: number): void {
    if (value > MAX_INTEGER) {
      this.#number(Math.floor(value / SPLIT));
      this.#nineDigits(value % SPLIT);
    } else this.#integer(value);
  }

  #nineDigits(value: number): void {
    this.#length += 9;
    let rest = value;
    for (let at = this.#length - 1; at >= this.#length - 9; at--) {
      const tenth = (rest / 10) | 0;
      this.#bytes[at] = 0x30 + rest - 10 * tenth;
      rest = tenth;
    }
  }

  /** Writes an integer of at most 31 bits and a sign. */
  #integer(value: number): void {
    const bytes = this.#bytes;
    let rest = value | 0;
    if (rest < 0) {
      bytes[this.#length++] = 0x2d;
      rest = -rest;
    }
    let at = this.#length + digitsOf(rest);
    this.#length = at;
    do {
      const tenth = (rest / 10) | 0;
      bytes[--at] = 0x30 + rest - 10 * tenth;
      rest = tenth;
    } while (rest > 0);
  }
}

function digitsOf(value: number): number {
  if (value < 10) return 1;
  if (value < 100) return 2;
  if (value < 1000) return 3;
  if (value < 10_000) return 4;
  let digits = 5;
  for (let rest = (value / 100_000) | 0; rest > 0; rest = (rest / 10) | 0) digits += 1;
  return digits;
}
