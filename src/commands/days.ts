/** Days (UTC) as people write them, `2026-11-20`. */
import { dayText } from '../protocol/day.ts';

/** There is no record from before, Unix ms. */
export const EARLIEST = Date.UTC(2000, 0, 1);

/** Unix ms of the begin of a day, or undefined for what is none. */
export function dayBegin(text: string): number | undefined {
  const t = /^\d{4}-\d\d-\d\d$/.test(text) ? Date.parse(text) : Number.NaN;
  return t >= EARLIEST && dayText(t) === text ? t : undefined;
}
