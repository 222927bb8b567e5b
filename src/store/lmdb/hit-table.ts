/** The totals of the page-visit counter. */
import type { Database } from 'lmdb';
import type { HitGroup } from '../accounts/account-snapshot.ts';
import { HITS } from '../contract.ts';
import type { HitOutcome } from '../hit-queue.ts';

/** Maximum number of pages that one write removes: some milliseconds. */
const PIECE_PAGES = 2000;

export class HitTable {
  /** Totals by site and page, as `demo/garden.html`. The key of a site alone holds its number of pages. */
  readonly #totals: Database<number, string>;
  readonly #isSite: (key: string) => boolean;
  readonly #hasRoom: () => boolean;

  /** `hasRoom`: true while further pages may be counted. */
  constructor(totals: Database<number, string>, isSite: (key: string) => boolean, hasRoom: () => boolean) {
    this.#totals = totals;
    this.#isSite = isSite;
    this.#hasRoom = hasRoom;
  }

  total(site: string, page: string): number {
    return this.#totals.get(site + page) ?? 0;
  }

  /** Returns how many pages of a site are counted. */
  pages(site: string): number {
    return this.#totals.get(site) ?? 0;
  }

  /** Yields every counted page, with its site. */
  *all(): Generator<HitGroup> {
    for (const { key, value } of this.#totals.getRange()) {
      const at = key.indexOf('/');
      if (at !== -1) yield { site: key.slice(0, at), page: key.slice(at), count: value };
    }
  }

  /** Within a write: adds visits, with the outcomes that `HitQueue` expects. */
  add(groups: readonly HitGroup[]): HitOutcome[] {
    return groups.map(({ site, page, count }) => {
      const known = this.#known(site, page);
      if (typeof known === 'number') this.#totals.putSync(site + page, known + count);
      return typeof known === 'number' ? known + count : known;
    });
  }

  /** Within a write: replaces all totals. */
  replace(totals: readonly HitGroup[]): void {
    this.#totals.clearSync();
    const pages = new Map<string, number>();
    for (const { site, page, count } of totals) {
      this.#totals.putSync(site + page, count);
      pages.set(site, (pages.get(site) ?? 0) + 1);
    }
    for (const [site, count] of pages) this.#totals.putSync(site, count);
  }

  /** Returns the total of a page, and creates the page if necessary. */
  #known(site: string, page: string): HitOutcome {
    if (!this.#isSite(site)) return 'unknown-site';
    const total = this.#totals.get(site + page);
    if (total !== undefined) return total;
    const pages = this.#totals.get(site) ?? 0;
    if (pages >= HITS.pages || !this.#hasRoom()) return 'too-many-pages';
    this.#totals.putSync(site, pages + 1);
    return 0;
  }

  /**
   * Within a write: removes pages of a site, up to PIECE_PAGES, and the site with the last page. Returns how many pages
   * it removed; 0 if there was none.
   */
  clearSome(site: string): number {
    // '0' is the character after '/'.
    const keys = [...this.#totals.getKeys({ start: `${site}/`, end: `${site}0`, limit: PIECE_PAGES })];
    for (const key of keys) this.#totals.removeSync(key);
    if (keys.length < PIECE_PAGES) this.#totals.removeSync(site);
    else this.#totals.putSync(site, Math.max(0, (this.#totals.get(site) ?? 0) - keys.length));
    return keys.length;
  }

  /** Returns a removed site that still has pages, or undefined. */
  findLost(): string | undefined {
    for (let start = ''; ; ) {
      const [first, second] = this.#totals.getKeys({ start, limit: 2 });
      // The key of a site alone holds its number of pages.
      const key = first?.includes('/') ? first : (second ?? first);
      if (first === undefined || key === undefined) return undefined;
      for (const one of [first, key]) {
        const [site = ''] = one.split('/');
        if (!this.#isSite(site)) return site;
      }
      if (!key.includes('/')) start = key === first ? `${key}/` : key;
      else start = `${key.split('/')[0]}0`;
    }
  }

  /** Within a write: removes a page. Returns 0 if it was not counted. */
  remove(site: string, page: string): 0 | 1 {
    if (!this.#totals.doesExist(site + page)) return 0;
    this.#totals.removeSync(site + page);
    this.#totals.putSync(site, (this.#totals.get(site) ?? 1) - 1);
    return 1;
  }
}
