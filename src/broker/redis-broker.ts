/**
 * The exchange between nodes that share a Redis. By the control stream (control-stream.ts) each node knows which others
 * are present and what they watch. A site that another node watches has a stream of its own, to which the nodes of its
 * visitors write its events. For other sites nothing is written.
 */
import { randomBytes } from 'node:crypto';
import { withTimeout } from '../lib/timeout.ts';
import type { Logger } from '../log/logger.ts';
import { channelKey } from '../protocol/channel.ts';
import {
  type PeerEvent,
  runOf,
  type Scope,
  type Second,
  type Share,
  type SiteItem,
  type Written,
  writeSiteItem,
} from '../protocol/peer.ts';
import { type ConnectionCheck, Redis } from '../redis/connection.ts';
import { siteKey } from '../redis/keys.ts';
import type { RedisTarget } from '../redis/redis-url.ts';
import type { Broker, BrokerFigures, Local } from './contract.ts';
import { ControlStream } from './control-stream.ts';
import { EntryGuard } from './entry-guard.ts';
import { Inbox } from './inbox.ts';
import { NODE_IDS, takeNodeId } from './node-id.ts';
import { NodeLease } from './node-lease.ts';
import { Outbox, type OutboxOptions, type Waiting } from './outbox.ts';
import { type StreamCursor, StreamReader } from './stream-reader.ts';

/** How often silent nodes and stale data are looked for, milliseconds. */
const LISTEN_MS = 250;
/** Time limit for a reply of Redis, milliseconds. */
const REDIS_LIMIT_MS = 2000;
/** Data is stale if nothing could be read or written for this long, milliseconds. */
const STALE_MS = 1500;
/** Minimum time between two sendings of a site's state, milliseconds. A node that needs it asks again. */
const STATE_MS = 300;
/** Visitors in one part of a state. */
const PART = 500;
/** Time limit for each step of closing, milliseconds. */
const BYE_LIMIT_MS = 500;

interface Listening {
  inbox: Inbox;
  /** Undefined until the position to read from is known. */
  cursor: StreamCursor | undefined;
  since: number;
}

interface Telling {
  outbox: Outbox;
  /** When the state was last sent, performance.now(). */
  statedAt: number;
}

type OutboxEvents = Pick<OutboxOptions, 'onLost' | 'onSkipped'> & Partial<Pick<OutboxOptions, 'onWritten'>>;

export class RedisBroker implements Broker {
  readonly share: Share;
  readonly #redis: Redis;
  readonly #log: Logger;
  /** Identifies this node and its current run; other nodes are identified in the same way. */
  readonly #node: string;
  readonly #streamReader: StreamReader;
  readonly #guard: EntryGuard;
  readonly #lease: NodeLease;
  readonly #waiting: Waiting = { size: 0 };
  readonly #control: ControlStream;
  /** Sites that this node watches. */
  readonly #listening = new Map<string, Listening>();
  /** Sites that other nodes watch. */
  readonly #telling = new Map<string, Telling>();
  /** Numbers of the last entries in streams that this node does not write to any more. */
  readonly #numbers = new Map<string, number>();
  #timer: NodeJS.Timeout | undefined;
  readonly #figures = { entriesOut: 0, entriesIn: 0, bytesOut: 0, bytesIn: 0, gaps: 0, overflows: 0 };
  #local: Local | undefined;
  #isStale = false;
  #closing: Promise<void> | undefined;

  private constructor(redis: Redis, log: Logger, node: string, nodeId: number) {
    this.#redis = redis;
    this.#log = log;
    this.#node = node;
    this.share = { slot: nodeId, slots: NODE_IDS };
    this.#streamReader = new StreamReader(redis);
    this.#guard = new EntryGuard(log);
    this.#lease = new NodeLease(redis, node, nodeId, () => this.#fence());
    this.#control = this.#openControl();
  }

  #openControl(): ControlStream {
    return new ControlStream({
      node: this.#node,
      log: this.#log,
      reader: this.#streamReader,
      guard: this.#guard,
      makeOutbox: (key, events) => this.#makeOutbox(key, 0, events),
      watched: () => this.#local?.watched().filter(({ site }) => this.#listening.get(site)?.cursor) ?? [],
      lacks: (node) => this.#lacks(node),
      pages: (site) => this.#local?.pages(site) ?? [],
      onChannels: () => this.#carry(),
      onRefresh: (keys) => this.#local?.refresh(keys),
      onLack: (site) => this.#tellState(site),
      onGone: (node, bye) => this.#gone(node, bye),
    });
  }

  /** Connects. `machine`: name of this node. While `check` fails, nothing is sent or received. Throws RedisError. */
  static async start(target: RedisTarget, log: Logger, machine: string, check?: ConnectionCheck): Promise<RedisBroker> {
    const redis = await Redis.connect(target, { limitMs: REDIS_LIMIT_MS, ...(check && { check }) });
    const run = runOf(machine, randomBytes(6).toString('base64url'));
    try {
      return new RedisBroker(redis, log, run, await takeNodeId(redis, run));
    } catch (error) {
      await redis.close();
      throw error;
    }
  }

  #makeOutbox(key: string, last: number, events: OutboxEvents): Outbox {
    const figures = this.#figures;
    return new Outbox({
      redis: this.#redis,
      waiting: this.#waiting,
      key,
      node: this.#node,
      last,
      maySend: () => this.#lease.isHeld(),
      ...events,
      onWritten: (bytes) => {
        figures.entriesOut += 1;
        figures.bytesOut += bytes;
        events.onWritten?.(bytes);
      },
      onOverflow: () => {
        figures.overflows += 1;
      },
    });
  }

  start(local: Local): void {
    this.#local = local;
    this.#lease.start();
    this.#control.start();
    this.#timer = setInterval(() => this.#listen(), LISTEN_MS);
  }

  /** Ends the exchange: this node's visitors would be mistaken for those of the node that has their numbers now. */
  #fence(): void {
    if (this.#closing) return;
    const text =
      'another server has the numbers of this one, which was disconnected from Redis for too long: ' +
      'until this server is restarted, it does not show visitors of other servers, and they do not show its visitors';
    this.#log.error({ slot: this.share.slot }, text);
    void this.close();
    this.#control.removeAll();
  }

  /** Adapts to a change of what other nodes watch. */
  #carry(): void {
    const channels = this.#control.channels();
    const sites = new Set(channels.map(({ site }) => site));
    for (const site of this.#telling.keys()) if (!sites.has(site)) this.#endTelling(site);
    for (const site of sites) if (!this.#telling.has(site)) this.#beginTelling(site);
    this.#local?.setRemoteChannels(channels);
  }

  #beginTelling(site: string): void {
    const last = this.#numbers.get(site) ?? 0;
    const outbox = this.#makeOutbox(siteKey(site, 'live'), last, {
      onLost: () => this.#tellState(site, true),
      onSkipped: () => this.#local?.refresh(this.#carriedOf(site)),
    });
    // The stream lacks the events since this node last wrote to it.
    outbox.skipNumber();
    this.#telling.set(site, { outbox, statedAt: Number.NEGATIVE_INFINITY });
  }

  #endTelling(site: string): void {
    const { outbox } = this.#telling.get(site) as Telling;
    this.#numbers.set(site, outbox.last);
    outbox.close();
    this.#telling.delete(site);
  }

  #carriedOf(site: string): string[] {
    return this.#control
      .channels()
      .filter((channel) => channel.site === site)
      .map(channelKey);
  }

  #tellState(site: string, atOnce = false): void {
    const telling = this.#telling.get(site);
    const now = performance.now();
    if (!telling || !this.#local || (!atOnce && now - telling.statedAt < STATE_MS)) return;
    telling.statedAt = now;
    telling.outbox.addState(partsOf(this.#local.state(site)));
  }

  /** Sites of which this node lacks the state of another node. */
  #lacks(node: string): string[] {
    const sites = [...this.#listening].filter(([, { inbox, cursor }]) => cursor && inbox.lacks(node));
    return sites.map(([site]) => site);
  }

  watchedChanged(): void {
    const watched = new Set(this.#local?.watched().map(({ site }) => site));
    for (const site of this.#listening.keys()) if (!watched.has(site)) this.#endListening(site);
    for (const site of watched) if (!this.#listening.has(site)) void this.#beginListening(site);
    this.#control.sendAlive();
  }

  async #beginListening(site: string): Promise<void> {
    const inbox = new Inbox({
      site,
      self: this.#node,
      local: this.#local as Local,
      onHeard: (node) => this.#control.heard(node),
      onGap: () => this.#onGap(),
      onRead: (bytes) => this.#onRead(bytes),
    });
    const listening: Listening = { inbox, cursor: undefined, since: performance.now() };
    this.#listening.set(site, listening);
    const isWanted = () => this.#listening.get(site) === listening;
    // Answers to requests that are sent from now on come after this position.
    const take = this.#guard.wrap((entries) => inbox.take(entries));
    listening.cursor = await this.#streamReader.open(siteKey(site, 'live'), take, isWanted);
    if (isWanted()) this.#control.sendAlive();
  }

  #onGap(): void {
    this.#figures.gaps += 1;
    this.#control.sendAlive();
  }

  #onRead(bytes: number): void {
    this.#figures.entriesIn += 1;
    this.#figures.bytesIn += bytes;
  }

  #endListening(site: string): void {
    const { cursor } = this.#listening.get(site) as Listening;
    this.#listening.delete(site);
    if (cursor) this.#streamReader.end(cursor);
    this.#local?.forgetSite(site);
  }

  /** Removes nodes that were silent for too long, and logs when the data becomes stale or current. */
  #listen(): void {
    const late = this.#staleMs();
    this.#control.removeSilent();
    if (late > 0 === this.#isStale) return;
    this.#isStale = late > 0;
    if (this.#isStale) this.#log.warn('Redis does not answer in time: visitors of other servers are not up to date');
    else this.#log.info('Redis answers again: visitors of other servers are up to date');
  }

  #gone(node: string, bye: boolean): void {
    for (const { inbox } of this.#listening.values()) inbox.gone(node, bye);
    this.#local?.nodeGone(node, bye);
    this.#carry();
  }

  refresh(key: string): void {
    this.#control.refresh(key);
  }

  event(site: string, name: PeerEvent, scope: Scope, json: string): void {
    this.#tell(site, { k: 'event', name, scope, json });
  }

  rendered(site: string, key: string, name: 'moves' | 'scroll', t: number, list: string): void {
    this.#telling.get(site)?.outbox.addMoves(writeSiteItem({ k: name, key, t, list }));
  }

  second(site: string, second: Second): void {
    this.#tell(site, { k: 'second', second });
  }

  #tell(site: string, item: SiteItem): void {
    this.#telling.get(site)?.outbox.add(writeSiteItem(item));
  }

  lost(site: string): void {
    this.#telling.get(site)?.outbox.skipNumber();
    this.#tellState(site, true);
  }

  staleMs(site: string): number {
    const now = performance.now();
    const listening = this.#listening.get(site);
    const waits = [
      this.#control.behindMs(now),
      this.#telling.get(site)?.outbox.waitedMs(now) ?? 0,
      listening ? now - (listening.cursor?.readAt ?? listening.since) : 0,
    ];
    const late = Math.max(...waits);
    return late > STALE_MS ? late : 0;
  }

  #staleMs(): number {
    return Math.max(...['', ...this.#listening.keys(), ...this.#telling.keys()].map((site) => this.staleMs(site)));
  }

  pages(site: string): Promise<[page: string, visitors: number][]> {
    if (this.#isStale) return Promise.resolve([]);
    return this.#control.askPages(site);
  }

  figures(): BrokerFigures {
    return { ...this.#figures, machines: this.#control.size, lateMs: this.#staleMs() };
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    clearInterval(this.#timer);
    this.#lease.stop();
    this.#control.stop();
    this.#streamReader.close();
    for (const site of [...this.#telling.keys()]) this.#endTelling(site);
    await this.#control.sayBye(BYE_LIMIT_MS);
    await withTimeout(this.#lease.release(), BYE_LIMIT_MS).catch(() => {});
    await withTimeout(this.#redis.close(), BYE_LIMIT_MS).catch(() => {});
  }
}

/** Splits a state into items of a stream, PART visitors each. */
function partsOf({ visitors, minutes }: ReturnType<Local['state']>): Written[] {
  const parts: Written[] = [];
  for (let i = 0; i === 0 || i < visitors.length; i += PART) {
    const isFirst = i === 0;
    const state = { visitors: visitors.slice(i, i + PART), minutes: isFirst ? minutes : [] };
    parts.push(writeSiteItem({ k: 'state', isFirst, isLast: i + PART >= visitors.length, state }));
  }
  return parts;
}
