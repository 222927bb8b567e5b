/** Pauses between the writes of a long removal. */
import { setTimeout as sleep } from 'node:timers/promises';

/** Minimum pause, milliseconds. */
const MIN_MS = 5;

/** Waits as long as the last write took, so that others have as much time to write. */
export async function pauseAfter(ms: number): Promise<void> {
  await sleep(Math.max(MIN_MS, ms));
}
