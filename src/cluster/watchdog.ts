/**
 * Finds workers that no longer answer: their event loop is blocked, or the process is stopped. Time is counted in ticks
 * of the primary. So a computer that slept, or a primary that was blocked itself, makes no worker look hung.
 */

/** The interval of workers' heartbeats and of the checks, milliseconds. */
export const HEARTBEAT_MS = 1000;
/** A worker without a heartbeat for this number of ticks is hung. */
const MAX_SILENT_TICKS = 10;

export class Watchdog {
  /** Ticks since the last heartbeat of each worker. Starts with the first heartbeat, since a start may take long. */
  readonly #silent = new Map<number, number>();

  heard(worker: number): void {
    this.#silent.set(worker, 0);
  }

  forget(worker: number): void {
    this.#silent.delete(worker);
  }

  /** Call it every HEARTBEAT_MS. Returns workers that are hung since this tick; each is returned once. */
  tick(): number[] {
    const hung: number[] = [];
    for (const [worker, ticks] of this.#silent) {
      this.#silent.set(worker, ticks + 1);
      if (ticks === MAX_SILENT_TICKS) hung.push(worker);
    }
    return hung;
  }
}
