/**
 * The samples the server does not have yet: they wait, and then are in numbered frames until acked.
 */
import { type Bytes, encodeFrame, encodeParts, MARK, type Part } from '../protocol/encode.ts';
import { wake } from './beat.ts';
import { FRAME_SAMPLES, MAX_WAITING, WINDOW } from './limits.ts';

/** A frame sent at least once. What it holds never changes again; its number may, with the visitor. */
interface Frame {
  n: number;
  /** The page its first sample is of. */
  page: string;
  data: Bytes;
}

let waiting: Part[] = [];
let sent: Frame[] = [];
let last = 0;
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
      waiting.findIndex(([, kind]) => kind < MARK),
      1,
    );
  wake();
}

/** Puts what waits into frames while fewer than `most` are unacked. Returns these frames, or all, encoded. */
export function cut(most = WINDOW, all?: boolean): Bytes[] {
  const from = all ? 0 : sent.length;
  while (waiting.length && sent.length < most) {
    const parts = waiting.splice(0, FRAME_SAMPLES);
    sent.push({ n: ++last, page, data: encodeParts(parts) });
    for (const part of parts) page = part[4] ?? page;
  }
  return sent.slice(from).map(({ n, data }) => encodeFrame(n, 1, data));
}

/** The server has all frames up to `n`; a new visitor's frames are numbered anew from there. */
export function ack(n: number, newVisitor?: boolean): void {
  sent = sent.filter((frame) => frame.n > n);
  last = newVisitor ? n : Math.max(last, n);
  if (newVisitor) for (const frame of sent) frame.n = ++last;
}

/** The page of the first sample that the server does not have. */
export function frontPage(): string {
  return sent[0]?.page ?? page;
}

/** Nothing waits and nothing is unacked. */
export function isEmpty(): boolean {
  return !waiting.length && !sent.length;
}
