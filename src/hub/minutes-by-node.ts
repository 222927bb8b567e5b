/** Minutes of one site by node. A minute that is reported twice, by the node and from the store, counts once. */
import { getOrInsert } from '../lib/get-or-insert.ts';
import { MINUTE_MS, type Minute, minuteOf, oldestMinute, raiseMinute } from '../model/minute.ts';
import type { NodeMinutes } from '../protocol/peer.ts';

export class MinutesByNode {
  readonly #byNode = new Map<string, Map<number, Minute>>();

  add({ machine: node, minutes }: NodeMinutes): void {
    const known = getOrInsert(this.#byNode, node, () => new Map<number, Minute>());
    for (const minute of minutes) raiseMinute(known, minute);
  }

  /**
   * A node has ended. Its visitors may be on other nodes within the same minute. So its last minute does not count if
   * it is the current one, or the one before (a silent node is noticed late).
   */
  end(node: string, now: number): void {
    const known = this.#byNode.get(node);
    const last = Math.max(...(known?.keys() ?? []));
    if (last >= minuteOf(now) - MINUTE_MS) known?.delete(last);
  }

  /**
   * The last 60 minutes of all nodes, oldest first. `own` are the minutes of this node. Visitors are summed up,
   * although the peaks may have been at different times.
   */
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

  *#with({ machine: node, minutes }: NodeMinutes): Generator<Minute> {
    const own = new Map(this.#byNode.get(node));
    for (const minute of minutes) raiseMinute(own, minute);
    yield* own.values();
    for (const [other, known] of this.#byNode) if (other !== node) yield* known.values();
  }

  #forget(oldest: number): void {
    for (const [node, known] of this.#byNode) {
      for (const t of known.keys()) if (t < oldest) known.delete(t);
      if (known.size === 0) this.#byNode.delete(node);
    }
  }
}
