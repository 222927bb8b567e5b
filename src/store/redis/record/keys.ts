/**
 * What the record of a site is kept under. All that there is of one site is on one node, so that it can change in one step.
 *
 * record        number of changes: every change goes by it
 * filing        somebody files, or counts anew, at this moment
 * state         last number of a visit and of a page, how many pages there are, and how often some went (page-hash.ts)
 * journal:N     what came and is not filed yet, by shard: time and batch in turn
 * damaged       batches that cannot be read: time and batch in turn
 * visits        what is kept of each visit, by its number; ids: its number, by its id
 * going         visits that are being removed, by their numbers; their runs are still there, and they are in no list
 * by-time       visits by their begin; visit-time.ts
 * runs:V        runs of a visit in the order of time, some in each element; chunk.ts
 * minute:M      `visit.page` of those that were there in a minute
 * erased        when visits were erased, by id
 * dropped       visits that began before are to go
 * pages         name of each page, by number; uses: on how many days it has counts
 * days          days with counts; counts:D: of a day, by page (0: the whole site)
 * cells:P:D     tiles of a page and day, by `slice.band`; spots:P:D: clicks on elements, by `device.selector`
 */
import { commonKey, siteKey } from '../../../redis/keys.ts';
import { SITE_SHARDS } from '../../record/shard.ts';

/** Sites that there is, or was, something of. */
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
