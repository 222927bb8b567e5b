/** Reads the answers of the server. */
import type * as account from '../../model/account.ts';
import type { AuditAction, AuditEntry } from '../../model/audit.ts';
import { type Heat, MAX_COLUMN, MAX_ROW } from '../../model/heat.ts';
import { byMarkList, type MarkList } from '../../model/mark.ts';
import type { Refusal } from '../../model/refusal.ts';
import { type Rights, ROLES } from '../../model/rights.ts';
import type { Site } from '../../model/site.ts';
import type { DayCounts, PageCounts, Passage, Stay, Visit } from '../../model/visit.ts';
import { device, markFields, size } from '../live/event-readers.ts';
import type { PassagePart } from '../replay/recording.ts';
import { periodStart } from '../ui/period.ts';
import {
  both,
  count,
  flag,
  isTimeValue,
  list,
  number,
  numbers,
  objectOf,
  oneOf,
  orElse,
  orNull,
  textValue,
  time,
  type ValueReader,
  within,
} from './readers.ts';

export interface AdminAnswer extends Rights {
  name: string;
  /** Unix ms. */
  created: number;
  hasPassword: boolean;
}

export interface SessionAnswer extends Rights {
  name: string;
  via: 'session' | 'token';
  hasPassword: boolean;
  /** Unix ms, or null for a token. */
  expires: number | null;
}

export interface SignIn extends account.Session {
  /** The session that asks. */
  current: boolean;
}

export interface ServerInfo {
  version: string;
  /** Path of the visitor script. */
  scriptPath: string;
  /** Path of the visitor endpoint. */
  endpoint: string;
}

export interface SiteCounts {
  pages: (PageCounts & { now: number })[];
  days: DayCounts[];
}

const rights: ValueReader<Rights> = objectOf({ role: orElse(oneOf(ROLES), 'viewer'), sites: orNull(list(textValue)) });

export const sessionAnswer: ValueReader<SessionAnswer> = both(
  rights,
  objectOf({
    name: textValue,
    via: orElse(oneOf(['session', 'token']), 'session'),
    hasPassword: flag,
    expires: orNull(time),
  }),
);
const signIn: ValueReader<SignIn> = objectOf({
  id: textValue,
  name: textValue,
  created: time,
  lastSeen: time,
  expires: time,
  agent: textValue,
  current: flag,
});
export const signIns = objectOf({ sessions: list(signIn) });

const token: ValueReader<account.Token> = both(
  rights,
  objectOf({ id: textValue, name: textValue, created: time, lastUsed: orNull(time) }),
);
export const tokens = objectOf({ tokens: list(token) });
export const newTokenAnswer = both(token, objectOf({ secret: textValue }));

const admin: ValueReader<AdminAnswer> = both(rights, objectOf({ name: textValue, created: time, hasPassword: flag }));
export const admins = objectOf({ admins: list(admin) });
export const linkAnswer = objectOf({ token: textValue });

const entry: ValueReader<AuditEntry> = objectOf({
  at: time,
  who: textValue,
  // Shown also if a newer server sends a value that this dashboard does not know.
  what: textValue as ValueReader<AuditAction>,
  on: textValue,
  from: orElse(textValue, ''),
  count,
});
export const trail = objectOf({ entries: list(entry), next: orNull(textValue) });

export const siteAnswer: ValueReader<Site> = objectOf({
  key: textValue,
  name: textValue,
  origins: list(textValue),
  created: time,
  firstSeen: orNull(time),
});
export const sitesAnswer = objectOf({ sites: list(siteAnswer) });

export const refusals = objectOf({
  refusals: list<Refusal>(
    objectOf({
      site: textValue,
      origin: textValue,
      // Shown also if a newer server sends a value that this dashboard does not know.
      reason: textValue as ValueReader<Refusal['reason']>,
      count,
      last: time,
    }),
  ),
});

export const serverAnswer: ValueReader<ServerInfo> = objectOf({
  version: textValue,
  scriptPath: textValue,
  endpoint: textValue,
});
export const health = objectOf({ reasons: orElse(list(textValue), []) });
/** Reader for an answer without a body. */
export const nothing: ValueReader<null> = () => null;
/** RFC 9457. */
export const problem = objectOf({}, { code: textValue, title: textValue, detail: textValue });

const stay: ValueReader<Stay> = objectOf({ page: textValue, t: time, until: time, depth: number }, { height: number });
export const visit: ValueReader<Visit> = objectOf({
  id: textValue,
  site: textValue,
  since: time,
  until: time,
  device,
  size,
  language: textValue,
  referrer: textValue,
  origin: textValue,
  country: textValue,
  label: textValue,
  stays: list(stay),
  moves: count,
  clicks: count,
  scrolls: count,
  truncated: orElse(flag, false),
});

/** Number of pieces that are missing because they are damaged; absent if none is. */
const damaged = orElse(count, 0);

export const visits = objectOf({ visits: list(visit), next: orNull(textValue), damaged });

const markLists = byMarkList((name) => list(objectOf({ dt: number, ...markFields[name] }))) as {
  [L in MarkList]: ValueReader<Passage[L]>;
};
const passage: ValueReader<Passage> = objectOf({
  page: textValue,
  t: time,
  until: time,
  size,
  entered: flag,
  moves: numbers,
  scrolls: numbers,
  ...markLists,
  views: list(objectOf({ dt: number }, { size, hidden: flag })),
});
export const passages: ValueReader<PassagePart> = objectOf({
  passages: list(passage),
  next: orNull(textValue),
  damaged,
});

/** A day, for example `2026-11-20`. */
function dayOf(value: unknown): string | undefined {
  const day = textValue(value);
  return day !== undefined && isTimeValue(periodStart(day)) ? day : undefined;
}

const sums = {
  views: count,
  visits: count,
  clicks: count,
  moves: count,
  ms: count,
  depth: count,
  measuredDepth: orElse(count, 0),
  measuredHeight: orElse(count, 0),
};
const pageCounts: ValueReader<PageCounts & { now: number }> = objectOf({ ...sums, page: textValue, now: count });
const dayCounts: ValueReader<DayCounts> = objectOf({ ...sums, day: dayOf });
export const counts: ValueReader<SiteCounts> = objectOf({ pages: list(pageCounts), days: list(dayCounts) });

/** Flat rows of columns, each from 0 to its limit: larger values would make endless tables and pictures. */
function rows(...limits: number[]): ValueReader<number[]> {
  return (value) => {
    const read = numbers(value);
    if (!read || read.length % limits.length !== 0) return undefined;
    return read.every((one, i) => one >= 0 && one <= (limits[i % limits.length] as number)) ? read : undefined;
  };
}

const MAX = Number.MAX_SAFE_INTEGER;
const places = rows(MAX_COLUMN, MAX_ROW, MAX);
const depths = rows(MAX_ROW, MAX);
const extent = within(0, 1_000_000);

/** A heatmap of moves, clicks or scroll depth. */
export function heatAnswer(isScroll: boolean): ValueReader<Heat> {
  return objectOf({
    views: count,
    cells: isScroll ? depths : places,
    total: count,
    most: count,
    extent: (value: unknown) => {
      const read = numbers(value);
      return read?.length === 2 ? (read.map((one) => extent(one)) as [number, number]) : undefined;
    },
    elements: list(objectOf({ selector: textValue, count, spots: rows(15, 15, MAX) })),
  });
}
