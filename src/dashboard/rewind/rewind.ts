/**
 * The past of a whole site, played on the live screen. It is read as fast as it is needed and paced here: reading
 * stops while enough is at hand, and the server then stops too. So pausing and changing the speed ask nothing of it.
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
/** So much is read before it is played, milliseconds at the speed set. */
const AHEAD_MS = 3000;
/** The longest that the server tells in one stream. */
const LONGEST_MS = 24 * 3_600_000;
/** A stream that breaks off is opened again after so long, if it brought anything. */
const AGAIN_MS = 1000;

export interface RewindOptions {
  /** Where it begins, Unix ms. */
  at: number;
  /** Takes each event when it is due. */
  take: (event: StreamEvent) => void;
  /** Called with every picture. */
  stepped: () => void;
  /** The server's Unix ms now. */
  now: () => number;
  signedOut: () => void;
}

export class Rewind {
  readonly playback: Playback;
  /** All up to the present was played. */
  readonly isOver = signal(false);
  /** Why it cannot be read; empty while nothing is wrong. */
  readonly problem = signal('');
  /** Of so many visits something is missing since it is damaged; known when all of the time is read. */
  readonly damaged = signal(0);
  readonly #signedOut: () => void;
  #query: StreamQuery | undefined;
  #reading: AbortController | undefined;
  #again: ReturnType<typeof setTimeout> | undefined;
  /** Lets the reader go on. */
  #wake: (() => void) | undefined;
  /** All up to the present is in the feed. */
  #isWhole = false;
  /** Up to here the stream has told all. */
  #told = 0;
  /** Up to here it was asked for. */
  #end = 0;
  readonly #now: () => number;

  constructor({ at, take, stepped, now, signedOut }: RewindOptions) {
    this.#signedOut = signedOut;
    this.#now = now;
    this.playback = new Playback({
      at,
      take,
      stepped: () => {
        this.#stepped();
        stepped();
      },
    });
    this.playback.start();
  }

  /** Turns to a site and page, at the time that is played now. */
  open(query: StreamQuery): void {
    this.#query = query;
    this.#begin(this.playback.playhead.now());
  }

  /** Goes to another time, Unix ms. Whoever calls it has let its crowd forget all. */
  seek(at: number): void {
    this.playback.moveTo(at);
    this.#begin(at);
  }

  /** Opens the stream again after a problem. */
  retry(): void {
    this.#begin(this.playback.playhead.now());
  }

  close(): void {
    this.#stop();
    this.playback.close();
  }

  #begin(at: number): void {
    this.#stop();
    this.playback.feed.clear();
    this.playback.horizon = at;
    this.isOver.value = false;
    this.problem.value = '';
    this.damaged.value = 0;
    this.#isWhole = false;
    void this.#read(at);
  }

  #stop(): void {
    clearTimeout(this.#again);
    this.#reading?.abort();
    this.#reading = undefined;
    this.#wake?.();
    this.#wake = undefined;
  }

  /** Reads from `at` until the end, or until it is stopped. */
  async #read(at: number): Promise<void> {
    const reading = new AbortController();
    const { signal } = reading;
    this.#reading = reading;
    const { site, stage } = this.#query as StreamQuery;
    const from = Math.floor(at);
    const present = this.#now();
    const to = Math.floor(Math.min(present, from + LONGEST_MS));
    this.#told = from;
    this.#end = to;
    try {
      if (from < to) await this.#take(await api.replay({ site, page: stage, from, to, speed: 0 }, signal), signal);
      if (signal.aborted) return;
      this.#isWhole = to >= Math.floor(present) && (from >= to || this.playback.horizon >= to);
      if (!this.#isWhole) this.#broken(at);
    } catch (error) {
      if (!signal.aborted) this.#failed(error, at);
    }
  }

  async #take(body: ReadableStream<Uint8Array> | null, signal: AbortSignal): Promise<void> {
    if (!body) return;
    const parser = createParser({
      onEvent: ({ event, data }) => {
        const read = readReplayEvent(event, data);
        if (read) this.#event(read);
      },
    });
    const reader = body.getReader();
    const decoder = new TextDecoder();
    for (;;) {
      await this.#room(signal);
      const { done, value } = await reader.read();
      if (done || signal.aborted) return;
      parser.feed(decoder.decode(value, { stream: true }));
    }
  }

  /** Resolves when more is wanted, or none at all. */
  async #room(signal: AbortSignal): Promise<void> {
    while (!this.#isWanting() && !signal.aborted)
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
  }

  #isWanting(): boolean {
    const { playhead, horizon } = this.playback;
    return horizon < playhead.now() + AHEAD_MS * playhead.speed;
  }

  #event(event: ReplayStreamEvent): void {
    const { name, data } = event;
    // No event tells of a time that was not asked for.
    const t = Math.min(data.t, this.#end);
    if (name === 'rates') {
      // Moves of the same second may come after it.
      this.playback.horizon = Math.max(this.playback.horizon, this.#told);
      this.#told = t;
    }
    // Nobody is to leave as the present is reached.
    const isStill = name === 'leave' && t > this.#now() - STILL_MS;
    if (name === 'end') {
      this.playback.horizon = t;
      // Of streams that follow one another the same visits may miss something.
      this.damaged.value = Math.max(this.damaged.value, data.damaged ?? 0);
    } else if (!isStill) this.playback.feed.add(event);
  }

  #broken(at: number): void {
    const { horizon } = this.playback;
    if (horizon <= at) this.problem.value = 'Playback stopped.';
    else this.#again = setTimeout(() => void this.#goOn(), AGAIN_MS);
  }

  /** Reads on with a new stream, whose numbers of visitors are its own. */
  #goOn(): Promise<void> {
    const { horizon, feed } = this.playback;
    feed.cut(horizon);
    return this.#read(horizon);
  }

  #failed(error: unknown, at: number): void {
    if (error instanceof ApiError && error.status === 401) this.#signedOut();
    else if (error instanceof ApiError) this.problem.value = error.message;
    else this.#broken(at);
  }

  #stepped(): void {
    this.isOver.value = this.#isWhole && this.playback.playhead.now() >= this.playback.horizon;
    if (!this.#isWanting()) return;
    this.#wake?.();
    this.#wake = undefined;
  }
}
