/**
 * Plays the past of a whole site on the live screen. Events are read ahead and paced here. While enough are buffered,
 * reading stops, and then the server stops sending. So a pause or a new speed needs no request.
 */
import { signal } from '@preact/signals';
import { createParser } from 'eventsource-parser';
import { STILL_MS } from '../../protocol/stream-event.ts';
import { type ReplayStreamEvent, readReplayEvent } from '../live/event-readers.ts';
import type { StreamEvent } from '../live/live-state.ts';
import type { StreamQuery } from '../live/stream.ts';
import { Playback } from '../replay/playback.ts';
import { ApiError, api } from '../shell/api.ts';

export const REWIND_SPEEDS = [1, 2, 5, 10, 30, 60] as const;
/** How far ahead events are read, real milliseconds. */
const AHEAD_MS = 3000;
/** Maximum time span that the server sends in one stream, milliseconds. */
const MAX_SPAN_MS = 24 * 3_600_000;
/** Delay before a broken stream is opened again, milliseconds. If it sent nothing, an error is shown instead. */
const RETRY_MS = 1000;

export interface RewindOptions {
  /** Start of the playback, Unix ms. */
  at: number;
  /** Called with each event when it is due. */
  take: (event: StreamEvent) => void;
  /** Called in every frame. */
  stepped: () => void;
  /** Current time of the server, Unix ms. */
  now: () => number;
  signedOut: () => void;
}

export class Rewind {
  readonly playback: Playback;
  /** True if everything up to the present has been played. */
  readonly isOver = signal(false);
  /** Why the stream cannot be read; empty if nothing has failed. */
  readonly problem = signal('');
  /** Number of visits with damaged parts, which are not shown. It is known at the end of a stream. */
  readonly damaged = signal(0);
  readonly #signedOut: () => void;
  #query: StreamQuery | undefined;
  #abort: AbortController | undefined;
  #retryTimer: ReturnType<typeof setTimeout> | undefined;
  /** Lets the paused reader continue. */
  #continueReading: (() => void) | undefined;
  /** True if everything up to the present is in the feed. */
  #isComplete = false;
  /** Time of the last `rates` event, Unix ms. Only the moves of its second may be missing. */
  #lastRates = 0;
  /** End of the requested time span, Unix ms. */
  #end = 0;
  readonly #now: () => number;

  constructor({ at, take, stepped, now, signedOut }: RewindOptions) {
    this.#signedOut = signedOut;
    this.#now = now;
    this.playback = new Playback({
      at,
      take,
      stepped: () => {
        this.#onStep();
        stepped();
      },
    });
    this.playback.start();
  }

  /** Plays another site or page, from the current time on. */
  open(query: StreamQuery): void {
    this.#query = query;
    this.#start(this.playback.playhead.now());
  }

  /** Plays from another time on, Unix ms. The caller clears its live state before. */
  seek(at: number): void {
    this.playback.moveTo(at);
    this.#start(at);
  }

  /** Opens the stream again after a problem. */
  retry(): void {
    this.#start(this.playback.playhead.now());
  }

  close(): void {
    this.#stop();
    this.playback.close();
  }

  #start(at: number): void {
    this.#stop();
    this.playback.feed.clear();
    this.playback.horizon = at;
    this.isOver.value = false;
    this.problem.value = '';
    this.damaged.value = 0;
    this.#isComplete = false;
    void this.#read(at);
  }

  #stop(): void {
    clearTimeout(this.#retryTimer);
    this.#abort?.abort();
    this.#abort = undefined;
    this.#continueReading?.();
    this.#continueReading = undefined;
  }

  /** Reads the stream from `at`, Unix ms, until it ends or `#stop` is called. */
  async #read(at: number): Promise<void> {
    const reading = new AbortController();
    const { signal } = reading;
    this.#abort = reading;
    const { site, stage } = this.#query as StreamQuery;
    const from = Math.floor(at);
    const present = this.#now();
    const to = Math.floor(Math.min(present, from + MAX_SPAN_MS));
    this.#lastRates = from;
    this.#end = to;
    try {
      if (from < to) await this.#parse(await api.replay({ site, page: stage, from, to, speed: 0 }, signal), signal);
      if (signal.aborted) return;
      this.#isComplete = to >= Math.floor(present) && (from >= to || this.playback.horizon >= to);
      if (!this.#isComplete) this.#onBroken(at);
    } catch (error) {
      if (!signal.aborted) this.#onFailure(error, at);
    }
  }

  async #parse(body: ReadableStream<Uint8Array> | null, signal: AbortSignal): Promise<void> {
    if (!body) return;
    const parser = createParser({
      onEvent: ({ event, data }) => {
        const read = readReplayEvent(event, data);
        if (read) this.#onEvent(read);
      },
    });
    const reader = body.getReader();
    const decoder = new TextDecoder();
    for (;;) {
      await this.#waitForDemand(signal);
      const { done, value } = await reader.read();
      if (done || signal.aborted) return;
      parser.feed(decoder.decode(value, { stream: true }));
    }
  }

  /** Resolves when more events are needed, or when reading is aborted. */
  async #waitForDemand(signal: AbortSignal): Promise<void> {
    while (!this.#needsEvents() && !signal.aborted)
      await new Promise<void>((resolve) => {
        this.#continueReading = resolve;
      });
  }

  #needsEvents(): boolean {
    const { playhead, horizon } = this.playback;
    return horizon < playhead.now() + AHEAD_MS * playhead.speed;
  }

  #onEvent(event: ReplayStreamEvent): void {
    const { name, data } = event;
    // Events may not extend the requested time span.
    const t = Math.min(data.t, this.#end);
    if (name === 'rates') {
      // Moves of the same second may follow, so only the time up to the previous `rates` event is complete.
      this.playback.horizon = Math.max(this.playback.horizon, this.#lastRates);
      this.#lastRates = t;
    }
    // Visitors that are still present have no later data yet. They must not leave at the present.
    const isPresent = name === 'leave' && t > this.#now() - STILL_MS;
    if (name === 'end') {
      this.playback.horizon = t;
      // Consecutive streams may count the same damaged visits, so their numbers are not added up.
      this.damaged.value = Math.max(this.damaged.value, data.damaged ?? 0);
    } else if (!isPresent) this.playback.feed.add(event);
  }

  #onBroken(at: number): void {
    const { horizon } = this.playback;
    if (horizon <= at) this.problem.value = 'Playback stopped.';
    else this.#retryTimer = setTimeout(() => void this.#reconnect(), RETRY_MS);
  }

  /** Continues with a new stream, which assigns new numbers to the visitors. */
  #reconnect(): Promise<void> {
    const { horizon, feed } = this.playback;
    feed.cut(horizon);
    return this.#read(horizon);
  }

  #onFailure(error: unknown, at: number): void {
    if (error instanceof ApiError && error.status === 401) this.#signedOut();
    else if (error instanceof ApiError) this.problem.value = error.message;
    else this.#onBroken(at);
  }

  #onStep(): void {
    this.isOver.value = this.#isComplete && this.playback.playhead.now() >= this.playback.horizon;
    if (!this.#needsEvents()) return;
    this.#continueReading?.();
    this.#continueReading = undefined;
  }
}
