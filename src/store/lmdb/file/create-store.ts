/** Makes the file of a new store. */
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { open } from 'lmdb';
import { fsyncPath } from '../../../lib/fsync.ts';
import { fillLock, NEW_STORE, STORE_FILE } from './folder.ts';

/**
 * Makes an empty store at `path` unless a file is there; only one process at a time may do so. The file appears under
 * its name when it is whole and on disk. LMDB would make it empty and write to it then: a process that was killed in
 * between would leave a file that looks as if a power cut had taken the record.
 */
export function createStore(path: string): void {
  const folder = dirname(path);
  const aside = join(folder, NEW_STORE);
  const remove = () => rmSync(aside, { recursive: true, force: true });
  // One that was killed may have left it, also after the file had got its name, or before it came by a restore.
  remove();
  if (existsSync(path)) return;
  try {
    mkdirSync(aside, { mode: 0o700 });
    const whole = join(aside, 'whole');
    writeFileSync(whole, emptyStore(join(aside, STORE_FILE)), { mode: 0o600, flush: true });
    renameSync(whole, path);
    // Windows does not open folders.
    if (process.platform !== 'win32') fsyncPath(folder);
  } finally {
    remove();
  }
}

/**
 * The bytes of a store without entries. They get a file of their own: LMDB takes one that it has had open for the same,
 * under any name.
 */
function emptyStore(path: string): Buffer {
  fillLock(`${path}-lock`, 1);
  void open({ path, maxReaders: 1 }).close();
  return readFileSync(path);
}
