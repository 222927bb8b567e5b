/**
 * Reads what other nodes send about one site: in the order of the entry numbers, each entry once. When a number is
 * missing, nothing of that node counts until it has sent its whole state.
 */
import { getOrInsert } from '../lib/get-or-insert.ts';
import { type PeerSiteState, readSiteItem, type SiteItem } from '../protocol/peer.ts';
import type { Local } from './contract.ts';
import type { StreamEntry } from './stream-reader.ts';

interface Peer {
  /** Number of the last entry; 0 before the first. */
  last: number;
  /** The node's state and all items since are known. */
  isKnown: boolean;
  /** Some items of the node did not arrive. */
  hasGap: boolean;
  /** The parts of the node's state so far, while the state is arriving. */
  parts: PeerSiteState | undefined;
}

export interface InboxOptions {
  site: string;
  /** This node, whose own entries are in the stream as well. */
  self: string;
  local: Local;
  /** An entry of this node was read. */
  onHeard(node: string): void;
  onGap(node: string): void;
  onRead(bytes: number): void;
}

export class Inbox {
  readonly #options: InboxOptions;
  readonly #peers = new Map<string, Peer>();

  constructor(options: InboxOptions) {
    this.#options = options;
  }

  /** True while the node's state of this site is not known. */
  lacks(node: string): boolean {
    return !this.#peers.get(node)?.isKnown;
  }

  /** The node has ended. `bye`: it said so. If it comes back without a bye, items were missed. */
  gone(node: string, bye: boolean): void {
    const peer = this.#peers.get(node);
    if (bye) this.#peers.delete(node);
    else if (peer) Object.assign(peer, { isKnown: false, hasGap: true, parts: undefined });
  }

  /** Returns true if any entry is from another node. */
  take(entries: readonly StreamEntry[]): boolean {
    const others = entries.filter(([machine]) => machine !== this.#options.self);
    for (const [machine = '', n, ...texts] of others) this.#entry(machine, Number(n), texts);
    return others.length > 0;
  }

  #entry(node: string, n: number, texts: readonly string[]): void {
    const { onHeard, onRead } = this.#options;
    onHeard(node);
    onRead(texts.reduce((sum, text) => sum + text.length, 0));
    const peer = getOrInsert(this.#peers, node, () => ({
      last: 0,
      isKnown: false,
      hasGap: false,
      parts: undefined,
    }));
    // A duplicate: the writer could not know that the first attempt had succeeded.
    if (n <= peer.last) return;
    if (peer.last !== 0 && n !== peer.last + 1) this.#gap(node, peer);
    peer.last = n;
    this.#items(node, peer, texts);
  }

  #gap(node: string, peer: Peer): void {
    peer.parts = undefined;
    if (!peer.isKnown) return;
    peer.isKnown = false;
    peer.hasGap = true;
    this.#options.onGap(node);
  }

  #items(node: string, peer: Peer, texts: readonly string[]): void {
    let items: Exclude<SiteItem, { k: 'state' }>[] = [];
    const flush = () => {
      if (items.length > 0 && peer.isKnown) this.#hear(node, peer, items);
      items = [];
    };
    for (let i = 0; i + 1 < texts.length; i += 2) {
      const item = readSiteItem(texts[i] as string, texts[i + 1] as string);
      if (!item) continue;
      if (item.k !== 'state') items.push(item);
      else {
        flush();
        this.#state(node, peer, item);
      }
    }
    flush();
  }

  #hear(node: string, peer: Peer, items: Exclude<SiteItem, { k: 'state' }>[]): void {
    const { local, site } = this.#options;
    try {
      local.hear(node, site, items);
    } catch {
      // An entry that cannot be read counts as missing.
      this.#gap(node, peer);
    }
  }

  #state(node: string, peer: Peer, { isFirst, isLast, state }: Extract<SiteItem, { k: 'state' }>): void {
    if (peer.isKnown) return;
    if (isFirst) peer.parts = { visitors: [], minutes: state.minutes };
    if (!peer.parts) return;
    for (const held of state.visitors) peer.parts.visitors.push(held);
    if (!isLast) return;
    const { parts, hasGap } = peer;
    Object.assign(peer, { isKnown: true, hasGap: false, parts: undefined });
    this.#options.local.setRemoteState(node, this.#options.site, parts, hasGap);
  }
}
