/**
 * Primary → dashboard and programs: the events of `GET /v1/stream`, as Server-Sent Events
 * (WHATWG HTML section 9.2). docs/protocol.md lists the same for readers.
 */
import type { MarkFields, PublishedName } from '../model/mark.ts';
import type { Minute } from '../model/minute.ts';
import type { Departure, Device, LeaveReason, Visitor } from '../model/visitor.ts';

/** Which moves a subscriber wants. */
export const MOVES = ['full', 'latest', 'none'] as const;
export type Moves = (typeof MOVES)[number];

/** Maximum number of visitors whose activity is sent each second, and in a snapshot; a screen shows fewer. */
export const MAX_ACTIVE = 1000;
/** Seconds of activity in a snapshot, and the digits that encode them (base64url, RFC 4648 section 5). */
export const ACTIVITY_SECONDS = 60;
export const ACTIVITY_DIGITS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';

/** A published mark, on `page`. */
type MarkEvents = { [N in PublishedName]: { t: number; v: number; page: string } & MarkFields<N> };

/** Times are Unix ms on the server's clock. */
export interface StreamEvents extends MarkEvents {
  /** The complete current state; replaces everything a reader knew. */
  snapshot: {
    t: number;
    site: string;
    visitors: Visitor[];
    /** Up to 60 past minutes, oldest first. */
    minutes: Minute[];
    /** The server's version. */
    version: string;
    /** Visitors that left in the past hour, at most 20, oldest first. */
    left?: Departure[];
    /**
     * Activity of the last 60 s, flat: `v, seconds` of at most MAX_ACTIVE visitors. `seconds` has one of
     * ACTIVITY_DIGITS for each second, the newest last: A is no sample, _ (63) is 63 or more. Seconds missing at the
     * start had none.
     */
    activity?: (number | string)[];
  };
  join: { t: number; visitor: Visitor };
  /** A visitor navigated to another page. `visitor` is included for streams of one page, which may not know it. */
  page: {
    t: number;
    v: number;
    page: string;
    from: string;
    origin: string;
    size: Visitor['size'];
    visitor: Visitor;
  };
  /** A visitor's window was resized, its tab hidden or shown, or its label changed. */
  view: { t: number; v: number; size: Visitor['size']; hidden: boolean; device: Device; label: string };
  /**
   * Pointer positions. `m` is flat: for each visitor `v, count`, then `count` times `dt, x, y`; the sample's time is `t
   * + dt`. `page` is set if all are on that page. `skipped`: number of events left out because this subscriber is too
   * slow; the latest position of each visitor follows.
   */
  moves: { t: number; page?: string; m: number[]; skipped?: number };
  /** Scroll positions, flat: for each visitor `v, y, depth`; depth is the share of the page seen, 0 to 1000. */
  scroll: { t: number; page?: string; s: number[] };
  leave: { t: number; v: number; reason: LeaveReason };
  /**
   * Sent once a second while visitors are or were present. `samples` and `drops` are of the past second; `flushMs` is
   * the slowest current pace, 0 if nobody moved; `activity` is flat: `v, samples` of at most MAX_ACTIVE active visitors
   * of this node and of all others. `late` is set while messages to or from other nodes are lost: for how long, ms.
   * Their visitors are then shown as they were.
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
 * unknown-id: Last-Event-ID is of another epoch or invalid · expired: older than the buffer · slow: the reader fell too
 * far behind · resync: a worker dropped events
 */
export type ResetReason = 'unknown-id' | 'expired' | 'slow' | 'resync';

export type StreamEventName = keyof StreamEvents;

/**
 * The events of `GET /v1/replay`: those of the live stream except `reset`, with times of the past. `flushMs` of its
 * rates is the time span of a batch of moves.
 */
export interface ReplayEvents extends Omit<StreamEvents, 'reset'> {
  /**
   * The end of the requested time; nothing follows. `damaged`: number of visits that are incomplete because they are
   * damaged.
   */
  end: { t: number; damaged?: number };
}

export type ReplayEventName = keyof ReplayEvents;

/**
 * The record only has the times of activity. In a replay a visit without data for this long counts as ended,
 * milliseconds: people who read may do nothing for a while.
 */
export const STILL_MS = 60_000;

/** Sent first on every stream: how long a browser waits before it reconnects, milliseconds. */
export const STREAM_PREAMBLE = 'retry: 2000\n\n';
export const HEARTBEAT = ':\n\n';

/** Returns `<epoch>-<seq>`: the epoch is one run of the primary, and seq counts its events. */
export function eventId(epoch: string, seq: number): string {
  return `${epoch}-${seq}`;
}

/** Returns the seq of an id of this epoch, or undefined for any other text. */
export function parseEventId(text: string, epoch: string): number | undefined {
  const cut = text.lastIndexOf('-');
  if (cut < 0 || text.slice(0, cut) !== epoch) return undefined;
  const digits = text.slice(cut + 1);
  return /^\d{1,15}$/.test(digits) ? Number(digits) : undefined;
}

/** Returns one event as SSE text. `data` is JSON, so it has no line break. */
export function eventText(id: string | undefined, name: StreamEventName | ReplayEventName, data: string): string {
  const first = id === undefined ? '' : `id: ${id}\n`;
  return `${first}event: ${name}\ndata: ${data}\n\n`;
}
