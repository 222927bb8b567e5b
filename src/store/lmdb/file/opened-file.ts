/**
 * Where the store's file is. LMDB goes on writing to the file that it has opened, also when that was moved away or
 * another one was put in its place: what is acked then would be in a file that nobody looks at.
 */
import { type BigIntStats, statSync } from 'node:fs';
import { StoreError } from '../../contract.ts';

export class OpenedFile {
  /** Device and inode; another file has others, also a copy of it. */
  readonly identity: string | undefined;
  readonly #path: string;

  /** To be made as soon as the file is opened. */
  constructor(path: string) {
    this.#path = path;
    this.identity = identityAt(path);
  }

  /** Throws StoreError `moved` if another file is there now, or none. Takes some microseconds. */
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

/** Undefined: there is no file. */
function identityAt(path: string): string | undefined {
  const found: BigIntStats | undefined = statSync(path, { bigint: true, throwIfNoEntry: false });
  return found && `${found.dev}:${found.ino}`;
}
