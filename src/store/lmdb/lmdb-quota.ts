/**
 * Whether there is room for more: under the cap, and on the disk.
 *
 * The cap is for all files in the data folder. The store's file never shrinks, so it must not grow too large even for a
 * moment. Before each write that adds something, the pages that the write may take are compared with the pages that are
 * free in the file and those by which it may grow. What does not fit waits until visits are removed, or until a long
 * read ends: a write cannot use the pages that somebody still reads.
 */
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Database, RootDatabase } from 'lmdb';
import { StoreError } from '../contract.ts';
import { PIECE_BYTES } from '../record/removal-queue.ts';
import { STORE_FILE } from './file/folder.ts';
import { readFreeSpace } from './file/free-space.ts';

/** What is written to see whether the disk has room, bytes; at most a share of the cap, because it counts toward it. */
const SCRATCH_BYTES = 1024 * 1024;
const SCRATCH_SHARE = 1 / 16;
/** What lock files and the gate take, bytes. */
const SIDE_BYTES = 400_000;
/**
 * So much of the cap may be in use. After the cap was lowered, this is checked once less than the second share is in
 * use.
 */
const FULL_USE = 0.96;
const LOWERED_USE = 0.88;
/**
 * While more of the cap is in use, visits are removed. Small caps begin earlier, because each write takes a larger part
 * of them.
 */
const PRUNE_USE = 0.8;
/**
 * Free pages that lie apart are of no use for large values. Then visits are removed until this share of the cap is in
 * use.
 */
const MIN_USE = 0.4;
/** For so long after something did not fit, more visits are removed, milliseconds. */
const TIGHT_MS = 2000;
/** How old a figure of its size may be, milliseconds. */
const SIZE_AGE_MS = 250;
/** A disk that was full is looked at so often, milliseconds. */
const LOOK_MS = 1000;

const PAGE_BYTES = 4096;
/** One write removes, and files, a part of the cap at most, bytes. */
const UNIT_SHARE = 1 / 64;
const MIN_UNIT_BYTES = 64 * 1024;
/**
 * A write that files or removes changes other pages beside those of the bytes it is about: at most so many for each,
 * measured.
 */
const CHANGED_PAGES = 3;
/** Pages that lead to those that are changed. */
const PATH_PAGES = 64;
/** Values of so many bytes share pages with others. */
const MAX_INLINE = 2000;
/** A chunk of runs has at most so many pages, which lie together. */
const CHUNK_PAGES = 5;
const MAX_BATCH_BYTES = 64 * 1024;

/** Pages that a write may take. `runs` times it takes `length` pages that lie together. */
interface Need {
  pages: number;
  runs: number;
  length: number;
}

/** Bytes of visits that one write removes. A small store has smaller pieces, so that a write needs little free room. */
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
  /** The store's file may have so many bytes. */
  readonly #limit: number;
  /** Pages kept free for removing, which makes room, and for filing: only what is filed can be removed. */
  readonly #forRemoving: number;
  readonly #forFiling: number;
  #size = { at: Number.NEGATIVE_INFINITY, used: 0 };
  /** The cap was lowered below what is in use: until enough is removed, what comes goes into free pages. */
  #isLowered = false;
  #tightAt = Number.NEGATIVE_INFINITY;
  #isDiskFull = false;
  #lookedAt = 0;

  /** `tables` are what takes room; `name` tells those apart that look at the same time. */
  constructor(root: RootDatabase, tables: readonly Database[], folder: string, name: number, maxBytes: number) {
    this.#root = root;
    this.#tables = tables;
    this.#path = join(folder, STORE_FILE);
    this.#scratch = join(folder, `room-${name}`);
    this.#maxBytes = maxBytes;
    this.#scratchBytes = Math.round(Math.min(SCRATCH_BYTES, SCRATCH_SHARE * maxBytes));
    const unit = pieceBytesOf(maxBytes);
    this.#forRemoving = needOf(unit).pages;
    this.#forFiling = needOf(2 * unit).pages;
    const limit = maxBytes - SIDE_BYTES - this.#scratchBytes;
    const file = this.fileSize();
    this.#isLowered = file > limit && this.used() > LOWERED_USE * maxBytes;
    // Where nothing is free in the file yet, acks would stop until enough is removed.
    this.#limit = Math.max(limit, this.#isLowered ? file + this.#spare * PAGE_BYTES : file);
  }

  /** Bytes of the pages that hold something. */
  used(): number {
    return this.#tables.reduce((sum, table) => sum + bytesOf(table), 0);
  }

  fileSize(): number {
    const { pageSize, lastPageNumber } = this.#root.getStats() as { pageSize: number; lastPageNumber: number };
    return (lastPageNumber + 1) * pageSize;
  }

  /** Free pages with which everything goes on. What the last filing set free cannot be used at once. */
  get #spare(): number {
    return this.#forRemoving + 2 * this.#forFiling + batchNeed([MAX_BATCH_BYTES]).pages;
  }

  /** While more bytes are in use, visits are removed. */
  get pruneAt(): number {
    const most = this.#maxBytes - SIDE_BYTES - this.#scratchBytes - this.#spare * PAGE_BYTES;
    return Math.min(PRUNE_USE * this.#maxBytes, most);
  }

  /**
   * As `pruneAt`, where the last write did not fit though enough was free: more has to go, so that pages lie together.
   */
  get pruneNow(): number {
    if (performance.now() - this.#tightAt > TIGHT_MS) return this.pruneAt;
    return Math.min(this.pruneAt, Math.max(MIN_USE * this.#maxBytes, this.used() - 1));
  }

  /**
   * Within a write: throws StoreError `full` if batches of these sizes may not be added. None at all stand for one: it
   * is asked whether there is room again.
   */
  check(sizes: readonly number[]): void {
    if (this.#maxBytes === Number.POSITIVE_INFINITY) return;
    const bytes = sizes.reduce((sum, size) => sum + size, 0);
    const need = batchNeed(sizes.length > 0 ? sizes : [MAX_BATCH_BYTES]);
    if (this.#isOver(bytes) || !this.#fits(need, this.#forRemoving + this.#forFiling))
      throw new StoreError('full', `the store has reached its cap of ${this.#maxBytes} bytes (--max-store)`);
  }

  #isOver(bytes: number): boolean {
    const now = performance.now();
    if (now - this.#size.at > SIZE_AGE_MS) this.#size = { at: now, used: this.used() };
    this.#size.used += bytes;
    const { used } = this.#size;
    if (used <= LOWERED_USE * this.#maxBytes) this.#isLowered = false;
    return used > FULL_USE * this.#maxBytes && !this.#isLowered;
  }

  /** Within a write: true if so many bytes of the journal can be filed. */
  canCompact(bytes: number): boolean {
    return this.#maxBytes === Number.POSITIVE_INFINITY || this.#fits(needOf(bytes), this.#forRemoving);
  }

  /** True if the file may grow by as much as is kept free. */
  canGrow(): boolean {
    return this.#growth() >= this.#forRemoving + 2 * this.#forFiling;
  }

  /**
   * Within a write: false while a piece that is removed would make the file too large, because somebody reads what is
   * free.
   */
  canRemove(): boolean {
    const { pages, held } = readFreeSpace(this.#root, this.#path);
    return pages >= this.#forRemoving || held < this.#forRemoving;
  }

  /** Pages by which the file may grow. */
  #growth(): number {
    return Math.max(0, Math.floor((this.#limit - this.fileSize()) / PAGE_BYTES));
  }

  /** `reserve`: pages that are to be left. */
  #fits({ pages, runs, length }: Need, reserve: number): boolean {
    const needed = pages + reserve;
    const growth = this.#growth();
    if (growth >= needed) return true;
    const free = readFreeSpace(this.#root, this.#path);
    const grown = Math.floor(Math.max(0, growth - reserve) / length);
    if (free.pages + growth >= needed && free.runsOf(length) + grown >= runs) return true;
    // Nothing is won by removing more while somebody reads what is free.
    if (free.held < needed) this.#tightAt = performance.now();
    return false;
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
      writeFileSync(this.#scratch, Buffer.alloc(this.#scratchBytes), { flush: true });
    } finally {
      rmSync(this.#scratch, { force: true });
    }
  }
}

/** What a write may take that files or removes so many bytes. */
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

/** Bytes of the pages of a table. */
export function bytesOf(table: Database<never, never> | Database): number {
  const stats = table.getStats() as Record<string, number>;
  const pages = ['treeBranchPageCount', 'treeLeafPageCount', 'overflowPages'];
  return pages.reduce((sum, kind) => sum + (stats[kind] as number), 0) * (stats.pageSize as number);
}
