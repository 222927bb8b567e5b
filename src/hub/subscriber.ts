/**
 * One administrator's open stream. Owns the response's socket and decides what a slow reader gets: moves
 * give way first, then the stream is cut short and begins anew, and a reader that takes nothing is evicted.
 */
import type { Socket } from 'node:net';
import type { StreamRequest } from '../protocol/ipc.ts';
import { STREAM_PREAMBLE } from '../protocol/stream-event.ts';
import type { BufferedEvent } from './replay-buffer.ts';

/** Above this many unsent bytes moves are left out. */
const SOFT_LIMIT = 256 * 1024;
/** Above this nothing is added; the stream begins anew once the reader has caught up. */
const HARD_LIMIT = 1024 * 1024;
/** A reader that takes nothing for so long is evicted, milliseconds. */
const EVICT_MS = 30_000;
/** A stream's reader has nothing to say; one that sends more than this is cut off, bytes. */
const MAX_CHATTER = 64 * 1024;

/**
 * No length and no chunks: the response ends with the connection (RFC 9112 section 6.3), which lets one buffer
 * serve every subscriber as it is.
 */
const HEAD = [
  'HTTP/1.1 200 OK',
  'Content-Type: text/event-stream; charset=utf-8',
  'Cache-Control: no-store, no-transform',
  'X-Accel-Buffering: no',
  'X-Content-Type-Options: nosniff',
  'Connection: close',
  '',
  STREAM_PREAMBLE,
].join('\r\n');

export interface SubscriberEvents {
  /** The reader caught up after nothing could be written: it needs a reset and a snapshot. */
  restart(subscriber: Subscriber): void;
  /** The reader caught up after moves were left out: it needs the latest positions. */
  caughtUp(subscriber: Subscriber, skipped: number): void;
  closed(subscriber: Subscriber): void;
}

type SocketWithHandle = Socket & { _handle?: { writeQueueSize?: number } | null };

export class Subscriber {
  readonly request: StreamRequest;
  /** Messages of moves that were left out so far. */
  left = 0;
  /** It was cut off since the reader took nothing. */
  evicted = false;
  readonly #socket: Socket;
  readonly #events: SubscriberEvents;
  #skipped = 0;
  #stalled = false;
  #closed = false;
  #chatter = 0;
  /** What had been taken when there last was progress, and when that was, ms. */
  #taken = '';
  #takenAt = 0;
  /** Where in the stream the snapshot or replay it began with ends: such bytes are no sign of a slow reader. */
  #beginning = 0;
  /** While writes are collected: unsent bytes of before. What the reader was not offered yet is no sign of it either. */
  #unsentBefore: number | undefined;

  constructor(socket: Socket, request: StreamRequest, events: SubscriberEvents) {
    this.request = request;
    this.#socket = socket;
    this.#events = events;
    socket.setNoDelay(true);
    socket.on('error', () => socket.destroy());
    socket.on('close', () => this.#onClose());
    socket.on('drain', () => this.#onDrain());
    socket.on('end', () => socket.destroy());
    socket.on('data', (chunk) => this.#onData(chunk.length));
    socket.write(HEAD);
  }

  /** Bytes that were written, taken or not. */
  get bytes(): number {
    return this.#socket.bytesWritten;
  }

  /** True while bytes that were written are not with the system yet: their memory has to stay as it is. */
  get hasUnsent(): boolean {
    return !this.#closed && this.#socket.writableLength > 0;
  }

  /** True while moves are left out because the reader is slow. */
  get behind(): boolean {
    return this.#skipped > 0;
  }

  /** True if this stream shows the event. */
  wants(entry: BufferedEvent): boolean {
    const { site, page, visitor } = this.request;
    if (entry.site !== site) return false;
    if (page !== null && entry.pages.length > 0 && !entry.pages.includes(page)) return false;
    return visitor === null || entry.visitor === null || entry.visitor === visitor;
  }

  /** Writes what the reader begins with: however much it is, it does not count against the limits. */
  begin(bytes: Buffer): void {
    if (this.#stalled) return;
    this.#socket.write(bytes);
    this.#beginning = this.#socket.bytesWritten;
  }

  /** Writes an event that must not be left out in silence. */
  event(bytes: Buffer | string): void {
    if (this.#stalled) return;
    if (this.#unsent() > HARD_LIMIT) this.#stalled = true;
    else this.#socket.write(bytes);
  }

  /** Writes positions, unless the reader is behind. */
  moves(bytes: Buffer): void {
    if (this.#stalled || this.#unsent() > SOFT_LIMIT) {
      this.#skipped += 1;
      this.left += 1;
    } else this.#socket.write(bytes);
  }

  #unsent(): number {
    if (this.#unsentBefore !== undefined) return this.#unsentBefore;
    const { writableLength, bytesWritten } = this.#socket;
    if (writableLength === 0) return 0;
    return writableLength - Math.max(0, this.#beginning - (bytesWritten - writableLength));
  }

  /** Evicts a reader that has taken nothing for long. To be called about once a second, with the time in ms. */
  watch(now: number): void {
    const taken = this.#progress();
    if (this.#socket.writableLength === 0 || taken !== this.#taken) {
      this.#taken = taken;
      this.#takenAt = now;
    } else if (now - this.#takenAt >= EVICT_MS) {
      this.evicted = true;
      this.#socket.destroy();
    }
  }

  /**
   * Another text whenever the reader has taken something: of a write under way, which may be a long one, only the handle
   * knows how much is left.
   */
  #progress(): string {
    const { bytesWritten, writableLength, _handle: handle } = this.#socket as SocketWithHandle;
    return `${bytesWritten - writableLength} ${handle?.writeQueueSize}`;
  }

  /** Collects the writes of one batch into one system call. */
  cork(): void {
    this.#unsentBefore = this.#unsent();
    this.#socket.cork();
  }

  uncork(): void {
    this.#unsentBefore = undefined;
    this.#socket.uncork();
  }

  #onDrain(): void {
    const skipped = this.#skipped;
    this.#skipped = 0;
    if (this.#stalled) {
      this.#stalled = false;
      this.#events.restart(this);
    } else if (skipped > 0) this.#events.caughtUp(this, skipped);
  }

  #onData(bytes: number): void {
    this.#chatter += bytes;
    if (this.#chatter > MAX_CHATTER) this.#socket.destroy();
  }

  #onClose(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#events.closed(this);
  }

  /** Ends the stream after what is already written. Resolves when it is closed, at most a second later. */
  end(): Promise<void> {
    return new Promise((resolve) => {
      if (this.#closed) return resolve();
      this.#socket.once('close', () => resolve());
      this.#socket.end();
      setTimeout(() => this.#socket.destroy(), 1000).unref();
    });
  }
}
