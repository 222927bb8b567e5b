/**
 * Keys of a site's record. All keys of a site are on one node of a cluster, so that they can change in one step.
 *
 * record        number of changes: every change depends on it
 * filing        the lease of the process that compacts or verifies
 * state         last number of a visit and of a page, number of pages, and how often pages were removed (page-hash.ts)
 * journal:N     appended batches by shard, not compacted yet: time and batch alternate
 * damaged       unreadable batches: time and batch alternate
 * visits        entry of each visit, by number; ids: its number, by its id
 * going         visits that are being removed, by number: their runs still exist, but they are in no list
 * by-time       visits by start; visit-time.ts
 * runs:V        runs of a visit in order of time, several in each element; chunk.ts
 * minute:M      `visit.page` of the visits in a minute
 * erased        times of erasure, by visit id
 * dropped       visits that started before this time are removed
 * pages         name of each page, by number; uses: on how many days it has counts
 * days          days with counts; counts:D: those of a day, by page (0: the whole site)
 * cells:P:D     tiles of a page and day, by `slice.band`; spots:P:D: clicks on elements, by `device.selector`
 */
import { commonKey, siteKey } from '../../../redis/keys.ts';
import { SITE_SHARDS } from '../../record/shard.ts';

/** Sites that have, or had, a record. */
export const SITES = commonKey('recorded');

export class SiteKeys {
  readonly site: string;
  readonly version: string;
  readonly compaction: string;
  readonly state: string;
  readonly journals: readonly string[];
  readonly damaged: string;
  readonly visits: string;
  readonly ids: string;
  readonly byTime: string;
  readonly going: string;
  readonly erased: string;
  readonly dropped: string;
  readonly pages: string;
  readonly uses: string;
  readonly days: string;

  constructor(site: string) {
    const key = (name: string) => siteKey(site, name);
    this.site = site;
    this.version = key('record');
    // The name of the key is older than the word compaction.
    this.compaction = key('filing');
    this.state = key('state');
    this.journals = Array.from({ length: SITE_SHARDS }, (_, shard) => key(`journal:${shard}`));
    this.damaged = key('damaged');
    this.visits = key('visits');
    this.ids = key('ids');
    this.byTime = key('by-time');
    this.going = key('going');
    this.erased = key('erased');
    this.dropped = key('dropped');
    this.pages = key('pages');
    this.uses = key('uses');
    this.days = key('days');
  }

  runs(visit: number): string {
    return siteKey(this.site, `runs:${visit}`);
  }

  minute(minute: number): string {
    return siteKey(this.site, `minute:${minute}`);
  }

  counts(day: number): string {
    return siteKey(this.site, `counts:${day}`);
  }

  cells(page: number, day: number): string {
    return siteKey(this.site, `cells:${page}:${day}`);
  }

  spots(page: number, day: number): string {
    return siteKey(this.site, `spots:${page}:${day}`);
  }
}
