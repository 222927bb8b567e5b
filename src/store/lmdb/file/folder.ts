/** The data folder, made ready for LMDB. */
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

/** Pages looked at whenever a store is opened: some milliseconds. */
const GLANCE = 1024;
/** How often to look again where a writer may have been in between. */
const GLANCES = 5;

/** The file of its gate: see store-file.ts. */
const GATE_FILE = 'store.gate';

/** What LMDB's lock file has at most beside a slot for each reader, and a slot, bytes. */
const LOCK_HEAD_BYTES = 8192;
const LOCK_SLOT_BYTES = 64;

export interface FolderOptions {
  /** As many readers may be. */
  maxReaders: number;
  /** Make the folder and the file if there are none. */
  create: boolean;
}

/**
 * Has `open` open the store's file in a folder, and its gate; only its owner may read any of it. Throws StoreError.
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
      refuseRemains(folder);
    }
    readdirSync(folder);
    accessSync(folder, constants.W_OK | constants.X_OK);
    checkFile(gatePath, checkGate);
    checkFile(path, glance);
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

/** Where a new store is until it is whole. */
export const NEW_STORE = `${STORE_FILE}.new`;

/** The copy that `restore` makes, and the names under which it keeps what was there before. */
export const RESTORE_PART = 'restore.part';
export const BEFORE_RESTORE = `${STORE_FILE}.before-restore-`;

/**
 * Names of files that servers and commands keep in a data folder; those of the lock, of a scratch file and of Redis
 * too.
 */
const STORE_NAMES =
  /^store\.(mdb|gate)(-lock)?$|^store\.mdb\.(new$|before-restore-)|^restore\.part$|^room-\d+$|^machine\.json(\.part)?$|^server(-[0-9a-f]{12})?\.sock$/;

/** True of a name that the store uses in its folder. */
export function isStoreName(name: string): boolean {
  return STORE_NAMES.test(name);
}

/** A new store must not take the place of one that a restore which was broken off has left under another name. Throws StoreError. */
function refuseRemains(folder: string): void {
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

/** Makes a folder that its owner alone may read, if need be, for what is no store. Throws StoreError. */
export function ownFolder(folder: string): void {
  try {
    makeFolder(folder);
    accessSync(folder, constants.R_OK | constants.W_OK | constants.X_OK);
  } catch (error) {
    throw noAccess(folder, (error as Error).message);
  }
}

function noAccess(folder: string, message: string): StoreError {
  // Of Node's `EACCES: permission denied, open '/path'`, what a person needs.
  const reason = /^E[A-Z]+: ([^,]+)/.exec(message)?.[1] ?? message;
  return new StoreError('no-access', `the data folder ${folder} cannot be used: ${reason}; choose another with --data`);
}

/** True of what LMDB throws for a damaged file. */
export function isDamage(error: unknown): error is Error {
  return error instanceof Error && /^MDB_(CORRUPTED|PAGE_NOTFOUND|PANIC|INVALID|VERSION_MISMATCH)/.test(error.message);
}

/** As `mkdirSync` with `recursive`, which on Node 20 never returns for a folder below /proc. */
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

/** Finds what LMDB would not report but end the process for: a file that it cannot use. */
function checkFile(path: string, look: (fd: number, path: string) => void): void {
  // Not opened: to close it would release all locks that this process has on it (fcntl), if another thread has the store open.
  if (existsSync(`${path}-lock`)) accessSync(`${path}-lock`, constants.R_OK | constants.W_OK);
  if (!existsSync(path)) return;
  const fd = openSync(path, 'r+');
  try {
    look(fd, path);
  } finally {
    closeSync(fd);
  }
}

/** It holds nothing, so it can go. Throws StoreError. */
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
 * Makes a lock file. LMDB maps it as it is: on a disk that is full, a page it was not given yet would end the process.
 */
export function fillLock(path: string, maxReaders: number): void {
  const bytes = LOCK_HEAD_BYTES + LOCK_SLOT_BYTES * maxReaders;
  if (!existsSync(path)) writeFileSync(path, Buffer.alloc(bytes), { mode: 0o600, flag: 'a' });
}

/**
 * Looks at what can be seen of a store's file in no time: its first pages, and whether it was cut. Throws StoreError.
 */
export function glance(fd: number, path: string): void {
  if (fstatSync(fd).size === 0) throw emptied(path);
  try {
    for (let i = 0; i < GLANCES; i++) {
      const meta = readMeta(fd);
      if (meta === undefined) throw notAStore(path);
      if (isSound(fd, meta)) return;
    }
  } catch (error) {
    if (error instanceof TreeDamage) throw damaged(path, error.message);
    throw error;
  }
}

/** False: a writer was faster, so that what was seen means nothing. Throws Damage. */
function isSound(fd: number, meta: Meta): boolean {
  const isCut = isShort(fd, meta);
  try {
    for (const seen of walk(fd, meta, 'index')) if (!isCut && seen > GLANCE) break;
    return true;
  } catch (error) {
    if (readMeta(fd)?.txn !== meta.txn) return false;
    throw error;
  }
}

/**
 * Looks at every page in use of a store's file, and yields how many of how many at most are done. Nobody may write to
 * it meanwhile, or a read transaction must be open. `isWhole`: as of `walk`. Throws StoreError.
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

/** What to say of a store whose file is damaged. */
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
