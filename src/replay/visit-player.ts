/** One visitor of a replay: its state, and how far what it did has been told. */

import type { Passage, Visit } from '../model/visit.ts';
import { deviceOf, shareSeen, type Visitor } from '../model/visitor.ts';
import type { ReplayEventName, ReplayEvents } from '../protocol/stream-event.ts';

export type ReplayEvent = { [N in ReplayEventName]: { name: N; data: ReplayEvents[N] } }[ReplayEventName];

/** Positions that are told together; none of them is older than what was told of this visitor before. */
export interface Segment {
  v: number;
  /** Flat: time, x, y. */
  moves: number[];
  /** The last scroll offset and the share of the page seen, if it scrolled. */
  scroll: [y: number, depth: number] | null;
}

/** An event that keeps its place among its visitor's moves. */
export interface ReplayAction {
  /** By which events are ordered; of one visitor's it never runs back, as clocks may. */
  t: number;
  /** What of this visitor comes before. */
  before: Segment | null;
  event: ReplayEvent;
}

/** Kinds of what a passage holds, as the cursor into each of its lists. */
const LISTS = ['views', 'moves', 'scrolls', 'clicks'] as const;
type List = (typeof LISTS)[number];
/** Numbers that one item of a list takes. */
const WIDTH = { views: 1, moves: 3, scrolls: 2, clicks: 1 } as const;

export class VisitPlayer {
  readonly visitor: Visitor;
  /** First sign of life: samples may be of before the first contact. */
  readonly begin: number;
  /** Last sign of life. */
  until: number;
  /** It has come and not left. */
  here = false;
  /** What it did since the last `takeSamples`. */
  #samples = 0;
  #latest = 0;
  /** The page of which moves and scrolls are told, or null for all. */
  readonly #stage: string | null;
  #passages: readonly Passage[] = [];
  #at = 0;
  #next: Record<List, number> = beginning();
  #entered = false;
  #segment: Segment | null = null;

  constructor(v: number, visit: Visit, t: number, stage: string | null) {
    this.visitor = visitorOf(v, visit, t);
    this.begin = Math.min(visit.since, visit.stays[0]?.t ?? visit.since);
    this.until = visit.until;
    this.#stage = stage;
  }

  /** What it did in the time that comes; what of that is before `from` was told already, or is only to be known. */
  load(visit: Visit, passages: readonly Passage[], from: number): void {
    this.until = visit.until;
    this.#passages = passages;
    this.#at = 0;
    this.#begin();
    const samples = this.#samples;
    this.advance(from);
    this.#segment = null;
    this.#samples = samples;
  }

  /** All its samples up to now have been told. */
  get isDone(): boolean {
    return this.#at >= this.#passages.length;
  }

  /** Moves in the stretch at hand. */
  get gathered(): number {
    return (this.#segment?.moves.length ?? 0) / 3;
  }

  /** Goes on to what was before `to`, and returns the events among it. Moves and scrolls gather in a stretch. */
  advance(to: number): ReplayAction[] {
    const deeds: ReplayAction[] = [];
    for (let passage = this.#passages[this.#at]; passage && passage.t < to; passage = this.#passages[this.#at]) {
      if (!this.#entered) this.#enter(passage, deeds);
      if (!this.#walk(passage, to, deeds)) break;
      this.#at += 1;
      this.#begin();
    }
    return deeds;
  }

  #begin(): void {
    this.#next = beginning();
    this.#entered = false;
  }

  /** What has gathered, and gathers anew; null: nothing. */
  takeSegment(): Segment | null {
    const segment = this.#segment;
    this.#segment = null;
    return segment;
  }

  /** It did something that `takeSamples` has not told yet. */
  get isActive(): boolean {
    return this.#samples > 0;
  }

  /** How many samples there were since it was last asked. */
  takeSamples(): number {
    const samples = this.#samples;
    this.#samples = 0;
    return samples;
  }

  join(t: number): ReplayAction {
    this.here = true;
    return this.#action(t, { name: 'join', data: { t, visitor: { ...this.visitor } } });
  }

  /** The record does not tell why it left; most close their tab. */
  leave(): ReplayAction {
    this.here = false;
    const t = this.until;
    return this.#action(t, { name: 'leave', data: { t, v: this.visitor.v, reason: 'closed' } });
  }

  #enter({ t, page, size }: Passage, deeds: ReplayAction[]): void {
    this.#entered = true;
    if (page !== this.visitor.page) deeds.push(this.#navigate(t, page, size));
    else if (String(size) !== String(this.visitor.size)) deeds.push(this.#view(t, size, this.visitor.hidden));
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

  /** Takes a passage's items in the order of time. False: the rest of it is not before `to`. */
  #walk(passage: Passage, to: number, deeds: ReplayAction[]): boolean {
    for (;;) {
      const list = this.#earliest(passage);
      if (list === undefined) return true;
      if (this.#timeOf(passage, list) >= to) return false;
      this.#take(passage, list, deeds);
      this.#next[list] += WIDTH[list];
      this.#samples += 1;
    }
  }

  #earliest(passage: Passage): List | undefined {
    let earliest: List | undefined;
    let least = Number.POSITIVE_INFINITY;
    for (const list of LISTS) {
      const t = this.#timeOf(passage, list);
      if (t >= least) continue;
      least = t;
      earliest = list;
    }
    return earliest;
  }

  /** Time of the next item of a list; infinite: there is none. */
  #timeOf(passage: Passage, list: List): number {
    const item = passage[list][this.#next[list]];
    if (item === undefined) return Number.POSITIVE_INFINITY;
    return passage.t + (typeof item === 'number' ? item : item.dt);
  }

  #take(passage: Passage, list: List, deeds: ReplayAction[]): void {
    const i = this.#next[list];
    const t = this.#timeOf(passage, list);
    switch (list) {
      case 'moves':
        this.#move(t, passage.moves[i + 1] as number, passage.moves[i + 2] as number);
        break;
      case 'scrolls':
        this.#scroll(passage.scrolls[i + 1] as number);
        break;
      case 'clicks': {
        const { dt, ...click } = passage.clicks[i] as Passage['clicks'][number];
        this.visitor.at = [click.x, click.y];
        const { v, page } = this.visitor;
        deeds.push(this.#action(t, { name: 'click', data: { t, v, page, ...click } }));
        break;
      }
      case 'views': {
        const { size = this.visitor.size, hidden = this.visitor.hidden } = passage.views[i] as Passage['views'][number];
        deeds.push(this.#view(t, size, hidden));
        break;
      }
    }
  }

  #move(t: number, x: number, y: number): void {
    this.visitor.at = [x, y];
    if (this.#isOnStage) this.#gather().moves.push(t, x, y);
  }

  #scroll(y: number): void {
    if (this.#isOnStage) this.#gather().scroll = [y, shareSeen(y, this.visitor.size)];
  }

  get #isOnStage(): boolean {
    return this.#stage === null || this.visitor.page === this.#stage;
  }

  #gather(): Segment {
    this.#segment ??= { v: this.visitor.v, moves: [], scroll: null };
    return this.#segment;
  }
}

function beginning(): Record<List, number> {
  return { views: 0, moves: 0, scrolls: 0, clicks: 0 };
}

/** A visitor as it was at a time, as far as what is kept of its visit tells. */
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
