import type { Visit } from '../../model/visit.ts';
import { api } from '../shell/api.ts';

/** Maximum number of requests: a part of the list of visits may be empty and still have a next part. */
const MAX_REQUESTS = 5;

/** The newest visit of a page, which has the page's origin and the size of its visitor's window. */
export async function lastVisit(site: string, page: string): Promise<Visit | undefined> {
  let after: string | null = null;
  for (let request = 0; request < MAX_REQUESTS; request++) {
    const { visits, next }: { visits: Visit[]; next: string | null } = await api.visits({
      site,
      page,
      after,
      limit: 1,
    });
    if (visits[0] || next === null) return visits[0];
    after = next;
  }
  return undefined;
}
