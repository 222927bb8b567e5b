/**
 * Free pages of the store's file. LMDB counts them nowhere, so the list of them is read from the file. It is a tree
 * from the number of a commit to the pages which that commit set free. A writer may use the pages of a commit when no
 * reader still looks at an older state.
 */
import { closeSync, openSync, readSync } from 'node:fs';
import type { RootDatabase } from 'lmdb';
import { FLAGS_AT, HEAD, LOWER_AT, NODE, NODE_HEAD, PAGE, readMeta } from './tree.ts';

/** A root of an empty tree is above this. */
const MAX_PAGES = 2 ** 48;

export class FreeSpace {
  /** Pages that the next write may use. */
  pages = 0;
  /** Pages that it may not use yet, because somebody reads what was there, or the last commit set them free. */
  held = 0;
  readonly #runs: number[] = [];

  /** How often `length` pages that lie together can be taken. */
  runsOf(length: number): number {
    return this.#runs.reduce((sum, run) => sum + Math.floor(run / length), 0);
  }

  add(run: number, isHeld: boolean): void {
    if (isHeld) this.held += run;
    else {
      this.pages += run;
      this.#runs.push(run);
    }
  }
}

/**
 * Reads which pages are free. To be called within a write, so that nobody else changes the file. Throws what
 * the system says, and Damage.
 */
export function readFreeSpace(root: RootDatabase, path: string): FreeSpace {
  const oldest = oldestRead(root);
  const space = new FreeSpace();
  const fd = openSync(path, 'r');
  try {
    const meta = readMeta(fd);
    if (meta) collect(fd, meta.pageSize, meta.roots[0] as number, oldest, space);
    return space;
  } finally {
    closeSync(fd);
  }
}

/** Number of the oldest commit that anybody reads; the newest one if nobody does. */
function oldestRead(root: RootDatabase): number {
  const { lastTxnId } = root.getStats() as { lastTxnId: number };
  const reads = [...root.readerList().matchAll(/^ *\d+ +[0-9a-f]+ +(\d+) *$/gm)].map(([, commit]) => Number(commit));
  return Math.min(lastTxnId, ...reads);
}

function collect(fd: number, pageSize: number, page: number, oldest: number, space: FreeSpace): void {
  if (page >= MAX_PAGES) return;
  const bytes = read(fd, page * pageSize, pageSize);
  const isBranch = (bytes.readUInt16LE(FLAGS_AT) & PAGE.branch) !== 0;
  const count = bytes.readUInt16LE(LOWER_AT) / 2;
  for (let i = 0; i < count; i++) {
    const at = HEAD + bytes.readUInt16LE(HEAD + 2 * i);
    if (isBranch) collect(fd, pageSize, bytes.readUIntLE(at, 6), oldest, space);
    else {
      const isHeld = Number(bytes.readBigUInt64LE(at + NODE_HEAD)) >= oldest;
      addRuns(listAt(fd, pageSize, bytes, at), isHeld, space);
    }
  }
}

/** The list of pages in a node of a leaf. Long ones have pages of their own. */
function listAt(fd: number, pageSize: number, bytes: Buffer, at: number): Buffer {
  const size = bytes.readUInt32LE(at);
  const value = at + NODE_HEAD + bytes.readUInt16LE(at + 6);
  if ((bytes.readUInt16LE(at + 4) & NODE.big) === 0) return bytes.subarray(value, value + size);
  return read(fd, Number(bytes.readBigUInt64LE(value)) * pageSize + HEAD, size);
}

/**
 * How many numbers there are comes first. A negative number is the length of a run, and its first page follows; 0 is
 * nothing.
 */
function addRuns(list: Buffer, isHeld: boolean, space: FreeSpace): void {
  const end = 8 * (1 + Number(list.readBigInt64LE(0)));
  for (let at = 8; at < end; at += 8) {
    const number = Number(list.readBigInt64LE(at));
    if (number > 0) space.add(1, isHeld);
    else if (number < 0) {
      space.add(-number, isHeld);
      at += 8;
    }
  }
}

function read(fd: number, position: number, size: number): Buffer {
  const bytes = Buffer.alloc(size);
  readSync(fd, bytes, 0, size, position);
  return bytes;
}
