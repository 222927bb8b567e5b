/**
 * Writes this node's items to one Redis stream. Items are collected for a tick and written as one entry, in order. A
 * failed entry is written again under the same number, so that readers recognise it. What waits meanwhile is bounded.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { type Written, writeEntry } from '../protocol/peer.ts';
import type { Redis } from '../redis/connection.ts';
import { Retry } from './retry.ts';

/** One entry per tick, milliseconds. */
const TICK_MS = 16;
/** Maximum size of an entry, characters. A single larger item is written all the same. */
const MAX_ENTRY_SIZE = 256 * 1024;
/**
 * Above the soft limit of waiting characters moves are skipped. Above the hard limit everything that waits is dropped,
 * and the whole state is sent later.
 */
const SOFT_LIMIT = 256 * 1024;
const HARD_LIMIT = 1024 * 1024;
/** Maximum of waiting characters in all outboxes of a node. */
const TOTAL_LIMIT = 32 * 1024 * 1024;
/** Approximate maximum of a stream: number of entries, and bytes. */
const MAX_ENTRIES = 1000;
const MIN_ENTRIES = 50;
const MAX_BYTES = 8 * 1024 * 1024;
/** A stream expires this long after the last write, seconds. */
const EXPIRY_S = '120';

interface Item {
  written: Written;
  /** Characters that count against the limits; 0 for a state. */
  size: number;
}

/** Waiting characters in all outboxes of a node. */
export interface Waiting {
  size: number;
}

export interface OutboxOptions {
  redis: Redis;
  waiting: Waiting;
  key: string;
  node: string;
  /** Number of the last entry written before. */
  last: number;
  /** False: nothing may be sent now, try again later. */
  maySend(): Promise<boolean>;
  /** Waiting items were dropped: readers need the whole state. Called once there is room again. */
  onLost(): void;
  /** Moves were skipped: readers need the latest positions. */
  onSkipped(): void;
  onWritten(bytes: number): void;
  onOverflow(): void;
}

export class Outbox {
  readonly #options: OutboxOptions;
  readonly #abort = new AbortController();
  readonly #retry = new Retry();
  #items: Item[] = [];
  /** Characters in #items that count against the limits. */
  #size = 0;
  #n: number;
  #meanBytes = 0;
  #lost = false;
  #skipped = false;
  #busy = false;
  /** When the oldest unwritten item was added, performance.now(); 0 if all is written. */
  #waitingSince = 0;
  #expiresAt = 0;

  constructor(options: OutboxOptions) {
    this.#options = options;
    this.#n = options.last;
  }

  /** Number of the last entry. */
  get last(): number {
    return this.#n;
  }

  /** How long the oldest item has waited to be written, milliseconds. */
  waitedMs(now: number): number {
    return this.#waitingSince === 0 ? 0 : now - this.#waitingSince;
  }

  add(written: Written): void {
    const size = written[1].length;
    if (this.#size + size > HARD_LIMIT || this.#options.waiting.size + size > TOTAL_LIMIT) this.#dropAll();
    else this.#push({ written, size });
  }

  /** Adds positions, or skips them if too much is waiting. */
  addMoves(written: Written): void {
    if (this.#size + written[1].length > SOFT_LIMIT) this.#skipped = true;
    else this.add(written);
  }

  /** Adds the whole state, regardless of its size. It makes up for everything that was dropped before. */
  addState(items: readonly Written[]): void {
    this.#lost = false;
    for (const written of items) this.#push({ written, size: 0 });
  }

  #push(item: Item): void {
    this.#items.push(item);
    this.#count(item.size);
    if (this.#waitingSince === 0) this.#waitingSince = performance.now();
    if (!this.#busy) void this.#run();
  }

  /** Skips a number, by which readers notice the loss. */
  #dropAll(): void {
    this.#empty();
    this.#n += 1;
    if (!this.#lost) this.#options.onOverflow();
    this.#lost = true;
    // Other outboxes may have used up the common limit while nothing was waiting here. Then nothing else would send the
    // state.
    if (!this.#busy) void this.#run();
  }

  #empty(): void {
    this.#items = [];
    this.#count(-this.#size);
  }

  #count(size: number): void {
    this.#size += size;
    this.#options.waiting.size += size;
  }

  /** Some items did not get here. Readers notice by the skipped number, and the state must follow. */
  skipNumber(): void {
    this.#n += 1;
  }

  async #run(): Promise<void> {
    this.#busy = true;
    const { signal } = this.#abort;
    await sleep(TICK_MS, undefined, { signal }).catch(() => {});
    while (this.#items.length > 0 || this.#lost || this.#skipped) {
      if (this.#items.length > 0) await this.#write();
      if (signal.aborted) return;
      this.#catchUp();
    }
    this.#waitingSince = 0;
    this.#busy = false;
  }

  #catchUp(): void {
    if (this.#lost) {
      this.#lost = false;
      this.#options.onLost();
    }
    if (this.#skipped && this.#size === 0) {
      this.#skipped = false;
      this.#options.onSkipped();
    }
  }

  /** Writes one entry, and retries until it is written. */
  async #write(): Promise<void> {
    const { node, onWritten } = this.#options;
    const startedAt = performance.now();
    const items = this.#take();
    this.#n += 1;
    const entry = writeEntry(node, this.#n, items);
    const bytes = entry.reduce((sum, text) => sum + text.length, 0);
    this.#meanBytes = this.#meanBytes === 0 ? bytes : 0.9 * this.#meanBytes + 0.1 * bytes;
    while (!(await this.#send(entry))) {
      await this.#retry.wait(this.#abort.signal);
      if (this.#abort.signal.aborted) return;
    }
    this.#waitingSince = this.#items.length > 0 ? startedAt : 0;
    onWritten(bytes);
  }

  #take(): string[] {
    const fields: string[] = [];
    let count = 0;
    for (let taken = 0; count < this.#items.length && taken < MAX_ENTRY_SIZE; count++) {
      const { written, size } = this.#items[count] as Item;
      fields.push(...written);
      taken += written[1].length;
      this.#count(-size);
    }
    this.#items.splice(0, count);
    return fields;
  }

  async #send(entry: string[]): Promise<boolean> {
    const { redis, key, maySend } = this.#options;
    const maxEntries = Math.max(MIN_ENTRIES, Math.min(MAX_ENTRIES, Math.floor(MAX_BYTES / this.#meanBytes)));
    try {
      if (!(await maySend())) return false;
      await redis.send(key, 'XADD', key, 'MAXLEN', '~', String(maxEntries), '*', ...entry);
      if (performance.now() > this.#expiresAt) await this.#expire();
      this.#retry.succeeded();
      return true;
    } catch {
      return false;
    }
  }

  /** A stream stays while a node writes to it. */
  async #expire(): Promise<void> {
    const { redis, key } = this.#options;
    await redis.send(key, 'EXPIRE', key, EXPIRY_S);
    this.#expiresAt = performance.now() + 30_000;
  }

  /** Stops, and drops what is waiting. */
  close(): void {
    this.#abort.abort();
    this.#empty();
  }

  /** Resolves when all is written, when writes fail, or after `limitMs` milliseconds. */
  async drained(limitMs: number): Promise<void> {
    const end = performance.now() + limitMs;
    while (this.#waitingSince !== 0 && !this.#retry.isFailing && performance.now() < end) await sleep(5);
  }
}
