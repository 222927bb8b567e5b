/**
 * The contract for the exchange between nodes: what a primary's hub sends to the hubs of other nodes, and what it
 * receives from them.
 */
import type { Channel } from '../protocol/channel.ts';
import type { PeerEvent, PeerSiteState, Scope, Second, Share, SiteItem } from '../protocol/peer.ts';

type Pages = [page: string, visitors: number][];

/** The hub of this node. */
export interface Local {
  /** Channels that streams of this node show. */
  watched(): Channel[];
  /** Sets the complete list of channels that other nodes show. */
  setRemoteChannels(channels: readonly Channel[]): void;
  /** Other nodes need the latest positions of all visitors of this node in these channels. */
  refresh(keys: readonly string[]): void;
  /** Everything that this node knows of its own visitors of a site. */
  state(site: string): PeerSiteState;
  hear(machine: string, site: string, items: readonly Exclude<SiteItem, { k: 'state' }>[]): void;
  /** `lost`: some earlier items of the node did not arrive. */
  setRemoteState(machine: string, site: string, state: PeerSiteState, lost: boolean): void;
  nodeGone(machine: string, bye: boolean): void;
  /** Nothing is received for this site any more. */
  forgetSite(site: string): void;
  /** The pages of a site, with the number of this node's visitors on each. */
  pages(site: string): Pages;
}

/** Totals since the start, except where "now" is said. */
export interface BrokerFigures {
  /** Number of other nodes that are present now. */
  machines: number;
  /** Entries written to Redis, and entries of other nodes that were read. */
  entriesOut: number;
  entriesIn: number;
  bytesOut: number;
  bytesIn: number;
  /** Number of times that items of another node were missing, so that its whole state was requested. */
  gaps: number;
  /** Number of times that too much was waiting for Redis and was dropped. */
  overflows: number;
  /** How long nothing could be read or written, milliseconds; 0 while all works. */
  lateMs: number;
}

export interface Broker {
  /** The visitor numbers that belong to this node. */
  readonly share: Share;
  /** Starts the exchange. */
  start(local: Local): void;
  /** The set of channels that are watched on this node has changed. */
  watchedChanged(): void;
  /** A stream of this node needs the latest positions of all visitors in this channel. */
  refresh(key: string): void;
  /** Sends an event of a site that other nodes watch. */
  event(site: string, name: PeerEvent, scope: Scope, json: string): void;
  rendered(site: string, key: string, name: 'moves' | 'scroll', t: number, list: string): void;
  second(site: string, second: Second): void;
  /** Events of a site were dropped before they came here: other nodes need its whole state. */
  lost(site: string): void;
  /** How far the data of other nodes on a site is behind, milliseconds; 0 while it is current. */
  staleMs(site: string): number;
  /**
   * The pages of a site, with the number of other nodes' visitors on each. Nodes that do not answer in time are left
   * out.
   */
  pages(site: string): Promise<Pages>;
  figures(): BrokerFigures;
  /** Announces that this node has ended. Closing twice is safe. */
  close(): Promise<void>;
}
