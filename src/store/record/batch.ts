/**
 * What the workers give to a store: frames of many visits, in the order they came, as bytes. A batch says all that is
 * needed to read it.
 *
 * After one byte for the format come entries, each led by a byte for its kind (writer.ts has the parts):
 *   place  bytes: text id, text site, text page, varints vw vh dw dh. The next number from 0 stands for it in this batch
 *   about  text: what is told of the visit of the last place, as JSON
 *   frame  varint place, varint number, byte (a FLAG, or 0), bytes: payload as in a `samples` frame, times in Unix ms
 *   run    as a frame, behind a varint for how many frames it is: as it was kept elsewhere, not to be cut
 */

import type { Device, Visitor } from '../../model/visitor.ts';
import type { SampleBuffer } from '../../protocol/frame.ts';
import { FrameError } from '../../protocol/frame-error.ts';
import { RUN_MS } from '../../protocol/passages.ts';
import { Reader } from '../../protocol/reader.ts';
import { type Pen, Writer } from '../../protocol/writer.ts';

const FORMAT = 1;
/** Where the first entry's parts begin: behind the format and the entry's kind. */
const FIRST_PLACE = 2;
const ENTRY = { place: 0, about: 1, frame: 2, run: 3 } as const;
/** Of a frame. entered: the page was loaded · late: it came when its visitor had left the page for the next one */
const FLAG = { entered: 1, late: 2 } as const;
/** Longest text in a batch, bytes; what visitors send is shorter. */
const MAX_TEXT = 8192;
/** A sample may not be older than its frame by more, milliseconds. */
const MAX_AGE_MS = 24 * 3_600_000;

/** A visit on a page, in a window. */
export interface PlaceEntry {
  id: string;
  site: string;
  page: string;
  size: Visitor['size'];
}

/** What is told of a visit once, and when it changes. */
export interface AboutVisit {
  since: number;
  device: Device;
  language: string;
  referrer: string;
  origin: string;
  country: string;
  label: string;
  /** Of a visit that was kept elsewhere: not all of it was. */
  truncated?: boolean;
}

/** A frame as a batch holds it. */
export interface BatchFrame {
  place: PlaceEntry;
  n: number;
  /** It is a whole run of so many frames. */
  frames: number | undefined;
  /** Time that the payload begins with. */
  t: number;
  entered: boolean;
  /** It came when its visitor had left the page for the next one. */
  late: boolean;
  /** The payload is these bytes from `from` to `to`. */
  bytes: Uint8Array;
  from: number;
  to: number;
}

/** A place as a writer knows it: kept by the caller, so that it need be written once only per batch. */
export class PlaceMark {
  readonly place: PlaceEntry;
  /** As a batch has it. */
  readonly bytes: Uint8Array;
  /** Number within the batch `batch`. */
  no = 0;
  batch = 0;

  constructor(place: PlaceEntry) {
    this.place = place;
    this.bytes = encodePlace(place);
  }
}

/** Longest text in what is told of a visit, characters; each may take six in JSON. */
const MAX_TOLD = 200;

/** What is told, as it can be read again whatever a visitor sends. */
function boundedAbout({ since, device, truncated, ...texts }: AboutVisit): AboutVisit {
  const { language, referrer, origin, country, label } = texts;
  const cut = (text: string) => text.slice(0, MAX_TOLD);
  const bounded = { language: cut(language), referrer: cut(referrer), origin: cut(origin) };
  const told = { since, device, ...bounded, country: cut(country), label: cut(label) };
  return truncated ? { ...told, truncated } : told;
}

const scratch = new Writer(512);

function encodePlace({ id, site, page, size }: PlaceEntry): Uint8Array {
  scratch.clear();
  scratch.text(id);
  scratch.text(site);
  scratch.text(page);
  for (const extent of size) scratch.varint(extent);
  return scratch.copy();
}

export class BatchWriter {
  readonly #out = new Writer(4096);
  readonly #payload = new Writer(4096);
  readonly #pen: Pen = { time: 0, x: 0, y: 0 };
  #places = 0;
  /** Of the batch being written. */
  #batch = nextBatch();

  constructor() {
    this.#out.byte(FORMAT);
  }

  get isEmpty(): boolean {
    return this.#places === 0;
  }

  /** Bytes so far. */
  get length(): number {
    return this.#out.length;
  }

  /** Tells of a visit; what is told later counts. */
  about(mark: PlaceMark, about: AboutVisit): void {
    this.#writePlace(mark);
    this.#out.byte(ENTRY.about);
    this.#out.text(JSON.stringify(boundedAbout(about)));
  }

  /** Adds a frame. `shift` makes its times Unix ms; `now` is Unix ms too. `late`: its visitor has left that page. */
  frame(
    mark: PlaceMark,
    n: number,
    entered: boolean,
    samples: SampleBuffer,
    shift: number,
    now: number,
    late = false,
  ): void {
    const payload = this.#payload;
    const { count } = samples;
    const first = count > 0 ? (samples.time[0] as number) + shift : now;
    const last = count > 0 ? lastTime(samples) + shift : now;
    const time = Math.max(first, last - RUN_MS, now - MAX_AGE_MS);
    payload.clear();
    payload.varint(time);
    this.#pen.time = time;
    this.#pen.x = 0;
    this.#pen.y = 0;
    payload.allSamples(this.#pen, samples, shift);
    if (mark.batch !== this.#batch) this.#writePlace(mark);
    this.#out.byte(ENTRY.frame);
    this.#out.varint(mark.no);
    this.#out.varint(n);
    this.#out.byte(entered ? FLAG.entered : late ? FLAG.late : 0);
    this.#out.nested(payload);
  }

  /** Adds a run of `frames` frames. Its payload is as a frame's. */
  run(mark: PlaceMark, n: number, frames: number, entered: boolean, payload: Uint8Array): void {
    if (mark.batch !== this.#batch) this.#writePlace(mark);
    this.#out.byte(ENTRY.run);
    this.#out.varint(frames);
    this.#out.varint(mark.no);
    this.#out.varint(n);
    this.#out.byte(entered ? FLAG.entered : 0);
    this.#out.bytes(payload);
  }

  /** Adds a frame or run of another batch as it is. */
  copy(mark: PlaceMark, { n, frames, entered, late, bytes, from, to }: BatchFrame): void {
    if (mark.batch !== this.#batch) this.#writePlace(mark);
    this.#out.byte(frames === undefined ? ENTRY.frame : ENTRY.run);
    if (frames !== undefined) this.#out.varint(frames);
    this.#out.varint(mark.no);
    this.#out.varint(n);
    this.#out.byte(entered ? FLAG.entered : late ? FLAG.late : 0);
    this.#out.bytes(bytes.subarray(from, to));
  }

  #writePlace(mark: PlaceMark): void {
    mark.batch = this.#batch;
    mark.no = this.#places++;
    this.#out.byte(ENTRY.place);
    this.#out.bytes(mark.bytes);
  }

  /** The batch; what comes later goes into another. */
  take(): Uint8Array {
    const bytes = this.#out.copy();
    this.#out.clear();
    this.#out.byte(FORMAT);
    this.#places = 0;
    this.#batch = nextBatch();
    return bytes;
  }
}

/** The latest time; samples of JSON clients come in any order. */
function lastTime({ count, time }: SampleBuffer): number {
  let last = time[0] as number;
  for (let i = 1; i < count; i++) last = Math.max(last, time[i] as number);
  return last;
}

let batches = 0;

/** No two batches of any writers have the same number, so that a mark can go from one to another. */
function nextBatch(): number {
  batches += 1;
  return batches;
}

/** Gets what a batch holds, in its order. */
export interface BatchListener {
  about(id: string, about: AboutVisit): void;
  frame(frame: BatchFrame): void;
}

/** Places that were read, by a hash of their bytes: the same come again in batch after batch. */
export type KnownPlaces = Map<number, { bytes: Uint8Array; place: PlaceEntry }>;

/** Reads a batch. Throws FrameError if it is none. */
export function readBatch(bytes: Uint8Array, listener: BatchListener, known: KnownPlaces = new Map()): void {
  const r = new Reader(bytes, 0, bytes.length);
  if (r.byte() !== FORMAT) throw new FrameError('bad-type', 'a batch of a later format');
  const places: PlaceEntry[] = [];
  while (!r.atEnd()) {
    const kind = r.byte();
    if (kind === ENTRY.place) places.push(readPlace(r.take(r.varint()), known));
    else if (kind === ENTRY.about) listener.about(at(places, places.length - 1).id, readAbout(r));
    else if (kind === ENTRY.frame) listener.frame(readFrame(r, bytes, places, undefined));
    else if (kind === ENTRY.run) listener.frame(readFrame(r, bytes, places, r.varint()));
    else throw new FrameError('bad-type', `entry ${kind}`);
  }
}

function readFrame(
  r: Reader,
  bytes: Uint8Array,
  places: readonly PlaceEntry[],
  frames: number | undefined,
): BatchFrame {
  const place = at(places, r.varint());
  const n = r.varint();
  const flag = r.byte();
  const length = r.varint();
  const from = r.offset;
  const t = r.varint();
  r.skipTo(from + length);
  const [entered, late] = [flag === FLAG.entered, flag === FLAG.late];
  return { place, n, frames, t, entered, late, bytes, from, to: from + length };
}

function at(places: readonly PlaceEntry[], no: number): PlaceEntry {
  const place = places[no];
  if (!place) throw new FrameError('bad-number', `place ${no}`);
  return place;
}

function readAbout(r: Reader): AboutVisit {
  const text = r.text(MAX_TEXT);
  try {
    return JSON.parse(text) as AboutVisit;
  } catch {
    throw new FrameError('bad-json', 'the description of a visit');
  }
}

function readPlace(bytes: Uint8Array, known: KnownPlaces): PlaceEntry {
  const key = hashOf(bytes);
  const one = known.get(key);
  if (one && isSame(one.bytes, bytes)) return one.place;
  const place = decodePlace(new Reader(bytes, 0, bytes.length));
  known.set(key, { bytes, place });
  return place;
}

function hashOf(bytes: Uint8Array): number {
  let hash = 0;
  for (let i = 0; i < bytes.length; i++) hash = (31 * hash + (bytes[i] as number)) | 0;
  return hash;
}

function isSame(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}

function decodePlace(r: Reader): PlaceEntry {
  const id = r.text(MAX_TEXT);
  const site = r.text(MAX_TEXT);
  const page = r.text(MAX_TEXT);
  return { id, site, page, size: [r.varint(), r.varint(), r.varint(), r.varint()] };
}

/** Tells the id and the site of each place of a batch. Throws FrameError if it is none. */
export function readVisits(bytes: Uint8Array, tell: (id: string, site: string) => void): void {
  const r = new Reader(bytes, 0, bytes.length);
  if (r.byte() !== FORMAT) throw new FrameError('bad-type', 'a batch of a later format');
  while (!r.atEnd()) {
    const kind = r.byte();
    if (kind === ENTRY.frame || kind === ENTRY.run) {
      for (let i = kind === ENTRY.run ? 0 : 1; i < 3; i++) r.varint();
      r.byte();
    }
    const end = r.varint() + r.offset;
    if (kind === ENTRY.place) tell(r.text(MAX_TEXT), r.text(MAX_TEXT));
    r.skipTo(end);
  }
}

/** Id and site of the first visit that a batch tells of, be it whole or not. Throws FrameError if there is none. */
export function firstVisit(bytes: Uint8Array): [id: string, site: string] {
  const r = new Reader(bytes, FIRST_PLACE, bytes.length);
  r.varint();
  return [r.text(MAX_TEXT), r.text(MAX_TEXT)];
}

/** Id of the first visit that a batch tells of: a batch begins with a place. */
export function firstId(bytes: Uint8Array): string {
  const r = new Reader(bytes, FIRST_PLACE, bytes.length);
  r.varint();
  return r.text(MAX_TEXT);
}
