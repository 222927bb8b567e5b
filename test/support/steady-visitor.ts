/**
 * A visitor that follows the tracker's protocol: it keeps unacked frames, reconnects with its token and the number of
 * its last frame, and sends them again. Unlike the tracker it keeps all of them, for any time.
 */
import type { Control } from '../../src/protocol/control.ts';
import type { Sample } from '../../src/protocol/encode.ts';
import type { Owner } from './owner.ts';
import { BinaryVisitor, byeFrame, samplesFrame } from './visitor.ts';

/** Like the tracker: a server that does not answer a frame in this time is considered unreachable, milliseconds. */
const PATIENCE_MS = 10_000;
/** Delay before the first reconnect, doubled for each further one, and its maximum, milliseconds. */
const MIN_DELAY_MS = 100;
const MAX_DELAY_MS = 2000;
/** Maximum number of unacked frames on their way; more would exceed the server's rate limits. */
const WINDOW = 100;

interface Kept {
  n: number;
  samples: Sample[];
  /** Serials of the samples; `to` is not included. */
  from: number;
  to: number;
}

export class SteadyVisitor {
  /** Every sample has this number as `x`, and its serial from 0 as `y`. */
  readonly no: number;
  /** Id of its visit; empty before the first hello. */
  id = '';
  /** All lower serials are acked, since an ack covers all frames up to a number. */
  acked = 0;
  made = 0;
  connections = 0;
  /** Earlier ids of this visitor; there are none unless it stayed too long. */
  readonly former: string[] = [];
  /** Close codes of its connections. */
  readonly closes: number[] = [];
  /** Flush intervals received from the server, milliseconds. */
  readonly paces: number[] = [];
  readonly #t: Owner;
  readonly #address: () => string;
  readonly #page: string;
  readonly #began = performance.now();
  #visitor: BinaryVisitor | undefined;
  #token = '';
  #n = 0;
  #kept: Kept[] = [];
  /** Number of the last frame sent over this connection. */
  #sent = 0;
  #failures = 0;
  #isReady = false;
  #isGone = false;
  #timer: NodeJS.Timeout | undefined;
  #whenSettled: (() => void)[] = [];

  /** `address` returns the server's current address, in the form `ws://127.0.0.1:PORT`. */
  constructor(t: Owner, address: () => string, no: number, page = '/') {
    this.#t = t;
    this.#address = address;
    this.no = no;
    this.#page = page;
    t.after(() => this.#stop());
    this.#connect();
  }

  /** The clock starts at 10 s, so that times of earlier samples are not below 0. */
  get #clock(): number {
    return Math.round(performance.now() - this.#began) + 10_000;
  }

  #connect(): void {
    const about = { page: this.#page, token: this.#token, last: this.#n, clock: this.#clock };
    const visitor = new BinaryVisitor(this.#t, this.#address(), about);
    this.#visitor = visitor;
    this.connections += 1;
    visitor.hello.catch(() => {});
    visitor.socket.on('message', (data) => this.#receive(JSON.parse(String(data)) as Control));
    visitor.socket.once('close', (code) => this.#onClose(code));
    this.#wait(() => visitor.socket.terminate(), PATIENCE_MS);
  }

  #wait(action: () => void, ms: number): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(action, ms);
  }

  #onClose(code: number): void {
    this.closes.push(code);
    this.#isReady = false;
    const delay = Math.min(MAX_DELAY_MS, MIN_DELAY_MS * 2 ** this.#failures++);
    if (!this.#isGone) this.#wait(() => this.#connect(), delay * (0.5 + Math.random() / 2));
  }

  #receive(message: Control): void {
    clearTimeout(this.#timer);
    this.#failures = 0;
    if (message.type !== 'ack') this.paces.push(message.flushMs);
    if (message.type === 'pace') return;
    if (message.type === 'hello') this.#greet(message.visitor, message.token, message.n);
    this.#kept = this.#kept.filter(({ n, to }) => {
      if (n <= message.n) this.acked = Math.max(this.acked, to);
      return n > message.n;
    });
    this.#flush();
    if (this.#kept.length === 0) for (const settled of this.#whenSettled.splice(0)) settled();
  }

  #greet(id: string, token: string, n: number): void {
    if (this.id !== '' && this.id !== id) this.former.push(this.id);
    if (this.id !== id) {
      this.#n = n;
      for (const frame of this.#kept) frame.n = ++this.#n;
    }
    this.id = id;
    this.#token = token;
    this.#sent = 0;
    this.#isReady = true;
  }

  /** Sends a frame of `samples` moves. With `far` the steps are large and hard to pack. */
  move(samples: number, far = false): void {
    const now = this.#clock;
    const from = this.made;
    this.#add(samples, (serial) => ({
      type: 'move',
      time: now - samples + serial - from,
      x: this.no + (far && serial % 2 ? FAR : 0),
      y: serial,
    }));
  }

  /** Like `move`, with clicks and page changes in between. */
  browse(samples: number): void {
    const time = this.#clock;
    this.#add(samples, (serial) => {
      const place = { x: this.no, y: serial, time };
      if (serial % PAGE_EVERY === PAGE_EVERY - 1) return { type: 'page', page: `/page-${serial % PAGES}`, time };
      if (serial % CLICK_EVERY === CLICK_EVERY - 1)
        return { type: 'click', ...place, button: 0, ex: 0, ey: 0, selector: `a:nth-child(${serial % PAGES})` };
      return { type: 'move', ...place };
    });
  }

  #add(samples: number, sampleOf: (serial: number) => Sample): void {
    const from = this.made;
    this.made += samples;
    const list = Array.from({ length: samples }, (_, i) => sampleOf(from + i));
    const frame = { n: ++this.#n, samples: list, from, to: this.made };
    this.#kept.push(frame);
    this.#flush();
  }

  #flush(): void {
    if (!this.#isReady) return;
    for (const frame of this.#kept.slice(0, WINDOW)) if (frame.n > this.#sent) this.#send(frame);
  }

  #send({ n, samples }: Kept): void {
    this.#sent = n;
    this.#visitor?.socket.send(samplesFrame(n, samples));
    this.#wait(() => this.#visitor?.socket.terminate(), PATIENCE_MS);
  }

  /** Number of unacked samples. */
  get unacked(): number {
    return this.#kept.reduce((sum, { from, to }) => sum + to - from, 0);
  }

  /** Resolves when everything sent is acked. */
  settled(): Promise<void> {
    return new Promise((resolve) => {
      if (this.#kept.length === 0 && this.id !== '') resolve();
      else this.#whenSettled.push(resolve);
    });
  }

  /** Says bye, and does not reconnect. */
  leave(): void {
    this.#isGone = true;
    if (this.#isReady) this.#visitor?.socket.send(byeFrame());
    clearTimeout(this.#timer);
  }

  #stop(): void {
    this.#isGone = true;
    clearTimeout(this.#timer);
    this.#visitor?.socket.terminate();
  }
}

/** Samples between page changes and between clicks, and the number of pages, of a visitor that browses. */
export const PAGE_EVERY = 120;
const CLICK_EVERY = 50;
const PAGES = 7;

/** A step this large needs several bytes. */
export const FAR = 1_000_000;
