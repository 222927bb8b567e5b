/** Plays past events: the clock, the feed, and the state that the controls show. */
import { batch, signal } from '@preact/signals';
import { Feed } from '../live/feed.ts';
import type { StreamEvent } from '../live/live-state.ts';
import { Playhead } from './playhead.ts';

/** Minimum time between two changes of the displayed time, real milliseconds. */
const SHOWN_MS = 100;

export interface PlaybackOptions {
  /** Start of the playback, Unix ms. */
  at: number;
  /** Called with each event when it is due. */
  take: (event: StreamEvent) => void;
  /** Called in every frame, after the events: to load ahead, skip, or end. */
  stepped: () => void;
}

export class Playback {
  readonly playhead: Playhead;
  readonly feed = new Feed();
  /** Time up to which all events are in the feed, Unix ms. The clock stops there until more are loaded. */
  horizon: number;
  /** The displayed time, Unix ms. */
  readonly at = signal(0);
  readonly isPlaying = signal(true);
  readonly speed = signal(1);
  /** True if playback is on but has reached the horizon. */
  readonly isWaiting = signal(false);
  readonly #take: PlaybackOptions['take'];
  readonly #stepped: () => void;
  #frame = 0;
  #shown = 0;

  constructor({ at, take, stepped }: PlaybackOptions) {
    this.playhead = new Playhead(at);
    this.horizon = at;
    this.at.value = at;
    this.#take = take;
    this.#stepped = stepped;
  }

  start(): void {
    if (this.#frame === 0) this.#frame = requestAnimationFrame(this.#step);
  }

  close(): void {
    cancelAnimationFrame(this.#frame);
    this.#frame = 0;
  }

  play(isPlaying = true): void {
    this.isPlaying.value = isPlaying;
    this.#show(true);
  }

  setSpeed(speed: number): void {
    this.speed.value = speed;
    this.playhead.speed = speed;
  }

  /** Sets the clock to another time, Unix ms. The feed is not changed: the caller fills it. */
  moveTo(at: number): void {
    this.playhead.seek(at);
    this.#show(true);
  }

  /** Plays all events that are due, for example after a seek. */
  catchUp(): void {
    for (const event of this.feed.due(this.playhead.now())) this.#take(event);
  }

  #step = (real: number): void => {
    this.#frame = requestAnimationFrame(this.#step);
    if (this.isPlaying.peek()) this.playhead.step(real, this.horizon);
    else this.playhead.rest();
    this.catchUp();
    this.#show(false, real);
    this.#stepped();
  };

  #show(always: boolean, real = 0): void {
    if (!always && real - this.#shown < SHOWN_MS) return;
    this.#shown = real;
    batch(() => {
      this.at.value = this.playhead.now();
      this.isWaiting.value = this.isPlaying.peek() && this.playhead.now() >= this.horizon;
    });
  }
}
