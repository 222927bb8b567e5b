/**
 * A worker's side of the way to the primary: collects what the visitors did and sends it as one IPC
 * message per tick. When the primary does not keep up, batches wait and grow; when one is full, moves give way (each
 * visitor's latest stays); when there are too many events, the primary is given the whole list anew.
 */
import { getOrInsert } from '../lib/get-or-insert.ts';
import type { NumberedChannel } from '../protocol/channel.ts';
import type { Arrival, LateClick, RelayItem, SeenSite, ToPrimary } from '../protocol/ipc.ts';
import { TAG } from '../protocol/ipc.ts';
import { ChannelBuffer } from './channel-buffer.ts';
import { Trace } from './trace.ts';

/** One batch per tick, milliseconds. */
const TICK_MS = 16;
const REPORT_MS = 1000;
/** Batches handed to the operating system and not yet taken; with so many, the next one waits. */
const MAX_IN_FLIGHT = 4;
/** Events that wait for the primary before they are given up for a resync. */
const MAX_ITEMS = 20_000;
/** Rendered text that waits for the primary, above which moves give way, bytes. */
const MAX_WAITING_TEXT = 1024 * 1024;
/** An unanswered claim ends after this, milliseconds. */
const CLAIM_TIMEOUT_MS = 10_000;

export interface RelayOptions {
  /** Sends one message; calls back when the operating system has taken it. */
  send(message: ToPrimary, taken: () => void): void;
  /** The pace now, for the report. */
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
  readonly #buffers = new Map<number, ChannelBuffer>();
  /** Sites that a lane is of. */
  #watched: ReadonlySet<string> = new Set();
  readonly #traces = new Map<number, Trace>();
  readonly #claims = new Map<number, OpenClaim>();
  readonly #reporting = new Set<Trace>();
  readonly #counts = new Map<string, { samples: number; drops: number }>();
  /** Their number is bounded by the limits of connections, so they are never given up. */
  #newClaims: RelayItem[] = [];
  #items: RelayItem[] = [];
  /** Of these, the text of moves and scrolls, bytes. */
  #waitingText = 0;
  #base = 0;
  #inFlight = 0;
  /** Ticks at which the batch had to wait, and the longest that a message waited since that was read last, ms. */
  #held = 0;
  #longestMs = 0;
  /** Sites that events wait of, and sites whose events were given up. */
  readonly #waitingSites = new Set<string>();
  readonly #lost = new Set<string>();
  /** Events were given up: the primary needs the list of all visitors, also if no site is known for what was dropped. */
  #isIncomplete = false;
  #lastClaim = 0;
  #tick: NodeJS.Timeout | undefined;
  readonly #report: NodeJS.Timeout;

  constructor(options: RelayOptions) {
    this.#options = options;
    this.#report = setInterval(() => this.#sendReport(), REPORT_MS);
  }

  /** True while the primary does not keep up. */
  get saturated(): boolean {
    return this.#inFlight >= MAX_IN_FLIGHT;
  }

  /** True while more moves may be rendered; otherwise only the latest positions are kept. */
  get hasRoom(): boolean {
    return this.#waitingText < MAX_WAITING_TEXT;
  }

  /**
   * Asks the primary to let a visitor in, new or coming back. Resolves with its trace, or undefined when the
   * visitor was let in elsewhere meanwhile or the primary did not answer in time. `posted` and `last` as in the claim's
   * message.
   */
  claim(arrival: Arrival, posted: number | null, last = 0): Promise<Trace | undefined> {
    this.#lastClaim += 1;
    const claim = this.#lastClaim;
    return new Promise((resolve) => {
      this.#claims.set(claim, { arrival, resolve, deadline: performance.now() + CLAIM_TIMEOUT_MS });
      this.#newClaims.push({ k: 'claim', claim, arrival, posted, last });
      this.arm();
    });
  }

  /** Takes the primary's answers: flat `claim, v, frame, last`; v = 0 refuses. */
  grant(grants: readonly number[]): void {
    for (let i = 0; i + 3 < grants.length; i += 4) {
      const [no, v, frame, last] = grants.slice(i, i + 4) as [number, number, number, number];
      const claim = this.#claims.get(no);
      this.#claims.delete(no);
      if (v === 0) claim?.resolve(undefined);
      else if (claim) claim.resolve(this.#add(new Trace(this, v, frame, last, no, claim.arrival)));
      // Nobody waits any more: the primary must not keep a visitor that is not here.
      else this.push({ k: 'gone', v, claim: no, n: frame, t: Date.now(), last, reason: 'lost' }, '');
    }
  }

  #add(trace: Trace): Trace {
    this.#traces.set(trace.v, trace);
    return trace;
  }

  /** The primary gives this visitor to another connection than the one that this claim let in. */
  release(v: number, claim: number): void {
    const trace = this.#traces.get(v);
    if (trace?.claim === claim) trace.released = true;
  }

  watch(channel: NumberedChannel): void {
    this.#buffers.set(channel.no, new ChannelBuffer(channel));
    this.#onChannels();
  }

  unwatch(no: number): void {
    this.#buffers.delete(no);
    this.#onChannels();
  }

  #onChannels(): void {
    this.version += 1;
    this.#watched = new Set([...this.#buffers.values()].map(({ channel }) => channel.site));
  }

  /** Renders the latest position of every visitor of this channel into the next batch. */
  refresh(no: number): void {
    const buffer = this.#buffers.get(no);
    if (!buffer || buffer.channel.moves === 'none') return;
    for (const trace of this.#traces.values()) {
      const { site, page, id } = trace.arrival;
      if (trace.placed && buffer.shows(site, page, id)) buffer.touch(trace);
    }
    this.arm();
  }

  /** True if any stream shows this site. */
  watched(site: string): boolean {
    return this.#watched.has(site);
  }

  buffersOf({ site, page, id }: Arrival): ChannelBuffer[] {
    return [...this.#buffers.values()].filter(
      (buffer) => buffer.channel.moves !== 'none' && buffer.shows(site, page, id),
    );
  }

  /** Counts samples that were refused, for the site's rates. */
  drop(site: string, n: number): void {
    this.#count(site).drops += n;
  }

  /** Puts a visitor that did something on the next report. */
  report(trace: Trace): void {
    this.#reporting.add(trace);
  }

  forget(trace: Trace): void {
    if (this.#reporting.delete(trace)) this.#count(trace.arrival.site).samples += trace.samples;
    // A visitor that came back to this worker has another trace by the same number.
    if (this.#traces.get(trace.v) === trace) this.#traces.delete(trace.v);
  }

  /** Adds an event of a site; the site is empty if it is not known. */
  push(item: RelayItem, site: string): void {
    if (this.#items.length >= MAX_ITEMS) this.#overflow();
    this.#items.push(item);
    if (site !== '') this.#waitingSites.add(site);
    this.arm();
  }

  /** A click on a page that its visitor has left, wherever that is now. */
  late(click: LateClick): void {
    if (this.watched(click.site)) this.push({ k: 'late', ...click }, click.site);
  }

  /** Gives up the events that wait: their sites begin anew from what is here now. */
  #overflow(): void {
    for (const site of this.#waitingSites) this.#lost.add(site);
    this.#isIncomplete = true;
    this.#clearItems();
  }

  #clearItems(): void {
    this.#items = [];
    this.#waitingSites.clear();
    this.#waitingText = 0;
  }

  /** The time that offsets in the present batch count from, Unix ms. */
  base(): number {
    if (this.#base === 0) this.#base = Date.now();
    return this.#base;
  }

  /** Sees to it that a tick comes; in all workers at the same time, so that the primary writes their batches at once. */
  arm(): void {
    this.#tick ??= setTimeout(() => this.#onTick(), TICK_MS - (Date.now() % TICK_MS));
  }

  flushLanes(buffers: Iterable<ChannelBuffer>): void {
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
    if (this.saturated) this.#held += 1;
    else this.#sendBatch();
    if (this.#pending()) this.arm();
  }

  #pending(): boolean {
    if (this.#items.length > 0 || this.#newClaims.length > 0 || this.#isIncomplete) return true;
    for (const buffer of this.#buffers.values()) if (buffer.pending) return true;
    return false;
  }

  #sendBatch(): void {
    if (this.#isIncomplete) this.#sync();
    const items = this.#takeItems();
    if (items.length > 0) this.#send({ tag: TAG, k: 'batch', items });
  }

  #takeItems(): RelayItem[] {
    this.flushLanes(this.#buffers.values());
    const items = [...this.#newClaims, ...this.#items];
    this.#newClaims = [];
    this.#clearItems();
    this.#base = 0;
    return items;
  }

  #sync(): void {
    const sites = [...this.#lost];
    this.#lost.clear();
    this.#isIncomplete = false;
    const visitors = [...this.#traces.values()].map((t) => ({ ...t.arrival, at: t.at, v: t.v, n: t.frame }));
    this.#send({ tag: TAG, k: 'sync', sites, visitors, pending: [...this.#claims.keys()] });
  }

  #send(message: ToPrimary): void {
    this.#inFlight += 1;
    const sentAt = performance.now();
    this.#options.send(message, () => {
      this.#inFlight -= 1;
      this.#longestMs = Math.max(this.#longestMs, performance.now() - sentAt);
    });
  }

  /** How it keeps up: see metrics/worker-metrics.ts. */
  figures(): { inFlight: number; queued: number; held: number; ipcDelayMs: number } {
    const ipcDelayMs = this.#longestMs;
    this.#longestMs = 0;
    return {
      inFlight: this.#inFlight,
      queued: this.#items.length + this.#newClaims.length,
      held: this.#held,
      ipcDelayMs,
    };
  }

  #count(site: string) {
    return getOrInsert(this.#counts, site, () => ({ samples: 0, drops: 0 }));
  }

  #sendReport(): void {
    this.#expireClaims();
    // A saturated channel gets the report a second later, with both seconds' counts.
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

  /** Sends what waits and stops the timers. Resolves when the operating system has taken it, at most after a second. */
  async close(): Promise<void> {
    clearInterval(this.#report);
    clearTimeout(this.#tick);
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
