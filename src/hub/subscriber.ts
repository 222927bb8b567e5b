/**
 * One person's open stream. Owns the response's socket and decides what a slow reader gets: first moves are skipped,
 * then the stream stops and restarts with a snapshot, and a reader that reads nothing is evicted.
 */
import type { Socket } from 'node:net';
import type { StreamRequest } from '../protocol/ipc.ts';
import { STREAM_PREAMBLE } from '../protocol/stream-event.ts';
import type { BufferedEvent } from './replay-buffer.ts';

/** Above this number of unsent bytes moves are skipped. */
const SOFT_LIMIT = 256 * 1024;
/** Above this number of unsent bytes nothing is written; the stream restarts once the reader has caught up. */
const HARD_LIMIT = 1024 * 1024;
/** A reader that reads nothing for this long is evicted, milliseconds. */
const EVICT_MS = 30_000;
/** A stream's client has nothing to send; one that sends more than this is disconnected, bytes. */
const MAX_RECEIVED_BYTES = 64 * 1024;

/**
 * Without a length and without chunks the response ends with the connection (RFC 9112 section 6.3). So every subscriber
 * can get the same bytes.
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
  /** The reader caught up after the stream had stopped: it needs a reset and a snapshot. */
  restart(subscriber: Subscriber): void;
  /** The reader caught up after moves were skipped: it needs the latest positions. */
  caughtUp(subscriber: Subscriber, skipped: number): void;
  closed(subscriber: Subscriber): void;
}

type SocketWithHandle = Socket & { _handle?: { writeQueueSize?: number } | null };

export class Subscriber {
  readonly request: StreamRequest;
  /** Total number of skipped moves events. */
  skippedTotal = 0;
  /** The stream was cut because the reader read nothing. */
  isEvicted = false;
  readonly #socket: Socket;
  readonly #events: SubscriberEvents;
  #skipped = 0;
  #stalled = false;
  #closed = false;
  #receivedBytes = 0;
  /** The progress at the last check at which it had changed, and the time of that check, ms. */
  #lastProgress = '';
  #progressAt = 0;
  /**
   * Position in the stream where the initial snapshot or replay ends. Unsent bytes before it are no sign of a slow
   * reader.
   */
  #initialEnd = 0;
  /**
   * While the socket is corked: the unsent bytes before that. Bytes that the reader has not been offered yet are no
   * sign of a slow reader.
   */
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

  /** Bytes written, sent or not. */
  get bytes(): number {
    return this.#socket.bytesWritten;
  }

  /** True while written bytes have not been handed to the system: their memory must not change. */
  get hasUnsent(): boolean {
    return !this.#closed && this.#socket.writableLength > 0;
  }

  /** True while moves are skipped because the reader is slow. */
  get isBehind(): boolean {
    return this.#skipped > 0;
  }

  /** True if this stream shows the event. */
  wants(entry: BufferedEvent): boolean {
    const { site, page, visitor } = this.request;
    if (entry.site !== site) return false;
    if (page !== null && entry.pages.length > 0 && !entry.pages.includes(page)) return false;
    return visitor === null || entry.visitor === null || entry.visitor === visitor;
  }

  /** Writes the initial bytes, a snapshot or a replay. Their size does not count against the limits. */
  writeInitial(bytes: Buffer): void {
    if (this.#stalled) return;
    this.#socket.write(bytes);
    this.#initialEnd = this.#socket.bytesWritten;
  }

  /** Writes an event that must not be dropped silently. */
  event(bytes: Buffer | string): void {
    if (this.#stalled) return;
    if (this.#unsent() > HARD_LIMIT) this.#stalled = true;
    else this.#socket.write(bytes);
  }

  /** Writes positions, or skips them if the reader is behind. */
  moves(bytes: Buffer): void {
    if (this.#stalled || this.#unsent() > SOFT_LIMIT) {
      this.#skipped += 1;
      this.skippedTotal += 1;
    } else this.#socket.write(bytes);
  }

  #unsent(): number {
    if (this.#unsentBefore !== undefined) return this.#unsentBefore;
    const { writableLength, bytesWritten } = this.#socket;
    if (writableLength === 0) return 0;
    return writableLength - Math.max(0, this.#initialEnd - (bytesWritten - writableLength));
  }

  /** Evicts a reader that has read nothing for EVICT_MS. Call it about once a second; `now` is in ms. */
  evictIfStuck(now: number): void {
    const taken = this.#progress();
    if (this.#socket.writableLength === 0 || taken !== this.#lastProgress) {
      this.#lastProgress = taken;
      this.#progressAt = now;
    } else if (now - this.#progressAt >= EVICT_MS) {
      this.isEvicted = true;
      this.#socket.destroy();
    }
  }

  /**
   * Returns a text that changes whenever the reader has read something. During a long write only the handle knows how
   * many bytes are left.
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
    this.#receivedBytes += bytes;
    if (this.#receivedBytes > MAX_RECEIVED_BYTES) this.#socket.destroy();
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
