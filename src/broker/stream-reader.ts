/**
 * Reads streams of Redis as they grow: by asking again and again. To wait in Redis would need a connection for each stream of
 * a cluster, and gives a reply for each entry; asking takes all that came meanwhile.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Redis } from '../redis/connection.ts';
import { Retry } from './retry.ts';

/** How soon to ask again after something came; each time that nothing has come half as long again, up to this. Milliseconds. */
const BUSY_MS = 16;
const IDLE_MS = 100;
/** Entries that are read at once: of a stream, of all together, and of each of many streams at least. */
const MAX_ENTRIES = 100;
const MAX_OF_ALL = 1000;
const MIN_ENTRIES = 10;

/** The texts of an entry. */
export type StreamEntry = string[];

type Reply = [key: string, entries: [id: string, entry: StreamEntry][]][] | null;

interface Answer {
  asked: StreamCursor[];
  /** Entries of each stream that were asked for at most. */
  count: number;
  reply: Reply;
}

/** One stream, and how far it is read. */
export interface StreamCursor {
  readonly key: string;
  /** Of the last entry that was read. */
  id: string;
  /** When it was read last, performance.now(). */
  readAt: number;
  /** Takes entries. True if any was of another machine: more may come soon. */
  take(entries: StreamEntry[]): boolean;
}

export class StreamReader {
  readonly #redis: Redis;
  readonly #abort = new AbortController();
  /** One server is asked for all streams at once; nodes of a cluster for each. */
  readonly #polls = new Map<string, Poll>();

  constructor(redis: Redis) {
    this.#redis = redis;
  }

  /** Begins after what is in the stream now, as soon as that can be told. Resolves then; undefined: it was closed before. */
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

/** Asks for some streams at once, as long as there are any. */
class Poll {
  readonly #redis: Redis;
  readonly #signal: AbortSignal;
  readonly #cursors = new Map<string, StreamCursor>();
  readonly #retry = new Retry();
  #isRunning = false;
  #pauseMs = BUSY_MS;

  constructor(redis: Redis, signal: AbortSignal) {
    this.#redis = redis;
    this.#signal = signal;
  }

  add(cursor: StreamCursor): void {
    this.#cursors.set(cursor.key, cursor);
    this.#pauseMs = BUSY_MS;
    if (!this.#isRunning) void this.#run();
  }

  /** Gives how many are left. */
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

  /** Undefined where it failed. */
  async #ask(): Promise<Answer | undefined> {
    const asked = [...this.#cursors.values()];
    const count = Math.max(MIN_ENTRIES, Math.min(MAX_ENTRIES, Math.floor(MAX_OF_ALL / asked.length)));
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

  /** True if there is more at once. */
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
    this.#pauseMs = isBusy ? BUSY_MS : Math.min(IDLE_MS, 1.5 * this.#pauseMs);
    return isFull;
  }

  async #pause(): Promise<void> {
    await sleep(this.#pauseMs, undefined, { signal: this.#signal }).catch(() => {});
  }
}
