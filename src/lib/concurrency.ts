/** Concurrent work on many items, with a limit. */

/**
 * Calls `work` with each item, with up to `most` calls at a time. Rejects with the first error; then no more calls are
 * started.
 */
export async function forEachConcurrently<T>(
  items: Iterable<T>,
  most: number,
  work: (item: T) => Promise<unknown>,
): Promise<void> {
  const left = items[Symbol.iterator]();
  let isFailed = false;
  const workOn = async () => {
    for (let next = left.next(); !isFailed && !next.done; next = left.next()) await work(next.value);
  };
  const workers = Array.from({ length: most }, () =>
    workOn().catch((error) => {
      isFailed = true;
      throw error;
    }),
  );
  await Promise.all(workers);
}
