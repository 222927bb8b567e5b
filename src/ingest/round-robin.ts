/** Interval between two shares of a round, milliseconds. */
export const TURN_MS = 50;
/** Length of a round, in which every member has one turn, milliseconds. */
export const ROUND_MS = 1000;
const TURNS = ROUND_MS / TURN_MS;

/**
 * Visits all members of a set in turn, each once a second, a share at a time: handling thousands at once would delay
 * everybody's frames.
 */
export class RoundRobin<T> {
  /** Number of the current round. */
  number = 0;
  readonly #members: ReadonlySet<T>;
  #rest: Iterator<T>;
  #startedAt = Number.NEGATIVE_INFINITY;
  #isOver = true;
  /** Members at the start of the round, and how many have had their turn. */
  #planned = 0;
  #done = 0;

  constructor(members: ReadonlySet<T>) {
    this.#members = members;
    this.#rest = members.values();
  }

  /** The members whose turn it is. Call it every TURN_MS. `now` is in ms, of a clock that does not jump. */
  *turn(now: number): Generator<T> {
    if (this.#isOver) {
      if (now - this.#startedAt < ROUND_MS) return;
      this.number += 1;
      this.#startedAt = now;
      this.#rest = this.#members.values();
      this.#isOver = false;
      this.#planned = this.#members.size;
      this.#done = 0;
    }
    for (let left = this.#share(now - this.#startedAt + TURN_MS); left > 0; left--) {
      const next = this.#rest.next();
      if (next.done) {
        this.#isOver = true;
        return;
      }
      this.#done += 1;
      yield next.value;
    }
  }

  /**
   * How many members have a turn now, so that the turns are spread over the whole round; `passed`: the part of it that
   * then has passed, ms. At its end the others, of which some have come since.
   */
  #share(passed: number): number {
    const most = Math.ceil(this.#members.size / TURNS) + 1;
    return passed >= ROUND_MS ? most : Math.min(most, Math.ceil((this.#planned * passed) / ROUND_MS) - this.#done);
  }
}
