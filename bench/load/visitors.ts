/**
 * A process full of visitors. Open loop: each sends on its own schedule and never waits for the server. Frames
 * are written by hand on plain sockets, and visitors that are at the same point of their schedule share one
 * frame, encoded once, so that the load costs little beside what it measures.
 */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { performance } from 'node:perf_hooks';
import { encodeFrame, encodeHello } from '../../src/protocol/encode.ts';
import { seeded } from '../../test/support/seeded.ts';
import { batchFrame, FIRST, moveText, textFrame, v1Frame } from './frames.ts';
import type { Command, SentReport, VisitorLoad } from './messages.ts';
import { report } from './process.ts';

/** Visitors that send within the same millisecond are a group: real ones do not wait for each other. */
const TICK_MS = 1;
const JOIN_AT_ONCE = 64;

/** Acks come once a second; a server that takes longer than this for the last ones owes them, ms. */
const ACK_LIMIT_MS = 5000;

interface Visitor {
  socket: Socket;
  page: number;
  /** Numbers of the last frame sent, and of the last acked. */
  sent: number;
  acked: number;
  /** The pace: it sends every `every`th frame of its group, with `samples` samples. */
  every: number;
  samples: number;
  /** The pace that the server has requested last. */
  told?: { flushMs: number; sampleMs: number };
}

interface Group {
  visitors: Visitor[];
  /** When the group's first frame is due after the start, milliseconds. */
  phase: number;
  /** Frames that were due since the start. */
  done: number;
  /** Number of the last frame; it goes on from one sending to the next. */
  n: number;
}

export class Visitors {
  readonly #load: VisitorLoad;
  readonly #groups: Group[];
  /** Start of every visitor's clock. */
  readonly #origin = performance.now();
  #frames = 0;
  #samples = 0;
  #samplesOfFirst = 0;
  #slowestMs = 0;
  /** Called at every ack. */
  #onAck = () => {};

  constructor(load: VisitorLoad) {
    this.#load = load;
    const interval = 1000 / load.rate;
    const groups = Math.max(1, Math.min(Math.floor(interval / TICK_MS), load.visitors));
    this.#groups = Array.from({ length: groups }, (_, i) => ({
      visitors: [],
      phase: (i * interval) / groups,
      done: 0,
      n: 0,
    }));
  }

  /** Connects all; resolves when every one was greeted. */
  async join(): Promise<void> {
    const random = seeded(this.#load.seed);
    for (let i = 0; i < this.#load.visitors; i += JOIN_AT_ONCE) {
      const count = Math.min(JOIN_AT_ONCE, this.#load.visitors - i);
      const joining = Array.from({ length: count }, async (_, k) => {
        const group = this.#groups[Math.floor(random() * this.#groups.length)] as Group;
        group.visitors.push(await this.#joinOne(this.#load.first + i + k));
      });
      await Promise.all(joining);
    }
  }

  async #joinOne(i: number): Promise<Visitor> {
    const { speak, port, pages, shortHello = false } = this.#load;
    const socket = connect(port, '127.0.0.1');
    socket.setNoDelay(true);
    socket.on('error', () => {});
    const path =
      speak === 'socket.io'
        ? '/socket.io/?EIO=4&transport=websocket'
        : `/v1/visit?site=demo&page=%2F${i % pages || ''}`;
    const protocol = speak === 'json' ? 'json' : 'fieldmouse.v1';
    socket.write(
      `GET ${path} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n` +
        `Sec-WebSocket-Key: ${Buffer.from(String(i).padStart(16, '0')).toString('base64')}\r\n${speak === 'socket.io' ? '' : `Sec-WebSocket-Protocol: ${protocol}\r\n`}\r\n`,
    );
    if (speak === 'v1') socket.write(batchFrame(helloBytes(this.#clock(), i % pages, shortHello)));
    const hello = await greeting(socket, speak);
    const visitor: Visitor = {
      socket,
      page: i % pages,
      sent: 0,
      acked: 0,
      every: 1,
      samples: this.#load.samples,
    };
    this.#hear(visitor, hello);
    socket.on('data', (chunk: Buffer) => {
      if (speak === 'socket.io') pong(socket, chunk);
      else this.#hear(visitor, chunk.toString('latin1'));
    });
    return visitor;
  }

  /** Acks and paces are a few bytes each, and come whole. */
  #hear(visitor: Visitor, text: string): void {
    const { rate, samples, obedient } = this.#load;
    const n = lastNumber(text, 'n');
    if (n !== undefined) visitor.acked = n - FIRST;
    this.#onAck();
    const flushMs = lastNumber(text, 'flushMs');
    const sampleMs = lastNumber(text, 'sampleMs');
    if (flushMs === undefined || sampleMs === undefined) return;
    visitor.told = { flushMs, sampleMs };
    this.#slowestMs = Math.max(this.#slowestMs, flushMs);
    if (!obedient) return;
    visitor.every = Math.max(1, Math.round((flushMs * rate) / 1000));
    visitor.samples = Math.max(1, Math.round((visitor.every * samples) / this.#thinning(sampleMs)));
  }

  /** Of how many samples one is left at a pace. */
  #thinning(sampleMs: number): number {
    const { rate, samples } = this.#load;
    return Math.max(1, Math.round((sampleMs * rate * samples) / 1000));
  }

  #all(): Visitor[] {
    return this.#groups.flatMap(({ visitors }) => visitors);
  }

  #clock(): number {
    return Math.round(performance.now() - this.#origin);
  }

  /** The slowest pace that a visitor was told last, ms: each worker sets its own. 0: none was told any. */
  #slowest(what: 'flushMs' | 'sampleMs'): number {
    return this.#all().reduce((most, { told }) => Math.max(most, told?.[what] ?? 0), 0);
  }

  /** Sends for this many seconds. */
  async send(seconds: number): Promise<SentReport> {
    const cpu = process.cpuUsage();
    this.#slowestMs = this.#slowest('flushMs');
    this.#frames = this.#samples = this.#samplesOfFirst = 0;
    const lateMs = await this.#sendFor(seconds);
    const { user, system } = process.cpuUsage(cpu);
    const closed = this.#all().filter(({ socket }) => socket.destroyed).length;
    return {
      k: 'sent',
      frames: this.#frames,
      samples: this.#samples,
      samplesOfFirst: this.#samplesOfFirst,
      lateMs,
      cpuMs: (user + system) / 1000,
      closed,
      slowestMs: this.#slowestMs,
      flushMs: this.#slowest('flushMs'),
      sampleMs: this.#slowest('sampleMs'),
    };
  }

  /** Tells the longest that the loop overslept, ms. */
  #sendFor(seconds: number): Promise<number> {
    const { rate } = this.#load;
    const total = Math.round(seconds * rate);
    const start = performance.now();
    let last = start;
    let lateMs = 0;
    for (const group of this.#groups) group.done = 0;
    return new Promise((resolve) => {
      const timer = setInterval(() => {
        const now = performance.now();
        lateMs = Math.max(lateMs, now - last - TICK_MS);
        last = now;
        for (const group of this.#groups) {
          const due = Math.min(total, Math.floor(((now - start - group.phase) * rate) / 1000) + 1);
          for (; group.done < due; group.done++) this.#sendFrame(group);
        }
        if (this.#groups.some(({ done }) => done < total)) return;
        clearInterval(timer);
        resolve(lateMs);
      }, TICK_MS);
    });
  }

  /**
   * One frame, the same for all of the group that keep the same pace: its number is in its positions, so that the
   * reader can count.
   */
  #sendFrame(group: Group): void {
    group.n += 1;
    let samples = 0;
    let bytes: Buffer | undefined;
    group.visitors.forEach((visitor, i) => {
      // Those that keep a slower pace take turns.
      if ((group.n + i) % visitor.every !== 0) return;
      if (!bytes || visitor.samples !== samples) bytes = this.#frame(group.n, visitor);
      samples = visitor.samples;
      visitor.socket.write(bytes);
      visitor.sent = group.n;
      this.#frames += 1;
      this.#samples += samples;
      if (visitor.page === 0) this.#samplesOfFirst += samples;
    });
  }

  #frame(n: number, { every, samples }: Visitor): Buffer {
    const { speak, rate } = this.#load;
    return speak === 'v1'
      ? v1Frame(n, this.#clock(), samples, Math.floor((1000 * every) / (rate * samples)))
      : textFrame(moveText(n, Date.now(), speak === 'socket.io'));
  }

  /** Resolves when all that was sent is acked, or the limit is over. Tells how many visitors are owed an ack. */
  settle(): Promise<number> {
    const owed = new Set(this.#all());
    return new Promise((resolve) => {
      const finish = () => {
        clearTimeout(timer);
        this.#onAck = () => {};
        resolve([...owed].filter(isOwed).length);
      };
      const timer = setTimeout(finish, ACK_LIMIT_MS);
      this.#onAck = () => {
        for (const visitor of owed) {
          if (isOwed(visitor)) return;
          owed.delete(visitor);
        }
        finish();
      };
      this.#onAck();
    });
  }

  /** This share of the visitors leaves. */
  leave(share: number): void {
    for (const { visitors } of this.#groups)
      for (const { socket } of visitors.splice(Math.round(visitors.length * (1 - share)))) socket.destroy();
  }

  close(): void {
    this.leave(1);
  }
}

function isOwed({ sent, acked }: Visitor): boolean {
  return acked < sent;
}

function helloBytes(clock: number, page: number, isShort: boolean): Uint8Array {
  const hello = {
    clock,
    vw: 1280,
    vh: 720,
    dw: 1280,
    dh: 3000,
    token: '',
    page: `/${page || ''}`,
    language: 'en',
    referrer: '',
    last: 0,
  };
  const bytes = encodeFrame(0, 0, encodeHello(hello));
  return Uint8Array.from(isShort ? bytes.slice(0, -1) : bytes);
}

/** Waits for the server's greeting; for Socket.IO that takes an answer in between. */
async function greeting(socket: Socket, speak: VisitorLoad['speak']): Promise<string> {
  let text = '';
  let answered = false;
  for (;;) {
    const [chunk] = (await once(socket, 'data')) as [Buffer];
    text += chunk.toString('latin1');
    if (!text.startsWith('HTTP/1.1 101')) throw new Error(`refused: ${text.slice(0, 300)}`);
    if (speak !== 'socket.io' && text.includes('"type":"hello"')) return text;
    if (speak === 'socket.io' && text.includes('40{"sid"')) return text;
    if (speak === 'socket.io' && !answered && text.includes('0{"sid"')) {
      answered = true;
      socket.write(textFrame('40'));
    }
  }
}

/** The number that stands last under this name in JSON, if there is one. */
function lastNumber(text: string, name: string): number | undefined {
  const at = text.lastIndexOf(`"${name}":`);
  return at < 0 ? undefined : Number.parseInt(text.slice(at + name.length + 3), 10);
}

/** Engine.IO's server pings with `2`. */
function pong(socket: Socket, chunk: Buffer): void {
  if (chunk.length === 3 && chunk[2] === 0x32) socket.write(textFrame('3'));
}

if (process.argv[2] === 'visitors') {
  let visitors: Visitors | undefined;
  process.on('message', async (command: Command) => {
    if (command.k === 'visitors') {
      visitors = new Visitors(command);
      await visitors.join();
      report({ k: 'joined' });
    } else if (command.k === 'send' && visitors) {
      report(await visitors.send(command.seconds));
    } else if (command.k === 'settle' && visitors) {
      report({ k: 'settled', unacked: await visitors.settle() });
    } else if (command.k === 'leave' && visitors) {
      visitors.leave(command.share);
      report({ k: 'joined' });
    } else if (command.k === 'end') {
      visitors?.close();
      process.disconnect();
    }
  });
}
