/** Parses numbers, days and pages in the query of a URL. */

import { Type } from '@fastify/type-provider-typebox';
import { DAY_MS, dayText } from '../model/day.ts';
import { CURSOR } from '../model/query.ts';
import { MAX_TEXT } from '../model/text.ts';
import { Problem } from './problem.ts';

export const SiteKey = Type.String({ minLength: 1, maxLength: 40 });
export const Page = Type.String({ minLength: 1, maxLength: MAX_TEXT.page, description: 'Path of a page' });
export const CursorField = Type.String({ pattern: CURSOR.source, description: '`next` of the previous part' });

/** The schema of an integer or a day. The description gives its range, which is checked when it is parsed. */
export function written(description: string) {
  return Type.Optional(Type.String({ maxLength: 20, description }));
}

/** Parameters that other software adds to a URL: to bypass caches, and to track links. */
const ADDED =
  /^(?:_|_t|_ga|_gl|cb|cache_?bust(?:er)?|nocache|utm_\w{1,32}|mtm_\w{1,32}|pk_\w{1,32}|fbclid|gclid|dclid|gbraid|wbraid|msclkid|twclid|ttclid|igshid|yclid|mc_[ce]id|ref_src)$/i;

/**
 * Removes these parameters from a query. Everything else that a route does not know is refused, because it may be
 * misspelt.
 */
export function dropAdded(query: object): void {
  for (const name of Object.keys(query)) if (ADDED.test(name)) delete (query as Record<string, unknown>)[name];
}

/** Later than any time in a record. */
const LAST_MS = 8_640_000_000_000_000;

/** Parses an integer parameter. Throws Problem 400 that says what would be right. */
export function whole(name: string, text: string | undefined, least: number, most: number): number | undefined {
  if (text === undefined) return undefined;
  const value = Number(text);
  if (!/^\d{1,16}$/.test(text) || value < least || value > most)
    throw wrong(`${name} must be a whole number from ${least} to ${most}.`);
  return value;
}

/** Parses `from` and `to` as Unix ms. Throws Problem 400. */
export function times(query: { from?: string; to?: string }): { from?: number; to?: number } {
  const from = time('from', query.from);
  const to = time('to', query.to);
  if (from !== undefined && to !== undefined) checkOrder(from, to);
  return { ...(from !== undefined && { from }), ...(to !== undefined && { to }) };
}

function time(name: string, text: string | undefined): number | undefined {
  if (text === undefined || (/^\d{1,16}$/.test(text) && Number(text) <= LAST_MS))
    return text === undefined ? undefined : Number(text);
  throw wrong(`${name} must be a time in Unix milliseconds.`);
}

/** The default and the maximum length of a range, days. */
const DAYS = { preset: 30, most: 400 } as const;

/** Parses `from` and `to` as UTC days, both inclusive; the default is the past 30 days. Throws Problem 400. */
export function days(query: { from?: string; to?: string }, now: number): { from: string; to: string } {
  const to = query.to === undefined ? now : day('to', query.to);
  const from = query.from === undefined ? to - (DAYS.preset - 1) * DAY_MS : day('from', query.from);
  checkOrder(from, to);
  if (to - from >= DAYS.most * DAY_MS) throw wrong(`from and to may span at most ${DAYS.most} days.`);
  return { from: dayText(from), to: dayText(to) };
}

function day(name: string, text: string): number {
  const t = /^\d{4}-\d{2}-\d{2}$/.test(text) ? Date.parse(text) : Number.NaN;
  // 30 February is parsed as 2 March.
  if (Number.isNaN(t) || dayText(t) !== text) throw wrong(`${name} must be a day such as 2026-11-20.`);
  return t;
}

function checkOrder(from: number, to: number): void {
  if (from > to) throw wrong('from must not be after to.');
}

export function wrong(detail: string): Problem {
  return new Problem(400, 'bad-request', detail);
}
