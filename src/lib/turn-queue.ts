/**
 * Work that must not block the event loop. It is done at once until it has taken `maxMs` of a turn; the rest follows in
 * later turns, in the order in which it was added.
 */
export class TurnQueue<K, V> {
  readonly #maxMs: number;
  readonly #work: (key: K, value: V) => void;
  readonly #waiting = new Map<K, V>();
  #spentMs = 0;
  #next: NodeJS.Immediate | undefined;

  constructor(maxMs: number, work: (key: K, value: V) => void) {
    this.#maxMs = maxMs;
    this.#work = work;
  }

  /** Does the work for `key`, now or later. If it waits already, it keeps its place and gets the new value. */
  add(key: K, value: V): void {
    this.#waiting.set(key, value);
    this.#run();
  }

  /** The value of work that waits. */
  get(key: K): V | undefined {
    return this.#waiting.get(key);
  }

  delete(key: K): void {
    this.#waiting.delete(key);
  }

  #run(): void {
    for (const [key, value] of this.#waiting) {
      if (this.#spentMs >= this.#maxMs) break;
      this.#waiting.delete(key);
      const start = performance.now();
      this.#work(key, value);
      this.#spentMs += performance.now() - start;
    }
    this.#next ??= setImmediate(() => {
      this.#next = undefined;
      this.#spentMs = 0;
      if (this.#waiting.size > 0) this.#run();
    });
  }
}
