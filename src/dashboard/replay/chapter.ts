/** Converts a passage of a visit into stream events, so that the stage plays it in the same way as live events. */

import { MARK_LISTS } from '../../model/mark.ts';
import type { Passage, Visit } from '../../model/visit.ts';
import { deviceOf, type Visitor } from '../../model/visitor.ts';
import type { StreamEvents } from '../../protocol/stream-event.ts';
import type { StreamEvent } from '../live/live-state.ts';

/** Number of the visitor in these events. */
const V = 1;
/** Maximum time span of the pointer samples in one event, milliseconds. */
const CHUNK_MS = 100;

export interface Chapter {
  passage: Passage;
  /** Visitor and scroll offset at the start. */
  visitor: Visitor;
  scroll: number;
  /** In order of time. */
  events: StreamEvent[];
}

/** The chapter of a passage that follows `before`. If the passage enters a page, there is no pointer at first. */
export function chapterOf(visit: Visit, passage: Passage, before: Chapter | undefined): Chapter {
  const stays = before !== undefined && before.passage.page === passage.page && !passage.entered;
  const visitor = visitorOf(visit, passage, stays ? lastPosition(before) : null);
  const scroll = stays ? (before.passage.scrolls.at(-1) ?? before.scroll) : 0;
  const start = before ? [firstEventOf(passage, visitor, stays ? undefined : before.passage.page)] : [];
  return { passage, visitor, scroll, events: [...start, ...eventsOf(passage, visit.label)] };
}

/** Events that put a live state into the state at the start of the chapter. */
export function openingOf({ passage: { t }, visitor, scroll }: Chapter): StreamEvent[] {
  // A copy, because a live state changes the visitor that it gets.
  const visitors = [{ ...visitor }];
  return [
    { name: 'snapshot', data: { t, site: '', visitors, minutes: [], version: '' } },
    { name: 'scroll', data: { t, s: [V, scroll, 0] } },
  ];
}

/** Times of the start and of all events, Unix ms, in order. */
export function timesOf({ passage, events }: Chapter): number[] {
  return [passage.t, ...events.map(endOf)];
}

function visitorOf(visit: Visit, { page, size }: Passage, at: Visitor['at']): Visitor {
  const { id, origin, since, label, language, referrer } = visit;
  const device = size[0] > 0 ? deviceOf(size[0]) : visit.device;
  return { v: V, id, page, origin, since, device, size, at, hidden: false, label, language, referrer };
}

/** The first event of a chapter. `from` is the page that was left; undefined if only the connection changed. */
function firstEventOf({ t, page, size }: Passage, visitor: Visitor, from: string | undefined): StreamEvent {
  const { device, label, origin } = visitor;
  if (from === undefined) return { name: 'view', data: { t, v: V, size, hidden: false, device, label } };
  return { name: 'page', data: { t, v: V, page, from, origin, size, visitor } };
}

function lastPosition({ passage: { moves }, visitor }: Chapter): Visitor['at'] {
  return moves.length >= 3 ? [moves.at(-2) as number, moves.at(-1) as number] : visitor.at;
}

function eventsOf(passage: Passage, label: string): StreamEvent[] {
  const events = [...movesOf(passage), ...scrollsOf(passage), ...viewsOf(passage, label), ...marksOf(passage)];
  return events.sort((a, b) => endOf(a) - endOf(b));
}

function movesOf({ t, moves }: Passage): StreamEvent[] {
  const events: StreamEvents['moves'][] = [];
  let start = Number.NEGATIVE_INFINITY;
  for (let i = 0; i + 2 < moves.length; i += 3) {
    const dt = moves[i] as number;
    if (!(dt < start + CHUNK_MS)) {
      start = dt;
      events.push({ t: t + start, m: [V, 0] });
    }
    const { m } = events.at(-1) as StreamEvents['moves'];
    m.push(dt - start, moves[i + 1] as number, moves[i + 2] as number);
    m[1] = (m[1] as number) + 1;
  }
  return events.map((data) => ({ name: 'moves', data }));
}

function scrollsOf({ t, scrolls }: Passage): StreamEvent[] {
  const events: StreamEvent[] = [];
  for (let i = 0; i + 1 < scrolls.length; i += 2)
    events.push({ name: 'scroll', data: { t: t + (scrolls[i] as number), s: [V, scrolls[i + 1] as number, 0] } });
  return events;
}

function marksOf(passage: Passage): StreamEvent[] {
  const { t, page } = passage;
  return MARK_LISTS.flatMap(([name, list]) =>
    passage[list].map(({ dt, ...fields }) => ({ name, data: { t: t + dt, v: V, page, ...fields } }) as StreamEvent),
  );
}

/** A view in a passage has only the changed values. An event has all of them. */
function viewsOf({ t, size: first, views }: Passage, label: string): StreamEvent[] {
  let size = first;
  let hidden = false;
  return views.map((view) => {
    size = view.size ?? size;
    hidden = view.hidden ?? hidden;
    return { name: 'view', data: { t: t + view.dt, v: V, size, hidden, device: deviceOf(size[0]), label } };
  });
}

/** Time of the last sample in an event, Unix ms. */
function endOf({ name, data }: StreamEvent): number {
  return name === 'moves' ? data.t + (data.m.at(-3) as number) : data.t;
}
