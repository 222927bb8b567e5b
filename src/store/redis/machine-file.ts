/** Data of this node alone, in its data folder. It must not be shared with other nodes. */
import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { StoreError } from '../contract.ts';

const FILE = 'machine.json';

export interface MachineIdentity {
  /** Distinguishes this node from others that share the Redis. */
  name?: string;
  /** Id of the store that its server last used. */
  store?: string;
  /** Where its server listens, or last listened. */
  addresses: readonly string[];
  /** Keyed hashes of the options of its server's last start, by name. */
  options: Readonly<Record<string, string>>;
}

export class MachineFile {
  readonly #path: string;

  constructor(folder: string) {
    this.#path = join(folder, FILE);
  }

  /** Returns empty data if no server has run, or if the file cannot be read. */
  read(): MachineIdentity {
    try {
      const stored = JSON.parse(readFileSync(this.#path, 'utf8')) as Partial<MachineIdentity>;
      const { name, store, addresses = [], options = {} } = stored;
      return { ...(name && { name }), ...(store && { store }), addresses, options };
    } catch {
      return { addresses: [], options: {} };
    }
  }

  /** Changes the file atomically: readers see either the old or the new content. Throws StoreError. */
  change(change: Partial<MachineIdentity>): void {
    const part = `${this.#path}.part`;
    try {
      writeFileSync(part, JSON.stringify({ ...this.read(), ...change }), { mode: 0o600 });
      renameSync(part, this.#path);
    } catch (error) {
      throw new StoreError('no-access', `${this.#path} cannot be written: ${(error as Error).message}`);
    }
  }
}
