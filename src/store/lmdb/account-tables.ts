/** The tables of accounts in LMDB. All methods that change something are called within a write. */
import type { Database } from 'lmdb';
import type { ExpiringTable, Table } from '../accounts/transaction.ts';
import type { ExpiryIndex } from './expiry-index.ts';

/** LMDB throws if a key is too long. All our keys are much shorter than this. */
const MAX_KEY_LENGTH = 128;

export class AccountTable<T> implements Table<T> {
  readonly #db: Database<T, string>;

  constructor(db: Database<T, string>) {
    this.#db = db;
  }

  /** `key` may be any text. */
  get(key: string): T | undefined {
    return key.length <= MAX_KEY_LENGTH ? this.#db.get(key) : undefined;
  }

  has(key: string): boolean {
    return this.#db.doesExist(key);
  }

  list(): [key: string, value: T][] {
    return [...this.#db.getRange()].map(({ key, value }) => [key, value]);
  }

  put(key: string, value: T): void {
    this.#db.put(key, value);
  }

  remove(key: string): void {
    this.#db.remove(key);
  }
}

/** A table whose new entries are added to the expiry index. */
export class ExpiringAccountTable<T extends { expires: number }> extends AccountTable<T> implements ExpiringTable<T> {
  readonly #name: 'links' | 'sessions';
  readonly #expiry: ExpiryIndex;

  constructor(db: Database<T, string>, name: 'links' | 'sessions', expiry: ExpiryIndex) {
    super(db);
    this.#name = name;
    this.#expiry = expiry;
  }

  override put(key: string, value: T): void {
    if (!this.has(key)) this.#expiry.add(this.#name, key, value.expires);
    super.put(key, value);
  }

  removeExpired(now: number): void {
    this.#expiry.removeExpired(now);
  }
}
