/**
 * A worker's side of the path to the primary: collects what the visitors did and sends it as one IPC message per tick.
 * While the primary does not keep up, batches wait and grow. When a batch is full, moves are skipped except each
 * visitor's latest. When there are too many events, they are dropped and the primary gets the whole list of visitors.
 */
import { getOrInsert } from '../lib/get-or-insert.ts';
import { isTurning, PunctualTimer } from '../lib/punctual-timer.ts';
import type { NumberedChannel } from '../protocol/channel.ts';
import { type Arrival, type LateMark, type RelayItem, type SeenSite, TAG, type ToPrimary } from '../protocol/ipc.ts';
import type { ChannelBuffer } from './channel-buffer.ts';
import { ChannelIndex } from './channel-index.ts';
import { Trace } from './trace.ts';

/** One batch per tick, milliseconds. */
const TICK_MS = 16;
const REPORT_MS = 1000;
/** Maximum number of batches that the operating system has not accepted yet. With this many, the next batch waits. */
const MAX_IN_FLIGHT = 4;
/** The same while the event loop does not turn: Node then does not say what the operating system has accepted. */
const MAX_UNREPORTED = 32;
/** Maximum number of events that wait for the primary. Above it they are dropped, and a resync follows. */
const MAX_ITEMS = 20_000;
/** Above this size of waiting text moves are skipped, bytes. */
const MAX_WAITING_TEXT = 1024 * 1024;
/** A claim without an answer fails after this time, milliseconds. */
const CLAIM_TIMEOUT_MS = 10_000;

export interface RelayOptions {
  /** Sends one message. `taken` is called when the operating system has accepted it. */
  send(message: ToPrimary, taken: () => void): void;
  /** The current flush interval, for the report. */
  flushMs(): number;
}

interface OpenClaim {
  arrival: Arrival;
  resolve(trace: Trace | undefined): void;
  deadline: number;
}

export class Relay {
  /** Grows whenever the channels change. */
  version = 0;
  readonly #options: RelayOptions;
  readonly #channels = new ChannelIndex();
  readonly #traces = new Map<number, Trace>();
  readonly #claims = new Map<number, OpenClaim>();
  readonly #reporting = new Set<Trace>();
  readonly #counts = new Map<string, { samples: number; drops: number }>();
  /** Never dropped: their number is bounded by the connection limits. */
  #newClaims: RelayItem[] = [];
  #items: RelayItem[] = [];
  /** The part of #items that is text of moves and scrolls, bytes. */
  #waitingText = 0;
  #baseTime = 0;
  #inFlight = 0;
  /**
   * The number of ticks at which the batch had to wait, and the longest wait of a message since the last figures(), ms.
   */
  #delayedTicks = 0;
  #maxIpcMs = 0;
  /** Sites with waiting events, and sites whose events were dropped. */
  readonly #waitingSites = new Set<string>();
  readonly #lostSites = new Set<string>();
  /**
   * Events were dropped: the primary needs the list of all visitors, even if the site of the dropped events is not
   * known.
   */
  #isIncomplete = false;
  #lastClaim = 0;
  #tick: PunctualTimer | undefined;
  #claimsDue: NodeJS.Immediate | undefined;
  readonly #report: PunctualTimer;

  constructor(options: RelayOptions) {
    this.#options = options;
    this.#report = new PunctualTimer(() => this.#sendReport(), REPORT_MS, true);
  }

  /** True while the primary does not keep up. */
  get saturated(): boolean {
    return this.#inFlight >= MAX_IN_FLIGHT && (isTurning() || this.#inFlight >= MAX_UNREPORTED);
  }

  /** True while more moves may be rendered; otherwise only the latest positions are sent. */
  get hasRoom(): boolean {
    return this.#waitingText < MAX_WAITING_TEXT;
  }

  /**
   * Asks the primary to let a visitor in, a new one or one that comes back. Resolves with its trace, or with undefined
   * if the visitor was let in elsewhere meanwhile or the primary did not answer in time. `posted` and `last` are fields
   * of the claim message.
   */
  claim(arrival: Arrival, posted: number | null, last = 0): Promise<Trace | undefined> {
    this.#lastClaim += 1;
    const claim = this.#lastClaim;
    return new Promise((resolve) => {
      this.#claims.set(claim, { arrival, resolve, deadline: performance.now() + CLAIM_TIMEOUT_MS });
      this.#newClaims.push({ k: 'claim', claim, arrival, posted, last });
      this.#claimsDue ??= setImmediate(() => this.#sendClaims());
    });
  }

  /** Claims do not wait for the tick: a visitor, or the response to a POST, is waiting for the answer. */
  #sendClaims(): void {
    this.#claimsDue = undefined;
    if (this.saturated) {
      this.arm();
      return;
    }
    const items = this.#newClaims;
    this.#newClaims = [];
    if (items.length > 0) this.#send({ tag: TAG, k: 'batch', items });
  }

  /** Handles the primary's answers: flat `claim, v, frame, last`; v = 0 refuses. */
  grant(grants: readonly number[]): void {
    for (let i = 0; i + 3 < grants.length; i += 4) {
      const [no, v, frame, last] = grants.slice(i, i + 4) as [number, number, number, number];
      const claim = this.#claims.get(no);
      this.#claims.delete(no);
      if (v === 0) claim?.resolve(undefined);
      else if (claim) claim.resolve(this.#add(new Trace(this, v, frame, last, no, claim.arrival)));
      // The claim has timed out: tell the primary that the visitor is not here.
      else this.push({ k: 'gone', v, claim: no, n: frame, t: Date.now(), last, reason: 'lost' }, '');
    }
  }

  #add(trace: Trace): Trace {
    this.#traces.set(trace.v, trace);
    return trace;
  }

  /** The primary gives the visitor of this claim to another connection. */
  release(v: number, claim: number): void {
    const trace = this.#traces.get(v);
    if (trace?.claim === claim) trace.released = true;
  }

  watch(channel: NumberedChannel): void {
    this.#channels.add(channel);
    this.version += 1;
  }

  unwatch(no: number): void {
    this.#channels.remove(no);
    this.version += 1;
  }

  /** Renders the latest position of every visitor of this channel into the next batch. */
  refresh(no: number): void {
    const buffer = this.#channels.get(no);
    if (!buffer || buffer.channel.moves === 'none') return;
    for (const trace of this.#traces.values()) {
      const { site, page, id } = trace.arrival;
      if (trace.placed && buffer.shows(site, page, id)) buffer.touch(trace);
    }
    this.arm();
  }

  /** True if any stream shows this site. */
  watched(site: string): boolean {
    return this.#channels.hasSite(site);
  }

  buffersOf(arrival: Arrival): readonly ChannelBuffer[] {
    return this.#channels.buffersOf(arrival);
  }

  /** Counts rejected samples for the site's rates. */
  drop(site: string, n: number): void {
    this.#count(site).drops += n;
  }

  /** Includes an active visitor in the next report. */
  report(trace: Trace): void {
    this.#reporting.add(trace);
  }

  forget(trace: Trace): void {
    if (this.#reporting.delete(trace)) this.#count(trace.arrival.site).samples += trace.samples;
    // A visitor that came back to this worker has another trace with the same number.
    if (this.#traces.get(trace.v) === trace) this.#traces.delete(trace.v);
  }

  /** Adds an event of a site; an empty site means unknown. */
  push(item: RelayItem, site: string): void {
    if (this.#items.length >= MAX_ITEMS) this.#dropQueue();
    this.#items.push(item);
    if (site !== '') this.#waitingSites.add(site);
    this.arm();
  }

  /** Adds a mark on a page that its visitor has already left. */
  late(mark: LateMark): void {
    if (this.watched(mark.site)) this.push({ k: 'late', ...mark }, mark.site);
  }

  /** Drops the waiting events. Streams of their sites restart with the current state. */
  #dropQueue(): void {
    for (const site of this.#waitingSites) this.#lostSites.add(site);
    this.#isIncomplete = true;
    this.#clearItems();
  }

  #clearItems(): void {
    this.#items = [];
    this.#waitingSites.clear();
    this.#waitingText = 0;
  }

  /** The time that offsets in the current batch count from, Unix ms. */
  base(): number {
    if (this.#baseTime === 0) this.#baseTime = Date.now();
    return this.#baseTime;
  }

  /** Schedules a tick. All workers tick at the same time, so that the primary writes their batches at once. */
  arm(): void {
    this.#tick ??= new PunctualTimer(() => this.#onTick(), TICK_MS - (Date.now() % TICK_MS));
  }

  flushBuffers(buffers: Iterable<ChannelBuffer>): void {
    const before = this.#items.length;
    for (const buffer of buffers) {
      const length = this.#items.length;
      buffer.flush(this.#items, this.base());
      if (this.#items.length > length) this.#waitingSites.add(buffer.channel.site);
    }
    for (let i = before; i < this.#items.length; i++) this.#waitingText += textOf(this.#items[i] as RelayItem).length;
  }

  #onTick(): void {
    this.#tick = undefined;
    if (this.saturated) this.#delayedTicks += 1;
    else this.#sendBatch();
    if (this.#pending()) this.arm();
  }

  #pending(): boolean {
    if (this.#items.length > 0 || this.#newClaims.length > 0 || this.#isIncomplete) return true;
    for (const buffer of this.#channels.values()) if (buffer.pending) return true;
    return false;
  }

  #sendBatch(): void {
    if (this.#isIncomplete) this.#sync();
    const items = this.#takeItems();
    if (items.length > 0) this.#send({ tag: TAG, k: 'batch', items });
  }

  #takeItems(): RelayItem[] {
    this.flushBuffers(this.#channels.values());
    const items = [...this.#newClaims, ...this.#items];
    this.#newClaims = [];
    this.#clearItems();
    this.#baseTime = 0;
    return items;
  }

  #sync(): void {
    const sites = [...this.#lostSites];
    this.#lostSites.clear();
    this.#isIncomplete = false;
    const visitors = [...this.#traces.values()].map((t) => ({ ...t.arrival, at: t.at, v: t.v, n: t.frame }));
    this.#send({ tag: TAG, k: 'sync', sites, visitors, pending: [...this.#claims.keys()] });
  }

  #send(message: ToPrimary): void {
    this.#inFlight += 1;
    const sentAt = performance.now();
    this.#options.send(message, () => {
      this.#inFlight -= 1;
      this.#maxIpcMs = Math.max(this.#maxIpcMs, performance.now() - sentAt);
    });
  }

  /** How well the relay keeps up: see metrics/worker-metrics.ts. */
  figures(): { inFlight: number; queued: number; held: number; ipcDelayMs: number } {
    const ipcDelayMs = this.#maxIpcMs;
    this.#maxIpcMs = 0;
    return {
      inFlight: this.#inFlight,
      queued: this.#items.length + this.#newClaims.length,
      held: this.#delayedTicks,
      ipcDelayMs,
    };
  }

  #count(site: string) {
    return getOrInsert(this.#counts, site, () => ({ samples: 0, drops: 0 }));
  }

  #sendReport(): void {
    this.#expireClaims();
    // A saturated channel gets the report a second later, with the counts of both seconds.
    if (this.saturated) return;
    const sites = this.#collectReport();
    if (sites.length > 0) this.#send({ tag: TAG, k: 'seen', sites, flushMs: this.#options.flushMs() });
  }

  #collectReport(): SeenSite[] {
    const sites = new Map<string, SeenSite>();
    const of = (site: string) => getOrInsert(sites, site, (): SeenSite => ({ site, samples: 0, drops: 0, rows: [] }));
    for (const [site, { samples, drops }] of this.#counts) {
      const seen = of(site);
      seen.samples += samples;
      seen.drops += drops;
    }
    for (const trace of this.#reporting) {
      const seen = of(trace.arrival.site);
      seen.samples += trace.samples;
      const [x, y] = trace.placed ? [trace.x, trace.y] : [null, null];
      seen.rows.push(trace.v, x, y, trace.frame, trace.samples);
      trace.samples = 0;
    }
    this.#counts.clear();
    this.#reporting.clear();
    return [...sites.values()];
  }

  #expireClaims(): void {
    const now = performance.now();
    for (const [no, claim] of this.#claims) {
      if (claim.deadline > now) break;
      this.#claims.delete(no);
      claim.resolve(undefined);
    }
  }

  /**
   * Sends what is waiting and stops the timers. Resolves when the operating system has accepted it, at most after a
   * second.
   */
  async close(): Promise<void> {
    this.#report.stop();
    this.#tick?.stop();
    clearImmediate(this.#claimsDue);
    this.#tick = undefined;
    if (this.#isIncomplete) this.#sync();
    const items = this.#takeItems();
    await new Promise<void>((resolve) => {
      setTimeout(resolve, 1000).unref();
      this.#options.send({ tag: TAG, k: 'batch', items }, resolve);
    });
  }
}

function textOf(item: RelayItem): string {
  return 'text' in item ? item.text : '';
}
