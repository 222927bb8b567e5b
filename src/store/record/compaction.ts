/**
 * Compaction of a visit's frames, for every kind of store. New frames are joined to runs, counted, and appended to the
 * stored runs. If they are from before the end of the stored runs, the visit is rewritten.
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
import { changeableAbout, countNew, isOutOfOrder, isPartlyStored, newVisit, type StoredVisit } from './stored-visit.ts';
import type { Sums } from './sums.ts';
import { LastPositions, thinningOf } from './thinning.ts';

/** Maximum amount of stored data that one write rewrites, bytes. */
export const MAX_REWRITTEN = 512 * 1024;

/** The journal's content for one visit. */
export interface Arrived {
  about: AboutVisit | undefined;
  frames: BatchFrame[];
}

/** Groups the content of batches by visit. */
export function arrivals(visits: Map<string, Arrived>): BatchListener {
  const of = (id: string) => getOrInsert(visits, id, (): Arrived => ({ about: undefined, frames: [] }));
  return {
    about: (id, about) => {
      const visit = of(id);
      visit.about = { ...about, ...visit.about, ...changeableAbout(about) };
    },
    frame: (frame) => of(frame.place.id).frames.push(frame),
  };
}

/** The visits during compaction. The store commits all changes at the end, or none. */
export interface CompactionTarget<V extends StoredVisit> {
  /** Returns the number of the visit with this id. */
  find(id: string): number | undefined;
  get(number: number): V | undefined;
  /** Returns a new visit in the form that this store uses. */
  init(visit: StoredVisit): V;
  nextNumber(): number;
  put(number: number, visit: V): void;
  /** Appends runs to the stored ones. They are in order of time, and already counted. */
  append(number: number, visit: V, runs: readonly Run[]): void;
  /** Returns the stored runs, except those that are damaged. */
  runs(number: number, damage: DamageLog): Iterable<Run>;
  /** Removes all runs of a visit, and calls `onRun` for each that is not damaged. */
  clear(number: number, visit: V, onRun: (run: Run) => void, damage: DamageLog): void;
  /** True if a visit is too large to be rewritten repeatedly. */
  isLong(number: number): boolean;
  /**
   * Rewrites a visit later, piece by piece: adds these runs, and removes those whose numbers are in `replaced`. A
   * target without this method rewrites visits at once.
   */
  rewriteLater?(number: number, visit: V, runs: readonly Run[], replaced: ReadonlySet<number>): void;
  isErased(id: string): boolean;
  /** Allows a visit that was erased to be stored again. */
  restore(id: string): void;
}

const samples = new SampleBuffer(RUN_SAMPLES);

/**
 * Returns the latest possible time of the frame with this number: before the next page load, but not before its own
 * page load.
 */
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
  /** Bytes rewritten in this write. */
  #rewritten = 0;
  #damage = new DamageLog();
  /** The latest possible time of frames of earlier pages, Unix ms. */
  #latest = new Map<BatchFrame, number>();
  readonly #maxVisitBytes: number;

  /** `maxVisitBytes`: visits with more bytes than this are thinned. */
  constructor(target: CompactionTarget<V>, pages: PageNumbers, maxVisitBytes = Number.POSITIVE_INFINITY) {
    this.#maxVisitBytes = maxVisitBytes;
    this.#target = target;
    this.#pages = pages;
  }

  /** Must be called at the start of each write. `damage` collects what cannot be read and is skipped. */
  start(damage: DamageLog): void {
    this.#rewritten = 0;
    this.#damage = damage;
  }

  /** Compacts what has arrived for one visit. What it adds to counts and heatmaps is added to `sums`. */
  compact(id: string, { about, frames }: Arrived, sums: Sums): void {
    const number = this.#target.find(id);
    const visit = number === undefined ? undefined : this.#target.get(number);
    const fresh = frames.filter((frame) => !visit || countNew(visit, frame) > 0);
    const [first] = fresh;
    if (number !== undefined && visit) this.#extend(number, visit, about, fresh, sums);
    else if (first && !this.#isErased(id, fresh)) {
      const created = this.#target.init(newVisit(first, about, fresh));
      this.#extend(this.#target.nextNumber(), created, undefined, fresh, sums);
    }
  }

  /** True if frames of an erased visit must be ignored. An import may restore an erased visit. */
  #isErased(id: string, frames: readonly BatchFrame[]): boolean {
    if (!this.#target.isErased(id)) return false;
    if (frames.every((frame) => frame.frames === undefined)) return true;
    this.#target.restore(id);
    return false;
  }

  #extend(number: number, visit: V, about: AboutVisit | undefined, frames: BatchFrame[], sums: Sums): void {
    if (about) Object.assign(visit, changeableAbout(about));
    if (about?.truncated) visit.truncated = true;
    this.#boundLateFrames(number, frames);
    const replaced = this.#removePartialRuns(number, visit, frames);
    if (replaced.size === 0 && (!isOutOfOrder(visit, frames) || this.#mayAppendOnly(number, frames))) {
      const tally = new Aggregator(visit.site, sums, 1, this.#pages, visit.tally);
      const runs = this.#buildRun(visit, frames, tally);
      this.#target.append(number, visit, runs);
    } else {
      const runs = this.#buildRun(visit, frames);
      if (this.#target.rewriteLater && this.#isCostly(number)) {
        this.#target.rewriteLater(number, visit, runs, replaced);
        return;
      }
      this.#rewrite(number, visit, runs, replaced, sums);
    }
    this.#target.put(number, visit);
  }

  /**
   * A page's last frames may arrive after the next page was loaded, and at another worker, which does not know when
   * that was. Whatever their clock says, they are from before that load: no click is later than the page load it
   * caused. Frame numbers increase from page to page.
   */
  #boundLateFrames(number: number, frames: readonly BatchFrame[]): void {
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
   * Rewriting a visit to insert earlier frames costs as much as the visit is large. For a long visit, or after many
   * rewrites, only imported frames are inserted. Frames from visitors are appended at the end instead, so that a
   * visitor whose clock jumps back and forth cannot delay all others.
   */
  #mayAppendOnly(number: number, frames: readonly BatchFrame[]): boolean {
    return this.#isCostly(number) && frames.every((frame) => frame.frames === undefined);
  }

  /** True if a visit takes long to rewrite, or if many visits were rewritten in this write. */
  #isCostly(number: number): boolean {
    return this.#rewritten > MAX_REWRITTEN || this.#target.isLong(number);
  }

  /**
   * Builds runs from the frames that are not stored yet. If they are counted here, no run starts before the last stored
   * one.
   */
  #buildRun(visit: StoredVisit, frames: BatchFrame[], tally?: Aggregator): Run[] {
    const runs: Run[] = [];
    const runBuilder = this.#runBuilder;
    let earliest = tally ? visit.lastRun : 0;
    const thinning = thinningOf(visit, this.#maxVisitBytes);
    const last = thinning === 'moves' ? new LastPositions(frames) : undefined;
    // Discards what is left of a previous visit that could not be read.
    runBuilder.take();
    for (const frame of frames) {
      const { n, frames: count = 1 } = frame;
      if (countNew(visit, frame) < count) continue;
      for (let i = n; i < n + count; i++) addTo(visit.seen, i);
      // Imported frames have already been thinned, if necessary.
      const isThinned = thinning !== 'none' && frame.frames === undefined;
      if (isThinned) visit.truncated = true;
      if (isThinned && thinning === 'all') continue;
      visit.frames += count;
      decodeSamples(frame.bytes, frame.from, samples, frame.to);
      samples.fit(0, this.#latest.get(frame) ?? Number.POSITIVE_INFINITY);
      if (isThinned) last?.thin(frame, samples);
      if (frame.t < earliest) {
        frame.t = earliest;
        samples.fit(earliest, Number.POSITIVE_INFINITY);
      }
      if (tally) earliest = frame.t;
      if (!runBuilder.fits(frame, samples)) {
        addIfAny(runs, runBuilder.take());
        runBuilder.start(frame);
        tally?.open(frame.place.page, frame.place.size, frame.entered, frame.t);
      }
      runBuilder.add(samples);
      tally?.take(samples, 0);
    }
    addIfAny(runs, runBuilder.take());
    tally?.close();
    return runs;
  }

  /**
   * If parts of an imported run are already stored, removes them, so that the whole run can be stored. Their frames
   * count as not seen. Returns the numbers of the runs to remove.
   */
  #removePartialRuns(number: number, visit: StoredVisit, frames: readonly BatchFrame[]): Set<number> {
    const replaced = new Set<number>();
    for (const frame of frames) {
      const { n, frames: count = 1 } = frame;
      if (!isPartlyStored(visit, frame)) continue;
      const stored = count - countNew(visit, frame);
      const runs = [...this.#target.runs(number, this.#damage)].filter(
        (run) => run.n >= n && run.n + run.frames <= n + count,
      );
      if (runs.reduce((sum, run) => sum + run.frames, 0) !== stored) continue;
      for (const run of runs) replaced.add(run.n);
      takeFrom(visit.seen, n, n + count - 1);
      visit.frames -= stored;
    }
    return replaced;
  }

  /**
   * Rewrites and recounts the visit with runs from before its last one, as after a clock change. Damaged runs are left
   * out.
   */
  #rewrite(number: number, visit: V, runs: Run[], replaced: ReadonlySet<number>, sums: Sums): void {
    const before: Run[] = [];
    const away = new Aggregator(visit.site, sums, -1, this.#pages, restartAggregation(visit));
    const take = (run: Run) => {
      away.add(run);
      before.push(run);
      this.#rewritten += run.payload.length;
    };
    this.#target.clear(number, visit, (run) => this.#damage.tryRead(() => take(run)), this.#damage);
    const left = before.filter(({ n }) => !replaced.has(n));
    const all = [...left, ...runs].sort((a, b) => a.t - b.t || a.n - b.n);
    visit.tally = restartAggregation(visit);
    const tally = new Aggregator(visit.site, sums, 1, this.#pages, visit.tally);
    for (const run of all) tally.add(run);
    this.#target.append(number, visit, all);
  }
}

function addIfAny(runs: Run[], run: Run | undefined): void {
  if (run) runs.push(run);
}

/** Returns false if a batch is damaged. */
export function isReadableBatch(batch: Uint8Array): boolean {
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
