/** What a worker's thread needs of a store's record, whatever the store is. */

import type { HitGroup } from '../accounts/account-snapshot.ts';
import type { Archive } from '../archive.ts';
import type { HitOutcome } from '../hit-queue.ts';
import type { RemovalReport } from '../record/age-clock.ts';

export interface MaintainedArchive {
  archive: Archive;
  /** Periodic work, with intervals in milliseconds. StoreErrors are ignored: the work is tried again. */
  chores: readonly { everyMs: number; work(): void | Promise<void> }[];
  /** Called when the record is full. What was refused is sent again soon. */
  makeRoom(): void | Promise<void>;
  /** Returns what was removed since the last call. */
  takeNews(): RemovalReport;
  /**
   * Counts the page visits that `take` returns once they can be written. Returns the totals of each group. Missing
   * where the worker counts by itself.
   */
  addHits?(take: () => readonly (readonly HitGroup[])[]): HitOutcome[][];
  /**
   * Calls `answer` for a question that was asked at this time (monotonicNow): what was appended later need not be in
   * the answer.
   */
  answerAsOf?<T>(at: number, answer: () => T): T;
  close(): Promise<void>;
}
