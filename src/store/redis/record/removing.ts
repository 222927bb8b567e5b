/** Takes visits away, with what they added to counts and heatmaps. */
import type { Command } from '../../../redis/connection.ts';
import { Damage, warnOfRemoved } from '../../record/damage.ts';
import { newTally, Tally } from '../../record/tally.ts';
import { Draft } from './draft.ts';
import type { PageBooks } from './page-book.ts';
import type { RecordSite, RedisVisit } from './site.ts';
import { visitOf } from './visit-time.ts';

/**
 * Takes visits away (members of `by-time`) until so many bytes are gone, and does `also` with it. How many went; undefined, and nothing is done, if
 * somebody else has changed the record meanwhile. Of one that is damaged, what can be read is taken from the counts; where there
 * is nothing under its number any more its runs and its place go, uncounted.
 */
export async function removeVisits(
  site: RecordSite,
  books: PageBooks,
  members: readonly string[],
  also: readonly Command[] = [],
  maxBytes = Number.POSITIVE_INFINITY,
): Promise<number | undefined> {
  const draft = await Draft.begin(site, books);
  await draft.readVisits(members.map((member) => visitOf(member)[1]));
  const faults: string[] = [];
  let removed = 0;
  let bytes = 0;
  for (const member of members) {
    if (bytes >= maxBytes) break;
    const [since, number] = visitOf(member);
    const visit = draft.get(number);
    const fault = await takeAway(draft, number, visit ?? lost(site.name, since));
    if (fault !== undefined || !visit) faults.push(fault ?? 'its entry is not there');
    if (visit) removed += 1;
    bytes += visit?.bytes ?? 0;
  }
  draft.add(...also);
  if (!(await draft.commit())) return undefined;
  warnOfRemoved(faults, `the site ${site.name} in Redis`);
  return removed;
}

/** What is known of a visit of which only the begin and the runs are there. */
function lost(site: string, since: number): RedisVisit {
  const untold = { device: 'unknown', language: '', referrer: '', origin: '', country: '', label: '' } as const;
  const visit = { ...untold, id: '', site, since, size: [0, 0, 0, 0] as RedisVisit['size'], tally: newTally(since) };
  return { ...visit, seen: [], frames: 0, lastRun: 0, elements: 0, bytes: 0, marks: [] };
}

/** What of it could not be read, if anything. Its runs are read some at a time: it may be a long one. */
async function takeAway(draft: Draft, number: number, visit: RedisVisit): Promise<string | undefined> {
  const damage = new Damage();
  const tally = new Tally(visit.site, draft.sums, -1, draft.pages, newTally(visit.since));
  for await (const some of draft.site.runs(number, visit, 0, damage)) {
    const runs = draft.named(some);
    for (const run of runs) damage.pass(() => tally.add(run));
    draft.leave(number, visit, runs);
  }
  draft.remove(number, visit);
  return damage.fault?.message;
}
