/** A stretch of days, as the address has it. Days are of UTC, as the record counts them. */
import { DAY_MS, dayText } from '../../model/day.ts';

/** Choices, in days that end with today. */
export const PERIODS = [1, 7, 30] as const;

export interface Period {
  /** One of PERIODS; null: from and to were chosen; undefined: all that is kept. */
  days: number | null | undefined;
  /** First and last day as `2026-11-20`. */
  from: string;
  to: string;
}

const DAY = /^\d{4}-\d{2}-\d{2}$/;

/** Unix ms of the day's begin; NaN for what is none. */
export function startOf(day: string): number {
  return DAY.test(day) ? Date.parse(day) : Number.NaN;
}

/** The period in an address: `days`, or `from` and `to`; `preset` days where there is none of them. */
export function periodOf(query: URLSearchParams, now: number, preset: number | undefined): Period {
  const [from = '', to = ''] = [query.get('from') ?? undefined, query.get('to') ?? undefined];
  if (startOf(from) <= startOf(to)) return { days: null, from, to };
  const days = PERIODS.find((one) => String(one) === query.get('days')) ?? preset;
  return { days, from: dayText(now - ((days ?? 1) - 1) * DAY_MS), to: dayText(now) };
}
