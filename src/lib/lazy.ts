/** Returns a function that calls `make` once, on first use, and returns its result. */
export function lazy<T>(make: () => T): () => T {
  let made: T | undefined;
  return () => (made ??= make());
}
