import { countUp } from '../lib/count.ts';

/** What a worker's visitors came to, since it began. */
export class Counters {
  acks = 0;
  /** Connections that this side closed, by the reason. */
  readonly closes = new Map<string, number>();
  /** Upgrades that were refused, by the problem's code. */
  readonly refusals = new Map<string, number>();

  closed(reason: string): void {
    countUp(this.closes, reason);
  }

  refused(code: string): void {
    countUp(this.refusals, code);
  }
}
