/** Lists the visits of a site in Redis, a few at a time. */
import type { VisitQuery } from '../../archive.ts';
import type { ListedVisits, RecordSite } from './record-site.ts';
import { memberAt, visitTimeOf } from './visit-time.ts';

/**
 * Maximum number of visits that are read for one part of a list. They are read in three steps at most: the limit of the
 * query, but at least FIRST_LOOKS, then NEXT_LOOKS, then the rest.
 */
export const MAX_LOOKS = 5000;
const FIRST_LOOKS = 100;
const NEXT_LOOKS = 900;

/**
 * Yields visits that may match a query, in its order, several at once and MAX_LOOKS at most. Their members are those of
 * `by-time`; a visit that cannot be read is undefined.
 */
export async function* visitsIn(site: RecordSite, query: VisitQuery): AsyncGenerator<ListedVisits> {
  const { from = 0, to = Number.MAX_SAFE_INTEGER, oldestFirst = false, after } = query;
  let [low, high] = [`[${visitTimeOf(from)}`, `(${visitTimeOf(to)}`];
  let last = after === undefined ? undefined : (memberAt(after) ?? '');
  const first = Math.min(Math.max(FIRST_LOOKS, query.limit + 1), MAX_LOOKS - NEXT_LOOKS - 1);
  for (const looks of [first, NEXT_LOOKS, MAX_LOOKS - NEXT_LOOKS - first]) {
    if (last === '') return;
    if (last !== undefined && oldestFirst) low = `(${last}`;
    else if (last !== undefined) high = `(${last}`;
    const range = oldestFirst ? [low, high, 'BYLEX'] : [high, low, 'BYLEX', 'REV'];
    const listed = await site.list(range, looks);
    if (listed.members.length > 0) yield listed;
    if (listed.members.length < looks) return;
    last = listed.members.at(-1);
  }
}
