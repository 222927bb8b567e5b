/**
 * Visitor → worker: the JSON form (subprotocol `json`, and POST with `application/json`). One object or an
 * array of objects: `{"id","x","y"}`, optional `"t"` (Unix ms) and `"type"`.
 */

import { charactersOf, isLabel, maxUnits, tidy } from '../model/label.ts';
import { MAX_TEXT, utf8Length } from '../model/text.ts';
import { KIND, type Mark, type SampleBuffer } from './frame.ts';
import { FrameError } from './frame-error.ts';
import { ELEMENT_SCALE, MAX_COORDINATE } from './limits.ts';
import { withoutNul } from './reader.ts';

/** A sample whose own time is older than this, or in the future, gets its time of arrival, milliseconds. */
const MAX_SKEW_MS = 60_000;

/** Maximum number of visible characters of a label. */
const MAX_LABEL = 64;

/** The content of a JSON frame besides its samples. */
export interface JsonFrame {
  /** The client's label, if given. */
  label: string | undefined;
  /** A resume token, from `{"type":"hello","token":…}`. */
  token: string | undefined;
  /** `{"type":"bye"}`: the visitor leaves. */
  bye: boolean;
}

/** Reads one JSON frame. Its samples fill `into`, which is cleared first, with times in Unix ms. Throws FrameError. */
export function decodeJson(text: string, now: number, into: SampleBuffer): JsonFrame {
  return readJson(parseJson(text), now, into);
}

/** Returns the objects of a JSON frame, unchecked. Throws FrameError if the text is not JSON. */
export function parseJson(text: string): unknown[] {
  let value: unknown;
  try {
    value = JSON.parse(withoutMark(text));
  } catch {
    throw new FrameError('bad-json', 'not JSON');
  }
  return Array.isArray(value) ? value : [value];
}

/** Like `decodeJson`, for the result of `parseJson`. */
export function readJson(items: readonly unknown[], now: number, into: SampleBuffer): JsonFrame {
  into.clear();
  const frame: JsonFrame = { label: undefined, token: undefined, bye: false };
  for (const item of items) readItem(item, now, into, frame);
  return frame;
}

/** Returns the resume token among the objects of `parseJson`, or an empty text. Throws FrameError. */
export function tokenIn(items: readonly unknown[]): string {
  const hello = items.findLast((item) => (item as Item | null)?.type === 'hello') as Item | undefined;
  return text(hello?.token, 'token', MAX_TEXT.token);
}

type Item = Record<string, unknown>;

function readItem(value: unknown, now: number, into: SampleBuffer, frame: JsonFrame): void {
  if (typeof value !== 'object' || value === null) throw new FrameError('bad-json', 'a sample must be an object');
  const item = value as Item;
  if (item.id !== undefined) frame.label ??= label(item.id);
  const time = timeOf(item.t, now);
  switch (item.type) {
    case undefined:
    case 'move':
      into.push(KIND.move, time, pixel(item, 'x'), pixel(item, 'y'));
      break;
    case 'scroll':
      into.push(KIND.scroll, time, 0, extent(item.y, 'y'));
      break;
    case 'hello':
      frame.token = text(item.token, 'token', MAX_TEXT.token);
      break;
    case 'bye':
      frame.bye = true;
      break;
    default: {
      const mark = readMark(item);
      const at = mark.type === 'click' ? mark : undefined;
      into.pushMark(mark, time, at?.x ?? 0, at?.y ?? 0);
    }
  }
}

function readMark(item: Item): Mark {
  switch (item.type) {
    case 'click':
      return {
        type: 'click',
        x: pixel(item, 'x'),
        y: pixel(item, 'y'),
        button: Math.min(extent(item.button ?? 0, 'button'), 255),
        ex: Math.min(extent(item.ex ?? 0, 'ex'), ELEMENT_SCALE),
        ey: Math.min(extent(item.ey ?? 0, 'ey'), ELEMENT_SCALE),
        selector: text(item.selector, 'selector', MAX_TEXT.selector),
      };
    case 'page':
      return { type: 'page', page: text(item.page, 'page', MAX_TEXT.page) };
    case 'resize':
      return {
        type: 'resize',
        vw: extent(item.vw, 'vw'),
        vh: extent(item.vh, 'vh'),
        dw: extent(item.dw ?? item.vw, 'dw'),
        dh: extent(item.dh ?? item.vh, 'dh'),
      };
    case 'visibility':
      return { type: 'visibility', visible: item.visible === true };
    default:
      throw new FrameError('bad-type', 'unknown sample type');
  }
}

/**
 * Removes a byte order mark, with which some programs start every text; readers may ignore it (RFC 8259 section 8.1).
 */
function withoutMark(text: string): string {
  return text.charCodeAt(0) === 0xfeff ? text.slice(1) : text;
}

/** Returns the label, cut to its limit, or an empty text. Throws FrameError if it is invalid. */
function label(value: unknown): string {
  if (typeof value !== 'string' && typeof value !== 'number') throw new FrameError('bad-text', 'id');
  const text = tidy(String(value).slice(0, maxUnits(MAX_LABEL)));
  const characters = charactersOf(text);
  const cut = characters.length > MAX_LABEL ? characters.slice(0, MAX_LABEL).join('').trim() : text;
  if (cut !== '' && !isLabel(cut, MAX_LABEL)) throw new FrameError('bad-text', 'id');
  return cut;
}

/** Returns the time of a sample from its `t`, Unix ms. Throws FrameError. */
export function timeOf(value: unknown, now: number): number {
  if (value === undefined) return now;
  if (typeof value !== 'number' || !Number.isFinite(value)) throw new FrameError('bad-number', 't');
  return value > now || now - value > MAX_SKEW_MS ? now : Math.round(value);
}

function pixel(item: Item, name: 'x' | 'y'): number {
  const value = item[name];
  if (typeof value !== 'number' || !(Math.abs(value) <= MAX_COORDINATE)) throw new FrameError('bad-number', name);
  return Math.round(value);
}

function extent(value: unknown, name: string): number {
  if (typeof value !== 'number' || !(value >= 0 && value <= MAX_COORDINATE)) throw new FrameError('bad-number', name);
  return Math.round(value);
}

function text(value: unknown, name: string, limit: number): string {
  if (value === undefined) return '';
  if (typeof value !== 'string' || value.length > limit || utf8Length(value) > limit)
    throw new FrameError('bad-text', name);
  return withoutNul(value);
}
