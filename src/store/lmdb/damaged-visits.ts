/**
 * Removes what is left of visits whose entry cannot be read. Only the entry says what a visit's other keys are, so they
 * are looked for in whole tables: some keys in one write, for all such visits together. A process that is killed leaves
 * their numbers in the table `lost`, and the next one looks from the start.
 */
import type { Database, Key } from 'lmdb';
import { LAST, type Tables } from './tables.ts';

/** One write looks at so many keys, */
const LOOKED_AT_ONCE = 4000;
/** and removes so many chunks of runs. */
const CHUNKS_AT_ONCE = 64;
/** So many visits are looked for together. */
const VISITS_AT_ONCE = 1000;

/** Tables that have keys of visits: `bySite`, `byAge`, `minutes`, `ids`. */
const LISTS = 4;

/** How far the tables are looked through. */
interface Search {
  /** The visits that are looked for. */
  numbers: ReadonlySet<number>;
  /** Tables that are done. */
  list: number;
  /** The last key that was looked at in the next one. */
  last: Key | undefined;
}

export class DamagedVisits {
  readonly #tables: Tables;
  readonly #pieceKeys: number;
  #search: Search | undefined;

  /** `pieceKeys`: one write looks at so many keys. */
  constructor(tables: Tables, pieceKeys = LOOKED_AT_ONCE) {
    this.#tables = tables;
    this.#pieceKeys = pieceKeys;
  }

  /** True if anything is left to remove. */
  get isPending(): boolean {
    return [...this.#tables.lost.getKeys({ limit: 1 })].length > 0;
  }

  /** Within a write: has `step` remove what is left of a visit. */
  add(number: number): void {
    this.#tables.visits.removeSync(number);
    this.#tables.lost.putSync(number, true);
  }

  /** Within a write: removes some of what is left. False if there is nothing. */
  step(): boolean {
    const numbers = [...this.#tables.lost.getKeys({ limit: VISITS_AT_ONCE })];
    if (numbers.length === 0) return false;
    if (!this.#removeChunks(numbers)) this.#look(numbers);
    return true;
  }

  /** False if none was left. */
  #removeChunks(numbers: readonly number[]): boolean {
    const { chunks } = this.#tables;
    let left = CHUNKS_AT_ONCE;
    for (const number of numbers) {
      const keys = [...chunks.getKeys({ start: [number, 0], end: [number, LAST], limit: left })];
      for (const key of keys) chunks.removeSync(key);
      left -= keys.length;
      if (left === 0) return true;
    }
    return left < CHUNKS_AT_ONCE;
  }

  /** Visits that are added while others are looked for are looked for afterwards. */
  #look(numbers: readonly number[]): void {
    const { ids, bySite, byAge, minutes, lost } = this.#tables;
    const search = this.#search ?? { numbers: new Set(numbers), list: 0, last: undefined };
    this.#search = search;
    const isOf = (number: number | undefined) => number !== undefined && search.numbers.has(number);
    if (search.list === 0) this.#lookIn(search, bySite, ([, , number]) => isOf(number));
    else if (search.list === 1) this.#lookIn(search, byAge, ([, number]) => isOf(number));
    else if (search.list === 2) this.#lookIn(search, minutes, ([, , number]) => isOf(number));
    else this.#lookIn(search, ids, (id) => isOf(ids.get(id)));
    if (search.list < LISTS) return;
    for (const number of search.numbers) lost.removeSync(number);
    this.#search = undefined;
  }

  #lookIn<V, K extends Key>(search: Search, table: Database<V, K>, isLost: (key: K) => boolean): void {
    const start = search.last as K | undefined;
    const keys = [...table.getKeys({ limit: this.#pieceKeys, ...(start !== undefined && { start }) })];
    for (const key of keys) if (isLost(key)) table.removeSync(key);
    const isEnd = keys.length < this.#pieceKeys;
    search.last = isEnd ? undefined : keys.at(-1);
    if (isEnd) search.list += 1;
  }
}
