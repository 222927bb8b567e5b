import { closeSync, fsyncSync, openSync } from 'node:fs';

/** Has a file or a folder's names written to disk. */
export function fsyncPath(path: string): void {
  const fd = openSync(path, 'r');
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}
