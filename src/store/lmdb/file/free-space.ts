/**
 * Free pages of the store's file. LMDB does not count them, so their list is read from the file. It is a tree from the
 * number of a commit to the pages that the commit freed. A writer may use them when no reader uses an older state.
 */
import { closeSync, openSync, readSync } from 'node:fs';
import type { RootDatabase } from 'lmdb';
import { FLAGS_AT, HEAD, LOWER_AT, NODE, NODE_HEAD, PAGE, readMeta } from './tree.ts';

/** The root of an empty tree is above this. */
const MAX_PAGES = 2 ** 48;

export class FreeSpace {
  /** Pages that the next write may use. */
  pages = 0;
  /** Pages that it may not use yet, because an older state is being read, or because the last commit freed them. */
  held = 0;
  readonly #runs: number[] = [];

  /** Returns how many runs of `length` contiguous pages are available. */
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
 * Reads which pages are free. Call it within a write, so that nobody else changes the file. Throws the system's error,
 * and TreeDamage.
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

/** Returns the number of the oldest commit that is being read, or of the newest one. */
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

/** Returns the list of pages in a leaf node. Long lists have pages of their own. */
function listAt(fd: number, pageSize: number, bytes: Buffer, at: number): Buffer {
  const size = bytes.readUInt32LE(at);
  const value = at + NODE_HEAD + bytes.readUInt16LE(at + 6);
  if ((bytes.readUInt16LE(at + 4) & NODE.big) === 0) return bytes.subarray(value, value + size);
  return read(fd, Number(bytes.readBigUInt64LE(value)) * pageSize + HEAD, size);
}

/**
 * Reads a list of pages. The number of entries comes first. A negative entry is the length of a run, followed by its
 * first page. 0 is ignored.
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
