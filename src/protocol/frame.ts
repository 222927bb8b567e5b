/**
 * Visitor → worker: binary frames (subprotocol `fieldmouse.v1`, and bodies of POST). docs/protocol.md
 * describes them byte by byte; docs and code change together.
 *
 * The tracker bundles the encoding half (encode.ts), not this file.
 */
import type { Mark, View } from '../model/mark.ts';
import { MAX_TEXT } from '../model/text.ts';
import { FrameError } from './frame-error.ts';
import { readMark } from './mark-codec.ts';
import { coordinate, Reader } from './reader.ts';

/** The two low bits of a frame's head; the other bits are the frame's number. */
export const FRAME = { hello: 0, samples: 1, bye: 2 } as const;

/** The two low bits of a sample's head; the other bits are the time since the previous sample, milliseconds. */
const SAMPLE = { near: 0, move: 1, scroll: 2, mark: 3 } as const;

/** First frame of every connection. */
export interface Hello extends View {
  /** The tracker's clock: milliseconds since its start. Sample times use the same clock. */
  clock: number;
  /** The resume token of an earlier hello in this tab, or empty. */
  token: string;
  page: string;
  language: string;
  /** Origin of the page that the visitor came from, or empty. */
  referrer: string;
  /** Number of the last frame since the page was loaded; 0 if there is none yet. */
  last: number;
}

/** Kinds of decoded samples. */
export const KIND = { move: 0, scroll: 1, mark: 2 } as const;

/** The bytes of samples that are encoded relative to an earlier sample. */
export interface PointerSource {
  /** Undefined if there are none. */
  bytes: Uint8Array | undefined;
  /** Start (after the first sample with a place) and end. */
  from: number;
  to: number;
  /** Number of samples before them. */
  before: number;
  /** The place that the next sample would be relative to. */
  x: number;
  y: number;
}

/**
 * The samples of one frame as parallel arrays. One instance per worker is reused, so that a sample costs no object.
 */
export class SampleBuffer {
  /** Number of samples. */
  count = 0;
  readonly kind: Uint8Array;
  /** Time on the sender's clock, milliseconds. */
  readonly time: Float64Array;
  /** Page pixels; for a scroll, `y` is the scroll offset. 0 for marks without a place. */
  readonly x: Int32Array;
  readonly y: Int32Array;
  /** The marks, in the order of the samples of kind `mark`. */
  readonly marks: Mark[] = [];
  /** The bytes they were decoded from, valid until those are overwritten. */
  readonly source: PointerSource = { bytes: undefined, from: 0, to: 0, before: 0, x: 0, y: 0 };

  constructor(capacity: number) {
    this.kind = new Uint8Array(capacity);
    this.time = new Float64Array(capacity);
    this.x = new Int32Array(capacity);
    this.y = new Int32Array(capacity);
  }

  clear(): void {
    this.count = 0;
    this.marks.length = 0;
    this.source.bytes = undefined;
  }

  /** Adds one sample. Throws FrameError `too-many-samples` when the buffer is full. */
  push(kind: number, time: number, x: number, y: number): void {
    const i = this.count;
    if (i === this.kind.length) throw new FrameError('too-many-samples', `limit ${i}`);
    this.kind[i] = kind;
    this.time[i] = time;
    this.x[i] = x;
    this.y[i] = y;
    this.count = i + 1;
  }

  /** Removes all samples except marks and, if `move` or `scroll` is set, the last move or the last scroll. */
  thin(move: boolean, scroll: boolean): void {
    const kinds = this.kind.subarray(0, this.count);
    const lastMove = move ? kinds.lastIndexOf(KIND.move) : -1;
    const lastScroll = scroll ? kinds.lastIndexOf(KIND.scroll) : -1;
    let left = 0;
    for (let i = 0; i < this.count; i++) {
      if (this.kind[i] !== KIND.mark && i !== lastMove && i !== lastScroll) continue;
      this.kind[left] = this.kind[i] as number;
      this.time[left] = this.time[i] as number;
      this.x[left] = this.x[i] as number;
      this.y[left] = this.y[i] as number;
      left += 1;
    }
    this.count = left;
    this.source.bytes = undefined;
  }

  /**
   * Reduces the samples to `most` and returns how many were removed: first all moves and scrolls except the last of
   * each, then the oldest.
   */
  limit(most: number): number {
    const before = this.count;
    if (before <= most) return 0;
    this.thin(true, true);
    const from = Math.max(0, this.count - most);
    const marks = this.kind.subarray(0, from).filter((kind) => kind === KIND.mark).length;
    this.marks.splice(0, marks);
    for (const list of [this.kind, this.time, this.x, this.y]) list.copyWithin(0, from, this.count);
    this.count -= from;
    return before - this.count;
  }

  /** Clamps times to the range `least` to `most`. Only for times in order. */
  fit(least: number, most: number): void {
    const { count, time } = this;
    if (count === 0 || ((time[0] as number) >= least && (time[count - 1] as number) <= most)) return;
    for (let i = 0; i < count; i++) time[i] = Math.max(Math.min(time[i] as number, most), least);
    this.source.bytes = undefined;
  }

  /** Raises times below `least`, or below the previous time, to that. Returns the last time. */
  order(least: number): number {
    let last = least;
    for (let i = 0; i < this.count; i++) {
      if ((this.time[i] as number) < last) {
        this.time[i] = last;
        this.source.bytes = undefined;
      } else last = this.time[i] as number;
    }
    return last;
  }

  pushMark(mark: Mark, time: number): void {
    const place = 'x' in mark ? mark : undefined;
    this.push(KIND.mark, time, place?.x ?? 0, place?.y ?? 0);
    this.marks.push(mark);
  }
}

/** Number and type of a frame, and the offset of its payload. */
export interface FrameHead {
  n: number;
  type: number;
  offset: number;
}

/** Reads the head of the frame in `bytes` from `from` to `to`. Throws FrameError. */
export function decodeHead(bytes: Uint8Array, from = 0, to = bytes.length): FrameHead {
  const reader = new Reader(bytes, from, to);
  const head = reader.varint();
  const type = head % 4;
  if (type > FRAME.bye) throw new FrameError('bad-type', `frame type ${type}`);
  return { n: Math.floor(head / 4), type, offset: reader.offset };
}

/** Reads a hello's payload. Throws FrameError. */
export function decodeHello(bytes: Uint8Array, offset: number, to = bytes.length): Hello {
  const r = new Reader(bytes, offset, to);
  const hello: Hello = {
    clock: r.varint(),
    vw: r.extent(),
    vh: r.extent(),
    dw: r.extent(),
    dh: r.extent(),
    token: r.text(MAX_TEXT.token),
    page: r.text(MAX_TEXT.page),
    language: r.text(MAX_TEXT.language),
    referrer: r.text(MAX_TEXT.origin),
    last: r.varint(),
  };
  if (!r.atEnd()) throw new FrameError('bad-type', 'bytes after hello');
  return hello;
}

/**
 * Reads the payload of a `samples` frame into `into`, which is cleared first. Throws FrameError; the content of `into`
 * is then undefined.
 */
export function decodeSamples(bytes: Uint8Array, offset: number, into: SampleBuffer, to = bytes.length): void {
  into.clear();
  const { source } = into;
  const r = new Reader(bytes, offset, to);
  let time = r.varint();
  let x = 0;
  let y = 0;
  while (!r.atEnd()) {
    const head = r.varint();
    time += Math.floor(head / 4);
    switch (head % 4) {
      case SAMPLE.near: {
        const packed = r.byte();
        x = coordinate(x + (packed >> 4) - 8);
        y = coordinate(y + (packed & 15) - 8);
        into.push(KIND.move, time, x, y);
        noteSource(into, bytes, r.offset);
        break;
      }
      case SAMPLE.move:
        x = coordinate(x + r.zigzag());
        y = coordinate(y + r.zigzag());
        into.push(KIND.move, time, x, y);
        noteSource(into, bytes, r.offset);
        break;
      case SAMPLE.scroll:
        into.push(KIND.scroll, time, 0, r.extent());
        break;
      default: {
        const mark = readMark(r, x, y);
        into.pushMark(mark, time);
        if (!('x' in mark)) break;
        x = mark.x;
        y = mark.y;
        noteSource(into, bytes, r.offset);
      }
    }
  }
  source.to = to;
  source.x = x;
  source.y = y;
}

/** Notes that the following samples are relative to this one, the first with a place. */
function noteSource({ source, count }: SampleBuffer, bytes: Uint8Array, from: number): void {
  if (source.bytes) return;
  source.bytes = bytes;
  source.from = from;
  source.before = count;
}

/**
 * Frames up to this size are read whatever the server's limits are. Above a lower limit, less of a frame or nothing is
 * stored, but its number is acked: otherwise its tracker would send it again and again, and nothing after it.
 */
export const READ_BYTES = 16_384;
export const READ_SAMPLES = 1024;

/** Maximum number of frames in a POST; the tracker sends fewer. */
const MAX_FRAMES = 1000;

/**
 * Splits the body of a POST into frames: each is preceded by its length as a varint. Throws FrameError when a length
 * exceeds the body, a frame is above `maxFrame` bytes, or there are more than MAX_FRAMES.
 */
export function splitFrames(body: Uint8Array, maxFrame: number): Uint8Array[] {
  const frames: Uint8Array[] = [];
  const r = new Reader(body, 0, body.length);
  while (!r.atEnd()) {
    const length = r.varint();
    if (length > maxFrame) throw new FrameError('too-large', `frame of ${length} bytes, limit ${maxFrame}`);
    if (frames.length === MAX_FRAMES) throw new FrameError('too-large', `more than ${MAX_FRAMES} frames`);
    frames.push(r.take(length));
  }
  return frames;
}
