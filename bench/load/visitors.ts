/**
 * A process full of visitors. Open loop: each sends on its own schedule and never waits for the server. Frames
 * are written by hand on plain sockets, and visitors that are at the same point of their schedule share one
 * frame, encoded once, so that the load costs little beside what it measures.
 */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { performance } from 'node:perf_hooks';
import { encodeFrame, encodeHello } from '../../src/protocol/encode.ts';
import { batchFrame, moveText, textFrame, v1Frame } from './frames.ts';
import { type Command, report, seeded } from './process.ts';

export interface VisitorLoad {
  k: 'visitors';
  port: number;
  /** What they speak: ours, or a baseline's. */
  speak: 'json' | 'v1' | 'socket.io';
  visitors: number;
  /** Frames per second of each. */
  rate: number;
  /** Samples in each frame. */
  samples: number;
  /** Visitor i is on page i modulo this. */
  pages: number;
  seed: number;
}

/** Visitors that send within the same millisecond are a group: real ones do not wait for each other. */
const TICK_MS = 1;
const JOIN_AT_ONCE = 64;

interface Group {
  sockets: Socket[];
  /** When the group's first frame is due after the start, milliseconds. */
  phase: number;
  /** Frames sent. */
  sent: number;
}

export class Visitors {
  readonly #load: VisitorLoad;
  readonly #groups: Group[];
  /** Start of every visitor's clock. */
  readonly #origin = performance.now();
  closed = 0;

  constructor(load: VisitorLoad) {
    this.#load = load;
    const interval = 1000 / load.rate;
    const groups = Math.max(1, Math.min(Math.floor(interval / TICK_MS), load.visitors));
    this.#groups = Array.from({ length: groups }, (_, i) => ({ sockets: [], phase: (i * interval) / groups, sent: 0 }));
  }

  /** Connects all; resolves when every one was greeted. */
  async join(): Promise<void> {
    const random = seeded(this.#load.seed);
    for (let i = 0; i < this.#load.visitors; i += JOIN_AT_ONCE) {
      const count = Math.min(JOIN_AT_ONCE, this.#load.visitors - i);
      const joining = Array.from({ length: count }, async (_, k) => {
        const group = this.#groups[Math.floor(random() * this.#groups.length)] as Group;
        group.sockets.push(await this.#joinOne(i + k));
      });
      await Promise.all(joining);
    }
  }

  async #joinOne(i: number): Promise<Socket> {
    const { speak, port, pages } = this.#load;
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
    if (speak === 'v1') socket.write(batchFrame(helloBytes(this.#clock(), i % pages)));
    await greeting(socket, speak);
    socket.on('data', speak === 'socket.io' ? (chunk: Buffer) => pong(socket, chunk) : () => {});
    socket.once('close', () => {
      this.closed += 1;
    });
    return socket;
  }

  #clock(): number {
    return Math.round(performance.now() - this.#origin);
  }

  /** Sends for so long. Tells how many frames went out and the longest the loop overslept, ms. */
  send(seconds: number): Promise<{ frames: number; lateMs: number }> {
    const { rate } = this.#load;
    const total = Math.round(seconds * rate);
    const start = performance.now();
    let last = start;
    let lateMs = 0;
    let frames = 0;
    return new Promise((resolve) => {
      const timer = setInterval(() => {
        const now = performance.now();
        lateMs = Math.max(lateMs, now - last - TICK_MS);
        last = now;
        let open = false;
        for (const group of this.#groups) {
          const due = Math.min(total, Math.floor(((now - start - group.phase) * rate) / 1000) + 1);
          for (let k = 0; k < due - group.sent; ) {
            this.#sendFrame(group);
            frames += group.sockets.length;
          }
          open ||= group.sent < total;
        }
        if (open) return;
        clearInterval(timer);
        for (const group of this.#groups) group.sent = 0;
        resolve({ frames, lateMs });
      }, TICK_MS);
    });
  }

  /** One frame, the same for all of the group: its number is in its positions, so that the reader can count. */
  #sendFrame(group: Group): void {
    const { speak, samples } = this.#load;
    const bytes =
      speak === 'v1'
        ? v1Frame((this.#numbers.get(group) ?? 0) + 1, this.#clock(), group.sent, samples)
        : textFrame(moveText(group.sent, Date.now(), speak === 'socket.io'));
    this.#numbers.set(group, (this.#numbers.get(group) ?? 0) + 1);
    group.sent += 1;
    for (const socket of group.sockets) socket.write(bytes);
  }

  /** Frame numbers go on from one sending to the next; positions begin anew. */
  readonly #numbers = new Map<Group, number>();

  close(): void {
    for (const { sockets } of this.#groups) for (const socket of sockets) socket.destroy();
  }
}

function helloBytes(clock: number, page: number): Uint8Array {
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
  };
  return Uint8Array.from(encodeFrame(0, 0, encodeHello(hello)));
}

/** Waits until the server has greeted; for Socket.IO that takes an answer in between. */
async function greeting(socket: Socket, speak: VisitorLoad['speak']): Promise<void> {
  let text = '';
  let answered = false;
  for (;;) {
    const [chunk] = (await once(socket, 'data')) as [Buffer];
    text += chunk.toString('latin1');
    if (!text.startsWith('HTTP/1.1 101')) throw new Error(`refused: ${text.slice(0, 300)}`);
    if (speak !== 'socket.io' && text.includes('"type":"hello"')) return;
    if (speak === 'socket.io' && text.includes('40{"sid"')) return;
    if (speak === 'socket.io' && !answered && text.includes('0{"sid"')) {
      answered = true;
      socket.write(textFrame('40'));
    }
  }
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
      const cpu = process.cpuUsage();
      const sent = await visitors.send(command.seconds);
      const { user, system } = process.cpuUsage(cpu);
      report({ k: 'sent', ...sent, cpuMs: (user + system) / 1000, closed: visitors.closed });
    } else if (command.k === 'end') {
      visitors?.close();
      process.disconnect();
    }
  });
}
