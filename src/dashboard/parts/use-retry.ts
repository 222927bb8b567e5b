import { useEffect, useRef } from 'preact/hooks';
import { ApiError } from '../api.ts';

/** Waits between attempts, milliseconds; the last one repeats. A server that names a longer one is obeyed. */
const WAITS = [2000, 2000, 4000, 8000, 15_000];

/** Whether it may be gone by itself: no answer, too many requests, or a server that cannot answer now. */
export function isPassing(problem: unknown): boolean {
  return problem instanceof ApiError && (problem.status === 0 || problem.status === 429 || problem.status > 501);
}

/**
 * Tries again by itself what failed for a reason that may pass, until `problem` is undefined. Each failure is to be an object of its own.
 * Tells whether it does.
 */
export function useRetry(problem: Error | undefined, retry: () => void): boolean {
  const failures = useRef(0);
  const work = useRef(retry);
  work.current = retry;
  useEffect(() => {
    if (!problem) failures.current = 0;
    if (!isPassing(problem)) return;
    const timer = setTimeout(() => work.current(), waitOf(problem as ApiError, failures.current++));
    return () => clearTimeout(timer);
  }, [problem]);
  return isPassing(problem);
}

/** Spread, so that not all dashboards come at the same moment to a server that is back. */
function waitOf({ retryAfter = 0 }: ApiError, failures: number): number {
  const wait = WAITS[Math.min(failures, WAITS.length - 1)] as number;
  return Math.max(wait * (0.75 + Math.random() / 2), retryAfter * 1000);
}
