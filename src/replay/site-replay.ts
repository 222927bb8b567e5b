/**
 * Turns recorded visits into the events of a live stream, one time window after the other. The events of one visitor
 * are in order of time; those of different visitors may be off by up to one tick.
 */
import { getOrInsert } from '../lib/get-or-insert.ts';
import type { Passage, Visit } from '../model/visit.ts';
import { MAX_ACTIVE, type StreamEvents } from '../protocol/stream-event.ts';
import { type ReplayAction, type ReplayEvent, type Segment, VisitPlayer } from './visit-player.ts';

/** A visit, and what it did in a window of time. */
export interface VisitPassages {
  visit: Visit;
  /** In order of time; passages outside of the window are ignored. */
  passages: readonly Passage[];
}

/** Events that are sent together. */
export interface ReplayTick {
  /** The end of the tick. */
  t: number;
  events: ReplayEvent[];
}

export interface SiteReplayOptions {
  site: string;
  /** The page whose moves and scrolls are sent, or null for all. */
  stage: string | null;
  /** Start of the replay. */
  from: number;
  /** Duration of a tick, milliseconds. */
  step: number;
  /** The version of the server. */
  version: string;
}

const SECOND_MS = 1000;
/** Maximum number of samples in one `moves` event; a tick with more gets several events. */
const MAX_SAMPLES = 4096;

export class SiteReplay {
  readonly #options: SiteReplayOptions;
  readonly #players = new Map<string, VisitPlayer>();
  /** Everything before this time has been sent. */
  #t: number;
  /** A visitor whose last activity was after this time (Unix ms) may still be present. */
  #settledUntil = Number.POSITIVE_INFINITY;
  readonly #maybePresent = new Set<VisitPlayer>();
  #isStarted = false;
  #lastV = 0;

  constructor(options: SiteReplayOptions) {
    this.#options = options;
    this.#t = options.from;
  }

  /**
   * Yields the events from the end of the last window until `to`. The passages may reach further back. Activity before
   * the window is not sent again, but in the first window it sets the initial state of visitors. That includes visitors
   * whose last activity was before the window but after `settled` (Unix ms), because their visits may go on.
   */
  *window(visits: Iterable<VisitPassages>, to: number, settled = Number.POSITIVE_INFINITY): Generator<ReplayTick> {
    this.#settledUntil = settled;
    for (const visit of visits) this.#load(visit);
    if (!this.#isStarted) yield this.#snapshot();
    while (this.#t < to) yield this.#tick(Math.min(this.#t + this.#options.step, to));
    this.#forget();
  }

  #load({ visit, passages }: VisitPassages): void {
    const player = getOrInsert(this.#players, visit.id, () => this.#createPlayer(visit));
    player.load(visit, passages, this.#t);
  }

  #createPlayer(visit: Visit): VisitPlayer {
    this.#lastV += 1;
    return new VisitPlayer(this.#lastV, visit, Math.max(visit.since, this.#t), this.#options.stage);
  }

  #snapshot(): ReplayTick {
    this.#isStarted = true;
    const { site, version, from: t } = this.#options;
    const visitors: StreamEvents['snapshot']['visitors'] = [];
    for (const player of this.#players.values()) {
      const isMaybePresent = player.until < t && player.until > this.#settledUntil;
      if (isMaybePresent) this.#maybePresent.add(player);
      player.isPresent = player.start < t && (t <= player.until || isMaybePresent);
      if (player.isPresent) visitors.push({ ...player.visitor });
    }
    return { t, events: [{ name: 'snapshot', data: { t, site, visitors, minutes: [], version } }] };
  }

  #tick(to: number): ReplayTick {
    const base = this.#t;
    const actions: ReplayAction[] = [];
    while (this.#t < to && this.#bufferedSamples() < MAX_SAMPLES) {
      const before = this.#t;
      const second = this.#nextSecond();
      this.#t = Math.min(second, to);
      for (const player of this.#players.values()) this.#advance(player, before, actions);
      if (this.#t === second) actions.push(this.#rates());
    }
    return { t: this.#t, events: this.#toEvents(actions, base) };
  }

  #bufferedSamples(): number {
    let samples = 0;
    for (const player of this.#players.values()) samples += player.gathered;
    return samples;
  }

  #nextSecond(): number {
    const { from } = this.#options;
    return this.#t + SECOND_MS - ((this.#t - from) % SECOND_MS);
  }

  /** Applies what a visitor did from `before` to the current time. */
  #advance(player: VisitPlayer, before: number, actions: ReplayAction[]): void {
    const { start, until } = player;
    if (!player.isPresent && start < this.#t && until >= before) actions.push(player.join(Math.max(start, before)));
    const done = player.advance(this.#t);
    if (!player.isPresent) return;
    for (const action of done) actions.push(action);
    const mayBePresent = this.#maybePresent.has(player) && player.until > this.#settledUntil;
    if (player.isDone && player.until < this.#t && !mayBePresent) actions.push(player.leave());
  }

  #rates(): ReplayAction {
    const t = this.#t;
    const activity: number[] = [];
    let visitors = 0;
    let samples = 0;
    for (const player of this.#players.values()) {
      if (player.isPresent) visitors += 1;
      const done = player.takeSamples();
      samples += done;
      if (done > 0 && activity.length < 2 * MAX_ACTIVE) activity.push(player.visitor.v, done);
    }
    const flushMs = samples > 0 ? this.#options.step : 0;
    return { t, before: null, event: { name: 'rates', data: { t, visitors, samples, drops: 0, flushMs, activity } } };
  }

  /** A visitor's moves come before its next action. Moves without a next action are sent at the end, all together. */
  #toEvents(actions: ReplayAction[], base: number): ReplayEvent[] {
    const events: ReplayEvent[] = [];
    for (const { t, before, event } of actions.sort((a, b) => a.t - b.t)) {
      if (before) events.push(...this.#positions([before], base, t));
      events.push(event);
    }
    const rest = [...this.#players.values()].flatMap((player) => player.takeSegment() ?? []);
    return [...events, ...this.#positions(rest, base, this.#t)];
  }

  #positions(segments: readonly Segment[], base: number, t: number): ReplayEvent[] {
    const { stage } = this.#options;
    const page = stage === null ? {} : { page: stage };
    const events = movesLists(segments, base).map(
      (m): ReplayEvent => ({ name: 'moves', data: { t: base, ...page, m } }),
    );
    const s = segments.flatMap(({ v, scroll }) => (scroll ? [v, ...scroll] : []));
    if (s.length > 0) events.push({ name: 'scroll', data: { t, ...page, s } });
    return events;
  }

  /** A visitor that comes back later gets a new player. */
  #forget(): void {
    for (const [id, person] of this.#players) if (!person.isPresent && !person.isActive) this.#players.delete(id);
  }
}

/** Splits moves into lists for `m` of moves events, of at most MAX_SAMPLES each. */
function movesLists(segments: readonly Segment[], base: number): number[][] {
  const lists: number[][] = [];
  let list: number[] = [];
  let room = 0;
  for (const { v, moves } of segments) {
    for (let i = 0; i < moves.length; ) {
      if (room === 0) {
        list = [];
        lists.push(list);
        room = MAX_SAMPLES;
      }
      const count = Math.min(room, (moves.length - i) / 3);
      list.push(v, count);
      for (const end = i + 3 * count; i < end; i += 3)
        list.push((moves[i] as number) - base, moves[i + 1] as number, moves[i + 2] as number);
      room -= count;
    }
  }
  return lists;
}
