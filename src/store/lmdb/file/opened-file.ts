/**
 * Checks that the store's file is still in its place. LMDB keeps writing to the file that it has opened, even if that
 * was moved away or replaced: acked frames would be in a file that nobody reads.
 */
import { type BigIntStats, statSync } from 'node:fs';
import { StoreError } from '../../contract.ts';

export class OpenedFile {
  /** Device and inode. Any other file has different ones, even a copy. */
  readonly identity: string | undefined;
  readonly #path: string;

  /** Create it right after the file is opened. */
  constructor(path: string) {
    this.#path = path;
    this.identity = identityAt(path);
  }

  /** Throws StoreError `moved` if the file was removed or replaced. Takes some microseconds. */
  checkInPlace(): void {
    const found = identityAt(this.#path);
    if (found === this.identity) return;
    const what = found === undefined ? 'was moved away or removed' : 'was replaced by another file';
    throw new StoreError(
      'moved',

      `${this.#path} ${what} while the server runs: nothing is acked or written. Move the same file back to ` +
        'continue; ' +
        'to use another one, restart the server',
    );
  }
}

/** Returns undefined if there is no file. */
function identityAt(path: string): string | undefined {
  const found: BigIntStats | undefined = statSync(path, { bigint: true, throwIfNoEntry: false });
  return found && `${found.dev}:${found.ino}`;
}
