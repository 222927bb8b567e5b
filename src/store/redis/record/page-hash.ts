/**
 * Pages of sites by number. A process remembers those of the sites it has to do with: what came is read when it is missed, and all of
 * them anew when some were taken away, which the edition tells. No number is given twice.
 */
import type { RedisCommand } from '../../../redis/connection.ts';
import type { PageNumbers } from '../../record/aggregator.ts';
import { countedName, MAX_PAGES, OTHER_PAGES } from '../../record/pages.ts';
import { partsOf, type RecordSite, type StoredSiteState } from './record-site.ts';

/** Names remembered of all sites. */
const MAX_REMEMBERED = 100_000;
/** More new ones than that are read with all others. */
const FEW = 1000;

/** The pages of a site, as far as they are known. */
export class PageHash {
  readonly names = new Map<number, string>();
  readonly numbers = new Map<string, number>();
  /** The last number, and how often pages had been taken away. */
  last = 0;
  edition = 0;

  add(number: number, name: string): void {
    this.names.set(number, name);
    this.numbers.set(name, number);
  }

  find(page: string): number | undefined {
    return this.numbers.get(countedName(page));
  }

  /** What is done on a page that is not there any more is done on others. */
  nameOf(number: number): string {
    return this.names.get(number) || OTHER_PAGES;
  }
}

export class PageHashes {
  readonly #pageHashes = new Map<string, PageHash>();

  /** The pages that there are when this is called, or later. */
  async current(site: RecordSite): Promise<PageHash> {
    return this.at(site, await site.state());
  }

  async at(site: RecordSite, { page, edition }: StoredSiteState): Promise<PageHash> {
    const known = this.#pageHashes.get(site.name);
    if (known && known.edition === edition && page - known.last <= FEW) {
      if (page > known.last) await readNew(site, known, page);
      return this.#keep(site.name, known);
    }
    const hash = await readAll(site);
    hash.last = page;
    hash.edition = edition;
    return this.#keep(site.name, hash);
  }

  /** Those longest not asked for are forgotten. */
  #keep(site: string, hash: PageHash): PageHash {
    this.#pageHashes.delete(site);
    this.#pageHashes.set(site, hash);
    let names = 0;
    for (const one of this.#pageHashes.values()) names += one.names.size;
    for (const [other, { names: some }] of this.#pageHashes) {
      if (names <= MAX_REMEMBERED || other === site) break;
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

/** The pages of a site in a change: new ones have their numbers with it, and others are given back. */
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
   * Takes a page away. Where a site's pages once were too many, further ones count as one until nothing is counted there any
   * more, so that what was counted so is also taken away so.
   */
  giveBack(number: number): void {
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

  /** What was added is there now. What is gone is found out by the edition. */
  settle(): void {
    for (const [number, name] of this.#added.names) this.#hash.add(number, name);
    this.#hash.last = Math.max(this.#hash.last, this.#state.page);
  }
}
