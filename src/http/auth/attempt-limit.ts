/** Limits against guessing passwords. Attempts are counted in the store, so that all workers share the count. */
import type { Records, SignInAttempt } from '../contract.ts';
import { comeBackLater } from '../problem.ts';

/** Maximum number of wrong attempts per quarter of an hour. */
const WINDOW_MS = 15 * 60_000;
const LIMIT = { address: 20, name: 10 } as const;

export function countAttempts(kind: SignInAttempt['kind'], value: string): SignInAttempt {
  return { kind, value, limit: LIMIT[kind], window: WINDOW_MS };
}

/**
 * Makes one attempt and returns its result; `false` or `undefined` is a wrong attempt. It is counted before it is made,
 * so that parallel attempts cannot bypass the limit, and uncounted if it was right or could not be made. Throws Problem
 * 429 after too many wrong attempts.
 */
export async function tryOnce<T>(
  store: Records,
  attempts: readonly SignInAttempt[],
  make: () => Promise<T>,
): Promise<T> {
  const wait = await store.countAttempt(attempts, Date.now());
  if (wait > 0) throw comeBackLater(429, 'too-many-attempts', 'Too many attempts. Wait, then try again.', wait);
  let isWrong = false;
  try {
    const result = await make();
    isWrong = result === false || result === undefined;
    return result;
  } finally {
    if (!isWrong) await store.forgiveAttempt(attempts, Date.now());
  }
}
