/** Plays one visit. */
import { computed, effect, signal } from '@preact/signals';
import type { Visit } from '../../model/visit.ts';
import { type LiveScene, LiveState, type StreamEvent } from '../live/live-state.ts';
import { openingOf } from './chapter.ts';
import { Playback } from './playback.ts';
import { type PassagePart, QUIET_MS, VisitRecording } from './recording.ts';

export const PLAYER_SPEEDS = [0.5, 1, 2, 4, 8, 16] as const;
/** How far ahead the recording is loaded, real milliseconds. */
const AHEAD_MS = 60_000;
/** The part at each end of a quiet time that is played even if quiet times are skipped, milliseconds. */
const EDGE_MS = QUIET_MS / 2;

/** Loads the part after a cursor, or the first part if there is none. Rejects with an error whose message is shown. */
export type LoadPart = (after: string | undefined) => Promise<PassagePart>;

export class Player implements LiveScene {
  readonly liveState = new LiveState();
  readonly motion: LiveScene['motion'] = new Set();
  readonly recording: VisitRecording;
  readonly playback: Playback;
  readonly isSkipping = signal(true);
  /** Why the next part could not be loaded; empty if nothing has failed. */
  readonly problem = signal('');
  /** Number of loaded parts. Views read it to be redrawn with the new marks. */
  readonly parts = signal(0);
  /** True if the whole visit has been played. */
  readonly isOver = computed(() => {
    this.parts.value;
    return this.recording.next === null && this.playback.at.value >= this.recording.end;
  });
  readonly #load: LoadPart;
  #isLoading = false;
  #isClosed = false;
  /** Time to seek to when it is loaded, Unix ms. */
  #target: number | undefined;

  constructor(visit: Visit, load: LoadPart) {
    this.#load = load;
    this.recording = new VisitRecording(visit);
    this.playback = new Playback({ at: this.recording.start, take: this.#take, stepped: this.#stepped });
    this.liveState.clock = this.playback.playhead;
  }

  /** Starts to load and play. Returns a function that stops both. */
  start(): () => void {
    this.playback.start();
    const end = effect(() => {
      if (this.isOver.value) this.playback.play(false);
    });
    void this.#loadNext();
    return () => {
      end();
      this.#isClosed = true;
      this.playback.close();
    };
  }

  /** Plays or pauses. At the end, plays again from the start. */
  toggle(): void {
    const isOver = this.isOver.peek();
    if (isOver) this.seek(this.recording.start);
    this.playback.play(isOver || !this.playback.isPlaying.peek());
  }

  /** Goes to a time, Unix ms. Parts up to it that are not loaded yet are loaded first. */
  seek(t: number): void {
    const { chapters } = this.recording;
    const at = Math.min(Math.max(t, this.recording.start), this.recording.end);
    this.#target = at > this.recording.horizon ? at : undefined;
    const first = this.recording.chapterAt(at);
    this.liveState.clear();
    this.playback.feed.clear();
    this.playback.moveTo(Math.min(at, this.recording.horizon));
    if (chapters[first]) for (const event of openingOf(chapters[first])) this.#take(event);
    for (const { events } of chapters.slice(first)) for (const event of events) this.playback.feed.add(event);
    this.playback.catchUp();
  }

  retry(): void {
    this.problem.value = '';
    void this.#loadNext();
  }

  #take = (event: StreamEvent): void => {
    this.liveState.apply(event, this.playback.playhead.now());
    for (const notify of this.motion) notify(event);
  };

  #stepped = (): void => {
    const { recording, playback } = this;
    const now = playback.playhead.now();
    const quiet = this.isSkipping.peek() && playback.isPlaying.peek() ? recording.quietAt(now) : undefined;
    if (quiet && now >= quiet.from + EDGE_MS && now < quiet.to - EDGE_MS) playback.moveTo(quiet.to - EDGE_MS);
    const isNear = recording.horizon - now < AHEAD_MS * playback.speed.peek();
    if ((isNear || this.#target !== undefined) && this.problem.peek() === '') void this.#loadNext();
    for (const notify of this.motion) notify();
  };

  async #loadNext(): Promise<void> {
    const { next } = this.recording;
    if (this.#isLoading || next === null) return;
    this.#isLoading = true;
    try {
      const part = await this.#load(next);
      if (!this.#isClosed) this.#add(part);
    } catch (error) {
      this.problem.value = error instanceof Error ? error.message : String(error);
    }
    this.#isLoading = false;
  }

  #add(part: PassagePart): void {
    const isFirst = this.recording.chapters.length === 0;
    const added = this.recording.add(part);
    this.playback.horizon = this.recording.horizon;
    this.parts.value += 1;
    if (isFirst || this.#target !== undefined) this.seek(this.#target ?? this.playback.playhead.now());
    else for (const { events } of added) for (const event of events) this.playback.feed.add(event);
  }
}
