/**
 * A visitor that does as the tracker does: keeps what is not acked, comes back with its token and the number of its
 * last frame, and sends it again. Unlike the tracker it keeps all of it, however long that takes.
 */
import type { Control } from '../../src/protocol/control.ts';
import type { Sample } from '../../src/protocol/encode.ts';
import type { Owner } from './owner.ts';
import { BinaryVisitor, byeFrame, samplesFrame } from './visitor.ts';

/** As the tracker: a server that leaves a frame unanswered for so long is gone, milliseconds. */
const PATIENCE_MS = 10_000;
/** Delay before the first new attempt, doubled with each, and its limit, milliseconds. */
const MIN_DELAY_MS = 100;
const MAX_DELAY_MS = 2000;
/** Frames on their way and not acked; more would be too fast for the server. */
const WINDOW = 100;

interface Kept {
  n: number;
  samples: Sample[];
  /** Serials of the samples; `to` is not included. */
  from: number;
  to: number;
}

export class SteadyVisitor {
  /** Every sample is at `x` = this, `y` = its serial from 0. */
  readonly no: number;
  /** Id of its visit; empty before the first hello. */
  id = '';
  /** Serials below are all acked: acks are of all frames up to a number. */
  acked = 0;
  made = 0;
  connections = 0;
  /** Ids that it had before this one; there should be none, unless it has stayed for too long. */
  readonly former: string[] = [];
  /** Codes that its connections were closed with. */
  readonly closes: number[] = [];
  /** Paces that it was told, ms between frames. */
  readonly paces: number[] = [];
  readonly #t: Owner;
  readonly #address: () => string;
  readonly #page: string;
  readonly #began = performance.now();
  #visitor: BinaryVisitor | undefined;
  #token = '';
  #n = 0;
  #kept: Kept[] = [];
  /** Number of the last frame that was sent over this connection. */
  #sent = 0;
  #failures = 0;
  #isReady = false;
  #isGone = false;
  #timer: NodeJS.Timeout | undefined;
  #whenSettled: (() => void)[] = [];

  /** `address`: where the server is now, as `ws://127.0.0.1:PORT`. */
  constructor(t: Owner, address: () => string, no: number, page = '/') {
    this.#t = t;
    this.#address = address;
    this.no = no;
    this.#page = page;
    t.after(() => this.#stop());
    this.#connect();
  }

  /** The first samples are of a moment ago, and no time is below 0. */
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

  /** Makes a frame of so many samples. `far`: steps are large, as they are hard to pack. */
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

  /** As `move`, with a click now and then, and page changes. */
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

  /** Samples that are not acked. */
  get unacked(): number {
    return this.#kept.reduce((sum, { from, to }) => sum + to - from, 0);
  }

  /** Resolves when all that was made is acked. */
  settled(): Promise<void> {
    return new Promise((resolve) => {
      if (this.#kept.length === 0 && this.id !== '') resolve();
      else this.#whenSettled.push(resolve);
    });
  }

  /** Says bye, and does not come back. */
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

/** Who browses does so each so many samples, on so many pages. */
export const PAGE_EVERY = 120;
const CLICK_EVERY = 50;
const PAGES = 7;

/** Far enough that the step needs several bytes. */
export const FAR = 1_000_000;
