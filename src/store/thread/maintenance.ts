/** A store's record as a thread keeps it, whatever store that is. */

import type { HitGroup } from '../accounts/account-snapshot.ts';
import type { Archive } from '../archive.ts';
import type { HitOutcome } from '../hit-queue.ts';
import type { RemovalReport } from '../record/age-clock.ts';

export interface MaintainedArchive {
  archive: Archive;
  /** What is to be done every so often, milliseconds. Of what goes wrong StoreErrors are passed over: it is tried again. */
  chores: readonly { everyMs: number; work(): void | Promise<void> }[];
  /** The record is full, and what was refused is sent again soon. */
  makeRoom(): void | Promise<void>;
  /** What was removed since this was asked last. */
  takeNews(): RemovalReport;
  /** Counts the page visits that `take` gives when they can be written. The totals of each group. Not there where a worker counts itself. */
  addHits?(take: () => readonly (readonly HitGroup[])[]): HitOutcome[][];
  close(): Promise<void>;
}
