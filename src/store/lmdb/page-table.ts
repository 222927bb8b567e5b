/**
 * Page numbers. Recently used ones are cached. A page without data is removed. Its number is never reused, but caches
 * must forget it: the edition tells them.
 */
import { countedName, MAX_PAGES, OTHER_PAGES } from '../record/pages.ts';
import type { Tables } from './tables.ts';

const MAX_REMEMBERED = 50_000;
/** Keys that no site has: the last number, and how often pages were removed. */
const LAST_NUMBER = '(last)';
const EDITION = '(edition)';

export class PageNumberTable {
  readonly #tables: Pick<Tables, 'pages' | 'pageNames' | 'pageCounts'>;
  #numbers = new Map<string, number>();
  #names = new Map<number, string>();
  #edition = 0;
  /** The last lookup; the next one is usually the same. */
  #last: { site: string; page: string; number: number } | undefined;

  constructor(tables: Pick<Tables, 'pages' | 'pageNames' | 'pageCounts'>) {
    this.#tables = tables;
  }

  /** Returns a page's number, or undefined. */
  find(site: string, given: string): number | undefined {
    const last = this.#last;
    if (last && given === last.page && site === last.site) return last.number;
    const page = countedName(given);
    const key = `${site}\0${page}`;
    const known = this.#numbers.get(key) ?? this.#tables.pages.get([site, page]);
    if (known === undefined) return undefined;
    this.#remember(key, known);
    this.#last = { site, page: given, number: known };
    return known;
  }

  #remember(key: string, number: number): void {
    if (this.#numbers.size > MAX_REMEMBERED) this.#numbers.clear();
    this.#numbers.set(key, number);
  }

  /** Within a write: returns a page's number, and assigns one if necessary. */
  numberOf(site: string, page: string): number {
    return this.find(site, page) ?? this.#add(site, page);
  }

  #add(site: string, given: string): number {
    const { pages, pageNames, pageCounts } = this.#tables;
    const page = countedName(given);
    const count = pageCounts.get(site) ?? 0;
    if (page !== OTHER_PAGES && (count >= MAX_PAGES || pageCounts.doesExist(fullKey(site)))) {
      pageCounts.putSync(fullKey(site), count);
      return this.numberOf(site, OTHER_PAGES);
    }
    const [highest = 0] = pageNames.getKeys({ reverse: true, limit: 1 });
    const number = Math.max(highest, pageCounts.get(LAST_NUMBER) ?? 0) + 1;
    pageCounts.putSync(LAST_NUMBER, number);
    pages.putSync([site, page], number);
    pageCounts.putSync(site, count + 1);
    pageNames.putSync(number, [site, page]);
    return number;
  }

  /** Within a write: removes a page. */
  remove(site: string, number: number): void {
    const { pages, pageNames, pageCounts } = this.#tables;
    const [, page] = pageNames.get(number) ?? [];
    if (page === undefined) return;
    pages.removeSync([site, page]);
    pageNames.removeSync(number);
    pageCounts.putSync(site, (pageCounts.get(site) ?? 1) - 1);
    if (page === OTHER_PAGES) pageCounts.removeSync(fullKey(site));
    pageCounts.putSync(EDITION, (pageCounts.get(EDITION) ?? 0) + 1);
    this.refresh();
  }

  nameOf(number: number): string {
    const known = this.#names.get(number) ?? this.#tables.pageNames.get(number)?.[1] ?? '';
    if (this.#names.size > MAX_REMEMBERED) this.#names.clear();
    this.#names.set(number, known);
    return known;
  }

  /** Clears outdated cache entries. Call it at the start of a write, and before the current state is read. */
  refresh(): void {
    const edition = this.#tables.pageCounts.get(EDITION) ?? 0;
    if (edition !== this.#edition) this.clear();
    this.#edition = edition;
  }

  /** Clears the cache. Call it when a write failed: numbers assigned in it are invalid. */
  clear(): void {
    this.#last = undefined;
    this.#numbers.clear();
    this.#names.clear();
  }
}

/**
 * Key that notes that a site had too many pages. Further pages are counted as one until nothing is counted there any
 * more, so that exactly what was counted that way is subtracted that way.
 */
function fullKey(site: string): string {
  return `(full) ${site}`;
}
