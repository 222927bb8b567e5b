/**
 * A team of threads that recount the visits of a store. This side starts the threads and merges what they find;
 * count-thread-main.ts runs in each of them. While they count, no thread returns to its event loop, so each keeps
 * reading the state of the store that all of them started with.
 */
import { once } from 'node:events';
import { MessageChannel, type MessagePort, receiveMessageOnPort, type Worker } from 'node:worker_threads';
import { moduleFile, startThread } from '../../../server/package-files.ts';
import type { Difference } from '../../archive.ts';
import type { PackedSums, Sums } from '../../record/sums.ts';
import type { Team } from '../lmdb-verify.ts';

/**
 * Places in the shared memory: a THREAD_STATE, then the numbers of threads that read, visits counted, units joined and
 * reports sent.
 */
export const SHARED = { state: 0, reading: 1, counted: 2, joined: 3, sent: 4 } as const;
export const THREAD_STATE = { waiting: 0, counting: 1, over: 2 } as const;

/** How many units a thread may be ahead of the comparing thread. Its results wait in memory. */
export const AHEAD = 1;

/** Start parameters of a thread. */
export interface ThreadTask {
  folder: string;
  /** The share of the visits that it counts; share 0 is the caller's. */
  share: number;
  shares: number;
  shared: Int32Array;
  /** Maximum size of the cells that are compared at once, bytes. */
  partBytes: number;
  reports: MessagePort;
}

/** The results of a unit, or why the thread ends. */
export type ThreadReport = { sums: PackedSums; found: Difference[] } | { fault: string };

/**
 * A thread that reports nothing for this long is stuck, milliseconds. A day of a large store takes a minute or two.
 */
const LIMIT_MS = 30 * 60_000;
const LOOK_MS = 100;

const COUNT_THREAD = moduleFile('store/lmdb/file/count-thread-main');

export class CountThreads implements Team {
  readonly #threads: readonly Worker[];
  readonly #reports: readonly MessagePort[];
  readonly #shared: Int32Array;
  readonly #exits: readonly Promise<unknown>[];

  private constructor(threads: readonly Worker[], reports: readonly MessagePort[], shared: Int32Array) {
    this.#exits = threads.map((thread) => once(thread, 'exit'));
    this.#threads = threads;
    this.#reports = reports;
    this.#shared = shared;
  }

  /** Starts `shares - 1` threads, because the caller counts too, and waits until all have opened the store. */
  static async start(folder: string, shares: number, partBytes: number): Promise<CountThreads> {
    const shared = new Int32Array(new SharedArrayBuffer(4 * Object.keys(SHARED).length));
    const threads: Worker[] = [];
    const ports: MessagePort[] = [];
    for (let share = 1; share < shares; share++) {
      const { port1, port2 } = new MessageChannel();
      const task: ThreadTask = { folder, share, shares, shared, partBytes, reports: port2 };
      threads.push(startThread(COUNT_THREAD, task, [port2]));
      ports.push(port1);
    }
    await Promise.all(threads.map((thread) => once(thread, 'message')));
    return new CountThreads(threads, ports, shared);
  }

  get shares(): number {
    return this.#threads.length + 1;
  }

  /** Makes all threads start reading. Call it while nobody can commit. */
  start(): void {
    this.#set(SHARED.state, THREAD_STATE.counting);
    this.#wait(SHARED.reading, () => Atomics.load(this.#shared, SHARED.reading) === this.#threads.length || undefined);
  }

  counted(): number {
    return Atomics.load(this.#shared, SHARED.counted);
  }

  join(unit: number, sums: Sums): Difference[] {
    const found = this.#reports.flatMap((port) => this.#joinOne(port, sums));
    this.#set(SHARED.joined, unit + 1);
    return found;
  }

  #set(place: number, value: number): void {
    Atomics.store(this.#shared, place, value);
    Atomics.notify(this.#shared, place);
  }

  #joinOne(port: MessagePort, sums: Sums): Difference[] {
    const { message } = this.#wait(SHARED.sent, () => receiveMessageOnPort(port)) as { message: ThreadReport };
    if ('fault' in message) throw new Error(message.fault);
    sums.merge(message.sums);
    return message.found;
  }

  /** Waits until `look` finds something. The memory at `place` changes when there may be something new. */
  #wait<T>(place: number, look: () => T | undefined): T {
    const end = performance.now() + LIMIT_MS;
    for (;;) {
      const before = Atomics.load(this.#shared, place);
      const found = look();
      if (found !== undefined) return found;
      if (performance.now() > end) throw new Error('a counting thread has not reported for too long');
      Atomics.wait(this.#shared, place, before, LOOK_MS);
    }
  }

  /** Stops the threads, even in the middle of their work, and waits until they have closed the store. */
  async end(): Promise<void> {
    this.#set(SHARED.state, THREAD_STATE.over);
    this.#set(SHARED.joined, 0);
    await Promise.all(this.#exits);
  }
}
