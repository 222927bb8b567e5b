/**
 * Files what the journal holds: takes frames out of it, shard by shard, and puts them with their visits, with what they add to counts
 * and heatmaps. That is one transaction, so that the counts are at all times those of the frames.
 */
import { entry } from '../../entry.ts';
import { decodeSamples, SampleBuffer } from '../../protocol/frame.ts';
import { RUN_SAMPLES } from '../../protocol/passage.ts';
import { deviceOf } from '../../protocol/stream.ts';
import type { Run } from '../archive.ts';
import { type About, type BatchFrame, type BatchListener, type KnownPlaces, readBatch } from '../record/batch.ts';
import { addTo, countIn, isIn, takeFrom } from '../record/ranges.ts';
import { Splicer } from '../record/splice.ts';
import { Sums } from '../record/sums.ts';
import { newTally, Tally } from '../record/tally.ts';
import type { PageBook } from './page-book.ts';
import type { Shelf } from './shelf.ts';
import { putSums } from './sum-tables.ts';
import { type JournalKey, type KeptVisit, LAST, type Tables } from './tables.ts';

/** So much of the journal is filed at once, bytes: some hundredths of a second's work, while nobody else can write. */
const MAX_FILED = 512 * 1024;
/** Of what is there already so much is laid down anew in one write, bytes. */
const MAX_RELAID = 512 * 1024;

/** What the journal has of one visit. */
interface Arrived {
  about: About | undefined;
  frames: BatchFrame[];
}

export class Filing {
  readonly #tables: Tables;
  readonly #pages: PageBook;
  readonly #shelf: Shelf;
  readonly #splicer = new Splicer();
  readonly #samples = new SampleBuffer(RUN_SAMPLES);
  /** Bytes that were laid down anew in this write. */
  #relaid = 0;

  constructor(tables: Tables, pages: PageBook, shelf: Shelf) {
    this.#tables = tables;
    this.#pages = pages;
    this.#shelf = shelf;
  }

  /**
   * Within a write: files what shards hold, one after the other, as much as may be at once; together, because each page's
   * tiles then change once. Returns how many bytes of the journal that were.
   */
  file(shards: readonly number[]): number {
    const sums = new Sums();
    let bytes = 0;
    this.#relaid = 0;
    for (const shard of shards) {
      if (bytes >= MAX_FILED) break;
      bytes += this.#fileShard(shard, MAX_FILED - bytes, sums);
    }
    putSums(this.#tables, sums, this.#pages);
    return bytes;
  }

  #fileShard(shard: number, most: number, sums: Sums): number {
    const visits = new Map<string, Arrived>();
    const { keys, bytes } = this.#read(shard, most, visits);
    for (const [id, arrived] of visits) this.#fileVisit(id, arrived, sums);
    for (const key of keys) this.#tables.journal.removeSync(key);
    return bytes;
  }

  #read(shard: number, most: number, visits: Map<string, Arrived>): { keys: JournalKey[]; bytes: number } {
    const keys: JournalKey[] = [];
    let bytes = 0;
    const known: KnownPlaces = new Map();
    const of = (id: string) => entry(visits, id, (): Arrived => ({ about: undefined, frames: [] }));
    const listener: BatchListener = {
      about: (id, about) => {
        const visit = of(id);
        visit.about = { ...about, ...visit.about, ...lastTold(about) };
      },
      frame: (frame) => of(frame.place.id).frames.push(frame),
    };
    for (const { key, value } of this.#tables.journal.getRange({ start: [shard, 0, 0, 0], end: [shard, LAST, 0, 0] })) {
      keys.push(key);
      bytes += value.length;
      readBatch(value, listener, known);
      if (bytes >= most) break;
    }
    return { keys, bytes };
  }

  /** Within a write: puts those batches of a shard aside that cannot be read. Returns how many. */
  setAside(shard: number): number {
    const { journal, damaged } = this.#tables;
    const aside: [JournalKey, Buffer][] = [];
    for (const { key, value } of journal.getRange({ start: [shard, 0, 0, 0], end: [shard, LAST, 0, 0] }))
      if (!this.#isReadable(value)) aside.push([key, value]);
    for (const [key, value] of aside) {
      damaged.putSync(key, value);
      journal.removeSync(key);
    }
    return aside.length;
  }

  #isReadable(batch: Uint8Array): boolean {
    try {
      readBatch(batch, {
        about: () => {},
        frame: ({ bytes, from, to }) => decodeSamples(bytes, from, this.#samples, to),
      });
      return true;
    } catch {
      return false;
    }
  }

  #fileVisit(id: string, { about, frames }: Arrived, sums: Sums): void {
    const number = this.#shelf.find(id);
    const visit = number === undefined ? undefined : this.#shelf.get(number);
    const fresh = frames.filter((frame) => !visit || newIn(visit, frame) > 0);
    const [first] = fresh;
    if (number !== undefined && visit) this.#goOn(number, visit, about, fresh, sums);
    else if (first && !this.#isErased(id, fresh))
      this.#goOn(this.#shelf.nextNumber(), newVisit(first, about, fresh), undefined, fresh, sums);
  }

  /** True of a visit that goes on though it was erased. What was kept elsewhere may be brought back. */
  #isErased(id: string, frames: readonly BatchFrame[]): boolean {
    const { erased } = this.#tables;
    if (!erased.doesExist(id)) return false;
    if (frames.every((frame) => frame.frames === undefined)) return true;
    erased.removeSync(id);
    return false;
  }

  #goOn(number: number, visit: KeptVisit, about: About | undefined, frames: BatchFrame[], sums: Sums): void {
    if (about) Object.assign(visit, lastTold(about));
    const replaced = this.#makeWay(number, visit, frames);
    const isBehind = frames.some(({ t }, i) => t < (frames[i - 1]?.t ?? visit.lastRun));
    if (replaced.size === 0 && (!isBehind || this.#staysAsItIs(number, frames))) {
      const tally = new Tally(visit.site, sums, 1, this.#pages, visit.tally);
      const runs = this.#splice(visit, frames, tally);
      this.#shelf.append(number, visit, runs);
    } else this.#sortIn(number, visit, this.#splice(visit, frames), replaced, sums);
    this.#shelf.put(number, visit);
  }

  /**
   * To sort in what is from before its end costs as much as a visit has. Of a long one, or after many, that is done for what was
   * kept elsewhere only: frames of visitors are put at its end, so that nobody holds up all others by clocks that go back and forth.
   */
  #staysAsItIs(number: number, frames: readonly BatchFrame[]): boolean {
    const isDear = this.#relaid > MAX_RELAID || this.#shelf.isLong(number);
    return isDear && frames.every((frame) => frame.frames === undefined);
  }

  /** The runs of those frames that were not there yet. If they are tallied here, none is before the last run. */
  #splice(visit: KeptVisit, frames: BatchFrame[], tally?: Tally): Run[] {
    const runs: Run[] = [];
    const splicer = this.#splicer;
    const samples = this.#samples;
    let least = tally ? visit.lastRun : 0;
    // What is left of a visit that could not be read is nobody else's.
    splicer.take();
    for (const frame of frames) {
      const { n, frames: count = 1 } = frame;
      if (newIn(visit, frame) < count) continue;
      for (let i = n; i < n + count; i++) addTo(visit.seen, i);
      visit.frames += count;
      decodeSamples(frame.bytes, frame.from, samples, frame.to);
      if (frame.t < least) {
        frame.t = least;
        samples.raise(least);
      }
      if (tally) least = frame.t;
      if (!splicer.fits(frame, samples)) {
        keep(runs, splicer.take());
        splicer.begin(frame);
        tally?.open(frame.place.page, frame.place.size, frame.entered, frame.t);
      }
      splicer.add(samples);
      tally?.take(samples, 0);
    }
    keep(runs, splicer.take());
    tally?.close();
    return runs;
  }

  /**
   * Parts of whole runs that are there already make way for them: their frames count as not seen. Numbers of the runs
   * that are to go.
   */
  #makeWay(number: number, visit: KeptVisit, frames: readonly BatchFrame[]): Set<number> {
    const replaced = new Set<number>();
    for (const frame of frames) {
      const { n, frames: count } = frame;
      if (count === undefined) continue;
      const there = count - newIn(visit, frame);
      if (there === 0) continue;
      const runs = [...this.#shelf.runs(number)].filter((run) => run.n >= n && run.n + run.frames <= n + count);
      if (runs.reduce((sum, run) => sum + run.frames, 0) !== there) continue;
      for (const run of runs) replaced.add(run.n);
      takeFrom(visit.seen, n, n + count - 1);
      visit.frames -= there;
    }
    return replaced;
  }

  /** Runs from before the last one, as by a clock that was set: the visit is tallied and laid down anew. */
  #sortIn(number: number, visit: KeptVisit, runs: Run[], replaced: ReadonlySet<number>, sums: Sums): void {
    const before: Run[] = [];
    const away = new Tally(visit.site, sums, -1, this.#pages, newTally(visit.since));
    this.#shelf.clear(number, visit, (run) => {
      away.add(run);
      before.push(run);
      this.#relaid += run.payload.length;
    });
    const left = before.filter(({ n }) => !replaced.has(n));
    const all = [...left, ...runs].sort((a, b) => a.t - b.t || a.n - b.n);
    visit.tally = newTally(visit.since);
    const tally = new Tally(visit.site, sums, 1, this.#pages, visit.tally);
    for (const run of all) tally.add(run);
    this.#shelf.append(number, visit, all);
  }
}

function keep(runs: Run[], run: Run | undefined): void {
  if (run) runs.push(run);
}

/** It begins with the first of its samples, which may have been before the server was told of it. */
function newVisit({ place, t }: BatchFrame, about: About | undefined, frames: readonly BatchFrame[]): KeptVisit {
  const { id, site, size } = place;
  const since = frames.reduce((first, frame) => Math.min(first, frame.t), about?.since ?? t);
  return {
    ...(about ?? { ...UNTOLD, device: deviceOf(size[0]) }),
    since,
    id,
    site,
    size,
    tally: newTally(since),
    seen: [],
    frames: 0,
    lastRun: 0,
    lastChunk: 0,
  };
}

/** How many frames of this are not there yet. */
function newIn({ seen }: KeptVisit, { n, frames }: BatchFrame): number {
  if (frames === undefined) return isIn(seen, n) ? 0 : 1;
  return frames - countIn(seen, n, n + frames - 1);
}

const UNTOLD = { language: '', referrer: '', origin: '', country: '', label: '' };

/** What of a visit may change while it goes on; how it began does not. */
function lastTold({ language, country, label }: About): Pick<About, 'language' | 'country' | 'label'> {
  return { language, country, label };
}
