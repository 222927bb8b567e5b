/**
 * Readers turn input (the stream, answers, stored settings) into typed values. Input of another shape is skipped and
 * counted: it must never stop the dashboard. Readers copy the properties they know, so results have no others.
 */
import { signal } from '@preact/signals';

/** Returns the value as a T, or undefined if it is not one. */
export type ValueReader<T> = (value: unknown) => T | undefined;

export type Readers<T> = { readonly [K in keyof T]: ValueReader<T[K]> };

/** Number of events and list entries that could not be read so far. */
export const unreadable = signal(0);

/** Reads a value, and counts it if it cannot be read. */
export function readOrCount<T>(reader: ValueReader<T>, value: unknown): T | undefined {
  const read = reader(value);
  if (read === undefined) unreadable.value = unreadable.peek() + 1;
  return read;
}

/** The value of a JSON text; undefined if it is not JSON. */
export function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** End of the year 9999: later dates have another text form (ECMA-262, 21.4.1.32), which charts cannot show. */
const MAX_TIME = 253_402_300_799_999;
/** Longer than any text from the server, which limits pages to 1,024 bytes and all other texts to less. */
const MAX_TEXT = 4096;

/** True for a time that can be shown as a date, Unix ms. */
export function isTimeValue(t: unknown): t is number {
  return typeof t === 'number' && t >= 0 && t <= MAX_TIME;
}

/** Unix ms. */
export function time(value: unknown): number | undefined {
  return isTimeValue(value) ? value : undefined;
}

/** Unix ms, or NaN for a number that is not a time: an entry without its time is better than no entry. */
export function timeOrNaN(value: unknown): number | undefined {
  return typeof value === 'number' ? (time(value) ?? Number.NaN) : undefined;
}

/** A text, cut to its maximum length. */
export function textValue(value: unknown): string | undefined {
  return typeof value === 'string' ? value.slice(0, MAX_TEXT) : undefined;
}

export function flag(value: unknown): boolean | undefined {
  return typeof value === 'boolean' ? value : undefined;
}

/** A number, clamped to the limits. */
export function within(min: number, max: number): ValueReader<number> {
  return (value) => (typeof value === 'number' ? Math.min(Math.max(value, min), max) : undefined);
}

/** A number that can be counted and drawn. */
export const number = within(-Number.MAX_SAFE_INTEGER, Number.MAX_SAFE_INTEGER);
/** The same, not below 0. */
export const count = within(0, Number.MAX_SAFE_INTEGER);

/** One of the given texts. */
export function oneOf<const T extends string>(values: readonly T[]): ValueReader<T> {
  return (value) => values.find((one) => one === value);
}

export function orNull<T>(reader: ValueReader<T>): ValueReader<T | null> {
  return (value) => (value === null ? null : reader(value));
}

/** Falls back to `other` if the value is missing or cannot be read. */
export function orElse<T>(reader: ValueReader<T>, other: NoInfer<T>): ValueReader<T> {
  return (value) => reader(value) ?? other;
}

/** A list. Entries that cannot be read are left out and counted. */
export function list<T>(reader: ValueReader<T>): ValueReader<T[]> {
  return (value) => {
    if (!Array.isArray(value)) return undefined;
    return value.map((one) => readOrCount(reader, one)).filter((one) => one !== undefined);
  };
}

/** A list of numbers, undefined if an entry is not a number. It is not copied, because it may be long. */
export function numbers(value: unknown): number[] | undefined {
  return Array.isArray(value) && value.every(Number.isFinite) ? value : undefined;
}

/** A list of a fixed number of values. */
export function tuple<T extends unknown[]>(...readers: { [I in keyof T]: ValueReader<T[I]> }): ValueReader<T> {
  return (value) => {
    if (!Array.isArray(value) || value.length !== readers.length) return undefined;
    const read = readers.map((reader, i) => reader(value[i]));
    return read.includes(undefined) ? undefined : (read as T);
  };
}

/** An object with these properties. Optional properties that cannot be read are left out. */
export function objectOf<T extends object, O extends object = object>(
  required: Readers<T>,
  optional?: Readers<O>,
): ValueReader<T & Partial<O>> {
  const [must, may] = [entriesOf(required), entriesOf(optional ?? {})];
  return (value) => {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined;
    const own = (name: string) => (Object.hasOwn(value, name) ? (value as Record<string, unknown>)[name] : undefined);
    const read: Record<string, unknown> = {};
    for (const [name, reader] of must) {
      read[name] = reader(own(name));
      if (read[name] === undefined) return undefined;
    }
    for (const [name, reader] of may) {
      const one = reader(own(name));
      if (one !== undefined) read[name] = one;
    }
    return read as T & Partial<O>;
  };
}

function entriesOf(readers: object): [string, ValueReader<unknown>][] {
  return Object.entries(readers);
}

/** Reads an object with the properties of both shapes. */
export function both<A extends object, B extends object>(
  first: ValueReader<A>,
  second: ValueReader<B>,
): ValueReader<A & B> {
  return (value) => {
    const [a, b] = [first(value), second(value)];
    return a && b && { ...a, ...b };
  };
}
