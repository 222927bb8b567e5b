/**
 * The primary's heart: takes what workers saw, keeps who is here, and has each event written to those who
 * watch.
 */
import type { Socket } from 'node:net';
import { entry } from '../entry.ts';
import type { Logger } from '../logger.ts';
import type { Arrival, RelayItem, SeenSite, StreamRequest, ToPrimary, ToWorker } from '../protocol/relay.ts';
import { MAX_PAGES_TOLD, TAG } from '../protocol/relay.ts';
import {
  deviceOf,
  type LeaveReason,
  type StreamEventName,
  type StreamEvents,
  type Visitor,
} from '../protocol/stream.ts';
import { EVERYBODY, FanOut, type FanOutFigures, refuse } from './fan-out.ts';
import { Presence, type Present } from './presence.ts';
import { Rates } from './rates.ts';

const HEARTBEAT_MS = 15_000;
const SWEEP_MS = 250;
const RATES_MS = 1000;

export interface HubFigures extends FanOutFigures {
  /** Now. */
  visitors: number;
  /** That workers have told of, so far. */
  samples: number;
}

export interface HubOptions {
  graceMs: number;
  maxStreams: number;
  version: string;
  log: Logger;
  /** Sends to one worker. */
  send(worker: number, message: ToWorker): void;
  /** Sends to every worker. */
  sendAll(message: ToWorker): void;
  /** False when the session or token of a stream was revoked or has expired, or its site is gone. */
  allowed(request: StreamRequest): Promise<boolean>;
}

export class Hub {
  readonly #options: HubOptions;
  readonly #fanOut: FanOut;
  readonly #presence: Presence;
  readonly #rates = new Rates();
  /** Answers of the batch at hand, by worker; grants go out before releases, which may concern them. */
  readonly #grants = new Map<number, number[]>();
  readonly #releases: [worker: number, v: number, claim: number][] = [];
  readonly #timers: NodeJS.Timeout[] = [];
  #samples = 0;
  #checking = false;
  #closed = false;

  constructor(options: HubOptions) {
    this.#options = options;
    this.#fanOut = new FanOut({
      maxStreams: options.maxStreams,
      tell: (message) => options.sendAll(message),
      snapshot: (request) => this.#snapshot(request),
    });
    this.#presence = new Presence(options.graceMs, {
      join: (present) => this.#onJoin(present),
      back: (present, arrival) => this.#onBack(present, arrival),
      leave: (present, reason) => this.#onLeave(present, reason),
      grant: (worker, ...grant) => entry(this.#grants, worker, (): number[] => []).push(...grant),
      release: (...release) => this.#releases.push(release),
    });
    this.#timers.push(
      setInterval(() => this.#sweep(), SWEEP_MS),
      setInterval(() => this.#onSecond(), RATES_MS),
      setInterval(() => this.#fanOut.heartbeat(), HEARTBEAT_MS),
    );
  }

  /** A worker has begun to listen: it learns what is watched. */
  addWorker(worker: number): void {
    for (const message of this.#fanOut.interestMessages()) this.#options.send(worker, message);
  }

  removeWorker(worker: number): void {
    this.#presence.workerExit(worker, Date.now());
    this.#sendAnswers();
  }

  /** Takes a worker's message. `socket` comes with a stream request. */
  receive(worker: number, message: ToPrimary, socket: Socket | undefined): void {
    switch (message.k) {
      case 'batch':
        this.#batch(worker, message.items);
        break;
      case 'seen':
        for (const site of message.sites) this.#seen(worker, site, message.flushMs);
        break;
      case 'sync':
        this.#presence.sync(worker, message.visitors, message.pending, Date.now());
        for (const site of message.sites) this.#fanOut.restartSite(site, 'resync');
        break;
      case 'stream':
        // Undefined when the client was gone before the socket could be handed over.
        if (socket && this.#closed) refuse(socket);
        else if (socket) this.#fanOut.subscribe(socket, message.request);
        break;
      case 'ask':
        this.#options.send(worker, { tag: TAG, k: 'answer', ask: message.ask, pages: this.#pages(message.site) });
        break;
      case 'listening':
      case 'failed':
      case 'beat':
      case 'scrape':
      case 'measured':
        break;
      default:
        message satisfies never;
    }
  }

  /** How much there is, and was. */
  figures(): HubFigures {
    return { visitors: this.#presence.size, samples: this.#samples, ...this.#fanOut.figures() };
  }

  /** Pages of a site with how many are on each, the fullest first. */
  #pages(site: string): [page: string, visitors: number][] {
    const counts = new Map<string, number>();
    for (const { visitor } of this.#presence.of(site)) counts.set(visitor.page, (counts.get(visitor.page) ?? 0) + 1);
    return [...counts].sort((a, b) => b[1] - a[1]).slice(0, MAX_PAGES_TOLD);
  }

  #batch(worker: number, items: readonly RelayItem[]): void {
    const now = Date.now();
    this.#fanOut.batch(() => {
      for (const item of items) this.#item(worker, item, now);
    });
    this.#sendAnswers();
  }

  #item(worker: number, item: RelayItem, now: number): void {
    switch (item.k) {
      case 'moves':
        this.#fanOut.rendered(item.c, 'moves', item.t, `"m":[${item.text}]`);
        break;
      case 'scroll':
        this.#fanOut.rendered(item.c, 'scroll', item.t, `"s":[${item.text}]`);
        break;
      case 'claim':
        this.#presence.claim(worker, item, now);
        break;
      case 'gone':
        this.#presence.gone(worker, item, now);
        break;
      default: {
        const present = this.#presence.get(item.v);
        if (present?.worker === worker) this.#done(present, item);
      }
    }
  }

  /** What a visitor that is here did. */
  #done(present: Present, item: Extract<RelayItem, { k: 'page' | 'view' | 'click' }>): void {
    if (item.k === 'view') {
      this.#view(present, item);
    } else if (item.at > present.lastAt) {
      present.lastAt = item.at;
      if (item.k === 'page') this.#turn(present, item);
      else this.#click(present, item);
    } else if (item.k === 'page' && item.page !== present.visitor.page) {
      // A visitor that connects again begins on the page of what it sends again, and goes the same way once more.
      this.#turn(present, item);
    }
  }

  #click({ site, visitor }: Present, { t, v, page, click }: Extract<RelayItem, { k: 'click' }>): void {
    visitor.at = [click.x, click.y];
    this.#fanOut.publish(site, 'click', { pages: [page], visitor: visitor.id }, () => ({ t, v, page, ...click }));
  }

  #turn(
    { site, visitor }: Present,
    { t, page, origin, size }: { t: number } & Pick<Visitor, 'page' | 'origin' | 'size'>,
  ): void {
    const from = visitor.page;
    const { v, id } = visitor;
    Object.assign(visitor, { page, origin, size, at: null });
    const scope = { pages: [from, page], visitor: id };
    this.#fanOut.publish(site, 'page', scope, () => ({ t, v, page, from, origin, size, visitor }));
  }

  #view(
    present: Present,
    { t, size, hidden, label }: { t: number } & Pick<Visitor, 'size' | 'hidden' | 'label'>,
  ): void {
    const { visitor } = present;
    const device = deviceOf(size[0]);
    Object.assign(visitor, { size, hidden, device, label });
    this.#publish(present, 'view', () => ({ t, v: visitor.v, size, hidden, device, label }));
  }

  #onJoin(present: Present): void {
    const { visitor } = present;
    this.#rates.joined(present.site, this.#presence.of(present.site).size);
    this.#publish(present, 'join', () => ({ t: Date.now(), visitor }));
  }

  #onBack(present: Present, arrival: Arrival): void {
    const { visitor } = present;
    const { page, size, hidden } = arrival;
    const t = Date.now();
    if (page !== visitor.page) this.#turn(present, { t, ...arrival });
    else if (hidden !== visitor.hidden || String(size) !== String(visitor.size))
      this.#view(present, { t, size, hidden, label: visitor.label });
  }

  #onLeave(present: Present, reason: LeaveReason): void {
    const { v } = present.visitor;
    this.#publish(present, 'leave', () => ({ t: Date.now(), v, reason }));
  }

  /** A visitor's event, of the page it is on. */
  #publish<N extends StreamEventName>({ site, visitor }: Present, name: N, data: () => StreamEvents[N]): void {
    this.#fanOut.publish(site, name, { pages: [visitor.page], visitor: visitor.id }, data);
  }

  #sendAnswers(): void {
    for (const [worker, grants] of this.#grants) this.#options.send(worker, { tag: TAG, k: 'grants', grants });
    this.#grants.clear();
    for (const [worker, v, claim] of this.#releases.splice(0))
      this.#options.send(worker, { tag: TAG, k: 'release', v, claim });
  }

  #seen(worker: number, seen: SeenSite, flushMs: number): void {
    this.#rates.add(seen, flushMs);
    this.#samples += seen.samples;
    for (let i = 0; i + 4 < seen.rows.length; i += 5) {
      const present = this.#presence.get(seen.rows[i] as number);
      if (present?.worker !== worker) continue;
      const [x, y, frame] = [seen.rows[i + 1], seen.rows[i + 2], seen.rows[i + 3]];
      present.frame = Math.max(present.frame, frame as number);
      // Null: this visitor has no place yet, at least on this page.
      if (typeof x === 'number') present.visitor.at = [x, y as number];
    }
  }

  #snapshot({ site, page, visitor: id }: StreamRequest): StreamEvents['snapshot'] {
    const visitors: Visitor[] = [];
    for (const { visitor } of this.#presence.of(site))
      if ((page === null || visitor.page === page) && (id === null || visitor.id === id)) visitors.push(visitor);
    const { version } = this.#options;
    return { t: Date.now(), site, visitors, minutes: this.#rates.minutes(site), version };
  }

  #sweep(): void {
    const now = Date.now();
    this.#presence.sweep(now);
    this.#sendAnswers();
    this.#fanOut.sweep(now);
  }

  #onSecond(): void {
    const now = Date.now();
    for (const site of new Set([...this.#presence.sites(), ...this.#rates.sites(), ...this.#fanOut.sites()])) {
      const rates = this.#rates.second(site, this.#presence.of(site).size, now);
      this.#fanOut.publish(site, 'rates', EVERYBODY, () => rates);
    }
    void this.#endForbidden();
  }

  /** Ends the streams of sessions and tokens that are no longer valid, and of sites that are gone. */
  async #endForbidden(): Promise<void> {
    if (this.#checking) return;
    this.#checking = true;
    try {
      const checked = new Map<string, Promise<boolean>>();
      for (const subscriber of [...this.#fanOut.subscribers]) {
        const { request } = subscriber;
        const key = JSON.stringify([request.credential, request.site]);
        if (!(await entry(checked, key, () => this.#options.allowed(request)))) void subscriber.end();
      }
    } catch (error) {
      this.#options.log.error({ err: error }, 'cannot check the sessions of open streams');
    } finally {
      this.#checking = false;
    }
  }

  /** Ends every stream after what is already written. Closing twice is safe. */
  async close(): Promise<void> {
    this.#closed = true;
    for (const timer of this.#timers) clearInterval(timer);
    await this.#fanOut.close();
  }
}
