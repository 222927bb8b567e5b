/** Days (UTC) as people write them, `2026-11-20`, and the range of days in a record. */
import { dayText } from '../model/day.ts';
import type { Days } from '../store/archive.ts';
import { LAST_TIME } from '../store/record/run-checks.ts';

/** A record has times from 1970 on, because a computer may start without a clock. Unix ms. */
const FIRST_DAY = 0;

/** All days that a record can contain, including those of a clock that was ahead. */
export const ALL_DAYS: Days = { from: dayText(FIRST_DAY), to: dayText(LAST_TIME - 1) };

/** The start of a day in Unix ms, or undefined if the text is not a day. */
export function dayStart(text: string): number | undefined {
  const t = /^\d{4}-\d\d-\d\d$/.test(text) ? Date.parse(text) : Number.NaN;
  return t >= FIRST_DAY && dayText(t) === text ? t : undefined;
}
