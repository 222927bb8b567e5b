/** A reader of the administrators' stream, as a program would write one. */
import type { TestContext } from 'node:test';
import { createParser } from 'eventsource-parser';
import type { ReplayEvents, StreamEvents } from '../../src/protocol/stream-event.ts';
import { LIMIT_MS } from './limit.ts';

/** Of the live stream and of replays. */
type Events = StreamEvents & Pick<ReplayEvents, 'end'>;
type EventName = keyof Events;

export interface ReadEvent<N extends EventName = EventName> {
  id: string | undefined;
  name: N;
  data: Events[N];
}

export class StreamReader {
  /** All events, in the order they came. */
  readonly events: ReadEvent[] = [];
  status = 0;
  /** Resolves when the stream has ended, from whichever side. */
  ended: Promise<void> = Promise.resolve();
  readonly #abort = new AbortController();
  readonly #waiting = new Set<() => void>();
  #over = false;

  /** Opens `GET /v1/stream`, or another path, with these parameters. Rejects if the answer is not 200. */
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
      // Cut or aborted: the test sees it by `ended`.
    }
    this.#over = true;
    for (const wake of this.#waiting) wake();
  }

  /** The first event of this name for which `test` holds, already here or yet to come; removed from `events` up to it. */
  async next<N extends EventName>(name: N, test: (data: Events[N]) => boolean = () => true): Promise<Events[N]> {
    const found = await this.until(() => {
      const i = this.events.findIndex((one) => one.name === name && test(one.data as Events[N]));
      return i < 0 ? undefined : this.events.splice(0, i + 1).at(-1);
    }, name);
    return found.data as Events[N];
  }

  /** Waits until `look` gives something; it is asked anew with every event. */
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

/** Ids of those who are here, by all that a stream has told from its beginning, sorted. */
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

/** The samples of `moves` events: `[v, time, x, y]` each. */
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
