/**
 * The event stream of one site, with reconnects. EventSource is not left to reconnect: browsers differ in when they
 * give up, and none reports the time of its next attempt, which people want to see.
 */
import type { StreamEventName } from '../../protocol/stream-event.ts';
import { ApiError, api } from '../shell/api.ts';
import { based } from '../shell/base.ts';
import { retryDelay } from '../shell/retry-delays.ts';
import { CHANGES, readEvent, STREAM_EVENTS } from './event-readers.ts';
import type { StreamEvent } from './live-state.ts';

/** State of the stream. `resumed`: nothing was missed. `reset`: events were missed, and a fresh snapshot followed. */
export type StreamLink =
  | { state: 'connecting' }
  | { state: 'live'; how: 'fresh' | 'resumed' | 'reset' }
  /** `retryAt` is on the clock of Date.now(). `refused`: the server answered, but rejected the stream. */
  | { state: 'lost'; retryAt: number; refused: boolean }
  | { state: 'paused' }
  | { state: 'signed-out' };

export interface StreamQuery {
  site: string;
  /** The page whose moves are requested, or null for none. */
  stage: string | null;
}

export interface StreamListener {
  event(event: StreamEvent): void;
  link(link: StreamLink): void;
}

/** Form of the server's event ids. An id in an address must not be longer. */
const EVENT_ID = /^[\w-]{1,100}$/;
/** After this time without an unreadable event the delay starts again from its minimum, milliseconds. */
const RESYNC_RESET_MS = 60_000;

/** `rates` arrive once a second. A stream silent for this long is closed, even if TCP has not noticed, milliseconds. */
const SILENCE_MS = 20_000;

export class Stream {
  readonly #listener: StreamListener;
  #query: StreamQuery | undefined;
  #source: EventSource | undefined;
  #retry: ReturnType<typeof setTimeout> | undefined;
  #watchdog: ReturnType<typeof setTimeout> | undefined;
  /** True if the last reported state was live. */
  #isLive = false;
  #failures = 0;
  #lastId = '';
  /** True after an unreadable event that changes who is present: only a snapshot makes the state correct again. */
  #needsSnapshot = false;
  #resync: ReturnType<typeof setTimeout> | undefined;
  /** Number of consecutive snapshot requests, and the time of the last one, milliseconds of performance.now(). */
  #resyncs = 0;
  #resyncedAt = 0;
  #isPaused = false;
  /** Counts connections, so that late responses of an earlier one are ignored. */
  #connection = 0;

  constructor(listener: StreamListener) {
    this.#listener = listener;
  }

  /** Opens the stream, or navigates to another site or page. It starts with a new snapshot. */
  open(query: StreamQuery): void {
    const isNavigation = this.#query?.site === query.site && this.#isLive;
    this.#query = query;
    this.#lastId = '';
    this.#needsSnapshot = false;
    if (this.#isPaused) return;
    if (!isNavigation) this.#report({ state: 'connecting' });
    this.#connect();
  }

  /** Reconnects now instead of waiting. */
  retry(): void {
    this.#report({ state: 'connecting' });
    this.#connect();
  }

  /** Closes the connection until `resume`, which continues after the last event. Does nothing while closed. */
  pause(): void {
    if (this.#isPaused || !this.#query) return;
    this.#isPaused = true;
    this.#disconnect();
    this.#report({ state: 'paused' });
  }

  resume(): void {
    if (!this.#isPaused) return;
    this.#isPaused = false;
    this.retry();
  }

  close(): void {
    this.#isPaused = false;
    this.#query = undefined;
    this.#isLive = false;
    this.#disconnect();
  }

  #report(link: StreamLink): void {
    this.#isLive = link.state === 'live';
    this.#listener.link(link);
  }

  #connect(): void {
    this.#disconnect();
    if (!this.#query) return;
    const source = new EventSource(this.#url(this.#query));
    const resuming = this.#lastId !== '' && !this.#needsSnapshot;
    let first = true;
    this.#source = source;
    this.#restartWatchdog();
    source.onerror = () => void this.#onLost(source.readyState === EventSource.CLOSED);
    for (const name of STREAM_EVENTS) {
      source.addEventListener(name, (message: MessageEvent<string>) => {
        if (first) this.#onFirstEvent(resuming, name);
        first = false;
        this.#onMessage(name, message);
      });
    }
  }

  #url({ site, stage }: StreamQuery): string {
    const query = new URLSearchParams({ site, moves: stage === null ? 'none' : 'full' });
    if (stage !== null) query.set('stage', stage);
    if (this.#lastId && !this.#needsSnapshot) query.set('last_event_id', this.#lastId);
    return based(`/v1/stream?${query}`);
  }

  #onFirstEvent(resuming: boolean, name: StreamEventName): void {
    this.#failures = 0;
    // After a navigation the state has not changed.
    const isFresh = !resuming && !this.#needsSnapshot;
    if (isFresh && this.#isLive) return;
    const isReset = this.#needsSnapshot || name === 'reset' || name === 'snapshot';
    const how = isReset ? 'reset' : 'resumed';
    this.#report({ state: 'live', how: isFresh ? 'fresh' : how });
  }

  #onMessage(name: StreamEventName, message: MessageEvent<string>): void {
    this.#restartWatchdog();
    if (EVENT_ID.test(message.lastEventId)) this.#lastId = message.lastEventId;
    const event = readEvent(name, message.data);
    if (!event) {
      if (CHANGES.has(name)) this.#requestSnapshot();
      return;
    }
    if (name === 'reset') this.#report({ state: 'live', how: 'reset' });
    if (name === 'snapshot') this.#onSnapshot();
    this.#listener.event(event);
  }

  #onSnapshot(): void {
    this.#needsSnapshot = false;
    clearTimeout(this.#resync);
    this.#resync = undefined;
  }

  /**
   * Restarts the stream after a delay that grows each time, because unreadable events may repeat. The stream runs until
   * then.
   */
  #requestSnapshot(): void {
    this.#needsSnapshot = true;
    if (this.#resync !== undefined) return;
    const now = performance.now();
    if (now > this.#resyncedAt + RESYNC_RESET_MS) this.#resyncs = 0;
    const wait = retryDelay(this.#resyncs);
    this.#resyncs += 1;
    this.#resyncedAt = now + wait;
    this.#resync = setTimeout(() => this.#connect(), wait);
  }

  #restartWatchdog(): void {
    clearTimeout(this.#watchdog);
    this.#watchdog = setTimeout(() => void this.#onLost(false), SILENCE_MS);
  }

  /** A stream may be rejected because the session has ended. */
  async #onLost(refused: boolean): Promise<void> {
    this.#disconnect();
    const connection = this.#connection;
    if (refused && (await isSignedOut())) {
      if (connection === this.#connection) this.#report({ state: 'signed-out' });
      return;
    }
    if (connection !== this.#connection || !this.#query) return;
    const wait = retryDelay(this.#failures);
    this.#failures += 1;
    this.#report({ state: 'lost', retryAt: Date.now() + wait, refused });
    this.#retry = setTimeout(() => this.#connect(), wait);
  }

  #disconnect(): void {
    this.#connection += 1;
    this.#source?.close();
    this.#source = undefined;
    clearTimeout(this.#retry);
    clearTimeout(this.#watchdog);
    clearTimeout(this.#resync);
    this.#resync = undefined;
  }
}

async function isSignedOut(): Promise<boolean> {
  try {
    await api.session();
    return false;
  } catch (error) {
    return error instanceof ApiError && error.status === 401;
  }
}
