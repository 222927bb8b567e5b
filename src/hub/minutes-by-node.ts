/** Minutes of one site by machine. What is told twice, by a machine or by what was kept of it, counts once. */
import { getOrInsert } from '../lib/get-or-insert.ts';
import type { Minute } from '../model/minute.ts';
import { MINUTE_MS, minuteOf, oldestMinute, raiseMinute } from '../model/minute.ts';
import type { NodeMinutes } from '../protocol/peer.ts';

export class MinutesByNode {
  readonly #byMachine = new Map<string, Map<number, Minute>>();

  add({ machine, minutes }: NodeMinutes): void {
    const known = getOrInsert(this.#byMachine, machine, () => new Map<number, Minute>());
    for (const minute of minutes) raiseMinute(known, minute);
  }

  /**
   * A machine is no more, and its visitors may be on others within the same minute: the one it told of last does not count, if that is
   * the one at hand or, since silence is noticed late, the one before.
   */
  end(machine: string, now: number): void {
    const known = this.#byMachine.get(machine);
    const last = Math.max(...(known?.keys() ?? []));
    if (last >= minuteOf(now) - MINUTE_MS) known?.delete(last);
  }

  /** The last 60 minutes of all machines, oldest first; `own` are those of this one. Of visitors the sum: peaks may have been at different times. */
  sums(own: NodeMinutes, now: number): Minute[] {
    this.#forget(oldestMinute(now));
    const sums = new Map<number, Minute>();
    for (const minute of this.#with(own)) {
      const { t, visitors, samples } = minute;
      const sum = getOrInsert(sums, t, () => ({ t, visitors: 0, samples: 0 }));
      sum.visitors += visitors;
      sum.samples += samples;
    }
    return [...sums.values()].filter(({ t }) => t >= oldestMinute(now)).sort((a, b) => a.t - b.t);
  }

  *#with({ machine, minutes }: NodeMinutes): Generator<Minute> {
    const own = new Map(this.#byMachine.get(machine));
    for (const minute of minutes) raiseMinute(own, minute);
    yield* own.values();
    for (const [other, known] of this.#byMachine) if (other !== machine) yield* known.values();
  }

  #forget(oldest: number): void {
    for (const [machine, known] of this.#byMachine) {
      for (const t of known.keys()) if (t < oldest) known.delete(t);
      if (known.size === 0) this.#byMachine.delete(machine);
    }
  }
}
