/** One visitor of a replay: its state, and how far its actions have been sent. */

import { byMarkList, type MarkList, type PublishedName } from '../model/mark.ts';
import type { Passage, Visit } from '../model/visit.ts';
import { deviceOf, shareSeen, type Visitor } from '../model/visitor.ts';
import type { ReplayEventName, ReplayEvents } from '../protocol/stream-event.ts';

export type ReplayEvent = { [N in ReplayEventName]: { name: N; data: ReplayEvents[N] } }[ReplayEventName];

/** Positions that are sent together. None is older than the last event of this visitor. */
export interface Segment {
  v: number;
  /** Flat: time, x, y. */
  moves: number[];
  /** The last scroll offset and the share of the page seen, if it scrolled. */
  scroll: [y: number, depth: number] | null;
}

/** An event with its place among its visitor's moves. */
export interface ReplayAction {
  /** Orders events. Unlike the recorded times, it never runs backwards for one visitor. */
  t: number;
  /** The visitor's positions before the event. */
  before: Segment | null;
  event: ReplayEvent;
}

/** The lists of a passage, each with a cursor. */
type List = Exclude<keyof Passage, 'page' | 't' | 'until' | 'size' | 'entered'>;
/** Array elements per item of a list. Of items with the same time, those of the first list come first. */
const WIDTH: Readonly<Record<List, number>> = { views: 1, moves: 3, scrolls: 2, ...byMarkList(() => 1) };
const LISTS = Object.keys(WIDTH) as List[];
const FIRST: Readonly<Record<List, number>> = { views: 0, moves: 0, scrolls: 0, ...byMarkList(() => 0) };
/** The event of each list of marks. */
const EVENT = byMarkList((name) => name);

export class VisitPlayer {
  readonly visitor: Visitor;
  /** First sign of life: samples may be from before the first contact. */
  readonly start: number;
  /** Last sign of life. */
  until: number;
  /** True between join and leave. */
  isPresent = false;
  /** Number of samples since the last `takeSamples`. */
  #samples = 0;
  #latest = 0;
  /** The page whose moves and scrolls are sent, or null for all. */
  readonly #stage: string | null;
  #passages: readonly Passage[] = [];
  #at = 0;
  #next: Record<List, number> = { ...FIRST };
  #hasStarted = false;
  #segment: Segment | null = null;

  constructor(v: number, visit: Visit, t: number, stage: string | null) {
    this.visitor = visitorOf(v, visit, t);
    this.start = Math.min(visit.since, visit.stays[0]?.t ?? visit.since);
    this.until = visit.until;
    this.#stage = stage;
  }

  /**
   * Loads the passages of the next window. Items before `from` only set the visitor's state: they were sent before, or
   * are not to be sent.
   */
  load(visit: Visit, passages: readonly Passage[], from: number): void {
    this.until = visit.until;
    this.#passages = passages;
    this.#at = 0;
    this.#rewindCursors();
    const samples = this.#samples;
    this.advance(from);
    this.#segment = null;
    this.#samples = samples;
  }

  /** True if all loaded samples have been sent. */
  get isDone(): boolean {
    return this.#at >= this.#passages.length;
  }

  /** Number of moves in the current segment. */
  get gathered(): number {
    return (this.#segment?.moves.length ?? 0) / 3;
  }

  /** Advances up to `to`, and returns the events on the way. Moves and scrolls are collected in a segment. */
  advance(to: number): ReplayAction[] {
    const actions: ReplayAction[] = [];
    for (let passage = this.#passages[this.#at]; passage && passage.t < to; passage = this.#passages[this.#at]) {
      if (!this.#hasStarted) this.#startPassage(passage, actions);
      if (!this.#advanceIn(passage, to, actions)) break;
      this.#at += 1;
      this.#rewindCursors();
    }
    return actions;
  }

  #rewindCursors(): void {
    this.#next = { ...FIRST };
    this.#hasStarted = false;
  }

  /** Returns the current segment and starts a new one; null if it is empty. */
  takeSegment(): Segment | null {
    const segment = this.#segment;
    this.#segment = null;
    return segment;
  }

  /** True if there are samples that `takeSamples` has not returned yet. */
  get isActive(): boolean {
    return this.#samples > 0;
  }

  /** The number of samples since the last call. */
  takeSamples(): number {
    const samples = this.#samples;
    this.#samples = 0;
    return samples;
  }

  join(t: number): ReplayAction {
    this.isPresent = true;
    return this.#action(t, { name: 'join', data: { t, visitor: { ...this.visitor } } });
  }

  /** The record does not contain the reason; most visitors close their tab. */
  leave(): ReplayAction {
    this.isPresent = false;
    const t = this.until;
    return this.#action(t, { name: 'leave', data: { t, v: this.visitor.v, reason: 'closed' } });
  }

  #startPassage({ t, page, size }: Passage, actions: ReplayAction[]): void {
    this.#hasStarted = true;
    if (page !== this.visitor.page) actions.push(this.#navigate(t, page, size));
    else if (String(size) !== String(this.visitor.size)) actions.push(this.#view(t, size, this.visitor.hidden));
  }

  #navigate(t: number, page: string, size: Visitor['size']): ReplayAction {
    const { v, page: from, origin } = this.visitor;
    Object.assign(this.visitor, { page, size, device: deviceOf(size[0]), at: null });
    const visitor = { ...this.visitor };
    return this.#action(t, { name: 'page', data: { t, v, page, from, origin, size, visitor } });
  }

  #view(t: number, size: Visitor['size'], hidden: boolean): ReplayAction {
    const { v, label } = this.visitor;
    const device = deviceOf(size[0]);
    Object.assign(this.visitor, { size, hidden, device });
    return this.#action(t, { name: 'view', data: { t, v, size, hidden, device, label } });
  }

  #action(t: number, event: ReplayEvent): ReplayAction {
    this.#latest = Math.max(this.#latest, t);
    return { t: this.#latest, before: this.takeSegment(), event };
  }

  /** Applies a passage's items in order of time. Returns false if items at or after `to` are left. */
  #advanceIn(passage: Passage, to: number, actions: ReplayAction[]): boolean {
    for (;;) {
      const list = this.#earliest(passage);
      if (list === undefined) return true;
      if (this.#timeOf(passage, list) >= to) return false;
      this.#take(passage, list, actions);
      this.#next[list] += WIDTH[list];
      this.#samples += 1;
    }
  }

  #earliest(passage: Passage): List | undefined {
    let earliest: List | undefined;
    let minimum = Number.POSITIVE_INFINITY;
    for (const list of LISTS) {
      const t = this.#timeOf(passage, list);
      if (t >= minimum) continue;
      minimum = t;
      earliest = list;
    }
    return earliest;
  }

  /** Time of the next item of a list; Infinity if there is none. */
  #timeOf(passage: Passage, list: List): number {
    const item = passage[list][this.#next[list]];
    if (item === undefined) return Number.POSITIVE_INFINITY;
    return passage.t + (typeof item === 'number' ? item : item.dt);
  }

  #take(passage: Passage, list: List, actions: ReplayAction[]): void {
    const i = this.#next[list];
    const t = this.#timeOf(passage, list);
    switch (list) {
      case 'moves':
        this.#move(t, passage.moves[i + 1] as number, passage.moves[i + 2] as number);
        break;
      case 'scrolls':
        this.#scroll(passage.scrolls[i + 1] as number);
        break;
      case 'views': {
        const { size = this.visitor.size, hidden = this.visitor.hidden } = passage.views[i] as Passage['views'][number];
        actions.push(this.#view(t, size, hidden));
        break;
      }
      default:
        actions.push(this.#mark(t, EVENT[list], passage[list][i] as Passage[MarkList][number]));
    }
  }

  #mark(t: number, name: PublishedName, { dt, ...fields }: Passage[MarkList][number]): ReplayAction {
    if ('x' in fields) this.visitor.at = [fields.x, fields.y];
    const { v, page } = this.visitor;
    return this.#action(t, { name, data: { t, v, page, ...fields } } as ReplayEvent);
  }

  #move(t: number, x: number, y: number): void {
    this.visitor.at = [x, y];
    if (this.#isOnStage) this.#currentSamples().moves.push(t, x, y);
  }

  #scroll(y: number): void {
    if (this.#isOnStage) this.#currentSamples().scroll = [y, shareSeen(y, this.visitor.size)];
  }

  get #isOnStage(): boolean {
    return this.#stage === null || this.visitor.page === this.#stage;
  }

  #currentSamples(): Segment {
    this.#segment ??= { v: this.visitor.v, moves: [], scroll: null };
    return this.#segment;
  }
}

/** The visitor as it was at a time, as far as its recorded visit shows. */
function visitorOf(v: number, visit: Visit, t: number): Visitor {
  const { id, origin, since, size, label, language, referrer, stays } = visit;
  const page = (stays.findLast((stay) => stay.t <= t) ?? stays[0])?.page ?? '';
  return {
    v,
    id,
    page,
    origin,
    since,
    device: deviceOf(size[0]),
    size,
    at: null,
    hidden: false,
    label,
    language,
    referrer,
  };
}
