/** When to look at entries that may have expired, so that a write finds some of them without reading whole tables. */
import type { Database } from 'lmdb';

/** How many entries of the index one write looks at. */
const MAX_CHECKED = 32;

export type ExpiringName = 'links' | 'sessions' | 'counters';

type ExpiringDatabase = Database<{ expires: number }, string>;

/** Each entry of the tables has one entry in the index: `[expires, table, key]`. */
export class ExpiryIndex {
  readonly #index: Database<true, [number, ExpiringName, string]>;
  readonly #tables: { readonly [Name in ExpiringName]: ExpiringDatabase };

  constructor(
    index: Database<true, [number, ExpiringName, string]>,
    tables: { readonly [Name in ExpiringName]: ExpiringDatabase },
  ) {
    this.#index = index;
    this.#tables = tables;
  }

  /** Within a write: adds a new entry of a table. */
  add(table: ExpiringName, key: string, expires: number): void {
    this.#index.put([expires, table, key], true);
  }

  /** Within a write: removes some expired entries of all tables. */
  removeExpired(now: number): void {
    for (const entry of [...this.#index.getKeys({ end: [now + 1], limit: MAX_CHECKED })]) {
      const [, table, key] = entry;
      this.#index.remove(entry);
      const expires = this.#tables[table].get(key)?.expires;
      if (expires === undefined) continue;
      // A session that was used since then expires later.
      if (expires > now) this.add(table, key, expires);
      else this.#tables[table].remove(key);
    }
  }
}
