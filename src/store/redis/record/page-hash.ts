/**
 * Page numbers of sites. A process caches the pages of the sites it works with. New pages are read when they are
 * missed. All pages are read again when some were removed, which the edition tells. No number is used twice.
 */
import type { RedisCommand } from '../../../redis/connection.ts';
import type { PageNumbers } from '../../record/aggregator.ts';
import { countedName, MAX_PAGES, OTHER_PAGES } from '../../record/pages.ts';
import { partsOf, type RecordSite, type StoredSiteState } from './record-site.ts';

/** Maximum number of cached names, over all sites. */
const MAX_CACHED = 100_000;
/** With more new pages than this, all pages are read. */
const MAX_NEW = 1000;

/** The known pages of a site. */
export class PageHash {
  readonly names = new Map<number, string>();
  readonly numbers = new Map<string, number>();
  /** The last number, and how often pages were removed. */
  last = 0;
  edition = 0;

  add(number: number, name: string): void {
    this.names.set(number, name);
    this.numbers.set(name, number);
  }

  find(page: string): number | undefined {
    return this.numbers.get(countedName(page));
  }

  /** Returns the name of a page. A page that was removed belongs to the other pages. */
  nameOf(number: number): string {
    return this.names.get(number) || OTHER_PAGES;
  }
}

export class PageHashes {
  readonly #pageHashes = new Map<string, PageHash>();

  /** Returns the pages that exist when this is called, or later. */
  async current(site: RecordSite): Promise<PageHash> {
    return this.at(site, await site.state());
  }

  async at(site: RecordSite, { page, edition }: StoredSiteState): Promise<PageHash> {
    const known = this.#pageHashes.get(site.name);
    if (known && known.edition === edition && page - known.last <= MAX_NEW) {
      if (page > known.last) await readNew(site, known, page);
      return this.#cache(site.name, known);
    }
    const hash = await readAll(site);
    hash.last = page;
    hash.edition = edition;
    return this.#cache(site.name, hash);
  }

  /** Caches a hash, and drops the least recently used ones. */
  #cache(site: string, hash: PageHash): PageHash {
    this.#pageHashes.delete(site);
    this.#pageHashes.set(site, hash);
    let names = 0;
    for (const one of this.#pageHashes.values()) names += one.names.size;
    for (const [other, { names: some }] of this.#pageHashes) {
      if (names <= MAX_CACHED || other === site) break;
      this.#pageHashes.delete(other);
      names -= some.size;
    }
    return hash;
  }
}

async function readNew(site: RecordSite, hash: PageHash, last: number): Promise<void> {
  const numbers = Array.from({ length: last - hash.last }, (_, i) => hash.last + 1 + i);
  const names = await site.fields(site.keys.pages, numbers.map(String));
  for (const [i, name] of names.entries()) if (name !== null) hash.add(numbers[i] as number, name);
  hash.last = Math.max(hash.last, last);
}

async function readAll(site: RecordSite): Promise<PageHash> {
  const hash = new PageHash();
  const all = await site.send<string[]>('HGETALL', site.keys.pages);
  for (let i = 0; i < all.length; i += 2) hash.add(Number(all[i]), all[i + 1] as string);
  return hash;
}

/** The pages of a site in a transaction, which stores new pages and removes others. */
export class PageChanges implements PageNumbers {
  readonly #site: RecordSite;
  readonly #hash: PageHash;
  readonly #state: StoredSiteState;
  readonly #added = new PageHash();
  readonly #gone: number[] = [];

  constructor(site: RecordSite, hash: PageHash, state: StoredSiteState) {
    this.#site = site;
    this.#hash = hash;
    this.#state = { ...state };
  }

  numberOf(site: string, page: string): number {
    return this.find(page) ?? this.#add(site, page);
  }

  #add(site: string, given: string): number {
    const state = this.#state;
    const page = countedName(given);
    if (page !== OTHER_PAGES && (state.isFull || state.pages >= MAX_PAGES)) {
      state.isFull = true;
      return this.numberOf(site, OTHER_PAGES);
    }
    state.page += 1;
    state.pages += 1;
    this.#added.add(state.page, page);
    return state.page;
  }

  find(page: string): number | undefined {
    return this.#hash.find(page) ?? this.#added.find(page);
  }

  isNamed(number: number): boolean {
    return this.#added.names.has(number) || this.#hash.names.has(number);
  }

  nameOf(number: number): string {
    return this.#added.names.get(number) ?? this.#hash.nameOf(number);
  }

  /**
   * Removes a page. If a site had too many pages, further pages are counted as one until nothing is counted there any
   * more, so that exactly what was counted that way is subtracted that way.
   */
  remove(number: number): void {
    if (!this.#hash.names.has(number) && !this.#added.names.has(number)) return;
    this.#gone.push(number);
    this.#state.pages -= 1;
    this.#state.edition += 1;
    if (this.nameOf(number) === OTHER_PAGES) this.#state.isFull = false;
  }

  commands(): RedisCommand[] {
    const { pages, state } = this.#site.keys;
    const { page, isFull, edition, pages: count } = this.#state;
    const added = [...this.#added.names].flatMap(([number, name]) => [String(number), name]);
    const commands: RedisCommand[] = [
      ...partsOf(added).map((some) => ['HSET', pages, ...some]),
      ...partsOf(this.#gone.map(String)).map((some) => ['HDEL', pages, ...some]),
    ];
    const fields = { page, pages: count, full: isFull ? 1 : 0, edition };
    return [...commands, ['HSET', state, ...Object.entries(fields).flatMap(([name, value]) => [name, String(value)])]];
  }

  /** Adds the stored pages to the cache, after the commit. Removed pages are noticed by the edition. */
  updateCache(): void {
    for (const [number, name] of this.#added.names) this.#hash.add(number, name);
    this.#hash.last = Math.max(this.#hash.last, this.#state.page);
  }
}
