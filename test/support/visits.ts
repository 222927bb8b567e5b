/** Generated visits, as frames and as batches for a store, and their sums, computed in the simplest way. */
import fc from 'fast-check';
import { CELL, type HeatKind, MAX_COLUMN, MAX_ROW } from '../../src/model/heat.ts';
import type { Mark } from '../../src/model/mark.ts';
import { NO_COUNTS, type PageCounts } from '../../src/model/visit.ts';
import { type Device, deviceOf, type Visitor } from '../../src/model/visitor.ts';
import { encodeSamples, type Sample } from '../../src/protocol/encode.ts';
import { decodeSamples, KIND, SampleBuffer } from '../../src/protocol/frame.ts';
import { ELEMENT_SCALE } from '../../src/protocol/limits.ts';
import { Writer } from '../../src/protocol/writer.ts';
import type { Archive, Run } from '../../src/store/archive.ts';
import { type AboutVisit, type BatchFrame, BatchWriter, PlaceMark, readBatch } from '../../src/store/record/batch.ts';
import { type StoredRun, writeRun } from '../../src/store/record/chunk.ts';
import { RunBuilder } from '../../src/store/record/run-builder.ts';

/** Shortly before the end of a day, so that visits cover two days. */
export const T = Date.UTC(2026, 10, 20) - 90_000;

export interface MadeFrame {
  n: number;
  entered: boolean;
  page: string;
  size: Visitor['size'];
  /** Time of the frame, used if it has no samples. */
  t: number;
  /** Times are Unix ms. */
  samples: Sample[];
}

export interface MadeVisit {
  id: string;
  site: string;
  about: AboutVisit;
  frames: MadeFrame[];
}

export const PAGES = ['/', '/a', '/b?q=1', '/ü'];
const SIZES: Visitor['size'][] = [
  [390, 844, 390, 3000],
  [800, 1100, 800, 2000],
  [1280, 720, 1280, 5000],
  [2560, 1300, 2560, 1300],
];
const SELECTORS = ['', '#buy', 'main>a', 'ü'];

const coordinate = fc.integer({ min: -20, max: 3000 });
const page = fc.constantFrom(...PAGES);
const size = fc.constantFrom(...SIZES);
const place = fc.integer({ min: 0, max: ELEMENT_SCALE });

const click = fc.record({
  type: fc.constant('click' as const),
  x: coordinate,
  y: coordinate,
  button: fc.nat(4),
  ex: place,
  ey: place,
  selector: fc.constantFrom(...SELECTORS),
});

/** A sample without its time. */
type Deed = { [S in Sample['type']]: Omit<Extract<Sample, { type: S }>, 'time'> }[Sample['type']];

const deed: fc.Arbitrary<Deed> = fc.oneof(
  { weight: 8, arbitrary: fc.record({ type: fc.constant('move' as const), x: coordinate, y: coordinate }) },
  { weight: 2, arbitrary: fc.record({ type: fc.constant('scroll' as const), y: fc.nat(4000) }) },
  { weight: 2, arbitrary: click },
  { weight: 1, arbitrary: page.map((to) => ({ type: 'page' as const, page: to })) },
  { weight: 1, arbitrary: size.map(([vw, vh, dw, dh]) => ({ type: 'resize' as const, vw, vh, dw, dh })) },
  { weight: 1, arbitrary: fc.record({ type: fc.constant('visibility' as const), visible: fc.boolean() }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constant('pointer' as const), pointer: fc.constant('pen' as const) }) },
);

const step = fc.record({
  /** Time since the previous frame; negative if a clock was set back. */
  gap: fc.oneof(
    { weight: 12, arbitrary: fc.nat(20_000) },
    { weight: 1, arbitrary: fc.integer({ min: -90_000, max: 0 }) },
  ),
  load: fc.option(fc.record({ page, size }), { freq: 6 }),
  /** Number of skipped frame numbers. */
  skipped: fc.oneof({ weight: 6, arbitrary: fc.constant(0) }, fc.nat(5000)),
  deeds: fc.array(fc.record({ dt: fc.nat(3000), deed }), { maxLength: 8 }),
});

const about = fc.record({
  device: fc.constantFrom<Device[]>('phone', 'tablet', 'desktop', 'wide'),
  language: fc.constantFrom('en', 'de'),
  referrer: fc.constantFrom('', 'https://a.example'),
  origin: fc.constant('https://shop.example'),
  country: fc.constantFrom('', 'DE', 'NZ'),
  label: fc.constantFrom('', 'kiosk'),
});

/** Generates a visit of the site with up to 20 frames. Every visit has a new id. */
export function madeVisit(site: string): fc.Arbitrary<MadeVisit> {
  const parts = { start: fc.nat(60_000), about, page, size, steps: fc.array(step, { minLength: 1, maxLength: 20 }) };
  return fc.record(parts).map(({ start, steps, ...first }) => {
    const frames = framesOf(T + start, first.page, first.size, steps);
    const since = Math.min(...frames.map(({ t }) => t));
    return { id: newId(), site, about: { ...first.about, since }, frames };
  });
}

type Step = typeof step extends fc.Arbitrary<infer S> ? S : never;

function framesOf(start: number, firstPage: string, firstSize: Visitor['size'], steps: readonly Step[]): MadeFrame[] {
  let at = { page: firstPage, size: firstSize };
  let [n, t] = [0, start];
  return steps.map(({ gap, load, skipped, deeds }, i) => {
    n += 1 + skipped;
    t += gap;
    if (load) at = load;
    const frame: MadeFrame = { n, entered: i === 0 || load !== null, ...at, t, samples: [] };
    for (const { dt, deed } of deeds) {
      t += dt;
      frame.samples.push({ ...deed, time: t } as Sample);
      if (deed.type === 'page') at = { ...at, page: deed.page };
      if (deed.type === 'resize') at = { ...at, size: [deed.vw, deed.vh, deed.dw, deed.dh] };
    }
    frame.t = frame.samples[0]?.time ?? frame.t;
    return frame;
  });
}

let ids = 0;

function newId(): string {
  ids += 1;
  return `visit-${String(ids).padStart(16, '0')}`;
}

/** Returns a visit of evenly spaced moves on one page: `frames` frames of `samples` moves each, numbered from 1. */
export function plainVisit(
  site: string,
  { id = newId(), since = T, frames = 1, samples = 10, page = '/' }: Partial<PlainVisit> = {},
): MadeVisit {
  const size: Visitor['size'] = [1280, 720, 1280, 5000];
  const rest = { language: 'en', referrer: '', origin: '', country: '', label: '' };
  const made = Array.from({ length: frames }, (_, f): MadeFrame => {
    const t = since + f * samples * 16;
    const moves = Array.from({ length: samples }, (_, i): Sample => {
      const k = f * samples + i;
      return { type: 'move', time: t + 16 * i, x: (37 * k) % 1280, y: (91 * k) % 5000 };
    });
    return { n: f + 1, entered: f === 0, page, size, t, samples: moves };
  });
  return { id, site, about: { since, device: 'desktop', ...rest }, frames: made };
}

interface PlainVisit {
  id: string;
  since: number;
  frames: number;
  samples: number;
  page: string;
}

/** Fills a buffer with samples, through their encoded form if `isDecoded`. */
function fillOrDecode(into: SampleBuffer, samples: readonly Sample[], isDecoded: boolean): void {
  if (isDecoded) decodeSamples(encoded(samples), 0, into);
  else fill(into, samples);
}

const known = new WeakMap<readonly Sample[], Uint8Array>();

/** Encodes a list of samples once. Nothing can be added to the list afterwards. */
function encoded(samples: readonly Sample[]): Uint8Array {
  const bytes = known.get(samples) ?? Uint8Array.from(encodeSamples(samples));
  known.set(Object.freeze(samples), bytes);
  return bytes;
}

/** Fills a buffer as from JSON. */
export function fill(into: SampleBuffer, samples: readonly Sample[]): void {
  into.clear();
  for (const { time, ...rest } of samples)
    if (rest.type === 'move') into.push(KIND.move, time, rest.x, rest.y);
    else if (rest.type === 'scroll') into.push(KIND.scroll, time, 0, rest.y);
    else into.pushMark(rest as Mark, time);
}

const buffer = new SampleBuffer(1024);

/** A frame of a visit on its way to a store. */
export type Delivery = [visit: MadeVisit, frame: MadeFrame];

/** Returns one batch of these frames; each visit is described before its first frame. */
export function batchOf(deliveries: readonly Delivery[], told = new Set<string>()): Uint8Array {
  const writer = new BatchWriter();
  for (const [{ id, site, about }, { n, entered, page, size, t, samples }] of deliveries) {
    const mark = new PlaceMark({ id, site, page, size });
    if (!told.has(id)) writer.about(mark, about);
    told.add(id);
    fillOrDecode(buffer, samples, n % 2 === 0);
    writer.frame(mark, n, entered, buffer, 0, t);
  }
  return writer.take();
}

/** Returns runs in the form that a store keeps together. */
export function chunkOf(runs: readonly StoredRun[]): Buffer {
  const out = new Writer(1024);
  for (const run of runs) writeRun(out, run);
  return out.copy();
}

/** Returns the frames of a batch in order. */
export function framesIn(batch: Uint8Array): BatchFrame[] {
  const frames: BatchFrame[] = [];
  readBatch(batch, { about: () => {}, frame: (frame) => frames.push(frame) });
  return frames;
}

/** Returns the runs made from a visit's frames, in order. A new run starts at each frame for which `isCut` is true. */
export function spliced(visit: MadeVisit, isCut: (i: number) => boolean = () => false): Run[] {
  const splicer = new RunBuilder();
  const runs: (Run | undefined)[] = [];
  for (const [i, frame] of framesIn(batchOf(visit.frames.map((one) => [visit, one]))).entries()) {
    decodeSamples(frame.bytes, frame.from, buffer, frame.to);
    if (isCut(i) || !splicer.fits(frame, buffer)) {
      runs.push(splicer.take());
      splicer.start(frame);
    }
    splicer.add(buffer);
  }
  runs.push(splicer.take());
  return runs.filter((run) => run !== undefined);
}

/** Returns batches as workers make them: one visit per batch, so that each belongs to one shard. */
export function batchesOf(deliveries: readonly Delivery[]): Uint8Array[] {
  const ids = new Set(deliveries.map(([{ id }]) => id));
  return [...ids].map((id) => batchOf(deliveries.filter(([visit]) => visit.id === id)));
}

/** Writes all of these visits to a store. */
export async function keep(archive: Pick<Archive, 'append'>, ...visits: MadeVisit[]): Promise<void> {
  await archive.append(visits.map((visit) => batchOf(visit.frames.map((frame): Delivery => [visit, frame]))));
}

/** Returns the samples of a payload as they were made; `t` is added to their times. */
export function samplesIn(payload: Uint8Array, t: number): Sample[] {
  decodeSamples(payload, 0, buffer);
  let mark = 0;
  return Array.from({ length: buffer.count }, (_, i): Sample => {
    const [time, x, y] = [t + (buffer.time[i] as number), buffer.x[i] as number, buffer.y[i] as number];
    if (buffer.kind[i] === KIND.move) return { type: 'move', time, x, y };
    if (buffer.kind[i] === KIND.scroll) return { type: 'scroll', time, y };
    return { time, ...(buffer.marks[mark++] as Mark) };
  });
}

/** Returns all items of a paged list. */
export async function all<T>(ask: (after: string | undefined) => Promise<{ items: T[]; next: string | null }>) {
  const items: T[] = [];
  let after: string | undefined;
  for (let i = 0; i < 10_000; i++) {
    const part = await ask(after);
    items.push(...part.items);
    if (part.next === null) return items;
    after = part.next;
  }
  throw new Error('there is no end to it');
}

export function runsOf(archive: Archive, id: string): Promise<Run[]> {
  return all((after) => archive.runs(id, after));
}

type Cells = Map<string, number>;

/** Counts and heatmaps of visits, computed sample by sample. */
export class Reckoning {
  /** By `day/page`; the empty page stands for the whole site. */
  readonly counts = new Map<string, Omit<PageCounts, 'page'>>();
  /**
   * By `kind/day/page/device`, then by `column/row`. Clicks on elements are by `selector/column/row`, and places by
   * `[selector, width, "column/row", spot]`.
   */
  readonly cells = new Map<string, Cells>();
  moves = 0;
  clicks = 0;
  scrolls = 0;

  /** Adds all runs of one visit, in order of time. */
  add(runs: readonly Pick<Run, 'page' | 'size' | 'entered' | 't' | 'until' | 'payload'>[]): void {
    const course = new Course(this);
    for (const run of runs) course.take(run);
    course.end();
  }

  count(day: string, page: string, what: keyof Omit<PageCounts, 'page'>, by: number): void {
    const counts = this.counts.get(`${day}${page}`) ?? { ...NO_COUNTS };
    counts[what] += by;
    this.counts.set(`${day}${page}`, counts);
  }

  cell(kind: HeatKind | 'element' | 'place', day: string, page: string, device: Device, cell: string): void {
    const key = `${kind} ${day}${page} ${device}`;
    const cells = this.cells.get(key) ?? new Map();
    cells.set(cell, (cells.get(cell) ?? 0) + 1);
    this.cells.set(key, cells);
  }

  /** Returns the sum of one kind and page over days and devices. */
  heat(kind: HeatKind | 'element' | 'place', page: string, days: readonly string[], devices: readonly Device[]): Cells {
    const sum: Cells = new Map();
    for (const day of days)
      for (const device of devices)
        for (const [cell, n] of this.cells.get(`${kind} ${day}${page} ${device}`) ?? [])
          sum.set(cell, (sum.get(cell) ?? 0) + n);
    return sum;
  }
}

interface Staying {
  page: string;
  t: number;
  until: number;
  depth: number;
  /** 0 if it is unknown. */
  height: number;
  device: Device;
}

/** The state of a visit while it is counted. */
class Course {
  readonly #to: Reckoning;
  readonly #seen = new Set<string>();
  #stay: Staying | undefined;
  #isEntered = false;
  #size: Visitor['size'] = [0, 0, 0, 0];
  #scrollY = 0;

  constructor(to: Reckoning) {
    this.#to = to;
  }

  take({ page, size, entered, t, until, payload }: Parameters<Reckoning['add']>[0][number]): void {
    this.#size = size;
    const isOther = page !== this.#stay?.page;
    if (isOther || (entered && this.#isEntered)) this.#enter(page, t, size[3]);
    this.#isEntered = entered || (!isOther && this.#isEntered);
    for (const sample of samplesIn(payload, t)) this.#sample(sample, this.#stay as Staying);
    const stay = this.#stay as Staying;
    stay.until = Math.max(stay.until, until);
  }

  #enter(page: string, t: number, height: number): void {
    this.end();
    this.#stay = { page, t, until: t, depth: 0, height: 0, device: deviceOf(this.#size[0]) };
    this.#measure(this.#stay, height);
    const day = dayOf(t);
    this.#to.count(day, page, 'views', 1);
    this.#to.count(day, '', 'views', 1);
    if (this.#seen.size === 0) this.#to.count(day, '', 'visits', 1);
    if (!this.#seen.has(page)) this.#to.count(day, page, 'visits', 1);
    this.#seen.add(page);
  }

  #sample(sample: Sample, stay: Staying): void {
    const day = dayOf(sample.time);
    const device = deviceOf(this.#size[0]);
    if (sample.type === 'move') {
      this.#to.moves += 1;
      for (const page of [stay.page, '']) this.#to.count(day, page, 'moves', 1);
      this.#to.cell('move', day, stay.page, device, cellOf(sample.x, sample.y));
    } else if (sample.type === 'click') {
      this.#to.clicks += 1;
      for (const page of [stay.page, '']) this.#to.count(day, page, 'clicks', 1);
      this.#to.cell('click', day, stay.page, device, cellOf(sample.x, sample.y));
      const spot = [sample.ex, sample.ey].map((e) => Math.min(15, Math.floor((e * 16) / ELEMENT_SCALE)));
      this.#to.cell('element', day, stay.page, device, `${sample.selector}/${spot.join('/')}`);
      this.#place(sample, stay.page, device, spot as [number, number]);
    } else if (sample.type === 'scroll') {
      this.#to.scrolls += 1;
      this.#scrollY = sample.y;
    } else if (sample.type === 'resize') this.#size = [sample.vw, sample.vh, sample.dw, sample.dh];
    else if (sample.type === 'page' && sample.page !== stay.page) {
      stay.until = Math.max(stay.until, sample.time);
      this.#enter(sample.page, sample.time, 0);
      this.#isEntered = true;
      return;
    }
    if (sample.type === 'scroll') this.#measure(stay, 0);
    else if (sample.type === 'resize') this.#measure(stay, sample.dh);
  }

  #measure(stay: Staying, height: number): void {
    stay.depth = Math.max(stay.depth, this.#scrollY + this.#size[1]);
    if (height + stay.height > 0) stay.height = Math.max(stay.height, stay.depth, height);
  }

  #place(sample: Extract<Sample, { type: 'click' }>, page: string, device: Device, [column, row]: [number, number]) {
    const { selector, x, y, time } = sample;
    const width = this.#size[2];
    if (selector === '' || width === 0) return;
    const at = [Math.min(255, Math.floor(width / CELL)), cellOf(x, y), 16 * row + column];
    this.#to.cell('place', dayOf(time), page, device, JSON.stringify([selector, ...at]));
  }

  end(): void {
    const stay = this.#stay;
    if (!stay) return;
    const day = dayOf(stay.t);
    for (const page of [stay.page, '']) {
      this.#to.count(day, page, 'ms', stay.until - stay.t);
      this.#to.count(day, page, 'depth', stay.depth);
      if (stay.height === 0) continue;
      this.#to.count(day, page, 'measuredDepth', stay.depth);
      this.#to.count(day, page, 'measuredHeight', stay.height);
    }
    this.#to.cell(
      'scroll',
      day,
      stay.page,
      stay.device,
      String(Math.max(0, Math.min(MAX_ROW, Math.floor((stay.depth - 1) / CELL)))),
    );
    this.#stay = undefined;
    this.#scrollY = 0;
  }
}

function dayOf(t: number): string {
  return new Date(t).toISOString().slice(0, 10);
}

function cellOf(x: number, y: number): string {
  const column = Math.min(MAX_COLUMN, Math.max(0, Math.floor(x / CELL)));
  return `${column}/${Math.min(MAX_ROW, Math.max(0, Math.floor(y / CELL)))}`;
}
