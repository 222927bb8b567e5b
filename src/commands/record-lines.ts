/**
 * The lines of an export, one JSON object each; docs/operations.md describes them. Data from a file is checked against
 * the same limits as data from visitors.
 */

import type { Mark } from '../model/mark.ts';
import { SITE_KEY } from '../model/site.ts';
import { MAX_TEXT } from '../model/text.ts';
import type { Visit } from '../model/visit.ts';
import { DEVICES } from '../model/visitor.ts';
import { decodeSamples, KIND, SampleBuffer } from '../protocol/frame.ts';
import { MAX_COORDINATE } from '../protocol/limits.ts';
import { markFromLine, markToLine } from '../protocol/mark-codec.ts';
import { RUN_SAMPLES } from '../protocol/passages.ts';
import { Writer } from '../protocol/writer.ts';
import type { Run } from '../store/archive.ts';
import type { AboutVisit } from '../store/record/batch.ts';
import { LAST_TIME, MAX_FRAME_NUMBER, MAX_RUN_FRAMES, MAX_RUN_MS } from '../store/record/run-checks.ts';

/** Increased when an earlier version can no longer read the lines of a later one. */
const FORMAT = 1;
/** Maximum length of a text about a visit, bytes. */
const MAX_TEXT_BYTES = 512;

/** An invalid line. `message` says what would be right. */
export class LineFault extends Error {
  override readonly name = 'LineFault';
  /** The line number, if the thrower knows it. */
  readonly no: number | undefined;

  constructor(message: string, no?: number) {
    super(message);
    this.no = no;
  }
}

/** The fields of a visit and of a run that import needs. */
export type KnownVisit = Pick<Visit, 'id' | 'site'> & AboutVisit;
export type KnownRun = Omit<Run, 'until'>;

export type Line =
  | { k: 'header' }
  | { k: 'visit'; visit: KnownVisit }
  | { k: 'run'; run: KnownRun }
  | { k: 'end'; visits: number; runs: number };

const buffer = new SampleBuffer(RUN_SAMPLES);

export function headerLine(version: string, now: number): string {
  return JSON.stringify({ fieldmouse: version, format: FORMAT, exported: new Date(now).toISOString() });
}

export function visitLine(visit: Visit): string {
  return JSON.stringify({ visit });
}

export function endLine(visits: number, runs: number): string {
  return JSON.stringify({ end: { visits, runs } });
}

/** A run with its samples as lists: `dt, x, y` for a move, or `dt`, a word and its values. */
export function runLine({ n, frames, page, size, entered, t, payload }: Run): string {
  decodeSamples(payload, 0, buffer);
  const samples: unknown[] = [];
  let nextMark = 0;
  for (let i = 0; i < buffer.count; i++) {
    const [dt, kind, x, y] = [buffer.time[i], buffer.kind[i], buffer.x[i], buffer.y[i]];
    if (kind === KIND.move) samples.push([dt, x, y]);
    else if (kind === KIND.scroll) samples.push([dt, 'scroll', y]);
    else samples.push([dt, ...markToLine(buffer.marks[nextMark++] as Mark)]);
  }
  return JSON.stringify({ run: { n, frames, page, size, entered, t, samples } });
}

/** Reads a line. Throws LineFault. */
export function readLine(text: string): Line {
  const line = read.object(parse(text), 'the line');
  if (line.fieldmouse !== undefined) return readHeader(line);
  if (line.visit !== undefined) return { k: 'visit', visit: readVisit(read.object(line.visit, 'visit')) };
  if (line.run !== undefined) return { k: 'run', run: readRun(read.object(line.run, 'run')) };
  const end = read.object(line.end, 'the line (fieldmouse, visit, run or end)');
  return { k: 'end', visits: read.count(end.visits, 'visits'), runs: read.count(end.runs, 'runs') };
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new LineFault('it is not JSON');
  }
}

function readHeader({ format }: Record<string, unknown>): Line {
  if (format !== FORMAT) throw new LineFault(`its format is ${JSON.stringify(format)}; this version reads ${FORMAT}`);
  return { k: 'header' };
}

function readVisit(visit: Record<string, unknown>): KnownVisit {
  return {
    id: read.match(visit.id, /^[\w-]{1,64}$/, 'id', '1 to 64 letters, digits, - and _'),
    site: read.match(visit.site, SITE_KEY, 'site', 'up to 40 of a-z, 0-9 and -'),
    since: read.time(visit.since, 'since'),
    device: read.oneOf(visit.device, DEVICES, 'device'),
    language: read.text(visit.language, MAX_TEXT_BYTES, 'language'),
    referrer: read.text(visit.referrer, MAX_TEXT_BYTES, 'referrer'),
    origin: read.text(visit.origin, MAX_TEXT_BYTES, 'origin'),
    country: read.match(visit.country, /^([A-Z]{2})?$/, 'country', 'two capital letters, or empty'),
    label: read.text(visit.label, MAX_TEXT_BYTES, 'label'),
    // Exports of earlier versions do not have this field.
    truncated: visit.truncated !== undefined && read.boolean(visit.truncated, 'truncated'),
  };
}

function readRun(run: Record<string, unknown>): KnownRun {
  const { size, samples } = run;
  if (!Array.isArray(size) || size.length !== 4) throw new LineFault('size is not a list of 4 numbers');
  if (!Array.isArray(samples) || samples.length > RUN_SAMPLES)
    throw new LineFault(`samples is not a list of at most ${RUN_SAMPLES}`);
  return {
    n: read.int(run.n, 1, MAX_FRAME_NUMBER, 'n'),
    frames: read.int(run.frames, 1, MAX_RUN_FRAMES, 'frames'),
    page: read.text(run.page, MAX_TEXT.page, 'page'),
    size: size.map((extent) => read.int(extent, 0, MAX_COORDINATE, 'size')) as Run['size'],
    entered: read.boolean(run.entered, 'entered'),
    t: read.time(run.t, 't'),
    payload: encodeList(samples),
  };
}

const out = new Writer(4096);

function encodeList(samples: readonly unknown[]): Uint8Array {
  buffer.clear();
  let last = 0;
  for (const [i, sample] of samples.entries()) {
    const parts = Array.isArray(sample) ? sample : [];
    last = read.int(parts[0], last, MAX_RUN_MS, `the time of sample ${i + 1}`);
    addSample(last, parts.slice(1), `sample ${i + 1}`);
  }
  out.clear();
  out.varint(0);
  out.samples({ time: 0, x: 0, y: 0 }, buffer, 0, 0, buffer.count);
  return out.copy();
}

function addSample(dt: number, parts: unknown[], name: string): void {
  const [first, second] = parts;
  if (typeof first === 'number') buffer.push(KIND.move, dt, place(first, name), place(second, name));
  else if (first === 'scroll') buffer.push(KIND.scroll, dt, 0, read.int(second, 0, MAX_COORDINATE, name));
  else {
    const mark = markFromLine(parts, read, name);
    if (!mark) throw new LineFault(`${name} is of an unknown kind`);
    buffer.pushMark(mark, dt);
  }
}

function place(value: unknown, name: string): number {
  return read.int(value, -MAX_COORDINATE, MAX_COORDINATE, name);
}

/** Readers of values; each throws LineFault with `name`. */
const read = {
  object(value: unknown, name: string): Record<string, unknown> {
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
    throw new LineFault(`${name} is not an object`);
  },
  int(value: unknown, minimum: number, maximum: number, name: string): number {
    if (Number.isInteger(value) && (value as number) >= minimum && (value as number) <= maximum) return value as number;
    throw new LineFault(`${name} is not a whole number from ${minimum} to ${maximum}`);
  },
  count(value: unknown, name: string): number {
    return read.int(value, 0, Number.MAX_SAFE_INTEGER, name);
  },
  /** Any time that a record can contain: clocks may be ahead, or at 1970. */
  time(value: unknown, name: string): number {
    return read.int(value, 0, LAST_TIME - 1 - MAX_RUN_MS, `${name} (Unix ms)`);
  },
  boolean(value: unknown, name: string): boolean {
    if (typeof value === 'boolean') return value;
    throw new LineFault(`${name} is not true or false`);
  },
  text(value: unknown, maximum: number, name: string): string {
    if (typeof value === 'string' && Buffer.byteLength(value) <= maximum) return value;
    throw new LineFault(`${name} is not a text of at most ${maximum} bytes`);
  },
  match(value: unknown, pattern: RegExp, name: string, right: string): string {
    if (typeof value === 'string' && pattern.test(value)) return value;
    throw new LineFault(`${name} is not ${right}`);
  },
  oneOf<T extends string>(value: unknown, known: readonly T[], name: string): T {
    if (known.includes(value as T)) return value as T;
    throw new LineFault(`${name} is not one of ${known.join(', ')}`);
  },
};
