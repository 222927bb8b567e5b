/**
 * Pages by number. What is asked for again and again is remembered. A page that nothing is known of any more is taken away; no
 * number is given twice, but those who remember it have to forget it: the edition tells.
 */
import { countedName, MAX_PAGES, OTHER_PAGES } from '../record/pages.ts';
import type { Tables } from './tables.ts';

const MAX_REMEMBERED = 50_000;
/** No keys of sites: the last number that was given, and how often pages were taken away. */
const LAST_NUMBER = '(last)';
const EDITION = '(edition)';

export class PageTable {
  readonly #tables: Pick<Tables, 'pages' | 'pageNames' | 'pageCounts'>;
  #numbers = new Map<string, number>();
  #names = new Map<number, string>();
  #edition = 0;
  /** What was asked for last is mostly asked for again. */
  #last: { site: string; page: string; number: number } | undefined;

  constructor(tables: Pick<Tables, 'pages' | 'pageNames' | 'pageCounts'>) {
    this.#tables = tables;
  }

  /** A page's number, if it has one. */
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

  /** Within a write: a page's number, new if need be. */
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

  /** Within a write: takes a page away. */
  giveBack(site: string, number: number): void {
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

  /** Forgets what is not so any more. To be called at the begin of a write, and before what is there is read. */
  refresh(): void {
    const edition = this.#tables.pageCounts.get(EDITION) ?? 0;
    if (edition !== this.#edition) this.forget();
    this.#edition = edition;
  }

  /** To call when a write failed: numbers given in it are not. */
  forget(): void {
    this.#last = undefined;
    this.#numbers.clear();
    this.#names.clear();
  }
}

/**
 * A site's pages once were too many: further ones count as one until nothing is counted there any more, so that what was
 * counted so is also taken away so.
 */
function fullKey(site: string): string {
  return `(full) ${site}`;
}
