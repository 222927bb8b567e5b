/** Timeouts for promises. */

/** A promise did not settle in time. */
export class TimeoutError extends Error {}

/** Resolves or rejects as the promise does within `ms`. Throws TimeoutError after that. */
export async function withTimeout<T>(promise: Promise<T>, ms: number): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new TimeoutError(`no answer in ${ms} ms`)), ms);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}
