/** Visitors as ws clients, one class per subprotocol. */
import { once } from 'node:events';
import { WebSocket } from 'ws';
import type { Ack, HelloReply } from '../../src/protocol/control.ts';
import { encodeFrame, encodeHello, encodeSamples, type Sample } from '../../src/protocol/encode.ts';
import type { Owner } from './owner.ts';

export interface VisitorOptions {
  site?: string;
  page?: string;
  origin?: string;
  token?: string;
  /** Viewport width, height, document width, height. */
  size?: [number, number, number, number];
  /** Number of the last frame of a page that reconnects; 0 after a load. */
  last?: number;
  /** The visitor's clock, which its sample times use, milliseconds. */
  clock?: number;
}

function connect(t: Owner, ws: string, protocols: string[], { site = 'demo', page = '/', origin }: VisitorOptions) {
  const query = new URLSearchParams({ site, page });
  const socket = new WebSocket(`${ws}/v1/visit?${query}`, protocols, origin === undefined ? {} : { origin });
  socket.on('error', () => {});
  t.after(() => socket.terminate());
  return socket;
}

/** A simple client that sends JSON. */
export class JsonVisitor {
  readonly socket: WebSocket;
  /** The server's hello. */
  readonly hello: Promise<HelloReply>;

  constructor(t: Owner, ws: string, options: VisitorOptions = {}) {
    const resume = options.token ? [`resume.${options.token}`] : [];
    this.socket = connect(t, ws, ['json', ...resume], options);
    this.hello = firstMessage(this.socket);
  }

  send(value: unknown): void {
    this.socket.send(JSON.stringify(value));
  }

  close(code?: number): void {
    this.socket.close(code);
  }
}

/** A client of `fieldmouse.v1` that keeps unacked frames, as the tracker does. */
export class BinaryVisitor {
  readonly socket: WebSocket;
  readonly hello: Promise<HelloReply>;
  acked = 0;
  n = 0;

  constructor(t: Owner, ws: string, options: VisitorOptions = {}) {
    this.socket = connect(t, ws, ['fieldmouse.v1'], options);
    this.socket.once('open', () => this.socket.send(helloFrame(options)));
    this.hello = firstMessage(this.socket).then((hello) => {
      this.n = Math.max(options.last ?? 0, hello.n);
      return hello;
    });
    this.socket.on('message', (data) => {
      const message = JSON.parse(String(data)) as Ack | { type: string };
      if (message.type === 'ack') this.acked = (message as Ack).n;
    });
  }

  /** Sends one frame with these samples and returns its number. */
  frame(...samples: Sample[]): number {
    this.n += 1;
    this.socket.send(samplesFrame(this.n, samples));
    return this.n;
  }

  bye(): void {
    this.socket.send(byeFrame());
  }
}

/** Makes `count` visitors one after another: idle workers take turns, so each worker gets some. */
export async function spread<T>(count: number, make: () => Promise<T>): Promise<T[]> {
  const made: T[] = [];
  for (let i = 0; i < count; i++) made.push(await make());
  return made;
}

async function firstMessage(socket: WebSocket): Promise<HelloReply> {
  const data = await Promise.race([
    once(socket, 'message').then(([message]) => String(message)),
    once(socket, 'close').then(([code]) => Promise.reject(new Error(`closed with ${code} before hello`))),
  ]);
  return JSON.parse(data) as HelloReply;
}

export function helloFrame({
  page = '/',
  token = '',
  size = [1280, 720, 1280, 2000],
  last = 0,
  clock = 0,
}: VisitorOptions = {}): Uint8Array {
  const [vw, vh, dw, dh] = size;
  return Uint8Array.from(
    encodeFrame(0, 0, encodeHello({ clock, vw, vh, dw, dh, token, page, language: 'en', referrer: '', last })),
  );
}

export function samplesFrame(n: number, samples: readonly Sample[]): Uint8Array {
  return Uint8Array.from(encodeFrame(n, 1, encodeSamples(samples)));
}

export function byeFrame(): Uint8Array {
  return Uint8Array.from(encodeFrame(0, 2));
}
