/** Checks that an output file of a command does not overwrite a store, or anything that is not a regular file. */
import { closeSync, existsSync, openSync, readdirSync, realpathSync, type Stats, statSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { isStoreName, STORE_FILE } from '../store/lmdb/file/folder.ts';
import { hasMagic } from '../store/lmdb/file/tree.ts';

/**
 * Returns why a command must not write to `path`, an absolute path; undefined if it may. `data` is the data folder of
 * the command. Every command that writes a file named by the user calls this first. Throws the system's error for a
 * file that it cannot read.
 */
export function outFault(path: string, data: string): string | undefined {
  const folder = dirname(path);
  if (!existsSync(folder)) return `folder ${folder} does not exist`;
  const there = statSync(path, { throwIfNoEntry: false });
  if (there?.isDirectory()) return `${path} is a folder; name a file`;
  if (there && !there.isFile()) return `${path} is not a regular file; name another`;
  if (isOfStore(path, data) || (there && isSameAsOne(there, data)))
    return `${path} belongs to the store and must not be overwritten; choose another name`;
  if (there && isStore(path))
    return `${path} is a store or a backup and will not be overwritten; choose another name, or remove it first`;
  return undefined;
}

/**
 * Returns why a command must not use a folder as its temporary folder, which is removed afterwards; undefined if it
 * may.
 */
export function workFolderFault(path: string): string | undefined {
  const there = statSync(path, { throwIfNoEntry: false });
  // A killed command may have left the folder with a store in it.
  if (!there || (there.isDirectory() && readdirSync(path).every(isStoreName))) return undefined;
  return `${path} is in the way; move it away, or choose another name`;
}

/** True for a name that a store uses, in a folder with a store. */
function isOfStore(path: string, data: string): boolean {
  if (!isStoreName(basename(path))) return false;
  const folder = realpathSync(dirname(path));
  return existsSync(join(folder, STORE_FILE)) || (existsSync(data) && folder === realpathSync(data));
}

/** True if the file is a link to a file of the store. */
function isSameAsOne({ dev, ino }: Stats, data: string): boolean {
  if (!existsSync(data)) return false;
  return readdirSync(data)
    .filter(isStoreName)
    .map((name) => statSync(join(data, name), { throwIfNoEntry: false }))
    .some((one) => one?.dev === dev && one.ino === ino);
}

/** Also true for a store that is damaged in later pages. */
function isStore(path: string): boolean {
  const fd = openSync(path, 'r');
  try {
    return hasMagic(fd);
  } finally {
    closeSync(fd);
  }
}
