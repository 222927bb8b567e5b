import type { PublishedMark } from '../model/mark.ts';
import { deviceOf, shareSeen, type Visitor } from '../model/visitor.ts';
import { KIND, type SampleBuffer } from '../protocol/frame.ts';
import type { Arrival, DisconnectReason, RelayItem } from '../protocol/ipc.ts';
import type { ChannelBuffer } from './channel-buffer.ts';
import { NO_BUFFERS } from './channel-index.ts';

/** The part of the relay that a trace uses. */
export interface TraceHost {
  /** Grows whenever the channels change. */
  readonly version: number;
  /** False while too much text of moves is waiting. */
  readonly hasRoom: boolean;
  /** True if any stream shows the site. */
  watched(site: string): boolean;
  buffersOf(arrival: Arrival): readonly ChannelBuffer[];
  /** Moves the contents of these buffers into the batch, before the next item. */
  flushBuffers(buffers: readonly ChannelBuffer[]): void;
  push(item: RelayItem, site: string): void;
  /** The time that offsets of the next batch count from, Unix ms. */
  base(): number;
  /** Schedules the next batch. */
  arm(): void;
  /** Includes the trace in the next report. */
  report(trace: Trace): void;
  forget(trace: Trace): void;
}

/**
 * One visitor of this worker, as reported to the primary. Ingest calls a method for each thing that the visitor did.
 * Text is rendered only if the visitor is watched.
 */
export class Trace {
  /** The primary's number for the visitor. */
  readonly v: number;
  readonly arrival: Arrival;
  /** The claim that let the visitor in. */
  readonly claim: number;
  /** The primary has given the visitor to another connection. */
  released = false;
  /** Number of the last accepted frame; -1: the primary knows nothing of the page. */
  frame: number;
  /** Time of the visitor's last event on any connection, Unix ms; 0: unknown. */
  lastTime: number;
  /** Last position, page pixels, and its time, Unix ms. */
  x = 0;
  y = 0;
  time = 0;
  placed = false;
  scrollY = 0;
  /** Samples since the last report. */
  samples = 0;
  readonly #relay: TraceHost;
  #buffers: readonly ChannelBuffer[] = NO_BUFFERS;
  /** The version of the relay's channels that #buffers belongs to. */
  #version = -1;

  constructor(relay: TraceHost, v: number, frame: number, lastTime: number, claim: number, arrival: Arrival) {
    this.#relay = relay;
    this.v = v;
    this.frame = frame;
    this.lastTime = lastTime;
    this.claim = claim;
    this.arrival = arrival;
    if (arrival.at) this.#moveTo(arrival.since, arrival.at[0], arrival.at[1]);
  }

  /** The visitor's position, or null while it is not known on this page. */
  get at(): [x: number, y: number] | null {
    return this.placed ? [this.x, this.y] : null;
  }

  /** Share of the page seen at the current scroll offset, 0 to 1000. */
  get depth(): number {
    return shareSeen(this.scrollY, this.arrival.size);
  }

  /** Adds the moves and scrolls among samples `from` to `to`. `offset` turns their times into Unix ms. */
  take(samples: SampleBuffer, offset: number, from: number, to: number): void {
    if (to === from) return;
    if (this.samples === 0) this.#relay.report(this);
    this.samples += to - from;
    const move = lastIndexOf(KIND.move, samples, from, to);
    if (move >= 0) {
      this.#moveTo((samples.time[move] as number) + offset, samples.x[move] as number, samples.y[move] as number);
      this.#show(samples, offset, from, to);
    }
    const scroll = lastIndexOf(KIND.scroll, samples, from, to);
    if (scroll >= 0) this.#scroll(samples.y[scroll] as number);
  }

  #moveTo(time: number, x: number, y: number): void {
    this.time = time;
    this.x = x;
    this.y = y;
    this.placed = true;
  }

  #show(samples: SampleBuffer, offset: number, from: number, to: number): void {
    const buffers = this.buffers();
    if (buffers.length === 0) return;
    const relay = this.#relay;
    for (const buffer of buffers)
      if (buffer.takesAll && relay.hasRoom) buffer.add(this, samples, offset - relay.base(), from, to);
      else buffer.touch(this);
    relay.arm();
  }

  #scroll(y: number): void {
    this.scrollY = y;
    for (const buffer of this.buffers()) buffer.scroll(this);
    this.#relay.arm();
  }

  /** The page was just loaded and numbers its frames from `n` on. */
  startPage(n: number): void {
    this.frame = n;
    this.#relay.push({ k: 'begin', v: this.v, n }, this.arrival.site);
  }

  /** `n` and `i` as in RelayItem, here and below. */
  mark(n: number, i: number, t: number, mark: PublishedMark): void {
    if ('x' in mark) this.#moveTo(t, mark.x, mark.y);
    if (this.#relay.watched(this.arrival.site))
      this.#relay.push({ k: 'mark', v: this.v, n, i, t, page: this.arrival.page, mark }, this.arrival.site);
  }

  /** The visitor went to another page. Text for the old page is sent first. */
  navigate(n: number, i: number, t: number, page: string): void {
    this.#relay.flushBuffers(this.buffers());
    for (const buffer of this.buffers()) buffer.forget(this);
    this.arrival.page = page;
    this.placed = false;
    this.scrollY = 0;
    this.#version = -1;
    const { origin, size } = this.arrival;
    this.#relay.push({ k: 'page', v: this.v, n, i, t, page, origin, size }, this.arrival.site);
  }

  /** The window was resized, or the tab was hidden or shown. */
  view(t: number, size: Visitor['size'], hidden: boolean): void {
    this.arrival.size = size;
    this.arrival.hidden = hidden;
    this.arrival.device = deviceOf(size[0]);
    this.#relay.push({ k: 'view', v: this.v, t, size, hidden, label: this.arrival.label }, this.arrival.site);
  }

  name(label: string): void {
    this.arrival.label = label;
    this.view(Date.now(), this.arrival.size, this.arrival.hidden);
  }

  /** The connection ended. No method may be called after this. */
  disconnected(t: number, reason: DisconnectReason): void {
    this.#relay.flushBuffers(this.buffers());
    for (const buffer of this.buffers()) buffer.forget(this);
    this.#relay.forget(this);
    const { v, claim, frame: n, lastTime: last } = this;
    this.#relay.push({ k: 'gone', v, claim, n, t, last, reason }, this.arrival.site);
  }

  /** The buffers of channels that show this visitor. */
  buffers(): readonly ChannelBuffer[] {
    if (this.#version !== this.#relay.version) {
      this.#version = this.#relay.version;
      this.#buffers = this.#relay.buffersOf(this.arrival);
    }
    return this.#buffers;
  }
}

function lastIndexOf(kind: number, samples: SampleBuffer, from: number, to: number): number {
  for (let i = to - 1; i >= from; i--) if (samples.kind[i] === kind) return i;
  return -1;
}
