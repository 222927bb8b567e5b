/**
 * The exchange between nodes that share a Redis. All nodes write to one control stream: every two seconds each reports
 * that it is present, which channels its streams show, and whose state of which sites it lacks. A site that another
 * node watches has a stream of its own, to which the nodes of its visitors write its events. For other sites nothing is
 * written.
 */
import { randomBytes } from 'node:crypto';
import { withTimeout } from '../lib/timeout.ts';
import type { Logger } from '../log/logger.ts';
import { channelKey } from '../protocol/channel.ts';
import {
  FORMAT,
  formatOf,
  type NodeItem,
  type PeerEvent,
  readNodeItem,
  runOf,
  type Scope,
  type Second,
  type Share,
  type SiteItem,
  type Written,
  writeNodeItem,
  writeSiteItem,
} from '../protocol/peer.ts';
import { type ConnectionCheck, Redis } from '../redis/connection.ts';
import { commonKey, siteKey } from '../redis/keys.ts';
import type { RedisTarget } from '../redis/redis-url.ts';
import type { Broker, BrokerFigures, Local } from './contract.ts';
import { Inbox } from './inbox.ts';
import { Membership } from './membership.ts';
import { MAX_UNRENEWED_MS, NODE_IDS, releaseNodeId, renewNodeId, takeNodeId } from './node-id.ts';
import { Outbox, type Waiting } from './outbox.ts';
import { PageQuestions } from './page-questions.ts';
import { type StreamCursor, type StreamEntry, StreamReader } from './stream-reader.ts';

const ALIVE_MS = 2000;
const LISTEN_MS = 250;
/** How often the lease of the node id is renewed, milliseconds. */
const KEEP_NODE_ID_MS = 10_000;
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

export class RedisBroker implements Broker {
  readonly share: Share;
  readonly #redis: Redis;
  readonly #log: Logger;
  /** Identifies this node and its current run; other nodes are identified in the same way. */
  readonly #machine: string;
  readonly #streamReader: StreamReader;
  readonly #membership = new Membership();
  readonly #questions = new PageQuestions();
  readonly #waiting: Waiting = { size: 0 };
  readonly #control: Outbox;
  #controlCursor: StreamCursor | undefined;
  /** Sites that this node watches. */
  readonly #listening = new Map<string, Listening>();
  /** Sites that other nodes watch. */
  readonly #telling = new Map<string, Telling>();
  /** Numbers of the last entries in streams that this node does not write to any more. */
  readonly #numbers = new Map<string, number>();
  readonly #refreshes = new Set<string>();
  /** Nodes with another format that were already logged. */
  readonly #foreign = new Set<string>();
  readonly #timers: NodeJS.Timeout[] = [];
  readonly #figures = { entriesOut: 0, entriesIn: 0, bytesOut: 0, bytesIn: 0, gaps: 0, overflows: 0 };
  readonly #startedAt = performance.now();
  /** When the lease of the node id was last confirmed, performance.now(). It also expires during a system suspend. */
  #keptAt = performance.now();
  #local: Local | undefined;
  /** Something has changed since the last `alive` message. */
  #isAliveDue = false;
  #isStale = false;
  /** An unreadable entry was logged; only the first one is. */
  #hasComplained = false;
  #closing: Promise<void> | undefined;

  private constructor(redis: Redis, log: Logger, machine: string, nodeId: number) {
    this.#redis = redis;
    this.#log = log;
    this.#machine = machine;
    this.share = { slot: nodeId, slots: NODE_IDS };
    this.#streamReader = new StreamReader(redis);
    this.#control = this.#makeOutbox(commonKey('control'), 0, {
      onLost: () => this.#tellAlive(),
      onSkipped: () => {},
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

  #makeOutbox(key: string, last: number, events: { onLost(): void; onSkipped(): void }): Outbox {
    const figures = this.#figures;
    return new Outbox({
      redis: this.#redis,
      waiting: this.#waiting,
      key,
      node: this.#machine,
      last,
      maySend: () => this.#mayTell(),
      ...events,
      onWritten: (bytes) => {
        figures.entriesOut += 1;
        figures.bytesOut += bytes;
        if (this.#isAliveDue) this.#tellAlive();
      },
      onOverflow: () => {
        figures.overflows += 1;
      },
    });
  }

  start(local: Local): void {
    this.#local = local;
    void this.#openControl();
    this.#timers.push(
      setInterval(() => this.#tellAlive(), ALIVE_MS),
      setInterval(() => this.#listen(), LISTEN_MS),
      setInterval(() => void this.#keepNodeId(), KEEP_NODE_ID_MS),
    );
  }

  /** Returns false if another node may have this node's id by now: its visitor numbers must not be sent then. */
  async #mayTell(): Promise<boolean> {
    const isSure = () => performance.now() - this.#keptAt < MAX_UNRENEWED_MS;
    if (!isSure()) await this.#keepNodeId();
    return isSure();
  }

  async #keepNodeId(): Promise<void> {
    const now = performance.now();
    const isKept = await renewNodeId(this.#redis, this.#machine, this.share.slot).catch(() => undefined);
    if (isKept) this.#keptAt = now;
    else if (isKept === false && !this.#closing) this.#fence();
  }

  /** Ends the exchange: this node's visitors would be mistaken for those of the node that has their numbers now. */
  #fence(): void {
    const text =
      'another server has the numbers of this one, which was disconnected from Redis for too long: ' +
      'until this server is restarted, it does not show visitors of other servers, and they do not show its visitors';
    this.#log.error({ slot: this.share.slot }, text);
    this.#keptAt = Number.NEGATIVE_INFINITY;
    void this.close();
    for (const machine of [...this.#membership.names]) this.#disconnected(machine, true);
  }

  async #openControl(): Promise<void> {
    const take = this.#bear((entries) => this.#takeControl(entries));
    this.#controlCursor = await this.#streamReader.open(commonKey('control'), take, () => true);
    this.#tellAlive();
  }

  /** Skips entries that cannot be read, so that no content of a stream stops the reader or this process. */
  #bear(take: StreamCursor['take']): StreamCursor['take'] {
    return (entries) => {
      try {
        return take(entries);
      } catch (error) {
        if (!this.#hasComplained) this.#log.error({ err: error }, 'data from another server cannot be read');
        this.#hasComplained = true;
        return true;
      }
    };
  }

  /** Returns the entries in the format of this node. */
  #readable(entries: readonly StreamEntry[]): StreamEntry[] {
    return entries.filter((entry) => {
      const [machine = ''] = entry;
      const format = formatOf(entry);
      if (format !== FORMAT) this.#noteForeign(machine, format);
      return format === FORMAT;
    });
  }

  /** Logs each node once; after NODE_IDS nodes, some may be logged again. */
  #noteForeign(machine: string, format: string): void {
    if (this.#foreign.has(machine)) return;
    if (this.#foreign.size >= NODE_IDS) this.#foreign.clear();
    this.#foreign.add(machine);
    const text = 'another server runs a different version of Fieldmouse: the two do not show visitors of each other';
    this.#log.warn({ machine, format, own: FORMAT }, text);
  }

  #takeControl(entries: StreamEntry[]): boolean {
    const others = this.#readable(entries).filter(([machine]) => machine !== this.#machine);
    for (const [machine = '', , ...texts] of others)
      for (let i = 0; i + 1 < texts.length; i += 2) {
        const item = readNodeItem(texts[i] as string, texts[i + 1] as string);
        if (item) this.#take(machine, item);
      }
    return others.length > 0;
  }

  #take(machine: string, item: NodeItem): void {
    if (item.k === 'bye') {
      this.#disconnected(machine, true);
      return;
    }
    this.#heard(machine);
    if (item.k === 'alive') this.#alive(machine, item);
    else if (item.k === 'answer') {
      if (item.to === this.#machine) this.#questions.answer(machine, item.ask, item.pages);
    } else this.#answer(machine, item);
  }

  #heard(machine: string): void {
    // A new node must learn of this one soon, and this node lacks its state.
    if (this.#membership.heard(machine)) this.#tellAlive();
  }

  #alive(machine: string, item: Extract<NodeItem, { k: 'alive' }>): void {
    if (this.#membership.watches(machine, item)) this.#carry();
    this.#local?.refresh(item.refresh);
    for (const site of item.lacks[this.#machine] ?? []) this.#tellState(site);
  }

  #answer(machine: string, { ask, site }: Extract<NodeItem, { k: 'ask' }>): void {
    const pages = this.#local?.pages(site) ?? [];
    this.#control.add(writeNodeItem({ k: 'answer', to: machine, ask, pages }));
  }

  /** Adapts to a change of what other nodes watch. */
  #carry(): void {
    const channels = this.#membership.channels();
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
    return this.#membership
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

  /** Sends that this node is present, what it watches and what it lacks. Waits until the last such message is sent. */
  #tellAlive(): void {
    this.#isAliveDue = this.#control.waitedMs(performance.now()) > 0 || !this.#controlCursor;
    if (this.#isAliveDue || !this.#local) return;
    const watches = this.#local.watched().filter(({ site }) => this.#listening.get(site)?.cursor);
    const refresh = [...this.#refreshes];
    this.#refreshes.clear();
    this.#control.add(writeNodeItem({ k: 'alive', watches, lacks: this.#lacks(), refresh }));
  }

  #lacks(): Record<string, string[]> {
    const lacks: Record<string, string[]> = {};
    for (const machine of this.#membership.names) {
      const sites = [...this.#listening].filter(([, { inbox, cursor }]) => cursor && inbox.lacks(machine));
      if (sites.length > 0) lacks[machine] = sites.map(([site]) => site);
    }
    return lacks;
  }

  watchedChanged(): void {
    const watched = new Set(this.#local?.watched().map(({ site }) => site));
    for (const site of this.#listening.keys()) if (!watched.has(site)) this.#endListening(site);
    for (const site of watched) if (!this.#listening.has(site)) void this.#beginListening(site);
    this.#tellAlive();
  }

  async #beginListening(site: string): Promise<void> {
    const inbox = new Inbox({
      site,
      self: this.#machine,
      local: this.#local as Local,
      onHeard: (machine) => this.#heard(machine),
      onGap: () => this.#onGap(),
      onRead: (bytes) => this.#onRead(bytes),
    });
    const listening: Listening = { inbox, cursor: undefined, since: performance.now() };
    this.#listening.set(site, listening);
    const isWanted = () => this.#listening.get(site) === listening;
    // Answers to requests that are sent from now on come after this position.
    const take = this.#bear((entries) => inbox.take(this.#readable(entries)));
    listening.cursor = await this.#streamReader.open(siteKey(site, 'live'), take, isWanted);
    if (isWanted()) this.#tellAlive();
  }

  #onGap(): void {
    this.#figures.gaps += 1;
    this.#tellAlive();
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
    if (this.#controlCursor && performance.now() - this.#controlCursor.readAt < LISTEN_MS)
      for (const machine of this.#membership.silentNodes()) this.#disconnected(machine, false);
    if (late > 0 === this.#isStale) return;
    this.#isStale = late > 0;
    if (this.#isStale) this.#log.warn('Redis does not answer in time: visitors of other servers are not up to date');
    else this.#log.info('Redis answers again: visitors of other servers are up to date');
  }

  #disconnected(machine: string, bye: boolean): void {
    if (!this.#membership.remove(machine)) return;
    if (!bye) this.#log.warn({ machine }, 'another server is not responding any more');
    for (const { inbox } of this.#listening.values()) inbox.gone(machine, bye);
    this.#local?.nodeGone(machine, bye);
    this.#carry();
  }

  refresh(key: string): void {
    if (this.#membership.size === 0) return;
    this.#refreshes.add(key);
    this.#tellAlive();
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
      now - (this.#controlCursor?.readAt ?? this.#startedAt),
      this.#control.waitedMs(now),
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
    return this.#questions.ask(this.#membership.names, (ask) =>
      this.#control.add(writeNodeItem({ k: 'ask', ask, site })),
    );
  }

  figures(): BrokerFigures {
    return { ...this.#figures, machines: this.#membership.size, lateMs: this.#staleMs() };
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    for (const timer of this.#timers) clearInterval(timer);
    this.#streamReader.close();
    for (const site of [...this.#telling.keys()]) this.#endTelling(site);
    this.#control.add(writeNodeItem({ k: 'bye' }));
    await this.#control.drained(BYE_LIMIT_MS);
    this.#control.close();
    const leave = releaseNodeId(this.#redis, this.#machine, this.share.slot);
    await withTimeout(leave, BYE_LIMIT_MS).catch(() => {});
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
