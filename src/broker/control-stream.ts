/**
 * The control stream, which all nodes write and read. Every two seconds each node reports that it is present, which
 * channels its streams show, and whose state of which sites it lacks. A node that ends says bye; a node that is killed
 * is removed after its silence (membership.ts).
 */
import type { Logger } from '../log/logger.ts';
import type { Channel } from '../protocol/channel.ts';
import { type NodeItem, readNodeItem, writeNodeItem } from '../protocol/peer.ts';
import { commonKey } from '../redis/keys.ts';
import type { EntryGuard } from './entry-guard.ts';
import { Membership } from './membership.ts';
import type { Outbox, OutboxOptions } from './outbox.ts';
import { PageQuestions } from './page-questions.ts';
import type { StreamCursor, StreamEntry, StreamReader } from './stream-reader.ts';

const KEY = commonKey('control');
const ALIVE_MS = 2000;
/** All that was sent is known if the stream was read this recently, milliseconds. */
const JUST_READ_MS = 250;

type Pages = [page: string, visitors: number][];

/** What the control stream gets from the broker, and what it reports to it. */
export interface ControlOptions {
  /** This node. */
  node: string;
  log: Logger;
  reader: StreamReader;
  guard: EntryGuard;
  makeOutbox(key: string, events: Pick<OutboxOptions, 'onLost' | 'onSkipped' | 'onWritten'>): Outbox;
  /** Channels of this node's streams, as far as events of other nodes arrive for them. */
  watched(): Channel[];
  /** Sites of which this node lacks the state of another node. */
  lacks(node: string): string[];
  /** The pages of a site, with the number of this node's visitors on each. */
  pages(site: string): Pages;
  /** Other nodes watch other channels than before. */
  onChannels(): void;
  /** Another node needs the latest positions in these channels. */
  onRefresh(keys: readonly string[]): void;
  /** Another node lacks this node's state of a site. */
  onLack(site: string): void;
  /** Another node has ended. `bye`: it said so. */
  onGone(node: string, bye: boolean): void;
}

export class ControlStream {
  readonly #options: ControlOptions;
  readonly #membership = new Membership();
  readonly #questions = new PageQuestions();
  readonly #outbox: Outbox;
  /** Undefined until the position to read from is known. */
  #cursor: StreamCursor | undefined;
  readonly #startedAt = performance.now();
  #timer: NodeJS.Timeout | undefined;
  /** Channels whose latest positions this node needs. */
  readonly #refreshes = new Set<string>();
  /** Something has changed since the last `alive` message. */
  #isAliveDue = false;

  constructor(options: ControlOptions) {
    this.#options = options;
    this.#outbox = options.makeOutbox(KEY, {
      onLost: () => this.sendAlive(),
      onSkipped: () => {},
      onWritten: () => {
        if (this.#isAliveDue) this.sendAlive();
      },
    });
  }

  start(): void {
    void this.#open();
    this.#timer = setInterval(() => this.sendAlive(), ALIVE_MS);
  }

  async #open(): Promise<void> {
    const { reader, guard } = this.#options;
    const take = guard.wrap((entries) => this.#take(entries));
    this.#cursor = await reader.open(KEY, take, () => true);
    this.sendAlive();
  }

  /** Number of other nodes that are present. */
  get size(): number {
    return this.#membership.size;
  }

  /** All channels that other nodes watch. */
  channels(): Channel[] {
    return this.#membership.channels();
  }

  /** How long the stream could not be read or written, milliseconds. */
  behindMs(now: number): number {
    return Math.max(now - (this.#cursor?.readAt ?? this.#startedAt), this.#outbox.waitedMs(now));
  }

  /** Sends that this node is present, what it watches and what it lacks. Waits until the last such message is sent. */
  sendAlive(): void {
    this.#isAliveDue = this.#outbox.waitedMs(performance.now()) > 0 || !this.#cursor;
    if (this.#isAliveDue) return;
    const watches = this.#options.watched();
    const refresh = [...this.#refreshes];
    this.#refreshes.clear();
    this.#outbox.add(writeNodeItem({ k: 'alive', watches, lacks: this.#lacks(), refresh }));
  }

  #lacks(): Record<string, string[]> {
    const lacks = [...this.#membership.names].map((node) => [node, this.#options.lacks(node)] as const);
    return Object.fromEntries(lacks.filter(([, sites]) => sites.length > 0));
  }

  /** Asks the other nodes for the latest positions in a channel. */
  refresh(key: string): void {
    if (this.size === 0) return;
    this.#refreshes.add(key);
    this.sendAlive();
  }

  /** Asks the other nodes for the pages of a site, with the number of visitors on each. */
  askPages(site: string): Promise<Pages> {
    const send = (ask: number) => this.#outbox.add(writeNodeItem({ k: 'ask', ask, site }));
    return this.#questions.ask(this.#membership.names, send);
  }

  #take(entries: readonly StreamEntry[]): boolean {
    const others = entries.filter(([node]) => node !== this.#options.node);
    for (const [node = '', , ...texts] of others)
      for (let i = 0; i + 1 < texts.length; i += 2) {
        const item = readNodeItem(texts[i] as string, texts[i + 1] as string);
        if (item) this.#receive(node, item);
      }
    return others.length > 0;
  }

  #receive(node: string, item: NodeItem): void {
    if (item.k === 'bye') {
      this.#remove(node, true);
      return;
    }
    this.heard(node);
    if (item.k === 'alive') this.#alive(node, item);
    else if (item.k === 'answer') {
      if (item.to === this.#options.node) this.#questions.answer(node, item.ask, item.pages);
    } else this.#answer(node, item);
  }

  /** Records a sign of life of another node. */
  heard(node: string): void {
    // A new node must learn of this one soon, and this node lacks its state.
    if (this.#membership.heard(node)) this.sendAlive();
  }

  #alive(node: string, item: Extract<NodeItem, { k: 'alive' }>): void {
    const { onChannels, onRefresh, onLack } = this.#options;
    if (this.#membership.watches(node, item)) onChannels();
    onRefresh(item.refresh);
    for (const site of item.lacks[this.#options.node] ?? []) onLack(site);
  }

  #answer(node: string, { ask, site }: Extract<NodeItem, { k: 'ask' }>): void {
    this.#outbox.add(writeNodeItem({ k: 'answer', to: node, ask, pages: this.#options.pages(site) }));
  }

  /** Removes nodes that were silent for too long, if the stream was just read: only then silence can be judged. */
  removeSilent(): void {
    if (this.#cursor && performance.now() - this.#cursor.readAt < JUST_READ_MS)
      for (const node of this.#membership.silentNodes()) this.#remove(node, false);
  }

  /** Treats all other nodes as ended. */
  removeAll(): void {
    for (const node of [...this.#membership.names]) this.#remove(node, true);
  }

  #remove(node: string, bye: boolean): void {
    if (!this.#membership.remove(node)) return;
    if (!bye) this.#options.log.warn({ machine: node }, 'another server is not responding any more');
    this.#options.onGone(node, bye);
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  /** Announces that this node has ended. Resolves when that is written, or after `limitMs` milliseconds. */
  async sayBye(limitMs: number): Promise<void> {
    this.#outbox.add(writeNodeItem({ k: 'bye' }));
    await this.#outbox.drained(limitMs);
    this.#outbox.close();
  }
}
