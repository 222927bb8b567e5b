/**
 * What this machine tells in one stream of Redis: collected for a tick, written as one entry, in order and once. An entry that failed
 * is written again under the same number, by which readers know it; what waits meanwhile is bounded.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { type Written, writeEntry } from '../protocol/peer.ts';
import type { Redis } from '../redis/connection.ts';
import { Retry } from './retry.ts';

/** One entry per tick, milliseconds. */
const TICK_MS = 16;
/** An entry holds no more than this, but for one item that is larger, characters. */
const ENTRY_SIZE = 256 * 1024;
/** Above so much that waits, moves give way; above the other, all that waits is given up for a new state. Characters. */
const SOFT_LIMIT = 256 * 1024;
const HARD_LIMIT = 1024 * 1024;
/** All that waits in all of a machine's outboxes, characters. */
const COMMON_LIMIT = 32 * 1024 * 1024;
/** A stream holds about so many entries, and no more than about so many bytes. */
const MAX_ENTRIES = 1000;
const MIN_ENTRIES = 50;
const MAX_BYTES = 8 * 1024 * 1024;
/** A stream that nothing was written to for so long goes, seconds. */
const EXPIRY_S = '120';

interface Item {
  written: Written;
  /** Characters that count against the limits; none of states. */
  size: number;
}

/** Characters that wait in all of a machine's outboxes. */
export interface Waiting {
  size: number;
}

export interface OutboxOptions {
  redis: Redis;
  waiting: Waiting;
  key: string;
  machine: string;
  /** Number of the last entry that was written before. */
  last: number;
  /** False: nothing may be told now; what waits is tried again. */
  mayTell(): Promise<boolean>;
  /** What waited was given up. Called once there is room again: readers need the state. */
  onLost(): void;
  /** Moves were left out: readers need the latest positions. */
  onSkipped(): void;
  onWritten(bytes: number): void;
  onOverflow(): void;
}

export class Outbox {
  readonly #options: OutboxOptions;
  readonly #abort = new AbortController();
  readonly #retry = new Retry();
  #items: Item[] = [];
  /** Of these, what counts against the limits. */
  #size = 0;
  #n: number;
  #meanBytes = 0;
  #lost = false;
  #skipped = false;
  #busy = false;
  /** When the oldest that is not written yet came, performance.now(); 0: all is written. */
  #since = 0;
  #expiresAt = 0;

  constructor(options: OutboxOptions) {
    this.#options = options;
    this.#n = options.last;
  }

  /** Number of the last entry. */
  get last(): number {
    return this.#n;
  }

  /** How long the oldest has waited to be written, milliseconds. */
  waitedMs(now: number): number {
    return this.#since === 0 ? 0 : now - this.#since;
  }

  /** Adds an item. */
  add(written: Written): void {
    const size = written[1].length;
    if (this.#size + size > HARD_LIMIT || this.#options.waiting.size + size > COMMON_LIMIT) this.#giveUp();
    else this.#push({ written, size });
  }

  /** Adds positions, unless too much waits. */
  addMoves(written: Written): void {
    if (this.#size + written[1].length > SOFT_LIMIT) this.#skipped = true;
    else this.add(written);
  }

  /** Adds the state, however much it is. What was given up before does not matter after it. */
  addState(items: readonly Written[]): void {
    this.#lost = false;
    for (const written of items) this.#push({ written, size: 0 });
  }

  #push(item: Item): void {
    this.#items.push(item);
    this.#count(item.size);
    if (this.#since === 0) this.#since = performance.now();
    if (!this.#busy) void this.#run();
  }

  /** The next number is left out, by which readers know. */
  #giveUp(): void {
    this.#empty();
    this.#n += 1;
    if (!this.#lost) this.#options.onOverflow();
    this.#lost = true;
    // Others may have used up the common room while nothing waited here: then nobody else would send the state.
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

  /** What was told before did not all come here: readers are to know, and the state is to follow. */
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
    this.#since = 0;
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

  /** Writes one entry, however often it takes. */
  async #write(): Promise<void> {
    const { machine, onWritten } = this.#options;
    const startedAt = performance.now();
    const items = this.#take();
    this.#n += 1;
    const entry = writeEntry(machine, this.#n, items);
    const bytes = entry.reduce((sum, text) => sum + text.length, 0);
    this.#meanBytes = this.#meanBytes === 0 ? bytes : 0.9 * this.#meanBytes + 0.1 * bytes;
    while (!(await this.#send(entry))) {
      await this.#retry.wait(this.#abort.signal);
      if (this.#abort.signal.aborted) return;
    }
    this.#since = this.#items.length > 0 ? startedAt : 0;
    onWritten(bytes);
  }

  #take(): string[] {
    const fields: string[] = [];
    let count = 0;
    for (let taken = 0; count < this.#items.length && taken < ENTRY_SIZE; count++) {
      const { written, size } = this.#items[count] as Item;
      fields.push(...written);
      taken += written[1].length;
      this.#count(-size);
    }
    this.#items.splice(0, count);
    return fields;
  }

  async #send(entry: string[]): Promise<boolean> {
    const { redis, key, mayTell } = this.#options;
    const most = Math.max(MIN_ENTRIES, Math.min(MAX_ENTRIES, Math.floor(MAX_BYTES / this.#meanBytes)));
    try {
      if (!(await mayTell())) return false;
      await redis.send(key, 'XADD', key, 'MAXLEN', '~', String(most), '*', ...entry);
      if (performance.now() > this.#expiresAt) await this.#expire();
      this.#retry.succeeded();
      return true;
    } catch {
      return false;
    }
  }

  /** A stream is kept while somebody writes to it. */
  async #expire(): Promise<void> {
    const { redis, key } = this.#options;
    await redis.send(key, 'EXPIRE', key, EXPIRY_S);
    this.#expiresAt = performance.now() + 30_000;
  }

  /** Ends it, with what waits. */
  close(): void {
    this.#abort.abort();
    this.#empty();
  }

  /** Resolves when all is written, or cannot be, or after so long, milliseconds. */
  async drained(limitMs: number): Promise<void> {
    const end = performance.now() + limitMs;
    while (this.#since !== 0 && !this.#retry.isFailing && performance.now() < end) await sleep(5);
  }
}
