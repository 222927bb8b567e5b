/** Reads the numbers and texts of frames; docs/protocol.md section 2. */
import { FrameError } from './frame-error.ts';
import { MAX_COORDINATE } from './limits.ts';

/** Returns a page coordinate. Throws FrameError if it is out of bounds. */
export function coordinate(value: number): number {
  if (value < -MAX_COORDINATE || value > MAX_COORDINATE) throw new FrameError('bad-number', 'coordinate out of range');
  return value;
}

const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** A cursor over bytes that never reads past their end. Throws FrameError for missing or invalid data. */
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

  /** Reads an unsigned LEB128 up to 2^49 − 1: seven bytes, exact in a double. */
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

  /** Reads a length or offset in pixels. */
  extent(): number {
    return coordinate(this.varint());
  }

  take(length: number): Uint8Array {
    const end = this.offset + length;
    if (end > this.#end) throw new FrameError('truncated', `at byte ${this.#end}`);
    // `subarray` of a Buffer creates a Buffer, which takes several times as long.
    const part = new Uint8Array(this.#bytes.buffer, this.#bytes.byteOffset + this.offset, length);
    this.offset = end;
    return part;
  }

  /** Moves forward to an offset. Throws FrameError if it is before the current one. */
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

/** Removes NUL from visitors' texts: keys and lines of other programs use it as a separator. */
export function withoutNul(text: string): string {
  return text.includes('\0') ? text.replaceAll('\0', ' ') : text;
}
