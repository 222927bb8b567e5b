/** A share of a round is due this often, milliseconds. */
export const TURN_MS = 50;
/** Everyone's turn comes once in so long, milliseconds. */
export const ROUND_MS = 1000;
const TURNS = ROUND_MS / TURN_MS;

/**
 * Takes all members of a set in turn, each once a second, a share at a time: to see to thousands at once would hold up
 * everybody's frames.
 */
export class RoundRobin<T> {
  /** Of the round under way. */
  number = 0;
  readonly #members: ReadonlySet<T>;
  #rest: Iterator<T>;
  #begun = Number.NEGATIVE_INFINITY;
  #isOver = true;

  constructor(members: ReadonlySet<T>) {
    this.#members = members;
    this.#rest = members.values();
  }

  /** Those whose turn it is; to be asked each TURN_MS. `now` is in ms, of any clock that does not jump. */
  *turn(now: number): Generator<T> {
    if (this.#isOver) {
      if (now - this.#begun < ROUND_MS) return;
      this.number += 1;
      this.#begun = now;
      this.#rest = this.#members.values();
      this.#isOver = false;
    }
    for (let share = Math.ceil(this.#members.size / TURNS); share >= 0; share--) {
      const next = this.#rest.next();
      if (next.done) {
        this.#isOver = true;
        return;
      }
      yield next.value;
    }
  }
}
