/**
 * How each mark is written and read: in frames and runs, by JSON clients, and in lines of an export. The tracker has
 * its own, shorter encoder (encode.ts).
 */
import { type Mark, type MarkFields, POINTERS } from '../model/mark.ts';
import { MAX_TEXT } from '../model/text.ts';
import { FrameError } from './frame-error.ts';
import * as json from './json-value.ts';
import { ELEMENT_SCALE, MAX_COORDINATE } from './limits.ts';
import { coordinate, type Reader } from './reader.ts';

/** The place that the next place is relative to, page pixels. */
type Place = Record<'x' | 'y', number>;

/** The part of a Writer that marks use. */
type MarkWriter = Record<'byte' | 'varint' | 'zigzag', (value: number) => void> & { text(value: string): void };

/** Checks values of an export. Each method throws an error with `name` if the value is invalid. */
interface ValueChecks {
  int(value: unknown, least: number, most: number, name: string): number;
  boolean(value: unknown, name: string): boolean;
  text(value: unknown, most: number, name: string): string;
  oneOf<T extends string>(value: unknown, known: readonly T[], name: string): T;
}

/** One field of a mark. */
interface Field<V> {
  readonly jsonType: 'number' | 'string' | 'boolean';
  /** Throws FrameError. */
  read(r: Reader, from: Place): V;
  write(out: MarkWriter, value: V, from: Place): void;
  /** Reads member `name` of an object of a JSON client. Throws FrameError. */
  fromJson(item: Record<string, unknown>, name: string): V;
  /** Reads a value of an export. `name` is the name of the sample. */
  fromLine(check: ValueChecks, value: unknown, name: string): V;
}

/** A whole number from `least` to `most`. */
function number(least: number, most: number, codec: Pick<Field<number>, 'read' | 'write' | 'fromJson'>): Field<number> {
  return { jsonType: 'number', ...codec, fromLine: (check, value, name) => check.int(value, least, most, name) };
}

function place(axis: 'x' | 'y'): Field<number> {
  return number(-MAX_COORDINATE, MAX_COORDINATE, {
    read: (r, from) => coordinate(from[axis] + r.zigzag()),
    write(out, value, from) {
      out.zigzag(value - from[axis]);
      from[axis] = value;
    },
    fromJson: (item, name) => json.readPixel(item[name], name),
  });
}

/** A length in pixels. JSON clients may omit it if they send `preset`. */
function extent(preset?: string): Field<number> {
  return number(0, MAX_COORDINATE, {
    read: (r) => r.extent(),
    write: (out, value) => out.varint(value),
    fromJson: (item, name) => json.readExtent(item[name] ?? (preset && item[preset]), name),
  });
}

/** A number that is clamped to `most`, in frames a byte or a varint. JSON clients may omit it: 0. */
function clamped(most: number, unit: 'byte' | 'varint'): Field<number> {
  return number(0, most, {
    read: (r) => Math.min(r[unit](), most),
    write: (out, value) => out[unit](value),
    fromJson: (item, name) => Math.min(json.readExtent(item[name] ?? 0, name), most),
  });
}

/** A text of at most `most` bytes. */
function text(most: number): Field<string> {
  return {
    jsonType: 'string',
    read: (r) => r.text(most),
    write: (out, value) => out.text(value),
    fromJson: (item, name) => json.readText(item[name], name, most),
    fromLine: (check, value, name) => check.text(value, most, name),
  };
}

const visible: Field<boolean> = {
  jsonType: 'boolean',
  read: (r) => r.byte() !== 0,
  write: (out, value) => out.byte(value ? 1 : 0),
  fromJson: (item, name) => item[name] === true,
  fromLine: (check, value, name) => check.boolean(value, name),
};

const pointer: Field<(typeof POINTERS)[number]> = {
  jsonType: 'string',
  read(r) {
    const kind = POINTERS[r.byte()];
    if (kind === undefined) throw new FrameError('bad-type', 'pointer');
    return kind;
  },
  write: (out, value) => out.byte(POINTERS.indexOf(value)),
  fromJson: unknownType,
  fromLine: (check, value, name) => check.oneOf(value, POINTERS, name),
};

/** A mark is written as its index in this table and its fields in this order. Add new marks at the end. */
const MARKS: { readonly [T in Mark['type']]: { readonly [F in keyof MarkFields<T>]: Field<MarkFields<T>[F]> } } = {
  click: {
    x: place('x'),
    y: place('y'),
    button: clamped(255, 'byte'),
    ex: clamped(ELEMENT_SCALE, 'varint'),
    ey: clamped(ELEMENT_SCALE, 'varint'),
    selector: text(MAX_TEXT.selector),
  },
  page: { page: text(MAX_TEXT.page) },
  resize: { vw: extent(), vh: extent(), dw: extent('vw'), dh: extent('vh') },
  visibility: { visible },
  pointer: { pointer },
};

const TYPES = Object.keys(MARKS);
const FIELDS: ReadonlyMap<unknown, [name: string, field: Field<unknown>][]> = new Map(
  Object.entries(MARKS).map(([type, fields]) => [type, Object.entries<Field<unknown>>(fields)]),
);

/** The fields of a mark in the order of the table. Throws FrameError if the type is unknown. */
export function fieldsOf(type: unknown) {
  return FIELDS.get(type) ?? unknownType();
}

/** Reads a mark after a sample at `x`, `y`. Throws FrameError. */
export function readMark(r: Reader, x: number, y: number): Mark {
  const from = { x, y };
  const index = r.varint();
  const type = TYPES[index];
  if (type === undefined) throw new FrameError('bad-type', `mark ${index}`);
  return make(type, ({ read }) => read(r, from));
}

/** Writes a mark after a sample at `from`, and moves `from` to the place of the mark. */
export function writeMark(out: MarkWriter, mark: Mark, from: Place): void {
  out.byte(TYPES.indexOf(mark.type));
  const values: Record<string, unknown> = mark;
  for (const [name, { write }] of fieldsOf(mark.type)) write(out, values[name], from);
}

/** Reads a mark from an object of a JSON client. Throws FrameError. */
export function markFromJson(item: Record<string, unknown>): Mark {
  return make(item.type, ({ fromJson }, name) => fromJson(item, name));
}

/** The name and values of a mark in an export: `shown` or `hidden` for a visibility, its type for all others. */
export function markToLine(mark: Mark): [name: string, ...values: unknown[]] {
  if (mark.type === 'visibility') return [mark.visible ? 'shown' : 'hidden'];
  const values: Record<string, unknown> = mark;
  return [mark.type, ...fieldsOf(mark.type).map(([name]) => values[name])];
}

/** Reads what `markToLine` returns; undefined if the mark is of an unknown kind. Throws as `check` does. */
export function markFromLine(
  [name, ...values]: readonly unknown[],
  check: ValueChecks,
  sample: string,
): Mark | undefined {
  if (name === 'shown' || name === 'hidden') return { type: 'visibility', visible: name === 'shown' };
  if (name === 'visibility' || !FIELDS.has(name)) return undefined;
  const next = values.values();
  return make(name, ({ fromLine }) => fromLine(check, next.next().value, sample));
}

function make(type: unknown, read: (field: Field<unknown>, name: string) => unknown): Mark {
  const mark: Record<string, unknown> = { type };
  for (const [name, field] of fieldsOf(type)) mark[name] = read(field, name);
  return mark as unknown as Mark;
}

function unknownType(): never {
  throw new FrameError('bad-type', 'unknown sample type');
}
