/** Creates the file of a new store. */
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { open } from 'lmdb';
import { fsyncPath } from '../../../lib/fsync.ts';
import { fillLock, NEW_STORE, STORE_FILE } from './folder.ts';

/**
 * Creates an empty store at `path` unless a file exists. Only one process at a time may call it. The file appears under
 * its name when it is complete and on disk. LMDB itself would create it empty and then write to it: if the process were
 * killed in between, the file would look as if a power failure had destroyed the record.
 */
export function createStore(path: string): void {
  const folder = dirname(path);
  const newFolder = join(folder, NEW_STORE);
  const remove = () => rmSync(newFolder, { recursive: true, force: true });
  // A killed process may have left it, also after the file had got its name, or before a restore.
  remove();
  if (existsSync(path)) return;
  try {
    mkdirSync(newFolder, { mode: 0o700 });
    const whole = join(newFolder, 'whole');
    writeFileSync(whole, emptyStore(join(newFolder, STORE_FILE)), { mode: 0o600, flush: true });
    renameSync(whole, path);
    // Windows cannot open folders.
    if (process.platform !== 'win32') fsyncPath(folder);
  } finally {
    remove();
  }
}

/**
 * Returns the bytes of an empty store. It is created under another path, because LMDB treats a file that it has opened
 * before as the same one, under any name.
 */
function emptyStore(path: string): Buffer {
  fillLock(`${path}-lock`, 1);
  void open({ path, maxReaders: 1 }).close();
  return readFileSync(path);
}
