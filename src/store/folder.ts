/** The data folder, made ready for LMDB. */
import {
  accessSync,
  chmodSync,
  closeSync,
  constants,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { StoreError } from './contract.ts';

/**
 * Has `open` open the store's file in a folder, which is made if need be; only its owner may read either.
 * Throws StoreError.
 */
export function openFolder<T>(folder: string, open: (path: string) => T): T {
  const path = join(folder, 'store.mdb');
  try {
    makeFolder(folder);
    checkFiles(path);
    const opened = open(path);
    for (const file of [path, `${path}-lock`]) chmodSync(file, 0o600);
    return opened;
  } catch (error) {
    if (error instanceof StoreError) throw error;
    const { message } = error as Error;
    // Of Node's `EACCES: permission denied, open '/path'`, what a person needs.
    const reason = /^E[A-Z]+: ([^,]+)/.exec(message)?.[1] ?? message;
    throw new StoreError(
      'no-access',
      `the data folder ${folder} cannot be used: ${reason}; choose another with --data`,
    );
  }
}

/** As `mkdirSync` with `recursive`, which on Node 20 never returns for a folder below /proc. */
function makeFolder(folder: string): void {
  if (existsSync(folder)) return;
  makeFolder(dirname(folder));
  try {
    mkdirSync(folder, { mode: 0o700 });
  } catch (error) {
    // Several processes may start at once.
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  }
}

/** Finds what LMDB would not report but end the process for: files that it cannot use. */
function checkFiles(path: string): void {
  readdirSync(dirname(path));
  accessSync(dirname(path), constants.W_OK | constants.X_OK);
  for (const file of [path, `${path}-lock`]) {
    if (!existsSync(file)) continue;
    const fd = openSync(file, 'r+');
    try {
      if (file === path && !isStore(fd)) throw new StoreError('not-a-store', `${path} is not a Fieldmouse store`);
    } finally {
      closeSync(fd);
    }
  }
}

/** LMDB's mark stands behind the head of the first page; an empty file is a store about to be. */
function isStore(fd: number): boolean {
  const head = Buffer.alloc(28);
  const read = readSync(fd, head, 0, head.length, 0);
  return read === 0 || (read === head.length && head.readUInt32LE(24) === 0xbeefc0de);
}
