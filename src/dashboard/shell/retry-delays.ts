/** Delays between attempts, milliseconds. The first equals the server's `retry`; the last one repeats. */
const DELAYS_MS = [2000, 2000, 4000, 8000, 15_000];

/** Delay after a number of failures, milliseconds. It is random, to spread the dashboards that return. */
export function retryDelay(failures: number): number {
  return (DELAYS_MS[Math.min(failures, DELAYS_MS.length - 1)] as number) * (0.75 + Math.random() / 2);
}
