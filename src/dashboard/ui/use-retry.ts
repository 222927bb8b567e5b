import { useEffect, useRef } from 'preact/hooks';
import { ApiError } from '../shell/api.ts';
import { retryDelay } from '../shell/retry-delays.ts';

/** True for failures that may pass: no answer, too many requests, or a server that is unavailable. */
export function isPassing(problem: unknown): boolean {
  return problem instanceof ApiError && (problem.status === 0 || problem.status === 429 || problem.status > 501);
}

/**
 * Repeats a failed attempt, if the failure may pass, until `problem` is undefined. Each failure must be a new object.
 * Returns true while it does so.
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

/** Delay before the next attempt, milliseconds: at least as long as the server asks for. */
function waitOf({ retryAfter = 0 }: ApiError, failures: number): number {
  return Math.max(retryDelay(failures), retryAfter * 1000);
}
