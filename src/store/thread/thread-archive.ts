/** The record in a worker. A thread answers every call (thread-main.ts). */
import { once } from 'node:events';
import type { Worker } from 'node:worker_threads';
import { monotonicNow } from '../../lib/monotonic.ts';
import type { AuditNote } from '../../model/audit.ts';
import type { LeftOut } from '../../model/query.ts';
import { moduleFile, startThread } from '../../server/package-files.ts';
import type { HitGroup } from '../accounts/account-snapshot.ts';
import type { Archive } from '../archive.ts';
import { StoreError } from '../contract.ts';
import type { HitOutcome } from '../hit-queue.ts';
import type { FileData } from '../lmdb/lmdb-maintenance.ts';
import type { RemovalReport } from '../record/age-clock.ts';
import type { RedisData } from '../redis/redis-maintenance.ts';

/** Which record to open. */
export type ThreadData = FileData | RedisData;

export interface Question {
  id: number;
  method: keyof Archive | 'addHits' | 'close';
  args: unknown[];
  /** When a read was asked (monotonicNow). */
  at?: number;
}

/** `id` 0: the thread is ready, has found damage (with an error), or has removed visits (with news). */
export interface Answer {
  id: number;
  news?: RemovalReport;
  value?: unknown;
  error?: { message: string; code: StoreError['code'] | undefined };
}

type LeavesOut = { leftOut?: LeftOut | undefined };
type AddNote = (note: AuditNote) => Promise<void>;

const MAX_READS = 4;
/** Maximum number of waiting reads; more are refused. */
const MAX_QUEUED = 1000;

interface Waiting {
  resolve(value: unknown): void;
  reject(error: Error): void;
}

export class ThreadArchive implements Archive {
  readonly #thread: Worker;
  readonly #waiting = new Map<number, Waiting>();
  #last = 0;
  #reading = 0;
  readonly #queue: (() => void)[] = [];
  #closed: Promise<void> | undefined;
  readonly #addNote: AddNote | undefined;
  #incomplete = 0;

  private constructor(
    thread: Worker,
    onDamage: (error: StoreError) => void,
    addNote: AddNote | undefined,
    onNews: (news: RemovalReport) => void,
  ) {
    this.#thread = thread;
    this.#addNote = addNote;
    thread.on('message', (answer: Answer) => {
      const { id, error, news } = answer;
      if (news) onNews(news);
      if (id === 0 && error?.code) onDamage(new StoreError(error.code, error.message));
      else this.#receive(answer);
    });
  }

  /**
   * Starts the thread. `onFault` is called if it ends unexpectedly; nothing is answered after that. `onDamage` is
   * called from time to time for what cannot be read in the store. `addNote` adds notes to the audit trail, where the
   * thread does not. `module` runs in the thread. `onNews` is called after visits were removed. Throws StoreError.
   */
  static async start(
    data: ThreadData,
    onFault: (error: Error) => void,
    onDamage: (error: StoreError) => void = () => {},
    addNote?: AddNote,
    module = moduleFile('store/thread/thread-main'),
    onNews: (news: RemovalReport) => void = () => {},
  ): Promise<ThreadArchive> {
    const thread = startThread(module, data);
    await once(thread, 'message').catch(passOn);
    const archive = new ThreadArchive(thread, onDamage, addNote, onNews);
    thread.on('error', (error) => {
      for (const { reject } of archive.#waiting.values()) reject(error);
      onFault(error);
    });
    return archive;
  }

  /** Number of answers that left out damaged data. */
  get incomplete(): number {
    return this.#incomplete;
  }

  #receive({ id, value, error }: Answer): void {
    const waiting = this.#waiting.get(id);
    this.#waiting.delete(id);
    if (error?.code) waiting?.reject(new StoreError(error.code, error.message));
    else if (error) waiting?.reject(new Error(error.message));
    else waiting?.resolve(value);
  }

  #ask<T = never>(method: Question['method'], ...args: unknown[]): Promise<T> {
    return this.#send({ method, args });
  }

  /** `given` are transferred to the thread, and are empty here afterwards. */
  #send(question: Omit<Question, 'id'>, given: ArrayBuffer[] = []): Promise<never> {
    this.#last += 1;
    const id = this.#last;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve: resolve as Waiting['resolve'], reject });
      this.#thread.postMessage({ id, ...question } satisfies Question, given);
    });
  }

  /** Sends a read. At most MAX_READS are with the thread, so that appends do not wait behind all of them. */
  async #read(method: Question['method'], ...args: unknown[]): Promise<never> {
    const at = monotonicNow();
    if (this.#reading >= MAX_READS) {
      if (this.#queue.length >= MAX_QUEUED) throw tooMuch();
      await new Promise<void>((resolve) => this.#queue.push(resolve));
    } else this.#reading += 1;
    try {
      const answer = await this.#send({ method, args, at });
      if (isIncomplete(answer)) this.#incomplete += 1;
      return answer;
    } finally {
      const next = this.#queue.shift();
      if (next) next();
      else this.#reading -= 1;
    }
  }

  append: Archive['append'] = (batches) => {
    const bytes = join(batches);
    return this.#send({ method: 'append', args: [bytes, batches.map(({ length }) => length)] }, [bytes.buffer]);
  };
  sites: Archive['sites'] = (...args) => this.#read('sites', ...args);
  visits: Archive['visits'] = (...args) => this.#read('visits', ...args);
  visit: Archive['visit'] = (...args) => this.#read('visit', ...args);
  /** Not queued with the reads: a visitor waits for it. */
  lastFrame: Archive['lastFrame'] = (...args) => this.#ask('lastFrame', ...args);
  runs: Archive['runs'] = (...args) => this.#read('runs', ...args);
  scenes: Archive['scenes'] = (...args) => this.#read('scenes', ...args);
  pages: Archive['pages'] = (...args) => this.#read('pages', ...args);
  days: Archive['days'] = (...args) => this.#read('days', ...args);
  heat: Archive['heat'] = (...args) => this.#read('heat', ...args);
  erase: Archive['erase'] = async (id, note) => {
    if (!this.#addNote) return this.#ask('erase', id, note);
    const isGone = await this.#ask<boolean>('erase', id);
    if (isGone && note) await this.#addNote(note);
    return isGone;
  };
  dropSite: Archive['dropSite'] = (...args) => this.#ask('dropSite', ...args);
  prune: Archive['prune'] = (...args) => this.#ask('prune', ...args);
  usage: Archive['usage'] = (...args) => this.#ask('usage', ...args);
  compactAll: Archive['compactAll'] = () => this.#ask('compactAll');
  /** Does not report progress. */
  verify: Archive['verify'] = () => this.#ask('verify');

  /** Adds visits, with the outcomes that `HitQueue` expects. Only for a record in a file. */
  addHits(groups: readonly HitGroup[]): Promise<HitOutcome[]> {
    return this.#ask('addHits', groups);
  }

  /** Ends the thread when it has answered everything. The process must not exit before: LMDB would wait forever. */
  close(): Promise<void> {
    this.#closed ??= this.#ask('close');
    return this.#closed;
  }
}

/** Restores the class of an error from the thread, which arrives with only its name and code. */
function passOn(error: Error & { code?: StoreError['code'] }): never {
  throw error.name === 'StoreError' && error.code ? new StoreError(error.code, error.message) : error;
}

/** Joins parts in a new buffer: transferring each would cost more than copying. */
function join(parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const all = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let end = 0;
  for (const part of parts) {
    all.set(part, end);
    end += part.length;
  }
  return all;
}

/** Splits a buffer that `join` made into its parts. */
export function split(all: Uint8Array, lengths: readonly number[]): Uint8Array[] {
  let end = 0;
  return lengths.map((length) => {
    end += length;
    return all.subarray(end - length, end);
  });
}

/** HTTP requests are answered with 503. */
function tooMuch(): StoreError {
  return Object.assign(new StoreError('busy', 'Too many requests to the record at once. Try again soon.'), {
    statusCode: 503,
  });
}

/** Returns true if damaged data was left out of a part of a list, or of scenes. */
function isIncomplete(answer: LeavesOut | readonly LeavesOut[] | undefined): boolean {
  const parts = Array.isArray(answer) ? answer : [answer];
  return parts.some((part: LeavesOut | undefined) => part?.leftOut !== undefined);
}
