/** Builds runs from a visit's frames: consecutive frames become one run without a gap. */

import type { Mark } from '../../model/mark.ts';
import type { Visitor } from '../../model/visitor.ts';
import type { SampleBuffer } from '../../protocol/frame.ts';
import { RUN_MS, RUN_SAMPLES } from '../../protocol/passages.ts';
import { type Pen, Writer } from '../../protocol/writer.ts';
import type { Run } from '../archive.ts';
import type { BatchFrame } from './batch.ts';

/** Joins frames into runs. Frames are given one after the other, decoded. */
export class RunBuilder {
  readonly #payload = new Writer(4096);
  readonly #pen: Pen = { time: 0, x: 0, y: 0 };
  #run: Run | undefined;
  #count = 0;
  /** The run was imported as a whole and must not be extended. */
  #isWhole = false;
  /** Page and window at the end of the run. */
  #page = '';
  #size: Visitor['size'] = [0, 0, 0, 0];

  /** True if a frame continues the current run. */
  fits({ n, frames, t, entered, place }: BatchFrame, { count, time }: SampleBuffer): boolean {
    const run = this.#run;
    if (this.#isWhole || frames !== undefined) return false;
    if (!run || entered || n !== run.n + run.frames || place.page !== this.#page) return false;
    if (!isSame(place.size, this.#size) || t < run.t + this.#pen.time) return false;
    const end = count > 0 ? (time[count - 1] as number) : t;
    if (run.frames >= RUN_SAMPLES) return false;
    return this.#count + count <= RUN_SAMPLES && end - run.t <= RUN_MS;
  }

  /** Starts a run with the frame that is added next. */
  start({ n, frames, t, entered, place: { page, size } }: BatchFrame): void {
    this.#isWhole = frames !== undefined;
    Object.assign(this.#pen, { time: 0, x: 0, y: 0 });
    this.#count = 0;
    this.#page = page;
    this.#size = size;
    this.#payload.clear();
    this.#payload.varint(0);
    this.#run = { n, frames: (frames ?? 1) - 1, page, size, entered, t, until: t, payload: NO_BYTES };
  }

  /** Adds a frame's samples to the run. */
  add(samples: SampleBuffer): void {
    const run = this.#run as Run;
    run.frames += 1;
    this.#payload.allSamples(this.#pen, samples, -run.t);
    run.until = run.t + this.#pen.time;
    this.#count += samples.count;
    if (samples.marks.length > 0) this.#follow(samples.marks);
  }

  #follow(marks: readonly Mark[]): void {
    for (const mark of marks)
      if (mark.type === 'page') this.#page = mark.page;
      else if (mark.type === 'resize') this.#size = [mark.vw, mark.vh, mark.dw, mark.dh];
  }

  /** Ends the current run and returns it, if there is one. */
  take(): Run | undefined {
    const run = this.#run;
    this.#run = undefined;
    if (run) run.payload = this.#payload.copy();
    return run;
  }
}

const NO_BYTES = new Uint8Array();

function isSame(a: Visitor['size'], b: Visitor['size']): boolean {
  return a === b || a.every((extent, i) => extent === b[i]);
}
