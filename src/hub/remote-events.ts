/** What other machines tell of the sites that are watched here: kept for those who come, and shown to those who watch. */

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
  elsewhere: RemotePresence;
  departures: Departures;
}

export class RemoteEvents {
  readonly #fanOut: FanOut;
  readonly #presence: Presence;
  readonly #remotePresence: RemotePresence;
  readonly #departures: Departures;

  constructor({ fanOut, presence, elsewhere, departures }: RemoteEventsOptions) {
    this.#fanOut = fanOut;
    this.#presence = presence;
    this.#remotePresence = elsewhere;
    this.#departures = departures;
  }

  /** Takes an item of a site, but for parts of states. */
  item(machine: string, site: string, item: Exclude<SiteItem, { k: 'state' }>): void {
    if (item.k === 'event') this.#event(machine, site, item);
    else if (item.k === 'second') this.#second(machine, site, item.second);
    else this.#fanOut.renderedElsewhere(item.key, item.k, item.t, item.list);
  }

  #event(machine: string, site: string, event: Event): void {
    const told = { name: event.name, data: JSON.parse(event.json) } as PeerEventData;
    if (told.name === 'join') {
      this.#join(machine, site, told.data, event);
      return;
    }
    const other = this.#remotePresence.get(site, told.data.v);
    // It has been let in elsewhere since.
    if (other?.machine !== machine) return;
    if (told.name === 'leave') this.#remove(site, other, told.data);
    else this.#remotePresence.apply(other, told);
    this.#show(site, event);
  }

  /** A visitor was let in there, new or coming back. */
  #join(machine: string, site: string, { t, visitor }: StreamEvents['join'], event: Event): void {
    if (!this.#presence.yield(visitor.id, t)) return;
    const known = this.#remotePresence.byId(site, visitor.id);
    const isNew = known?.visitor.v !== visitor.v;
    if (known && isNew) this.#leave(site, known, 'lost');
    this.#remotePresence.put(site, { visitor, at: t, machine });
    if (isNew) this.#show(site, event);
  }

  #show(site: string, { name, scope, json }: Event): void {
    this.#fanOut.show(site, name, scope, json);
  }

  #second(machine: string, site: string, second: Second): void {
    this.#remotePresence.addSecond(site, machine, second);
  }

  /** Takes all that a machine knows of a site. `lost`: what it told before did not all arrive. */
  state(machine: string, site: string, state: PeerSiteState, lost: boolean): void {
    const before = this.#remotePresence.count(site);
    const visitors = state.visitors.filter(({ visitor, at }) => this.#presence.yield(visitor.id, at));
    this.#remotePresence.replace(site, machine, { ...state, visitors });
    if (lost) this.#fanOut.restartSite(site, 'resync');
    else if (before + visitors.length + state.minutes.length > 0) this.#fanOut.renewSite(site);
  }

  /** A visitor was let in here: it is on no other machine any more. */
  cameHere(site: string, id: string): void {
    const other = this.#remotePresence.byId(site, id);
    if (other) this.#leave(site, other, 'lost');
  }

  /** A machine is no more, and neither are its visitors. */
  nodeGone(machine: string, reason: LeaveReason): void {
    for (const [site, other] of this.#remotePresence.removeMachine(machine, Date.now()))
      this.#leave(site, other, reason);
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
