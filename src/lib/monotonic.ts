/**
 * The system's monotonic clock, milliseconds: the same in all processes, and never set. It starts at 0 when the
 * computer starts.
 */
export function monotonicNow(): number {
  return Number(process.hrtime.bigint() / 1_000_000n);
}
