/** Events of the past that wait for the clock of the playback. */
import type { StreamEvents } from '../../protocol/stream-event.ts';
import type { StreamEvent } from './live-state.ts';

/** Maximum time span of one event with moves, milliseconds: a track stores only its newest samples. */
const CHUNK_MS = 100;
/** Played events are removed when this many have gathered. */
const MAX_PLAYED = 5000;

interface Due {
  /** End of the event, Unix ms. */
  t: number;
  event: StreamEvent;
}

export class Feed {
  #events: Due[] = [];
  #next = 0;
  /** Adds an event. Events of the same time stay in the order in which they are added. */
  add(event: StreamEvent): void {
    if (event.name !== 'moves') this.#push(event.data.t, event);
    else for (const data of chunksOf(event.data)) this.#push(endOf(data), { name: 'moves', data });
  }

  /** The events up to `now` that were not played yet. */
  *due(now: number): Generator<StreamEvent> {
    while (this.#next < this.#events.length && (this.#events[this.#next] as Due).t <= now) {
      yield (this.#events[this.#next++] as Due).event;
    }
    if (this.#next < MAX_PLAYED) return;
    this.#events = this.#events.slice(this.#next);
    this.#next = 0;
  }

  /** Removes events later than `t`. */
  cut(t: number): void {
    while (this.#events.length > this.#next && (this.#events.at(-1) as Due).t > t) this.#events.pop();
  }

  clear(): void {
    this.#events = [];
    this.#next = 0;
  }

  #push(t: number, event: StreamEvent): void {
    let i = this.#events.length;
    while (i > this.#next && (this.#events[i - 1] as Due).t > t) i--;
    if (i === this.#events.length) this.#events.push({ t, event });
    else this.#events.splice(i, 0, { t, event });
  }
}

/** Time of the last sample. */
function endOf({ t, m }: StreamEvents['moves']): number {
  let last = 0;
  for (let i = 0; i + 1 < m.length; ) {
    const end = i + 2 + 3 * (m[i + 1] as number);
    if (end > i + 2) last = Math.max(last, m[end - 3] ?? 0);
    i = end;
  }
  return t + last;
}

/** Splits an event into chunks of CHUNK_MS each. */
function chunksOf(data: StreamEvents['moves']): StreamEvents['moves'][] {
  if (endOf(data) - data.t < CHUNK_MS) return [data];
  const parts = new Map<number, number[]>();
  const { t, m } = data;
  for (let i = 0; i + 1 < m.length; ) {
    const end = Math.min(i + 2 + 3 * (m[i + 1] as number), m.length);
    cut(m, i, end, parts);
    i = end;
  }
  return [...parts].sort(([a], [b]) => a - b).map(([, samples]) => ({ ...data, t, m: samples }));
}

/** Adds one visitor's samples, from `start` to `end` of `m`, to the chunks they belong to. */
function cut(m: readonly number[], start: number, end: number, parts: Map<number, number[]>): void {
  const v = m[start] as number;
  for (let i = start + 2; i + 2 < end; ) {
    const chunk = Math.floor((m[i] as number) / CHUNK_MS);
    let next = i;
    while (next + 2 < end && Math.floor((m[next] as number) / CHUNK_MS) === chunk) next += 3;
    const part = parts.get(chunk) ?? [];
    parts.set(chunk, part);
    part.push(v, (next - i) / 3, ...m.slice(i, next));
    i = next;
  }
}
