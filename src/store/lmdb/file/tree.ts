/**
 * The store's file as LMDB lays it out, read without LMDB, which does not look before it follows a page number and ends
 * the process where a file is damaged. Little-endian, as all that Node.js runs on here.
 *
 * A file may well be shorter than its last page says: pages at its end that are free need never have been written.
 */
import { fstatSync, readSync } from 'node:fs';

/** What is wrong with a file, for people. */
export class TreeDamage extends Error {
  override readonly name = 'Damage';
}

/** Bytes of a page's head; where in the first two pages the meta begins, and of a node's. */
export const HEAD = 24;
export const NODE_HEAD = 8;
/** Where a page's head has its flags, and where its list of nodes ends. */
export const FLAGS_AT = 18;
export const LOWER_AT = 20;
const META_BYTES = 168;
const MAGIC = 0xbeefc0de;
const VERSION = 2;
/** Flags of a page, and of a node. */
export const PAGE = { branch: 1, leaf: 2, overflow: 4, meta: 8, packed: 32 } as const;
export const NODE = { big: 1, table: 2 } as const;
/** The root of an empty tree. */
const NONE = 2 ** 64;
/** A tree of more levels would hold more than any disk. */
const MAX_DEPTH = 32;

export interface Meta {
  /** Counts the commits. */
  txn: number;
  pageSize: number;
  /** The last page that was ever in use. */
  last: number;
  /** Roots of the tree of free pages, and of the tree of tables. */
  roots: number[];
}

/**
 * Reads what the file says of itself, of the newest commit. Undefined: the file does not begin as a store. Throws
 * Damage.
 */
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

/** True of a file that begins as a store does, whatever its other pages are like. */
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

/** True if the file ends before its last page: then it is cut, or what is missing was free. */
export function isShort(fd: number, { last, pageSize }: Meta): boolean {
  return fstatSync(fd).size < (last + 1) * pageSize;
}

/**
 * Looks at every page that is in use from the commit `meta` on: `index` at those that lead to others only, one in
 * some hundred; `all` at what is in them too. Yields the number of pages seen so far now and then, and at the end. Throws Damage.
 *
 * Pages that the commit uses must not be used anew meanwhile: nobody writes, or a read transaction as old is open.
 * Of tables for which `isWhole` does not hold only the pages on the way to the first entry are looked at.
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

interface Due {
  page: number;
  /** Pages above it in its tree. */
  level: number;
  /** False: of the pages below only the first is looked at. */
  isWhole: boolean;
}

/** The pages yet to be seen, deepest first, so that few are waiting. */
class Trees {
  readonly #fd: number;
  readonly #meta: Meta;
  readonly #pages: number;
  readonly #due: Due[] = [];
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

  /** Looks at one more page. How many pages it was, with those it has alone; undefined: there is none left. */
  next(depth: 'index' | 'all'): number | undefined {
    const due = this.#due.pop();
    if (due === undefined) return undefined;
    const flags = this.#read(due.page);
    const isBranch = (flags & PAGE.branch) !== 0;
    if (isBranch === ((flags & PAGE.leaf) !== 0)) throw new TreeDamage(`page ${due.page} has an invalid type`);
    if (isBranch) return this.#branch(due, depth);
    return flags & PAGE.packed ? 1 : 1 + this.#leaf(due);
  }

  #branch({ page, level, isWhole }: Due, depth: 'index' | 'all'): number {
    if (level > MAX_DEPTH) throw new TreeDamage(`page ${page} is too deep`);
    const nodes = isWhole ? this.#nodes(page) : this.#nodes(page).slice(0, 1);
    const children = nodes.map((at) => this.#bytes.readUIntLE(at, 6));
    // All leaves of a tree are as deep as each other: one tells of its siblings.
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

  /** Pages that large values have for themselves. */
  #leaf({ page }: Due): number {
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

  /** A name ends with a zero byte, which `name` is without. */
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

  /** Where the page's nodes are. */
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

  #add(due: Due): void {
    if (due.page === NONE) return;
    this.#claim(due.page, 1);
    this.#due.push(due);
  }

  /** Each page is in use once. */
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

/** 64 bits; above 2^53 not exact, as no page number is. */
function long(bytes: Buffer, at: number): number {
  return bytes.readUInt32LE(at) + bytes.readUInt32LE(at + 4) * 2 ** 32;
}
