/**
 * A process full of administrators. The first reads and checks every sample; the others count bytes, so that
 * reading costs little beside what is measured.
 */
import { connect, type Socket } from 'node:net';
import { createParser } from 'eventsource-parser';
import { build, type Histogram } from 'hdr-histogram-js';
import { WebSocket } from 'ws';
import { numberOf } from './frames.ts';
import { type Command, report } from './process.ts';

export interface StreamLoad {
  k: 'streams';
  port: number;
  /** Ours by SSE, the textbook's by SSE, or Socket.IO's. */
  speak: 'fieldmouse' | 'textbook' | 'socket.io';
  token: string;
  /** Queries of `/v1/stream`, one stream each. */
  queries: string[];
  /** Samples per frame, all of which must be there. */
  samples: number;
}

export interface StreamReport {
  k: 'counted';
  /** Samples that the checked stream has shown since the last count. */
  delivered: number;
  doubled: number;
  events: number;
  resets: number;
  /** Of all streams. */
  bytes: number;
  /** Streams still open. */
  open: number;
  /** From a sample's own time to its arrival here, ms; no allowance for late reading: the sender never waits. */
  p50: number;
  p99: number;
  max: number;
  cpuMs: number;
}

class Checker {
  delivered = 0;
  doubled = 0;
  events = 0;
  resets = 0;
  readonly #last = new Map<string | number, Uint8Array>();
  readonly #latency: Histogram = build({
    lowestDiscernibleValue: 1,
    highestTrackableValue: 600_000,
    numberOfSignificantValueDigits: 3,
  });
  readonly #samples: number;

  constructor(samples: number) {
    this.#samples = samples;
  }

  /** An event of ours. */
  moves(data: string): void {
    const { t, m } = JSON.parse(data) as { t: number; m: number[] };
    this.events += 1;
    const now = Date.now();
    for (let i = 0; i < m.length; ) {
      const v = m[i] as number;
      const count = m[i + 1] as number;
      // Less than a frame is a visitor's latest position: the stream began, or moves had given way.
      if (count >= this.#samples) this.#frames(v, m.slice(i + 2, i + 2 + 3 * count), now - t);
      i += 2 + 3 * count;
    }
  }

  /** Whole frames of a visitor: flat `dt, x, y`, `age` ms after the time that dt counts from. */
  #frames(v: number, samples: readonly number[], age: number): void {
    for (let k = 0; k < samples.length; k += 3 * this.#samples)
      this.#see(v, numberOf(samples[k + 1] as number, samples[k + 2] as number));
    for (let k = 0; k < samples.length; k += 3) this.#latency.recordValue(Math.max(0, age - (samples[k] as number)));
    this.delivered += samples.length / 3;
  }

  /** An event of a baseline: one sample. */
  move({ visitor, x, y, t }: { visitor: string; x: number; y: number; t: number }): void {
    this.events += 1;
    this.delivered += 1;
    this.#see(visitor, numberOf(x, y));
    this.#latency.recordValue(Math.max(0, Date.now() - t));
  }

  #see(visitor: string | number, number: number): void {
    let seen = this.#last.get(visitor);
    if (!seen || seen.length <= number) {
      const grown = new Uint8Array(Math.max(1024, 2 * number));
      if (seen) grown.set(seen);
      this.#last.set(visitor, grown);
      seen = grown;
    }
    if (seen[number] === 1) {
      this.doubled += 1;
      this.delivered -= this.#samples;
    }
    seen[number] = 1;
  }

  take() {
    const { delivered, doubled, events, resets } = this;
    const [p50, p99] = [50, 99].map((q) => this.#latency.getValueAtPercentile(q)) as [number, number];
    const max = this.#latency.maxValue;
    this.delivered = this.doubled = this.events = this.resets = 0;
    this.#last.clear();
    this.#latency.reset();
    return { delivered, doubled, events, resets, p50, p99, max };
  }
}

class Streams {
  readonly checker: Checker;
  bytes = 0;
  open = 0;
  readonly #closers: (() => void)[] = [];
  readonly #first: Promise<void>[] = [];
  #checked: Socket | undefined;

  constructor(load: StreamLoad) {
    this.checker = new Checker(load.samples);
    for (const [i, query] of load.queries.entries())
      if (load.speak === 'socket.io') this.#socketIo(load.port, i === 0);
      else this.#sse(load, query, i === 0);
  }

  /** Resolves when every stream has begun. */
  async begun(): Promise<void> {
    await Promise.all(this.#first);
  }

  #count(bytes: number): void {
    this.bytes += bytes;
  }

  #sse({ port, speak, token }: StreamLoad, query: string, checked: boolean): void {
    const socket = connect(port, '127.0.0.1');
    const path = speak === 'fieldmouse' ? `/v1/stream?site=demo&${query}` : '/';
    socket.write(`GET ${path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer ${token}\r\n\r\n`);
    const parser = createParser({
      onEvent: ({ event, data }) => {
        if (event === 'moves') this.checker.moves(data);
        else if (event === 'move') this.checker.move(JSON.parse(data));
        else if (event === 'reset') this.checker.resets += 1;
      },
    });
    const decoder = new TextDecoder();
    let head = '';
    this.open += 1;
    this.#first.push(new Promise((resolve) => socket.once('data', () => resolve())));
    socket.on('error', () => {});
    socket.on('close', () => {
      this.open -= 1;
    });
    socket.on('data', (chunk) => {
      this.#count(chunk.length);
      if (!checked) return;
      let text = decoder.decode(chunk, { stream: true });
      if (!head.includes('\r\n\r\n')) {
        head += text;
        text = head.includes('\r\n\r\n') ? head.slice(head.indexOf('\r\n\r\n') + 4) : '';
      }
      parser.feed(text);
    });
    if (checked) this.#checked = socket;
    this.#closers.push(() => socket.destroy());
  }

  #socketIo(port: number, checked: boolean): void {
    const socket = new WebSocket(`ws://127.0.0.1:${port}/socket.io/?EIO=4&transport=websocket`, {
      perMessageDeflate: false,
    });
    this.open += 1;
    socket.on('close', () => {
      this.open -= 1;
    });
    this.#first.push(
      new Promise((resolve) => {
        socket.on('message', (data) => {
          const text = String(data);
          this.#count(text.length);
          if (text.startsWith('0{')) socket.send('40');
          else if (text.startsWith('40')) {
            socket.send('42["watch"]');
            resolve();
          } else if (text === '2') socket.send('3');
          else if (checked && text.startsWith('42')) this.checker.move(JSON.parse(text.slice(2))[1]);
        });
      }),
    );
    this.#closers.push(() => socket.terminate());
  }

  /** The first stream reads nothing for so long. */
  stall(ms: number): void {
    this.#checked?.pause();
    setTimeout(() => this.#checked?.resume(), ms);
  }

  close(): void {
    for (const close of this.#closers) close();
  }
}

if (process.argv[2] === 'streams') {
  let streams: Streams | undefined;
  let cpu = process.cpuUsage();
  process.on('message', async (command: Command) => {
    if (command.k === 'streams') {
      streams = new Streams(command);
      await streams.begun();
      report({ k: 'joined' });
    } else if (command.k === 'count' && streams) {
      const { user, system } = process.cpuUsage(cpu);
      cpu = process.cpuUsage();
      const { bytes, open } = streams;
      streams.bytes = 0;
      report({ k: 'counted', ...streams.checker.take(), bytes, open, cpuMs: (user + system) / 1000 });
    } else if (command.k === 'stall') {
      streams?.stall(command.ms);
      report({ k: 'joined' });
    } else if (command.k === 'end') {
      streams?.close();
      process.disconnect();
    }
  });
}
