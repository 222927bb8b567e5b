/**
 * The samples the server does not have yet: they wait, and then are in numbered frames until acked.
 */
import { type Bytes, encodeFrame, encodeParts, MARK, type SamplePart } from '../protocol/encode.ts';
import { wake } from './beat.ts';
import { FRAME_ROOM, MAX_WAITING, SAMPLE_ROOM } from './limits.ts';

/** A frame sent at least once: the page its first sample is of, and what it holds, which never changes again. */
type Frame = readonly [page: string, data: Bytes];

let waiting: SamplePart[] = [];
let sent: Frame[] = [];
/** Number of the last frame made, or given by the server. Those that were sent are numbered up to it. */
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
export function add(part: SamplePart): void {
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
    let room = FRAME_ROOM;
    const end = waiting.findIndex((part) => {
      room -= SAMPLE_ROOM + part[2].length;
      return room < 0;
    });
    const parts = waiting.splice(0, end + 1 || MAX_WAITING);
    last++;
    sent.push([page, encodeParts(parts)]);
    for (const part of parts) page = part[4] ?? page;
  }
  return unacked(from);
}

/** Something sent was not acked. */
export function hasUnacked(): boolean {
  return !!sent.length;
}

/** The frames that the server is not known to have, encoded. */
export function unacked(from = 0): Bytes[] {
  return sent.map(([, data], i) => encodeFrame(last - sent.length + i + 1, 1, data)).slice(from);
}

/**
 * The server has all frames up to `n`; a new visitor's frames are numbered anew from there. Without a number nothing
 * changes.
 */
export function ack(n: number, newVisitor?: unknown): void {
  if (newVisitor) last = n + sent.length;
  else {
    sent.splice(0, n - last + sent.length);
    if (n > last) last = n;
  }
}

/** The page of the first sample that the server does not have. */
export function frontPage(): string {
  return sent[0]?.[0] ?? page;
}

/** Nothing waits and nothing is unacked. */
export function isEmpty(): boolean {
  return !waiting.length && !sent.length;
}
