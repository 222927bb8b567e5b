/** What happens when, in whole milliseconds of a time that is only played. */
export class Calendar {
  now = 0;
  readonly #days: ((() => void)[] | undefined)[];

  /** Nothing later than `end` is kept. */
  constructor(end: number) {
    this.#days = new Array(end + 1);
  }

  /** `ms` from now; what is due now comes behind what is under way. */
  after(ms: number, what: () => void): void {
    const at = this.now + Math.round(ms);
    if (at >= this.#days.length) return;
    const day = this.#days[at];
    if (day) day.push(what);
    else this.#days[at] = [what];
  }

  /** Plays on to a time, what is due then left out. */
  playTo(end: number): void {
    for (; this.now < end; this.now++) {
      const day = this.#days[this.now] ?? [];
      for (let i = 0; i < day.length; i++) (day[i] as () => void)();
      this.#days[this.now] = undefined;
    }
  }
}
