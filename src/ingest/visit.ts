/**
 * A visitor while this worker has it, whatever it is connected by: takes decoded frames, keeps their order
 * and numbers, and tells the trace.
 */

import type { Visitor } from '../model/visitor.ts';
import { KIND, type Mark, type SampleBuffer } from '../protocol/frame.ts';
import type { DisconnectReason } from '../protocol/ipc.ts';
import type { Recording, Trace } from './contract.ts';
import type { RateLimits } from './rate-limits.ts';
import { boundTimes } from './sample-times.ts';
import type { VisitClock } from './visit-clock.ts';

export class LiveVisit {
  readonly trace: Trace;
  recording: Recording;
  readonly rateLimits: RateLimits;
  /** Adds to a sample's time to make it Unix ms on our clock. */
  offset: number;
  /** When the visitor first came, Unix ms. */
  readonly born: number;
  /** When this worker let it in, Unix ms. */
  readonly since: number;
  /**
   * The number that the page which has the visitor now counts from: all frames of earlier pages of the visitor are numbered
   * below it.
   */
  readonly base: number;
  /** Unix ms of the last sign of life. */
  lastHeard: number;
  readonly #clock: VisitClock;
  readonly #onEnd: (reason: DisconnectReason) => void;
  #ended = false;
  /** The number given to the last frame that had none. */
  #lastN = 0;

  /** `onEnd` is called once, when the visit is over: to close what it was connected by. */
  constructor(
    trace: Trace,
    recording: Recording,
    rateLimits: RateLimits,
    offset: number,
    born: number,
    base: number,
    clock: VisitClock,
    onEnd: (reason: DisconnectReason) => void,
  ) {
    this.trace = trace;
    this.recording = recording;
    this.rateLimits = rateLimits;
    this.offset = offset;
    this.born = born;
    this.since = clock.now();
    this.base = base;
    this.lastHeard = this.since;
    this.#clock = clock;
    this.#onEnd = onEnd;
  }

  get id(): string {
    return this.trace.arrival.id;
  }

  get site(): string {
    return this.trace.arrival.site;
  }

  /** The time to take the visitor's frames at, Unix ms. */
  now(): number {
    return this.#clock.now();
  }

  /**
   * Takes frame `n`: shown once, and stored once. False if it holds more marks than the visitor may send now: nothing is
   * taken.
   */
  frame(n: number, samples: SampleBuffer, now: number): boolean {
    this.lastHeard = now;
    const isNew = n > this.trace.frame;
    if (!isNew && n <= this.recording.taken) return true;
    if (!this.rateLimits.marks(samples.marks.length, now)) return false;
    this.#boundTimes(samples, isNew, now);
    this.#record(n, samples, now);
    if (isNew) {
      this.trace.frame = n;
      this.#show(samples, n);
    } else this.#follow(samples, n);
    return true;
  }

  /** Takes a frame of a client that does not number: the time of arrival does. False as above. */
  unnumbered(samples: SampleBuffer, now: number): boolean {
    this.lastHeard = now;
    if (!this.rateLimits.marks(samples.marks.length, now)) return false;
    if (samples.count === 0) return true;
    // In the record and on the live stream alike, nothing is before what the visitor did last.
    this.trace.lastTime = samples.order(this.trace.lastTime);
    this.trace.frame += 1;
    this.#record(this.trace.frame, samples, now);
    this.#lastN = Math.max(this.#lastN + 1, now);
    this.#show(samples, this.#lastN);
    return true;
  }

  /** As boundTimes, with what the visitor did last in view; of a frame that was shown before, only its age counts. */
  #boundTimes(samples: SampleBuffer, isNew: boolean, now: number): void {
    this.offset = boundTimes(samples, this.offset, isNew ? this.trace.lastTime : 0, now);
    const last = samples.time[samples.count - 1];
    if (last !== undefined) this.trace.lastTime = Math.max(this.trace.lastTime, last + this.offset);
  }

  #record(n: number, samples: SampleBuffer, now: number): void {
    const { page, size } = this.trace.arrival;
    this.recording.take(n, page, size, samples, this.offset, now);
  }

  #show(samples: SampleBuffer, n: number): void {
    if (samples.marks.length === 0) this.trace.take(samples, this.offset, 0, samples.count);
    else this.#takeMarked(samples, n);
  }

  /** Of a frame that was shown before, only where it leads to matters. */
  #follow(samples: SampleBuffer, n: number): void {
    for (const mark of samples.marks)
      if (mark.type === 'page') this.#takeMark(mark, n, 0, (samples.time[0] as number) + this.offset);
  }

  /** As above, for a frame with marks: moves before a mark are taken before it, on the page where they were. */
  #takeMarked(samples: SampleBuffer, n: number): void {
    let from = 0;
    let nextMark = 0;
    for (let i = 0; i < samples.count; i++) {
      if (samples.kind[i] !== KIND.mark) continue;
      const mark = samples.marks[nextMark] as Mark;
      nextMark += 1;
      this.trace.take(samples, this.offset, from, i);
      from = i;
      this.#takeMark(mark, n, i, (samples.time[i] as number) + this.offset);
    }
    this.trace.take(samples, this.offset, from, samples.count);
  }

  #takeMark(mark: Mark, n: number, i: number, t: number): void {
    const { arrival } = this.trace;
    switch (mark.type) {
      case 'click': {
        const { type, ...click } = mark;
        this.trace.click(n, i, t, click);
        break;
      }
      case 'page':
        if (mark.page !== arrival.page) this.trace.navigate(n, i, t, mark.page);
        break;
      case 'resize':
        this.#view(t, [mark.vw, mark.vh, mark.dw, mark.dh], arrival.hidden);
        break;
      case 'visibility':
        this.#view(t, arrival.size, !mark.visible);
        break;
      case 'pointer':
        break;
      default:
        mark satisfies never;
    }
  }

  /** A page sends its window size each time it connects. Streams are told only if it has changed. */
  #view(t: number, size: Visitor['size'], hidden: boolean): void {
    const { arrival } = this.trace;
    if (String(size) !== String(arrival.size) || hidden !== arrival.hidden) this.trace.view(t, size, hidden);
  }

  name(label: string): void {
    this.trace.name(label);
    this.recording.name(label);
  }

  /** The visitor has gone from this worker. Ending twice is safe. */
  end(reason: DisconnectReason): void {
    if (this.#ended) return;
    this.#ended = true;
    this.trace.disconnected(this.now(), reason);
    this.#onEnd(reason);
  }
}
