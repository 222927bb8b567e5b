/** A Map or a WeakMap. */
interface Lookup<K, V> {
  get(key: K): V | undefined;
  set(key: K, value: V): unknown;
}

/** Returns the value of `key`. If there is none, inserts the result of `create` first. */
export function getOrInsert<K, V>(map: Lookup<K, V>, key: K, create: () => V): V {
  const existing = map.get(key);
  if (existing !== undefined) return existing;
  const created = create();
  map.set(key, created);
  return created;
}
