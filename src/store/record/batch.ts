/**
 * What workers send to a store: frames of many visits, in order of arrival, as bytes. A batch can be read without any
 * other.
 *
 * A format byte is followed by entries, each starting with a byte for its kind (writer.ts has the encodings):
 *   place  bytes: text id, text site, text page, varints vw vh dw dh. Places are numbered from 0 within the batch
 *   about  text: the description of the visit of the last place, as JSON
 *   frame  varint place, varint number, byte (a FLAG, or 0), bytes: payload as in a `samples` frame, times in Unix ms
 *   run    varint number of frames, then as a frame: an imported run, which must not be cut
 */

import type { Device, Visitor } from '../../model/visitor.ts';
import type { SampleBuffer } from '../../protocol/frame.ts';
import { FrameError } from '../../protocol/frame-error.ts';
import { RUN_MS } from '../../protocol/passages.ts';
import { Reader } from '../../protocol/reader.ts';
import { type Pen, Writer } from '../../protocol/writer.ts';

const FORMAT = 1;
/** Offset of the first entry's content: after the format byte and the entry's kind. */
const FIRST_PLACE = 2;
const ENTRY = { place: 0, about: 1, frame: 2, run: 3 } as const;
/**
 * Flags of a frame. entered: the page was loaded · late: it arrived when its visitor had left the page for the next one
 */
const FLAG = { entered: 1, late: 2 } as const;
/** Maximum length of a text in a batch, bytes; what visitors send is shorter. */
const MAX_TEXT = 8192;
/** Maximum age of a sample relative to its frame, milliseconds. */
const MAX_AGE_MS = 24 * 3_600_000;

/** A visit on a page, in a window. */
export interface PlaceEntry {
  id: string;
  site: string;
  page: string;
  size: Visitor['size'];
}

/** The description of a visit, sent once and again when it changes. */
export interface AboutVisit {
  since: number;
  device: Device;
  language: string;
  referrer: string;
  origin: string;
  country: string;
  label: string;
  /** An imported visit that is incomplete. */
  truncated?: boolean;
}

/** A frame in a batch. */
export interface BatchFrame {
  place: PlaceEntry;
  n: number;
  /** Number of frames if this is a whole run, otherwise undefined. */
  frames: number | undefined;
  /** Start time of the payload. */
  t: number;
  entered: boolean;
  /** It arrived when its visitor had left the page for the next one. */
  late: boolean;
  /** The payload is `bytes` from `from` to `to`. */
  bytes: Uint8Array;
  from: number;
  to: number;
}

/** A place that a writer knows. The caller keeps it, so that it is written only once per batch. */
export class PlaceMark {
  readonly place: PlaceEntry;
  #bytes: Uint8Array | undefined;
  /** Number of the place within the batch `batch`. */
  no = 0;
  batch = 0;

  constructor(place: PlaceEntry) {
    this.place = place;
  }

  /** Encoded form. */
  get bytes(): Uint8Array {
    this.#bytes ??= encodePlace(this.place);
    return this.#bytes;
  }

  /** Forgets the encoded form, of which an idle visitor has no need. */
  rest(): void {
    this.#bytes = undefined;
  }
}

/** Maximum length of a text in a visit's description, characters. Each may take six bytes in JSON. */
const MAX_ABOUT_TEXT = 200;

/** Returns the description with texts short enough to be read again, whatever a visitor sends. */
function boundedAbout({ since, device, truncated, ...texts }: AboutVisit): AboutVisit {
  const { language, referrer, origin, country, label } = texts;
  const cut = (text: string) => text.slice(0, MAX_ABOUT_TEXT);
  const bounded = { language: cut(language), referrer: cut(referrer), origin: cut(origin) };
  const about = { since, device, ...bounded, country: cut(country), label: cut(label) };
  return truncated ? { ...about, truncated } : about;
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
  /** Number of the current batch. */
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

  /** Adds the description of a visit. A later one replaces it. */
  about(mark: PlaceMark, about: AboutVisit): void {
    this.#writePlace(mark);
    this.#out.byte(ENTRY.about);
    this.#out.text(JSON.stringify(boundedAbout(about)));
  }

  /**
   * Adds a frame. `shift` is added to its times to get Unix ms. `now` is Unix ms too. `late`: its visitor has left that
   * page.
   */
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

  /** Adds a run of `frames` frames. Its payload is encoded like a frame's. */
  run(mark: PlaceMark, n: number, frames: number, entered: boolean, payload: Uint8Array): void {
    if (mark.batch !== this.#batch) this.#writePlace(mark);
    this.#out.byte(ENTRY.run);
    this.#out.varint(frames);
    this.#out.varint(mark.no);
    this.#out.varint(n);
    this.#out.byte(entered ? FLAG.entered : 0);
    this.#out.bytes(payload);
  }

  /** Copies a frame or run of another batch. */
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

  /** Returns the batch, and starts another one. */
  take(): Uint8Array {
    const bytes = this.#out.copy();
    this.#out.clear();
    this.#out.byte(FORMAT);
    this.#places = 0;
    this.#batch = nextBatch();
    return bytes;
  }
}

/** Returns the latest time. Samples of JSON clients come in any order. */
function lastTime({ count, time }: SampleBuffer): number {
  let last = time[0] as number;
  for (let i = 1; i < count; i++) last = Math.max(last, time[i] as number);
  return last;
}

let batches = 0;

/** Numbers batches of all writers uniquely, so that a mark can be used with several writers. */
function nextBatch(): number {
  batches += 1;
  return batches;
}

/** Receives the content of a batch, in order. */
export interface BatchListener {
  about(id: string, about: AboutVisit): void;
  frame(frame: BatchFrame): void;
}

/** Places that were read, by a hash of their bytes: the same places occur in many batches. */
export type KnownPlaces = Map<number, { bytes: Uint8Array; place: PlaceEntry }>;

/** Reads a batch. Throws FrameError if it is invalid. */
export function readBatch(bytes: Uint8Array, listener: BatchListener, known: KnownPlaces = new Map()): void {
  const r = new Reader(bytes, 0, bytes.length);
  if (r.byte() !== FORMAT) throw new FrameError('bad-type', 'a batch of a later format');
  const places: PlaceEntry[] = [];
  while (!r.atEnd()) {
    const kind = r.byte();
    if (kind === ENTRY.place) places.push(readPlace(r.take(r.varint()), known));
    else if (kind === ENTRY.about) listener.about(placeAt(places, places.length - 1).id, readAbout(r));
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
  const place = placeAt(places, r.varint());
  const n = r.varint();
  const flag = r.byte();
  const length = r.varint();
  const from = r.offset;
  const t = r.varint();
  r.skipTo(from + length);
  const [entered, late] = [flag === FLAG.entered, flag === FLAG.late];
  return { place, n, frames, t, entered, late, bytes, from, to: from + length };
}

function placeAt(places: readonly PlaceEntry[], no: number): PlaceEntry {
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

/** Calls `onPlace` with the id and the site of each place in a batch. Throws FrameError if the batch is invalid. */
export function readVisits(bytes: Uint8Array, onPlace: (id: string, site: string) => void): void {
  const r = new Reader(bytes, 0, bytes.length);
  if (r.byte() !== FORMAT) throw new FrameError('bad-type', 'a batch of a later format');
  while (!r.atEnd()) {
    const kind = r.byte();
    if (kind === ENTRY.frame || kind === ENTRY.run) {
      for (let i = kind === ENTRY.run ? 0 : 1; i < 3; i++) r.varint();
      r.byte();
    }
    const end = r.varint() + r.offset;
    if (kind === ENTRY.place) onPlace(r.text(MAX_TEXT), r.text(MAX_TEXT));
    r.skipTo(end);
  }
}

/**
 * Returns id and site of the first visit in a batch, even if the batch is damaged later. Throws FrameError if there is
 * none.
 */
export function firstVisit(bytes: Uint8Array): [id: string, site: string] {
  const r = new Reader(bytes, FIRST_PLACE, bytes.length);
  r.varint();
  return [r.text(MAX_TEXT), r.text(MAX_TEXT)];
}

/** Returns the id of the first visit in a batch. A batch starts with a place. */
export function firstId(bytes: Uint8Array): string {
  const r = new Reader(bytes, FIRST_PLACE, bytes.length);
  r.varint();
  return r.text(MAX_TEXT);
}
