import { useEffect, useRef } from 'preact/hooks';
import { ApiError } from '../shell/api.ts';
import { retryDelay } from '../shell/retry-delays.ts';

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

/** Milliseconds. A server that names a longer wait is obeyed. */
function waitOf({ retryAfter = 0 }: ApiError, failures: number): number {
  return Math.max(retryDelay(failures), retryAfter * 1000);
}
