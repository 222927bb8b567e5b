/**
 * Collects damage that is skipped so that the rest of a visit can be processed, for example when it is removed or
 * rewritten.
 */

import type { LeftOut } from '../../model/query.ts';
import { FrameError } from '../../protocol/frame-error.ts';

export class DamageLog {
  /** The last damage found, or undefined. */
  fault: FrameError | undefined;
  #count = 0;
  #first = '';

  /** The skipped damage in the form that readers of the data receive, or undefined. */
  get leftOut(): LeftOut | undefined {
    return this.#count === 0 ? undefined : { count: this.#count, first: this.#first };
  }

  /** Returns the result of `read`, or undefined if that throws FrameError. */
  tryRead<T>(read: () => T): T | undefined {
    try {
      return read();
    } catch (error) {
      if (!(error instanceof FrameError)) throw error;
      this.note(error);
      return undefined;
    }
  }

  note(fault: FrameError): void {
    this.fault = fault;
    if (this.#count === 0) this.#first = fault.message;
    this.#count += 1;
  }
}

/**
 * Returns the error for a visit whose entry cannot be read although its place is known. `since`: its start, Unix ms.
 */
export function lostVisit(since: number): FrameError {
  return new FrameError('bad-number', `the entry of the visit that started at ${new Date(since).toISOString()}`);
}

/** Emits one warning if damaged visits were removed. `why`: one reason per visit. `where`: the store. */
export function warnOfRemoved(why: readonly string[], where: string): void {
  const [first] = why;
  if (first === undefined) return;
  const what = why.length === 1 ? 'A damaged visit was' : `${why.length} damaged visits were`;
  process.emitWarning(`${what} removed from ${where}; data that could not be read remains in the counts: ${first}`);
}

/** Emits one warning if a rewrite dropped unreadable data of visits. `where`: the store. */
export function warnOfLeftOut({ fault }: DamageLog, where: string): void {
  if (fault)
    process.emitWarning(
      `A damaged visit in ${where} lost its unreadable data, which remains in the counts: ${fault.message}`,
    );
}
