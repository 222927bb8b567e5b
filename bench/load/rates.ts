/** An administrator that sees no moves, only the `rates` event of each second: what a dashboard tells of the pace. */
import { createParser } from 'eventsource-parser';
import type { StreamEvents } from '../../src/protocol/stream-event.ts';

export class Rates {
  readonly seconds: StreamEvents['rates'][] = [];
  readonly #end = new AbortController();

  static async open(port: number, token: string): Promise<Rates> {
    const rates = new Rates();
    const response = await fetch(`http://127.0.0.1:${port}/v1/stream?site=demo&moves=none`, {
      headers: { authorization: `Bearer ${token}` },
      signal: rates.#end.signal,
    });
    // Ends when the stream is aborted.
    rates.#read(response).catch(() => {});
    return rates;
  }

  async #read({ body }: Response): Promise<void> {
    const parser = createParser({
      onEvent: ({ event, data }) => {
        if (event === 'rates') this.seconds.push(JSON.parse(data));
      },
    });
    const decoder = new TextDecoder();
    for await (const chunk of body ?? []) parser.feed(decoder.decode(chunk, { stream: true }));
  }

  /** The pace now, ms; undefined while nobody moves. */
  get flushMs(): number | undefined {
    return this.seconds.at(-1)?.flushMs || undefined;
  }

  close(): void {
    this.#end.abort();
  }
}
