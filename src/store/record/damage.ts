/** What of a visit cannot be read is passed over where all the rest is to go on, as when it is removed, or laid down anew. */

import type { LeftOut } from '../../model/query.ts';
import { FrameError } from '../../protocol/frame-error.ts';

export class DamageLog {
  /** What was found last; undefined: nothing was. */
  fault: FrameError | undefined;
  #count = 0;
  #first = '';

  /** What was passed over, as it is told to who reads; undefined: nothing was. */
  get leftOut(): LeftOut | undefined {
    return this.#count === 0 ? undefined : { count: this.#count, first: this.#first };
  }

  /** What is read, or undefined if it is damaged. */
  pass<T>(read: () => T): T | undefined {
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

/** A visit whose place is known, but whose entry cannot be read. `since`: when it began, Unix ms. */
export function lostVisit(since: number): FrameError {
  return new FrameError('bad-number', `the entry of the visit that started at ${new Date(since).toISOString()}`);
}

/** Says in one line that visits went that could not be read in full, and `why`, if there are any. `where` they were. */
export function warnOfRemoved(why: readonly string[], where: string): void {
  const [first] = why;
  if (first === undefined) return;
  const what = why.length === 1 ? 'A damaged visit was' : `${why.length} damaged visits were`;
  process.emitWarning(`${what} removed from ${where}; data that could not be read remains in the counts: ${first}`);
}

/** Says in one line that what could not be read of visits, if anything, went when they were laid down anew. `where` they are. */
export function warnOfLeftOut({ fault }: DamageLog, where: string): void {
  if (fault)
    process.emitWarning(
      `A damaged visit in ${where} lost its unreadable data, which remains in the counts: ${fault.message}`,
    );
}
