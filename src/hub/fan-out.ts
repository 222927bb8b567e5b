/**
 * Writes one event to many streams: gives the event an id, buffers it for streams that reconnect, and writes the same
 * bytes to every subscriber that shows it.
 */
import { randomBytes } from 'node:crypto';
import type { Socket } from 'node:net';
import { countUp } from '../lib/count.ts';
import { getOrInsert } from '../lib/get-or-insert.ts';
import { TurnQueue } from '../lib/turn-queue.ts';
import type { Channel } from '../protocol/channel.ts';
import { type StreamRequest, TAG, type ToWorker } from '../protocol/ipc.ts';
import type { PeerEvent, Scope } from '../protocol/peer.ts';
import {
  eventId,
  eventText,
  HEARTBEAT,
  parseEventId,
  type ResetReason,
  type StreamEventName,
  type StreamEvents,
} from '../protocol/stream-event.ts';
import { endWithProblem, STORE_AWAY } from '../server/raw-problem.ts';
import { Interest, type Watched } from './interest.ts';
import { RecentViewers, type Viewing } from './recent-viewers.ts';
import { type BufferedEvent, ReplayBuffer } from './replay-buffer.ts';
import { SharedSnapshots } from './shared-snapshots.ts';
import { Slabs } from './slabs.ts';
import { StreamQuota, type StreamRefusal } from './stream-quota.ts';
import { Subscriber } from './subscriber.ts';

const REPLAY_BUFFER_BYTES = 32 * 1024 * 1024;
const REPLAY_BUFFER_ENTRIES = 100_000;
/** A reader that has missed more bytes than this starts over: a snapshot is cheaper for both sides. */
const MAX_REPLAY_BYTES = 8 * 1024 * 1024;
/** Maximum time of a turn of the event loop that goes into the start of streams, milliseconds. */
const START_MS = 20;

export interface FanOutOptions {
  maxStreams: number;
  /** Per account, token or address. */
  maxStreamsEach: number;
  /** Sends the message to every worker. */
  tell(message: ToWorker): void;
  /** The whole state that a new reader needs. */
  snapshot(request: StreamRequest): StreamEvents['snapshot'];
  others: Others;
}

/** The way to other nodes, whose streams may show events of this node. */
export interface Others {
  /** The set of channels that are watched on this node has changed. */
  watchedChanged(): void;
  /** A stream of this node needs the latest positions of all visitors in this channel. */
  refresh(key: string): void;
  /** An event of a site that other nodes watch. */
  event(site: string, name: PeerEvent, scope: Scope, json: string): void;
  /** Text that a worker has rendered for a channel that other nodes watch. */
  rendered(site: string, key: string, name: 'moves' | 'scroll', t: number, list: string): void;
}

/** The number of open streams, and totals since the start. See metrics/primary-metrics.ts. */
export interface FanOutFigures {
  streams: number;
  streamBytes: number;
  skipped: number;
  evictions: number;
  resets: ReadonlyMap<string, number>;
}

/** The event field that contains the rendered numbers. */
const LIST_KEY = { moves: 'm', scroll: 's' } as const;

/** A stream opens, gets a new snapshot, or gets a reset with this reason and a new snapshot. */
type Start = ResetReason | 'open' | 'renew';

export const EVERYBODY: Scope = { pages: [], visitor: null };

export class FanOut {
  /**
   * Identifies this run of the primary: event ids of another run are not valid here. It is random, because two nodes
   * may start at the same moment.
   */
  readonly #epoch = randomBytes(6).toString('base64url');
  readonly #options: FanOutOptions;
  readonly #slabs = new Slabs<Subscriber>();
  readonly #replayBuffer = new ReplayBuffer(REPLAY_BUFFER_BYTES, REPLAY_BUFFER_ENTRIES, (bytes) =>
    this.#slabs.drop(bytes),
  );
  readonly #interest: Interest;
  readonly #quota: StreamQuota;
  readonly #subscribers = new Map<Subscriber, Watched>();
  readonly #bySite = new Map<string, Set<Subscriber>>();
  readonly #recentViewers = new RecentViewers();
  readonly #snapshots = new SharedSnapshots();
  /** Streams that wait for their first bytes or for a new snapshot. */
  readonly #starts = new TurnQueue<Subscriber, Start>(START_MS, (subscriber, start) => this.#start(subscriber, start));
  /** Subscribers whose writes are held back until all batches of this turn of the event loop are processed. */
  readonly #corked = new Set<Subscriber>();
  #batching = false;
  #uncorking: NodeJS.Immediate | undefined;
  #seq = 0;
  /** Totals of closed streams. */
  readonly #closedTotals = { streamBytes: 0, skipped: 0, evictions: 0 };
  readonly #resets = new Map<string, number>();

  constructor(options: FanOutOptions) {
    this.#options = options;
    this.#quota = new StreamQuota({ maxStreams: options.maxStreams, maxStreamsEach: options.maxStreamsEach });
    this.#interest = new Interest({ tell: options.tell, changed: () => options.others.watchedChanged() });
  }

  figures(): FanOutFigures {
    let { streamBytes, skipped, evictions } = this.#closedTotals;
    for (const { bytes, skippedTotal } of this.#subscribers.keys()) {
      streamBytes += bytes;
      skipped += skippedTotal;
    }
    return { streams: this.#subscribers.size, streamBytes, skipped, evictions, resets: this.#resets };
  }

  /** The channels that are watched, here or on other nodes. */
  get interest(): Interest {
    return this.#interest;
  }

  /** Sets the complete list of channels that other nodes show. */
  setRemoteChannels(channels: readonly Channel[]): void {
    for (const watched of this.#interest.setRemoteChannels(channels)) this.#refreshHere(watched);
  }

  /** Streams of other nodes need the latest positions of all visitors of this node in this channel. */
  refreshLocally(key: string): void {
    const watched = this.#interest.find(key);
    if (watched) this.#refreshHere(watched);
  }

  /** The messages that tell a new worker which channels are watched. */
  interestMessages(): ToWorker[] {
    return this.#interest.messages();
  }

  /**
   * Runs `work`. What it writes to a subscriber goes out in one system call. Workers tick at the same time, so the
   * batches of other workers that are read in the same turn of the event loop are part of that call.
   */
  batch(work: () => void): void {
    this.#batching = true;
    try {
      work();
    } finally {
      this.#batching = false;
      this.#uncorking ??= setImmediate(() => this.#uncork());
    }
  }

  #hold(subscriber: Subscriber): void {
    if (!this.#batching || this.#corked.has(subscriber)) return;
    this.#corked.add(subscriber);
    subscriber.cork();
  }

  #uncork(): void {
    this.#uncorking = undefined;
    for (const subscriber of this.#corked) subscriber.uncork();
    this.#corked.clear();
    this.#slabs.settle(this.#subscribers.keys());
  }

  /** Publishes a visitor's event. Costs nothing while nobody watches the site: `data` is not even called. */
  publish<N extends PeerEvent>(site: string, name: N, scope: Scope, data: () => StreamEvents[N]): void {
    const there = this.#interest.isWatchedRemotely(site);
    if (!there && !this.#interest.watches(site)) return;
    const json = JSON.stringify(data());
    if (there) this.#options.others.event(site, name, scope, json);
    this.show(site, name, scope, json);
  }

  /** Sends an event of a site to the streams of this node. */
  show(site: string, name: StreamEventName, scope: Scope, json: string): void {
    if (!this.#interest.watches(site)) return;
    const event = this.#record(site, 0, scope, name, json);
    for (const subscriber of this.#bySite.get(site) ?? []) {
      if (!subscriber.wants(event)) continue;
      this.#hold(subscriber);
      subscriber.event(event.bytes);
    }
  }

  /** Passes on moves or scrolls that a worker has rendered for a channel, unchanged. */
  rendered(no: number, name: 'moves' | 'scroll', t: number, list: string): void {
    const watched = this.#interest.get(no);
    if (!watched) return;
    if (watched.isWatchedRemotely) this.#options.others.rendered(watched.site, watched.key, name, t, list);
    if (watched.isWatchedHere) this.#show(watched, name, t, list);
  }

  /** As `rendered`, for text that a worker of another node has rendered. */
  renderedRemotely(key: string, name: 'moves' | 'scroll', t: number, list: string): void {
    const watched = this.#interest.find(key);
    if (watched?.isWatchedHere) this.#show(watched, name, t, list);
  }

  #show(watched: Watched, name: 'moves' | 'scroll', t: number, list: string): void {
    const page = watched.page === null ? '' : `"page":${JSON.stringify(watched.page)},`;
    const json = `{"t":${t},${page}"${LIST_KEY[name]}":[${list}]}`;
    const event = this.#record(watched.site, watched.no, EVERYBODY, name, json);
    for (const subscriber of watched.subscribers) {
      this.#hold(subscriber);
      subscriber.moves(event.bytes);
    }
  }

  #record(site: string, channel: number, scope: Scope, name: StreamEventName, json: string): BufferedEvent {
    this.#seq += 1;
    const bytes = this.#slabs.write(eventText(eventId(this.#epoch, this.#seq), name, json));
    const event: BufferedEvent = { seq: this.#seq, site, channel, ...scope, bytes };
    this.#replayBuffer.add(event);
    return event;
  }

  /**
   * Starts or continues a stream on the socket of its response. A request that could not be checked because the store
   * is away is accepted only from a viewer that was checked recently.
   */
  subscribe(socket: Socket, request: StreamRequest): void {
    const now = performance.now();
    if (!request.checked && !this.#recentViewers.has(request, now)) {
      endWithProblem(socket, STORE_AWAY);
      return;
    }
    const refusal = this.#quota.enter(request.holders, now);
    if (refusal) refuseStream(socket, refusal);
    else this.#open(socket, request);
  }

  /** Viewers with an open stream, and viewers that had one until a moment ago. */
  recentViewers(): Viewing[] {
    return this.#recentViewers.all();
  }

  /** Ends the streams of a viewer that has lost access to the site. */
  revoke({ credential, site }: Viewing): void {
    this.#recentViewers.forget({ credential, site });
    // Streams that wait for their first bytes are not in #bySite yet.
    for (const subscriber of this.#subscribers.keys()) {
      const { request } = subscriber;
      if (request.credential !== credential || request.site !== site) continue;
      this.#starts.delete(subscriber);
      void subscriber.end();
    }
  }

  #open(socket: Socket, request: StreamRequest): void {
    const watched = this.#interest.open(channelOf(request), this.#seq);
    const subscriber = new Subscriber(socket, request, {
      restart: (one) => this.#restartSlowReader(one),
      caughtUp: (one, skipped) => this.#catchUp(one, skipped),
      closed: (one) => this.#unsubscribe(one),
    });
    this.#subscribers.set(subscriber, watched);
    this.#recentViewers.opened(request);
    this.#starts.add(subscriber, 'open');
  }

  #start(subscriber: Subscriber, start: Start): void {
    // A snapshot that is held back takes no time of this turn: those of all streams would go out in one later turn.
    if (this.#corked.delete(subscriber)) subscriber.uncork();
    if (start === 'open') this.#begin(subscriber);
    else if (start === 'renew') this.#snapshot(subscriber);
    else this.#restart(subscriber, start);
  }

  /** Writes the first bytes of a stream. It gets events from then on. */
  #begin(subscriber: Subscriber): void {
    const { site } = subscriber.request;
    const watched = this.#subscribers.get(subscriber) as Watched;
    getOrInsert(this.#bySite, site, () => new Set<Subscriber>()).add(subscriber);
    this.#interest.join(watched, subscriber);
    const fault = this.#resume(subscriber, watched);
    if (!fault) return;
    const bytes = fault === 'fresh' ? this.#snapshot(subscriber) : this.#restart(subscriber, fault);
    this.#chargeSnapshot(subscriber, bytes);
  }

  /**
   * A reader that falls behind needs a new snapshot each time. A reader that has used up its budget is disconnected and
   * has to come back later.
   */
  #restartSlowReader(subscriber: Subscriber): void {
    if (!this.#chargeSnapshot(subscriber, this.#restart(subscriber, 'slow'))) void subscriber.end();
  }

  /** Records the size of a reader's first bytes. Returns false if its holder is over its budget. */
  #chargeSnapshot({ request }: Subscriber, bytes: number): boolean {
    return this.#quota.spend(request.holders, bytes, performance.now());
  }

  /** Continues after the last event that the reader has. Returns the reason if that is not possible. */
  #resume(subscriber: Subscriber, watched: Watched): ResetReason | 'fresh' | undefined {
    const { lastEventId } = subscriber.request;
    if (lastEventId === null) return 'fresh';
    const seq = parseEventId(lastEventId, this.#epoch);
    if (seq === undefined || seq > this.#seq) return 'unknown-id';
    const missed = seq < watched.since ? undefined : this.#eventsAfter(seq, subscriber, watched.no);
    if (!missed) return 'expired';
    subscriber.writeInitial(missed);
    this.#chargeSnapshot(subscriber, missed.length);
    if (watched.cutShort) this.#refresh(subscriber);
    return undefined;
  }

  /**
   * Returns the events after `seq` that the stream shows, with the moves of a channel if its number is given. Undefined
   * if they are no longer stored, or too large.
   */
  #eventsAfter(seq: number, subscriber: Subscriber, channel?: number): Buffer | undefined {
    if (!this.#replayBuffer.reaches(seq)) return undefined;
    const events: Buffer[] = [];
    let bytes = 0;
    for (const event of this.#replayBuffer.after(seq)) {
      if (event.channel === 0 ? !subscriber.wants(event) : event.channel !== channel) continue;
      events.push(event.bytes);
      bytes += event.bytes.length;
      if (bytes > MAX_REPLAY_BYTES) return undefined;
    }
    return Buffer.concat(events);
  }

  /** Restarts all streams of a site, because events of it are missing. */
  restartSite(site: string, reason: ResetReason): void {
    this.#startAll(site, reason);
  }

  /** Sends a new snapshot to all streams of a site. No event is missing, but more is known than before. */
  renewSite(site: string): void {
    this.#startAll(site, 'renew');
  }

  #startAll(site: string, start: ResetReason | 'renew'): void {
    this.#forbidResume(site);
    for (const subscriber of this.#bySite.get(site) ?? []) {
      const waiting = this.#starts.get(subscriber);
      this.#starts.add(subscriber, start === 'renew' && waiting ? waiting : start);
    }
  }

  /** The contents of the new snapshot are in no event. Streams that reconnect need a snapshot, too. */
  #forbidResume(site: string): void {
    this.#seq += 1;
    this.#snapshots.forget(site);
    for (const watched of this.#interest.of(site)) watched.since = this.#seq;
  }

  /** Returns the size of the snapshot in bytes. */
  #restart(subscriber: Subscriber, reason: ResetReason): number {
    countUp(this.#resets, reason);
    const data: StreamEvents['reset'] = { t: Date.now(), reason };
    subscriber.event(eventText(undefined, 'reset', JSON.stringify(data)));
    return this.#snapshot(subscriber);
  }

  /** Sends the whole state. The workers then send the latest positions. Returns the number of bytes. */
  #snapshot(subscriber: Subscriber): number {
    const { request } = subscriber;
    const shared = this.#snapshots.find(request, performance.now());
    const since = shared && this.#eventsAfter(shared.seq, subscriber);
    const bytes = shared && since ? shared.bytes : this.#newSnapshot(request);
    subscriber.writeInitial(bytes);
    if (since) subscriber.writeInitial(since);
    this.#refresh(subscriber);
    return bytes.length + (since?.length ?? 0);
  }

  #newSnapshot(request: StreamRequest): Buffer {
    const start = performance.now();
    const data = JSON.stringify(this.#options.snapshot(request));
    const bytes = Buffer.from(eventText(eventId(this.#epoch, this.#seq), 'snapshot', data));
    const now = performance.now();
    this.#snapshots.add(request, { seq: this.#seq, bytes }, now - start, now);
    return bytes;
  }

  #catchUp(subscriber: Subscriber, skipped: number): void {
    const data: StreamEvents['moves'] = { t: Date.now(), m: [], skipped };
    subscriber.event(eventText(undefined, 'moves', JSON.stringify(data)));
    this.#refresh(subscriber);
  }

  #refresh(subscriber: Subscriber): void {
    const watched = this.#subscribers.get(subscriber);
    if (!watched || watched.moves === 'none') return;
    this.#refreshHere(watched);
    this.#options.others.refresh(watched.key);
  }

  #refreshHere({ no, moves }: Watched): void {
    if (moves !== 'none') this.#options.tell({ tag: TAG, k: 'refresh', no });
  }

  #unsubscribe(subscriber: Subscriber): void {
    const watched = this.#subscribers.get(subscriber);
    this.#subscribers.delete(subscriber);
    this.#quota.leave(subscriber.request.holders);
    this.#closedTotals.streamBytes += subscriber.bytes;
    this.#closedTotals.skipped += subscriber.skippedTotal;
    if (subscriber.isEvicted) this.#closedTotals.evictions += 1;
    this.#recentViewers.closed(subscriber.request, performance.now());
    const { site } = subscriber.request;
    const here = this.#bySite.get(site);
    here?.delete(subscriber);
    if (here?.size === 0) this.#bySite.delete(site);
    this.#corked.delete(subscriber);
    this.#starts.delete(subscriber);
    if (!watched) return;
    watched.cutShort ||= subscriber.isBehind;
    this.#interest.leave(watched, subscriber, performance.now());
  }

  /** Removes idle channels and evicts readers that read nothing. */
  sweep(): void {
    // Not Date.now(): the system clock may be changed.
    const now = performance.now();
    this.#interest.sweep(now);
    this.#recentViewers.sweep(now);
    this.#quota.sweep(now);
    this.#snapshots.sweep(now);
    for (const subscriber of this.#subscribers.keys()) subscriber.evictIfStuck(now);
  }

  heartbeat(): void {
    for (const subscriber of this.#subscribers.keys()) subscriber.event(HEARTBEAT);
  }

  /** Ends every stream after what is already written. */
  async close(): Promise<void> {
    this.#uncork();
    await Promise.all([...this.#subscribers.keys()].map((subscriber) => subscriber.end()));
  }
}

/** The channel that the workers must render for this request. */
function channelOf({ site, page, visitor, stage, moves }: StreamRequest) {
  return { site, page: page ?? stage, visitor, moves };
}

/** The default: the server is stopping. */
const STOPPING: StreamRefusal = { status: 503, retryAfter: 5, detail: 'The server accepts no streams at the moment.' };

/** Responds that there is no room for the stream, or that the server is stopping. */
export function refuseStream(socket: Socket, refusal = STOPPING): void {
  endWithProblem(socket, { code: 'too-many-streams', ...refusal });
}
