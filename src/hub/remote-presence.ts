/**
 * Visitors on other nodes, for the sites that are watched here. A visitor is shown once: on the node that let it in
 * last.
 */
import { getOrInsert } from '../lib/get-or-insert.ts';
import type { Minute } from '../model/minute.ts';
import {
  type Held,
  type NodeMinutes,
  nodeOf,
  type PeerEventData,
  type PeerSiteState,
  type Second,
} from '../protocol/peer.ts';
import { MAX_ACTIVE, type StreamEvents } from '../protocol/stream-event.ts';
import { LastMinute, thisSecond } from './last-minute.ts';
import { MinutesByNode } from './minutes-by-node.ts';

export interface RemoteVisitor extends Held {
  /** The run of the node that reported the visitor. */
  node: string;
  readonly lastMinute: LastMinute;
}

interface Site {
  byV: Map<number, RemoteVisitor>;
  byId: Map<string, RemoteVisitor>;
  minutes: MinutesByNode;
  second: Omit<StreamEvents['rates'], 't' | 'visitors' | 'late'>;
}

export class RemotePresence {
  readonly #sites = new Map<string, Site>();

  #site(site: string): Site {
    return getOrInsert(this.#sites, site, () => ({
      byV: new Map(),
      byId: new Map(),
      minutes: new MinutesByNode(),
      second: emptySecond(),
    }));
  }

  count(site: string): number {
    return this.#sites.get(site)?.byV.size ?? 0;
  }

  /** Visitors of a site. */
  *of(site: string): Generator<RemoteVisitor> {
    yield* this.#sites.get(site)?.byV.values() ?? [];
  }

  get(site: string, v: number): RemoteVisitor | undefined {
    return this.#sites.get(site)?.byV.get(v);
  }

  byId(site: string, id: string): RemoteVisitor | undefined {
    return this.#sites.get(site)?.byId.get(id);
  }

  /** Adds or updates a visitor. */
  put(site: string, reported: Omit<RemoteVisitor, 'lastMinute'>, lastMinute = new LastMinute()): void {
    const { byV, byId } = this.#site(site);
    const other = { ...reported, lastMinute: byV.get(reported.visitor.v)?.lastMinute ?? lastMinute };
    byV.set(other.visitor.v, other);
    byId.set(other.visitor.id, other);
  }

  remove(site: string, { visitor }: RemoteVisitor): void {
    const here = this.#sites.get(site);
    if (here?.byV.delete(visitor.v) && here.byId.get(visitor.id)?.visitor.v === visitor.v) here.byId.delete(visitor.id);
  }

  /** Applies an event to a visitor. */
  apply({ visitor }: RemoteVisitor, event: Exclude<PeerEventData, { name: 'join' | 'leave' }>): void {
    if (event.name === 'page') Object.assign(visitor, pick(event.data), { at: null });
    else if (event.name === 'view') Object.assign(visitor, pickView(event.data));
    else if ('x' in event.data) visitor.at = [event.data.x, event.data.y];
  }

  /** Replaces all visitors of a node on a site. */
  replace(site: string, node: string, { visitors, minutes }: PeerSiteState): void {
    const before = new Map(this.#ofNode(site, node).map((other) => [other.visitor.v, other]));
    for (const other of before.values()) this.remove(site, other);
    for (const held of visitors) {
      const known = this.byId(site, held.visitor.id);
      if (known && known.at > held.at) continue;
      if (known) this.remove(site, known);
      this.put(site, { ...held, node }, before.get(held.visitor.v)?.lastMinute);
    }
    this.#site(site).minutes.add({ machine: nodeOf(node), minutes });
  }

  /** Adds the stored minutes of a site's last hour. */
  recall(site: string, past: readonly NodeMinutes[]): void {
    for (const one of past) this.#site(site).minutes.add(one);
  }

  #ofNode(site: string, node: string): RemoteVisitor[] {
    return [...(this.#sites.get(site)?.byV.values() ?? [])].filter((other) => other.node === node);
  }

  /** Removes a node that has ended. Returns its visitors by site. Its minutes stay, except the current one. */
  removeNode(node: string, now: number): [site: string, other: RemoteVisitor][] {
    const removed: [string, RemoteVisitor][] = [];
    for (const [site, { minutes }] of this.#sites) {
      for (const other of this.#ofNode(site, node)) removed.push([site, other]);
      minutes.end(nodeOf(node), now);
    }
    for (const [site, other] of removed) this.remove(site, other);
    return removed;
  }

  /** Nobody watches this site here any more. */
  forget(site: string): void {
    this.#sites.delete(site);
  }

  /** Adds one second of activity of a node's visitors. */
  addSecond(site: string, node: string, { samples, drops, flushMs, rows, minute }: Second): void {
    const { second, byV, minutes } = this.#site(site);
    second.samples += samples;
    second.drops += drops;
    second.flushMs = Math.max(second.flushMs, flushMs);
    for (let i = 0; i + 3 < rows.length; i += 4) {
      const [v, x, y, count] = [rows[i] as number, rows[i + 1], rows[i + 2], rows[i + 3] as number];
      const other = byV.get(v);
      if (!other) continue;
      other.lastMinute.add(thisSecond(), count);
      if (typeof x === 'number') other.visitor.at = [x, y as number];
      if (second.activity.length < 2 * MAX_ACTIVE) second.activity.push(v, count);
    }
    minutes.add({ machine: nodeOf(node), minutes: [minute] });
  }

  /** Returns the activity of the second that ends, and starts the next one. */
  takeSecond(site: string): Site['second'] {
    const here = this.#sites.get(site);
    if (!here) return emptySecond();
    const { second } = here;
    here.second = emptySecond();
    return second;
  }

  /** The last 60 minutes of all nodes, oldest first. `own` are the minutes of this node. */
  minutes(site: string, own: NodeMinutes, now: number): Minute[] {
    return this.#sites.get(site)?.minutes.sums(own, now) ?? own.minutes;
  }
}

function emptySecond(): Site['second'] {
  return { samples: 0, drops: 0, flushMs: 0, activity: [] };
}

function pick({ page, origin, size }: StreamEvents['page']) {
  return { page, origin, size };
}

function pickView({ size, hidden, device, label }: StreamEvents['view']) {
  return { size, hidden, device, label };
}
