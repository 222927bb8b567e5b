/**
 * The encoding half of the visitor's binary frames; `frame.ts` is the other. Apart from it because the
 * tracker ships this file to every visitor and must stay small: numbers here repeat the tables there,
 * and the property tests hold the two together.
 */

/** A growing list of bytes. */
export type Bytes = number[];

/** Unsigned LEB128 of a non-negative integer below 2^49. */
export function putVarint(out: Bytes, value: number): void {
  while (value > 127) {
    out.push((value % 128) | 128);
    value = Math.floor(value / 128);
  }
  out.push(value);
}

function putZigzag(out: Bytes, value: number): void {
  putVarint(out, value < 0 ? -2 * value - 1 : 2 * value);
}

/** UTF-8 with its length in front, cut to at most `limit` bytes, never within a character. */
export function putText(out: Bytes, text: string, limit: number): void {
  const bytes = new Uint8Array(limit);
  const { written } = new TextEncoder().encodeInto(text, bytes);
  putVarint(out, written);
  for (let i = 0; i < written; i++) out.push(bytes[i] as number);
}

/** Head of frame `n`: type 0 hello, 1 samples, 2 bye. */
export function putHead(out: Bytes, n: number, type: 0 | 1 | 2): void {
  putVarint(out, n * 4 + type);
}

/** Writes the samples of one frame. Times never run back; positions are integers, page pixels. */
export class SampleWriter {
  readonly bytes: Bytes = [];
  count = 0;
  #time = 0;
  #x = 0;
  #y = 0;

  #head(time: number, kind: number): void {
    if (this.count === 0) {
      putVarint(this.bytes, time);
      this.#time = time;
    }
    this.count += 1;
    putVarint(this.bytes, Math.max(0, time - this.#time) * 4 + kind);
    this.#time = Math.max(this.#time, time);
  }

  move(time: number, x: number, y: number): void {
    const dx = x - this.#x;
    const dy = y - this.#y;
    const near = dx >= -8 && dx < 8 && dy >= -8 && dy < 8;
    this.#head(time, near ? 0 : 1);
    if (near) this.bytes.push(((dx + 8) << 4) | (dy + 8));
    else this.#step(dx, dy);
    this.#x = x;
    this.#y = y;
  }

  #step(dx: number, dy: number): void {
    putZigzag(this.bytes, dx);
    putZigzag(this.bytes, dy);
  }

  scroll(time: number, y: number): void {
    this.#head(time, 2);
    putVarint(this.bytes, y);
  }

  click(time: number, x: number, y: number, button: number, ex: number, ey: number, selector: string): void {
    this.#mark(time, 0);
    this.#step(x - this.#x, y - this.#y);
    this.#x = x;
    this.#y = y;
    this.bytes.push(button);
    putVarint(this.bytes, ex);
    putVarint(this.bytes, ey);
    putText(this.bytes, selector, 160);
  }

  page(time: number, page: string): void {
    this.#mark(time, 1);
    putText(this.bytes, page, 1024);
  }

  resize(time: number, view: readonly number[]): void {
    this.#mark(time, 2);
    for (const value of view) putVarint(this.bytes, value);
  }

  visibility(time: number, visible: boolean): void {
    this.#mark(time, 3);
    this.bytes.push(visible ? 1 : 0);
  }

  /** 0 mouse, 1 touch, 2 pen. */
  pointer(time: number, pointer: number): void {
    this.#mark(time, 4);
    this.bytes.push(pointer);
  }

  #mark(time: number, type: number): void {
    this.#head(time, 3);
    putVarint(this.bytes, type);
  }
}
