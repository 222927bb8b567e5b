/**
 * What is done with frames that come to a visit, wherever that is kept: those that are new are spliced into runs, tallied, and laid
 * behind those that are there; or, if they are from before its end, the visit is laid down anew.
 */
import { getOrInsert } from '../../lib/get-or-insert.ts';
import { decodeSamples, SampleBuffer } from '../../protocol/frame.ts';
import { RUN_SAMPLES } from '../../protocol/passages.ts';
import type { Run } from '../archive.ts';
import { Aggregator, type PageNumbers, restartAggregation } from './aggregator.ts';
import { type AboutVisit, type BatchFrame, type BatchListener, readBatch } from './batch.ts';
import { DamageLog } from './damage.ts';
import { addTo, takeFrom } from './ranges.ts';
import { RunBuilder } from './run-builder.ts';
import { isBehind, isPartlyThere, lastTold, newIn, newVisit, type StoredVisit } from './stored-visit.ts';
import type { Sums } from './sums.ts';
import { LastOf, thinningOf } from './thinning.ts';

/** Of what is there already so much is laid down anew in one write, bytes. */
export const MAX_RELAID = 512 * 1024;

/** What a journal has of one visit. */
export interface Arrived {
  about: AboutVisit | undefined;
  frames: BatchFrame[];
}

/** Sorts what batches hold by visits. */
export function arrivals(visits: Map<string, Arrived>): BatchListener {
  const of = (id: string) => getOrInsert(visits, id, (): Arrived => ({ about: undefined, frames: [] }));
  return {
    about: (id, about) => {
      const visit = of(id);
      visit.about = { ...about, ...visit.about, ...lastTold(about) };
    },
    frame: (frame) => of(frame.place.id).frames.push(frame),
  };
}

/** Where visits are while frames are filed. All is there, or nothing, when that is done. */
export interface CompactionTarget<V extends StoredVisit> {
  /** Number of the visit of this id. */
  find(id: string): number | undefined;
  get(number: number): V | undefined;
  /** A visit that begins now, as it is kept here. */
  init(visit: StoredVisit): V;
  nextNumber(): number;
  put(number: number, visit: V): void;
  /** Lays runs behind those that are there. They are in the order of time, and tallied already. */
  append(number: number, visit: V, runs: readonly Run[]): void;
  /** The runs that are there, but for those that are damaged. */
  runs(number: number, damage: DamageLog): Iterable<Run>;
  /** Takes all runs of a visit away, and tells each that is not damaged. */
  clear(number: number, visit: V, tell: (run: Run) => void, damage: DamageLog): void;
  /** True of a visit that is too large to be laid down anew again and again. */
  isLong(number: number): boolean;
  /**
   * Rewrites a visit later, piece by piece: with these runs added, and without those whose numbers are in `replaced`. A
   * shelf that lacks this rewrites visits at once.
   */
  sortLater?(number: number, visit: V, runs: readonly Run[], replaced: ReadonlySet<number>): void;
  isErased(id: string): boolean;
  /** What was erased is brought back. */
  restore(id: string): void;
}

const samples = new SampleBuffer(RUN_SAMPLES);

/** When the frame of this number can be at the latest: before the next page was loaded, but not before its own. */
function latestOf(number: number, loads: readonly { n: number; t: number }[]): number {
  let [own, next] = [Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY];
  for (const { n, t } of loads)
    if (n > number) next = Math.min(next, t - 1);
    else own = Math.max(own, t);
  return Math.max(own, next);
}

export class Compactor<V extends StoredVisit> {
  readonly #target: CompactionTarget<V>;
  readonly #pages: PageNumbers;
  readonly #runBuilder = new RunBuilder();
  /** Bytes that were laid down anew in this write. */
  #relaid = 0;
  #damage = new DamageLog();
  /** Until when frames of earlier pages can be, Unix ms. */
  #latest = new Map<BatchFrame, number>();
  readonly #maxVisitBytes: number;

  /** `maxVisitBytes`: larger visits are thinned. */
  constructor(target: CompactionTarget<V>, pages: PageNumbers, maxVisitBytes = Number.POSITIVE_INFINITY) {
    this.#maxVisitBytes = maxVisitBytes;
    this.#target = target;
    this.#pages = pages;
  }

  /** To be called at the begin of each write. `damage` is told what of visits cannot be read, and is passed over. */
  begin(damage: DamageLog): void {
    this.#relaid = 0;
    this.#damage = damage;
  }

  /** Files what has come of one visit. What it adds to counts and heatmaps is put to the sums. */
  compact(id: string, { about, frames }: Arrived, sums: Sums): void {
    const number = this.#target.find(id);
    const visit = number === undefined ? undefined : this.#target.get(number);
    const fresh = frames.filter((frame) => !visit || newIn(visit, frame) > 0);
    const [first] = fresh;
    if (number !== undefined && visit) this.#goOn(number, visit, about, fresh, sums);
    else if (first && !this.#isErased(id, fresh)) {
      const begun = this.#target.init(newVisit(first, about, fresh));
      this.#goOn(this.#target.nextNumber(), begun, undefined, fresh, sums);
    }
  }

  /** True of a visit that goes on though it was erased. What was kept elsewhere may be brought back. */
  #isErased(id: string, frames: readonly BatchFrame[]): boolean {
    if (!this.#target.isErased(id)) return false;
    if (frames.every((frame) => frame.frames === undefined)) return true;
    this.#target.restore(id);
    return false;
  }

  #goOn(number: number, visit: V, about: AboutVisit | undefined, frames: BatchFrame[], sums: Sums): void {
    if (about) Object.assign(visit, lastTold(about));
    if (about?.truncated) visit.truncated = true;
    this.#bound(number, frames);
    const replaced = this.#makeWay(number, visit, frames);
    if (replaced.size === 0 && (!isBehind(visit, frames) || this.#staysAsItIs(number, frames))) {
      const tally = new Aggregator(visit.site, sums, 1, this.#pages, visit.tally);
      const runs = this.#buildRun(visit, frames, tally);
      this.#target.append(number, visit, runs);
    } else {
      const runs = this.#buildRun(visit, frames);
      if (this.#target.sortLater && this.#isDear(number)) {
        this.#target.sortLater(number, visit, runs, replaced);
        return;
      }
      this.#sortIn(number, visit, runs, replaced, sums);
    }
    this.#target.put(number, visit);
  }

  /**
   * A page's last frames may come after the next page was loaded, and by another worker, which does not know when that
   * was. They are from before it, whatever their clock says: no click is later than the page load that it caused.
   * Numbers of frames go up from page to page.
   */
  #bound(number: number, frames: readonly BatchFrame[]): void {
    this.#latest.clear();
    const late = frames.filter((frame) => frame.late);
    if (late.length === 0) return;
    const loads: { n: number; t: number }[] = frames.filter(({ entered }) => entered);
    if (!this.#target.isLong(number))
      for (const { n, t, entered } of this.#target.runs(number, this.#damage)) if (entered) loads.push({ n, t });
    for (const frame of late) {
      const most = latestOf(frame.n, loads);
      if (most === Number.POSITIVE_INFINITY) continue;
      this.#latest.set(frame, most);
      frame.t = Math.min(frame.t, most);
    }
  }

  /**
   * To sort in what is from before its end costs as much as a visit has. Of a long one, or after many, that is done for what was
   * kept elsewhere only: frames of visitors are put at its end, so that nobody holds up all others by clocks that go back and forth.
   */
  #staysAsItIs(number: number, frames: readonly BatchFrame[]): boolean {
    return this.#isDear(number) && frames.every((frame) => frame.frames === undefined);
  }

  /** True of a visit that takes long to rewrite, or if many were rewritten in this write. */
  #isDear(number: number): boolean {
    return this.#relaid > MAX_RELAID || this.#target.isLong(number);
  }

  /** The runs of those frames that were not there yet. If they are tallied here, none is before the last run. */
  #buildRun(visit: StoredVisit, frames: BatchFrame[], tally?: Aggregator): Run[] {
    const runs: Run[] = [];
    const runBuilder = this.#runBuilder;
    let least = tally ? visit.lastRun : 0;
    const thinning = thinningOf(visit, this.#maxVisitBytes);
    const last = thinning === 'moves' ? new LastOf(frames) : undefined;
    // What is left of a visit that could not be read is nobody else's.
    runBuilder.take();
    for (const frame of frames) {
      const { n, frames: count = 1 } = frame;
      if (newIn(visit, frame) < count) continue;
      for (let i = n; i < n + count; i++) addTo(visit.seen, i);
      // What was kept elsewhere was thinned there, if need be.
      const isThinned = thinning !== 'none' && frame.frames === undefined;
      if (isThinned) visit.truncated = true;
      if (isThinned && thinning === 'all') continue;
      visit.frames += count;
      decodeSamples(frame.bytes, frame.from, samples, frame.to);
      samples.fit(0, this.#latest.get(frame) ?? Number.POSITIVE_INFINITY);
      if (isThinned) last?.thin(frame, samples);
      if (frame.t < least) {
        frame.t = least;
        samples.fit(least, Number.POSITIVE_INFINITY);
      }
      if (tally) least = frame.t;
      if (!runBuilder.fits(frame, samples)) {
        keep(runs, runBuilder.take());
        runBuilder.begin(frame);
        tally?.open(frame.place.page, frame.place.size, frame.entered, frame.t);
      }
      runBuilder.add(samples);
      tally?.take(samples, 0);
    }
    keep(runs, runBuilder.take());
    tally?.close();
    return runs;
  }

  /**
   * Parts of whole runs that are there already make way for them: their frames count as not seen. Numbers of the runs
   * that are to go.
   */
  #makeWay(number: number, visit: StoredVisit, frames: readonly BatchFrame[]): Set<number> {
    const replaced = new Set<number>();
    for (const frame of frames) {
      const { n, frames: count = 1 } = frame;
      if (!isPartlyThere(visit, frame)) continue;
      const there = count - newIn(visit, frame);
      const runs = [...this.#target.runs(number, this.#damage)].filter(
        (run) => run.n >= n && run.n + run.frames <= n + count,
      );
      if (runs.reduce((sum, run) => sum + run.frames, 0) !== there) continue;
      for (const run of runs) replaced.add(run.n);
      takeFrom(visit.seen, n, n + count - 1);
      visit.frames -= there;
    }
    return replaced;
  }

  /**
   * Runs from before the last one, as by a clock that was set: the visit is tallied and laid down anew, without what of it is damaged.
   */
  #sortIn(number: number, visit: V, runs: Run[], replaced: ReadonlySet<number>, sums: Sums): void {
    const before: Run[] = [];
    const away = new Aggregator(visit.site, sums, -1, this.#pages, restartAggregation(visit));
    const take = (run: Run) => {
      away.add(run);
      before.push(run);
      this.#relaid += run.payload.length;
    };
    this.#target.clear(number, visit, (run) => this.#damage.pass(() => take(run)), this.#damage);
    const left = before.filter(({ n }) => !replaced.has(n));
    const all = [...left, ...runs].sort((a, b) => a.t - b.t || a.n - b.n);
    visit.tally = restartAggregation(visit);
    const tally = new Aggregator(visit.site, sums, 1, this.#pages, visit.tally);
    for (const run of all) tally.add(run);
    this.#target.append(number, visit, all);
  }
}

function keep(runs: Run[], run: Run | undefined): void {
  if (run) runs.push(run);
}

/** False of a batch that is damaged. */
export function isReadable(batch: Uint8Array): boolean {
  try {
    readBatch(batch, {
      about: () => {},
      frame: ({ bytes, from, to }) => decodeSamples(bytes, from, samples, to),
    });
    return true;
  } catch {
    return false;
  }
}
