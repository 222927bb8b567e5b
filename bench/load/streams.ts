/**
 * A process full of administrators. The first reads and checks every sample; the others count bytes, so that
 * reading costs little beside what is measured.
 */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { createParser, type EventSourceMessage } from 'eventsource-parser';
import { build, type Histogram } from 'hdr-histogram-js';
import { WebSocket } from 'ws';
import { numberOf } from './frames.ts';
import { Marks } from './marks.ts';
import type { Command, ResumeReport, StreamLoad } from './messages.ts';
import { report } from './process.ts';

/** Events that say how a stream goes on. */
const HOW = ['reset', 'snapshot', 'skipped'];

/** A stream that was paused shows within this that it goes on or has ended, milliseconds. */
const RESUME_LIMIT_MS = 10_000;

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
      // One of many is a visitor's latest position: the stream began, or moves had given way.
      if (count > 1 || this.#samples === 1) this.#frame(v, m.slice(i + 2, i + 2 + 3 * count), now - t);
      i += 2 + 3 * count;
    }
  }

  /** A visitor's frame: flat `dt, x, y`, `age` ms after the time that dt counts from. The first place is its number. */
  #frame(v: number, samples: readonly number[], age: number): void {
    this.#see(v, numberOf(samples[1] as number, samples[2] as number), samples.length / 3);
    for (let k = 0; k < samples.length; k += 3) this.#latency.recordValue(Math.max(0, age - (samples[k] as number)));
  }

  /** An event of a baseline: one sample. */
  move({ visitor, x, y, t }: { visitor: string; x: number; y: number; t: number }): void {
    this.events += 1;
    this.#see(visitor, numberOf(x, y), 1);
    this.#latency.recordValue(Math.max(0, Date.now() - t));
  }

  #see(visitor: string | number, number: number, samples: number): void {
    let seen = this.#last.get(visitor);
    if (!seen || seen.length <= number) {
      const grown = new Uint8Array(Math.max(1024, 2 * number));
      if (seen) grown.set(seen);
      this.#last.set(visitor, grown);
      seen = grown;
    }
    if (seen[number] === 1) this.doubled += 1;
    else this.delivered += samples;
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

/** One stream of Server-Sent Events. It is parsed only if somebody wants its events; else its bytes are counted. */
class Reader {
  readonly began: Promise<unknown>;
  closed = false;
  bytes = 0;
  /** Id of the last event that had one. */
  lastId = '';
  readonly #socket: Socket;
  readonly #onEvent: ((event: string, data: string) => void) | undefined;
  #head = '';

  constructor({ port, speak, token }: StreamLoad, query: string, onEvent?: (event: string, data: string) => void) {
    this.#onEvent = onEvent;
    const socket = connect(port, '127.0.0.1');
    this.#socket = socket;
    const path = speak === 'fieldmouse' ? `/v1/stream?site=demo&${query}` : '/';
    socket.write(`GET ${path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer ${token}\r\n\r\n`);
    this.began = once(socket, 'data');
    const parser = createParser({ onEvent: (event) => this.#onMessage(event) });
    const decoder = new TextDecoder();
    socket.on('error', () => {});
    socket.on('close', () => {
      this.closed = true;
    });
    socket.on('data', (chunk) => {
      this.bytes += chunk.length;
      if (onEvent) parser.feed(this.#body(decoder.decode(chunk, { stream: true })));
    });
  }

  #onMessage({ event = '', data, id }: EventSourceMessage): void {
    if (id) this.lastId = id;
    this.#onEvent?.(event, data);
  }

  /** What of a text is after the response's head. */
  #body(text: string): string {
    if (this.#head.includes('\r\n\r\n')) return text;
    this.#head += text;
    const end = this.#head.indexOf('\r\n\r\n');
    return end < 0 ? '' : this.#head.slice(end + 4);
  }

  /** Resolves when the server has ended the stream. */
  async ended(): Promise<void> {
    if (!this.closed) await new Promise<void>((resolve) => this.#socket.once('close', () => resolve()));
  }

  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  close(): void {
    this.#socket.destroy();
  }
}

class Streams {
  readonly checker: Checker;
  readonly marks = new Marks();
  readonly #load: StreamLoad;
  readonly #readers: Reader[] = [];
  /** Of Socket.IO. */
  readonly #sockets: WebSocket[] = [];
  readonly #first: Promise<unknown>[] = [];
  #checked: Reader | undefined;
  /** Called with the name of each event of the checked stream. */
  #onNext: (event: string) => void = () => {};
  #counted = 0;
  #socketBytes = 0;

  constructor(load: StreamLoad) {
    this.#load = load;
    this.checker = new Checker(load.samples);
    for (const [i, query] of load.queries.entries())
      if (load.speak === 'socket.io') this.#socketIo(load.port, i === 0);
      else if (i === 0) this.#checked = this.#check(query);
      else this.#add(new Reader(load, query));
  }

  /** Resolves when every stream has begun. */
  async begun(): Promise<void> {
    await Promise.all(this.#first);
  }

  get open(): number {
    const sockets = this.#sockets.filter(({ readyState }) => readyState === WebSocket.OPEN);
    return sockets.length + this.#readers.filter(({ closed }) => !closed).length;
  }

  /** Bytes read since the last time. */
  takeBytes(): number {
    const all = this.#readers.reduce((sum, { bytes }) => sum + bytes, this.#socketBytes);
    const since = all - this.#counted;
    this.#counted = all;
    return since;
  }

  #add(reader: Reader): Reader {
    this.#readers.push(reader);
    this.#first.push(reader.began);
    return reader;
  }

  #check(query: string): Reader {
    return this.#add(new Reader(this.#load, query, (event, data) => this.#onEvent(event, data)));
  }

  #onEvent(event: string, data: string): void {
    if (event === 'moves') this.checker.moves(data);
    else if (event === 'move') this.checker.move(JSON.parse(data));
    else if (event === 'reset') this.checker.resets += 1;
    else this.marks.see(event, data);
    this.#onNext(event === 'moves' && data.includes('"skipped"') ? 'skipped' : event);
  }

  #socketIo(port: number, checked: boolean): void {
    const socket = new WebSocket(`ws://127.0.0.1:${port}/socket.io/?EIO=4&transport=websocket`, {
      perMessageDeflate: false,
    });
    this.#sockets.push(socket);
    this.#first.push(
      new Promise<void>((resolve) => {
        socket.on('message', (data) => {
          const text = String(data);
          this.#socketBytes += text.length;
          if (text.startsWith('0{')) socket.send('40');
          else if (text.startsWith('40')) {
            socket.send('42["watch"]');
            resolve();
          } else if (text === '2') socket.send('3');
          else if (checked && text.startsWith('42')) this.checker.move(JSON.parse(text.slice(2))[1]);
        });
      }),
    );
  }

  /** The checked stream's reader reads nothing from now on. */
  pause(): void {
    this.#checked?.pause();
  }

  /** It reads again: until the stream shows that it goes on or, if it was cut, until it is back. */
  async resume(): Promise<ResumeReport> {
    const reader = this.#checked as Reader;
    const before = reader.bytes;
    const wentOn = this.#until((event) => event === 'snapshot' || event === 'skipped');
    reader.resume();
    const nothing: string[] = [];
    const limit = sleep(RESUME_LIMIT_MS, nothing, { ref: false });
    const how = await Promise.race([wentOn, reader.ended().then(() => nothing), limit]);
    const bytes = reader.bytes - before;
    if (!reader.closed) return { k: 'resumed', bytes, cut: false, how };
    return { k: 'resumed', bytes, cut: true, how: await this.#comeBack(reader) };
  }

  async #comeBack({ lastId }: Reader): Promise<string[]> {
    const back = this.#until((event) => event !== 'reset');
    this.#checked = this.#check(`${this.#load.queries[0]}&last_event_id=${lastId}`);
    return back;
  }

  /** Resolves with what was said of how the stream goes on, at the first event that is `last`. */
  #until(last: (event: string) => boolean): Promise<string[]> {
    const how: string[] = [];
    return new Promise((resolve) => {
      this.#onNext = (event) => {
        if (HOW.includes(event)) how.push(event);
        if (last(event)) resolve(how);
      };
    });
  }

  close(): void {
    for (const reader of this.#readers) reader.close();
    for (const socket of this.#sockets) socket.terminate();
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
      const { open, checker } = streams;
      report({ k: 'counted', ...checker.take(), bytes: streams.takeBytes(), open, cpuMs: (user + system) / 1000 });
    } else if (command.k === 'pause') {
      streams?.pause();
      report({ k: 'paused' });
    } else if (command.k === 'resume' && streams) {
      report(await streams.resume());
    } else if (command.k === 'marks' && streams) {
      await streams.marks.left(command.leaves, command.limitMs);
      report(streams.marks.take());
    } else if (command.k === 'end') {
      streams?.close();
      process.disconnect();
    }
  });
}
