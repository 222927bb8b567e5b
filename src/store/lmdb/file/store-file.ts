/**
 * The store's file, opened by LMDB, and the gate. Processes pass the gate one at a time to open the file or to write to
 * it.
 *
 * When LMDB opens a file, it reads which commit is the newest, and a moment later publishes that to all processes that
 * have the file open. A commit in between is lost: the next writer starts before it, or finds pages of a later commit.
 * So nobody may commit while somebody opens the file. The gate is an LMDB file in which nothing is ever written, so
 * opening it is harmless. The system releases its write lock when the holder is killed.
 */
import { closeSync, openSync } from 'node:fs';
import { open, type RootDatabase, type RootDatabaseOptionsWithPath } from 'lmdb';
import { createStore } from './create-store.ts';
import { checkPages, openFolder } from './folder.ts';
import { OpenedFile } from './opened-file.ts';

/**
 * Maximum number of readers: a slot per thread and per read in progress. The first process to open the store decides
 * for all.
 */
const MAX_READERS = 2048;

/**
 * With the defaults, a failed commit leaves promises that never settle (`flushed`, `close`), and one that nobody can
 * catch.
 */
const OPTIONS = { overlappingSync: false, eventTurnBatching: false } satisfies Partial<RootDatabaseOptionsWithPath>;

interface Waiting {
  action(): unknown;
  resolve(value: unknown): void;
  reject(error: unknown): void;
}

export class StoreFile {
  /** For reading, and for opening tables within `alone`. */
  readonly root: RootDatabase;
  readonly #gate: RootDatabase;
  readonly #opened: OpenedFile;
  readonly #path: string;
  #waiting: Waiting[] = [];
  #draining = false;
  /** Resolves when no write waits any more. */
  #drained: Promise<void> | undefined;
  /** True while `writeLater` holds the gate. */
  #passed = false;

  private constructor(gate: RootDatabase, root: RootDatabase, path: string) {
    this.#gate = gate;
    this.#path = path;
    this.#opened = new OpenedFile(path);
    this.root = root;
  }

  /**
   * Opens the file in a folder. `create`: create both if they do not exist. `noSync`: the system decides when commits
   * reach the disk. Throws StoreError.
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
   * Checks every page that the newest commit uses, also while others write, and yields the progress. Throws StoreError,
   * where LMDB would end the process at a broken page. Of tables for which `isWhole` is false, only the path to the
   * first entry is checked.
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

  /** Throws StoreError `moved` if the file was moved away, removed or replaced since it was opened. */
  checkInPlace(): void {
    this.#opened.checkInPlace();
  }

  /** Identifies the file; every copy has another identity. */
  get identity(): string | undefined {
    return this.#opened.identity;
  }

  /** Runs `action` while no other process opens the file or writes to it. It must not wait for anything. */
  alone<T>(action: () => T): T {
    return this.#passed ? action() : this.#gate.transactionSync(action);
  }

  /**
   * Runs `action` as the only writer, and blocks until its changes are on disk. Throws StoreError `moved` if the file
   * is not in its place: the changes are then in the file that was moved, and are not acked.
   */
  write<T>(action: () => T): T {
    this.checkInPlace();
    const outcome = this.alone(() => this.root.transactionSync(action));
    this.checkInPlace();
    return outcome;
  }

  /** Like `write`, but without blocking. Calls that arrive during such a write share the next commit. */
  writeLater<T>(action: () => T): Promise<T> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ action, resolve: resolve as Waiting['resolve'], reject });
      if (!this.#draining) this.#drained = this.#drain();
    });
  }

  /**
   * The gate is released after each commit, before the promises resolve: others wait for it, maybe in this very thread.
   */
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

  /** Closes the file when all pending writes are done. */
  async close(): Promise<void> {
    await this.#drained;
    await this.root.close();
    await this.#gate.close();
  }
}

/**
 * Makes a small commit if the list of free pages is empty, as in a compacted copy or a new file. If the first commit
 * into such a file is large, LMDB (lmdb 3.5.6) reads an entry of that list that does not exist: `mdb_page_alloc` fails
 * with "Invalid zero size key", an assertion, or a crash. After any commit the list has the pages that the commit
 * replaced. Two small commits are made, because the first one into an empty file replaces no page.
 */
export function seedFreeList(root: RootDatabase): void {
  for (let round = 0; round < 2 && isFreeListEmpty(root); round++)
    root.transactionSync(() => root.openDB('seed', {}).putSync('round', round));
}

function isFreeListEmpty(root: RootDatabase): boolean {
  const { free } = root.getStats() as { free: { entryCount: number } };
  return free.entryCount === 0;
}

/**
 * Rethrows the cause of a failed commit. LMDB reports it in a separate promise, which ends the process if nobody
 * handles it.
 */
async function throwCause(error: unknown): Promise<never> {
  const { commitError } = error as { commitError?: Promise<never> };
  throw await (commitError?.catch((cause: unknown) => cause) ?? error);
}
