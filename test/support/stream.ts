/** A reader of the administrators' stream, as a program would write one. */
import type { TestContext } from 'node:test';
import { createParser } from 'eventsource-parser';
import type { ReplayEvents, StreamEvents } from '../../src/protocol/stream-event.ts';
import { LIMIT_MS } from './limit.ts';

/** Events of the live stream and of replays. */
type Events = StreamEvents & Pick<ReplayEvents, 'end'>;
type EventName = keyof Events;

export interface ReadEvent<N extends EventName = EventName> {
  id: string | undefined;
  name: N;
  data: Events[N];
}

export class StreamReader {
  /** All events, in order of arrival. */
  readonly events: ReadEvent[] = [];
  status = 0;
  /** Resolves when either side has ended the stream. */
  ended: Promise<void> = Promise.resolve();
  readonly #abort = new AbortController();
  readonly #waiting = new Set<() => void>();
  #over = false;

  /** Opens `GET /v1/stream`, or another path, with these parameters. Rejects if the status is not 200. */
  static async open(
    t: TestContext,
    server: { url: string; token: string },
    query: Record<string, string>,
    headers: Record<string, string> = {},
    path = '/v1/stream',
  ): Promise<StreamReader> {
    const reader = new StreamReader();
    t.after(() => reader.close());
    const url = `${server.url}${path}?${new URLSearchParams(query)}`;
    const response = await fetch(url, {
      headers: { authorization: `Bearer ${server.token}`, ...headers },
      signal: reader.#abort.signal,
    });
    reader.status = response.status;
    if (response.status !== 200 || !response.body) throw new Error(`${response.status} ${await response.text()}`);
    reader.ended = reader.#read(response.body);
    return reader;
  }

  async #read(body: ReadableStream<Uint8Array>): Promise<void> {
    const parser = createParser({
      onEvent: ({ id, event, data }) => {
        this.events.push({ id, name: event as EventName, data: JSON.parse(data) });
        for (const wake of this.#waiting) wake();
      },
    });
    const decoder = new TextDecoder();
    try {
      for await (const chunk of body) parser.feed(decoder.decode(chunk, { stream: true }));
    } catch {
      // The stream was cut or aborted, which the test sees in `ended`.
    }
    this.#over = true;
    for (const wake of this.#waiting) wake();
  }

  /**
   * Resolves with the first event of this name that passes `test`, already received or later. Removes it and all before
   * it from `events`.
   */
  async next<N extends EventName>(name: N, test: (data: Events[N]) => boolean = () => true): Promise<Events[N]> {
    const found = await this.until(() => {
      const i = this.events.findIndex((one) => one.name === name && test(one.data as Events[N]));
      return i < 0 ? undefined : this.events.splice(0, i + 1).at(-1);
    }, name);
    return found.data as Events[N];
  }

  /** Waits until `look` returns a value; it is called again with every event. */
  async until<T>(look: () => T | undefined, what = 'a condition'): Promise<T> {
    const deadline = Date.now() + LIMIT_MS;
    for (;;) {
      const value = look();
      if (value !== undefined) return value;
      if (this.#over) throw new Error(`the stream ended while waiting for ${what}`);
      if (Date.now() > deadline) throw new Error(`no ${what} in ${LIMIT_MS} ms; got ${this.#summary()}`);
      await this.#wake(deadline - Date.now());
    }
  }

  #wake(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const wake = () => {
        clearTimeout(timer);
        this.#waiting.delete(wake);
        resolve();
      };
      const timer = setTimeout(wake, Math.max(1, ms + 1));
      this.#waiting.add(wake);
    });
  }

  #summary(): string {
    return this.events
      .map(({ name, data }) => `${name} ${JSON.stringify(data).slice(0, 120)}`)
      .slice(-20)
      .join('\n');
  }

  get lastId(): string {
    return this.events.findLast(({ id }) => id !== undefined)?.id ?? '';
  }

  close(): void {
    this.#abort.abort();
  }
}

/** Returns the sorted ids of the visitors present, according to all events of a stream since its start. */
export function hereBy(events: readonly { name: string; data: unknown }[]): string[] {
  const here = new Map<number, string>();
  for (const { name, data } of events) {
    if (name === 'snapshot') {
      here.clear();
      for (const { v, id } of (data as StreamEvents['snapshot']).visitors) here.set(v, id);
    } else if (name === 'join') {
      const { visitor } = data as StreamEvents['join'];
      here.set(visitor.v, visitor.id);
    } else if (name === 'leave') here.delete((data as StreamEvents['leave']).v);
  }
  return [...here.values()].sort();
}

/** Returns the samples of `moves` events, `[v, time, x, y]` each. */
export function samplesOf(events: readonly ReadEvent[]): [v: number, t: number, x: number, y: number][] {
  const samples: [number, number, number, number][] = [];
  for (const { name, data } of events)
    if (name === 'moves') samples.push(...unpackMoves(data as StreamEvents['moves']));
  return samples;
}

export function unpackMoves({ t, m }: StreamEvents['moves']): [v: number, t: number, x: number, y: number][] {
  const samples: [number, number, number, number][] = [];
  for (let i = 0; i < m.length; ) {
    const v = m[i] as number;
    const count = m[i + 1] as number;
    i += 2;
    for (let k = 0; k < count; k++, i += 3)
      samples.push([v, t + (m[i] as number), m[i + 1] as number, m[i + 2] as number]);
  }
  return samples;
}
