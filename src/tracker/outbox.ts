/** The samples that the server does not have yet. They wait, then stay in numbered frames until these are acked. */
import { type Bytes, encodeFrame, encodeParts, MARK, type SamplePart } from '../protocol/encode.ts';
import { due, wake } from './beat.ts';
import { FRAME_ROOM, MAX_WAITING, SAMPLE_ROOM } from './limits.ts';

/** A frame that was sent at least once: the page of its first sample, and its content, which never changes. */
type Frame = readonly [page: string, data: Bytes];

let waiting: SamplePart[] = [];
let sent: Frame[] = [];
/** Number of the last frame, set here or by the server. The frames in `sent` have the numbers up to it. */
export let last = 0;
/** The page of the first waiting sample. */
let page = '';

/** Forgets all samples. The next sample will belong to this page. */
export function emptyOutbox(start: string): void {
  waiting = [];
  sent = [];
  page = start;
}

/** Adds a sample. */
export function add(part: SamplePart): void {
  // Drops the oldest move: clicks and page changes are more important.
  if (waiting.push(part) > MAX_WAITING)
    waiting.splice(
      Math.max(
        0,
        waiting.findIndex(([, kind]) => kind < MARK),
      ),
      1,
    );
  // Without a look at the clock for each move. If a page has broken the times of events, it always wakes.
  if (!(part[0] < due)) wake();
}

/** Puts waiting samples into frames, until `most` frames are unacked. Returns the new frames, encoded. */
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

/** True if a frame was sent and not acked. */
export function hasUnacked(): boolean {
  return !!sent.length;
}

/** The unacked frames from the given index on, encoded. */
export function unacked(from = 0): Bytes[] {
  return sent.map(([, data], i) => encodeFrame(last - sent.length + i + 1, 1, data)).slice(from);
}

/**
 * Removes the frames up to number `n`, which the server has. For a new visitor, it renumbers all frames from there
 * instead. If `n` is undefined, nothing changes.
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

/** True if no sample waits and no frame is unacked. */
export function isEmpty(): boolean {
  return !waiting.length && !sent.length;
}
