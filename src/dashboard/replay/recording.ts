/** The record of one visit as far as it is loaded. */
import type { Passage, Visit } from '../../model/visit.ts';
import { type Chapter, chapterOf, timesOf } from './chapter.ts';

/** A rest longer than this is quiet time, milliseconds. */
export const QUIET_MS = 2000;
/** So long it goes on after the last that happened, so that this is seen: pointers are drawn a little later. */
const TAIL_MS = 500;

/** Something on the time line. */
export interface TimelineMark {
  /** Unix ms. */
  t: number;
  kind: 'page' | 'click';
  /** For people; may come from a visitor. */
  text: string;
}

/** From `from` to `to`, Unix ms, nothing happened. */
export interface Quiet {
  from: number;
  to: number;
}

export interface PassagePart {
  passages: Passage[];
  next: string | null;
  /** Pieces that are missing since they are damaged. */
  damaged: number;
}

/** The pages that a visit was on, each once. */
export function pagesOfVisit({ stays }: Visit): string[] {
  return [...new Set(stays.map(({ page }) => page))];
}

export class VisitRecording {
  readonly visit: Visit;
  readonly chapters: Chapter[] = [];
  readonly marks: TimelineMark[] = [];
  readonly quiet: Quiet[] = [];
  /** Cursor of the part to load next; null: all is here. */
  next: string | null | undefined = undefined;
  /** Pieces that are missing, so far, since they are damaged. */
  damaged = 0;
  #busy: number;

  constructor(visit: Visit) {
    this.visit = visit;
    this.#busy = this.begin;
    for (const { page, t } of visit.stays) this.marks.push({ t, kind: 'page', text: page });
  }

  /** Unix ms of the begin: what a page could not send at once may be older than its first contact. */
  get begin(): number {
    return Math.min(this.visit.since, this.visit.stays[0]?.t ?? this.visit.since);
  }

  /** Unix ms of the end, as far as it is known. */
  get end(): number {
    return Math.max(this.visit.until, this.chapters.at(-1)?.passage.until ?? 0) + TAIL_MS;
  }

  /** Time up to which it is loaded. */
  get horizon(): number {
    return this.next === null ? this.end : (this.chapters.at(-1)?.passage.until ?? this.begin);
  }

  /** Adds the part that follows. Returns its chapters. */
  add({ passages, next, damaged }: PassagePart): Chapter[] {
    const added: Chapter[] = [];
    for (const passage of passages) {
      const chapter = chapterOf(this.visit, passage, this.chapters.at(-1));
      this.chapters.push(chapter);
      added.push(chapter);
      for (const t of timesOf(chapter)) this.#isBusy(t);
      for (const { dt, selector } of passage.clicks)
        this.marks.push({ t: passage.t + dt, kind: 'click', text: selector });
    }
    this.next = next;
    this.damaged += damaged;
    if (next === null) this.#isBusy(this.end);
    return added;
  }

  /**
   * Index of the chapter that plays at `t`: the last that has started, or the first. Chapters overlap if a new
   * connection was made before the old one had ended. Then it is the first of those.
   */
  chapterAt(t: number): number {
    const after = this.chapters.findIndex(({ passage }) => passage.t > t);
    let at = Math.max(0, (after < 0 ? this.chapters.length : after) - 1);
    while (at > 0 && this.#untilOf(at - 1) > this.#beginOf(at)) at--;
    return at;
  }

  /** The quiet time around `t`, if there is one. */
  quietAt(t: number): Quiet | undefined {
    return this.quiet.find(({ from, to }) => from <= t && t < to);
  }

  #beginOf(i: number): number {
    return this.chapters[i]?.passage.t ?? 0;
  }

  #untilOf(i: number): number {
    return this.chapters[i]?.passage.until ?? 0;
  }

  #isBusy(t: number): void {
    if (t - this.#busy > QUIET_MS) this.quiet.push({ from: this.#busy, to: t });
    this.#busy = Math.max(this.#busy, t);
  }
}
