/** A period of days, as in the address. Days are in UTC, as in the stored counts. */
import { DAY_MS, dayText } from '../../model/day.ts';

/** Lengths to choose from, in days. The last day is today. */
export const PERIODS = [1, 7, 30] as const;

export interface Period {
  /** One of PERIODS; null if `from` and `to` were chosen; undefined for everything that is stored. */
  days: number | null | undefined;
  /** First and last day, for example `2026-11-20`. */
  from: string;
  to: string;
}

const DAY = /^\d{4}-\d{2}-\d{2}$/;

/** Start of a day, Unix ms; NaN for an invalid day. */
export function periodStart(day: string): number {
  return DAY.test(day) ? Date.parse(day) : Number.NaN;
}

/** The period in an address: `from` and `to`, or `days`. If both are missing or invalid, it is `preset` days. */
export function periodOf(query: URLSearchParams, now: number, preset: number | undefined): Period {
  const [from = '', to = ''] = [query.get('from') ?? undefined, query.get('to') ?? undefined];
  if (periodStart(from) <= periodStart(to)) return { days: null, from, to };
  const days = PERIODS.find((one) => String(one) === query.get('days')) ?? preset;
  return { days, from: dayText(now - ((days ?? 1) - 1) * DAY_MS), to: dayText(now) };
}
