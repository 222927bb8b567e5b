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

/** One observation. `time` is in whole milliseconds on the sender's clock; a scroll's `y` is the offset. */
export type Sample = { time: number } & ({ type: 'move'; x: number; y: number } | { type: 'scroll'; y: number } | Mark);

/**
 * The same, encoded but for what depends on the one before it: time and place. `kind` is 1 move, 2 scroll, 3 mark,
 * 4 click. The tracker makes these at once, by the functions below.
 */
export type Part = readonly [time: number, kind: 1 | 2 | 3 | 4, rest: Bytes, at?: Point];

export function move(time: number, at: Point): Part {
  return [time, 1, [], at];
}

export function scroll(time: number, y: number): Part {
  return [time, 2, varint(y)];
}

/** `place` is where in the element the click was, 0 to 32767 each way. */
export function click(time: number, at: Point, button: number, place: Point, selector: string): Part {
  return [time, 4, [button, ...place.flatMap(varint), ...text(selector, 160)], at];
}

export function page(time: number, path: string): Part {
  return [time, 3, [1, ...text(path, 1024)]];
}

export function resize(time: number, size: Size): Part {
  return [time, 3, [2, ...size.flatMap(varint)]];
}

export function visibility(time: number, visible: boolean): Part {
  return [time, 3, [3, +visible]];
}

/** From now on a mouse (0), a finger (1) or a pen (2) points. */
export function pointer(time: number, type: number): Part {
  return [time, 3, [4, type]];
}

/** Payload of a samples frame. */
export function encodeSamples(samples: readonly Sample[]): Bytes {
  return encodeParts(samples.map(partOf));
}

function partOf(sample: Sample): Part {
  const { time } = sample;
  switch (sample.type) {
    case 'move':
      return move(time, [sample.x, sample.y]);
    case 'scroll':
      return scroll(time, sample.y);
    case 'click':
      return click(time, [sample.x, sample.y], sample.button, [sample.ex, sample.ey], sample.selector);
    case 'page':
      return page(time, sample.page);
    case 'resize':
      return resize(time, [sample.vw, sample.vh, sample.dw, sample.dh]);
    case 'visibility':
      return visibility(time, sample.visible);
    case 'pointer':
      return pointer(time, ['mouse', 'touch', 'pen'].indexOf(sample.pointer));
  }
}

/** Payload of a samples frame. A time before that of the part in front counts as that: times never run back. */
export function encodeParts(parts: readonly Part[]): Bytes {
  let time = parts[0]?.[0] ?? 0;
  let x = 0;
  let y = 0;
  const out = varint(time);
  for (const [at, kind, rest, point = [x, y]] of parts) {
    const since = Math.max(0, at - time) * 4;
    const dx = point[0] - x;
    const dy = point[1] - y;
    time += since / 4;
    [x, y] = point;
    if (kind === 1 && isNear(dx) && isNear(dy)) out.push(...varint(since), ((dx + 8) << 4) | (dy + 8));
    else {
      out.push(...varint(since + Math.min(kind, 3)));
      if (kind === 4) out.push(0);
      if (kind % 3 === 1) out.push(...zigzag(dx), ...zigzag(dy));
      out.push(...rest);
    }
  }
  return out;
}

/** Most steps are, and then both ways fit in one byte. */
function isNear(step: number): boolean {
  return step >= -8 && step < 8;
}

/** Payload of a hello. Texts above their limits are cut. */
export function encodeHello({ clock, vw, vh, dw, dh, token, page, language, referrer }: Hello): Bytes {
  const numbers = [clock, vw, vh, dw, dh].flatMap(varint);
  return numbers.concat(text(token, 128), text(page, 1024), text(language, 35), text(referrer, 256));
}

/** Frame `n` of type 0 hello, 1 samples or 2 bye, ready to be sent. */
export function encodeFrame(n: number, type: 0 | 1 | 2, payload: Bytes = []): Bytes {
  return varint(n * 4 + type).concat(payload);
}

/** Body of a POST: each frame is led by its length. */
export function packFrames(frames: readonly Bytes[]): Bytes {
  return frames.flatMap((frame) => varint(frame.length).concat(frame));
}

/** Unsigned LEB128 of a whole number from 0 to 2^49 - 1. */
function varint(value: number): Bytes {
  return value > 127 ? [(value % 128) | 128, ...varint(Math.floor(value / 128))] : [value];
}

/** Small numbers of either sign stay small. */
function zigzag(value: number): Bytes {
  return varint(value < 0 ? -2 * value - 1 : 2 * value);
}

/** UTF-8 with its length in front, cut to at most `limit` bytes, never within a character. */
function text(value: string, limit: number): Bytes {
  const bytes = new Uint8Array(limit);
  const { written } = new TextEncoder().encodeInto(value, bytes);
  return varint(written).concat(...bytes.subarray(0, written));
}
