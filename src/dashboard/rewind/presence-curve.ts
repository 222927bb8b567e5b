/** Number of visitors in each minute of a time span. */

import { MINUTE_MS } from '../../model/minute.ts';
import type { Visit } from '../../model/visit.ts';

/** Number of visits in each minute from `from` to `to`, Unix ms. A visit counts in every minute that it touches. */
export function presenceOf(visits: Iterable<Pick<Visit, 'since' | 'until'>>, from: number, to: number): number[] {
  const minutes = Math.max(1, Math.ceil((to - from) / MINUTE_MS));
  const changes = new Int32Array(minutes + 1);
  const minuteOf = (t: number) => Math.min(Math.max(0, Math.floor((t - from) / MINUTE_MS)), minutes - 1);
  for (const { since, until } of visits) {
    if (until < from || since >= to) continue;
    changes[minuteOf(since)] = (changes[minuteOf(since)] as number) + 1;
    changes[minuteOf(until) + 1] = (changes[minuteOf(until) + 1] as number) - 1;
  }
  let present = 0;
  return Array.from({ length: minutes }, (_, i) => {
    present += changes[i] as number;
    return present;
  });
}
