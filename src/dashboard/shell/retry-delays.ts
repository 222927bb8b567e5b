/** Waits between attempts, milliseconds; the last one repeats. The first is the server's `retry`. */
const WAITS = [2000, 2000, 4000, 8000, 15_000];

/** How long to wait after so many failures, milliseconds: spread, so that not all dashboards come at once to a server that is back. */
export function retryDelay(failures: number): number {
  return (WAITS[Math.min(failures, WAITS.length - 1)] as number) * (0.75 + Math.random() / 2);
}
