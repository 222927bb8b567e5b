/**
 * Reads growing Redis streams by polling. Blocking reads would need a connection per stream of a cluster, and would
 * give one reply per entry; a poll reads everything that has arrived meanwhile.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Redis } from '../redis/connection.ts';
import { Retry } from './retry.ts';

/**
 * The interval after something arrived. While nothing arrives, each interval is half as long again, up to the other.
 * Milliseconds.
 */
const MIN_INTERVAL_MS = 16;
const MAX_INTERVAL_MS = 100;
/** Maximum number of entries per read: of one stream, of all streams, and the minimum for each of many streams. */
const MAX_ENTRIES = 100;
const MAX_ENTRIES_IN_TOTAL = 1000;
const MIN_ENTRIES = 10;

/** The fields of an entry. */
export type StreamEntry = string[];

type Reply = [key: string, entries: [id: string, entry: StreamEntry][]][] | null;

interface Answer {
  asked: StreamCursor[];
  /** Maximum number of entries that each stream was asked for. */
  count: number;
  reply: Reply;
}

/** One stream, and the position up to which it was read. */
export interface StreamCursor {
  readonly key: string;
  /** Id of the last entry that was read. */
  id: string;
  /** When the stream was last read, performance.now(). */
  readAt: number;
  /** Handles entries. Returns true if any is from another node: more may come soon. */
  take(entries: StreamEntry[]): boolean;
}

export class StreamReader {
  readonly #redis: Redis;
  readonly #abort = new AbortController();
  /** A single server is asked for all streams at once; the nodes of a cluster are asked for one stream each. */
  readonly #polls = new Map<string, Poll>();

  constructor(redis: Redis) {
    this.#redis = redis;
  }

  /**
   * Starts to read after the current end of the stream, as soon as that is known. Resolves then, or with undefined if
   * the stream was closed before.
   */
  async open(key: string, take: StreamCursor['take'], isWanted: () => boolean): Promise<StreamCursor | undefined> {
    const retry = new Retry();
    while (!this.#abort.signal.aborted && isWanted()) {
      const id = await this.#last(key).catch(() => undefined);
      if (id !== undefined && isWanted()) return this.#add({ key, id, readAt: performance.now(), take });
      await retry.wait(this.#abort.signal);
    }
    return undefined;
  }

  async #last(key: string): Promise<string> {
    const [last] = await this.#redis.send<[id: string, entry: StreamEntry][]>(
      key,
      'XREVRANGE',
      key,
      '+',
      '-',
      'COUNT',
      '1',
    );
    return last?.[0] ?? '0-0';
  }

  #add(cursor: StreamCursor): StreamCursor {
    const group = this.#groupOf(cursor);
    let poll = this.#polls.get(group);
    if (!poll) {
      poll = new Poll(this.#redis, this.#abort.signal);
      this.#polls.set(group, poll);
    }
    poll.add(cursor);
    return cursor;
  }

  #groupOf({ key }: StreamCursor): string {
    return this.#redis.isCluster ? key : '';
  }

  end(cursor: StreamCursor): void {
    const group = this.#groupOf(cursor);
    if (this.#polls.get(group)?.remove(cursor) === 0) this.#polls.delete(group);
  }

  close(): void {
    this.#abort.abort();
  }
}

/** Polls some streams together, as long as there are any. */
class Poll {
  readonly #redis: Redis;
  readonly #signal: AbortSignal;
  readonly #cursors = new Map<string, StreamCursor>();
  readonly #retry = new Retry();
  #isRunning = false;
  #pauseMs = MIN_INTERVAL_MS;

  constructor(redis: Redis, signal: AbortSignal) {
    this.#redis = redis;
    this.#signal = signal;
  }

  add(cursor: StreamCursor): void {
    this.#cursors.set(cursor.key, cursor);
    this.#pauseMs = MIN_INTERVAL_MS;
    if (!this.#isRunning) void this.#run();
  }

  /** Returns how many cursors are left. */
  remove(cursor: StreamCursor): number {
    if (this.#cursors.get(cursor.key) === cursor) this.#cursors.delete(cursor.key);
    return this.#cursors.size;
  }

  async #run(): Promise<void> {
    this.#isRunning = true;
    while (!this.#signal.aborted && this.#cursors.size > 0) {
      const reply = await this.#ask();
      if (this.#signal.aborted) break;
      if (reply === undefined) await this.#retry.wait(this.#signal);
      else if (!this.#take(reply)) await this.#pause();
    }
    this.#isRunning = false;
  }

  /** Returns undefined if the request failed. */
  async #ask(): Promise<Answer | undefined> {
    const asked = [...this.#cursors.values()];
    const count = Math.max(MIN_ENTRIES, Math.min(MAX_ENTRIES, Math.floor(MAX_ENTRIES_IN_TOTAL / asked.length)));
    const keys = asked.map(({ key }) => key);
    const ids = asked.map(({ id }) => id);
    try {
      const [first = ''] = keys;
      const reply = await this.#redis.send<Reply>(first, 'XREAD', 'COUNT', String(count), 'STREAMS', ...keys, ...ids);
      this.#retry.succeeded();
      return { asked, count, reply };
    } catch {
      return undefined;
    }
  }

  /** Returns true if more entries are available at once. */
  #take({ asked, count, reply }: Answer): boolean {
    const now = performance.now();
    let isFull = false;
    let isBusy = false;
    for (const [key, entries] of reply ?? []) {
      const cursor = this.#cursors.get(key);
      const last = entries.at(-1);
      if (!cursor || !last) continue;
      cursor.id = last[0];
      isBusy = cursor.take(entries.map(([, entry]) => entry)) || isBusy;
      isFull ||= entries.length === count;
    }
    for (const cursor of asked) cursor.readAt = now;
    this.#pauseMs = isBusy ? MIN_INTERVAL_MS : Math.min(MAX_INTERVAL_MS, 1.5 * this.#pauseMs);
    return isFull;
  }

  async #pause(): Promise<void> {
    await sleep(this.#pauseMs, undefined, { signal: this.#signal }).catch(() => {});
  }
}
