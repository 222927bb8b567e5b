/** The loaded part of a visit's recording. */
import type { Passage, Visit } from '../../model/visit.ts';
import { type Chapter, chapterOf, timesOf } from './chapter.ts';

/** A gap without events that is longer than this is a quiet time, milliseconds. */
export const QUIET_MS = 2000;
/**
 * The recording ends this long after the last event, milliseconds. Otherwise the last event would not be seen, because
 * pointers are drawn with a delay.
 */
const TAIL_MS = 500;

/** A mark on the time line. */
export interface TimelineMark {
  /** Unix ms. */
  t: number;
  kind: 'page' | 'click';
  /** Text to display. It may come from a visitor. */
  text: string;
}

/** A time span without events, Unix ms. */
export interface Quiet {
  from: number;
  to: number;
}

export interface PassagePart {
  passages: Passage[];
  next: string | null;
  /** Number of pieces that are missing because they are damaged. */
  damaged: number;
}

/** The pages of a visit, without duplicates. */
export function pagesOfVisit({ stays }: Visit): string[] {
  return [...new Set(stays.map(({ page }) => page))];
}

export class VisitRecording {
  readonly visit: Visit;
  readonly chapters: Chapter[] = [];
  readonly marks: TimelineMark[] = [];
  readonly quiet: Quiet[] = [];
  /** Cursor of the next part; undefined before the first part is loaded, null after the last. */
  next: string | null | undefined = undefined;
  /** Number of pieces in the loaded parts that are missing because they are damaged. */
  damaged = 0;
  #lastActivity: number;

  constructor(visit: Visit) {
    this.visit = visit;
    this.#lastActivity = this.start;
    for (const { page, t } of visit.stays) this.marks.push({ t, kind: 'page', text: page });
  }

  /** Start, Unix ms. Samples that a page could not send at once may be older than its first contact. */
  get start(): number {
    return Math.min(this.visit.since, this.visit.stays[0]?.t ?? this.visit.since);
  }

  /** End, as far as it is known, Unix ms. */
  get end(): number {
    return Math.max(this.visit.until, this.chapters.at(-1)?.passage.until ?? 0) + TAIL_MS;
  }

  /** Time up to which the recording is loaded, Unix ms. */
  get horizon(): number {
    return this.next === null ? this.end : (this.chapters.at(-1)?.passage.until ?? this.start);
  }

  /** Adds the next part. Returns its chapters. */
  add({ passages, next, damaged }: PassagePart): Chapter[] {
    const added: Chapter[] = [];
    for (const passage of passages) {
      const chapter = chapterOf(this.visit, passage, this.chapters.at(-1));
      this.chapters.push(chapter);
      added.push(chapter);
      for (const t of timesOf(chapter)) this.#addActivity(t);
      for (const { dt, selector } of passage.clicks)
        this.marks.push({ t: passage.t + dt, kind: 'click', text: selector });
    }
    this.next = next;
    this.damaged += damaged;
    if (next === null) this.#addActivity(this.end);
    return added;
  }

  /**
   * Index of the chapter that plays at `t`: the last that has started, or the first. Chapters overlap if a new
   * connection was opened before the old one ended. Then it is the index of the first of them.
   */
  chapterAt(t: number): number {
    const after = this.chapters.findIndex(({ passage }) => passage.t > t);
    let at = Math.max(0, (after < 0 ? this.chapters.length : after) - 1);
    while (at > 0 && this.#endOf(at - 1) > this.#startOf(at)) at--;
    return at;
  }

  /** The quiet time around `t`, if there is one. */
  quietAt(t: number): Quiet | undefined {
    return this.quiet.find(({ from, to }) => from <= t && t < to);
  }

  #startOf(i: number): number {
    return this.chapters[i]?.passage.t ?? 0;
  }

  #endOf(i: number): number {
    return this.chapters[i]?.passage.until ?? 0;
  }

  #addActivity(t: number): void {
    if (t - this.#lastActivity > QUIET_MS) this.quiet.push({ from: this.#lastActivity, to: t });
    this.#lastActivity = Math.max(this.#lastActivity, t);
  }
}
