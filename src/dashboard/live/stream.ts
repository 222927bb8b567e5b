/**
 * The stream of one site, kept open. Reconnecting is done here and not left to EventSource: browsers differ
 * in when they give up, and none tells when it will try again, which people want to see.
 */
import type { StreamEventName } from '../../protocol/stream-event.ts';
import { ApiError, api } from '../shell/api.ts';
import { based } from '../shell/base.ts';
import { retryDelay } from '../shell/retry-delays.ts';
import { CHANGES, readEvent } from './event-readers.ts';
import type { StreamEvent } from './live-state.ts';

/** How the stream is. `resumed`: nothing was missed. `reset`: something was, and all is fresh again. */
export type StreamLink =
  | { state: 'connecting' }
  | { state: 'live'; how: 'fresh' | 'resumed' | 'reset' }
  /** `retryAt` is on Date.now()'s clock. `refused`: the server answers, but gives no stream. */
  | { state: 'lost'; retryAt: number; refused: boolean }
  | { state: 'paused' }
  | { state: 'signed-out' };

export interface StreamQuery {
  site: string;
  /** The page whose moves are wanted, or null for none. */
  stage: string | null;
}

export interface StreamListener {
  event(event: StreamEvent): void;
  link(link: StreamLink): void;
}

const NAMES: Record<StreamEventName, true> = {
  snapshot: true,
  join: true,
  page: true,
  view: true,
  moves: true,
  click: true,
  scroll: true,
  leave: true,
  rates: true,
  reset: true,
};

/** Ids that the server gives to events are of this kind. One that goes into an address must not be longer. */
const EVENT_ID = /^[\w-]{1,100}$/;
/** After this time without an unreadable event, the next one counts as the first again, milliseconds. */
const CALM_MS = 60_000;

/** `rates` come once a second; a stream silent for this long is cut, even if TCP has not noticed. */
const SILENCE_MS = 20_000;

export class Stream {
  readonly #listener: StreamListener;
  #query: StreamQuery | undefined;
  #source: EventSource | undefined;
  #retry: ReturnType<typeof setTimeout> | undefined;
  #watch: ReturnType<typeof setTimeout> | undefined;
  /** What was last told is that the stream is live. */
  #isLive = false;
  #failures = 0;
  #lastId = '';
  /** An event that changes who is here could not be read: nothing but a snapshot makes the picture right again. */
  #needsSnapshot = false;
  #resync: ReturnType<typeof setTimeout> | undefined;
  /** Snapshots asked for in a row, and when the last one was, milliseconds of performance.now(). */
  #resyncs = 0;
  #resyncedAt = 0;
  #isPaused = false;
  /** Counts connections, so that late answers of an earlier one are passed over. */
  #round = 0;

  constructor(listener: StreamListener) {
    this.#listener = listener;
  }

  /** Opens the stream, or turns it to another site or page: then it begins with a new snapshot. */
  open(query: StreamQuery): void {
    const isTurn = this.#query?.site === query.site && this.#isLive;
    this.#query = query;
    this.#lastId = '';
    this.#needsSnapshot = false;
    if (this.#isPaused) return;
    if (!isTurn) this.#tell({ state: 'connecting' });
    this.#connect();
  }

  /** Tries now instead of waiting. */
  retry(): void {
    this.#tell({ state: 'connecting' });
    this.#connect();
  }

  /** Gives up the connection until `resume`, which goes on after the last event. Does nothing while closed. */
  pause(): void {
    if (this.#isPaused || !this.#query) return;
    this.#isPaused = true;
    this.#drop();
    this.#tell({ state: 'paused' });
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
    this.#drop();
  }

  #tell(link: StreamLink): void {
    this.#isLive = link.state === 'live';
    this.#listener.link(link);
  }

  #connect(): void {
    this.#drop();
    if (!this.#query) return;
    const source = new EventSource(this.#url(this.#query));
    const resuming = this.#lastId !== '' && !this.#needsSnapshot;
    let first = true;
    this.#source = source;
    this.#silence();
    source.onerror = () => void this.#lost(source.readyState === EventSource.CLOSED);
    for (const name of Object.keys(NAMES) as StreamEventName[]) {
      source.addEventListener(name, (message: MessageEvent<string>) => {
        if (first) this.#begun(resuming, name);
        first = false;
        this.#take(name, message);
      });
    }
  }

  #url({ site, stage }: StreamQuery): string {
    const query = new URLSearchParams({ site, moves: stage === null ? 'none' : 'full' });
    if (stage !== null) query.set('stage', stage);
    if (this.#lastId && !this.#needsSnapshot) query.set('last_event_id', this.#lastId);
    return based(`/v1/stream?${query}`);
  }

  #begun(resuming: boolean, name: StreamEventName): void {
    this.#failures = 0;
    // Turned to another page: no news, and what was said before still holds.
    const isFresh = !resuming && !this.#needsSnapshot;
    if (isFresh && this.#isLive) return;
    const isReset = this.#needsSnapshot || name === 'reset' || name === 'snapshot';
    const how = isReset ? 'reset' : 'resumed';
    this.#tell({ state: 'live', how: isFresh ? 'fresh' : how });
  }

  #take(name: StreamEventName, message: MessageEvent<string>): void {
    this.#silence();
    if (EVENT_ID.test(message.lastEventId)) this.#lastId = message.lastEventId;
    const event = readEvent(name, message.data);
    if (!event) {
      if (CHANGES.has(name)) this.#askSnapshot();
      return;
    }
    if (name === 'reset') this.#tell({ state: 'live', how: 'reset' });
    if (name === 'snapshot') this.#isWhole();
    this.#listener.event(event);
  }

  #isWhole(): void {
    this.#needsSnapshot = false;
    clearTimeout(this.#resync);
    this.#resync = undefined;
  }

  /** Restarts the stream after a delay that grows each time, as unreadable events may repeat. It runs until then. */
  #askSnapshot(): void {
    this.#needsSnapshot = true;
    if (this.#resync !== undefined) return;
    const now = performance.now();
    if (now > this.#resyncedAt + CALM_MS) this.#resyncs = 0;
    const wait = retryDelay(this.#resyncs);
    this.#resyncs += 1;
    this.#resyncedAt = now + wait;
    this.#resync = setTimeout(() => this.#connect(), wait);
  }

  #silence(): void {
    clearTimeout(this.#watch);
    this.#watch = setTimeout(() => void this.#lost(false), SILENCE_MS);
  }

  /** A stream that is refused may be so because nobody is signed in any more. */
  async #lost(refused: boolean): Promise<void> {
    this.#drop();
    const round = this.#round;
    if (refused && (await isSignedOut())) {
      if (round === this.#round) this.#tell({ state: 'signed-out' });
      return;
    }
    if (round !== this.#round || !this.#query) return;
    const wait = retryDelay(this.#failures);
    this.#failures += 1;
    this.#tell({ state: 'lost', retryAt: Date.now() + wait, refused });
    this.#retry = setTimeout(() => this.#connect(), wait);
  }

  #drop(): void {
    this.#round += 1;
    this.#source?.close();
    this.#source = undefined;
    clearTimeout(this.#retry);
    clearTimeout(this.#watch);
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
