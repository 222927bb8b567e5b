/**
 * Takes events of workers and other nodes, knows which visitors are present, and publishes each event to the streams.
 */
import type { Socket } from 'node:net';
import { forEachConcurrently } from '../lib/concurrency.ts';
import { getOrInsert } from '../lib/get-or-insert.ts';
import type { Logger } from '../log/logger.ts';
import { type Minute, minuteOf } from '../model/minute.ts';
import { deviceOf, type LeaveReason, type Visitor } from '../model/visitor.ts';
import type { Channel } from '../protocol/channel.ts';
import {
  type Arrival,
  type LateMark,
  MAX_PAGES_TOLD,
  type RelayItem,
  type SeenSite,
  type StreamRequest,
  TAG,
  type ToPrimary,
  type ToWorker,
} from '../protocol/ipc.ts';
import {
  NO_SITE,
  type Past,
  type PeerEvent,
  type PeerSiteState,
  type Second,
  type Share,
  type SiteItem,
  type SiteMinute,
} from '../protocol/peer.ts';
import { MAX_ACTIVE, type StreamEvents } from '../protocol/stream-event.ts';
import { Departures } from './departures.ts';
import { EVERYBODY, FanOut, type FanOutFigures, type Others, refuseStream } from './fan-out.ts';
import { thisSecond } from './last-minute.ts';
import { MinuteKeeper } from './minute-keeper.ts';
import { emptySecond, PeerSeconds } from './peer-seconds.ts';
import { Presence } from './presence.ts';
import { Rates } from './rates.ts';
import type { Viewing } from './recent-viewers.ts';
import { RemoteEvents } from './remote-events.ts';
import { RemotePresence } from './remote-presence.ts';
import type { SitePresence } from './site-presence.ts';

const HEARTBEAT_MS = 15_000;
const SWEEP_MS = 250;
const RATES_MS = 1000;
/** Interval of seconds that are sent to other nodes while a site has no visitors here, milliseconds. */
const IDLE_SECOND_MS = 4000;
/** Concurrent checks of streams' sessions and tokens: with a distant Redis, all must be checked in about a second. */
const MAX_CONCURRENT_CHECKS = 32;

export interface HubFigures extends FanOutFigures {
  /** Now. */
  visitors: number;
  /** Samples that workers have reported since the start. */
  samples: number;
}

/** The connection to the hubs of other nodes. */
export interface OtherHubs extends Others {
  /** The visitor numbers that this node may assign. */
  share: Share;
  second(site: string, second: Second): void;
  /** Events of a site were dropped here: other nodes need its complete state again. */
  lost(site: string): void;
  /** Age of the state of a site on other nodes, milliseconds; 0 if it is current. */
  staleMs(site: string): number;
  /** Pages of a site with the number of visitors of other nodes on each. */
  pages(site: string): Promise<[page: string, visitors: number][]>;
}

export interface HubOptions {
  graceMs: number;
  maxStreams: number;
  /** Maximum of one account, one token or one address. */
  maxStreamsEach: number;
  version: string;
  log: Logger;
  /** Sends to one worker. */
  send(worker: number, message: ToWorker): void;
  /** Sends to every worker. */
  sendAll(message: ToWorker): void;
  /** False when the session or token of a stream was revoked or has expired, or its site is gone. */
  allowed(viewing: Viewing): Promise<boolean>;
  /** Stores minutes of this node. False if that is not possible now. */
  keep(minutes: readonly SiteMinute[]): Promise<boolean>;
  /** This node's name, the same at each start. */
  machine: string;
  others: OtherHubs;
}

export class Hub {
  readonly #options: HubOptions;
  readonly #fanOut: FanOut;
  readonly #presence: Presence;
  readonly #rates = new Rates();
  readonly #remotePresence = new RemotePresence();
  readonly #departures = new Departures();
  readonly #remoteEvents: RemoteEvents;
  readonly #seconds = new PeerSeconds();
  readonly #minuteKeeper: MinuteKeeper;
  /** Answers to the current batch, by worker. Grants are sent before releases, which may revoke them. */
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
      maxStreamsEach: options.maxStreamsEach,
      tell: (message) => options.sendAll(message),
      snapshot: (request) => this.#snapshot(request),
      others: options.others,
    });
    this.#presence = new Presence(options.graceMs, options.others.share, {
      join: (present) => this.#onJoin(present),
      back: (present, arrival) => this.#onReturn(present, arrival),
      leave: (present, reason) => this.#onLeave(present, reason),
      grant: (worker, ...grant) => getOrInsert(this.#grants, worker, (): number[] => []).push(...grant),
      release: (...release) => this.#releases.push(release),
    });
    this.#remoteEvents = new RemoteEvents({
      fanOut: this.#fanOut,
      presence: this.#presence,
      remotePresence: this.#remotePresence,
      departures: this.#departures,
    });
    this.#minuteKeeper = new MinuteKeeper(this.#rates, (minutes) => options.keep(minutes));
    this.#rates.addRun([minuteOf(Date.now())], Date.now());
    this.#timers.push(
      setInterval(() => this.#sweep(), SWEEP_MS),
      setInterval(() => this.#onSecond(), RATES_MS),
      setInterval(() => this.#fanOut.heartbeat(), HEARTBEAT_MS),
    );
  }

  /** Sends a worker that listens now which channels are watched. */
  addWorker(worker: number): void {
    for (const message of this.#fanOut.interestMessages()) this.#options.send(worker, message);
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
        for (const site of message.sites) this.#onSeen(worker, site, message.flushMs);
        break;
      case 'sync':
        this.#presence.sync(worker, message.visitors, message.pending, Date.now());
        for (const site of message.sites) this.#restart(site);
        break;
      case 'stream':
        // Undefined if the client disconnected before the socket arrived.
        if (socket && this.#closed) refuseStream(socket);
        else if (socket) this.#open(socket, message.request, message.past);
        break;
      case 'ask':
        void this.#answer(worker, message.ask, message.site);
        break;
      case 'listening':
      case 'failed':
      case 'beat':
      case 'scrape':
      case 'measured':
      case 'health':
        break;
      default:
        message satisfies never;
    }
  }

  #open(socket: Socket, request: StreamRequest, past: Past | null): void {
    const { site } = request;
    if (past) this.#remotePresence.recall(site, past.machines);
    if (past) this.#rates.addRun(past.ran, Date.now());
    this.#fanOut.subscribe(socket, request);
    if (!this.#fanOut.interest.watches(site)) this.#remotePresence.forget(site);
  }

  /**
   * Takes the minutes of a site from before the restart of this node, oldest first. For NO_SITE: the minutes in which
   * this node ran. Call it once per site.
   */
  recall(site: string, past: readonly Minute[]): void {
    const now = Date.now();
    if (site !== NO_SITE) this.#rates.recall(site, past, now);
    else
      this.#rates.addRun(
        past.map(({ t }) => t),
        now,
      );
  }

  /** Stores minutes up to the one of `until`, Unix ms. */
  keepMinutes(until: number): Promise<void> {
    return this.#minuteKeeper.storeAll(until);
  }

  /** Figures for metrics: visitors now, and totals since the start. */
  figures(): HubFigures {
    return { visitors: this.#presence.size, samples: this.#samples, ...this.#fanOut.figures() };
  }

  /** A worker has dropped events of a site: its streams start again with a snapshot. */
  #restart(site: string): void {
    this.#fanOut.restartSite(site, 'resync');
    if (this.#fanOut.interest.isWatchedRemotely(site)) this.#options.others.lost(site);
  }

  async #answer(worker: number, ask: number, site: string): Promise<void> {
    const others = await this.#options.others.pages(site);
    this.#options.send(worker, { tag: TAG, k: 'answer', ask, pages: mostVisited([...this.pages(site), ...others]) });
  }

  /** Pages of a site with the number of visitors of this node on each, the largest number first. */
  pages(site: string): [page: string, visitors: number][] {
    return mostVisited(Array.from(this.#presence.of(site), ({ visitor }) => [visitor.page, 1]));
  }

  /** Channels that streams of this node show. */
  watched(): Channel[] {
    return this.#fanOut.interest.channels().map(({ site, page, visitor, moves }) => ({ site, page, visitor, moves }));
  }

  /** Replaces the channels that streams of other nodes show. */
  setRemoteChannels(channels: readonly Channel[]): void {
    this.#fanOut.setRemoteChannels(channels);
  }

  /** Other nodes ask for the latest positions of all visitors of this node in these channels. */
  refresh(keys: readonly string[]): void {
    for (const key of keys) this.#fanOut.refreshLocally(key);
  }

  /** The complete state of a site on this node, for other nodes. */
  state(site: string): PeerSiteState {
    const visitors = Array.from(this.#presence.of(site), ({ visitor, letInAt }) => ({ visitor, at: letInAt }));
    return { visitors, minutes: this.#rates.minutes(site) };
  }

  /** Applies events of a site from another node. */
  hear(machine: string, site: string, items: readonly Exclude<SiteItem, { k: 'state' }>[]): void {
    this.#fanOut.batch(() => {
      for (const item of items) this.#remoteEvents.item(machine, site, item);
    });
    this.#sendGrants();
  }

  /** Replaces the state of a site on another node. `lost`: some of its earlier events did not arrive. */
  setRemoteState(machine: string, site: string, state: PeerSiteState, lost: boolean): void {
    this.#fanOut.batch(() => this.#remoteEvents.state(machine, site, state, lost));
    this.#sendGrants();
  }

  /** Another node is gone. `bye`: it announced its stop. */
  nodeGone(machine: string, bye: boolean): void {
    this.#fanOut.batch(() => this.#remoteEvents.nodeGone(machine, bye ? 'server' : 'lost'));
  }

  /** Other nodes no longer send events of this site. */
  forgetSite(site: string): void {
    this.#remotePresence.forget(site);
  }

  #batch(worker: number, items: readonly RelayItem[]): void {
    const now = Date.now();
    this.#fanOut.batch(() => {
      for (const item of items) this.#onItem(worker, item, now);
    });
    this.#sendGrants();
  }

  #onItem(worker: number, item: RelayItem, now: number): void {
    switch (item.k) {
      case 'moves':
        this.#fanOut.rendered(item.c, 'moves', item.t, item.text);
        break;
      case 'scroll':
        this.#fanOut.rendered(item.c, 'scroll', item.t, item.text);
        break;
      case 'claim':
        this.#presence.claim(worker, item, now);
        break;
      case 'gone':
        this.#presence.disconnected(worker, item, now);
        break;
      case 'late':
        this.#onLateMark(item);
        break;
      default: {
        const present = this.#presence.get(item.v);
        if (present?.worker === worker) this.#onAction(present, item);
      }
    }
  }

  /** Applies an event of a present visitor. */
  #onAction(present: SitePresence, item: Extract<RelayItem, { k: 'begin' | 'page' | 'view' | 'mark' }>): void {
    if (item.k === 'view') {
      this.#view(present, item);
    } else if (item.k === 'begin') {
      this.#presence.noteTaken(present, item.n);
    } else if (present.shown.show(item.n, item.i)) {
      if (item.k === 'page') this.#navigate(present, item);
      else this.#mark(present, item);
    } else if (item.k === 'page' && item.page !== present.visitor.page) {
      // A visitor that reconnects sends unacked frames again. It starts on their page and repeats the navigation.
      this.#navigate(present, item);
    }
  }

  #mark(present: SitePresence, item: Extract<RelayItem, { k: 'mark' }>): void {
    if ('x' in item.mark) present.visitor.at = [item.mark.x, item.mark.y];
    this.#publishMark(present, item);
  }

  /** A mark on a page that the visitor has already left. Streams cannot show marks of visitors who are gone. */
  #onLateMark(item: Extract<RelayItem, { k: 'late' }>): void {
    const present = this.#presence.find(item.id);
    if (present?.site === item.site && present.shown.show(item.n, item.i)) this.#publishMark(present, item);
  }

  #publishMark({ site, visitor }: SitePresence, { t, page, mark }: Pick<LateMark, 't' | 'page' | 'mark'>): void {
    const { v, id } = visitor;
    const { type, ...fields } = mark;
    this.#fanOut.publish(site, type, { pages: [page], visitor: id }, () => ({ t, v, page, ...fields }));
  }

  #navigate(
    { site, visitor }: SitePresence,
    { t, page, origin, size }: { t: number } & Pick<Visitor, 'page' | 'origin' | 'size'>,
  ): void {
    const from = visitor.page;
    const { v, id } = visitor;
    Object.assign(visitor, { page, origin, size, at: null });
    const scope = { pages: [from, page], visitor: id };
    this.#fanOut.publish(site, 'page', scope, () => ({ t, v, page, from, origin, size, visitor }));
  }

  #view(
    present: SitePresence,
    { t, size, hidden, label }: { t: number } & Pick<Visitor, 'size' | 'hidden' | 'label'>,
  ): void {
    const { visitor } = present;
    const device = deviceOf(size[0]);
    Object.assign(visitor, { size, hidden, device, label });
    this.#publish(present, 'view', () => ({ t, v: visitor.v, size, hidden, device, label }));
  }

  #onJoin(present: SitePresence): void {
    const { visitor, site, letInAt } = present;
    this.#remoteEvents.cameHere(site, visitor.id);
    this.#rates.joined(site, this.#presence.of(site).size);
    this.#publish(present, 'join', () => ({ t: letInAt, visitor }));
  }

  #onReturn(present: SitePresence, arrival: Arrival): void {
    const { visitor } = present;
    const { page, size, hidden } = arrival;
    const t = Date.now();
    if (page !== visitor.page) this.#navigate(present, { t, ...arrival });
    else if (hidden !== visitor.hidden || String(size) !== String(visitor.size))
      this.#view(present, { t, size, hidden, label: visitor.label });
    this.#publishReturn(present);
  }

  /** Other nodes may still list the visitor on the node where it was in the meantime. */
  #publishReturn({ site, visitor, letInAt }: SitePresence): void {
    this.#remoteEvents.cameHere(site, visitor.id);
    if (!this.#fanOut.interest.isWatchedRemotely(site)) return;
    const json = JSON.stringify({ t: letInAt, visitor } satisfies StreamEvents['join']);
    this.#options.others.event(site, 'join', { pages: [visitor.page], visitor: visitor.id }, json);
  }

  #onLeave(present: SitePresence, reason: LeaveReason): void {
    const { v, id, label, page } = present.visitor;
    const t = Date.now();
    this.#departures.add(present.site, { t, id, label, page, reason });
    this.#publish(present, 'leave', () => ({ t, v, reason }));
  }

  /** Publishes an event of a visitor on its current page. */
  #publish<N extends PeerEvent>({ site, visitor }: SitePresence, name: N, data: () => StreamEvents[N]): void {
    this.#fanOut.publish(site, name, { pages: [visitor.page], visitor: visitor.id }, data);
  }

  #sendGrants(): void {
    for (const [worker, grants] of this.#grants) this.#options.send(worker, { tag: TAG, k: 'grants', grants });
    this.#grants.clear();
    for (const [worker, v, claim] of this.#releases.splice(0))
      this.#options.send(worker, { tag: TAG, k: 'release', v, claim });
  }

  #onSeen(worker: number, seen: SeenSite, flushMs: number): void {
    this.#rates.add(seen, flushMs);
    this.#samples += seen.samples;
    if (this.#fanOut.interest.isWatchedRemotely(seen.site)) this.#seconds.add(seen, flushMs);
    const second = thisSecond();
    for (let i = 0; i + 4 < seen.rows.length; i += 5) {
      const present = this.#presence.get(seen.rows[i] as number);
      if (present?.worker !== worker) continue;
      const [x, y, frame] = [seen.rows[i + 1], seen.rows[i + 2], seen.rows[i + 3]];
      this.#presence.noteTaken(present, frame as number);
      present.lastMinute.add(second, seen.rows[i + 4] as number);
      // Null: the visitor has no position on this page yet.
      if (typeof x === 'number') present.visitor.at = [x, y as number];
    }
  }

  #snapshot({ site, page, visitor: id, made }: StreamRequest): StreamEvents['snapshot'] {
    const isShown = (one: { page: string; id: string }) =>
      (page === null || one.page === page) && (id === null || one.id === id);
    const present = [...this.#presence.of(site), ...this.#remotePresence.of(site)].filter(({ visitor }) =>
      isShown(visitor),
    );
    const own = { machine: this.#options.machine, minutes: this.#rates.minutes(site) };
    const now = Date.now();
    const minutes = this.#rates.withEmpty(this.#remotePresence.minutes(site, own, now), now);
    return {
      t: now,
      site,
      visitors: present.map(({ visitor }) => visitor),
      minutes: minutes.filter(({ t }) => t >= minuteOf(made)),
      version: this.#options.version,
      left: this.#departures.of(site, now).filter((one) => one.t >= made && isShown(one)),
      activity: activityOf(present),
    };
  }

  #sweep(): void {
    const now = Date.now();
    this.#presence.sweep(now);
    this.#sendGrants();
    this.#fanOut.sweep();
    this.#departures.sweep(now);
  }

  #onSecond(): void {
    const now = Date.now();
    const { interest } = this.#fanOut;
    this.#rates.addRun([minuteOf(now)], now);
    for (const site of new Set([...this.#presence.sites(), ...this.#rates.sites(), ...interest.sites()])) {
      const rates = this.#rates.second(site, this.#presence.of(site).size, now);
      if (interest.isWatchedRemotely(site)) this.#publishSecond(site, now);
      if (interest.watches(site))
        this.#fanOut.show(site, 'rates', EVERYBODY, JSON.stringify(this.#addRemote(site, rates)));
    }
    this.#seconds.clear();
    this.#minuteKeeper.storeEnded(now);
    void this.#revokeForbidden();
  }

  /** Empty seconds are sent every EMPTY_MS: their numbers show other nodes that nothing is missing. */
  #publishSecond(site: string, now: number): void {
    const second = this.#seconds.of(site);
    const isEmpty = !second && this.#presence.of(site).size === 0;
    if (isEmpty && now % IDLE_SECOND_MS >= RATES_MS) return;
    const minute = this.#rates.lastMinute(site);
    if (minute) this.#options.others.second(site, { ...(second ?? emptySecond()), minute });
  }

  /** Adds the figures of other nodes to those of this one. */
  #addRemote(site: string, rates: StreamEvents['rates']): StreamEvents['rates'] {
    const { samples, drops, flushMs, activity } = this.#remotePresence.takeSecond(site);
    const late = Math.round(this.#options.others.staleMs(site));
    return {
      t: rates.t,
      visitors: rates.visitors + this.#remotePresence.count(site),
      samples: rates.samples + samples,
      drops: rates.drops + drops,
      flushMs: Math.max(rates.flushMs, flushMs),
      activity: activity.length > 0 ? [...rates.activity, ...activity] : rates.activity,
      ...(late > 0 && { late }),
    };
  }

  /**
   * Ends the streams of sessions and tokens that are no longer valid, and of removed sites. It also checks viewers who
   * recently closed their last stream, so that a resumed stream cannot outlive a sign-out.
   */
  async #revokeForbidden(): Promise<void> {
    if (this.#checking) return;
    this.#checking = true;
    try {
      await forEachConcurrently(this.#fanOut.recentViewers(), MAX_CONCURRENT_CHECKS, async (viewing) => {
        if (!(await this.#options.allowed(viewing))) this.#fanOut.revoke(viewing);
      });
    } catch (error) {
      this.#options.log.error({ err: error }, 'cannot check the sessions of open streams');
    } finally {
      this.#checking = false;
    }
  }

  /** Ends every stream after the data already written. Closing twice is safe. */
  async close(): Promise<void> {
    this.#closed = true;
    for (const timer of this.#timers) clearInterval(timer);
    await this.#fanOut.close();
  }
}

/** Activity of the last minute, in the form of a snapshot. */
function activityOf(present: readonly Pick<SitePresence, 'visitor' | 'lastMinute'>[]): (number | string)[] {
  const rows: (number | string)[] = [];
  const now = thisSecond();
  for (const { visitor, lastMinute } of present) {
    const seconds = lastMinute.text(now);
    if (seconds !== '') rows.push(visitor.v, seconds);
    if (rows.length >= 2 * MAX_ACTIVE) break;
  }
  return rows;
}

/** Sums up the visitors of each page; at most MAX_PAGES_TOLD pages, the largest number first. */
function mostVisited(pages: readonly [page: string, visitors: number][]): [page: string, visitors: number][] {
  const counts = new Map<string, number>();
  for (const [page, visitors] of pages) counts.set(page, (counts.get(page) ?? 0) + visitors);
  return [...counts].sort((a, b) => b[1] - a[1]).slice(0, MAX_PAGES_TOLD);
}
