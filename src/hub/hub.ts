/**
 * The primary's heart: takes what workers saw, keeps who is here, and has each event written to those who
 * watch.
 */
import type { Socket } from 'node:net';
import { forEachConcurrently } from '../lib/concurrency.ts';
import { getOrInsert } from '../lib/get-or-insert.ts';
import type { Logger } from '../log/logger.ts';
import type { Minute } from '../model/minute.ts';
import { MINUTE_MS, minuteOf } from '../model/minute.ts';
import { deviceOf, type LeaveReason, type Visitor } from '../model/visitor.ts';
import type { Channel } from '../protocol/channel.ts';
import type { Arrival, LateClick, RelayItem, SeenSite, StreamRequest, ToPrimary, ToWorker } from '../protocol/ipc.ts';
import { MAX_PAGES_TOLD, TAG } from '../protocol/ipc.ts';
import type { PeerEvent, PeerSiteState } from '../protocol/peer.ts';
import { NO_SITE, type Past, type Second, type Share, type SiteItem, type SiteMinute } from '../protocol/peer.ts';
import type { StreamEvents } from '../protocol/stream-event.ts';
import { Departures } from './departures.ts';
import { EVERYBODY, FanOut, type FanOutFigures, type Others, refuseStream } from './fan-out.ts';
import { thisSecond } from './last-minute.ts';
import { Presence } from './presence.ts';
import { Rates } from './rates.ts';
import type { Viewing } from './recent-viewers.ts';
import { RemoteEvents } from './remote-events.ts';
import { RemotePresence } from './remote-presence.ts';
import type { SitePresence } from './site-presence.ts';

const HEARTBEAT_MS = 15_000;
const SWEEP_MS = 250;
const RATES_MS = 1000;
/** Visitors whose activity and place other machines are told each second. */
const MAX_ROWS = 1000;
/** They are told so often of a site without visitors here, milliseconds. */
const EMPTY_MS = 4000;
/** Minutes that could not be kept are tried again after so long, milliseconds. */
const STORE_AGAIN_MS = 10_000;
/**
 * Sessions and tokens of streams that are checked at once: with Redis far away all of them have to be within about a
 * second.
 */
const CHECKS = 32;

export interface HubFigures extends FanOutFigures {
  /** Now. */
  visitors: number;
  /** That workers have told of, so far. */
  samples: number;
}

/** The way to the hubs of other machines. */
export interface OtherHubs extends Others {
  /** Visitors' numbers that are this machine's. */
  share: Share;
  second(site: string, second: Second): void;
  /** Events of a site were left out here already: others need all of it anew. */
  lost(site: string): void;
  /** How late is what others tell of a site, milliseconds; 0: it is not. */
  staleMs(site: string): number;
  /** Pages of a site with how many visitors of other machines are on each. */
  pages(site: string): Promise<[page: string, visitors: number][]>;
}

export interface HubOptions {
  graceMs: number;
  maxStreams: number;
  /** Of one account, one token, or one address. */
  maxStreamsEach: number;
  version: string;
  log: Logger;
  /** Sends to one worker. */
  send(worker: number, message: ToWorker): void;
  /** Sends to every worker. */
  sendAll(message: ToWorker): void;
  /** False when the session or token of a stream was revoked or has expired, or its site is gone. */
  allowed(looking: Viewing): Promise<boolean>;
  /** Keeps minutes of this machine where they outlive it. False if that cannot be done now. */
  keep(minutes: readonly SiteMinute[]): Promise<boolean>;
  /** This machine's name, the same at each start. */
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
  /** Of the second at hand, by site, as other machines are told it; only of sites that they watch. */
  readonly #seconds = new Map<string, Second>();
  /** Answers of the batch at hand, by worker; grants go out before releases, which may concern them. */
  readonly #grants = new Map<number, number[]>();
  readonly #releases: [worker: number, v: number, claim: number][] = [];
  readonly #timers: NodeJS.Timeout[] = [];
  #samples = 0;
  #checking = false;
  /** When minutes are to be kept next, Unix ms. */
  #keepAt = 0;
  #keeping: Promise<void> | undefined;
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
      back: (present, arrival) => this.#onBack(present, arrival),
      leave: (present, reason) => this.#onLeave(present, reason),
      grant: (worker, ...grant) => getOrInsert(this.#grants, worker, (): number[] => []).push(...grant),
      release: (...release) => this.#releases.push(release),
    });
    this.#remoteEvents = new RemoteEvents({
      fanOut: this.#fanOut,
      presence: this.#presence,
      elsewhere: this.#remotePresence,
      departures: this.#departures,
    });
    this.#rates.addRun([minuteOf(Date.now())], Date.now());
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
        for (const site of message.sites) this.#restart(site);
        break;
      case 'stream':
        // Undefined when the client was gone before the socket could be handed over.
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

  /** Takes what this machine had of a site before it was started anew, oldest first, or (NO_SITE) when it ran. To be told once. */
  recall(site: string, past: readonly Minute[]): void {
    const now = Date.now();
    if (site !== NO_SITE) this.#rates.recall(site, past, now);
    else
      this.#rates.addRun(
        past.map(({ t }) => t),
        now,
      );
  }

  /** Has minutes kept, up to the one of `until`, Unix ms. */
  async keepMinutes(until: number): Promise<void> {
    await this.#keeping;
    await this.#keep(minuteOf(until));
  }

  /** Minutes up to this one, Unix ms. */
  async #keep(until: number): Promise<void> {
    const minutes = this.#rates.unstored(until);
    const isKept = minutes.length === 0 || (await this.#options.keep(minutes));
    if (isKept) this.#rates.markStored(until);
    this.#keepAt = isKept ? until + 2 * MINUTE_MS : Date.now() + STORE_AGAIN_MS;
  }

  /** How much there is, and was. */
  figures(): HubFigures {
    return { visitors: this.#presence.size, samples: this.#samples, ...this.#fanOut.figures() };
  }

  /** Events of a site were left out by a worker. */
  #restart(site: string): void {
    this.#fanOut.restartSite(site, 'resync');
    if (this.#fanOut.interest.isWatchedRemotely(site)) this.#options.others.lost(site);
  }

  async #answer(worker: number, ask: number, site: string): Promise<void> {
    const others = await this.#options.others.pages(site);
    this.#options.send(worker, { tag: TAG, k: 'answer', ask, pages: fullest([...this.pages(site), ...others]) });
  }

  /** Pages of a site with how many visitors of this machine are on each, the fullest first. */
  pages(site: string): [page: string, visitors: number][] {
    return fullest(Array.from(this.#presence.of(site), ({ visitor }) => [visitor.page, 1]));
  }

  /** Channels that streams of this machine show. */
  watched(): Channel[] {
    return this.#fanOut.interest.channels().map(({ site, page, visitor, moves }) => ({ site, page, visitor, moves }));
  }

  /** Takes the channels that streams of other machines show, all of them. */
  setRemoteChannels(channels: readonly Channel[]): void {
    this.#fanOut.setRemoteChannels(channels);
  }

  /** Other machines need the latest positions of everybody of here in these channels. */
  refresh(keys: readonly string[]): void {
    for (const key of keys) this.#fanOut.refreshLocally(key);
  }

  /** All that this machine knows of its own visitors of a site. */
  state(site: string): PeerSiteState {
    const visitors = Array.from(this.#presence.of(site), ({ visitor, letInAt }) => ({ visitor, at: letInAt }));
    return { visitors, minutes: this.#rates.minutes(site) };
  }

  /** Takes what another machine tells of a site. */
  hear(machine: string, site: string, items: readonly Exclude<SiteItem, { k: 'state' }>[]): void {
    this.#fanOut.batch(() => {
      for (const item of items) this.#remoteEvents.item(machine, site, item);
    });
    this.#sendAnswers();
  }

  /** Takes all that another machine knows of a site. `lost`: of what it told before something did not arrive. */
  setRemoteState(machine: string, site: string, state: PeerSiteState, lost: boolean): void {
    this.#fanOut.batch(() => this.#remoteEvents.state(machine, site, state, lost));
    this.#sendAnswers();
  }

  /** Another machine is no more; `bye`: it said so. */
  nodeGone(machine: string, bye: boolean): void {
    this.#fanOut.batch(() => this.#remoteEvents.nodeGone(machine, bye ? 'server' : 'lost'));
  }

  /** What other machines have of this site is not told to this one any more. */
  forgetSite(site: string): void {
    this.#remotePresence.forget(site);
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
        this.#late(item);
        break;
      default: {
        const present = this.#presence.get(item.v);
        if (present?.worker === worker) this.#done(present, item);
      }
    }
  }

  /** What a visitor that is here did. */
  #done(present: SitePresence, item: Extract<RelayItem, { k: 'begin' | 'page' | 'view' | 'click' }>): void {
    if (item.k === 'view') {
      this.#view(present, item);
    } else if (item.k === 'begin') {
      this.#presence.noteTaken(present, item.n);
    } else if (present.shown.show(item.n, item.i)) {
      if (item.k === 'page') this.#navigate(present, item);
      else this.#click(present, item);
    } else if (item.k === 'page' && item.page !== present.visitor.page) {
      // A visitor that connects again begins on the page of what it sends again, and goes the same way once more.
      this.#navigate(present, item);
    }
  }

  #click(present: SitePresence, item: Extract<RelayItem, { k: 'click' }>): void {
    const { x, y } = item.click;
    present.visitor.at = [x, y];
    this.#tellClick(present, item);
  }

  /** The visitor stays where it is. Whoever has left cannot be told of any more. */
  #late(item: Extract<RelayItem, { k: 'late' }>): void {
    const present = this.#presence.find(item.id);
    if (present?.site === item.site && present.shown.show(item.n, item.i)) this.#tellClick(present, item);
  }

  #tellClick({ site, visitor }: SitePresence, { t, page, click }: Pick<LateClick, 't' | 'page' | 'click'>): void {
    const { v } = visitor;
    this.#fanOut.publish(site, 'click', { pages: [page], visitor: visitor.id }, () => ({ t, v, page, ...click }));
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

  #onBack(present: SitePresence, arrival: Arrival): void {
    const { visitor } = present;
    const { page, size, hidden } = arrival;
    const t = Date.now();
    if (page !== visitor.page) this.#navigate(present, { t, ...arrival });
    else if (hidden !== visitor.hidden || String(size) !== String(visitor.size))
      this.#view(present, { t, size, hidden, label: visitor.label });
    this.#tellBack(present);
  }

  /** Other machines may have the visitor from where it was meanwhile. */
  #tellBack({ site, visitor, letInAt }: SitePresence): void {
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

  /** A visitor's event, of the page it is on. */
  #publish<N extends PeerEvent>({ site, visitor }: SitePresence, name: N, data: () => StreamEvents[N]): void {
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
    if (this.#fanOut.interest.isWatchedRemotely(seen.site)) this.#addSecond(seen, flushMs);
    const second = thisSecond();
    for (let i = 0; i + 4 < seen.rows.length; i += 5) {
      const present = this.#presence.get(seen.rows[i] as number);
      if (present?.worker !== worker) continue;
      const [x, y, frame] = [seen.rows[i + 1], seen.rows[i + 2], seen.rows[i + 3]];
      this.#presence.noteTaken(present, frame as number);
      present.lastMinute.add(second, seen.rows[i + 4] as number);
      // Null: this visitor has no place yet, at least on this page.
      if (typeof x === 'number') present.visitor.at = [x, y as number];
    }
  }

  #snapshot({ site, page, visitor: id, made }: StreamRequest): StreamEvents['snapshot'] {
    const isShown = (one: { page: string; id: string }) =>
      (page === null || one.page === page) && (id === null || one.id === id);
    const here = [...this.#presence.of(site), ...this.#remotePresence.of(site)].filter(({ visitor }) =>
      isShown(visitor),
    );
    const own = { machine: this.#options.machine, minutes: this.#rates.minutes(site) };
    const now = Date.now();
    const minutes = this.#rates.withEmpty(this.#remotePresence.minutes(site, own, now), now);
    return {
      t: now,
      site,
      visitors: here.map(({ visitor }) => visitor),
      minutes: minutes.filter(({ t }) => t >= minuteOf(made)),
      version: this.#options.version,
      left: this.#departures.of(site, now).filter((one) => one.t >= made && isShown(one)),
      activity: activityOf(here),
    };
  }

  #sweep(): void {
    const now = Date.now();
    this.#presence.sweep(now);
    this.#sendAnswers();
    this.#fanOut.sweep();
    this.#departures.sweep(now);
  }

  #onSecond(): void {
    const now = Date.now();
    const { interest } = this.#fanOut;
    this.#rates.addRun([minuteOf(now)], now);
    for (const site of new Set([...this.#presence.sites(), ...this.#rates.sites(), ...interest.sites()])) {
      const rates = this.#rates.second(site, this.#presence.of(site).size, now);
      if (interest.isWatchedRemotely(site)) this.#tellSecond(site, now);
      if (interest.watches(site))
        this.#fanOut.show(site, 'rates', EVERYBODY, JSON.stringify(this.#withOthers(site, rates)));
    }
    this.#seconds.clear();
    if (now >= this.#keepAt) this.#keepEnded(now);
    void this.#endForbidden();
  }

  /** Keeps the minutes that have ended, unless that is under way. */
  #keepEnded(now: number): void {
    this.#keeping ??= this.#keep(minuteOf(now) - MINUTE_MS).finally(() => {
      this.#keeping = undefined;
    });
  }

  #addSecond({ site, samples, drops, rows }: SeenSite, flushMs: number): void {
    const second = getOrInsert(this.#seconds, site, nothing);
    second.samples += samples;
    second.drops += drops;
    second.flushMs = Math.max(second.flushMs, flushMs);
    for (let i = 0; i + 4 < rows.length && second.rows.length < 4 * MAX_ROWS; i += 5)
      second.rows.push(rows[i] as number, rows[i + 1] ?? null, rows[i + 2] ?? null, rows[i + 4] as number);
  }

  /** A second without anybody is told now and then, since by its number others know that they missed nothing before. */
  #tellSecond(site: string, now: number): void {
    const second = this.#seconds.get(site);
    const isEmpty = !second && this.#presence.of(site).size === 0;
    if (isEmpty && now % EMPTY_MS >= RATES_MS) return;
    const minute = this.#rates.lastMinute(site);
    if (minute) this.#options.others.second(site, { ...(second ?? nothing()), minute });
  }

  /** What happened in a second, here and on other machines. */
  #withOthers(site: string, rates: StreamEvents['rates']): StreamEvents['rates'] {
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
   * Ends the streams of sessions and tokens that are no longer valid, and of sites that are gone. Who closed the last one is asked after, too:
   * by having looked on nobody comes back that has signed out since.
   */
  async #endForbidden(): Promise<void> {
    if (this.#checking) return;
    this.#checking = true;
    try {
      await forEachConcurrently(this.#fanOut.recentViewers(), CHECKS, async (looking) => {
        if (!(await this.#options.allowed(looking))) this.#fanOut.revoke(looking);
      });
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

/** What visitors did in the last minute, as a snapshot tells it. */
function activityOf(here: readonly Pick<SitePresence, 'visitor' | 'lastMinute'>[]): (number | string)[] {
  const rows: (number | string)[] = [];
  const now = thisSecond();
  for (const { visitor, lastMinute } of here) {
    const seconds = lastMinute.text(now);
    if (seconds !== '') rows.push(visitor.v, seconds);
    if (rows.length >= 2 * MAX_ROWS) break;
  }
  return rows;
}

function nothing(): Second {
  return { samples: 0, drops: 0, flushMs: 0, rows: [], minute: { t: 0, visitors: 0, samples: 0 } };
}

/** Adds up what is of the same page. At most MAX_PAGES_TOLD, the fullest first. */
function fullest(pages: readonly [page: string, visitors: number][]): [page: string, visitors: number][] {
  const counts = new Map<string, number>();
  for (const [page, visitors] of pages) counts.set(page, (counts.get(page) ?? 0) + visitors);
  return [...counts].sort((a, b) => b[1] - a[1]).slice(0, MAX_PAGES_TOLD);
}
