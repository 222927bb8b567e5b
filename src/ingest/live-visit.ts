/**
 * A visitor while it is on this worker, over any connection: handles decoded frames, tracks their order and numbers,
 * and updates the trace.
 */

import { isPublished, type Mark } from '../model/mark.ts';
import type { Visitor } from '../model/visitor.ts';
import { KIND, type SampleBuffer } from '../protocol/frame.ts';
import type { DisconnectReason } from '../protocol/ipc.ts';
import type { LiveSink, RecordSink } from './contract.ts';
import type { RateLimits } from './rate-limits.ts';
import { boundTimes } from './sample-times.ts';
import type { VisitClock } from './visit-clock.ts';

/** What carries a visit, for example its connection. */
export interface VisitOwner {
  /** The visit is over. Called once. */
  visitEnded(visit: LiveVisit, reason: DisconnectReason): void;
}

/** Has the visits of this worker. */
export interface VisitIndex {
  forget(visit: LiveVisit): void;
  /** What one visitor may send, from now on. */
  rateLimits(): RateLimits;
}

export class LiveVisit {
  readonly trace: LiveSink;
  recording: RecordSink;
  /** Turns a sample's time into Unix ms of our clock when added. */
  offset: number;
  /** When the visitor first came, Unix ms. */
  readonly born: number;
  /** When this worker let it in, Unix ms. */
  readonly since: number;
  /** The first number of the visitor's current page. All frames of its earlier pages have lower numbers. */
  readonly base: number;
  /** Time of the last sign of life, Unix ms. */
  lastHeard: number;
  readonly #clock: VisitClock;
  readonly #index: VisitIndex;
  readonly #owner: VisitOwner;
  #rateLimits: RateLimits | undefined;
  #ended = false;
  /** The number of the last frame that came without one. */
  #lastN = 0;

  constructor(
    trace: LiveSink,
    recording: RecordSink,
    offset: number,
    born: number,
    base: number,
    clock: VisitClock,
    index: VisitIndex,
    owner: VisitOwner,
  ) {
    this.trace = trace;
    this.recording = recording;
    this.offset = offset;
    this.born = born;
    this.since = clock.now();
    this.base = base;
    this.lastHeard = this.since;
    this.#clock = clock;
    this.#index = index;
    this.#owner = owner;
  }

  get id(): string {
    return this.trace.arrival.id;
  }

  get site(): string {
    return this.trace.arrival.site;
  }

  /** Times are those of `now`. */
  get rateLimits(): RateLimits {
    this.#rateLimits ??= this.#index.rateLimits();
    return this.#rateLimits;
  }

  /** Gives back memory that an idle visitor does not need. */
  rest(): void {
    if (this.#rateLimits?.areFull(this.now())) this.#rateLimits = undefined;
    this.recording.rest();
  }

  /** The time for the visitor's frames, Unix ms. */
  now(): number {
    return this.#clock.now();
  }

  /**
   * Handles frame `n`: shown once, and stored once. Returns false if it has more marks than the visitor may send now;
   * then nothing is accepted.
   */
  frame(n: number, samples: SampleBuffer, now: number): boolean {
    this.lastHeard = now;
    const isNew = n > this.trace.frame;
    if (!isNew && n <= this.recording.taken) return true;
    if (!this.#mayMark(samples.marks.length, now)) return false;
    this.#boundTimes(samples, isNew, now);
    this.#record(n, samples, now);
    if (isNew) {
      this.trace.frame = n;
      this.#publish(samples, n);
    } else this.#applyPageChanges(samples, n);
    return true;
  }

  /** Handles a frame of a client without numbers: the time of arrival is used instead. Returns false as above. */
  unnumbered(samples: SampleBuffer, now: number): boolean {
    this.lastHeard = now;
    if (!this.#mayMark(samples.marks.length, now)) return false;
    if (samples.count === 0) return true;
    // Neither the record nor the live stream has events before the visitor's last one.
    this.trace.lastTime = samples.order(this.trace.lastTime);
    this.trace.frame += 1;
    this.#record(this.trace.frame, samples, now);
    this.#lastN = Math.max(this.#lastN + 1, now);
    this.#publish(samples, this.#lastN);
    return true;
  }

  #mayMark(marks: number, now: number): boolean {
    return marks === 0 || this.rateLimits.marks(marks, now);
  }

  /**
   * As boundTimes, but not before the visitor's last event; a frame that was shown before is bounded only by its age.
   */
  #boundTimes(samples: SampleBuffer, isNew: boolean, now: number): void {
    this.offset = boundTimes(samples, this.offset, isNew ? this.trace.lastTime : 0, now);
    const last = samples.time[samples.count - 1];
    if (last !== undefined) this.trace.lastTime = Math.max(this.trace.lastTime, last + this.offset);
  }

  #record(n: number, samples: SampleBuffer, now: number): void {
    const { page, size } = this.trace.arrival;
    this.recording.take(n, page, size, samples, this.offset, now);
  }

  #publish(samples: SampleBuffer, n: number): void {
    if (samples.marks.length === 0) this.trace.take(samples, this.offset, 0, samples.count);
    else this.#applyMarks(samples, n);
  }

  /** Of a frame that was shown before, only page changes matter. */
  #applyPageChanges(samples: SampleBuffer, n: number): void {
    for (const mark of samples.marks)
      if (mark.type === 'page') this.#applyMark(mark, n, 0, (samples.time[0] as number) + this.offset);
  }

  /** As above, for a frame with marks: moves before a mark belong to the page before it. */
  #applyMarks(samples: SampleBuffer, n: number): void {
    let from = 0;
    let nextMark = 0;
    for (let i = 0; i < samples.count; i++) {
      if (samples.kind[i] !== KIND.mark) continue;
      const mark = samples.marks[nextMark] as Mark;
      nextMark += 1;
      this.trace.take(samples, this.offset, from, i);
      from = i;
      this.#applyMark(mark, n, i, (samples.time[i] as number) + this.offset);
    }
    this.trace.take(samples, this.offset, from, samples.count);
  }

  #applyMark(mark: Mark, n: number, i: number, t: number): void {
    if (isPublished(mark)) {
      this.trace.mark(n, i, t, mark);
      return;
    }
    const { arrival } = this.trace;
    switch (mark.type) {
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

  /** A page sends its window size each time it connects. Streams get it only if it has changed. */
  #view(t: number, size: Visitor['size'], hidden: boolean): void {
    const { arrival } = this.trace;
    if (String(size) !== String(arrival.size) || hidden !== arrival.hidden) this.trace.view(t, size, hidden);
  }

  name(label: string): void {
    this.trace.name(label);
    this.recording.name(label);
  }

  /** Ends the visit on this worker. Ending twice is safe. */
  end(reason: DisconnectReason): void {
    if (this.#ended) return;
    this.#ended = true;
    this.trace.disconnected(this.now(), reason);
    this.#index.forget(this);
    this.#owner.visitEnded(this, reason);
  }
}
