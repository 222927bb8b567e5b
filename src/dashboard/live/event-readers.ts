/** Reads events of the live stream and of replays. */

import { MARK_LISTS, type MarkFields, type PublishedName } from '../../model/mark.ts';
import { DEVICES, type Departure, type Visitor } from '../../model/visitor.ts';
import type { ReplayEventName, ReplayEvents, StreamEventName, StreamEvents } from '../../protocol/stream-event.ts';
import {
  count,
  flag,
  list,
  number,
  numbers,
  objectOf,
  oneOf,
  orElse,
  orNull,
  parse,
  type Readers,
  readOrCount,
  textValue,
  time,
  timeOrNaN,
  tuple,
  type ValueReader,
  within,
} from '../shell/readers.ts';
import type { StreamEvent } from './live-state.ts';

/** Maximum size of a window or page, CSS pixels. */
const MAX_SIZE = 1_000_000;

const edge = within(0, MAX_SIZE);
export const size: ValueReader<Visitor['size']> = tuple(edge, edge, edge, edge);
export const device = orElse(oneOf(DEVICES), 'unknown');
const reason = orElse(oneOf(['closed', 'lost', 'refused', 'server']), 'closed');
const place = orNull(tuple<[number, number]>(number, number));

const visitor: ValueReader<Visitor> = objectOf({
  v: number,
  id: textValue,
  page: textValue,
  origin: textValue,
  since: orElse(timeOrNaN, Number.NaN),
  device,
  size,
  at: place,
  hidden: flag,
  label: textValue,
  language: textValue,
  referrer: textValue,
});

const minute = objectOf({ t: timeOrNaN, visitors: count, samples: count });

const departure: ValueReader<Departure> = objectOf({
  t: time,
  id: textValue,
  label: textValue,
  page: textValue,
  reason,
});

/** Alternating numbers and texts. */
function pairs(value: unknown): (number | string)[] | undefined {
  const isPairs = (list: unknown[]) => list.every((one, i) => typeof one === (i % 2 === 0 ? 'number' : 'string'));
  return Array.isArray(value) && isPairs(value) ? value : undefined;
}

/** `v, count`, then `count` times `dt, x, y`, and so on to the end. */
function moves(value: unknown): number[] | undefined {
  const m = numbers(value);
  let i = 0;
  while (m && i < m.length) {
    const samples = m[i + 1];
    if (samples === undefined || samples < 0 || !Number.isInteger(samples)) return undefined;
    i += 2 + 3 * samples;
  }
  return i === m?.length ? m : undefined;
}

/** The fields of published marks. */
export const markFields: { readonly [N in PublishedName]: Readers<MarkFields<N>> } = {
  click: { x: number, y: number, button: number, ex: number, ey: number, selector: textValue },
};
const markEvents = Object.fromEntries(
  MARK_LISTS.map(([name]) => [name, objectOf({ t: timeOrNaN, v: number, page: textValue, ...markFields[name] })]),
) as { [N in PublishedName]: ValueReader<StreamEvents[N]> };

const READERS: { readonly [K in StreamEventName]: ValueReader<StreamEvents[K]> } & {
  readonly [K in ReplayEventName]: ValueReader<ReplayEvents[K]>;
} = {
  snapshot: objectOf(
    { t: timeOrNaN, site: textValue, visitors: list(visitor), minutes: list(minute), version: textValue },
    { left: list(departure), activity: pairs },
  ),
  join: objectOf({ t: timeOrNaN, visitor }),
  page: objectOf({ t: timeOrNaN, v: number, page: textValue, from: textValue, origin: textValue, size, visitor }),
  view: objectOf({ t: timeOrNaN, v: number, size, hidden: flag, device, label: textValue }),
  moves: objectOf({ t: timeOrNaN, m: moves }, { page: textValue, skipped: count }),
  ...markEvents,
  scroll: objectOf({ t: timeOrNaN, s: numbers }, { page: textValue }),
  leave: objectOf({ t: timeOrNaN, v: number, reason }),
  rates: objectOf(
    { t: timeOrNaN, visitors: count, samples: count, drops: count, flushMs: count, activity: numbers },
    { late: count },
  ),
  reset: objectOf({ t: timeOrNaN, reason: orElse(oneOf(['unknown-id', 'expired', 'slow', 'resync']), 'resync') }),
  end: objectOf({ t: timeOrNaN }, { damaged: count }),
};

export const STREAM_EVENTS = Object.keys(READERS).filter((name): name is StreamEventName => name !== 'end');

/** Events about who is where. If one of these cannot be read, the live state is wrong. */
export const CHANGES: ReadonlySet<string> = new Set<StreamEventName>(['snapshot', 'join', 'page', 'view', 'leave']);

/** Reads an event of the stream from its data; undefined if it cannot be read. */
export function readEvent(name: StreamEventName, data: string): StreamEvent | undefined {
  const read = readOrCount<StreamEvents[StreamEventName]>(READERS[name], parse(data));
  return read && ({ name, data: read } as StreamEvent);
}

export type ReplayStreamEvent = StreamEvent | { name: 'end'; data: ReplayEvents['end'] };

/** Reads an event of a replay, which must have a time. Unknown events are ignored. */
export function readReplayEvent(name: string | undefined, data: string): ReplayStreamEvent | undefined {
  if (name === undefined || !Object.hasOwn(READERS, name)) return undefined;
  const reader: ValueReader<{ t: number }> = READERS[name as StreamEventName | 'end'];
  const timed: ValueReader<{ t: number }> = (value) => {
    const event = reader(value);
    return event && Number.isNaN(event.t) ? undefined : event;
  };
  const read = readOrCount(timed, parse(data));
  return read && ({ name, data: read } as ReplayStreamEvent);
}
