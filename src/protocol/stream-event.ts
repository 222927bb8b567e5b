/**
 * Primary → dashboard and programs: the events of `GET /v1/stream`, as Server-Sent Events
 * (WHATWG HTML section 9.2). docs/protocol.md lists the same for readers.
 */
import type { Minute } from '../model/minute.ts';
import type { Departure, Device, LeaveReason, Visitor } from '../model/visitor.ts';

/** How much of the moves a subscriber wants. */
export const MOVES = ['full', 'latest', 'none'] as const;
export type Moves = (typeof MOVES)[number];

/** Seconds of activity that a snapshot tells, and the digits it tells them in (base64url, RFC 4648 section 5). */
export const ACTIVITY_SECONDS = 60;
export const ACTIVITY_DIGITS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';

/** Times are Unix ms on the server's clock. */
export interface StreamEvents {
  /** Everything known now; replaces what a reader knew. */
  snapshot: {
    t: number;
    site: string;
    visitors: Visitor[];
    /** Up to 60 past minutes, oldest first. */
    minutes: Minute[];
    /** The server's version. */
    version: string;
    /** Who left in the past hour, at most 20, oldest first. */
    left?: Departure[];
    /**
     * What visitors did in the last 60 s, flat: `v, seconds` of at most 1,000 that did anything. `seconds` has one of
     * ACTIVITY_DIGITS for each second, the newest last: A is no sample, _ (63) are 63 or more. Seconds that are missing
     * at its beginning had none.
     */
    activity?: (number | string)[];
  };
  join: { t: number; visitor: Visitor };
  /** A visitor went to another page. `visitor` is there for streams of one page, to which it may be new. */
  page: {
    t: number;
    v: number;
    page: string;
    from: string;
    origin: string;
    size: Visitor['size'];
    visitor: Visitor;
  };
  /** A visitor's window was resized, its tab hidden or shown, or it said what it calls itself. */
  view: { t: number; v: number; size: Visitor['size']; hidden: boolean; device: Device; label: string };
  /**
   * Pointer positions. `m` is flat: for each visitor `v, count`, then `count` times `dt, x, y`, where
   * `t + dt` is the sample's time. `page` is there when all are of that page. `skipped` counts events that
   * this subscriber was too slow to take; the latest position of each visitor follows.
   */
  moves: { t: number; page?: string; m: number[]; skipped?: number };
  click: {
    t: number;
    v: number;
    page: string;
    x: number;
    y: number;
    button: number;
    ex: number;
    ey: number;
    selector: string;
  };
  /** Scroll positions, flat: for each visitor `v, y, depth`; depth is the share of the page seen, 0 to 1000. */
  scroll: { t: number; page?: string; s: number[] };
  leave: { t: number; v: number; reason: LeaveReason };
  /**
   * Once a second while anybody is or was here. `samples` and `drops` are of the past second; `flushMs` is the
   * slowest pace now set, 0 if nobody moved; `activity` is flat: `v, samples` of each visitor that did
   * something, at most 1,000 visitors of this machine and of all others. `late` is there while other machines cannot be heard, or
   * cannot hear this one: for how long, ms. What is of them is as it was then.
   */
  rates: {
    t: number;
    visitors: number;
    samples: number;
    drops: number;
    flushMs: number;
    activity: number[];
    late?: number;
  };
  /** The stream could not be continued without a gap; a snapshot follows. */
  reset: { t: number; reason: ResetReason };
}

/**
 * unknown-id: Last-Event-ID is of another epoch or none of ours · expired: older than the buffer ·
 * slow: the reader fell too far behind · resync: a worker had to leave events out
 */
export type ResetReason = 'unknown-id' | 'expired' | 'slow' | 'resync';

export type StreamEventName = keyof StreamEvents;

/**
 * `GET /v1/replay` tells the past by the same events, with the times of the past; but for `reset`. `flushMs` of its rates is
 * how much of the past a batch of moves spans.
 */
export interface ReplayEvents extends Omit<StreamEvents, 'reset'> {
  /** All of the time asked for has been told; nothing follows. `damaged`: of so many visits something is missing, since it is damaged. */
  end: { t: number; damaged?: number };
}

export type ReplayEventName = keyof ReplayEvents;

/**
 * The record tells only when somebody did something last. In a replay a visit of which nothing has come for so long is taken to be over,
 * milliseconds: who reads may do nothing for a while.
 */
export const STILL_MS = 60_000;

/** Sent first on every stream: how long a browser waits before it reconnects, milliseconds. */
export const STREAM_PREAMBLE = 'retry: 2000\n\n';
export const HEARTBEAT = ':\n\n';

/** `<epoch>-<seq>`: epoch is one run of the primary, seq counts its events. */
export function eventId(epoch: string, seq: number): string {
  return `${epoch}-${seq}`;
}

/** The seq of an id of this epoch, or undefined for any other text. */
export function parseEventId(text: string, epoch: string): number | undefined {
  const cut = text.lastIndexOf('-');
  if (cut < 0 || text.slice(0, cut) !== epoch) return undefined;
  const digits = text.slice(cut + 1);
  return /^\d{1,15}$/.test(digits) ? Number(digits) : undefined;
}

/** One event as SSE text. `data` is JSON already, so it holds no line break. */
export function eventText(id: string | undefined, name: StreamEventName | ReplayEventName, data: string): string {
  const first = id === undefined ? '' : `id: ${id}\n`;
  return `${first}event: ${name}\ndata: ${data}\n\n`;
}
