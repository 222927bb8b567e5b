/**
 * What other machines tell of one site: in the order of their numbers, each once. Where a number is missing nothing of that machine
 * counts until it has told its whole state.
 */
import { getOrInsert } from '../lib/get-or-insert.ts';
import { type PeerSiteState, readSiteItem, type SiteItem } from '../protocol/peer.ts';
import type { Local } from './contract.ts';
import type { StreamEntry } from './stream-reader.ts';

interface Heard {
  /** Number of the last entry; 0 before the first. */
  last: number;
  /** Its state is known, and all since. */
  isKnown: boolean;
  /** Something that it told did not arrive. */
  hasGap: boolean;
  /** The parts of its state so far, while that comes. */
  parts: PeerSiteState | undefined;
}

export interface InboxOptions {
  site: string;
  /** This machine, whose own entries are in the stream as well. */
  self: string;
  local: Local;
  /** There is an entry of this machine. */
  onHeard(machine: string): void;
  onGap(machine: string): void;
  onRead(bytes: number): void;
}

export class Inbox {
  readonly #options: InboxOptions;
  readonly #heard = new Map<string, Heard>();

  constructor(options: InboxOptions) {
    this.#options = options;
  }

  /** True while what the machine has of this site is not known. */
  lacks(machine: string): boolean {
    return !this.#heard.get(machine)?.isKnown;
  }

  /** The machine is no more; if it comes back after all, something was missed. */
  gone(machine: string, bye: boolean): void {
    const heard = this.#heard.get(machine);
    if (bye) this.#heard.delete(machine);
    else if (heard) Object.assign(heard, { isKnown: false, hasGap: true, parts: undefined });
  }

  /** True if any entry is of another machine. */
  take(entries: readonly StreamEntry[]): boolean {
    const others = entries.filter(([machine]) => machine !== this.#options.self);
    for (const [machine = '', n, ...texts] of others) this.#entry(machine, Number(n), texts);
    return others.length > 0;
  }

  #entry(machine: string, n: number, texts: readonly string[]): void {
    const { onHeard, onRead } = this.#options;
    onHeard(machine);
    onRead(texts.reduce((sum, text) => sum + text.length, 0));
    const heard = getOrInsert(this.#heard, machine, () => ({
      last: 0,
      isKnown: false,
      hasGap: false,
      parts: undefined,
    }));
    // It was written twice, since the writer could not know that it was there.
    if (n <= heard.last) return;
    if (heard.last !== 0 && n !== heard.last + 1) this.#gap(machine, heard);
    heard.last = n;
    this.#items(machine, heard, texts);
  }

  #gap(machine: string, heard: Heard): void {
    heard.parts = undefined;
    if (!heard.isKnown) return;
    heard.isKnown = false;
    heard.hasGap = true;
    this.#options.onGap(machine);
  }

  #items(machine: string, heard: Heard, texts: readonly string[]): void {
    let items: Exclude<SiteItem, { k: 'state' }>[] = [];
    const flush = () => {
      if (items.length > 0 && heard.isKnown) this.#hear(machine, heard, items);
      items = [];
    };
    for (let i = 0; i + 1 < texts.length; i += 2) {
      const item = readSiteItem(texts[i] as string, texts[i + 1] as string);
      if (!item) continue;
      if (item.k !== 'state') items.push(item);
      else {
        flush();
        this.#state(machine, heard, item);
      }
    }
    flush();
  }

  #hear(machine: string, heard: Heard, items: Exclude<SiteItem, { k: 'state' }>[]): void {
    const { local, site } = this.#options;
    try {
      local.hear(machine, site, items);
    } catch {
      // What cannot be read is as good as missing.
      this.#gap(machine, heard);
    }
  }

  #state(machine: string, heard: Heard, { isFirst, isLast, state }: Extract<SiteItem, { k: 'state' }>): void {
    if (heard.isKnown) return;
    if (isFirst) heard.parts = { visitors: [], minutes: state.minutes };
    if (!heard.parts) return;
    for (const held of state.visitors) heard.parts.visitors.push(held);
    if (!isLast) return;
    const { parts, hasGap } = heard;
    Object.assign(heard, { isKnown: true, hasGap: false, parts: undefined });
    this.#options.local.hearState(machine, this.#options.site, parts, hasGap);
  }
}
