/**
 * The primary's heart: takes what workers saw, gives each event an id, keeps it for a while, and writes the
 * same bytes to every subscriber.
 */
import type { Socket } from 'node:net';
import { entry } from '../entry.ts';
import type { Logger } from '../logger.ts';
import type { Arrival, RelayItem, SeenSite, StreamRequest, ToPrimary, ToWorker } from '../protocol/relay.ts';
import { TAG } from '../protocol/relay.ts';
import {
  deviceOf,
  eventId,
  eventText,
  HEARTBEAT,
  type LeaveReason,
  parseEventId,
  type ResetReason,
  type StreamEventName,
  type StreamEvents,
} from '../protocol/stream.ts';
import { Interest, type Watched } from './interest.ts';
import { type Entry, Journal } from './journal.ts';
import { Presence, type Present } from './presence.ts';
import { Rates } from './rates.ts';
import { Subscriber } from './subscriber.ts';

const HEARTBEAT_MS = 15_000;
const SWEEP_MS = 250;
const RATES_MS = 1000;
const JOURNAL_BYTES = 32 * 1024 * 1024;
const JOURNAL_ENTRIES = 100_000;

export interface HubOptions {
  graceMs: number;
  maxStreams: number;
  version: string;
  log: Logger;
  /** Sends to one worker. */
  send(worker: number, message: ToWorker): void;
  /** Sends to every worker. */
  sendAll(message: ToWorker): void;
  /** False when a session or token was revoked or has expired. */
  valid(credential: string): Promise<boolean>;
}

export class Hub {
  /** One run of the primary: ids of another are not ours. */
  readonly #epoch = Date.now().toString(36);
  readonly #options: HubOptions;
  readonly #journal = new Journal(JOURNAL_BYTES, JOURNAL_ENTRIES);
  readonly #interest: Interest;
  readonly #presence: Presence;
  readonly #rates = new Rates();
  readonly #subscribers = new Map<Subscriber, Watched>();
  /** Grants of the batch at hand, by worker. */
  readonly #grants = new Map<number, number[]>();
  readonly #timers: NodeJS.Timeout[] = [];
  #seq = 0;
  #checking = false;
  #closed = false;

  constructor(options: HubOptions) {
    this.#options = options;
    this.#interest = new Interest((message) => options.sendAll(message));
    this.#presence = new Presence(options.graceMs, {
      join: (present) => this.#onJoin(present),
      back: (present, arrival) => this.#onBack(present, arrival),
      leave: (present, reason) => this.#onLeave(present, reason),
      grant: (worker, claim, v, frame) => this.#grant(worker, claim, v, frame),
      release: (worker, v) => options.send(worker, { tag: TAG, k: 'release', v }),
    });
    this.#timers.push(
      setInterval(() => this.#sweep(), SWEEP_MS),
      setInterval(() => this.#onSecond(), RATES_MS),
      setInterval(() => this.#heartbeat(), HEARTBEAT_MS),
    );
  }

  /** A worker was forked: it learns what is watched. */
  addWorker(worker: number): void {
    for (const message of this.#interest.messages()) this.#options.send(worker, message);
  }

  removeWorker(worker: number): void {
    this.#presence.workerExit(worker, Date.now());
    this.#sendGrants();
  }

  /** Takes a worker's message. `socket` comes with a stream request. */
  receive(worker: number, message: ToPrimary, socket: Socket | undefined): void {
    switch (message.k) {
      case 'batch':
        this.#batch(worker, message.items);
        break;
      case 'seen':
        for (const site of message.sites) this.#seen(site, message.flushMs);
        break;
      case 'sync':
        this.#presence.sync(worker, message.visitors, Date.now());
        this.#restartAll('resync');
        break;
      case 'stream':
        // Undefined when the client was gone before the socket could be handed over.
        if (socket) this.#subscribe(socket, message.request);
        break;
      case 'listening':
      case 'failed':
      case 'drained':
        break;
      default:
        message satisfies never;
    }
  }

  #batch(worker: number, items: readonly RelayItem[]): void {
    for (const subscriber of this.#subscribers.keys()) subscriber.cork();
    const now = Date.now();
    for (const item of items) this.#item(worker, item, now);
    for (const subscriber of this.#subscribers.keys()) subscriber.uncork();
    this.#sendGrants();
  }

  #item(worker: number, item: RelayItem, now: number): void {
    switch (item.k) {
      case 'moves':
        this.#rendered(item.c, 'moves', item.t, `"m":[${item.text}]`);
        break;
      case 'scroll':
        this.#rendered(item.c, 'scroll', item.t, `"s":[${item.text}]`);
        break;
      case 'claim':
        this.#presence.claim(worker, item.claim, item.arrival, now);
        break;
      case 'gone':
        this.#presence.gone(worker, item.v, item.n, item.reason, now);
        break;
      default: {
        const present = this.#presence.get(item.v);
        if (present?.worker === worker) this.#done(present, item);
      }
    }
  }

  /** What a visitor that is here did. */
  #done(present: Present, item: Extract<RelayItem, { k: 'page' | 'view' | 'label' | 'click' }>): void {
    if (item.k === 'page' || item.k === 'click') {
      if (item.at <= present.lastAt) return;
      present.lastAt = item.at;
    }
    switch (item.k) {
      case 'page':
        this.#turn(present, item.t, item.page, item.origin, item.size);
        break;
      case 'view':
        this.#view(present, item.t, item.size, item.hidden);
        break;
      case 'label':
        present.visitor.label = item.label;
        break;
      case 'click':
        present.visitor.at = [item.click.x, item.click.y];
        this.#publish(present, 'click', { t: item.t, v: item.v, page: item.page, ...item.click }, [item.page]);
        break;
      default:
        item satisfies never;
    }
  }

  #turn(present: Present, t: number, page: string, origin: string, size: Present['visitor']['size']): void {
    const { visitor } = present;
    const from = visitor.page;
    Object.assign(visitor, { page, origin, size, at: null });
    this.#publish(present, 'page', { t, v: visitor.v, page, from, origin, size, visitor }, [from, page]);
  }

  #view(present: Present, t: number, size: Present['visitor']['size'], hidden: boolean): void {
    const { visitor } = present;
    const device = deviceOf(size[0]);
    Object.assign(visitor, { size, hidden, device });
    this.#publish(present, 'view', { t, v: visitor.v, size, hidden, device }, [visitor.page]);
  }

  #onJoin(present: Present): void {
    const { visitor } = present;
    this.#rates.joined(present.site, this.#presence.of(present.site).size);
    this.#publish(present, 'join', { t: Date.now(), visitor }, [visitor.page]);
  }

  #onBack(present: Present, arrival: Arrival): void {
    const { visitor } = present;
    const { page, origin, size, hidden } = arrival;
    const now = Date.now();
    if (page !== visitor.page) this.#turn(present, now, page, origin, size);
    else if (hidden !== visitor.hidden || String(size) !== String(visitor.size)) this.#view(present, now, size, hidden);
  }

  #onLeave(present: Present, reason: LeaveReason): void {
    const { v, page } = present.visitor;
    this.#publish(present, 'leave', { t: Date.now(), v, reason }, [page]);
  }

  #grant(worker: number, claim: number, v: number, frame: number): void {
    entry(this.#grants, worker, (): number[] => []).push(claim, v, frame);
  }

  #sendGrants(): void {
    for (const [worker, grants] of this.#grants) this.#options.send(worker, { tag: TAG, k: 'grants', grants });
    this.#grants.clear();
  }

  /** A visitor's event, to every stream that shows it. Costs nothing while nobody watches the site. */
  #publish<N extends StreamEventName>(present: Present, name: N, data: StreamEvents[N], pages: string[]): void {
    this.#publishSite(present.site, name, JSON.stringify(data), pages, present.visitor.id);
  }

  #publishSite(site: string, name: StreamEventName, json: string, pages: string[], visitor: string | null): void {
    if (!this.#interest.watches(site)) return;
    const event = this.#record(site, 0, pages, visitor, name, json);
    for (const subscriber of this.#subscribers.keys()) if (subscriber.wants(event)) subscriber.event(event.bytes);
  }

  /** Moves or scrolls that a worker has rendered: passed on as they are. */
  #rendered(no: number, name: 'moves' | 'scroll', t: number, list: string): void {
    const watched = this.#interest.get(no);
    if (!watched) return;
    const page = watched.page === null ? '' : `"page":${JSON.stringify(watched.page)},`;
    const event = this.#record(watched.site, no, [], null, name, `{"t":${t},${page}${list}}`);
    for (const subscriber of watched.subscribers) subscriber.moves(event.bytes);
  }

  #record(
    site: string,
    channel: number,
    pages: string[],
    visitor: string | null,
    name: StreamEventName,
    json: string,
  ): Entry {
    this.#seq += 1;
    const bytes = Buffer.from(eventText(eventId(this.#epoch, this.#seq), name, json));
    const event: Entry = { seq: this.#seq, site, channel, pages, visitor, bytes };
    this.#journal.add(event);
    return event;
  }

  #seen(seen: SeenSite, flushMs: number): void {
    this.#rates.add(seen, flushMs);
    for (let i = 0; i + 4 < seen.rows.length; i += 5) {
      const [v, x, y, frame] = seen.rows.slice(i, i + 4) as [number, number, number, number];
      const present = this.#presence.get(v);
      if (!present) continue;
      present.frame = Math.max(present.frame, frame);
      present.visitor.at = [x, y];
    }
  }

  #subscribe(socket: Socket, request: StreamRequest): void {
    if (this.#closed || this.#subscribers.size >= this.#options.maxStreams) refuse(socket);
    else this.#open(socket, request);
  }

  #open(socket: Socket, request: StreamRequest): void {
    const watched = this.#interest.open(channelOf(request), this.#seq);
    const subscriber = new Subscriber(socket, request, {
      restart: (one) => this.#restart(one, 'slow'),
      caughtUp: (one, skipped) => this.#catchUp(one, skipped),
      closed: (one) => this.#unsubscribe(one),
    });
    this.#subscribers.set(subscriber, watched);
    this.#interest.join(watched, subscriber);
    const fault = this.#resume(subscriber, watched);
    if (fault === 'fresh') this.#snapshot(subscriber);
    else if (fault) this.#restart(subscriber, fault);
  }

  /** Continues after the last event the reader has. Tells why it cannot. */
  #resume(subscriber: Subscriber, watched: Watched): ResetReason | 'fresh' | undefined {
    const { lastEventId } = subscriber.request;
    if (lastEventId === null) return 'fresh';
    const seq = parseEventId(lastEventId, this.#epoch);
    if (seq === undefined || seq > this.#seq) return 'unknown-id';
    if (seq < watched.since || !this.#journal.reaches(seq)) return 'expired';
    for (const event of this.#journal.after(seq)) {
      if (event.channel === 0 ? subscriber.wants(event) : event.channel === watched.no) subscriber.event(event.bytes);
    }
    return undefined;
  }

  #restart(subscriber: Subscriber, reason: ResetReason): void {
    const data: StreamEvents['reset'] = { t: Date.now(), reason };
    subscriber.event(eventText(undefined, 'reset', JSON.stringify(data)));
    this.#snapshot(subscriber);
  }

  #restartAll(reason: ResetReason): void {
    for (const subscriber of this.#subscribers.keys()) this.#restart(subscriber, reason);
  }

  /** Everything known now; the latest positions follow, fresh from the workers. */
  #snapshot(subscriber: Subscriber): void {
    const { site, page, visitor: id } = subscriber.request;
    const visitors = [];
    for (const { visitor } of this.#presence.of(site))
      if ((page === null || visitor.page === page) && (id === null || visitor.id === id)) visitors.push(visitor);
    const { version } = this.#options;
    const data: StreamEvents['snapshot'] = {
      t: Date.now(),
      site,
      visitors,
      minutes: this.#rates.minutes(site),
      version,
    };
    subscriber.event(eventText(eventId(this.#epoch, this.#seq), 'snapshot', JSON.stringify(data)));
    this.#refresh(subscriber);
  }

  #catchUp(subscriber: Subscriber, skipped: number): void {
    const data: StreamEvents['moves'] = { t: Date.now(), m: [], skipped };
    subscriber.event(eventText(undefined, 'moves', JSON.stringify(data)));
    this.#refresh(subscriber);
  }

  #refresh(subscriber: Subscriber): void {
    const watched = this.#subscribers.get(subscriber);
    if (watched && watched.moves !== 'none') this.#options.sendAll({ tag: TAG, k: 'refresh', no: watched.no });
  }

  #unsubscribe(subscriber: Subscriber): void {
    const watched = this.#subscribers.get(subscriber);
    this.#subscribers.delete(subscriber);
    if (watched) this.#interest.leave(watched, subscriber, Date.now());
  }

  #sweep(): void {
    const now = Date.now();
    this.#presence.sweep(now);
    this.#sendGrants();
    this.#interest.sweep(now);
  }

  #onSecond(): void {
    const now = Date.now();
    for (const site of new Set([...this.#presence.sites(), ...this.#rates.sites(), ...this.#interest.sites()])) {
      const rates = this.#rates.second(site, this.#presence.of(site).size, now);
      this.#publishSite(site, 'rates', JSON.stringify(rates), [], null);
    }
    for (const subscriber of this.#subscribers.keys())
      if (subscriber.evictIfStuck(now))
        this.#options.log.warn({ site: subscriber.request.site }, 'evicted a stream whose reader takes nothing');
    void this.#endRevoked();
  }

  /** Ends the streams of sessions and tokens that are no longer valid. */
  async #endRevoked(): Promise<void> {
    if (this.#checking) return;
    this.#checking = true;
    try {
      const checked = new Map<string, boolean>();
      for (const subscriber of [...this.#subscribers.keys()]) {
        const { credential } = subscriber.request;
        if (!checked.has(credential)) checked.set(credential, await this.#options.valid(credential));
        if (!checked.get(credential)) void subscriber.end();
      }
    } catch (error) {
      this.#options.log.error({ err: error }, 'cannot check the sessions of open streams');
    } finally {
      this.#checking = false;
    }
  }

  #heartbeat(): void {
    for (const subscriber of this.#subscribers.keys()) subscriber.event(HEARTBEAT);
  }

  /** Ends every stream after what is already written. Closing twice is safe. */
  async close(): Promise<void> {
    this.#closed = true;
    for (const timer of this.#timers) clearInterval(timer);
    const open = [...this.#subscribers.keys()];
    await Promise.all(open.map((subscriber) => subscriber.end()));
  }
}

/** What the workers must render for this request. */
function channelOf({ site, page, visitor, stage, moves }: StreamRequest) {
  return { site, page: page ?? stage, visitor, moves };
}

/** Too many streams, or the server stops. */
function refuse(socket: Socket): void {
  const body = JSON.stringify({
    type: 'about:blank',
    title: 'Service Unavailable',
    status: 503,
    code: 'too-many-streams',
  });
  socket.on('error', () => socket.destroy());
  socket.end(
    `HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/problem+json\r\nRetry-After: 5\r\nContent-Length: ${body.length}\r\nConnection: close\r\n\r\n${body}`,
  );
}
