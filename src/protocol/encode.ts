/**
 * Encodes the visitor's binary frames; `frame.ts` decodes them. It is a separate file because the tracker ships it to
 * every visitor, so it must stay small. Numbers here repeat the tables there; the property tests keep them in step.
 */
import type { Mark } from '../model/mark.ts';
import type { Hello } from './frame.ts';

/** A list of bytes. */
export type Bytes = number[];

/** A place on the page, whole page pixels. */
export type Point = readonly [x: number, y: number];

/** Viewport width and height, document width and height, CSS pixels. */
export type Size = readonly [vw: number, vh: number, dw: number, dh: number];

/** One observation. `time` is in milliseconds on the sender's clock; a scroll's `y` is the offset. */
export type Sample = { time: number } & ({ type: 'move'; x: number; y: number } | { type: 'scroll'; y: number } | Mark);

/**
 * A sample encoded except for time and place, which depend on the sample before it. Of the marks, a click has a place,
 * and a page change also has the page as text. The tracker makes these at once with the functions below.
 */
export type SamplePart = readonly [time: number, kind: number, rest: Bytes, at?: Point | undefined, page?: string];

/** Kinds of parts; MARK is followed by one of the marks. They repeat SAMPLE of frame.ts and MARKS of mark-codec.ts. */
export const MOVE = 1;
export const SCROLL = 2;
export const MARK = 3;
export const RESIZE = 2;
export const VISIBILITY = 3;
export const POINTER = 4;

/** A part that consists of numbers only. */
export function part(time: number, kind: number, ...numbers: number[]): SamplePart {
  return [time, kind, numbers.flatMap(varint)];
}

export function move(time: number, at: Point): SamplePart {
  return [time, MOVE, [], at];
}

/** `place`: position in the element, 0 to 32767 in each direction. */
export function click(time: number, at: Point, button: number, place: Point, selector: string): SamplePart {
  return [time, MARK, [button, ...place.flatMap(varint), ...text(selector, 160)], at];
}

export function page(time: number, path: string): SamplePart {
  return [time, MARK, [1, ...text(path, 1024)], undefined, path];
}

/** Returns the payload of a samples frame. */
export function encodeSamples(samples: readonly Sample[]): Bytes {
  return encodeParts(samples.map(partOf));
}

function partOf(sample: Sample): SamplePart {
  const { time } = sample;
  switch (sample.type) {
    case 'move':
      return move(time, [sample.x, sample.y]);
    case 'scroll':
      return part(time, SCROLL, sample.y);
    case 'click':
      return click(time, [sample.x, sample.y], sample.button, [sample.ex, sample.ey], sample.selector);
    case 'page':
      return page(time, sample.page);
    case 'resize':
      return part(time, MARK, RESIZE, sample.vw, sample.vh, sample.dw, sample.dh);
    case 'visibility':
      return part(time, MARK, VISIBILITY, +sample.visible);
    case 'pointer':
      return part(time, MARK, POINTER, ['mouse', 'touch', 'pen'].indexOf(sample.pointer));
  }
}

/**
 * Returns the payload of a samples frame. Times are cut to whole milliseconds. A time before the previous one is raised
 * to it, because times must not decrease.
 */
export function encodeParts(parts: readonly SamplePart[]): Bytes {
  let time = parts[0]?.[0] ?? 0;
  let x = 0;
  let y = 0;
  const out = varint(time);
  for (const [at, kind, rest, point] of parts) {
    const since = Math.max(0, (at - time) | 0);
    let head = since * 4 + kind;
    let step: Bytes = [];
    time += since;
    if (point) {
      const dx = point[0] - x;
      const dy = point[1] - y;
      [x, y] = point;
      step = [dx, dy].flatMap(zigzag);
      if (kind === MARK) step.unshift(0);
      else if (!(((dx + 8) | (dy + 8)) >> 4)) {
        // Steps below 8 pixels in each direction, the most frequent ones, fit in one byte.
        head--;
        step = [((dx + 8) << 4) | (dy + 8)];
      }
    }
    out.push(...varint(head), ...step, ...rest);
  }
  return out;
}

/**
 * Returns the payload of a hello. Texts above their limits are cut. The tracker has its own, shorter version
 * (hello.ts).
 */
export function encodeHello({ clock, vw, vh, dw, dh, token, page, language, referrer, last }: Hello): Bytes {
  return [clock, vw, vh, dw, dh]
    .flatMap(varint)
    .concat(text(token, 128), text(page, 1024), text(language, 35), text(referrer, 256), varint(last));
}

/** Returns frame `n` of type 0 hello, 1 samples or 2 bye, ready to send. */
export function encodeFrame(n: number, type: 0 | 1 | 2, payload: Bytes = []): Bytes {
  return varint(n * 4 + type).concat(payload);
}

/** Returns the body of a POST: each frame is preceded by its length. */
export function packFrames(frames: readonly Bytes[]): Bytes {
  return frames.flatMap((frame) => varint(frame.length).concat(frame));
}

/** Returns the unsigned LEB128 of a number from 0 to 2^49 - 1, without its fraction. NaN counts as 0. */
export function varint(value: number): Bytes {
  return value >= 128 ? [(value % 128) | 128, ...varint(value / 128)] : [value | 0];
}

/** Maps small numbers of either sign to small unsigned ones. */
function zigzag(value: number): Bytes {
  return varint((value << 1) ^ (value >> 31));
}

/** Returns UTF-8 preceded by its length, cut to at most `limit` bytes, never within a character. */
export function text(value: string, limit: number): Bytes {
  const bytes = new Uint8Array(limit);
  const { written } = new TextEncoder().encodeInto(value, bytes);
  return [...varint(written), ...bytes.subarray(0, written)];
}
