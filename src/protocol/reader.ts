/** Reads numbers and texts as frames have them; docs/protocol.md section 2. */
import { FrameError } from './frame-error.ts';

/** Farthest page pixel a frame may name. Real pages end well below; beyond it lies nonsense. */
export const MAX_COORDINATE = 10_000_000;

/** Passes a place on the page. Throws FrameError. */
export function coordinate(value: number): number {
  if (value < -MAX_COORDINATE || value > MAX_COORDINATE) throw new FrameError('bad-number', 'coordinate out of range');
  return value;
}

const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** A cursor over bytes that never reads past their end: what is there not, or not as it must be, throws FrameError. */
export class Reader {
  offset: number;
  readonly #bytes: Uint8Array;
  readonly #end: number;

  constructor(bytes: Uint8Array, offset: number, end: number) {
    this.#bytes = bytes;
    this.offset = offset;
    this.#end = end;
  }

  atEnd(): boolean {
    return this.offset >= this.#end;
  }

  byte(): number {
    const value = this.offset < this.#end ? this.#bytes[this.offset] : undefined;
    if (value === undefined) throw new FrameError('truncated', `at byte ${this.offset}`);
    this.offset += 1;
    return value;
  }

  /** Unsigned LEB128, at most 2^49 − 1: seven bytes, exact in a double. */
  varint(): number {
    let byte = this.byte();
    if (byte < 128) return byte;
    let value = byte & 127;
    let scale = 128;
    for (let i = 1; i < 7; i++) {
      byte = this.byte();
      value += (byte & 127) * scale;
      if (byte < 128) return value;
      scale *= 128;
    }
    throw new FrameError('bad-number', 'varint of more than 7 bytes');
  }

  zigzag(): number {
    const value = this.varint();
    return value % 2 === 0 ? value / 2 : -(value + 1) / 2;
  }

  /** A length or offset in pixels. */
  extent(): number {
    return coordinate(this.varint());
  }

  take(length: number): Uint8Array {
    const end = this.offset + length;
    if (end > this.#end) throw new FrameError('truncated', `at byte ${this.#end}`);
    // `subarray` of a Buffer makes a Buffer, which takes several times as long.
    const part = new Uint8Array(this.#bytes.buffer, this.#bytes.byteOffset + this.offset, length);
    this.offset = end;
    return part;
  }

  /** Goes on at an offset that is not before this one. */
  skipTo(offset: number): void {
    if (offset < this.offset || offset > this.#end) throw new FrameError('truncated', `at byte ${this.#end}`);
    this.offset = offset;
  }

  text(limit: number): string {
    const length = this.varint();
    if (length > limit) throw new FrameError('bad-text', `${length} bytes, limit ${limit}`);
    try {
      return withoutNul(decoder.decode(this.take(length)));
    } catch (error) {
      if (error instanceof FrameError) throw error;
      throw new FrameError('bad-text', 'not UTF-8');
    }
  }
}

/** Texts from visitors have no NUL, by which keys and lines of other programs are parted. */
export function withoutNul(text: string): string {
  return text.includes('\0') ? text.replaceAll('\0', ' ') : text;
}
