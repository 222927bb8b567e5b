/**
 * The watched channels of a worker, by the visitors that they show: looking up the channels of a visitor costs the same
 * however many channels there are. An administrator who goes through the pages of a site opens and closes one for each.
 */
import { getOrInsert } from '../lib/get-or-insert.ts';
import type { NumberedChannel } from '../protocol/channel.ts';
import type { Arrival } from '../protocol/ipc.ts';
import { ChannelBuffer } from './channel-buffer.ts';

type Buffers = readonly ChannelBuffer[];

/** Shared: a visitor whom nobody watches needs no array of its own. */
export const NO_BUFFERS: Buffers = [];

export class ChannelIndex {
  readonly #byNumber = new Map<number, ChannelBuffer>();
  readonly #bySite = new Map<string, SiteChannels>();

  /** Adds a channel. Replaces one with the same number. */
  add(channel: NumberedChannel): void {
    this.remove(channel.no);
    const buffer = new ChannelBuffer(channel);
    this.#byNumber.set(channel.no, buffer);
    getOrInsert(this.#bySite, channel.site, () => new SiteChannels()).add(buffer);
  }

  remove(no: number): void {
    const buffer = this.#byNumber.get(no);
    if (!buffer) return;
    this.#byNumber.delete(no);
    const { site } = buffer.channel;
    const channels = this.#bySite.get(site) as SiteChannels;
    channels.remove(buffer);
    if (channels.isEmpty) this.#bySite.delete(site);
  }

  get(no: number): ChannelBuffer | undefined {
    return this.#byNumber.get(no);
  }

  values(): Iterable<ChannelBuffer> {
    return this.#byNumber.values();
  }

  /** True if any stream shows this site. */
  hasSite(site: string): boolean {
    return this.#bySite.has(site);
  }

  /** The channels that show the moves of a visitor. */
  buffersOf(arrival: Arrival): Buffers {
    return this.#bySite.get(arrival.site)?.buffersOf(arrival) ?? NO_BUFFERS;
  }
}

/** The channels of one site. The lists have only channels that show moves, and visitors share them. */
class SiteChannels {
  readonly #all = new Set<ChannelBuffer>();
  /** Channels of all pages. */
  #whole = NO_BUFFERS;
  /** Channels of a page, after those of all pages. */
  #byPage = new Map<string, Buffers>();
  #byVisitor = new Map<string, Buffers>();

  get isEmpty(): boolean {
    return this.#all.size === 0;
  }

  add(buffer: ChannelBuffer): void {
    this.#all.add(buffer);
    this.#index();
  }

  remove(buffer: ChannelBuffer): void {
    this.#all.delete(buffer);
    this.#index();
  }

  #index(): void {
    const buffers = [...this.#all].filter(({ channel }) => channel.moves !== 'none');
    const ofAll = buffers.filter(({ channel }) => channel.visitor === null);
    this.#whole = ofAll.filter(({ channel }) => channel.page === null);
    this.#byPage = groupBy(ofAll, ({ page }) => page, this.#whole);
    this.#byVisitor = groupBy(buffers, ({ visitor }) => visitor, NO_BUFFERS);
  }

  buffersOf({ site, page, id }: Arrival): Buffers {
    const ofPage = this.#byPage.get(page) ?? this.#whole;
    const ofVisitor = this.#byVisitor.get(id);
    return ofVisitor ? [...ofPage, ...ofVisitor.filter((buffer) => buffer.shows(site, page, id))] : ofPage;
  }
}

/** Lists of channels by a key, without those that have none. Each list begins with `first`. */
function groupBy(
  buffers: Buffers,
  keyOf: (channel: NumberedChannel) => string | null,
  first: Buffers,
): Map<string, Buffers> {
  const groups = new Map<string, ChannelBuffer[]>();
  for (const buffer of buffers) {
    const key = keyOf(buffer.channel);
    if (key !== null) getOrInsert(groups, key, () => [...first]).push(buffer);
  }
  return groups;
}
