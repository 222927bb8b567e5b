/**
 * A transaction of accounts in Redis. What its changes read is loaded in one step, with the number of commits at that
 * moment. It is committed in one step, too, if that number is still the same. Each table is a hash of records as JSON.
 */
import type { AuditNote } from '../../model/audit.ts';
import type { Redis, RedisCommand } from '../../redis/connection.ts';
import { commonKey } from '../../redis/keys.ts';
import { addToTrail } from '../accounts/audit-trail.ts';
import { type AccountRecords, type Link, TABLE_NAMES, type TableName } from '../accounts/records.ts';
import type { AccountTransaction, ChangeOptions, ExpiringTable, Table } from '../accounts/transaction.ts';
import { hitsKey } from './counters.ts';
import { LoadedTrail, TRAIL_READS } from './redis-trail.ts';

/** Counts the commits. */
export const VERSION_KEY = commonKey('version');

export interface RedisChangeOptions extends ChangeOptions {
  /** A command to run together with the reads. The change gets its answer. */
  readonly query?: RedisCommand;
}

/** A change that may add commands to its commit. */
export type RedisChange<T> = (tx: RedisTransaction, answer: unknown) => T;

export interface ChangeRequest {
  readonly options: RedisChangeOptions;
  readonly change: RedisChange<unknown>;
}

export class RedisTransaction implements AccountTransaction {
  readonly sites = new LoadedTable<AccountRecords['sites']>('sites');
  readonly admins = new LoadedTable<AccountRecords['admins']>('admins');
  readonly tokens = new LoadedTable<AccountRecords['tokens']>('tokens');
  readonly links = new ExpiringLoadedTable<Link>('links');
  readonly sessions = new ExpiringLoadedTable<AccountRecords['sessions']>('sessions');
  readonly refusals = new LoadedTable<AccountRecords['refusals']>('refusals');
  readonly #redis: Redis;
  /** The number of commits when this was loaded; null: nothing was read. */
  #version: string | null = null;
  #trail: LoadedTrail | undefined;
  readonly #commands: RedisCommand[] = [];

  private constructor(redis: Redis) {
    this.#redis = redis;
  }

  /** Makes changes in order, in two round trips. Undefined, and nothing is done, if another process was faster. */
  static async run(redis: Redis, requests: readonly ChangeRequest[]): Promise<unknown[] | undefined> {
    const tx = new RedisTransaction(redis);
    const options = requests.map((request) => request.options);
    const answers = await tx.#load(options);
    const results = requests.map(({ change }, i) => change(tx, answers[i]));
    return (await tx.#commit(options.some(({ allowWhenFull }) => allowWhenFull))) ? results : undefined;
  }

  /** Loads all that changes read. The answers to their queries. */
  async #load(options: readonly RedisChangeOptions[]): Promise<unknown[]> {
    const reads = TABLE_NAMES.flatMap((name) => {
      const keys = mergedReads(options, name);
      return keys === undefined ? [] : [{ name, keys, command: this[name].readCommand(keys) }];
    });
    const trail = options.some(({ note }) => note !== undefined) ? TRAIL_READS : [];
    const queries = options.flatMap(({ query }) => (query ? [query] : []));
    const commands = [...reads.map(({ command }) => command), ...trail, ...queries];
    if (commands.length === 0) return [];
    const [version, ...found] = await this.#redis.gather<unknown>(VERSION_KEY, [['GET', VERSION_KEY], ...commands]);
    // Every store has one: Redis may have lost its data.
    if (version == null) await this.#redis.verify();
    this.#version = String(version ?? 0);
    for (const { name, keys } of reads) this[name].load(keys, found.shift() as (string | null)[]);
    if (trail.length > 0) this.#trail = new LoadedTrail(found.shift() as string[], found.shift() as string[]);
    return options.map(({ query }) => query && found.shift());
  }

  addNote(note: AuditNote | undefined): void {
    if (note === undefined) return;
    if (!this.#trail) throw new Error('the change did not say that it may add a note');
    addToTrail(this.#trail, note);
  }

  /** Its minutes may be on another node of a cluster. They expire. */
  removeCounts(site: string): void {
    this.addCommand('UNLINK', hitsKey(site));
  }

  /** Has a command run with the commit. */
  addCommand(...command: RedisCommand): void {
    this.#commands.push(command);
  }

  /** False, and nothing is done, if another process has changed something since this was loaded. */
  async #commit(allowWhenFull: boolean): Promise<boolean> {
    const commands = [...this.#commands, ...(this.#trail?.commands() ?? [])];
    for (const name of TABLE_NAMES) commands.push(...this[name].commands());
    return commands.length === 0 || this.#redis.commit(VERSION_KEY, this.#version, commands, allowWhenFull);
  }
}

/** What some changes read of a table, or undefined for nothing. */
function mergedReads(options: readonly ChangeOptions[], name: TableName): readonly string[] | 'all' | undefined {
  const keys = new Set<string>();
  for (const { reads = {} } of options) {
    if (reads[name] === 'all') return 'all';
    for (const key of reads[name] ?? []) keys.add(key);
  }
  return keys.size === 0 ? undefined : [...keys];
}

/** The loaded part of a table, with the changes that the commit will write. */
class LoadedTable<T> implements Table<T> {
  readonly #key: string;
  /** Loaded records with the changes applied; null: the record does not exist. */
  readonly #known = new Map<string, T | null>();
  readonly #changed = new Set<string>();
  #isWhole = false;

  constructor(name: TableName) {
    this.#key = commonKey(name);
  }

  /** The command whose answer `load` takes. */
  readCommand(keys: readonly string[] | 'all'): RedisCommand {
    return keys === 'all' ? ['HGETALL', this.#key] : ['HMGET', this.#key, ...keys];
  }

  load(keys: readonly string[] | 'all', texts: readonly (string | null)[]): void {
    this.#isWhole = keys === 'all';
    if (keys === 'all') for (const [key, value] of entriesIn<T>(texts as string[])) this.#known.set(key, value);
    else for (const [i, key] of keys.entries()) this.#known.set(key, valueIn<T>(texts[i] ?? null) ?? null);
  }

  get(key: string): T | undefined {
    const known = this.#known.get(key);
    if (known === undefined && !this.#isWhole) throw new Error(`${key} of ${this.#key} is not in the read set`);
    return known ?? undefined;
  }

  has(key: string): boolean {
    return this.get(key) !== undefined;
  }

  list(): [key: string, value: T][] {
    if (!this.#isWhole) throw new Error(`${this.#key} is not in the read set as a whole`);
    return inOrder([...this.#known].filter((entry): entry is [string, T & {}] => entry[1] !== null));
  }

  put(key: string, value: T): void {
    this.#known.set(key, value);
    this.#changed.add(key);
  }

  remove(key: string): void {
    this.#known.set(key, null);
    this.#changed.add(key);
  }

  *commands(): Generator<RedisCommand> {
    for (const key of this.#changed) {
      const value = this.#known.get(key) ?? null;
      yield value === null ? ['HDEL', this.#key, key] : ['HSET', this.#key, key, JSON.stringify(value)];
    }
  }
}

class ExpiringLoadedTable<T extends { expires: number }> extends LoadedTable<T> implements ExpiringTable<T> {
  removeExpired(now: number): void {
    for (const [key, { expires }] of this.list()) if (expires <= now) this.remove(key);
  }
}

/** Reads one record of a table. */
export async function readOne<T>(redis: Redis, key: string, field: string): Promise<T | undefined> {
  return valueIn(await redis.send<string | null>(key, 'HGET', key, field));
}

function valueIn<T>(text: string | null): T | undefined {
  return text === null ? undefined : (JSON.parse(text) as T);
}

/** Reads all records of a table, in the order of their keys. */
export async function readAll<T>(redis: Redis, key: string): Promise<[key: string, value: T][]> {
  return entriesIn(await redis.send<string[]>(key, 'HGETALL', key));
}

function entriesIn<T>(texts: readonly string[]): [key: string, value: T][] {
  const entries: [string, T][] = [];
  for (let i = 0; i + 1 < texts.length; i += 2) entries.push([texts[i] as string, JSON.parse(texts[i + 1] as string)]);
  return inOrder(entries);
}

function inOrder<T>(entries: [string, T][]): [string, T][] {
  return entries.sort(([a], [b]) => (a < b ? -1 : 1));
}
