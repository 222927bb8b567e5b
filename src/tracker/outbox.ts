/**
 * The samples the server does not have yet: they wait, and then are in numbered frames until acked.
 */
import { type Bytes, encodeFrame, encodeParts, MARK, type Part } from '../protocol/encode.ts';
import { wake } from './beat.ts';
import { FRAME_SAMPLES, MAX_WAITING } from './limits.ts';

/** A frame sent at least once. What it holds never changes again; its number may, with the visitor. */
interface Frame {
  n: number;
  /** The page its first sample is of. */
  page: string;
  data: Bytes;
}

let waiting: Part[] = [];
let sent: Frame[] = [];
/** Number of the last frame made, or given by the server. */
export let last = 0;
/** The page of what waits. */
let page = '';

/** Forgets everything. The next sample will be of this page. */
export function emptyOutbox(start: string): void {
  waiting = [];
  sent = [];
  page = start;
}

/** Takes a sample. */
export function add(part: Part): void {
  // Oldest moves go first: clicks and page changes say more.
  if (waiting.push(part) > MAX_WAITING)
    waiting.splice(
      Math.max(
        0,
        waiting.findIndex(([, kind]) => kind < MARK),
      ),
      1,
    );
  wake();
}

/** Puts what waits into frames, until `most` frames are unacked. Returns the new frames, encoded. */
export function cut(most: number): Bytes[] {
  const from = sent.length;
  while (waiting.length && sent.length < most) {
    const parts = waiting.splice(0, FRAME_SAMPLES);
    sent.push({ n: ++last, page, data: encodeParts(parts) });
    for (const part of parts) page = part[4] ?? page;
  }
  return unacked(from);
}

/** Something sent was not acked. */
export function hasUnacked(): boolean {
  return sent.length > 0;
}

/** The frames that the server is not known to have, encoded. */
export function unacked(from = 0): Bytes[] {
  return sent.slice(from).map(({ n, data }) => encodeFrame(n, 1, data));
}

/** The server has all frames up to `n`; a new visitor's frames are numbered anew from there. */
export function ack(n: number, newVisitor?: boolean): void {
  if (newVisitor) {
    last = n;
    for (const frame of sent) frame.n = ++last;
  } else {
    sent = sent.filter((frame) => frame.n > n);
    last = Math.max(last, n);
  }
}

/** The page of the first sample that the server does not have. */
export function frontPage(): string {
  return sent[0]?.page ?? page;
}

/** Nothing waits and nothing is unacked. */
export function isEmpty(): boolean {
  return !waiting.length && !sent.length;
}
