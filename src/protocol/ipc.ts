/**
 * Worker ↔ primary. Every message carries the tag, so that anything else on the IPC channel (PM2's, Node's
 * cluster's, a library's) is ignored.
 */

import type { LeaveReason, Visitor } from '../model/visitor.ts';
import type { NumberedChannel } from './channel.ts';
import type { Mark } from './frame.ts';
import type { Past } from './peer.ts';
import type { Moves } from './stream-event.ts';

export const TAG = 'fieldmouse';

/** What a worker tells of a visitor that arrives or comes back. The primary adds the number `v`. */
export type Arrival = Omit<Visitor, 'v'> & { site: string };

/**
 * One thing a worker saw; a batch keeps their order. `n` and `i` number a visitor's events: the frame, and the place in
 * it. Frames of JSON clients are numbered by their time of arrival. A page's numbers grow, so that a frame sent twice
 * shows once.
 */
export type RelayItem =
  /**
   * A visitor asks to be here; answered by a grant. `claim` is the worker's number for the question. `posted`: if it
   * asks by POST, when its token was made, Unix ms; null if it has a socket. `last`: the number of the last frame
   * that its page has made; 0: the page was just loaded.
   */
  | { k: 'claim'; claim: number; arrival: Arrival; posted: number | null; last: number }
  /** The visitor's page was just loaded and numbers its frames from `n` on. */
  | { k: 'begin'; v: number; n: number }
  | { k: 'page'; v: number; n: number; i: number; t: number; page: string; origin: string; size: Visitor['size'] }
  | { k: 'view'; v: number; t: number; size: Visitor['size']; hidden: boolean; label: string }
  | { k: 'click'; v: number; n: number; i: number; t: number; page: string; click: ClickData }
  /** A click on an earlier page of a visitor, which may be with another worker, or gone. */
  | ({ k: 'late' } & LateClick)
  /** Text for `m` of a moves event: rendered once, copied to every subscriber. `n` samples. */
  | { k: 'moves'; c: number; t: number; text: string; n: number }
  | { k: 'scroll'; c: number; t: number; text: string }
  /**
   * The connection that was let in by this claim ended at `t`; `n` is the last frame taken. `t`, and the time
   * `last` of the visitor's last event, are Unix ms.
   */
  | { k: 'gone'; v: number; claim: number; n: number; t: number; last: number; reason: DisconnectReason };

/** A click without its type. */
export type ClickData = Omit<Extract<Mark, { type: 'click' }>, 'type'>;

/** A click that arrives after its visitor has gone to another page. `n` and `i` as above. */
export interface LateClick {
  site: string;
  /** The visitor's. */
  id: string;
  n: number;
  i: number;
  /** Unix ms. */
  t: number;
  page: string;
  click: ClickData;
}

/**
 * More frames than any page makes: at 60 a second they would take three days. The frame numbers of a visitor's pages
 * are at least this far apart.
 */
export const PAGE_NUMBERS = 2 ** 24;

/** `moved`: given up to another connection of the same visitor. */
export type DisconnectReason = LeaveReason | 'moved';

export type ToPrimary = { tag: typeof TAG } & (
  | { k: 'listening'; addresses: string[] }
  | { k: 'failed'; code: string; message: string }
  /** Once a second: this worker's event loop runs, and how late at the worst, ms. `memory`: bytes that are its own. */
  | { k: 'beat'; memory: number; delayMs: number; troubles: readonly TroubleName[] }
  | { k: 'batch'; items: RelayItem[] }
  /**
   * Once a second, per site. `rows` is flat: `v, x, y, frame, samples` of each visitor that did something; x and
   * y are null while it has no place on its page.
   */
  | { k: 'seen'; sites: SeenSite[]; flushMs: number }
  /**
   * Events of these sites had to be left out, and their streams are reset. `visitors` are all of this worker, but
   * for those whose claims are `pending`.
   */
  | { k: 'sync'; sites: string[]; visitors: (Arrival & { v: number; n: number })[]; pending: number[] }
  /** Comes with the socket of the response. `past` is also of machines that are not there any more; null where there is only one. */
  | { k: 'stream'; request: StreamRequest; past: Past | null }
  /** Who is on each page of a site now? `ask` is the worker's number for the question. */
  | { k: 'ask'; ask: number; site: string }
  /** What keeps this server from working as it should? An answer also says that the primary runs. */
  | { k: 'health'; ask: number }
  /** What do all processes tell of themselves, as Prometheus reads it? */
  | { k: 'scrape'; ask: number }
  /** What this worker tells of itself; `ask` is the primary's number for its question, 0 for last words. */
  | { k: 'measured'; ask: number; metrics: readonly object[] }
);

/**
 * Why a server is degraded. redis-away: Redis does not answer · store-lost: Redis has lost its data, or holds another store · redis-evicts: Redis
 * may throw away what was acked · store-full: the disk, the cap or Redis' memory is full · disk-error: the disk takes no writes for another
 * reason · not-stored: frames cannot be stored for another reason
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
} /** Flat: `claim, v, frame, last` of each visitor let in; frame −1: nothing is known of its page. */ & (
  | { k: 'grants'; grants: number[] }
  /** Another connection claims this visitor: close the one that this claim let in and say `gone`. */
  | { k: 'release'; v: number; claim: number }
  | { k: 'watch'; channel: NumberedChannel }
  | { k: 'unwatch'; no: number }
  /** Render the latest position of every visitor of this channel into the next batch. */
  | { k: 'refresh'; no: number }
  /** At most MAX_PAGES_TOLD pages, the fullest. */
  | { k: 'answer'; ask: number; pages: [page: string, visitors: number][] }
  | { k: 'measure'; ask: number }
  | { k: 'scraped'; ask: number; text: string }
  | { k: 'healthy'; ask: number; troubles: readonly TroubleName[] }
  | { k: 'drain'; reason: 'restart' | 'stop' }
);

export const MAX_PAGES_TOLD = 1000;

/** A request for a stream, and by whom. */
export interface StreamRequest {
  site: string;
  page: string | null;
  visitor: string | null;
  /** Moves of this page only, everything else of the whole site. */
  stage: string | null;
  moves: Moves;
  lastEventId: string | null;
  /** Names the session or token, so that the stream ends when it is revoked. */
  credential: string;
  /** Who has the stream, for limits: an account or a token, and an address. In memory only. */
  holders: readonly string[];
  /** False: the store did not answer whether the credential opens this. Then only who looks on already may go on. */
  checked: boolean;
  /** When the site was made, Unix ms, or 0 where that is not known: what was before is of another one of its key. */
  made: number;
}

function isTagged(message: unknown): boolean {
  return typeof message === 'object' && message !== null && (message as { tag?: unknown }).tag === TAG;
}

/** True for what a worker of ours sent. */
export function isToPrimary(message: unknown): message is ToPrimary {
  return isTagged(message);
}

/** True for what our primary sent. */
export function isToWorker(message: unknown): message is ToWorker {
  return isTagged(message);
}
