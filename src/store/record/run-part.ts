/** Prepares runs for readers: in parts, and limited to a time. */
import type { Part, Run, VisitRuns } from '../archive.ts';
import type { DamageLog } from './damage.ts';
import { checkSamples } from './run-checks.ts';
import { cursorOf } from './stored-visit.ts';

/** Size of one part, bytes. */
const PART_BYTES = 256 * 1024;

/**
 * Collects a part of a visit's runs. A cursor is a time, and how many of the runs that start then were already
 * returned.
 */
export class RunPart {
  /** Runs from before this time are not needed. */
  readonly t: number;
  readonly #known: number;
  readonly #items: Run[] = [];
  #bytes = 0;
  #last: number;
  #same = 0;
  #next: string | null = null;

  constructor(after: string | undefined) {
    [this.t, this.#known] = after === undefined ? [0, 0] : cursorOf(after);
    this.#last = this.t;
  }

  /** Takes the next run, in order of time. Returns false if the part is full. */
  take(run: Run): boolean {
    if (run.t < this.t) return true;
    if (this.#bytes >= PART_BYTES) {
      this.#next = `${this.#last}.${this.#same}`;
      return false;
    }
    this.#same = run.t === this.#last ? this.#same + 1 : 1;
    this.#last = run.t;
    if (run.t === this.t && this.#same <= this.#known) return true;
    this.#items.push(run);
    this.#bytes += run.payload.length;
    return true;
  }

  /** Returns the part. `damage`: what was found while reading. */
  part({ leftOut }: DamageLog): Part<Run> {
    return { items: this.#items, next: this.#next, ...(leftOut && { leftOut }) };
  }
}

export function sceneOf(visit: VisitRuns['visit'], runs: Run[], { leftOut }: DamageLog): VisitRuns {
  return { visit, runs, ...(leftOut && { leftOut }) };
}

/** Yields the runs whose samples can be read, and skips damaged ones. */
export function* readable(runs: Iterable<Run>, damage: DamageLog): Generator<Run> {
  for (const run of runs)
    if (
      damage.tryRead(() => {
        checkSamples(run);
        return true;
      })
    )
      yield run;
}

/** Returns the runs that touch a time, and the run before: it tells where the visitor was at the start. */
export function runsDuring(all: Iterable<Run>, from: number, to: number): Run[] {
  const runs: Run[] = [];
  let before: Run | undefined;
  for (const run of all) {
    if (run.t >= to) break;
    if (run.until >= from) runs.push(run);
    else before = run;
  }
  return before ? [before, ...runs] : runs;
}
