/** Where this machine's server listens, in its data folder. */
import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const FILE = 'addresses.json';

export class AddressFile {
  readonly #path: string;

  constructor(folder: string) {
    this.#path = join(folder, FILE);
  }

  /** Empty where no server has run, or the file cannot be read. */
  read(): string[] {
    try {
      const read: unknown = JSON.parse(readFileSync(this.#path, 'utf8'));
      return Array.isArray(read) ? read.filter((one) => typeof one === 'string') : [];
    } catch {
      return [];
    }
  }

  /** Whoever reads meanwhile has the old ones or the new ones. */
  write(addresses: readonly string[]): void {
    const part = `${this.#path}.part`;
    writeFileSync(part, JSON.stringify(addresses), { mode: 0o600 });
    renameSync(part, this.#path);
  }
}
