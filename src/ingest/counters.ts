import { countUp } from '../lib/count.ts';

/** Totals of a worker's visitors since it started. */
export class Counters {
  acks = 0;
  /** Connections that this side closed, by reason. */
  readonly closes = new Map<string, number>();
  /** Refused upgrades, by the code of the problem. */
  readonly refusals = new Map<string, number>();

  closed(reason: string): void {
    countUp(this.closes, reason);
  }

  refused(code: string): void {
    countUp(this.refusals, code);
  }
}
