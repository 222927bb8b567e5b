/**
 * Who is on other machines, of the sites that are watched here. A visitor is shown once: where it was let in last.
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
import type { StreamEvents } from '../protocol/stream-event.ts';
import { LastMinute, thisSecond } from './last-minute.ts';
import { MinutesByNode } from './minutes-by-node.ts';

/** Visitors whose activity is told each second, as many as of this machine. */
const MAX_ACTIVE = 1000;

export interface RemoteVisitor extends Held {
  /** The run of a machine that has told of it. */
  machine: string;
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
      second: nothing(),
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

  /** Adds a visitor, or what is new of it. */
  put(site: string, told: Omit<RemoteVisitor, 'lastMinute'>, lastMinute = new LastMinute()): void {
    const { byV, byId } = this.#site(site);
    const other = { ...told, lastMinute: byV.get(told.visitor.v)?.lastMinute ?? lastMinute };
    byV.set(other.visitor.v, other);
    byId.set(other.visitor.id, other);
  }

  remove(site: string, { visitor }: RemoteVisitor): void {
    const here = this.#sites.get(site);
    if (here?.byV.delete(visitor.v) && here.byId.get(visitor.id)?.visitor.v === visitor.v) here.byId.delete(visitor.id);
  }

  /** Takes what a visitor did. */
  apply({ visitor }: RemoteVisitor, { name, data }: PeerEventData): void {
    if (name === 'click') visitor.at = [data.x, data.y];
    else if (name === 'page') Object.assign(visitor, pick(data), { at: null });
    else if (name === 'view') Object.assign(visitor, pickView(data));
  }

  /** Takes all that a machine knows of a site: what was known of its visitors before goes. */
  replace(site: string, machine: string, { visitors, minutes }: PeerSiteState): void {
    const before = new Map(this.#ofMachine(site, machine).map((other) => [other.visitor.v, other]));
    for (const other of before.values()) this.remove(site, other);
    for (const held of visitors) {
      const known = this.byId(site, held.visitor.id);
      if (known && known.at > held.at) continue;
      if (known) this.remove(site, known);
      this.put(site, { ...held, machine }, before.get(held.visitor.v)?.lastMinute);
    }
    this.#site(site).minutes.add({ machine: nodeOf(machine), minutes });
  }

  /** Takes what is kept of a site's last hour. */
  recall(site: string, past: readonly NodeMinutes[]): void {
    for (const one of past) this.#site(site).minutes.add(one);
  }

  #ofMachine(site: string, machine: string): RemoteVisitor[] {
    return [...(this.#sites.get(site)?.byV.values() ?? [])].filter((other) => other.machine === machine);
  }

  /** A machine is no more. Gives those who were on it, by site. Its minutes stay, but for the one at hand. */
  removeMachine(machine: string, now: number): [site: string, other: RemoteVisitor][] {
    const gone: [string, RemoteVisitor][] = [];
    for (const [site, { minutes }] of this.#sites) {
      for (const other of this.#ofMachine(site, machine)) gone.push([site, other]);
      minutes.end(nodeOf(machine), now);
    }
    for (const [site, other] of gone) this.remove(site, other);
    return gone;
  }

  /** Nobody watches this site here any more. */
  forget(site: string): void {
    this.#sites.delete(site);
  }

  /** Takes what a machine's visitors did in a second. */
  addSecond(site: string, machine: string, { samples, drops, flushMs, rows, minute }: Second): void {
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
    minutes.add({ machine: nodeOf(machine), minutes: [minute] });
  }

  /** What happened in the second that ends, and begins the next one. */
  takeSecond(site: string): Site['second'] {
    const here = this.#sites.get(site);
    if (!here) return nothing();
    const { second } = here;
    here.second = nothing();
    return second;
  }

  /** The last 60 minutes of this machine, which are `own`, with those of others, oldest first. */
  minutes(site: string, own: NodeMinutes, now: number): Minute[] {
    return this.#sites.get(site)?.minutes.sums(own, now) ?? own.minutes;
  }
}

function nothing(): Site['second'] {
  return { samples: 0, drops: 0, flushMs: 0, activity: [] };
}

function pick({ page, origin, size }: StreamEvents['page']) {
  return { page, origin, size };
}

function pickView({ size, hidden, device, label }: StreamEvents['view']) {
  return { size, hidden, device, label };
}
