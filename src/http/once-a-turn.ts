/**
 * Asks for each key at most once per turn of the event loop. Requests that arrive together share the answer, which is
 * as recent for the last of them as for the first.
 */
export function onceATurn<T>(ask: (key: string) => Promise<T>): (key: string) => Promise<T> {
  const asked = new Map<string, Promise<T>>();
  return (key) => {
    const known = asked.get(key);
    if (known) return known;
    if (asked.size === 0) setImmediate(() => asked.clear());
    const answer = ask(key);
    asked.set(key, answer);
    return answer;
  };
}
