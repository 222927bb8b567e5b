import type { Logger } from '../log/logger.ts';
import { StartError, type Supervisor } from './supervisor.ts';

/** Replaces the workers on request, as soon as the server has started. */
export class Reloader {
  readonly #log: Logger;
  #supervisor: Supervisor | undefined;

  constructor(log: Logger) {
    this.#log = log;
  }

  allow(supervisor: Supervisor): void {
    this.#supervisor = supervisor;
  }

  /** Replaces the workers. `report` is called with one line per worker. Throws StartError. */
  readonly reload = async (report: (line: string) => void): Promise<void> => {
    if (!this.#supervisor) throw new StartError('starting', 'the server is not ready yet; try again soon');
    this.#log.info('workers are being replaced');
    try {
      const workers = await this.#supervisor.reload((done, total) => report(`worker ${done} of ${total} is replaced`));
      this.#log.info({ workers }, 'workers are replaced');
    } catch (error) {
      this.#log.error({ err: error }, 'not all workers could be replaced; the others keep running');
      throw error;
    }
  };
}
