/**
 * The encoding half of the visitor's binary frames; `frame.ts` is the other. Apart from it because the
 * tracker ships this file to every visitor and must stay small: numbers here repeat the tables there,
 * and the property tests hold the two together.
 */
import type { Hello, Mark } from './frame.ts';

/** A list of bytes. */
export type Bytes = number[];

/** A place on the page, whole page pixels. */
export type Point = readonly [x: number, y: number];

/** Viewport width and height, document width and height, CSS pixels. */
export type Size = readonly [vw: number, vh: number, dw: number, dh: number];

/** One observation. `time` is in milliseconds on the sender's clock; a scroll's `y` is the offset. */
export type Sample = { time: number } & ({ type: 'move'; x: number; y: number } | { type: 'scroll'; y: number } | Mark);

/**
 * The same, encoded but for what depends on the one before it: time and place. Of the marks, a click has a place, and
 * a page change has the page in plain too. The tracker makes these at once, by the functions below.
 */
export type SamplePart = readonly [time: number, kind: number, rest: Bytes, at?: Point | undefined, page?: string];

/** Kinds of parts; MARK goes on with one of the marks. Numbers in place of SAMPLE and MARK of frame.ts. */
export const MOVE = 1;
export const SCROLL = 2;
export const MARK = 3;
export const RESIZE = 2;
export const VISIBILITY = 3;
export const POINTER = 4;

/** A part that is all numbers. */
export function part(time: number, kind: number, ...numbers: number[]): SamplePart {
  return [time, kind, numbers.flatMap(varint)];
}

export function move(time: number, at: Point): SamplePart {
  return [time, MOVE, [], at];
}

/** `place` is where in the element the click was, 0 to 32767 each way. */
export function click(time: number, at: Point, button: number, place: Point, selector: string): SamplePart {
  return [time, MARK, [button, ...place.flatMap(varint), ...text(selector, 160)], at];
}

export function page(time: number, path: string): SamplePart {
  return [time, MARK, [1, ...text(path, 1024)], undefined, path];
}

/** Payload of a samples frame. */
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
 * Payload of a samples frame. Times are cut to whole milliseconds; one before that of the part in front counts as that, for times never
 * run back.
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
        // Below 8 pixels either way, as most steps are, both fit in one byte.
        head--;
        step = [((dx + 8) << 4) | (dy + 8)];
      }
    }
    out.push(...varint(head), ...step, ...rest);
  }
  return out;
}

/** Payload of a hello. Texts above their limits are cut. The tracker makes its own, which is shorter (hello.ts). */
export function encodeHello({ clock, vw, vh, dw, dh, token, page, language, referrer, last }: Hello): Bytes {
  return [clock, vw, vh, dw, dh]
    .flatMap(varint)
    .concat(text(token, 128), text(page, 1024), text(language, 35), text(referrer, 256), varint(last));
}

/** Frame `n` of type 0 hello, 1 samples or 2 bye, ready to be sent. */
export function encodeFrame(n: number, type: 0 | 1 | 2, payload: Bytes = []): Bytes {
  return varint(n * 4 + type).concat(payload);
}

/** Body of a POST: each frame is led by its length. */
export function packFrames(frames: readonly Bytes[]): Bytes {
  return frames.flatMap((frame) => varint(frame.length).concat(frame));
}

/** Unsigned LEB128 of a number from 0 to 2^49 - 1, less its fraction. NaN counts as 0. */
export function varint(value: number): Bytes {
  return value >= 128 ? [(value % 128) | 128, ...varint(value / 128)] : [value | 0];
}

/** Small numbers of either sign stay small. */
function zigzag(value: number): Bytes {
  return varint((value << 1) ^ (value >> 31));
}

/** UTF-8 with its length in front, cut to at most `limit` bytes, never within a character. */
export function text(value: string, limit: number): Bytes {
  const bytes = new Uint8Array(limit);
  const { written } = new TextEncoder().encodeInto(value, bytes);
  return [...varint(written), ...bytes.subarray(0, written)];
}
