/**
 * From one event to many streams: gives it an id, keeps it for those that come back, and writes the same bytes
 * to every subscriber that shows it.
 */
import type { Socket } from 'node:net';
import { countUp } from '../lib/count.ts';
import { getOrInsert } from '../lib/get-or-insert.ts';
import type { Channel } from '../protocol/channel.ts';
import type { StreamRequest, ToWorker } from '../protocol/ipc.ts';
import { TAG } from '../protocol/ipc.ts';
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
import { Slabs } from './slabs.ts';
import { StreamQuota, type StreamRefusal } from './stream-quota.ts';
import { Subscriber } from './subscriber.ts';

const REPLAY_BUFFER_BYTES = 32 * 1024 * 1024;
const REPLAY_BUFFER_ENTRIES = 100_000;
/** A reader that has missed more than this begins anew: a snapshot is less for both sides. */
const MAX_REPLAY_BYTES = 8 * 1024 * 1024;

export interface FanOutOptions {
  maxStreams: number;
  /** Of one account, one token, or one address. */
  maxStreamsEach: number;
  /** Sends to every worker. */
  tell(message: ToWorker): void;
  /** All that a new reader must know. */
  snapshot(request: StreamRequest): StreamEvents['snapshot'];
  others: Others;
}

/** The way to other machines, whose streams may show what happens here. */
export interface Others {
  /** Other channels are watched here than before. */
  watchedChanged(): void;
  /** A stream of here needs the latest positions of everybody in this channel. */
  refresh(key: string): void;
  /** An event of a site that other machines watch. */
  event(site: string, name: PeerEvent, scope: Scope, json: string): void;
  /** What workers have rendered for a channel that other machines watch. */
  rendered(site: string, key: string, name: 'moves' | 'scroll', t: number, list: string): void;
}

/** Streams now, and what they came to so far: see metrics/primary-metrics.ts. */
export interface FanOutFigures {
  streams: number;
  streamBytes: number;
  skipped: number;
  evictions: number;
  resets: ReadonlyMap<string, number>;
}

/** The field that a list of rendered numbers is in. */
const LIST_OF = { moves: 'm', scroll: 's' } as const;

export const EVERYBODY: Scope = { pages: [], visitor: null };

export class FanOut {
  /** One run of the primary: ids of another are not ours. */
  readonly #epoch = Date.now().toString(36);
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
  /** Subscribers whose writes are held together until the batches that came at the same time are done. */
  readonly #corked = new Set<Subscriber>();
  #batching = false;
  #uncorking: NodeJS.Immediate | undefined;
  #seq = 0;
  /** What streams came to that are closed. */
  readonly #past = { streamBytes: 0, skipped: 0, evictions: 0 };
  readonly #resets = new Map<string, number>();

  constructor(options: FanOutOptions) {
    this.#options = options;
    this.#quota = new StreamQuota({ most: options.maxStreams, mostEach: options.maxStreamsEach });
    this.#interest = new Interest({ tell: options.tell, changed: () => options.others.watchedChanged() });
  }

  figures(): FanOutFigures {
    let { streamBytes, skipped, evictions } = this.#past;
    for (const { bytes, left } of this.#subscribers.keys()) {
      streamBytes += bytes;
      skipped += left;
    }
    return { streams: this.#subscribers.size, streamBytes, skipped, evictions, resets: this.#resets };
  }

  /** What is watched, here or on other machines. */
  get interest(): Interest {
    return this.#interest;
  }

  /** Takes the channels that other machines show, all of them. */
  carry(channels: readonly Channel[]): void {
    for (const watched of this.#interest.carry(channels)) this.#refreshHere(watched);
  }

  /** Streams of other machines need the latest positions of everybody of here in this channel. */
  refreshOf(key: string): void {
    const watched = this.#interest.find(key);
    if (watched) this.#refreshHere(watched);
  }

  /** What a new worker must know. */
  interestMessages(): ToWorker[] {
    return this.#interest.messages();
  }

  /**
   * Does `work`; what it writes to a subscriber goes out in one system call, together with that of the other workers'
   * batches which are read in the same turn of the event loop: workers tick at the same time.
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

  /** A visitor's event. Costs nothing while nobody watches its site; `data` is then not even made. */
  publish<N extends PeerEvent>(site: string, name: N, scope: Scope, data: () => StreamEvents[N]): void {
    const there = this.#interest.isWatchedRemotely(site);
    if (!there && !this.#interest.watches(site)) return;
    const json = JSON.stringify(data());
    if (there) this.#options.others.event(site, name, scope, json);
    this.show(site, name, scope, json);
  }

  /** An event of a site for the streams of this machine. */
  show(site: string, name: StreamEventName, scope: Scope, json: string): void {
    if (!this.#interest.watches(site)) return;
    const event = this.#record(site, 0, scope, name, json);
    for (const subscriber of this.#bySite.get(site) ?? []) {
      if (!subscriber.wants(event)) continue;
      this.#hold(subscriber);
      subscriber.event(event.bytes);
    }
  }

  /** Moves or scrolls that a worker has rendered for a channel: passed on as they are. */
  rendered(no: number, name: 'moves' | 'scroll', t: number, list: string): void {
    const watched = this.#interest.get(no);
    if (!watched) return;
    if (watched.there) this.#options.others.rendered(watched.site, watched.key, name, t, list);
    if (watched.here) this.#show(watched, name, t, list);
  }

  /** The same that a worker of another machine has rendered. */
  renderedElsewhere(key: string, name: 'moves' | 'scroll', t: number, list: string): void {
    const watched = this.#interest.find(key);
    if (watched?.here) this.#show(watched, name, t, list);
  }

  #show(watched: Watched, name: 'moves' | 'scroll', t: number, list: string): void {
    const page = watched.page === null ? '' : `"page":${JSON.stringify(watched.page)},`;
    const json = `{"t":${t},${page}"${LIST_OF[name]}":[${list}]}`;
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

  /** Begins or continues a stream on the socket of its response. One that could not be checked is only for who looks on already. */
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

  /** Who looks on, and who did until a moment ago. */
  recentViewers(): Viewing[] {
    return this.#recentViewers.all();
  }

  /** Ends the streams of who may not look on any more. */
  forbid({ credential, site }: Viewing): void {
    this.#recentViewers.forget({ credential, site });
    for (const subscriber of this.#bySite.get(site) ?? [])
      if (subscriber.request.credential === credential) void subscriber.end();
  }

  #open(socket: Socket, request: StreamRequest): void {
    const watched = this.#interest.open(channelOf(request), this.#seq);
    const subscriber = new Subscriber(socket, request, {
      restart: (one) => this.#restartSlow(one),
      caughtUp: (one, skipped) => this.#catchUp(one, skipped),
      closed: (one) => this.#unsubscribe(one),
    });
    this.#subscribers.set(subscriber, watched);
    this.#recentViewers.came(request);
    getOrInsert(this.#bySite, request.site, () => new Set<Subscriber>()).add(subscriber);
    this.#interest.join(watched, subscriber);
    const fault = this.#resume(subscriber, watched);
    if (!fault) return;
    const bytes = fault === 'fresh' ? this.#snapshot(subscriber) : this.#restart(subscriber, fault);
    this.#spend(subscriber, bytes);
  }

  /** A reader that falls behind again and again asks for a snapshot each time: past its budget it has to come back later. */
  #restartSlow(subscriber: Subscriber): void {
    if (!this.#spend(subscriber, this.#restart(subscriber, 'slow'))) void subscriber.end();
  }

  /** Notes bytes that a reader began with. False if its holder has had too many. */
  #spend({ request }: Subscriber, bytes: number): boolean {
    return this.#quota.spend(request.holders, bytes, performance.now());
  }

  /** Continues after the last event the reader has. Tells why it cannot. */
  #resume(subscriber: Subscriber, watched: Watched): ResetReason | 'fresh' | undefined {
    const { lastEventId } = subscriber.request;
    if (lastEventId === null) return 'fresh';
    const seq = parseEventId(lastEventId, this.#epoch);
    if (seq === undefined || seq > this.#seq) return 'unknown-id';
    if (seq < watched.since || !this.#replayBuffer.reaches(seq)) return 'expired';
    const missed: Buffer[] = [];
    let bytes = 0;
    for (const event of this.#replayBuffer.after(seq)) {
      if (event.channel === 0 ? !subscriber.wants(event) : event.channel !== watched.no) continue;
      missed.push(event.bytes);
      bytes += event.bytes.length;
      if (bytes > MAX_REPLAY_BYTES) return 'expired';
    }
    subscriber.begin(Buffer.concat(missed));
    this.#spend(subscriber, bytes);
    if (watched.cutShort) this.#refresh(subscriber);
    return undefined;
  }

  /** Begins all streams of a site anew: events of it were left out. */
  restartSite(site: string, reason: ResetReason): void {
    this.#cutResume(site);
    for (const subscriber of this.#bySite.get(site) ?? []) this.#restart(subscriber, reason);
  }

  /** Gives all streams of a site a new snapshot: nothing was left out, but more is known than before. */
  renewSite(site: string): void {
    this.#cutResume(site);
    for (const subscriber of this.#bySite.get(site) ?? []) this.#snapshot(subscriber);
  }

  /** What the snapshot tells is in no event: who comes back needs one, too. */
  #cutResume(site: string): void {
    this.#seq += 1;
    for (const watched of this.#interest.of(site)) watched.since = this.#seq;
  }

  /** Returns the bytes of the snapshot. */
  #restart(subscriber: Subscriber, reason: ResetReason): number {
    countUp(this.#resets, reason);
    const data: StreamEvents['reset'] = { t: Date.now(), reason };
    subscriber.event(eventText(undefined, 'reset', JSON.stringify(data)));
    return this.#snapshot(subscriber);
  }

  /** Everything known now; the latest positions follow, fresh from the workers. Returns its bytes. */
  #snapshot(subscriber: Subscriber): number {
    const data = JSON.stringify(this.#options.snapshot(subscriber.request));
    const bytes = Buffer.from(eventText(eventId(this.#epoch, this.#seq), 'snapshot', data));
    subscriber.begin(bytes);
    this.#refresh(subscriber);
    return bytes.length;
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
    this.#past.streamBytes += subscriber.bytes;
    this.#past.skipped += subscriber.left;
    if (subscriber.evicted) this.#past.evictions += 1;
    this.#recentViewers.went(subscriber.request, performance.now());
    const { site } = subscriber.request;
    const here = this.#bySite.get(site);
    here?.delete(subscriber);
    if (here?.size === 0) this.#bySite.delete(site);
    this.#corked.delete(subscriber);
    if (!watched) return;
    watched.cutShort ||= subscriber.behind;
    this.#interest.leave(watched, subscriber, performance.now());
  }

  /** Forgets channels that nobody has watched for long, and evicts readers that read nothing. */
  sweep(): void {
    // The server's clock may be set.
    const now = performance.now();
    this.#interest.sweep(now);
    this.#recentViewers.sweep(now);
    this.#quota.sweep(now);
    for (const subscriber of this.#subscribers.keys()) subscriber.watch(now);
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

/** What the workers must render for this request. */
function channelOf({ site, page, visitor, stage, moves }: StreamRequest) {
  return { site, page: page ?? stage, visitor, moves };
}

/** By default: the server stops. */
const NO_ROOM: StreamRefusal = { status: 503, retryAfter: 5, detail: 'The server accepts no streams at the moment.' };

/** Answers that there is no room, or that the server stops. */
export function refuseStream(socket: Socket, refusal = NO_ROOM): void {
  endWithProblem(socket, { code: 'too-many-streams', ...refusal });
}
