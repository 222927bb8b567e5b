/**
 * Removes the rest of visits whose entry cannot be read. Only the entry lists a visit's other keys, so whole tables are
 * searched: some keys per write, for all such visits together. If the process is killed, their numbers remain in the
 * table `lost`, and the next process searches from the start.
 */
import type { Database, Key } from 'lmdb';
import { LAST, type Tables } from './tables.ts';

/** Maximum number of keys that one write checks. */
const KEYS_AT_ONCE = 4000;
/** Maximum number of chunks of runs that one write removes. */
const CHUNKS_AT_ONCE = 64;
/** Maximum number of visits that are searched for together. */
const VISITS_AT_ONCE = 1000;

/** Number of tables with keys of visits: `bySite`, `byAge`, `minutes`, `ids`. */
const LISTS = 4;

/** Progress of a search through the tables. */
interface Search {
  /** The visits to find. */
  numbers: ReadonlySet<number>;
  /** Number of tables that are done. */
  list: number;
  /** The last checked key of the next table. */
  last: Key | undefined;
}

export class DamagedVisits {
  readonly #tables: Tables;
  readonly #pieceKeys: number;
  #search: Search | undefined;

  /** `pieceKeys`: maximum number of keys that one write checks. */
  constructor(tables: Tables, pieceKeys = KEYS_AT_ONCE) {
    this.#tables = tables;
    this.#pieceKeys = pieceKeys;
  }

  /** True if anything is left to remove. */
  get isPending(): boolean {
    return [...this.#tables.lost.getKeys({ limit: 1 })].length > 0;
  }

  /** Within a write: schedules the rest of a visit for removal by `step`. */
  add(number: number): void {
    this.#tables.visits.removeSync(number);
    this.#tables.lost.putSync(number, true);
  }

  /** Within a write: removes a piece. Returns false if nothing is left. */
  step(): boolean {
    const numbers = [...this.#tables.lost.getKeys({ limit: VISITS_AT_ONCE })];
    if (numbers.length === 0) return false;
    if (!this.#removeChunks(numbers)) this.#searchNext(numbers);
    return true;
  }

  /** Returns false if no chunk was left. */
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

  /** Visits that are added during a search are searched for afterwards. */
  #searchNext(numbers: readonly number[]): void {
    const { ids, bySite, byAge, minutes, lost } = this.#tables;
    const search = this.#search ?? { numbers: new Set(numbers), list: 0, last: undefined };
    this.#search = search;
    const isOf = (number: number | undefined) => number !== undefined && search.numbers.has(number);
    if (search.list === 0) this.#searchTable(search, bySite, ([, , number]) => isOf(number));
    else if (search.list === 1) this.#searchTable(search, byAge, ([, number]) => isOf(number));
    else if (search.list === 2) this.#searchTable(search, minutes, ([, , number]) => isOf(number));
    else this.#searchTable(search, ids, (id) => isOf(ids.get(id)));
    if (search.list < LISTS) return;
    for (const number of search.numbers) lost.removeSync(number);
    this.#search = undefined;
  }

  #searchTable<V, K extends Key>(search: Search, table: Database<V, K>, isLost: (key: K) => boolean): void {
    const start = search.last as K | undefined;
    const keys = [...table.getKeys({ limit: this.#pieceKeys, ...(start !== undefined && { start }) })];
    for (const key of keys) if (isLost(key)) table.removeSync(key);
    const isEnd = keys.length < this.#pieceKeys;
    search.last = isEnd ? undefined : keys.at(-1);
    if (isEnd) search.list += 1;
  }
}
