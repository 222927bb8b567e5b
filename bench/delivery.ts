/**
 * Are all moves delivered? 500 `json` visitors at 60 moves per second each, one stream at `moves=full`:
 * counts what was sent, delivered, missing and doubled, how late, and what it cost.
 */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { createParser } from 'eventsource-parser';
import { entry } from '../src/entry.ts';
import type { StreamEvents } from '../src/protocol/stream.ts';
import type { Load, LoadReport } from './load/visitors.ts';
import { startTree } from './tree.ts';

export interface DeliveryOptions {
  visitors: number;
  rate: number;
  seconds: number;
}

export async function delivery({ visitors, rate, seconds }: DeliveryOptions): Promise<Record<string, string>> {
  const tree = await startTree();
  try {
    const load: Load = { port: tree.port, visitors, rate, seconds, seed: 1 };
    const child = fork(fileURLToPath(new URL('./load/visitors.ts', import.meta.url)), [JSON.stringify(load)]);
    await once(child, 'message');
    const reader = await Reader.open(tree.port, tree.token);
    const before = tree.cpuMs();
    const busy = tree.cpuByProcess();
    child.send('go');
    const [report] = (await once(child, 'message')) as [Extract<LoadReport, { k: 'done' }>];
    await reader.until(report.sent);
    const cpuMs = tree.cpuMs() - before;
    const rss = tree.rss();
    child.send('end');
    reader.close();
    return {
      visitors: String(visitors),
      'moves/s offered': String(visitors * rate),
      seconds: String(seconds),
      sent: String(report.sent),
      delivered: String(reader.delivered),
      missing: String(report.sent - reader.delivered),
      doubled: String(reader.doubled),
      'delivered %': ((100 * reader.delivered) / report.sent).toFixed(3),
      'latency p50 / p99 / max, ms': [0.5, 0.99, 1].map((q) => reader.quantile(q)).join(' / '),
      'stream events/s': (reader.events / seconds).toFixed(0),
      'moves per event': (reader.delivered / reader.events).toFixed(1),
      'tree CPU per move, µs': ((1000 * cpuMs) / report.sent).toFixed(2),
      'CPU share by process, %': tree.shares(busy, seconds),
      'load generator CPU, %': ((100 * report.cpuMs) / (1000 * seconds)).toFixed(0),
      'load generator overslept, ms': report.lateMs.toFixed(0),
      'visitors closed by the server': String(report.closed),
      'resident memory, MB': rss,
    };
  } finally {
    await tree.stop();
  }
}

/** Counts every sample of the stream: each visitor's positions count its frames. */
class Reader {
  delivered = 0;
  doubled = 0;
  events = 0;
  readonly #seen = new Map<number, Set<number>>();
  readonly #latency = new Map<number, number>();
  readonly #abort = new AbortController();

  static async open(port: number, token: string): Promise<Reader> {
    const reader = new Reader();
    const response = await fetch(`http://127.0.0.1:${port}/v1/stream?site=demo&moves=full`, {
      headers: { authorization: `Bearer ${token}` },
      signal: reader.#abort.signal,
    });
    if (!response.ok || !response.body) throw new Error(`stream: ${response.status}`);
    void reader.#read(response.body);
    return reader;
  }

  async #read(body: ReadableStream<Uint8Array>): Promise<void> {
    const decoder = new TextDecoder();
    const parser = createParser({
      onEvent: ({ event, data }) => {
        if (event === 'moves') this.#count(JSON.parse(data));
        if (event === 'reset') throw new Error('the stream was reset');
      },
    });
    try {
      for await (const chunk of body) parser.feed(decoder.decode(chunk, { stream: true }));
    } catch (error) {
      if (!this.#abort.signal.aborted) throw error;
    }
  }

  #count({ t, m }: StreamEvents['moves']): void {
    this.events += 1;
    const now = Date.now();
    for (let i = 0; i < m.length; ) {
      const v = m[i] as number;
      const seen = entry(this.#seen, v, () => new Set<number>());
      const count = m[i + 1] as number;
      i += 2;
      for (let k = 0; k < count; k++, i += 3) {
        const number = (m[i + 1] as number) + 1000 * (m[i + 2] as number);
        if (seen.has(number)) this.doubled += 1;
        else this.delivered += 1;
        seen.add(number);
        const late = Math.max(0, now - t - (m[i] as number));
        this.#latency.set(late, (this.#latency.get(late) ?? 0) + 1);
      }
    }
  }

  /** Waits until so many are delivered, at most 5 s. */
  async until(count: number): Promise<void> {
    const deadline = Date.now() + 5000;
    while (this.delivered < count && Date.now() < deadline) await new Promise((resolve) => setTimeout(resolve, 20));
  }

  /** Latency from a sample's time to its arrival here, ms. */
  quantile(q: number): number {
    const sorted = [...this.#latency].sort(([a], [b]) => a - b);
    let left = Math.ceil(q * (this.delivered + this.doubled));
    for (const [late, count] of sorted) {
      left -= count;
      if (left <= 0) return late;
    }
    return 0;
  }

  close(): void {
    this.#abort.abort();
  }
}
