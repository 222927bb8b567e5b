/**
 * Changes that are being made: what they read is read once, what they write is seen by those that come after them, and all of it
 * is committed in one step, if nobody else has changed anything since it was begun. Everything is kept in hashes, as JSON.
 */
import type { Note } from '../../model/audit.ts';
import type { Command, Redis } from '../../redis/connection.ts';
import { commonKey } from '../../redis/keys.ts';
import { type Read, TrailDraft } from './redis-trail.ts';

/** Counts the commits. */
export const VERSION_KEY = commonKey('version');

export type TableName = 'sites' | 'admins' | 'tokens' | 'links' | 'sessions';

export class Draft {
  readonly #redis: Redis;
  /** The commits there were when something was read first; undefined: nothing was. */
  #version: number | undefined;
  readonly #tables = new Map<TableName, Table>();
  readonly #commands: Command[] = [];
  readonly #trail: TrailDraft;

  constructor(redis: Redis) {
    this.#redis = redis;
    this.#trail = new TrailDraft(this.#read);
  }

  /**
   * Reads together with the number of commits: if there is another one by the time of this one's, this one is not made.
   */
  readonly #read: Read = async <T>(...command: Command) => {
    const [version, found] = await this.#redis.gather<unknown>(VERSION_KEY, [['GET', VERSION_KEY], command]);
    // Every store has one: Redis may have lost its data.
    if (version == null) await this.#redis.verify();
    this.#version = Math.min(this.#version ?? Number.POSITIVE_INFINITY, Number(version ?? 0));
    return found as T;
  };

  table<T>(name: TableName): Table<T> {
    const known = this.#tables.get(name);
    if (known) return known as Table<T>;
    const table = new Table<T>(this.#read, name);
    this.#tables.set(name, table as Table);
    return table;
  }

  /** Reads what a note needs, so that it need not be waited for later. */
  async prepareNote(): Promise<void> {
    await this.#trail.prepare();
  }

  /** Adds a note to the audit trail, if there is any. */
  async note(note: Note | undefined): Promise<void> {
    if (note !== undefined) await this.#trail.add(note);
  }

  /** Has a command run with the commit. */
  command(...command: Command): void {
    this.#commands.push(command);
  }

  /** False, and nothing is done, if somebody else has changed something meanwhile. `release`: also when there is no room. */
  async commit(release: boolean): Promise<boolean> {
    const commands = [...this.#commands, ...this.#trail.commands()];
    for (const table of this.#tables.values()) commands.push(...table.commands());
    const version = this.#version === undefined ? null : String(this.#version);
    return commands.length === 0 || this.#redis.commit(VERSION_KEY, version, commands, release);
  }
}

/** A table with what is to be changed in it. */
export class Table<T = unknown> {
  readonly #read: Read;
  readonly #key: string;
  /** What was read or is to be written; null: there is none. */
  readonly #known = new Map<string, T | null>();
  readonly #changed = new Set<string>();
  #isWhole = false;

  constructor(read: Read, name: TableName) {
    this.#read = read;
    this.#key = commonKey(name);
  }

  async get(field: string): Promise<T | undefined> {
    const known = this.#known.get(field);
    if (known !== undefined || this.#isWhole) return known ?? undefined;
    const value = valueIn<T>(await this.#read('HGET', this.#key, field));
    this.#known.set(field, value ?? null);
    return value;
  }

  /** All there are, in the order of their fields. */
  async all(): Promise<[field: string, value: T][]> {
    if (!this.#isWhole) {
      const read = entriesIn<T>(await this.#read('HGETALL', this.#key));
      for (const [field, value] of read) if (!this.#known.has(field)) this.#known.set(field, value);
      this.#isWhole = true;
    }
    const present = [...this.#known].filter((entry): entry is [string, T & {}] => entry[1] !== null);
    return inOrder(present);
  }

  put(field: string, value: T): void {
    this.#known.set(field, value);
    this.#changed.add(field);
  }

  remove(field: string): void {
    this.#known.set(field, null);
    this.#changed.add(field);
  }

  *commands(): Generator<Command> {
    for (const field of this.#changed) {
      const value = this.#known.get(field) ?? null;
      yield value === null ? ['HDEL', this.#key, field] : ['HSET', this.#key, field, JSON.stringify(value)];
    }
  }
}

/** The entry of a table, as it is now. */
export async function readOne<T>(redis: Redis, key: string, field: string): Promise<T | undefined> {
  return valueIn(await redis.send<string | null>(key, 'HGET', key, field));
}

function valueIn<T>(text: string | null): T | undefined {
  return text === null ? undefined : (JSON.parse(text) as T);
}

/** All entries of a table, as they are now, in the order of their fields. */
export async function readAll<T>(redis: Redis, key: string): Promise<[field: string, value: T][]> {
  return entriesIn(await redis.send<string[]>(key, 'HGETALL', key));
}

function entriesIn<T>(texts: readonly string[]): [field: string, value: T][] {
  const entries: [string, T][] = [];
  for (let i = 0; i + 1 < texts.length; i += 2) entries.push([texts[i] as string, JSON.parse(texts[i + 1] as string)]);
  return inOrder(entries);
}

function inOrder<T>(entries: [string, T][]): [string, T][] {
  return entries.sort(([a], [b]) => (a < b ? -1 : 1));
}
