/** The visitors of one site, updated by the events of a stream. Plain data, which the screen reads when it draws. */

import type { Visitor } from '../../model/visitor.ts';
import type { StreamEventName, StreamEvents } from '../../protocol/stream-event.ts';
import { type Clock, LIVE } from '../shell/clock.ts';
import { isTimeValue } from '../shell/readers.ts';
import { type Badge, Names } from '../ui/visitor-badge.ts';
import { Activity } from './activity.ts';
import { FeedItems } from './feed-items.ts';
import { MinuteCurve } from './minute-curve.ts';
import { PointerTrack } from './pointer-track.ts';

export type StreamEvent = { [K in StreamEventName]: { name: K; data: StreamEvents[K] } }[StreamEventName];

export interface LiveVisitor {
  visitor: Visitor;
  badge: Badge;
  track: PointerTrack;
  activity: Activity;
  /** Scroll offset of the page, CSS pixels. */
  scroll: number;
}

export interface PageCount {
  page: string;
  visitors: number;
}

/** What the screen draws, and the functions that redraw it. */
export interface LiveScene {
  readonly liveState: LiveState;
  /** Called at once with every event that moves something on stage, and without an event when only time has passed. */
  readonly motion: Set<(event?: StreamEvent) => void>;
}

/** Samples are played this much later than one flush interval, milliseconds, to allow for network delays. */
const JITTER_MS = 20;
const MAX_DELAY_MS = 600;
/** Delay of a replay, milliseconds: its moves come in groups of 100 ms, and the next group must have arrived. */
const PAST_DELAY_MS = 200;

export class LiveState {
  /** Visitors by number. */
  readonly people = new Map<number, LiveVisitor>();
  /** The same visitors by id. */
  readonly #byId = new Map<string, LiveVisitor>();
  readonly feed = new FeedItems();
  readonly minutes = new MinuteCurve();
  /** Samples and dropped samples of the past second. */
  samples = 0;
  drops = 0;
  /** Flush interval of the trackers, milliseconds. */
  flushMs = 100;
  /** Difference between the server's clock and Date.now(), milliseconds. */
  clockOffset = 0;
  /** Time since other nodes stopped responding, milliseconds; 0 if all respond. */
  late = 0;
  /** True after the first snapshot. */
  known = false;
  /** Clock of the stage. Call `clear` before changing it. */
  clock: Clock = LIVE;
  readonly #names = new Names();

  /** Applies one event, which arrived at `now` of the clock. Events of unknown visitors are ignored. */
  apply(event: StreamEvent, now: number): void {
    if ('t' in event.data) event.data.t = this.#possible(event.data.t);
    if ('visitor' in event.data) event.data.visitor.since = this.#possible(event.data.visitor.since);
    if (event.name === 'snapshot')
      for (const visitor of event.data.visitors) visitor.since = this.#possible(visitor.since);
    switch (event.name) {
      case 'snapshot':
        this.#snapshot(event.data);
        break;
      case 'join':
        this.#join(event.data);
        break;
      case 'page':
        this.#page(event.data);
        break;
      case 'view':
        this.#view(event.data);
        break;
      case 'moves':
        this.#moves(event.data, now);
        break;
      case 'scroll':
        this.#scroll(event.data);
        break;
      case 'leave':
        this.#leave(event.data);
        break;
      case 'rates':
        this.#rates(event.data);
        break;
      case 'click':
      case 'reset':
        break;
      default:
        event satisfies never;
    }
  }

  /** Replaces an invalid time with the present: formatting it would throw, and the screen would freeze. */
  #possible(t: number): number {
    return isTimeValue(t) ? t : this.time;
  }

  /** Forgets everything, for example before another site is shown. */
  clear(): void {
    this.#forgetPeople();
    this.feed.clear();
    this.#names.clear();
    this.minutes.replace([]);
    this.known = false;
    this.samples = 0;
    this.drops = 0;
    this.late = 0;
  }

  /** Current time of the server, or the played time, Unix ms. */
  get time(): number {
    return this.clock.exact ? this.clock.now() : Date.now() + this.clockOffset;
  }

  /** Delay with which pointers are drawn, milliseconds: one flush interval and a reserve. */
  get delay(): number {
    return this.clock.exact ? PAST_DELAY_MS : Math.min(this.flushMs + JITTER_MS, MAX_DELAY_MS);
  }

  /** When the last visitor left, Unix ms, exact or to the minute; undefined if the past hour had no visitors. */
  lastLeft(): { t: number; isExact: boolean } | undefined {
    const leave = this.feed.items.find(({ kind }) => kind === 'leave');
    const minute = this.minutes.lastWithVisitors();
    if (leave && !(minute !== undefined && minute > leave.t)) return { t: leave.t, isExact: true };
    return minute === undefined ? undefined : { t: minute, isExact: false };
  }

  /** All visitors, the latest first. */
  newestFirst(): LiveVisitor[] {
    return [...this.people.values()].sort((a, b) => b.visitor.since - a.visitor.since || b.visitor.v - a.visitor.v);
  }

  byId(id: string): LiveVisitor | undefined {
    return this.#byId.get(id);
  }

  /** Pages with visitors, most visitors first. */
  pages(): PageCount[] {
    const counts = new Map<string, number>();
    for (const { visitor } of this.people.values()) counts.set(visitor.page, (counts.get(visitor.page) ?? 0) + 1);
    return [...counts]
      .map(([page, visitors]) => ({ page, visitors }))
      .sort((a, b) => b.visitors - a.visitors || (a.page < b.page ? -1 : 1));
  }

  /** Known visitors keep their track and graph: the stream is opened again for every page put on stage. */
  #snapshot({ t, visitors, minutes, left = [], activity = [] }: StreamEvents['snapshot']): void {
    const known = new Map(this.#byId);
    this.#forgetPeople();
    for (const visitor of visitors) this.#add(visitor, known.get(visitor.id));
    for (let i = 0; i + 1 < activity.length; i += 2)
      this.people.get(activity[i] as number)?.activity.fill(activity[i + 1] as string);
    const people = [...this.people.values()];
    if (this.feed.since === undefined) this.feed.addBefore(people, left, this.#names);
    else this.feed.addMeanwhile(people.filter(({ visitor }) => !known.has(visitor.id)));
    this.minutes.replace(minutes);
    this.minutes.add(t, visitors.length);
    this.#setClock(t);
    this.feed.since ??= t;
    this.known = true;
  }

  /** Adds a visitor, and removes entries with the same id or the same number. */
  #add(visitor: Visitor, known = this.#byId.get(visitor.id)): LiveVisitor {
    for (const before of [known, this.#byId.get(visitor.id), this.people.get(visitor.v)])
      if (before) this.#remove(before);
    const person = known ?? newPerson(visitor, this.#names);
    const moved = known?.visitor.page !== visitor.page;
    const renamed = person.visitor.label !== visitor.label;
    person.visitor = visitor;
    if (renamed) this.#rename(person);
    if (moved) person.scroll = 0;
    if (visitor.at && (moved || !isAt(person.track, visitor.at))) person.track.place(...visitor.at);
    else if (moved) person.track.clear();
    this.people.set(visitor.v, person);
    this.#byId.set(visitor.id, person);
    return person;
  }

  #remove(person: LiveVisitor): void {
    const { v, id } = person.visitor;
    if (this.people.get(v) === person) this.people.delete(v);
    if (this.#byId.get(id) === person) this.#byId.delete(id);
  }

  #forgetPeople(): void {
    this.people.clear();
    this.#byId.clear();
  }

  #join({ t, visitor }: StreamEvents['join']): void {
    const isKnown = this.#byId.has(visitor.id);
    const person = this.#add(visitor);
    if (!isKnown) this.feed.join(t, person);
  }

  #page({ t, v, page, origin, size }: StreamEvents['page']): void {
    const person = this.people.get(v);
    if (!person) return;
    Object.assign(person.visitor, { page, origin, size, at: null });
    person.track.clear();
    person.scroll = 0;
    this.feed.navigate(t, person);
  }

  #view({ v, size, hidden, device, label }: StreamEvents['view']): void {
    const person = this.people.get(v);
    if (!person) return;
    const renamed = person.visitor.label !== label;
    Object.assign(person.visitor, { size, hidden, device, label });
    if (renamed) this.#rename(person);
  }

  /** The label of a client arrives after it has joined. Its earlier items in the activity get the new name. */
  #rename(person: LiveVisitor): void {
    const { id, label } = person.visitor;
    person.badge = this.#names.badgeOf(id, label);
    this.feed.rename(id, person.badge);
  }

  #moves({ t, m }: StreamEvents['moves'], now: number): void {
    const { exact } = this.clock;
    let i = 0;
    while (i + 1 < m.length) {
      const track = this.people.get(m[i] as number)?.track;
      const end = Math.min(i + 2 + 3 * (m[i + 1] as number), m.length);
      for (i += 2; i + 2 < end; i += 3) track?.push(t + (m[i] as number), m[i + 1] as number, m[i + 2] as number);
      track?.arrive(exact ? track.newest : now);
      i = end;
    }
  }

  #scroll({ s }: StreamEvents['scroll']): void {
    for (let i = 0; i + 1 < s.length; i += 3) {
      const person = this.people.get(s[i] as number);
      if (person) person.scroll = s[i + 1] as number;
    }
  }

  #leave({ t, v, reason }: StreamEvents['leave']): void {
    const person = this.people.get(v);
    if (!person) return;
    this.#remove(person);
    this.feed.leave(t, person, reason);
  }

  #rates({ t, visitors, samples, drops, flushMs, activity, late = 0 }: StreamEvents['rates']): void {
    this.samples = samples;
    this.drops = drops;
    this.late = late;
    if (flushMs > 0) this.flushMs = flushMs;
    this.#setClock(t);
    this.minutes.add(t, visitors);
    const active = new Map<number, number>();
    for (let i = 0; i + 1 < activity.length; i += 2) active.set(activity[i] as number, activity[i + 1] as number);
    for (const [v, person] of this.people) person.activity.add(active.get(v) ?? 0);
  }

  #setClock(t: number): void {
    this.feed.until = t;
    if (!this.clock.exact) this.clockOffset = t - Date.now();
  }
}

function newPerson(visitor: Visitor, names: Names): LiveVisitor {
  const badge = names.badgeOf(visitor.id, visitor.label);
  return { visitor, badge, track: new PointerTrack(), activity: new Activity(), scroll: 0 };
}

/** True if the newest sample of a track is at this position, so that a snapshot does not have to interrupt it. */
function isAt(track: PointerTrack, [x, y]: readonly [number, number]): boolean {
  const last = track.count - 1;
  return last >= 0 && track.xAt(last) === x && track.yAt(last) === y;
}
