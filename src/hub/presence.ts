/**
 * The one authority on which visitors are present. Workers ask it to let a visitor in, and it knows which worker has
 * each visitor. A visitor whose connection has ended stays for a grace period, in which it may come back on any worker.
 */
import { getOrInsert } from '../lib/get-or-insert.ts';
import type { LeaveReason } from '../model/visitor.ts';
import type { Arrival, RelayItem } from '../protocol/ipc.ts';
import type { Share } from '../protocol/peer.ts';
import { DepartedNumbers } from './departed-numbers.ts';
import { LastMinute } from './last-minute.ts';
import { ShownFrames } from './shown-frames.ts';
import type { SitePresence } from './site-presence.ts';

/**
 * Grace period after a tab has announced that it closes, milliseconds. Long enough for the site's next page to take
 * over.
 */
const CLOSED_GRACE_MS = 1500;
/** How long the current connection of a claimed visitor may take to release it, milliseconds. */
const RELEASE_LIMIT_MS = 500;
/** Maximum number of visitors in their grace period. Above it the oldest leave at once. */
const MAX_LEAVING = 50_000;

type Claim = Extract<RelayItem, { k: 'claim' }>;

interface Waiting {
  worker: number;
  claim: Claim;
  deadline: number;
}

export interface PresenceEvents {
  join(present: SitePresence): void;
  /** A visitor came back, on another page or with another window size. */
  back(present: SitePresence, arrival: Arrival): void;
  leave(present: SitePresence, reason: LeaveReason): void;
  /** Answers a worker's claim. v = 0 refuses it. frame = -1: nothing is known of the visitor's page. */
  grant(worker: number, claim: number, v: number, frame: number, lastTime: number): void;
  /** Asks a worker to close the connection that was let in by this claim. */
  release(worker: number, v: number, claim: number): void;
}

export class Presence {
  readonly #events: PresenceEvents;
  readonly #graceMs: number;
  readonly #share: Share;
  readonly #byV = new Map<number, SitePresence>();
  readonly #byId = new Map<string, SitePresence>();
  readonly #bySite = new Map<string, Set<SitePresence>>();
  readonly #departed = new DepartedNumbers();
  readonly #leaving = new Map<SitePresence, { at: number; reason: LeaveReason }>();
  readonly #waiting = new Map<SitePresence, Waiting>();
  #lastV = 0;

  constructor(graceMs: number, share: Share, events: PresenceEvents) {
    this.#graceMs = graceMs;
    this.#share = share;
    this.#events = events;
  }

  get size(): number {
    return this.#byV.size;
  }

  get(v: number): SitePresence | undefined {
    return this.#byV.get(v);
  }

  /** The visitor with this id, if it is present. */
  find(id: string): SitePresence | undefined {
    return this.#byId.get(id);
  }

  /** The visitors of a site. */
  of(site: string): ReadonlySet<SitePresence> {
    return this.#bySite.get(site) ?? NO_VISITORS;
  }

  sites(): Iterable<string> {
    return this.#bySite.keys();
  }

  /** Handles a worker's request to let a visitor in. */
  claim(worker: number, claim: Claim, now: number): void {
    const present = this.#byId.get(claim.arrival.id);
    if (!present) {
      this.#add(worker, claim, now);
    } else if (present.worker === 0) {
      this.#admit(present, { worker, claim }, now);
    } else if (claim.posted !== null && this.#isStale(claim.posted, present)) {
      this.#events.grant(worker, claim.claim, 0, 0, 0);
    } else {
      this.#supersede(present);
      this.#waiting.set(present, { worker, claim, deadline: performance.now() + RELEASE_LIMIT_MS });
      this.#events.release(present.worker, present.visitor.v, present.claim);
    }
  }

  /**
   * The last POST of a page may arrive after the next page's socket, and must not take the visitor away from it. A
   * token is issued when its connection is let in, so an older token belongs to an earlier page.
   */
  #isStale(posted: number, present: SitePresence): boolean {
    return posted < present.socketSince || this.#waiting.get(present)?.claim.posted === null;
  }

  #add(worker: number, claim: Claim, now: number): void {
    this.#lastV += 1;
    const v = this.#lastV * this.#share.slots + this.#share.slot;
    const present = this.#insert(worker, claim, v, now);
    this.#events.join(present);
    this.#grant(present, worker, claim);
  }

  /**
   * Answers a claim. A page that reconnects gets the number of its own last accepted frame. A page that was just loaded
   * gets the number of the visitor's last frame on any page.
   */
  #grant({ visitor, shown, frame, lastTime }: SitePresence, worker: number, { claim, last }: Claim): void {
    const received = last > 0 ? (shown.lastBefore(last) ?? -1) : frame;
    this.#events.grant(worker, claim, visitor.v, received, lastTime);
  }

  #insert(worker: number, { claim, arrival, posted }: Claim, v: number, now: number): SitePresence {
    const { site, ...rest } = arrival;
    const owner = { worker, claim, socketSince: socketSince(posted, now), letInAt: now };
    const former = this.#departed.take(arrival.id) ?? { frame: 0, lastTime: 0, shown: new ShownFrames() };
    const { frame, lastTime, shown } = former;
    const lastMinute = new LastMinute();
    const present: SitePresence = { visitor: { v, ...rest }, site, ...owner, frame, lastTime, shown, lastMinute };
    this.#byV.set(v, present);
    this.#byId.set(arrival.id, present);
    getOrInsert(this.#bySite, site, () => new Set<SitePresence>()).add(present);
    return present;
  }

  #admit(present: SitePresence, { worker, claim }: Omit<Waiting, 'deadline'>, now: number): void {
    this.#leaving.delete(present);
    this.#waiting.delete(present);
    const owner = { worker, claim: claim.claim, socketSince: socketSince(claim.posted, now), letInAt: now };
    Object.assign(present, owner);
    this.#events.back(present, claim.arrival);
    this.#grant(present, worker, claim);
  }

  /**
   * Another node let this visitor in at `at`. If that was later than here, the visitor is removed here. Returns false
   * if it came here later.
   */
  yield(id: string, at: number): boolean {
    const present = this.#byId.get(id);
    if (!present) return true;
    if (present.letInAt >= at || this.#waiting.has(present)) return false;
    if (present.worker !== 0) this.#events.release(present.worker, present.visitor.v, present.claim);
    this.#remove(present, 'lost');
    return true;
  }

  /** If two connections wait for the same visitor, the later one gets it. */
  #supersede(present: SitePresence): void {
    const earlier = this.#waiting.get(present);
    if (earlier) this.#events.grant(earlier.worker, earlier.claim.claim, 0, 0, 0);
  }

  /** A worker's connection ended. Ignored if the visitor has been given to another connection. */
  disconnected(worker: number, { v, claim, n, last, reason }: Extract<RelayItem, { k: 'gone' }>, now: number): void {
    const present = this.#byV.get(v);
    if (present?.worker !== worker || present.claim !== claim) return;
    this.noteTaken(present, n);
    present.lastTime = Math.max(present.lastTime, last);
    this.#detach(present, reason === 'moved' ? 'lost' : reason, now);
  }

  /** Records that frames up to `n` of the visitor's current page were accepted. -1: unknown. */
  noteTaken(present: SitePresence, n: number): void {
    if (n <= 0) return;
    present.frame = Math.max(present.frame, n);
    present.shown.take(n);
  }

  /** A worker died: the grace period of its visitors starts. */
  workerExit(worker: number, now: number): void {
    // First of all, so that no claim of the dead worker is granted.
    for (const [present, waiting] of this.#waiting) if (waiting.worker === worker) this.#waiting.delete(present);
    for (const present of this.#byV.values()) if (present.worker === worker) this.#detach(present, 'lost', now);
  }

  #detach(present: SitePresence, reason: LeaveReason, now: number): void {
    present.worker = 0;
    const waiting = this.#waiting.get(present);
    if (waiting) this.#admit(present, waiting, now);
    else if (reason === 'refused') this.#remove(present, reason);
    else this.#startGrace(present, reason);
  }

  #startGrace(present: SitePresence, reason: LeaveReason): void {
    const grace = reason === 'closed' ? Math.min(CLOSED_GRACE_MS, this.#graceMs) : this.#graceMs;
    this.#leaving.set(present, { at: performance.now() + grace, reason });
    if (this.#leaving.size > MAX_LEAVING) this.#removeOldestLeaving();
  }

  #removeOldestLeaving(): void {
    const [oldest] = this.#leaving;
    if (oldest) this.#remove(oldest[0], oldest[1].reason);
  }

  #remove(present: SitePresence, reason: LeaveReason): void {
    this.#leaving.delete(present);
    this.#byV.delete(present.visitor.v);
    this.#byId.delete(present.visitor.id);
    const siteVisitors = this.#bySite.get(present.site);
    siteVisitors?.delete(present);
    if (siteVisitors?.size === 0) this.#bySite.delete(present.site);
    this.#departed.add(present.visitor.id, present);
    this.#events.leave(present, reason);
  }

  /** Removes visitors whose grace period is over, and grants claims whose release was not answered in time. */
  sweep(now: number): void {
    // Not `now`: the system clock may be changed, and grace periods must not change with it.
    const monotonic = performance.now();
    this.#departed.sweep();
    for (const [present, { at, reason }] of this.#leaving) if (at <= monotonic) this.#remove(present, reason);
    for (const [present, waiting] of this.#waiting)
      if (waiting.deadline <= monotonic) this.#admit(present, waiting, now);
  }

  /** A worker that had to skip events sends the list of all its visitors. */
  sync(
    worker: number,
    visitors: readonly (Arrival & { v: number; n: number })[],
    pending: readonly number[],
    now: number,
  ): void {
    const reported = new Set(visitors.map(({ v }) => v));
    const pendingClaims = new Set(pending);
    for (const present of this.#byV.values())
      if (present.worker === worker && !reported.has(present.visitor.v) && !pendingClaims.has(present.claim))
        this.#detach(present, 'lost', now);
    for (const { v, n, site, ...visitor } of visitors) {
      const present = this.#byV.get(v);
      if (present?.worker !== worker || present.site !== site) continue;
      present.visitor = { v, ...visitor };
      this.noteTaken(present, n);
    }
  }
}

/** When a connection that is let in now got its socket; 0 for POST. */
function socketSince(posted: number | null, now: number): number {
  return posted === null ? now : 0;
}

const NO_VISITORS: ReadonlySet<SitePresence> = new Set();
