/**
 * The store's file, opened by LMDB, and the gate that processes pass one at a time to open it or to write to it.
 *
 * LMDB, opening a file, reads from it which commit is the newest, and a moment later says so to all processes that have
 * it open. A commit in between is forgotten: the next writer begins before it, or finds pages of a time to come. So nobody may
 * commit while somebody opens. The gate is a file of LMDB's in which nothing is ever written, so that opening it does
 * no harm; its write lock is freed by the system when its holder is killed.
 */
import { closeSync, openSync } from 'node:fs';
import { open, type RootDatabase, type RootDatabaseOptionsWithPath } from 'lmdb';
import { createStore } from './create-store.ts';
import { checkPages, openFolder } from './folder.ts';
import { OpenedFile } from './opened-file.ts';

/** One slot per thread and read under way; the first process to open the store decides for all. */
const MAX_READERS = 2048;

/** By default a commit that fails leaves promises that never settle (`flushed`, `close`), and one that nobody can catch. */
const OPTIONS = { overlappingSync: false, eventTurnBatching: false } satisfies Partial<RootDatabaseOptionsWithPath>;

interface Waiting {
  action(): unknown;
  resolve(value: unknown): void;
  reject(error: unknown): void;
}

export class StoreFile {
  /** To read, and to open tables within `alone`. */
  readonly root: RootDatabase;
  readonly #gate: RootDatabase;
  readonly #opened: OpenedFile;
  readonly #path: string;
  #waiting: Waiting[] = [];
  #draining = false;
  /** Resolves when nothing waits any more. */
  #drained: Promise<void> | undefined;
  /** `writeLater` has passed the gate. */
  #passed = false;

  private constructor(gate: RootDatabase, root: RootDatabase, path: string) {
    this.#gate = gate;
    this.#path = path;
    this.#opened = new OpenedFile(path);
    this.root = root;
  }

  /**
   * Opens the file in a folder. `create`: both are made if there are none. `noSync`: the system decides when commits reach the disk.
   * Throws StoreError.
   */
  static open(folder: string, { create = false, noSync = false } = {}): StoreFile {
    return openFolder(folder, { maxReaders: MAX_READERS, create }, (path, gatePath) => {
      const gate = open({ ...OPTIONS, path: gatePath });
      try {
        const root = gate.transactionSync(() => {
          if (create) createStore(path);
          const opened = open({ ...OPTIONS, path, maxDbs: 64, maxReaders: MAX_READERS, noSync });
          seedFreeList(opened);
          return opened;
        });
        return new StoreFile(gate, root, path);
      } catch (error) {
        void gate.close();
        throw error;
      }
    });
  }

  /**
   * Looks at every page that is in use from the newest commit on, also while others write, and tells how many of how
   * many are done. Throws StoreError: LMDB would end the process where it meets a broken page. Of tables for which
   * `isWhole` does not hold only the way to the first entry is looked at.
   */
  *checkedPages(isWhole?: (table: string) => boolean): Generator<[done: number, total: number]> {
    // LMDB does not reuse the pages of a commit while somebody reads it.
    const reading = this.root.useReadTransaction();
    const fd = openSync(this.#path, 'r');
    try {
      yield* checkPages(fd, this.#path, isWhole);
    } finally {
      closeSync(fd);
      reading.done();
    }
  }

  /** Throws StoreError `moved` if the file was moved away, removed, or replaced by another since it was opened. */
  checkInPlace(): void {
    this.#opened.checkInPlace();
  }

  /** Tells the file from all others, also from its copies. */
  get identity(): string | undefined {
    return this.#opened.identity;
  }

  /** Does something while no other process opens the file or writes to it. It must not wait for anything. */
  alone<T>(action: () => T): T {
    return this.#passed ? action() : this.#gate.transactionSync(action);
  }

  /**
   * Everything within sees and changes the file alone. It blocks until that is on disk. Throws StoreError `moved` if
   * the file is not in its place: what was written is then in the file that was moved, and nobody is told that it is
   * kept.
   */
  write<T>(action: () => T): T {
    this.checkInPlace();
    const outcome = this.alone(() => this.root.transactionSync(action));
    this.checkInPlace();
    return outcome;
  }

  /** As `write`, without blocking; what comes while another such write is under way goes into one commit. */
  writeLater<T>(action: () => T): Promise<T> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ action, resolve: resolve as Waiting['resolve'], reject });
      if (!this.#draining) this.#drained = this.#drain();
    });
  }

  /** The gate is let go of after each commit, and before that is told: others wait, maybe in this very thread. */
  async #drain(): Promise<void> {
    this.#draining = true;
    while (this.#waiting.length > 0) {
      const writes = this.#waiting.splice(0);
      try {
        this.checkInPlace();
        const outcomes = await this.#gate.transaction(() => this.#pass(writes));
        this.checkInPlace();
        for (const [i, { resolve, reject }] of writes.entries()) {
          const outcome = outcomes[i] as PromiseSettledResult<unknown>;
          if (outcome.status === 'fulfilled') resolve(outcome.value);
          else reject(outcome.reason);
        }
      } catch (error) {
        for (const { reject } of writes) reject(error);
      }
    }
    this.#draining = false;
  }

  async #pass(writes: readonly Waiting[]): Promise<PromiseSettledResult<unknown>[]> {
    this.#passed = true;
    const outcomes = await Promise.allSettled(
      writes.map(({ action }) => this.root.transaction(action).catch(throwCause)),
    );
    this.#passed = false;
    return outcomes;
  }

  /** Closes the file once the writes that were begun or wait are done. */
  async close(): Promise<void> {
    await this.#drained;
    await this.root.close();
    await this.#gate.close();
  }
}

/**
 * Makes a small commit where the list of free pages is empty, as in a compacted copy and in a new file. If the first commit into such a
 * file is a large one, LMDB (lmdb 3.5.6) reads an entry of that list that is not there: `mdb_page_alloc` fails with "Invalid zero size
 * key", an assertion, or a crash. After any commit the list has the pages that the commit replaced. Two small commits are made, since
 * the first one into an empty file replaces none.
 */
export function seedFreeList(root: RootDatabase): void {
  for (let round = 0; round < 2 && isFreeListEmpty(root); round++)
    root.transactionSync(() => root.openDB('seed', {}).putSync('round', round));
}

function isFreeListEmpty(root: RootDatabase): boolean {
  const { free } = root.getStats() as { free: { entryCount: number } };
  return free.entryCount === 0;
}

/** What went wrong in a commit is told by a promise of its own, which ends the process if nobody takes it. */
async function throwCause(error: unknown): Promise<never> {
  const { commitError } = error as { commitError?: Promise<never> };
  throw await (commitError?.catch((cause: unknown) => cause) ?? error);
}
