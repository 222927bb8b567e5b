/**
 * Tells whether there is room for more data: under the cap, and on the disk. The cap applies to all files in the data
 * folder. The store's file never shrinks, so it must not grow too large even for a moment. Before each write that adds
 * something, the pages that the write may take are compared with the free pages in the file and the pages by which the
 * file may grow. If they do not fit, the write waits until visits are removed, or until a long read ends: a write
 * cannot use pages that somebody still reads.
 */
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Database, RootDatabase } from 'lmdb';
import { StoreError } from '../contract.ts';
import { PIECE_BYTES } from '../record/removal-queue.ts';
import { STORE_FILE } from './file/folder.ts';
import { readFreeSpace } from './file/free-space.ts';

/**
 * Size of the file that tests whether the disk has room, bytes. It is at most a share of the cap, because it counts
 * towards the cap.
 */
const SCRATCH_BYTES = 1024 * 1024;
const SCRATCH_SHARE = 1 / 16;
/** Space for lock files and the gate, bytes. */
const SIDE_BYTES = 400_000;
/**
 * Maximum used share of the cap. After the cap was lowered, it is only enforced once less than the second share is
 * used.
 */
const FULL_USE = 0.96;
const LOWERED_USE = 0.88;
/**
 * Visits are removed while more than this share of the cap is used. With a small cap removal starts earlier, because
 * each write takes a larger part of it.
 */
const PRUNE_USE = 0.8;
/**
 * Scattered free pages are useless for large values. In that case visits are removed until only this share of the cap
 * is used.
 */
const MIN_USE = 0.4;
/** How long more visits are removed after something did not fit, milliseconds. */
const TIGHT_MS = 2000;
/** Maximum age of the measured size, milliseconds. */
const SIZE_AGE_MS = 250;
/** How often a full disk is tested again, milliseconds. */
const DISK_CHECK_MS = 1000;

const PAGE_BYTES = 4096;
/** One write removes or compacts at most this share of the cap, and at least MIN_UNIT_BYTES. */
const UNIT_SHARE = 1 / 64;
const MIN_UNIT_BYTES = 64 * 1024;
/** A write that compacts or removes data also changes other pages: at most this many per page of data, measured. */
const CHANGED_PAGES = 3;
/** Branch pages above the changed pages. */
const PATH_PAGES = 64;
/** Values up to this size share pages with others, bytes. */
const MAX_INLINE = 2000;
/** Maximum number of contiguous pages of a chunk of runs. */
const CHUNK_PAGES = 5;
const MAX_BATCH_BYTES = 64 * 1024;

/** The pages that a write may take: `pages` in all, and `runs` times `length` contiguous ones. */
interface Need {
  pages: number;
  runs: number;
  length: number;
}

/**
 * Returns how many bytes of visits one write removes. A small store has smaller pieces, so that a write needs little
 * free space.
 */
export function pieceBytesOf(maxBytes: number): number {
  return Math.round(Math.min(PIECE_BYTES, Math.max(MIN_UNIT_BYTES, UNIT_SHARE * maxBytes)));
}

export class LmdbQuota {
  readonly #root: RootDatabase;
  readonly #tables: readonly Database[];
  readonly #path: string;
  readonly #scratch: string;
  readonly #scratchBytes: number;
  readonly #maxBytes: number;
  /** Maximum size of the store's file, bytes. */
  readonly #limit: number;
  /**
   * Pages reserved for removals, which free space, and for compaction, because only compacted frames can be removed.
   */
  readonly #forRemoving: number;
  readonly #forCompaction: number;
  #size = { at: Number.NEGATIVE_INFINITY, used: 0 };
  /** The cap was lowered below the used space. Until enough is removed, new data goes into free pages. */
  #isLowered = false;
  #tightAt = Number.NEGATIVE_INFINITY;
  #isDiskFull = false;
  #lookedAt = 0;

  /**
   * `tables`: the tables that take space. `name`: tells apart the scratch files of processes that test the disk at the
   * same time.
   */
  constructor(root: RootDatabase, tables: readonly Database[], folder: string, name: number, maxBytes: number) {
    this.#root = root;
    this.#tables = tables;
    this.#path = join(folder, STORE_FILE);
    this.#scratch = join(folder, `room-${name}`);
    this.#maxBytes = maxBytes;
    this.#scratchBytes = Math.round(Math.min(SCRATCH_BYTES, SCRATCH_SHARE * maxBytes));
    const unit = pieceBytesOf(maxBytes);
    this.#forRemoving = needOf(unit).pages;
    this.#forCompaction = needOf(2 * unit).pages;
    const limit = maxBytes - SIDE_BYTES - this.#scratchBytes;
    const file = this.fileSize();
    this.#isLowered = file > limit && this.used() > LOWERED_USE * maxBytes;
    // Without free pages in the file, acks would stop until enough is removed.
    this.#limit = Math.max(limit, this.#isLowered ? file + this.#spare * PAGE_BYTES : file);
  }

  /** Returns the bytes of the pages in use. */
  used(): number {
    return this.#tables.reduce((sum, table) => sum + bytesOf(table), 0);
  }

  fileSize(): number {
    const { pageSize, lastPageNumber } = this.#root.getStats() as { pageSize: number; lastPageNumber: number };
    return (lastPageNumber + 1) * pageSize;
  }

  /** Free pages that are needed to continue. The pages that the last compaction freed cannot be used at once. */
  get #spare(): number {
    return this.#forRemoving + 2 * this.#forCompaction + batchNeed([MAX_BATCH_BYTES]).pages;
  }

  /** Visits are removed while more bytes than this are in use. */
  get pruneAt(): number {
    const max = this.#maxBytes - SIDE_BYTES - this.#scratchBytes - this.#spare * PAGE_BYTES;
    return Math.min(PRUNE_USE * this.#maxBytes, max);
  }

  /**
   * Like `pruneAt`, but lower if the last write did not fit although enough pages were free: more visits must be
   * removed to get contiguous pages.
   */
  get pruneNow(): number {
    if (performance.now() - this.#tightAt > TIGHT_MS) return this.pruneAt;
    return Math.min(this.pruneAt, Math.max(MIN_USE * this.#maxBytes, this.used() - 1));
  }

  /**
   * Within a write: throws StoreError `full` if batches of these sizes may not be added. An empty list asks whether one
   * batch would fit.
   */
  check(sizes: readonly number[]): void {
    if (this.#maxBytes === Number.POSITIVE_INFINITY) return;
    const bytes = sizes.reduce((sum, size) => sum + size, 0);
    const need = batchNeed(sizes.length > 0 ? sizes : [MAX_BATCH_BYTES]);
    if (this.#isOverCap(bytes) || !this.#fits(need, this.#forRemoving + this.#forCompaction))
      throw new StoreError('full', `the store has reached its cap of ${this.#maxBytes} bytes (--max-store)`);
  }

  #isOverCap(bytes: number): boolean {
    const now = performance.now();
    if (now - this.#size.at > SIZE_AGE_MS) this.#size = { at: now, used: this.used() };
    this.#size.used += bytes;
    const { used } = this.#size;
    if (used <= LOWERED_USE * this.#maxBytes) this.#isLowered = false;
    return used > FULL_USE * this.#maxBytes && !this.#isLowered;
  }

  /** Within a write: returns true if this many bytes of the journal can be compacted. */
  canCompact(bytes: number): boolean {
    return this.#maxBytes === Number.POSITIVE_INFINITY || this.#fits(needOf(bytes), this.#forRemoving);
  }

  /** Returns true if the file may grow by the reserved pages. */
  canGrow(): boolean {
    return this.#growth() >= this.#forRemoving + 2 * this.#forCompaction;
  }

  /**
   * Within a write: returns false while removing a piece would make the file too large, because the free pages are
   * still being read.
   */
  canRemove(): boolean {
    const { pages, held } = readFreeSpace(this.#root, this.#path);
    return pages >= this.#forRemoving || held < this.#forRemoving;
  }

  /** Returns the number of pages by which the file may grow. */
  #growth(): number {
    return Math.max(0, Math.floor((this.#limit - this.fileSize()) / PAGE_BYTES));
  }

  /** `reserve`: pages that must stay free. */
  #fits({ pages, runs, length }: Need, reserve: number): boolean {
    const needed = pages + reserve;
    const growth = this.#growth();
    if (growth >= needed) return true;
    const free = readFreeSpace(this.#root, this.#path);
    const grown = Math.floor(Math.max(0, growth - reserve) / length);
    if (free.pages + growth >= needed && free.runsOf(length) + grown >= runs) return true;
    // Removing more visits does not help while the free pages are still being read.
    if (free.held < needed) this.#tightAt = performance.now();
    return false;
  }

  /** Notes whether the last write found room on the disk. */
  noteDisk(isFull: boolean): void {
    this.#isDiskFull = isFull;
    this.#lookedAt = performance.now();
  }

  /**
   * Returns false while the disk is full. This is tested beside the store: LMDB has ended processes that tried a full
   * disk repeatedly.
   */
  hasDisk(): boolean {
    if (!this.#isDiskFull) return true;
    if (performance.now() - this.#lookedAt < DISK_CHECK_MS) return false;
    try {
      this.tryDisk();
      this.noteDisk(false);
      return true;
    } catch {
      this.noteDisk(true);
      return false;
    }
  }

  /** Writes a file, and removes it. Throws the system's error. */
  tryDisk(): void {
    try {
      writeFileSync(this.#scratch, Buffer.alloc(this.#scratchBytes), { flush: true });
    } finally {
      rmSync(this.#scratch, { force: true });
    }
  }
}

/** Returns what a write that compacts or removes this many bytes may take. */
function needOf(bytes: number): Need {
  const pages = bytes / PAGE_BYTES;
  return { pages: Math.ceil(CHANGED_PAGES * pages) + PATH_PAGES, runs: Math.ceil(pages / 3), length: CHUNK_PAGES };
}

function batchNeed(sizes: readonly number[]): Need {
  const large = sizes.filter((size) => size > MAX_INLINE).map((size) => Math.ceil(size / PAGE_BYTES) + 1);
  const small = sizes.length - large.length;
  const pages = large.reduce((sum, count) => sum + count, small + PATH_PAGES);
  return { pages, runs: large.length, length: Math.max(1, ...large) };
}

/** Returns the bytes of a table's pages. */
export function bytesOf(table: Database<never, never> | Database): number {
  const stats = table.getStats() as Record<string, number>;
  const pages = ['treeBranchPageCount', 'treeLeafPageCount', 'overflowPages'];
  return pages.reduce((sum, kind) => sum + (stats[kind] as number), 0) * (stats.pageSize as number);
}
