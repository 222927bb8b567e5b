/** The tables of accounts in LMDB. All methods that change something are called within a write. */
import type { Database, Key } from 'lmdb';
import type { Session } from '../../model/account.ts';
import type { Refusal } from '../../model/refusal.ts';
import { type Rights, ROLES } from '../../model/rights.ts';
import type { Site } from '../../model/site.ts';
import type { Admin, Link, Stored, StoredToken } from '../accounts/records.ts';
import type { AccountTransaction, ExpiringTable, Table } from '../accounts/transaction.ts';
import { type AttemptCounter, AttemptTable } from './attempt-table.ts';
import { ExpiryIndex } from './expiry-index.ts';
import { isAny, isList, isNullOr, isNumber, isRecord, isText, type KeyShape, type ValueCheck } from './table.ts';

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

/** Opens a table whose values pass a check. Keys are texts unless `key` says otherwise. */
export type OpenTable = <V, K extends Key = string>(name: string, value: ValueCheck, key?: KeyShape) => Database<V, K>;

/** Opens the tables of accounts, and creates those that are missing. */
export function openAccounts(
  open: OpenTable,
  others: Pick<AccountTransaction, 'addNote' | 'removeCounts'>,
): { accounts: AccountTransaction; attempts: AttemptTable } {
  const links = open<Link>('links', isRecord({ name: isText, expires: isNumber }));
  const sessions = open<Stored<Session>>('sessions', isSession);
  const counters = open<AttemptCounter>('counters', isRecord({ count: isNumber, expires: isNumber }));
  const expiry = new ExpiryIndex(open('expiry', isAny, ['number', 'text', 'text']), { links, sessions, counters });
  const accounts = {
    ...others,
    sites: new AccountTable(open<Site>('sites', isSite)),
    admins: new AccountTable(open<Stored<Admin>>('admins', isAdmin)),
    tokens: new AccountTable(open<StoredToken>('tokens', isToken)),
    links: new ExpiringAccountTable(links, 'links', expiry),
    sessions: new ExpiringAccountTable(sessions, 'sessions', expiry),
    refusals: new AccountTable(open<Refusal[]>('refusals', isList(isRefusal))),
  };
  return { accounts, attempts: new AttemptTable(counters, expiry) };
}

const isSite = isRecord({
  key: isText,
  name: isText,
  origins: isList(isText),
  created: isNumber,
  firstSeen: isNullOr(isNumber),
});
const isRefusal = isRecord({ site: isText, origin: isText, reason: isText, count: isNumber, last: isNumber });
const isSession = isRecord({ name: isText, created: isNumber, lastSeen: isNumber, expires: isNumber, agent: isText });
const isAdmin: ValueCheck = (value) =>
  isRecord({ name: isText, password: isNullOr(isText), created: isNumber })(value) &&
  isRightful(value as Partial<Rights>);
const isToken: ValueCheck = (value) =>
  isRecord({ name: isText, hash: isText, created: isNumber, lastUsed: isNullOr(isNumber) })(value) &&
  isRightful(value as Partial<Rights>);

/**
 * A record without a role is an owner's, since there once were no roles. If the word `role` is damaged, a viewer must
 * not become an owner: then something else of the rights is there.
 */
function isRightful({ role, sites, ...rest }: Partial<Rights>): boolean {
  if (role === undefined) return sites === undefined && Object.keys(rest).every((name) => STORED_FIELDS.has(name));
  return ROLES.includes(role) && (sites === null || isList(isText)(sites));
}

const STORED_FIELDS = new Set(['name', 'password', 'created', 'lastUsed', 'hash']);
