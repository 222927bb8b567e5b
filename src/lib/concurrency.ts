/** Work on many things, some of them at a time. */

/**
 * Does `work` with each item, with up to `most` of them at a time. Rejects with the first error; then no more is begun.
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
