/**
 * Reads the structure of the store's file without LMDB, which follows page numbers unchecked and ends the process if a
 * file is damaged. Little-endian, like all platforms that Node.js supports here.
 *
 * A file may be shorter than its last page number suggests: free pages at the end may never have been written.
 */
import { fstatSync, readSync } from 'node:fs';

/** Describes damage of a file, for people. */
export class TreeDamage extends Error {
  override readonly name = 'Damage';
}

/**
 * Size of a page's header, which is also where the meta data starts in the first two pages; and size of a node's
 * header, bytes.
 */
export const HEAD = 24;
export const NODE_HEAD = 8;
/** Offsets of a page's flags, and of the end of its list of nodes. */
export const FLAGS_AT = 18;
export const LOWER_AT = 20;
const META_BYTES = 168;
const MAGIC = 0xbeefc0de;
const VERSION = 2;
/** Flags of a page, and of a node. */
export const PAGE = { branch: 1, leaf: 2, overflow: 4, meta: 8, packed: 32 } as const;
export const NODE = { big: 1, table: 2 } as const;
/** The root of an empty tree. */
const EMPTY_ROOT = 2 ** 64;
/** No tree is deeper: it would hold more than any disk. */
const MAX_DEPTH = 32;

export interface Meta {
  /** Number of the commit. */
  txn: number;
  pageSize: number;
  /** The last page that was ever used. */
  last: number;
  /** Roots of the tree of free pages, and of the tree of tables. */
  roots: number[];
}

/** Reads the meta data of the newest commit. Undefined if the file does not start like a store. Throws TreeDamage. */
export function readMeta(fd: number): Meta | undefined {
  const first = readMetaAt(fd, 0);
  if (first === undefined) return undefined;
  const { pageSize } = first;
  if (pageSize < 512 || pageSize > 65_536 || !Number.isInteger(Math.log2(pageSize)))
    throw new TreeDamage('its first page is invalid');
  const second = readMetaAt(fd, pageSize);
  if (second === undefined || second.pageSize !== pageSize) throw new TreeDamage('its second page is invalid');
  return second.txn > first.txn ? second : first;
}

/** Returns true if a file starts like a store, whatever its other pages contain. */
export function hasMagic(fd: number): boolean {
  const bytes = Buffer.alloc(HEAD + 4);
  return readSync(fd, bytes, 0, bytes.length, 0) === bytes.length && bytes.readUInt32LE(HEAD) === MAGIC;
}

function readMetaAt(fd: number, offset: number): Meta | undefined {
  const bytes = Buffer.alloc(META_BYTES);
  if (readSync(fd, bytes, 0, bytes.length, offset) < bytes.length) return undefined;
  if ((bytes.readUInt16LE(FLAGS_AT) & PAGE.meta) === 0 || bytes.readUInt32LE(24) !== MAGIC) return undefined;
  if ((bytes.readUInt32LE(28) & 0xffff) !== VERSION) return undefined;
  return {
    pageSize: bytes.readUInt32LE(48),
    roots: [long(bytes, 88), long(bytes, 136)],
    last: long(bytes, 144),
    txn: long(bytes, 152),
  };
}

/** Returns true if the file ends before its last page: either it was truncated, or the missing pages were free. */
export function isShort(fd: number, { last, pageSize }: Meta): boolean {
  return fstatSync(fd).size < (last + 1) * pageSize;
}

/**
 * Checks every page that the commit `meta` uses. `index`: only branch pages, about one in a hundred. `all`: also the
 * content of the others. Yields the number of pages checked so far from time to time, and at the end. Throws
 * TreeDamage.
 *
 * Pages of the commit must not be reused meanwhile: nobody writes, or a read transaction of that commit is open. Of
 * tables for which `isWhole` is false, only the pages on the path to the first entry are checked.
 */
export function* walk(
  fd: number,
  meta: Meta,
  depth: 'index' | 'all',
  isWhole: (table: string) => boolean = () => true,
): Generator<number> {
  const trees = new Trees(fd, meta, isWhole);
  let seen = 0;
  for (;;) {
    const page = trees.next(depth);
    if (page === undefined) break;
    seen += page;
    if (seen % 512 < page) yield seen;
  }
  yield seen;
}

interface DuePage {
  page: number;
  /** Pages above it in its tree. */
  level: number;
  /** False: of the pages below, only the first is checked. */
  isWhole: boolean;
}

/** The pages still to check, deepest first, so that few are waiting. */
class Trees {
  readonly #fd: number;
  readonly #meta: Meta;
  readonly #pages: number;
  readonly #due: DuePage[] = [];
  readonly #seen: Uint8Array;
  readonly #bytes: Buffer;
  readonly #isWhole: (table: string) => boolean;

  constructor(fd: number, meta: Meta, isWhole: (table: string) => boolean) {
    this.#isWhole = isWhole;
    this.#fd = fd;
    this.#meta = meta;
    this.#pages = Math.min(meta.last + 1, Math.ceil(fstatSync(fd).size / meta.pageSize));
    this.#seen = new Uint8Array(Math.ceil(this.#pages / 8));
    this.#bytes = Buffer.alloc(meta.pageSize);
    for (const root of meta.roots) this.#add({ page: root, level: 0, isWhole: true });
  }

  /**
   * Checks one more page. Returns the number of pages, including overflow pages of its values, or undefined if none is
   * left.
   */
  next(depth: 'index' | 'all'): number | undefined {
    const due = this.#due.pop();
    if (due === undefined) return undefined;
    const flags = this.#read(due.page);
    const isBranch = (flags & PAGE.branch) !== 0;
    if (isBranch === ((flags & PAGE.leaf) !== 0)) throw new TreeDamage(`page ${due.page} has an invalid type`);
    if (isBranch) return this.#branch(due, depth);
    return flags & PAGE.packed ? 1 : 1 + this.#leaf(due);
  }

  #branch({ page, level, isWhole }: DuePage, depth: 'index' | 'all'): number {
    if (level > MAX_DEPTH) throw new TreeDamage(`page ${page} is too deep`);
    const nodes = isWhole ? this.#nodes(page) : this.#nodes(page).slice(0, 1);
    const children = nodes.map((at) => this.#bytes.readUIntLE(at, 6));
    // All leaves of a tree have the same depth: checking one tells about its siblings.
    if (depth === 'index' && children[0] !== undefined && this.#isLeaf(children[0]))
      for (const child of children) this.#claim(child, 1);
    else for (const child of children) this.#add({ page: child, level: level + 1, isWhole });
    return 1;
  }

  #isLeaf(page: number): boolean {
    if (page >= this.#pages) throw new TreeDamage(`page ${page} is beyond its end`);
    const flags = Buffer.alloc(2);
    readSync(this.#fd, flags, 0, 2, page * this.#meta.pageSize + FLAGS_AT);
    return (flags.readUInt16LE(0) & PAGE.leaf) !== 0;
  }

  /** Checks a leaf. Returns the number of overflow pages of its large values. */
  #leaf({ page }: DuePage): number {
    let own = 0;
    const bigs: { page: number; size: number; pages: number }[] = [];
    for (const at of this.#nodes(page)) {
      const flags = this.#bytes.readUInt16LE(at + 4);
      const size = this.#bytes.readUInt32LE(at);
      const key = at + NODE_HEAD;
      const value = key + this.#bytes.readUInt16LE(at + 6);
      const length = flags & NODE.big ? HEAD : size;
      if (value + length > this.#bytes.length) throw new TreeDamage(`page ${page} has an entry that crosses its end`);
      if (flags & NODE.big) bigs.push({ page: long(this.#bytes, value), size, pages: long(this.#bytes, value + 16) });
      else if (flags & NODE.table) this.#table(this.#bytes.toString('latin1', key, value - 1), value, size, page);
    }
    for (const big of bigs) own += this.#big(big);
    return own;
  }

  /** Adds the root of a table. Names are stored with a trailing zero byte, which `name` does not include. */
  #table(name: string, at: number, size: number, page: number): void {
    if (size < 48) throw new TreeDamage(`page ${page} has a table without a root`);
    this.#add({ page: long(this.#bytes, at + 40), level: 0, isWhole: this.#isWhole(name) });
  }

  #big({ page, size, pages }: { page: number; size: number; pages: number }): number {
    this.#claim(page, pages);
    if (!(this.#read(page) & PAGE.overflow) || pages * this.#meta.pageSize < HEAD + size)
      throw new TreeDamage(`page ${page} does not hold the expected value`);
    return pages;
  }

  /** Returns the offsets of the page's nodes. */
  #nodes(page: number): number[] {
    const lower = this.#bytes.readUInt16LE(LOWER_AT);
    const upper = this.#bytes.readUInt16LE(22);
    if (lower % 2 !== 0 || lower > upper || HEAD + upper > this.#bytes.length)
      throw new TreeDamage(`page ${page} is invalid`);
    const places = Array.from({ length: lower / 2 }, (_, i) => HEAD + this.#bytes.readUInt16LE(HEAD + 2 * i));
    for (const at of places)
      if (at < HEAD + upper || at + NODE_HEAD > this.#bytes.length) throw new TreeDamage(`page ${page} is invalid`);
    return places;
  }

  /** Reads a page and returns its flags. */
  #read(page: number): number {
    const { pageSize, txn } = this.#meta;
    const read = readSync(this.#fd, this.#bytes, 0, pageSize, page * pageSize);
    if (read < pageSize) throw new TreeDamage(`page ${page} is beyond its end`);
    if (long(this.#bytes, 0) !== page) throw new TreeDamage(`page ${page} is not where it should be`);
    if (long(this.#bytes, 8) > txn) throw new TreeDamage(`page ${page} is newer than the last commit`);
    return this.#bytes.readUInt16LE(FLAGS_AT);
  }

  #add(due: DuePage): void {
    if (due.page === EMPTY_ROOT) return;
    this.#claim(due.page, 1);
    this.#due.push(due);
  }

  /** Marks pages as used. Throws TreeDamage if one was already used. */
  #claim(page: number, count: number): void {
    if (page < 2 || count < 1 || page + count > this.#pages)
      throw new TreeDamage(`page ${page} is beyond its end (${this.#pages} pages)`);
    for (let i = page; i < page + count; i++) {
      const bit = 1 << (i % 8);
      const byte = this.#seen[i >> 3] as number;
      if (byte & bit) throw new TreeDamage(`page ${i} is used twice`);
      this.#seen[i >> 3] = byte | bit;
    }
  }
}

/** Reads 64 bits. Inexact above 2^53, but no page number is that large. */
function long(bytes: Buffer, at: number): number {
  return bytes.readUInt32LE(at) + bytes.readUInt32LE(at + 4) * 2 ** 32;
}
