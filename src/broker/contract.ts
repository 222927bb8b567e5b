/** Between machines: what a primary's hub tells those of other machines, and what it hears of them. */
import type { Channel } from '../protocol/channel.ts';
import type { PeerEvent, PeerSiteState, Scope, Second, Share, SiteItem } from '../protocol/peer.ts';

type Pages = [page: string, visitors: number][];

/** This machine's hub. */
export interface Local {
  /** Channels that streams of this machine show. */
  watched(): Channel[];
  /** Takes the channels that other machines show, all of them. */
  carry(channels: readonly Channel[]): void;
  /** Other machines need the latest positions of everybody of here in these channels. */
  refresh(keys: readonly string[]): void;
  /** All that this machine knows of its own visitors of a site. */
  state(site: string): PeerSiteState;
  hear(machine: string, site: string, items: readonly Exclude<SiteItem, { k: 'state' }>[]): void;
  /** `lost`: of what the machine told before something did not arrive. */
  hearState(machine: string, site: string, state: PeerSiteState, lost: boolean): void;
  nodeGone(machine: string, bye: boolean): void;
  /** A site is not heard of any more. */
  unhear(site: string): void;
  /** Pages of a site with how many visitors of this machine are on each. */
  pages(site: string): Pages;
}

/** Since the start, where it does not say "now". */
export interface BrokerFigures {
  /** Now: other machines that are heard. */
  machines: number;
  /** Entries written to Redis, and those of other machines that were read. */
  entriesOut: number;
  entriesIn: number;
  bytesOut: number;
  bytesIn: number;
  /** Times that something of another machine was missing, and all was asked for anew. */
  gaps: number;
  /** Times that too much waited for Redis, and was given up. */
  overflows: number;
  /** How long nothing could be read or written, milliseconds; 0: all goes well. */
  lateMs: number;
}

export interface Broker {
  /** Visitors' numbers that are this machine's. */
  readonly share: Share;
  /** Begins to exchange what streams need. */
  begin(local: Local): void;
  /** Other channels are watched here than before. */
  watchedChanged(): void;
  /** A stream of here needs the latest positions of everybody in this channel. */
  refresh(key: string): void;
  /** An event of a site that other machines watch. */
  event(site: string, name: PeerEvent, scope: Scope, json: string): void;
  rendered(site: string, key: string, name: 'moves' | 'scroll', t: number, list: string): void;
  second(site: string, second: Second): void;
  /** Events of a site were left out before they came here: others need all of it anew. */
  lost(site: string): void;
  /** How late is what others tell of a site, milliseconds; 0: it is not. */
  staleMs(site: string): number;
  /** Pages of a site with how many visitors of other machines are on each: what they tell in time. */
  pages(site: string): Promise<Pages>;
  figures(): BrokerFigures;
  /** Says that this machine is no more. Closing twice is safe. */
  close(): Promise<void>;
}
