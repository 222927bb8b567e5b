/** Returns a function that calls `create` once, on first use, and returns its result. */
export function lazy<T>(create: () => T): () => T {
  let made: T | undefined;
  return () => (made ??= create());
}
