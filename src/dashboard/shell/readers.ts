/**
 * Readers turn what comes from outside (the stream, answers, what a browser keeps) into values of a type. What has
 * another shape is passed over and counted: it must never stop the dashboard. Readers copy what they know, so nothing
 * unexpected comes with it.
 */
import { signal } from '@preact/signals';

/** The value as a T, or undefined if it is none. */
export type ValueReader<T> = (value: unknown) => T | undefined;

type Readers<T> = { readonly [K in keyof T]: ValueReader<T[K]> };

/** How many events and entries of lists could not be read so far. */
export const unreadable = signal(0);

/** Reads a value, and counts it if it cannot be read. */
export function readOrCount<T>(reader: ValueReader<T>, value: unknown): T | undefined {
  const read = reader(value);
  if (read === undefined) unreadable.value = unreadable.peek() + 1;
  return read;
}

/** The value of a JSON text, or undefined if it is none. */
export function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** The last millisecond of the year 9999: later times have other forms (ECMA-262, section 21.4.1.32), and charts cannot name them. */
const MAX_TIME = 253_402_300_799_999;
/** Longer than any text that the server sends: it limits pages to 1,024 bytes and everything else to less. */
const MAX_TEXT = 4096;

/** True for Unix ms that a date can have. */
export function isTime(t: unknown): t is number {
  return typeof t === 'number' && t >= 0 && t <= MAX_TIME;
}

/** Unix ms. */
export function time(value: unknown): number | undefined {
  return isTime(value) ? value : undefined;
}

/** Unix ms, or NaN for a number that is no time: who did something is worth more than when. */
export function timeOrNaN(value: unknown): number | undefined {
  return typeof value === 'number' ? (time(value) ?? Number.NaN) : undefined;
}

/** A text; of one that is too long the beginning. */
export function text(value: unknown): string | undefined {
  return typeof value === 'string' ? value.slice(0, MAX_TEXT) : undefined;
}

export function flag(value: unknown): boolean | undefined {
  return typeof value === 'boolean' ? value : undefined;
}

/** A number; what is outside of the limits becomes the nearest limit. */
export function within(min: number, max: number): ValueReader<number> {
  return (value) => (typeof value === 'number' ? Math.min(Math.max(value, min), max) : undefined);
}

/** A number that can be counted and drawn. */
export const number = within(-Number.MAX_SAFE_INTEGER, Number.MAX_SAFE_INTEGER);
/** The same, not below 0. */
export const count = within(0, Number.MAX_SAFE_INTEGER);

/** One of these texts. */
export function oneOf<const T extends string>(values: readonly T[]): ValueReader<T> {
  return (value) => values.find((one) => one === value);
}

export function orNull<T>(reader: ValueReader<T>): ValueReader<T | null> {
  return (value) => (value === null ? null : reader(value));
}

/** Takes `other` where there is nothing, or nothing that can be read. */
export function orElse<T>(reader: ValueReader<T>, other: NoInfer<T>): ValueReader<T> {
  return (value) => reader(value) ?? other;
}

/** A list; entries that cannot be read are left out and counted. */
export function list<T>(reader: ValueReader<T>): ValueReader<T[]> {
  return (value) => {
    if (!Array.isArray(value)) return undefined;
    return value.map((one) => readOrCount(reader, one)).filter((one) => one !== undefined);
  };
}

/** A list of numbers, whole or not at all. The list itself: it may be long. */
export function numbers(value: unknown): number[] | undefined {
  return Array.isArray(value) && value.every(Number.isFinite) ? value : undefined;
}

/** A list of just so many values. */
export function tuple<T extends unknown[]>(...readers: { [I in keyof T]: ValueReader<T[I]> }): ValueReader<T> {
  return (value) => {
    if (!Array.isArray(value) || value.length !== readers.length) return undefined;
    const read = readers.map((reader, i) => reader(value[i]));
    return read.includes(undefined) ? undefined : (read as T);
  };
}

/** An object with these properties. Of the optional ones, those that cannot be read are left out. */
export function shape<T extends object, O extends object = object>(
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

/** What two shapes have together. */
export function both<A extends object, B extends object>(
  first: ValueReader<A>,
  second: ValueReader<B>,
): ValueReader<A & B> {
  return (value) => {
    const [a, b] = [first(value), second(value)];
    return a && b && { ...a, ...b };
  };
}
