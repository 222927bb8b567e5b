/**
 * The encoding half of the visitor's binary frames; `frame.ts` is the other. Apart from it because the
 * tracker ships this file to every visitor and must stay small: numbers here repeat the tables there,
 * and the property tests hold the two together.
 */
import type { Hello, Mark } from './frame.ts';

/** A growing list of bytes. */
export type Bytes = number[];

/** One observation; `time` is in milliseconds on the sender's clock, positions are whole page pixels. */
export type Sample = { time: number } & ({ type: 'move'; x: number; y: number } | { type: 'scroll'; y: number } | Mark);

/** Frame `n` of type 0 hello, 1 samples or 2 bye, ready to be sent. */
export function encodeFrame(n: number, type: 0 | 1 | 2, payload: Bytes = []): Bytes {
  const out: Bytes = [];
  putVarint(out, n * 4 + type);
  return out.concat(payload);
}

/** Payload of a hello. Texts above their limits are cut. */
export function encodeHello(hello: Hello): Bytes {
  const out: Bytes = [];
  for (const value of [hello.clock, hello.vw, hello.vh, hello.dw, hello.dh]) putVarint(out, value);
  putText(out, hello.token, 128);
  putText(out, hello.page, 1024);
  putText(out, hello.language, 35);
  putText(out, hello.referrer, 256);
  return out;
}

/** Payload of a samples frame. A time before the one in front of it counts as that one: times never run back. */
export function encodeSamples(samples: readonly Sample[]): Bytes {
  const out: Bytes = [];
  let time = samples[0]?.time ?? 0;
  let x = 0;
  let y = 0;
  putVarint(out, time);
  for (const sample of samples) {
    const since = Math.max(0, sample.time - time) * 4;
    time += since / 4;
    if (sample.type === 'scroll') {
      putVarint(out, since + 2);
      putVarint(out, sample.y);
      continue;
    }
    const step = 'x' in sample ? [sample.x - x, sample.y - y] : [];
    if ('x' in sample) ({ x, y } = sample);
    if (sample.type === 'move') putMove(out, since, step);
    else {
      putVarint(out, since + 3);
      putMark(out, sample, step);
    }
  }
  return out;
}

/** Body of a POST: each frame is led by its length. */
export function packFrames(frames: readonly Bytes[]): Bytes {
  const out: Bytes = [];
  for (const frame of frames) {
    putVarint(out, frame.length);
    for (const byte of frame) out.push(byte);
  }
  return out;
}

/** A step of less than 8 pixels either way, which most are, takes one byte. */
function putMove(out: Bytes, since: number, step: number[]): void {
  if (step.every((d) => d >= -8 && d < 8)) {
    putVarint(out, since);
    out.push(step.reduce((packed, d) => (packed << 4) | (d + 8), 0));
  } else {
    putVarint(out, since + 1);
    putStep(out, step);
  }
}

function putMark(out: Bytes, mark: Mark, step: number[]): void {
  switch (mark.type) {
    case 'click':
      out.push(0);
      putStep(out, step);
      out.push(mark.button);
      putVarint(out, mark.ex);
      putVarint(out, mark.ey);
      return putText(out, mark.selector, 160);
    case 'page':
      out.push(1);
      return putText(out, mark.page, 1024);
    case 'resize':
      out.push(2);
      for (const value of [mark.vw, mark.vh, mark.dw, mark.dh]) putVarint(out, value);
      return;
    case 'visibility':
      out.push(3, mark.visible ? 1 : 0);
      return;
    default:
      out.push(4, ['mouse', 'touch', 'pen'].indexOf(mark.pointer));
  }
}

/** Zigzag: small numbers of either sign stay small. */
function putStep(out: Bytes, step: number[]): void {
  for (const d of step) putVarint(out, d < 0 ? -2 * d - 1 : 2 * d);
}

/** Unsigned LEB128 of a whole number from 0 to 2^49 - 1. */
function putVarint(out: Bytes, value: number): void {
  while (value > 127) {
    out.push((value % 128) | 128);
    value = Math.floor(value / 128);
  }
  out.push(value);
}

/** UTF-8 with its length in front, cut to at most `limit` bytes, never within a character. */
function putText(out: Bytes, text: string, limit: number): void {
  const bytes = new Uint8Array(limit);
  const { written } = new TextEncoder().encodeInto(text, bytes);
  putVarint(out, written);
  for (const byte of bytes.subarray(0, written)) out.push(byte);
}
