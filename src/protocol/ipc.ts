/**
 * Worker ↔ primary. Every message carries the tag. Anything else on the IPC channel (PM2's, Node's cluster's, a
 * library's) is ignored.
 */

import type { PublishedMark } from '../model/mark.ts';
import type { LeaveReason, Visitor } from '../model/visitor.ts';
import type { NumberedChannel } from './channel.ts';
import type { Past } from './peer.ts';
import type { Moves } from './stream-event.ts';

export const TAG = 'fieldmouse';

/** What a worker reports of a visitor that arrives or returns. The primary adds the number `v`. */
export type Arrival = Omit<Visitor, 'v'> & { site: string };

/**
 * One observation of a worker; a batch keeps their order. `n` and `i` number a visitor's events: the frame, and the
 * position in it. Frames of JSON clients are numbered by their time of arrival. The numbers of a page increase, so that
 * a frame sent twice is shown once.
 */
export type RelayItem =
  /**
   * A visitor requests admission; answered by a grant. `claim`: the worker's number of the request. `posted`: for a
   * visitor by POST, the time its token was made, Unix ms; null for a socket. `last`: number of the last frame of its
   * page; 0: the page was just loaded.
   */
  | { k: 'claim'; claim: number; arrival: Arrival; posted: number | null; last: number }
  /** The visitor's page was just loaded and numbers its frames from `n` on. */
  | { k: 'begin'; v: number; n: number }
  | { k: 'page'; v: number; n: number; i: number; t: number; page: string; origin: string; size: Visitor['size'] }
  | { k: 'view'; v: number; t: number; size: Visitor['size']; hidden: boolean; label: string }
  | { k: 'mark'; v: number; n: number; i: number; t: number; page: string; mark: PublishedMark }
  /** A mark on an earlier page of a visitor, which may be at another worker, or disconnected. */
  | ({ k: 'late' } & LateMark)
  /** Text for `m` of a moves event: rendered once, copied to every subscriber. `n` samples. */
  | { k: 'moves'; c: number; t: number; text: string; n: number }
  | { k: 'scroll'; c: number; t: number; text: string }
  /**
   * The connection admitted with this claim ended at `t`; `n` is the last frame taken. `t`, and the time `last` of the
   * visitor's last event, are Unix ms.
   */
  | { k: 'gone'; v: number; claim: number; n: number; t: number; last: number; reason: DisconnectReason };

/** A mark that arrives after its visitor has navigated to another page. `n` and `i` as above. */
export interface LateMark {
  site: string;
  /** The visitor's id. */
  id: string;
  n: number;
  i: number;
  /** Unix ms. */
  t: number;
  page: string;
  mark: PublishedMark;
}

/**
 * Minimum distance between the frame numbers of a visitor's pages. No page makes that many frames: at 60 a second they
 * would take three days.
 */
export const PAGE_NUMBERS = 2 ** 24;

/** `moved`: replaced by another connection of the same visitor. */
export type DisconnectReason = LeaveReason | 'moved';

export type ToPrimary = { tag: typeof TAG } & (
  | { k: 'listening'; addresses: string[] }
  | { k: 'failed'; code: string; message: string }
  /**
   * Sent once a second: this worker's event loop is running. `delayMs`: its maximum delay. `memory`: private memory,
   * bytes.
   */
  | { k: 'beat'; memory: number; delayMs: number; troubles: readonly TroubleName[] }
  | { k: 'batch'; items: RelayItem[] }
  /**
   * Sent once a second, per site. `rows` is flat: `v, x, y, frame, samples` of each active visitor; x and y are null
   * while it has no position on its page.
   */
  | { k: 'seen'; sites: SeenSite[]; flushMs: number }
  /**
   * Events of these sites were dropped, and their streams are reset. `visitors` are all visitors of this worker, except
   * those whose claims are `pending`.
   */
  | { k: 'sync'; sites: string[]; visitors: (Arrival & { v: number; n: number })[]; pending: number[] }
  /**
   * Sent with the socket of the response. `past` also covers nodes that no longer exist; null if there is only one
   * node.
   */
  | { k: 'stream'; request: StreamRequest; past: Past | null }
  /** Asks for the visitors on each page of a site. `ask`: the worker's number of the question. */
  | { k: 'ask'; ask: number; site: string }
  /** Asks for the server's troubles. An answer also shows that the primary is running. */
  | { k: 'health'; ask: number }
  /** Asks for the metrics of all processes, for Prometheus. */
  | { k: 'scrape'; ask: number }
  /**
   * The metrics of this worker. `ask`: the primary's number of the question; 0 for the last metrics before it ends.
   */
  | { k: 'measured'; ask: number; metrics: readonly object[] }
);

/**
 * Why a server is degraded. redis-away: Redis does not answer · store-lost: Redis has lost its data, or holds another
 * store · redis-evicts: Redis may evict acked frames · store-full: the disk, the cap or Redis' memory is full ·
 * disk-error: the disk refuses writes for another reason · not-stored: frames cannot be stored for another reason
 */
export const TROUBLES = ['redis-away', 'store-lost', 'redis-evicts', 'store-full', 'disk-error', 'not-stored'] as const;
export type TroubleName = (typeof TROUBLES)[number];

export interface SeenSite {
  site: string;
  samples: number;
  drops: number;
  rows: (number | null)[];
}

export type ToWorker = {
  tag: typeof TAG;
} & (
  | { k: 'watch'; channel: NumberedChannel }
  | { k: 'unwatch'; no: number }
  /** Flat: `claim, v, frame, last` of each admitted visitor. Frame −1: the frame that opened its page is unknown. */
  | { k: 'grants'; grants: number[] }
  /** Another connection claims this visitor: close the one admitted with this claim and send `gone`. */
  | { k: 'release'; v: number; claim: number }
  /** Render the latest position of every visitor of this channel into the next batch. */
  | { k: 'refresh'; no: number }
  /** At most MAX_PAGES_TOLD pages, those with the most visitors. */
  | { k: 'answer'; ask: number; pages: [page: string, visitors: number][] }
  | { k: 'measure'; ask: number }
  | { k: 'scraped'; ask: number; text: string }
  | { k: 'healthy'; ask: number; troubles: readonly TroubleName[] }
  | { k: 'drain'; reason: 'restart' | 'stop' }
);

export const MAX_PAGES_TOLD = 1000;

/** A request for a stream, and who made it. */
export interface StreamRequest {
  site: string;
  page: string | null;
  visitor: string | null;
  /** Moves of this page only; everything else of the whole site. */
  stage: string | null;
  moves: Moves;
  lastEventId: string | null;
  /** The session or token, so that the stream ends when it is revoked. */
  credential: string;
  /** For limits: the account or token, and the address. In memory only. */
  holders: readonly string[];
  /** False if the store did not answer whether the credential is valid. Only recent viewers may then continue. */
  checked: boolean;
  /** When the site was created, Unix ms, or 0 if unknown: earlier data belongs to another site with the same key. */
  made: number;
}

function isTagged(message: unknown): boolean {
  return typeof message === 'object' && message !== null && (message as { tag?: unknown }).tag === TAG;
}

/** Returns true for messages of our workers. */
export function isToPrimary(message: unknown): message is ToPrimary {
  return isTagged(message);
}

/** Returns true for messages of our primary. */
export function isToWorker(message: unknown): message is ToWorker {
  return isTagged(message);
}
