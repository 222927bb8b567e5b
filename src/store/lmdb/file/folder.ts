/** Prepares the data folder for LMDB. */
import {
  accessSync,
  chmodSync,
  closeSync,
  constants,
  existsSync,
  fstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import type { Difference } from '../../archive.ts';
import { StoreError } from '../../contract.ts';
import { isShort, type Meta, readMeta, TreeDamage, walk } from './tree.ts';

/** The store's file within the data folder. */
export const STORE_FILE = 'store.mdb';

/** Maximum number of pages that are checked whenever a store is opened: some milliseconds. */
const QUICK_PAGES = 1024;
/** How often the check is repeated if a writer interfered. */
const QUICK_TRIES = 5;

/** The gate's file: see store-file.ts. */
const GATE_FILE = 'store.gate';

/** Maximum size of the header of LMDB's lock file, and size of a reader's slot, bytes. */
const LOCK_HEAD_BYTES = 8192;
const LOCK_SLOT_BYTES = 64;

export interface FolderOptions {
  /** Maximum number of readers. */
  maxReaders: number;
  /** Create the folder and the file if they do not exist. */
  create: boolean;
}

/**
 * Prepares a folder, and calls `open` to open the store's file and its gate. Only their owner may read them. Throws
 * StoreError.
 */
export function openFolder<T>(
  folder: string,
  { maxReaders, create }: FolderOptions,
  open: (path: string, gatePath: string) => T,
): T {
  const path = join(folder, STORE_FILE);
  const gatePath = join(folder, GATE_FILE);
  try {
    if (!existsSync(path)) {
      if (!create) throw noStore(folder);
      makeFolder(folder);
      refuseRestoreRemains(folder);
    }
    readdirSync(folder);
    accessSync(folder, constants.W_OK | constants.X_OK);
    checkFile(gatePath, checkGate);
    checkFile(path, quickCheck);
    for (const file of [path, gatePath]) fillLock(`${file}-lock`, maxReaders);
    const opened = open(path, gatePath);
    for (const file of [path, gatePath]) for (const suffix of ['', '-lock']) chmodSync(file + suffix, 0o600);
    return opened;
  } catch (error) {
    if (error instanceof StoreError) throw error;
    const { message } = error as Error;
    if (isDamage(error)) throw damaged(path, message);
    throw noAccess(folder, message);
  }
}

function noStore(folder: string): StoreError {
  return new StoreError('no-store', `there is no ${STORE_FILE} in ${folder}; if it was moved away, move it back`);
}

/** The folder of a new store until it is complete. */
export const NEW_STORE = `${STORE_FILE}.new`;

/** The copy that `restore` writes, and the prefix under which it keeps the previous file. */
export const RESTORE_PART = 'restore.part';
export const BEFORE_RESTORE = `${STORE_FILE}.before-restore-`;

/**
 * Names of files that servers and commands create in a data folder: the store, locks, scratch files, and those for
 * Redis.
 */
const STORE_NAMES =
  /^store\.(mdb|gate)(-lock)?$|^store\.mdb\.(new$|before-restore-)|^restore\.part$|^room-\d+$|^machine\.json(\.part)?$|^server(-[0-9a-f]{12})?\.sock$/;

/** Returns true if the store uses this name in its folder. */
export function isStoreName(name: string): boolean {
  return STORE_NAMES.test(name);
}

/** Throws StoreError if an interrupted restore left a store under another name: a new store must not replace it. */
function refuseRestoreRemains(folder: string): void {
  const names = readdirSync(folder);
  const before = names.filter((name) => name.startsWith(BEFORE_RESTORE)).sort();
  const remains = before.at(-1) ?? names.find((name) => name === RESTORE_PART);
  if (remains === undefined) return;
  const back = before.length > 0 ? `rename it to ${STORE_FILE} to use it` : 'run fieldmouse restore again';
  throw new StoreError(
    'no-store',

    `there is no ${STORE_FILE} in ${folder}, but a restore left ${remains}: ${back}, or move it away to start ` +
      'with a new store',
  );
}

/** Creates a folder that only its owner can read, if necessary, for other uses than a store. Throws StoreError. */
export function ownFolder(folder: string): void {
  try {
    makeFolder(folder);
    accessSync(folder, constants.R_OK | constants.W_OK | constants.X_OK);
  } catch (error) {
    throw noAccess(folder, (error as Error).message);
  }
}

function noAccess(folder: string, message: string): StoreError {
  // From Node's `EACCES: permission denied, open '/path'`, only the part that people need.
  const reason = /^E[A-Z]+: ([^,]+)/.exec(message)?.[1] ?? message;
  return new StoreError('no-access', `the data folder ${folder} cannot be used: ${reason}; choose another with --data`);
}

/** Returns true for the errors that LMDB throws for a damaged file. */
export function isDamage(error: unknown): error is Error {
  return error instanceof Error && /^MDB_(CORRUPTED|PAGE_NOTFOUND|PANIC|INVALID|VERSION_MISMATCH)/.test(error.message);
}

/** Like `mkdirSync` with `recursive`, which on Node 20 never returns for a folder below /proc. */
export function makeFolder(folder: string): void {
  if (existsSync(folder)) return;
  makeFolder(dirname(folder));
  try {
    mkdirSync(folder, { mode: 0o700 });
  } catch (error) {
    // Several processes may start at once.
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  }
}

/** Finds files that LMDB cannot use: it would end the process instead of reporting them. */
function checkFile(path: string, look: (fd: number, path: string) => void): void {
  // The lock file is not opened: closing it would release all locks that this process has on it (fcntl), if another
  // thread has the store open.
  if (existsSync(`${path}-lock`)) accessSync(`${path}-lock`, constants.R_OK | constants.W_OK);
  if (!existsSync(path)) return;
  const fd = openSync(path, 'r+');
  try {
    look(fd, path);
  } finally {
    closeSync(fd);
  }
}

/** The gate has no content, so it may be deleted. Throws StoreError. */
function checkGate(fd: number, path: string): void {
  if (fstatSync(fd).size > 0 && !isMeta(fd))
    throw new StoreError(
      'damaged',
      `${path} is damaged; delete it while nothing uses the store; it is then created again`,
    );
}

function isMeta(fd: number): boolean {
  try {
    return readMeta(fd) !== undefined;
  } catch (error) {
    if (error instanceof TreeDamage) return false;
    throw error;
  }
}

/**
 * Creates a lock file with its full size. LMDB maps it as it is: on a full disk, accessing an unallocated page would
 * end the process.
 */
export function fillLock(path: string, maxReaders: number): void {
  const bytes = LOCK_HEAD_BYTES + LOCK_SLOT_BYTES * maxReaders;
  if (!existsSync(path)) writeFileSync(path, Buffer.alloc(bytes), { mode: 0o600, flag: 'a' });
}

/** Checks quickly what it can: the first pages of a store's file, and whether it was truncated. Throws StoreError. */
export function quickCheck(fd: number, path: string): void {
  if (fstatSync(fd).size === 0) throw emptied(path);
  try {
    for (let i = 0; i < QUICK_TRIES; i++) {
      const meta = readMeta(fd);
      if (meta === undefined) throw notAStore(path);
      if (isIntact(fd, meta)) return;
    }
  } catch (error) {
    if (error instanceof TreeDamage) throw damaged(path, error.message);
    throw error;
  }
}

/** Returns false if a writer changed the file meanwhile, so that the result means nothing. Throws TreeDamage. */
function isIntact(fd: number, meta: Meta): boolean {
  const isCut = isShort(fd, meta);
  try {
    for (const seen of walk(fd, meta, 'index')) if (!isCut && seen > QUICK_PAGES) break;
    return true;
  } catch (error) {
    if (readMeta(fd)?.txn !== meta.txn) return false;
    throw error;
  }
}

/**
 * Checks every used page of a store's file, and yields the progress. Nobody may write to it meanwhile, or a read
 * transaction must be open. `isWhole`: as in `walk`. Throws StoreError.
 */
export function* checkPages(
  fd: number,
  path: string,
  isWhole?: (table: string) => boolean,
): Generator<[done: number, total: number]> {
  try {
    const meta = readMeta(fd);
    if (meta === undefined) throw notAStore(path);
    for (const seen of walk(fd, meta, 'all', isWhole)) yield [seen, meta.last + 1];
  } catch (error) {
    throw error instanceof TreeDamage ? damaged(path, error.message) : error;
  }
}

/** Returns the error for a damaged store file. */
export function damaged(path: string, fault: string): StoreError {
  return new StoreError('damaged', `${path} is damaged: ${fault}; ${remedy(path)}`);
}

/** A new store's file is never empty: create-store.ts. */
function emptied(path: string): StoreError {
  return new StoreError(
    'damaged',

    `${path} is empty, as a power failure or a full disk can leave it; ${remedy(path)}, or delete it to start ` +
      'with a new store',
  );
}

/** Reports an unreadable entry as a difference. The advice is left out: it is printed once, at the end. */
export function damageDifference(error: StoreError): Difference {
  return { what: withoutRemedy(error), kept: 1, found: 0 };
}

/** The message of an error, without the advice to restore a backup. */
export function withoutRemedy({ message }: StoreError): string {
  return message.replace(/; restore a backup.*/, '');
}

export function notAStore(path: string): StoreError {
  return new StoreError(
    'not-a-store',
    `${path} is not a Fieldmouse store, or its header is corrupted; ${remedy(path)}`,
  );
}

function remedy(path: string): string {
  return `restore a backup: fieldmouse restore BACKUP --data ${dirname(path)}`;
}
