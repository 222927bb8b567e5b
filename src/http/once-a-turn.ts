/**
 * Asks for each key once within a turn of the event loop: requests that have arrived together share the answer, which is as new for the
 * last of them as it was for the first.
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
