/** Reads events of the live stream and of replays. */

import { DEVICES, type Departure, type Visitor } from '../../model/visitor.ts';
import type { ReplayEventName, ReplayEvents, StreamEventName, StreamEvents } from '../../protocol/stream-event.ts';
import {
  count,
  flag,
  list,
  number,
  numbers,
  oneOf,
  orElse,
  orNull,
  parse,
  readOrCount,
  shape,
  text,
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

const visitor: ValueReader<Visitor> = shape({
  v: number,
  id: text,
  page: text,
  origin: text,
  since: orElse(timeOrNaN, Number.NaN),
  device,
  size,
  at: place,
  hidden: flag,
  label: text,
  language: text,
  referrer: text,
});

const minute = shape({ t: timeOrNaN, visitors: count, samples: count });

const departure: ValueReader<Departure> = shape({ t: time, id: text, label: text, page: text, reason });

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

const READERS: { readonly [K in StreamEventName]: ValueReader<StreamEvents[K]> } & {
  readonly [K in ReplayEventName]: ValueReader<ReplayEvents[K]>;
} = {
  snapshot: shape(
    { t: timeOrNaN, site: text, visitors: list(visitor), minutes: list(minute), version: text },
    { left: list(departure), activity: pairs },
  ),
  join: shape({ t: timeOrNaN, visitor }),
  page: shape({ t: timeOrNaN, v: number, page: text, from: text, origin: text, size, visitor }),
  view: shape({ t: timeOrNaN, v: number, size, hidden: flag, device, label: text }),
  moves: shape({ t: timeOrNaN, m: moves }, { page: text, skipped: count }),
  click: shape({
    t: timeOrNaN,
    v: number,
    page: text,
    x: number,
    y: number,
    button: number,
    ex: number,
    ey: number,
    selector: text,
  }),
  scroll: shape({ t: timeOrNaN, s: numbers }, { page: text }),
  leave: shape({ t: timeOrNaN, v: number, reason }),
  rates: shape(
    { t: timeOrNaN, visitors: count, samples: count, drops: count, flushMs: count, activity: numbers },
    { late: count },
  ),
  reset: shape({ t: timeOrNaN, reason: orElse(oneOf(['unknown-id', 'expired', 'slow', 'resync']), 'resync') }),
  end: shape({ t: timeOrNaN }, { damaged: count }),
};

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
