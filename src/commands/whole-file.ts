/** Writes files completely or not at all. */
import { randomBytes } from 'node:crypto';
import { renameSync, rmSync } from 'node:fs';
import { dirname } from 'node:path';
import { fsyncPath } from '../lib/fsync.ts';

const SIGNALS = { SIGHUP: 1, SIGINT: 2, SIGTERM: 15 } as const;

/**
 * Calls `write` to make a file beside `path`, and renames it to `path` once it is complete and on disk; an existing
 * file is replaced. Nothing is left if `write` throws, if the process is told to end, or if `isKept` rejects the
 * result.
 */
export async function writeWhole<T>(
  path: string,
  write: (part: string) => Promise<T>,
  isKept: (result: T) => boolean = () => true,
): Promise<T> {
  // Random: the user may have a file with any fixed name.
  const part = `${path}.${randomBytes(4).toString('hex')}.part`;
  const remove = () => rmSync(part, { force: true });
  const release = onSignal(remove);
  try {
    const result = await write(part);
    if (!isKept(result)) {
      remove();
      return result;
    }
    fsyncPath(part);
    renameSync(part, path);
    fsyncPath(dirname(path));
    return result;
  } catch (error) {
    remove();
    throw error;
  } finally {
    release();
  }
}

/** Calls `clean` before a signal ends the process. Returns a function that cancels this. */
export function onSignal(clean: () => void): () => void {
  const entries = Object.entries(SIGNALS).map(([signal, number]) => {
    const listener = () => {
      clean();
      process.exit(128 + number);
    };
    process.once(signal, listener);
    return [signal, listener] as const;
  });
  return () => {
    for (const [signal, listener] of entries) process.off(signal, listener);
  };
}
