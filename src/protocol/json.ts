/**
 * Visitor → worker: the JSON form (subprotocol `json`, and POST with `application/json`). One object or an
 * array of objects: `{"id","x","y"}`, optional `"t"` (Unix ms) and `"type"`.
 */

import { charactersOf, isLabel, maxUnits, tidy } from '../model/label.ts';
import { MAX_TEXT } from '../model/text.ts';
import { KIND, type SampleBuffer } from './frame.ts';
import { FrameError } from './frame-error.ts';
import { readExtent, readPixel, readText } from './json-value.ts';
import { markFromJson } from './mark-codec.ts';

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
  return readText(hello?.token, 'token', MAX_TEXT.token);
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
      into.push(KIND.move, time, readPixel(item.x, 'x'), readPixel(item.y, 'y'));
      break;
    case 'scroll':
      into.push(KIND.scroll, time, 0, readExtent(item.y, 'y'));
      break;
    case 'hello':
      frame.token = readText(item.token, 'token', MAX_TEXT.token);
      break;
    case 'bye':
      frame.bye = true;
      break;
    default:
      into.pushMark(markFromJson(item), time);
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
