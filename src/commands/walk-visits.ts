/** All visits of a record in order, with what they did. */
import { dayText } from '../model/day.ts';
import type { LeftOut } from '../model/query.ts';
import type { Visit } from '../model/visit.ts';
import type { Archive, Days, Run, VisitQuery } from '../store/archive.ts';
import { ALL_DAYS } from './days.ts';

/** Number of visits per request. */
const VISITS = 100;

export interface Range {
  sites: string[];
  /** Start times of visits, Unix ms: `from` ≤ t < `to`. Undefined: unbounded. */
  from?: number | undefined;
  to?: number | undefined;
}

/** The days of a range. */
export function daysOf({ from, to }: Range): Days {
  return {
    from: from === undefined ? ALL_DAYS.from : dayText(from),
    to: to === undefined ? ALL_DAYS.to : dayText(to - 1),
  };
}

/** The approximate number of visits: one that continues after midnight counts on its first day. */
export async function countVisits(archive: Archive, range: Range): Promise<number> {
  const days = daysOf(range);
  let visits = 0;
  for (const site of range.sites) for (const day of await archive.days(site, null, days)) visits += day.visits;
  return visits;
}

/** Called for damaged data that is left out: a visit, or some of what it did. `what` is for people. */
export type OnLeftOut = (what: string, leftOut: LeftOut) => void;

/** Visits by start and then by id, so that all stores with the same contents yield the same order. */
export async function* visitsOf(
  archive: Archive,
  site: string,
  { from, to }: Range,
  onLeftOut: OnLeftOut,
): AsyncGenerator<Visit> {
  let same: Visit[] = [];
  const query: VisitQuery = {
    site,
    ...(from !== undefined && { from }),
    ...(to !== undefined && { to }),
    oldestFirst: true,
    limit: VISITS,
  };
  for (let next: string | null | undefined; next !== null; ) {
    const part = await archive.visits({ ...query, ...(next !== undefined && { after: next }) });
    if (part.leftOut) onLeftOut(`a visit of ${site}`, part.leftOut);
    for (const visit of part.items) {
      if (same[0] && same[0].since !== visit.since) {
        yield* inOrder(same);
        same = [];
      }
      same.push(visit);
    }
    next = part.next;
  }
  yield* inOrder(same);
}

function inOrder(visits: Visit[]): Visit[] {
  return visits.sort((a, b) => (a.id < b.id ? -1 : 1));
}

/** The runs of a visit in order of time. */
export async function* runsOf(archive: Archive, id: string, onLeftOut: OnLeftOut): AsyncGenerator<Run> {
  for (let next: string | null | undefined; next !== null; ) {
    const part = await archive.runs(id, next);
    if (part.leftOut) onLeftOut(`visit ${id}`, part.leftOut);
    yield* part.items;
    next = part.next;
  }
}
