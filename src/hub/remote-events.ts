/**
 * Events from other nodes for the sites that are watched here. Updates the state for new streams, and sends the events
 * to open streams.
 */

import type { LeaveReason } from '../model/visitor.ts';
import type { PeerEventData, PeerSiteState, Second, SiteItem } from '../protocol/peer.ts';
import type { StreamEvents } from '../protocol/stream-event.ts';
import type { Departures } from './departures.ts';
import type { FanOut } from './fan-out.ts';
import type { Presence } from './presence.ts';
import type { RemotePresence, RemoteVisitor } from './remote-presence.ts';

type Event = Extract<SiteItem, { k: 'event' }>;

export interface RemoteEventsOptions {
  fanOut: FanOut;
  presence: Presence;
  remotePresence: RemotePresence;
  departures: Departures;
}

export class RemoteEvents {
  readonly #fanOut: FanOut;
  readonly #presence: Presence;
  readonly #remotePresence: RemotePresence;
  readonly #departures: Departures;

  constructor({ fanOut, presence, remotePresence, departures }: RemoteEventsOptions) {
    this.#fanOut = fanOut;
    this.#presence = presence;
    this.#remotePresence = remotePresence;
    this.#departures = departures;
  }

  /** Handles an item of a site, except parts of a state. */
  item(node: string, site: string, item: Exclude<SiteItem, { k: 'state' }>): void {
    if (item.k === 'event') this.#event(node, site, item);
    else if (item.k === 'second') this.#second(node, site, item.second);
    else this.#fanOut.renderedRemotely(item.key, item.k, item.t, item.list);
  }

  #event(node: string, site: string, event: Event): void {
    const parsed = { name: event.name, data: JSON.parse(event.json) } as PeerEventData;
    if (parsed.name === 'join') {
      this.#join(node, site, parsed.data, event);
      return;
    }
    const other = this.#remotePresence.get(site, parsed.data.v);
    // Another node has let the visitor in since.
    if (other?.node !== node) return;
    if (parsed.name === 'leave') this.#remove(site, other, parsed.data);
    else this.#remotePresence.apply(other, parsed);
    this.#show(site, event);
  }

  /** The other node has let a visitor in, a new one or one that comes back. */
  #join(node: string, site: string, { t, visitor }: StreamEvents['join'], event: Event): void {
    if (!this.#presence.yield(visitor.id, t)) return;
    const known = this.#remotePresence.byId(site, visitor.id);
    const isNew = known?.visitor.v !== visitor.v;
    if (known && isNew) this.#leave(site, known, 'lost');
    this.#remotePresence.put(site, { visitor, at: t, node });
    if (isNew) this.#show(site, event);
  }

  #show(site: string, { name, scope, json }: Event): void {
    this.#fanOut.show(site, name, scope, json);
  }

  #second(node: string, site: string, second: Second): void {
    this.#remotePresence.addSecond(site, node, second);
  }

  /** Replaces everything known of a site on one node. `lost`: some earlier items of the node did not arrive. */
  state(node: string, site: string, state: PeerSiteState, lost: boolean): void {
    const before = this.#remotePresence.count(site);
    const visitors = state.visitors.filter(({ visitor, at }) => this.#presence.yield(visitor.id, at));
    this.#remotePresence.replace(site, node, { ...state, visitors });
    if (lost) this.#fanOut.restartSite(site, 'resync');
    else if (before + visitors.length + state.minutes.length > 0) this.#fanOut.renewSite(site);
  }

  /** A visitor was let in on this node: it is removed from all others. */
  cameHere(site: string, id: string): void {
    const other = this.#remotePresence.byId(site, id);
    if (other) this.#leave(site, other, 'lost');
  }

  /** A node has ended: its visitors leave. */
  nodeGone(node: string, reason: LeaveReason): void {
    for (const [site, other] of this.#remotePresence.removeNode(node, Date.now())) this.#leave(site, other, reason);
  }

  #leave(site: string, other: RemoteVisitor, reason: LeaveReason): void {
    const { v, page, id } = other.visitor;
    const data: StreamEvents['leave'] = { t: Date.now(), v, reason };
    this.#remove(site, other, data);
    this.#fanOut.show(site, 'leave', { pages: [page], visitor: id }, JSON.stringify(data));
  }

  #remove(site: string, other: RemoteVisitor, { t, reason }: StreamEvents['leave']): void {
    this.#remotePresence.remove(site, other);
    const { id, label, page } = other.visitor;
    this.#departures.add(site, { t, id, label, page, reason });
  }
}
