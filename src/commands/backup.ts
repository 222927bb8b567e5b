/** Commands that copy the whole store, and restore a copy. */
import { existsSync, linkSync, mkdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { copyFile } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { fsyncPath } from '../lib/fsync.ts';
import { FolderInUse, lockFolder } from '../server/folder-lock.ts';
import { StoreError } from '../store/contract.ts';
import { copy, inspect } from '../store/lmdb/file/check-process.ts';
import {
  BEFORE_RESTORE,
  makeFolder,
  NEW_STORE,
  RESTORE_PART,
  STORE_FILE,
  withoutRemedy,
} from '../store/lmdb/file/folder.ts';
import { openLmdbStore } from '../store/lmdb/lmdb-store.ts';
import { noted, noteReading } from './audit-commands.ts';
import { type Command, type ExitCode, type Invocation, noStore, type Output, refuseRunning } from './command.ts';
import { outFault, workFolderFault } from './out-file.ts';
import { createBar } from './progress-bar.ts';
import { inspectBars } from './verify.ts';
import { onSignal } from './whole-file.ts';

export const BACKUP_COMMANDS: Readonly<Record<string, Command>> = {
  backup: {
    does: 'copies the store, also while a server runs',
    more:
      'The copy is opened, written to and checked as in a restore, and appears under its name once it has passed. ' +
      'In a FOLDER, its name contains the time. Back up Redis with its own tools.',
    usage: 'FILE|FOLDER',
    takes: 'FILE or FOLDER',
    options: ['data'],
    examples: ['backup /backups/', 'backup monday.mdb --data /srv/fieldmouse'],
    run: backup,
  },
  restore: {
    does: 'checks a backup and replaces the store with it',
    more:
      'The check can run while a server does. Then stop the server and run the same command again: the checked copy ' +
      'replaces the store in a moment. The previous store is kept next to it.',
    usage: 'FILE',
    takes: 'FILE',
    options: ['data'],
    examples: ['restore /backups/monday.mdb --data /srv/fieldmouse'],
    run: restore,
  },
};

const IN_REDIS = 'with --redis there is no store file: use Redis persistence (RDB, AOF)';

async function backup(call: Invocation): Promise<ExitCode> {
  const { word, config, io } = call;
  if (config.redis) return refuseRunning(io, `${IN_REDIS}, or fieldmouse export for the record`);
  const missing = noStore(call);
  if (missing) return missing;
  const path = targetOf(word);
  if (existsSync(path)) return refuseRunning(io, `${path} already exists; choose another name`);
  const fault = outFault(path, config.data) ?? workFolderFault(verdictOf(path));
  if (fault !== undefined) return refuseRunning(io, fault);
  await noteBackup(config.data, path, io);
  const isGood = await copyTried(config.data, path, io);
  if (!isGood) return 1;
  io.out(
    `Copied the store to ${path} (${megabytes(path)}). ` +
      'The copy was opened, written to and checked as in a restore.',
  );
  return 0;
}

/** The path of a copy until it has been checked. */
function verdictOf(path: string): string {
  return `${path}.trial`;
}

/** Copies the store to `path`. The file appears only if the copy passes all checks that a restore makes. */
async function copyTried(folder: string, path: string, io: Output): Promise<boolean> {
  const verdict = 'was discarded; try again, and check the store with fieldmouse verify';
  const temporary = verdictOf(path);
  return inFolder(temporary, async () => {
    const copied = join(temporary, STORE_FILE);
    await copyStore(folder, copied, io);
    if (!(await isGood(temporary, 'the copy', verdict, io))) return false;
    fsyncPath(copied);
    renameSync(copied, path);
    fsyncPath(dirname(path));
    return true;
  });
}

interface FolderOptions<T> {
  /** Returns true if the folder must stay; otherwise it is removed. */
  isKept?(result: T): boolean;
  /** The folder that contains the new one and is removed instead of it. */
  part?: string;
}

/** Runs `work` in a new folder. The folder is removed if the work throws, or if a signal ends the process. */
async function inFolder<T>(
  folder: string,
  work: () => Promise<T>,
  { isKept = () => false, part = folder }: FolderOptions<T> = {},
): Promise<T> {
  const remove = () => rmSync(part, { recursive: true, force: true });
  const release = onSignal(remove);
  try {
    rmSync(folder, { recursive: true, force: true });
    mkdirSync(folder, { mode: 0o700 });
    const result = await work();
    if (!isKept(result)) remove();
    return result;
  } catch (error) {
    remove();
    throw error;
  } finally {
    release();
  }
}

/** Notes the backup in the copy too, as the last action in it. */
async function noteBackup(folder: string, path: string, io: Output): Promise<void> {
  const store = await openLmdbStore(folder, { create: false });
  try {
    await noteReading(store, noted('backed-up', basename(path)), io);
  } finally {
    await store.close();
  }
}

async function noteRestore(folder: string, path: string): Promise<void> {
  const store = await openLmdbStore(folder, { create: false });
  try {
    await store.noteNow(noted('restored', basename(path)));
  } finally {
    await store.close();
  }
}

/** If the argument is a folder, adds a file name with the time. */
function targetOf(word: string): string {
  const path = resolve(word);
  const isFolder = statSync(path, { throwIfNoEntry: false })?.isDirectory() || /[/\\]$/.test(word);
  return isFolder ? join(path, `fieldmouse-${stamp()}.mdb`) : path;
}

/** The time as part of a file's name: `20261120T141500Z`. */
function stamp(): string {
  return new Date().toISOString().replace(/[-:]|\.\d+/g, '');
}

async function copyStore(folder: string, to: string, io: Output): Promise<void> {
  const bar = createBar(io.screen, 'copying', 'bytes');
  try {
    await copy(folder, to, bar.show);
  } finally {
    bar.end();
  }
}

async function restore({ word, config, io }: Invocation): Promise<ExitCode> {
  if (config.redis) return refuseRunning(io, `${IN_REDIS}, or fieldmouse import for the record`);
  const from = resolve(word);
  const stat = statSync(from, { throwIfNoEntry: false });
  if (!stat?.isFile()) return refuseRunning(io, `${from}: no such file`);
  if (from === join(config.data, STORE_FILE)) return refuseRunning(io, `${from} is the store itself`);
  if (stat.size === 0) return refuseRunning(io, `${from} ${LEFT}: it is empty, so it is not a Fieldmouse store`);
  makeFolder(config.data);
  return (await prepared(config.data, from, io)) ? replace(config.data, from, io) : 1;
}

/** Printed when `restore` rejects a file. */
const LEFT = 'cannot be used, and the store was not changed';

/** A checked copy within RESTORE_PART; beside it, the identity of the source file. */
const COPY = 'copy';
const SOURCE_FILE = 'source.json';

/** True if a checked copy of this file exists: an earlier restore may have found a server running. */
function isReady(copy: string, from: string): boolean {
  try {
    return readFileSync(join(copy, SOURCE_FILE), 'utf8') === sourceText(from);
  } catch {
    return false;
  }
}

/** Identifies the contents of a file: a write changes its time. */
function sourceText(from: string): string {
  const { size, mtimeMs } = statSync(from);
  return JSON.stringify({ from, size, mtimeMs });
}

/**
 * Makes a checked copy of a file beside the store, even while a server runs. Returns false if that fails; the reason
 * has been printed.
 */
async function prepared(data: string, from: string, io: Output): Promise<boolean> {
  const part = join(data, RESTORE_PART);
  const copy = join(part, COPY);
  if (isReady(copy, from)) return true;
  makeFolder(part);
  const unlock = await lockOr(part, () => refuseRunning(io, `another restore is copying to ${part}`));
  if (unlock === undefined) return false;
  try {
    return await inFolder(copy, () => prepare(copy, from, io), { isKept: (isGood) => isGood, part });
  } finally {
    unlock();
  }
}

async function prepare(copy: string, from: string, io: Output): Promise<boolean> {
  const source = sourceText(from);
  const copied = join(copy, STORE_FILE);
  await copyIn(from, copied, statSync(from).size, io);
  if (!(await isGood(copy, from, LEFT, io))) return false;
  fsyncPath(copied);
  writeFileSync(join(copy, SOURCE_FILE), source, { mode: 0o600 });
  return true;
}

/** Replaces the store with the checked copy. That takes a moment, in which no server may run. */
async function replace(data: string, from: string, io: Output): Promise<ExitCode> {
  const part = join(data, RESTORE_PART);
  const copy = join(part, COPY);
  const unlock = await lockOr(data, () => {
    io.out(`Checked ${from}; a copy is ready in ${part}. Stop the server and run the same command again.`);
    refuseRunning(io, `a server is using ${data}; stop it first`);
  });
  if (unlock === undefined) return 1;
  try {
    if (!isReady(copy, from)) return refuseRunning(io, `another restore has taken the copy in ${part}; try again`);
    const previous = exchange(join(copy, STORE_FILE), join(data, STORE_FILE));
    // The second one is left by a first start that was killed.
    for (const name of [RESTORE_PART, NEW_STORE]) rmSync(join(data, name), { recursive: true, force: true });
    await noteRestore(data, from);
    io.out(`The store in ${data} is now a copy of ${from}.`);
    if (previous) io.out(`The previous store is kept as ${previous}; delete it once everything works.`);
    return 0;
  } finally {
    unlock();
  }
}

/** Locks a folder. If another process has locked it, calls `report` and returns undefined. */
async function lockOr(folder: string, report: () => void): Promise<(() => void) | undefined> {
  try {
    return await lockFolder(folder);
  } catch (error) {
    if (!(error instanceof FolderInUse)) throw error;
    report();
    return undefined;
  }
}

async function copyIn(from: string, to: string, size: number, io: Output): Promise<void> {
  const bar = createBar(io.screen, 'copying', 'bytes');
  const timer = setInterval(() => bar.show(statSync(to, { throwIfNoEntry: false })?.size ?? 0, size), 100);
  try {
    await copyFile(from, to);
  } finally {
    clearInterval(timer);
    bar.end();
  }
}

/**
 * Opens, compacts and verifies the store in a folder, and prints what is wrong. A store whose counts differ from its
 * frames is accepted.
 */
async function isGood(folder: string, from: string, verdict: string, io: Output): Promise<boolean> {
  try {
    const bars = inspectBars(io);
    const differences = await inspect(folder, bars.show).finally(bars.end);
    if (differences.length > 0)
      io.err(`fieldmouse: ${from}: counts differ from the frames; run fieldmouse verify once it is restored`);
    return true;
  } catch (error) {
    if (!(error instanceof StoreError)) throw error;
    refuseRunning(io, `${from} ${verdict}: ${reasonOf(error, folder)}`);
    return false;
  }
}

/** The error text without the path of the copy and without the advice for a damaged store. */
function reasonOf(error: StoreError, folder: string): string {
  return withoutRemedy(error)
    .replace(`${join(folder, STORE_FILE)} `, 'it ')
    .replace(`${folder} `, 'it ');
}

/** Renames the new file to the store's name. Returns the new name of the old store, if there was one. */
function exchange(copied: string, store: string): string | undefined {
  const previous = existsSync(store) ? join(dirname(store), BEFORE_RESTORE + stamp()) : undefined;
  // First a hard link, then one rename: after a power cut either the old store or the new one exists.
  if (previous) nameTwice(store, previous);
  // It lists readers of the old store.
  rmSync(`${store}-lock`, { force: true });
  renameSync(copied, store);
  fsyncPath(dirname(store));
  return previous && basename(previous);
}

/** If the file system has no hard links, the file is moved, and for a moment no store exists. */
function nameTwice(path: string, other: string): void {
  try {
    linkSync(path, other);
  } catch {
    renameSync(path, other);
  }
}

function megabytes(path: string): string {
  return `${(statSync(path).size / 1e6).toFixed(1)} MB`;
}
