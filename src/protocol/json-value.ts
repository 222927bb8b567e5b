/** Reads values of JSON clients. Each function throws FrameError if the value is invalid. */
import { utf8Length } from '../model/text.ts';
import { FrameError } from './frame-error.ts';
import { MAX_COORDINATE } from './limits.ts';
import { withoutNul } from './reader.ts';

/** A page coordinate, rounded. */
export function readPixel(value: unknown, name: string): number {
  if (typeof value !== 'number' || !(Math.abs(value) <= MAX_COORDINATE)) throw new FrameError('bad-number', name);
  return Math.round(value);
}

/** A length or offset in pixels, rounded. */
export function readExtent(value: unknown, name: string): number {
  if (typeof value !== 'number' || !(value >= 0 && value <= MAX_COORDINATE)) throw new FrameError('bad-number', name);
  return Math.round(value);
}

/** A text of at most `limit` bytes; empty if the value is missing. */
export function readText(value: unknown, name: string, limit: number): string {
  if (value === undefined) return '';
  if (typeof value !== 'string' || value.length > limit || utf8Length(value) > limit)
    throw new FrameError('bad-text', name);
  return withoutNul(value);
}
