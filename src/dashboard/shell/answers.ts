/** Reads the answers of the server. */
import type * as account from '../../model/account.ts';
import type { AuditAction, AuditEntry } from '../../model/audit.ts';
import { type Heat, MAX_COLUMN, MAX_ROW } from '../../model/heat.ts';
import { type Rights, ROLES } from '../../model/rights.ts';
import type { Site } from '../../model/site.ts';
import type { Click, DayCounts, PageCounts, Passage, Stay, Visit } from '../../model/visit.ts';
import { device, size } from '../live/event-readers.ts';
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
  oneOf,
  orElse,
  orNull,
  shape,
  text,
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

const rights: ValueReader<Rights> = shape({ role: orElse(oneOf(ROLES), 'viewer'), sites: orNull(list(text)) });

export const session: ValueReader<SessionAnswer> = both(
  rights,
  shape({ name: text, via: orElse(oneOf(['session', 'token']), 'session'), hasPassword: flag, expires: orNull(time) }),
);
const signIn: ValueReader<SignIn> = shape({
  id: text,
  name: text,
  created: time,
  lastSeen: time,
  expires: time,
  agent: text,
  current: flag,
});
export const signIns = shape({ sessions: list(signIn) });

const token: ValueReader<account.Token> = both(
  rights,
  shape({ id: text, name: text, created: time, lastUsed: orNull(time) }),
);
export const tokens = shape({ tokens: list(token) });
export const newTokenAnswer = both(token, shape({ secret: text }));

const admin: ValueReader<AdminAnswer> = both(rights, shape({ name: text, created: time, hasPassword: flag }));
export const admins = shape({ admins: list(admin) });
export const link = shape({ token: text });

const entry: ValueReader<AuditEntry> = shape({
  at: time,
  who: text,
  // Shown also if a newer server sends a value that this dashboard does not know.
  what: text as ValueReader<AuditAction>,
  on: text,
  from: orElse(text, ''),
  count,
});
export const trail = shape({ entries: list(entry), next: orNull(text) });

export const site: ValueReader<Site> = shape({
  key: text,
  name: text,
  origins: list(text),
  created: time,
  firstSeen: orNull(time),
});
export const sites = shape({ sites: list(site) });

export const server: ValueReader<ServerInfo> = shape({ version: text, scriptPath: text, endpoint: text });
export const health = shape({ reasons: orElse(list(text), []) });
/** Reader for an answer without a body. */
export const nothing: ValueReader<null> = () => null;
/** RFC 9457. */
export const problem = shape({}, { code: text, title: text, detail: text });

const stay: ValueReader<Stay> = shape({ page: text, t: time, until: time, depth: number });
export const visit: ValueReader<Visit> = shape({
  id: text,
  site: text,
  since: time,
  until: time,
  device,
  size,
  language: text,
  referrer: text,
  origin: text,
  country: text,
  label: text,
  stays: list(stay),
  moves: count,
  clicks: count,
  scrolls: count,
  truncated: orElse(flag, false),
});

/** Number of pieces that are missing because they are damaged; absent if none is. */
const damaged = orElse(count, 0);

export const visits = shape({ visits: list(visit), next: orNull(text), damaged });

const click: ValueReader<Click> = shape({
  dt: number,
  x: number,
  y: number,
  button: number,
  ex: number,
  ey: number,
  selector: text,
});
const passage: ValueReader<Passage> = shape({
  page: text,
  t: time,
  until: time,
  size,
  entered: flag,
  moves: numbers,
  scrolls: numbers,
  clicks: list(click),
  views: list(shape({ dt: number }, { size, hidden: flag })),
});
export const passages: ValueReader<PassagePart> = shape({ passages: list(passage), next: orNull(text), damaged });

/** A day, for example `2026-11-20`. */
function dayOf(value: unknown): string | undefined {
  const day = text(value);
  return day !== undefined && isTimeValue(periodStart(day)) ? day : undefined;
}

const sums = { views: count, visits: count, clicks: count, moves: count, ms: count, depth: count };
const pageCounts: ValueReader<PageCounts & { now: number }> = shape({ ...sums, page: text, now: count });
const dayCounts: ValueReader<DayCounts> = shape({ ...sums, day: dayOf });
export const counts: ValueReader<SiteCounts> = shape({ pages: list(pageCounts), days: list(dayCounts) });

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
  return shape({
    views: count,
    cells: isScroll ? depths : places,
    total: count,
    most: count,
    extent: (value: unknown) => {
      const read = numbers(value);
      return read?.length === 2 ? (read.map((one) => extent(one)) as [number, number]) : undefined;
    },
    elements: list(shape({ selector: text, count, spots: rows(15, 15, MAX) })),
  });
}
