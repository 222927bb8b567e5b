/**
 * Opens tables so that damaged entries do no harm. LMDB has no checksums: bytes that changed on the disk may be no
 * value any more, or a value that nobody wrote. Such an entry is treated as missing, and is reported. Otherwise each
 * reader would fail in its own way, and a worker that keeps failing is restarted forever.
 */
import type { Database, Key, RootDatabase } from 'lmdb';

/** Returns true for a value that may have been written. */
export type ValueCheck = (value: unknown) => boolean;

/** Called with a short description of the damage. */
export type OnDamage = (what: string) => void;

export const isNumber: ValueCheck = (value) => typeof value === 'number' && Number.isFinite(value);
export const isText: ValueCheck = (value) => typeof value === 'string';
export const isAny: ValueCheck = () => true;

export function isList(of: ValueCheck, length?: number): ValueCheck {
  return (value) => Array.isArray(value) && (length === undefined || value.length === length) && value.every(of);
}

/** Accepts an object whose fields pass the checks in `fields`; it may have others. */
export function isRecord(fields: Readonly<Record<string, ValueCheck>>): ValueCheck {
  const checks = Object.entries(fields);
  return (value) =>
    typeof value === 'object' &&
    value !== null &&
    checks.every(([name, check]) => check((value as Record<string, unknown>)[name]));
}

export function isOptional(check: ValueCheck): ValueCheck {
  return (value) => value === undefined || check(value);
}

export function isNullOr(check: ValueCheck): ValueCheck {
  return (value) => value === null || check(value);
}

/** Types of a key's parts. A single type means that the key is no list. */
export type KeyShape = 'text' | 'number' | readonly ('text' | 'number')[];

export interface TableOptions {
  key: KeyShape;
  /** Checks values. Without it, values are bytes, which their readers check. */
  value?: ValueCheck;
  onDamage?: OnDamage | undefined;
}

/** Members of lmdb's tables that are not in its types. */
interface Inner {
  decoder?: { decode(bytes: Uint8Array, options?: unknown): unknown };
  readKey(bytes: Uint8Array, start: number, end: number): unknown;
  getRange(options?: InnerRange): Range;
}

interface InnerRange {
  values?: boolean;
  limit?: number;
  onlyCount?: boolean;
}

interface Range extends Iterable<unknown> {
  filter(keep: (item: unknown) => boolean): Range;
}

/** Result for a key that cannot be read; no table has such a key. */
const NO_KEY = Symbol('damaged key');

export function openTable<V, K extends Key>(
  root: RootDatabase,
  name: string,
  { key, value, onDamage }: TableOptions,
): Database<V, K> {
  const table = root.openDB<V, K>(name, value ? {} : { encoding: 'binary' });
  const inner = table as unknown as Inner;
  const report = (fault: string) => onDamage?.(`an entry of the table ${name}: ${fault}`);
  if (value) guardValues(inner, value, report);
  guardKeys(inner, isKey(key), report);
  return table;
}

function guardValues(table: Inner, isValid: ValueCheck, report: OnDamage): void {
  const decoder = table.decoder as NonNullable<Inner['decoder']>;
  const decode = (bytes: Uint8Array, options?: unknown) => {
    try {
      const value = decoder.decode(bytes, options);
      if (isValid(value)) return value;
      report('its value cannot have been written');
    } catch (error) {
      report((error as Error).message);
    }
    return undefined;
  };
  table.decoder = Object.assign(Object.create(decoder) as object, { decode });
}

/** Leaves entries with an invalid key or value out of ranges. */
function guardKeys(table: Inner, isValid: ValueCheck, report: OnDamage): void {
  const { readKey, getRange } = table;
  table.readKey = (bytes, start, end) => {
    try {
      const key = readKey(bytes, start, end);
      if (isValid(key)) return key;
      report('its key cannot have been written');
    } catch (error) {
      report((error as Error).message);
    }
    return NO_KEY;
  };
  table.getRange = (options = {}) => {
    if (options.onlyCount) return getRange.call(table, options);
    const { limit, ...all } = options;
    const keep = options.values === false ? isSoundKey : isSoundEntry;
    const sound = getRange.call(table, all).filter(keep);
    return limit === undefined ? sound : (take(sound, limit) as unknown as Range);
  };
}

function isSoundKey(key: unknown): boolean {
  return key !== NO_KEY;
}

function isSoundEntry(entry: unknown): boolean {
  const { key, value } = entry as { key: unknown; value: unknown };
  return key !== NO_KEY && value !== undefined;
}

/**
 * LMDB's own limit includes skipped entries: asked for the last entry, it would return none if that one is damaged.
 */
function* take(items: Iterable<unknown>, most: number): Generator<unknown> {
  let left = most;
  if (left <= 0) return;
  for (const item of items) {
    yield item;
    left -= 1;
    if (left === 0) return;
  }
}

const PARTS = { text: isText, number: isNumber } as const;

function isKey(shape: KeyShape): ValueCheck {
  if (typeof shape === 'string') return PARTS[shape];
  const checks = shape.map((part) => PARTS[part]);
  return (key) => Array.isArray(key) && key.length === checks.length && checks.every((check, i) => check(key[i]));
}
