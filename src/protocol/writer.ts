/** Writes what `reader.ts` and `frame.ts` read, into one growing buffer. */
import type { Mark } from '../model/mark.ts';
import { KIND, type SampleBuffer } from './frame.ts';
import { writeMark } from './mark-codec.ts';

/** Maximum length of a varint, and of a sample without its text, bytes. */
const VARINT_BYTES = 7;
const SAMPLE_BYTES = 64;
/** Up to this many bytes are copied one by one. */
const SHORT = 64;
/** Maximum number of UTF-8 bytes per UTF-16 unit. */
const UTF8_BYTES = 3;

export class Writer {
  #bytes: Buffer;
  /** Number of bytes written. */
  length = 0;

  constructor(capacity: number) {
    this.#bytes = Buffer.allocUnsafe(capacity);
  }

  clear(): void {
    this.length = 0;
  }

  /** Returns a copy of the bytes written, by default all. */
  copy(from = 0, to = this.length): Buffer {
    return Buffer.from(this.#bytes.subarray(from, to));
  }

  /** Returns a view of the bytes written, by default all, valid until the next write. */
  view(from = 0, to = this.length): Buffer {
    return this.#bytes.subarray(from, to);
  }

  #room(bytes: number): void {
    if (this.length + bytes <= this.#bytes.length) return;
    const larger = Buffer.allocUnsafe(Math.max(2 * this.#bytes.length, this.length + bytes));
    this.#bytes.copy(larger, 0, 0, this.length);
    this.#bytes = larger;
  }

  byte(value: number): void {
    this.#room(1);
    this.#bytes[this.length++] = value;
  }

  /** Writes the unsigned LEB128 of a whole number from 0 to 2^49 − 1. */
  varint(value: number): void {
    this.#room(VARINT_BYTES);
    this.#put(value);
  }

  /** Writes a whole number of either sign. */
  zigzag(value: number): void {
    this.#room(VARINT_BYTES);
    this.#zigzag(value);
  }

  text(value: string): void {
    this.#room(VARINT_BYTES + UTF8_BYTES * value.length);
    this.#text(value);
  }

  bytes(value: Uint8Array): void {
    this.#room(VARINT_BYTES + value.length);
    this.#put(value.length);
    this.#bytes.set(value, this.length);
    this.length += value.length;
  }

  /** Like `bytes`, without the length. */
  raw(value: Uint8Array): void {
    this.#room(value.length);
    this.#bytes.set(value, this.length);
    this.length += value.length;
  }

  /** Like `bytes`, with the content of another writer. */
  nested(other: Writer): void {
    this.#room(VARINT_BYTES + other.length);
    this.#put(other.length);
    this.#copy(other.#bytes, 0, other.length);
  }

  /** Removes the bytes before `from`. */
  shift(from: number): void {
    this.#bytes.copyWithin(0, from, this.length);
    this.length -= from;
  }

  /** Requires enough room. */
  #copy(bytes: Uint8Array, from: number, to: number): void {
    // Creating a subarray costs more than copying a few bytes.
    if (to - from > SHORT) this.#bytes.set(bytes.subarray(from, to), this.length);
    else for (let i = from; i < to; i++) this.#bytes[this.length + i - from] = bytes[i] as number;
    this.length += to - from;
  }

  /** Like `varint`, but requires enough room. */
  #put(given: number): void {
    let value = given;
    for (; value > 127; value = Math.floor(value / 128)) this.#bytes[this.length++] = (value % 128) | 128;
    this.#bytes[this.length++] = value;
  }

  #zigzag(value: number): void {
    this.#put(value < 0 ? -2 * value - 1 : 2 * value);
  }

  #text(value: string): void {
    const length = Buffer.byteLength(value);
    this.#put(length);
    this.length += this.#bytes.write(value, this.length);
  }

  /**
   * Writes samples `from` to `to` after `pen`: times and places are relative to it. `shift` is added to their times; a
   * time before the pen's is raised to it.
   */
  samples(pen: Pen, samples: SampleBuffer, shift: number, from: number, to: number, firstMark = 0): void {
    let mark = firstMark;
    for (let i = from; i < to; i++) {
      const since = Math.max(0, (samples.time[i] as number) + shift - pen.time);
      this.#room(SAMPLE_BYTES);
      pen.time += since;
      switch (samples.kind[i]) {
        case KIND.move:
          this.#move(pen, since, samples.x[i] as number, samples.y[i] as number);
          break;
        case KIND.scroll:
          this.#put(4 * since + 2);
          this.#put(samples.y[i] as number);
          break;
        default:
          this.#put(4 * since + 3);
          writeMark(this, samples.marks[mark++] as Mark, pen);
      }
    }
  }

  /**
   * Like `samples`, for all samples. If none is before the pen, the bytes of samples that are relative to others among
   * them are copied.
   */
  allSamples(pen: Pen, samples: SampleBuffer, shift: number): void {
    const { count, time, source } = samples;
    const { bytes, from, to, before } = source;
    if (!bytes || (time[0] as number) + shift < pen.time) {
      this.samples(pen, samples, shift, 0, count);
      return;
    }
    this.samples(pen, samples, shift, 0, before);
    this.#room(to - from);
    this.#copy(bytes, from, to);
    pen.time = (time[count - 1] as number) + shift;
    pen.x = source.x;
    pen.y = source.y;
  }

  #move(pen: Pen, since: number, x: number, y: number): void {
    const dx = x - pen.x;
    const dy = y - pen.y;
    pen.x = x;
    pen.y = y;
    if (dx >= -8 && dx < 8 && dy >= -8 && dy < 8) {
      this.#put(4 * since);
      this.#bytes[this.length++] = ((dx + 8) << 4) | (dy + 8);
    } else {
      this.#put(4 * since + 1);
      this.#zigzag(dx);
      this.#zigzag(dy);
    }
  }
}

/** Place and time of the previous sample. */
export interface Pen {
  time: number;
  x: number;
  y: number;
}
