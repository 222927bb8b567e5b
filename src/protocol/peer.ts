/**
 * Primary ↔ primary: what machines tell each other of who is here, through streams of Redis. Each entry is by one machine, numbered,
 * and holds items as pairs of texts: a letter for the kind, and what is to be said. The first item is the format of the others; machines
 * of several versions may share a Redis while they are upgraded.
 */

import type { Minute } from '../model/minute.ts';
import type { Visitor } from '../model/visitor.ts';
import type { Channel } from './channel.ts';
import type { StreamEvents } from './stream-event.ts';

/** Which numbers `v` of visitors are this machine's: those that leave `slot` when divided by `slots`. */
export interface Share {
  slot: number;
  slots: number;
}

/** Whom an event concerns; empty and null: everybody who watches the site. */
export interface Scope {
  pages: readonly string[];
  visitor: string | null;
}

/** A visitor, and when it was let in last, Unix ms on the clock of its machine. */
export interface Held {
  visitor: Visitor;
  at: number;
}

/** What a machine had of a site, minute by minute. */
export interface NodeMinutes {
  machine: string;
  minutes: Minute[];
}

/** A minute of a site. */
export interface SiteMinute extends Minute {
  site: string;
}

/** In place of a site: minutes in which a machine ran, with nothing in them. */
export const NO_SITE = '';

/** What is kept of the last hour for who looks at a site. */
export interface Past {
  machines: NodeMinutes[];
  /** Minutes in which a server ran, Unix ms: who was not there then was not. */
  ran: number[];
}

/** All that a machine knows of a site's visitors with it. */
export interface PeerSiteState {
  visitors: Held[];
  minutes: Minute[];
}

/** What a site's visitors on one machine did in a second. */
export interface Second {
  samples: number;
  drops: number;
  flushMs: number;
  /** Flat: `v, x, y, samples` of each visitor that did something; x and y are null while it has no place on its page. */
  rows: (number | null)[];
  minute: Minute;
}

/** Events of visitors that other machines show as they are. */
export const PEER_EVENTS = ['join', 'page', 'view', 'click', 'leave'] as const;
export type PeerEvent = (typeof PEER_EVENTS)[number];

/** One thing that a machine tells of a site. */
export type SiteItem =
  /** `json` is the event's data. */
  | { k: 'event'; name: PeerEvent; scope: Scope; json: string }
  /** What workers have rendered for a channel. `key` names it (channelKey). */
  | { k: 'moves' | 'scroll'; key: string; t: number; list: string }
  /** The machine's state of the site, in parts that follow one another. */
  | { k: 'state'; isFirst: boolean; isLast: boolean; state: PeerSiteState }
  | { k: 'second'; second: Second };

/** What is for all machines. */
export type NodeItem =
  /**
   * This machine is there, and what its streams show. `lacks`: sites of which it does not know the state, by the machine that has
   * it. `refresh`: keys of channels in which it needs everybody's latest position.
   */
  | { k: 'alive'; watches: Channel[]; lacks: Record<string, string[]>; refresh: string[] }
  | { k: 'bye' }
  /** How many are on each page of the site? */
  | { k: 'ask'; ask: number; site: string }
  | { k: 'answer'; to: string; ask: number; pages: [page: string, visitors: number][] };

/** An item as it is written: a letter, and a text. */
export type Written = [kind: string, body: string];

/**
 * What tells the others is one run of a machine, whose numbers begin anew; machines themselves are named as they were. `machine` has no
 * dot, and neither have runs of versions that named nothing else.
 */
export function runOf(machine: string, run: string): string {
  return `${machine}.${run}`;
}

/** The machine of a run. */
export function nodeOf(run: string): string {
  const [machine = ''] = run.split('.', 1);
  return machine;
}

/** Raised when who goes by the number before would misread items. What is before them stays as it is for good. */
export const FORMAT = '1';

/** An entry as it is written: whose it is, its number, the format, and its items. */
export function writeEntry(machine: string, n: number, items: readonly string[]): string[] {
  return [machine, String(n), 'v', FORMAT, ...items];
}

/** In which format an entry is; 0: in one from before there were several. */
export function formatOf([, , kind, body = '']: readonly string[]): string {
  return kind === 'v' ? body : '0';
}

export function writeSiteItem(item: SiteItem): Written {
  switch (item.k) {
    case 'event':
      return ['e', `${item.name} ${JSON.stringify([item.scope.pages, item.scope.visitor])}\n${item.json}`];
    case 'moves':
      return ['m', `${item.t} ${item.key}\n${item.list}`];
    case 'scroll':
      return ['s', `${item.t} ${item.key}\n${item.list}`];
    case 'state':
      return ['a', JSON.stringify([item.isFirst, item.isLast, item.state])];
    case 'second':
      return ['r', JSON.stringify(item.second)];
  }
}

/** What was written, or undefined for what is none of these. */
export function readSiteItem(kind: string, body: string): SiteItem | undefined {
  try {
    return siteItem(kind, body);
  } catch {
    return undefined;
  }
}

function siteItem(kind: string, body: string): SiteItem | undefined {
  if (kind === 'm' || kind === 's') {
    const [first, key, list] = parts(body);
    return { k: kind === 'm' ? 'moves' : 'scroll', key, t: Number(first), list };
  }
  if (kind === 'e') {
    const [name, scope, json] = parts(body);
    const [pages, visitor] = JSON.parse(scope);
    return PEER_EVENTS.includes(name as PeerEvent)
      ? { k: 'event', name: name as PeerEvent, scope: { pages, visitor }, json }
      : undefined;
  }
  if (kind === 'r') return { k: 'second', second: JSON.parse(body) };
  if (kind !== 'a') return undefined;
  const [isFirst, isLast, state] = JSON.parse(body);
  return { k: 'state', isFirst, isLast, state };
}

/** A word, the rest of the first line, and all that is below it. */
function parts(body: string): [word: string, rest: string, below: string] {
  const space = body.indexOf(' ');
  const line = body.indexOf('\n', space);
  return [body.slice(0, space), body.slice(space + 1, line), body.slice(line + 1)];
}

export function writeNodeItem(item: NodeItem): Written {
  return ['c', JSON.stringify(item)];
}

export function readNodeItem(kind: string, body: string): NodeItem | undefined {
  if (kind !== 'c') return undefined;
  try {
    return JSON.parse(body);
  } catch {
    return undefined;
  }
}

/** The data of an event that another machine has told. */
export type PeerEventData = { [N in PeerEvent]: { name: N; data: StreamEvents[N] } }[PeerEvent];
