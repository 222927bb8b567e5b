/**
 * Primary ↔ primary: what nodes report to each other about visitors, through streams of Redis. Each entry is by one
 * node, numbered, and holds items as pairs of texts: a letter for the kind, and the content. The first item is the
 * format of the others; nodes of several versions may share a Redis during an upgrade.
 */

import { PUBLISHED_MARKS, type PublishedName } from '../model/mark.ts';
import type { Minute } from '../model/minute.ts';
import type { Visitor } from '../model/visitor.ts';
import type { Channel } from './channel.ts';
import type { StreamEvents } from './stream-event.ts';

/** The visitor numbers `v` of this node: those with `v % slots === slot`. */
export interface Share {
  slot: number;
  slots: number;
}

/** The streams that show an event: those of these pages, and of this visitor. With neither, all streams of the site. */
export interface Scope {
  pages: readonly string[];
  visitor: string | null;
}

/** A visitor, and when it was last admitted, Unix ms on the clock of its node. */
export interface Held {
  visitor: Visitor;
  at: number;
}

/** The figures of a site on a node, minute by minute. */
export interface NodeMinutes {
  machine: string;
  minutes: Minute[];
}

/** A minute of a site. */
export interface SiteMinute extends Minute {
  site: string;
}

/** Stands for a site: the minutes in which a node was running, with figures of 0. */
export const NO_SITE = '';

/** The stored last hour of a site, for a viewer. */
export interface Past {
  machines: NodeMinutes[];
  /** Minutes in which a server was running, Unix ms. */
  ran: number[];
}

/** Everything that a node knows of its visitors on a site. */
export interface PeerSiteState {
  visitors: Held[];
  minutes: Minute[];
}

/** What a site's visitors on one node did in a second. */
export interface Second {
  samples: number;
  drops: number;
  flushMs: number;
  /** Flat: `v, x, y, samples` of each active visitor; x and y are null while it has no position on its page. */
  rows: (number | null)[];
  minute: Minute;
}

/** Events of visitors that other nodes show unchanged. */
export type PeerEvent = 'join' | 'page' | 'view' | 'leave' | PublishedName;
const PEER_EVENTS: readonly string[] = ['join', 'page', 'view', 'leave', ...Object.keys(PUBLISHED_MARKS)];

/** One report of a node about a site. */
export type SiteItem =
  /** `json` is the event's data. */
  | { k: 'event'; name: PeerEvent; scope: Scope; json: string }
  /** Rendered moves of a channel. `key`: see channelKey. */
  | { k: 'moves' | 'scroll'; key: string; t: number; list: string }
  /** The node's state of the site, in consecutive parts. */
  | { k: 'state'; isFirst: boolean; isLast: boolean; state: PeerSiteState }
  | { k: 'second'; second: Second };

/** Reports for all nodes. */
export type NodeItem =
  /**
   * This node is alive, and what its streams show. `lacks`: sites whose state it does not know, by the node that has
   * it. `refresh`: keys of channels in which it needs everybody's latest position.
   */
  | { k: 'alive'; watches: Channel[]; lacks: Record<string, string[]>; refresh: string[] }
  | { k: 'bye' }
  /** Asks for the number of visitors on each page of the site. */
  | { k: 'ask'; ask: number; site: string }
  | { k: 'answer'; to: string; ask: number; pages: [page: string, visitors: number][] };

/** A written item: a letter, and a text. */
export type Written = [kind: string, body: string];

/**
 * Returns the name of one run of a node: its entries are numbered from the start again. `machine` has no dot; neither
 * have runs of older versions, which had no node names.
 */
export function runOf(machine: string, run: string): string {
  return `${machine}.${run}`;
}

/** Returns the node of a run. */
export function nodeOf(run: string): string {
  const [machine = ''] = run.split('.', 1);
  return machine;
}

/**
 * Version of the entries. It is raised when readers of the previous version would misread items. The items before this
 * one never change.
 */
export const PEER_FORMAT = '1';

/** Returns the fields of an entry: its node, its number, the format, and its items. */
export function writeEntry(machine: string, n: number, items: readonly string[]): string[] {
  return [machine, String(n), 'v', PEER_FORMAT, ...items];
}

/** Returns the format of an entry; 0 if it is from before there were formats. */
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

/** Parses an item. Returns undefined if it is of an unknown kind. */
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
    return PEER_EVENTS.includes(name)
      ? { k: 'event', name: name as PeerEvent, scope: { pages, visitor }, json }
      : undefined;
  }
  if (kind === 'r') return { k: 'second', second: JSON.parse(body) };
  if (kind !== 'a') return undefined;
  const [isFirst, isLast, state] = JSON.parse(body);
  return { k: 'state', isFirst, isLast, state };
}

/** Splits a text into its first word, the rest of the first line, and everything below. */
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

/** The data of an event from another node. */
export type PeerEventData = { [N in PeerEvent]: { name: N; data: StreamEvents[N] } }[PeerEvent];
