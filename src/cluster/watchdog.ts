/**
 * Tells workers that no longer answer: their event loop is blocked, or they are stopped. Time is counted in ticks of the
 * primary, so that a machine that slept, or a primary that stood still itself, condemns nobody.
 */

/** Workers tell so often that they live, and it is looked so often whether they did, milliseconds. */
export const HEARTBEAT_MS = 1000;
/** A worker that has told nothing for so many ticks is hung. */
const MAX_SILENT = 10;

export class Watchdog {
  /** Ticks since a worker was last heard, from the first time it was: a start may take long. */
  readonly #silent = new Map<number, number>();

  heard(worker: number): void {
    this.#silent.set(worker, 0);
  }

  forget(worker: number): void {
    this.#silent.delete(worker);
  }

  /** To be called each BEAT_MS. Workers that have just been found to be hung, each told once. */
  tick(): number[] {
    const hung: number[] = [];
    for (const [worker, ticks] of this.#silent) {
      this.#silent.set(worker, ticks + 1);
      if (ticks === MAX_SILENT) hung.push(worker);
    }
    return hung;
  }
}
