import type { NumberedChannel } from '../protocol/channel.ts';
import type { SampleBuffer } from '../protocol/frame.ts';
import type { RelayItem } from '../protocol/ipc.ts';
import { MovesText } from './moves-text.ts';

/** With `latest`, the minimum interval between positions of a visitor, milliseconds. */
const LATEST_MS = 100;

/**
 * The state of a visitor that a buffer reads. `x`, `y` and `scrollY` are page pixels; `depth` is the share of the page
 * seen, 0 to 1000.
 */
export interface BufferedVisitor {
  readonly v: number;
  readonly time: number;
  readonly x: number;
  readonly y: number;
  readonly scrollY: number;
  readonly depth: number;
}

/**
 * One watched channel in a worker: collects text for the stream, which goes to the channel's subscribers with the next
 * batch.
 */
export class ChannelBuffer {
  readonly channel: NumberedChannel;
  readonly #moves = new MovesText();
  /** Visitors whose latest position must be sent. */
  readonly #dirty = new Set<BufferedVisitor>();
  readonly #scrolled = new Set<BufferedVisitor>();
  /** Not Date.now(): the system clock may be changed. Milliseconds. */
  #nextLatest = 0;

  constructor(channel: NumberedChannel) {
    this.channel = channel;
  }

  shows(site: string, page: string, id: string): boolean {
    const c = this.channel;
    return c.site === site && (c.page === null || c.page === page) && (c.visitor === null || c.visitor === id);
  }

  /** True if the channel shows every move and has room for more. */
  get takesAll(): boolean {
    return this.channel.moves === 'full' && !this.#moves.isFull;
  }

  /** Adds the moves among samples `from` to `to`; `offset` turns their times into offsets from the batch's. */
  add(visitor: BufferedVisitor, samples: SampleBuffer, offset: number, from: number, to: number): void {
    // These samples include its latest position. Skipped earlier moves are not sent any more.
    if (this.#dirty.size > 0) this.#dirty.delete(visitor);
    this.#moves.add(visitor.v, samples, offset, from, to);
  }

  /** Sends only the latest position of this visitor. */
  touch(visitor: BufferedVisitor): void {
    this.#dirty.add(visitor);
  }

  scroll(visitor: BufferedVisitor): void {
    this.#scrolled.add(visitor);
  }

  forget(visitor: BufferedVisitor): void {
    this.#dirty.delete(visitor);
    this.#scrolled.delete(visitor);
  }

  get pending(): boolean {
    return !this.#moves.isEmpty || this.#dirty.size > 0 || this.#scrolled.size > 0;
  }

  /** Moves everything that is due into `items`. `base` is the time that rendered offsets count from. */
  flush(items: RelayItem[], base: number): void {
    const now = performance.now();
    if (this.#dirty.size > 0 && (this.channel.moves === 'full' || now >= this.#nextLatest)) this.#addLatest(base, now);
    if (!this.#moves.isEmpty) {
      const n = this.#moves.count;
      items.push({ k: 'moves', c: this.channel.no, t: base, text: this.#moves.take(), n });
    }
    if (this.#scrolled.size > 0) this.#addScroll(items, Date.now());
  }

  #addLatest(base: number, now: number): void {
    for (const visitor of this.#dirty) this.#moves.addOne(visitor.v, visitor.time - base, visitor.x, visitor.y);
    this.#dirty.clear();
    this.#nextLatest = now + LATEST_MS;
  }

  #addScroll(items: RelayItem[], now: number): void {
    const parts: string[] = [];
    for (const visitor of this.#scrolled) parts.push(`${visitor.v},${visitor.scrollY},${visitor.depth}`);
    items.push({ k: 'scroll', c: this.channel.no, t: now, text: parts.join(',') });
    this.#scrolled.clear();
  }
}
