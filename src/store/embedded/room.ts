/** Whether there is room for more: under the cap, and on the disk. */
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Database, RootDatabase } from 'lmdb';
import { StoreError } from '../contract.ts';

/** What is written to see whether the disk has room, bytes. */
const SCRATCH_BYTES = 1024 * 1024;
/** So much of the cap may be in use; and once the file has its full size: writes need free pages that lie together. */
const FULL_USE = 0.96;
const FULL_FILE_USE = 0.88;
/** A file so many times the cap, when it is opened, is from before the cap was lowered. */
const LOWERED = 1.1;
/** How old a figure of its size may be, milliseconds. */
const SIZE_AGE_MS = 250;
/** A disk that was full is looked at so often, milliseconds. */
const LOOK_MS = 1000;

export class Room {
  readonly #root: RootDatabase;
  readonly #tables: readonly Database[];
  readonly #scratch: string;
  readonly #maxBytes: number;
  #size = { at: Number.NEGATIVE_INFINITY, used: 0, file: 0 };
  /** Bytes that the file had when the store was opened, if the cap was lowered below that; 0 when enough has been removed. */
  #sizeBefore = 0;
  #isDiskFull = false;
  #lookedAt = 0;

  /** `tables` are what takes room; `name` tells those apart that look at the same time. */
  constructor(root: RootDatabase, tables: readonly Database[], folder: string, name: number, maxBytes: number) {
    this.#root = root;
    this.#tables = tables;
    this.#scratch = join(folder, `room-${name}`);
    this.#maxBytes = maxBytes;
    const file = this.fileSize();
    if (file > LOWERED * maxBytes) this.#sizeBefore = file;
  }

  /** Bytes of the pages that hold something. */
  used(): number {
    return this.#tables.reduce((sum, table) => sum + bytesOf(table), 0);
  }

  fileSize(): number {
    const { pageSize, lastPageNumber } = this.#root.getStats() as { pageSize: number; lastPageNumber: number };
    return (lastPageNumber + 1) * pageSize;
  }

  /**
   * Throws StoreError `full` if so many bytes more may not be stored. The file never shrinks: at its full size there must be enough
   * free within it. After the cap was lowered the file is larger than that anyway: until enough visits are removed, what comes goes
   * into the room that is free in it, and nobody has to wait.
   */
  check(bytes: number): void {
    const now = performance.now();
    if (now - this.#size.at > SIZE_AGE_MS) this.#size = { at: now, used: this.used(), file: this.fileSize() };
    this.#size.used += bytes;
    const { used, file } = this.#size;
    if (used <= FULL_FILE_USE * this.#maxBytes) this.#sizeBefore = 0;
    if (this.#sizeBefore > 0 && used <= FULL_FILE_USE * this.#sizeBefore) return;
    if (used > FULL_USE * this.#maxBytes || (file > this.#maxBytes && used > FULL_FILE_USE * this.#maxBytes))
      throw new StoreError('full', `the store has reached its cap of ${this.#maxBytes} bytes (--max-store)`);
  }

  /** A write has found room, or none on the disk. */
  noteDisk(isFull: boolean): void {
    this.#isDiskFull = isFull;
    this.#lookedAt = performance.now();
  }

  /** False while the disk is full. That is tried beside the store: LMDB has ended processes that tried it again and again. */
  hasDisk(): boolean {
    if (!this.#isDiskFull) return true;
    if (performance.now() - this.#lookedAt < LOOK_MS) return false;
    try {
      this.tryDisk();
      this.noteDisk(false);
      return true;
    } catch {
      this.noteDisk(true);
      return false;
    }
  }

  /** Writes a file, and takes it away again. Throws what the system says. */
  tryDisk(): void {
    try {
      writeFileSync(this.#scratch, Buffer.alloc(SCRATCH_BYTES), { flush: true });
    } finally {
      rmSync(this.#scratch, { force: true });
    }
  }
}

/** Bytes of the pages of a table. */
export function bytesOf(table: Database<never, never> | Database): number {
  const stats = table.getStats() as Record<string, number>;
  const pages = ['treeBranchPageCount', 'treeLeafPageCount', 'overflowPages'];
  return pages.reduce((sum, kind) => sum + (stats[kind] as number), 0) * (stats.pageSize as number);
}
