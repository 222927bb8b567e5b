import type { Logger } from '../../../log/logger.ts';
import { StoreError } from '../../contract.ts';
import { checkFile } from './check-process.ts';

/** Codes that do not mean damage: the file is missing, or the check was stopped. */
const PASSING: ReadonlySet<string> = new Set(['no-store', 'busy']);

/** Checks the file when workers crash: the store may be damaged, and then every new worker would crash, too. */
export class Suspicion {
  readonly #log: Logger;
  #isChecking = false;
  #isDamaged = false;
  #found: (error: StoreError) => void = () => {};
  /** Resolves if the store turns out to be damaged. */
  readonly damaged = new Promise<StoreError>((resolve) => {
    this.#found = resolve;
  });

  constructor(log: Logger) {
    this.#log = log;
  }

  /** True while the store is checked, and when it is damaged. */
  get isSuspected(): boolean {
    return this.#isChecking || this.#isDamaged;
  }

  check(folder: string): void {
    if (this.#isChecking) return;
    this.#isChecking = true;
    checkFile(folder)
      .catch((error: unknown) => this.#onFault(error))
      .finally(() => {
        this.#isChecking = false;
      });
  }

  #onFault(error: unknown): void {
    // A file that was moved away may come back: workers are started again and again until then.
    this.#isDamaged = error instanceof StoreError && !PASSING.has(error.code);
    if (error instanceof StoreError && this.#isDamaged) this.#found(error);
    else if (error instanceof StoreError) this.#log.error(error.message);
    else this.#log.error({ err: error }, 'cannot check whether the store is damaged');
  }
}
