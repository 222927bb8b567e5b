/** Everybody on one site, as the stream tells it. Plain data: the screen reads it when it draws. */

import type { Departure, Visitor } from '../../model/visitor.ts';
import type { StreamEventName, StreamEvents } from '../../protocol/stream-event.ts';
import { type Clock, LIVE } from '../shell/clock.ts';
import { isTime } from '../shell/readers.ts';
import { type Badge, Names } from '../ui/visitor-badge.ts';
import { Activity } from './activity.ts';
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

/** One line of what happened. */
export interface FeedItem {
  no: number;
  /** Unix ms, server's clock. */
  t: number;
  kind: 'join' | 'page' | 'leave';
  id: string;
  badge: Badge;
  page: string;
  reason?: StreamEvents['leave']['reason'];
  /** Of an arrival: it had been here before. */
  isBack?: true;
  /** Of an arrival that was told afterwards: the page is that of now. */
  isPast?: true;
}

/** What happened, and up to when that is all. Times are the server's Unix ms. */
export interface Reported {
  happenings: readonly FeedItem[];
  begun: number | undefined;
  until: number;
}

export interface PageCount {
  page: string;
  visitors: number;
}

/** What the screen draws, and who is told when it should. */
export interface LiveScene {
  readonly liveState: LiveState;
  /** Each gets every event that concerns pictures in motion, at once; nothing when only time has passed. */
  readonly motion: Set<(event?: StreamEvent) => void>;
}

const MAX_FEED_ITEMS = 80;
/**
 * A visitor whose first visit began this long before it joins is back, milliseconds: the server was restarted, or the
 * visitor was on another machine.
 */
const BACK_MS = 5000;
/** Samples lie this much further back than one flush, for what the network adds. */
const JITTER_MS = 20;
const MAX_DELAY_MS = 600;
/** Of what is played from the record: its moves come in lumps of 100 ms, and the next one has to be known. */
const PAST_DELAY_MS = 200;

export class LiveState {
  /** By number. Each visitor is in it once. */
  readonly people = new Map<number, LiveVisitor>();
  /** The same by id. */
  readonly #byId = new Map<string, LiveVisitor>();
  /** Newest first. */
  feedItems: readonly FeedItem[] = [];
  readonly minutes = new MinuteCurve();
  /** Samples and drops of the past second. */
  samples = 0;
  drops = 0;
  /** How often trackers send, milliseconds, as last told. */
  flushMs = 100;
  /** What to add to Date.now() for the server's clock, milliseconds. */
  clockOffset = 0;
  /** For how long other machines have not been heard, milliseconds; 0 while they are. */
  late = 0;
  /** A snapshot has come. */
  known = false;
  /** Since when all is known that happened, the server's Unix ms; undefined until a snapshot comes. */
  begun: number | undefined;
  /** What its pictures' time runs by. To change it, forget all first. */
  clock: Clock = LIVE;
  readonly #names = new Names();
  #count = 0;
  /** Up to when all is known that happened, the server's Unix ms. */
  #until = 0;

  /** Applies one event that came at `now` of its clock. Events of visitors it does not know are passed over. */
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

  /** A time as it came, or the present for what is no time: to show it would throw, and the screen would stand still from then on. */
  #possible(t: number): number {
    return isTime(t) ? t : this.time;
  }

  /** What happened so far, for `goOn`. */
  leaveOff(): Reported {
    return { happenings: this.feedItems, begun: this.begun, until: this.#until };
  }

  /** After `clear`: what comes follows what happened before. */
  goOn({ happenings, begun, until }: Reported): void {
    this.feedItems = happenings;
    this.begun = begun;
    this.#until = until;
  }

  /** Forgets all, as for another site. */
  clear(): void {
    this.#forgetPeople();
    this.feedItems = [];
    this.#names.clear();
    this.minutes.replace([]);
    this.begun = undefined;
    this.known = false;
    this.samples = 0;
    this.drops = 0;
    this.late = 0;
  }

  /** The server's Unix ms now, or those that are played. */
  get time(): number {
    return this.clock.exact ? this.clock.now() : Date.now() + this.clockOffset;
  }

  /** How far pointers are drawn behind the clock: a frame of the tracker, and a little. Milliseconds. */
  get delay(): number {
    return this.clock.exact ? PAST_DELAY_MS : Math.min(this.flushMs + JITTER_MS, MAX_DELAY_MS);
  }

  /** When somebody was here last, Unix ms: to the millisecond, or to the minute; undefined if nobody was in the past hour. */
  lastLeft(): { t: number; isExact: boolean } | undefined {
    const leave = this.feedItems.find(({ kind }) => kind === 'leave');
    const minute = this.minutes.lastWithAny();
    if (leave && !(minute !== undefined && minute > leave.t)) return { t: leave.t, isExact: true };
    return minute === undefined ? undefined : { t: minute, isExact: false };
  }

  /** Everybody, who came last first. */
  newestFirst(): LiveVisitor[] {
    return [...this.people.values()].sort((a, b) => b.visitor.since - a.visitor.since || b.visitor.v - a.visitor.v);
  }

  byId(id: string): LiveVisitor | undefined {
    return this.#byId.get(id);
  }

  /** Pages with somebody on them, the fullest first. */
  pages(): PageCount[] {
    const counts = new Map<string, number>();
    for (const { visitor } of this.people.values()) counts.set(visitor.page, (counts.get(visitor.page) ?? 0) + 1);
    return [...counts]
      .map(([page, visitors]) => ({ page, visitors }))
      .sort((a, b) => b.visitors - a.visitors || (a.page < b.page ? -1 : 1));
  }

  /** Whom we knew already keeps track and graph: a stream is opened anew for every page put on stage. */
  #snapshot({ t, visitors, minutes, left = [], activity = [] }: StreamEvents['snapshot']): void {
    const known = new Map(this.#byId);
    this.#forgetPeople();
    for (const visitor of visitors) this.#add(visitor, known.get(visitor.id));
    for (let i = 0; i + 1 < activity.length; i += 2)
      this.people.get(activity[i] as number)?.activity.fill(activity[i + 1] as string);
    if (this.begun === undefined) this.#noteBefore(left);
    else this.#noteMeanwhile(known);
    this.minutes.replace(minutes);
    this.minutes.add(t, visitors.length);
    this.#setClock(t);
    this.begun ??= t;
    this.known = true;
  }

  /** What is known of the time before the first snapshot: who came and is here, and who left. */
  #noteBefore(left: readonly Departure[]): void {
    const notes: Omit<FeedItem, 'no'>[] = [];
    for (const { visitor, badge } of this.people.values())
      notes.push({ t: visitor.since, kind: 'join', id: visitor.id, badge, page: visitor.page, isPast: true });
    for (const { t, id, label, page, reason } of left)
      if (!this.#byId.has(id))
        notes.push({ t, kind: 'leave', id, badge: this.#names.badgeOf(id, label), page, reason });
    notes.sort((a, b) => a.t - b.t);
    for (const note of notes.slice(-MAX_FEED_ITEMS)) this.#note(note);
  }

  /**
   * Who came while no stream was open. Who came before is on a machine that was not heard until now, as is, perhaps, who is missing: a server
   * that has just been started does not know of all at once.
   */
  #noteMeanwhile(before: ReadonlyMap<string, LiveVisitor>): void {
    const came = [...this.people.values()].filter(
      ({ visitor: { id, since } }) => !before.has(id) && since > this.#until,
    );
    came.sort((a, b) => a.visitor.since - b.visitor.since);
    for (const { visitor, badge } of came)
      this.#note({ t: visitor.since, kind: 'join', id: visitor.id, badge, page: visitor.page });
  }

  /** A visitor that comes under another number, or takes the number of another, takes that one's place. */
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
    const { badge } = this.#add(visitor);
    if (isKnown) return;
    const isBack = visitor.since < t - BACK_MS && { isBack: true as const };
    this.#note({ t, kind: 'join', id: visitor.id, badge, page: visitor.page, ...isBack });
  }

  #page({ t, v, page, origin, size }: StreamEvents['page']): void {
    const person = this.people.get(v);
    if (!person) return;
    Object.assign(person.visitor, { page, origin, size, at: null });
    person.track.clear();
    person.scroll = 0;
    this.#note({ t, kind: 'page', id: person.visitor.id, badge: person.badge, page });
  }

  #view({ v, size, hidden, device, label }: StreamEvents['view']): void {
    const person = this.people.get(v);
    if (!person) return;
    const renamed = person.visitor.label !== label;
    Object.assign(person.visitor, { size, hidden, device, label });
    if (renamed) this.#rename(person);
  }

  /** What a client calls itself comes after its arrival; what was told of it until then takes the name on. */
  #rename(person: LiveVisitor): void {
    const { id, label } = person.visitor;
    const badge = this.#names.badgeOf(id, label);
    person.badge = badge;
    this.feedItems = this.feedItems.map((one) => (one.id === id ? { ...one, badge } : one));
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
    const { id, page } = person.visitor;
    this.#note({ t, kind: 'leave', id, badge: person.badge, page, reason });
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
    this.#until = t;
    if (!this.clock.exact) this.clockOffset = t - Date.now();
  }

  #note(feedItem: Omit<FeedItem, 'no'>): void {
    this.#count += 1;
    this.feedItems = [{ no: this.#count, ...feedItem }, ...this.feedItems.slice(0, MAX_FEED_ITEMS - 1)];
  }
}

function newPerson(visitor: Visitor, names: Names): LiveVisitor {
  const badge = names.badgeOf(visitor.id, visitor.label);
  return { visitor, badge, track: new PointerTrack(), activity: new Activity(), scroll: 0 };
}

/** Whether the newest sample of a track is there already, so that a snapshot need not break its way. */
function isAt(track: PointerTrack, [x, y]: readonly [number, number]): boolean {
  const last = track.count - 1;
  return last >= 0 && track.xAt(last) === x && track.yAt(last) === y;
}
