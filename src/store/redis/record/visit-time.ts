/** Members of `by-time`: start and number of a visit, padded with zeros so that they sort as texts (ZRANGE BYLEX). */
import { CURSOR } from '../../../model/query.ts';

const T_DIGITS = 16;
const NUMBER_DIGITS = 10;

export function visitTimeOf(t: number): string {
  const whole = Number.isFinite(t) ? Math.min(Number.MAX_SAFE_INTEGER, Math.max(0, Math.floor(t))) : 0;
  return String(whole).padStart(T_DIGITS, '0');
}

export function memberOf(since: number, number: number | string): string {
  return `${visitTimeOf(since)}.${String(number).padStart(NUMBER_DIGITS, '0')}`;
}

/** Returns start and number of the visit of a member. */
export function visitOf(member: string): [since: number, number: number] {
  return [Number(member.slice(0, T_DIGITS)), Number(member.slice(T_DIGITS + 1))];
}

/** Returns the member that a cursor names, or undefined if it is invalid. */
export function memberAt(cursor: string): string | undefined {
  if (!CURSOR.test(cursor)) return undefined;
  const [t = '', number = ''] = cursor.split('.');
  return memberOf(Number(t), number);
}
