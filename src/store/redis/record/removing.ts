/** Takes visits away, with what they added to counts and heatmaps. */
import { FrameError } from '../../../protocol/errors.ts';
import type { Command } from '../../../redis/connection.ts';
import { StoreError } from '../../contract.ts';
import { newTally, Tally } from '../../record/tally.ts';
import { Draft } from './draft.ts';
import type { PageBooks } from './page-book.ts';
import type { RecordSite, RedisVisit } from './site.ts';

/**
 * Takes visits away until so many bytes are gone, and does `also` with it. How many went; undefined, and nothing is done, if
 * somebody else has changed the record meanwhile.
 */
export async function removeVisits(
  site: RecordSite,
  books: PageBooks,
  numbers: readonly number[],
  also: readonly Command[] = [],
  maxBytes = Number.POSITIVE_INFINITY,
): Promise<number | undefined> {
  const draft = await Draft.begin(site, books);
  await draft.readVisits(numbers);
  let removed = 0;
  let bytes = 0;
  for (const number of numbers) {
    if (bytes >= maxBytes) break;
    const visit = draft.get(number);
    if (!visit) continue;
    bytes += await takeAway(draft, number, visit);
    removed += 1;
  }
  draft.add(...also);
  return (await draft.commit()) ? removed : undefined;
}

/** How many bytes it had. Its runs are read some at a time: it may be a long one. */
async function takeAway(draft: Draft, number: number, visit: RedisVisit): Promise<number> {
  const tally = new Tally(visit.site, draft.sums, -1, draft.pages, newTally(visit.since));
  try {
    for await (const some of draft.site.runs(number, visit)) {
      const runs = draft.named(some);
      for (const run of runs) tally.add(run);
      draft.leave(number, visit, runs);
    }
  } catch (error) {
    if (!(error instanceof FrameError)) throw error;
    throw new StoreError('damaged', `a visit of the site ${visit.site} in Redis is damaged: ${error.message}`);
  }
  draft.remove(number, visit);
  return visit.bytes;
}
