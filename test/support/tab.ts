/** A tab that follows the tracker's protocol (src/tracker/connection.ts, outbox.ts) step by step. */
import { WebSocket } from 'ws';
import type { Control, HelloReply } from '../../src/protocol/control.ts';
import { packFrames } from '../../src/protocol/encode.ts';
import { until } from './exact.ts';
import type { Owner } from './owner.ts';
import { byeFrame, helloFrame, samplesFrame } from './visitor.ts';

const TAKEN_OVER = 4409;
/** Time after which the tab considers an unanswered connection dead, milliseconds. */
const PATIENCE_MS = 5000;

interface Frame {
  n: number;
  clicks: string[];
  time: number;
}

/** One page of a tab, from its load on; going back may return to it. */
interface Page {
  path: string;
  visitor: string;
  token: string;
  last: number;
  waiting: string[];
  sent: Frame[];
  /** Selectors of all clicks on it, and of the clicks that the server acked. */
  clicks: string[];
  acked: string[];
  loadedAt: number;
}

export class Tab {
  /** All pages, oldest first. */
  readonly pages: Page[] = [];
  /** The token in sessionStorage. */
  token: string;
  readonly #owner: Owner;
  readonly #url: () => string;
  readonly #name: () => string;
  readonly #site: string;
  #page: Page;
  #socket: WebSocket | undefined;
  #ready = false;
  /** True after the page has said bye without being unloaded. */
  #isAway = false;

  /** `url` returns the current address of the server. `name` returns a unique selector for each click. */
  constructor(owner: Owner, url: () => string, name: () => string, token = '', site = 'demo') {
    this.#owner = owner;
    this.#url = url;
    this.#name = name;
    this.token = token;
    this.#site = site;
    this.#page = this.#load();
  }

  #load(): Page {
    const page: Page = {
      path: `/${this.pages.length}`,
      visitor: '',
      token: this.token,
      last: 0,
      waiting: [],
      sent: [],
      clicks: [],
      acked: [],
      loadedAt: performance.now(),
    };
    this.pages.push(page);
    return page;
  }

  /** Id of this tab's visitor; empty while unknown. */
  get visitor(): string {
    return this.#page.visitor;
  }

  click(): void {
    const name = this.#name();
    this.#page.waiting.push(name);
    this.#page.clicks.push(name);
  }

  /** Opens a socket and waits for hello, or for its end. */
  async connect(): Promise<void> {
    this.cut();
    this.#return();
    const page = this.#page;
    const url = `${this.#url().replace('http', 'ws')}/v1/visit?site=${this.#site}&page=${page.path}`;
    const socket = new WebSocket(url, ['fieldmouse.v1'], { handshakeTimeout: PATIENCE_MS });
    this.#owner.after(() => socket.terminate());
    this.#socket = socket;
    socket.on('error', () => {});
    socket.on('open', () => socket.send(this.#hello(page)));
    socket.on('message', (data) => this.#receive(page, JSON.parse(String(data)) as Control));
    const over = new Promise<void>((resolve) => {
      socket.on('close', (code) => {
        if (this.#socket === socket) this.#lost(page, code);
        resolve();
      });
      socket.once('message', () => resolve());
    });
    await over;
  }

  #hello({ token, path, visitor, last, loadedAt }: Page): Uint8Array {
    return helloFrame({
      token,
      page: path,
      last: visitor ? last : 0,
      clock: Math.floor(performance.now() - loadedAt),
    });
  }

  #lost(page: Page, code: number): void {
    this.#socket = undefined;
    this.#ready = false;
    if (code === TAKEN_OVER) this.#remember(page, '');
  }

  #receive(page: Page, message: Control): void {
    if (message.type === 'ack') this.#ack(page, message.n, false);
    if (message.type !== 'hello') return;
    this.#ack(page, message.n, message.visitor !== page.visitor);
    page.visitor = message.visitor;
    this.#remember(page, message.token);
    if (!this.#socket || page !== this.#page) return;
    this.#ready = true;
    for (const frame of page.sent) this.#send(frame);
    this.flush();
  }

  #ack(page: Page, n: number, isNew: boolean): void {
    if (isNew) {
      page.last = n;
      for (const frame of page.sent) frame.n = ++page.last;
      return;
    }
    for (const frame of page.sent) if (frame.n <= n) page.acked.push(...frame.clicks);
    page.sent = page.sent.filter((frame) => frame.n > n);
    page.last = Math.max(page.last, n);
  }

  #remember(page: Page, token: string): void {
    page.token = token;
    this.token = token;
  }

  #cut(page: Page): void {
    if (page.waiting.length === 0) return;
    page.sent.push({ n: ++page.last, clicks: page.waiting, time: Math.floor(performance.now() - page.loadedAt) });
    page.waiting = [];
  }

  #send(frame: Frame): void {
    this.#socket?.send(bytesOf(frame));
  }

  /** Sends waiting clicks over the open socket. */
  flush(): void {
    if (!this.#ready) return;
    const page = this.#page;
    const from = page.sent.length;
    this.#cut(page);
    for (const frame of page.sent.slice(from)) this.#send(frame);
  }

  /** Cuts the connection: the server may have received everything, and its answer is lost. */
  cut(): void {
    this.#socket?.terminate();
    this.#socket = undefined;
    this.#ready = false;
  }

  /** Sends everything unacked in a POST. */
  async post(loseAnswer = false): Promise<void> {
    this.cut();
    this.#return();
    const page = this.#page;
    if (page.visitor) this.#cut(page);
    const reply = await this.#deliver(page, page.visitor ? page.sent.map(bytesOf) : []);
    if (reply && !loseAnswer) this.#receive(page, reply);
  }

  async #deliver(page: Page, frames: Uint8Array[]): Promise<HelloReply | undefined> {
    const body = packFrames([this.#hello(page), ...frames].map((frame) => [...frame]));
    try {
      const response = await fetch(`${this.#url()}/v1/visit?site=${this.#site}&page=${page.path}`, {
        method: 'POST',
        headers: { 'content-type': 'text/plain' },
        body: Uint8Array.from(body),
        signal: AbortSignal.timeout(PATIENCE_MS),
      });
      const text = await response.text();
      return response.ok ? (JSON.parse(text) as HelloReply) : undefined;
    } catch {
      return undefined;
    }
  }

  /**
   * Says bye with everything unacked. The page does not see the response, but the frames that it acks are counted here.
   */
  async #beacon(page: Page, sent: { token: string }): Promise<void> {
    if (!sent.token) return;
    if (page.visitor) this.#cut(page);
    const frames = page.visitor ? [...page.sent] : [];
    const reply = await this.#deliver(page, [...frames.map(bytesOf), byeFrame()]);
    if (reply && reply.visitor === page.visitor)
      for (const { n, clicks } of frames) if (n <= reply.n) page.acked.push(...clicks);
  }

  /** Hides the page, or puts it into the back-forward cache: it says bye with everything unacked, and may return. */
  async leave(): Promise<void> {
    this.cut();
    this.#isAway = true;
    await this.#beacon(this.#page, { token: this.#page.token });
  }

  #return(): void {
    if (this.#isAway) this.#resume(this.#page);
    this.#isAway = false;
  }

  /** Loads another page in this tab. The last frames of the old page arrive before or after the new page's hello. */
  async navigate(beaconFirst: boolean): Promise<void> {
    const before = this.#page;
    const said = { token: this.#isAway ? '' : before.token };
    this.#isAway = false;
    this.cut();
    if (beaconFirst) await this.#beacon(before, said);
    this.#page = this.#load();
    await this.connect();
    if (!beaconFirst) await this.#beacon(before, said);
  }

  /** Goes back to the previous page, which was cached unchanged. */
  async back(): Promise<void> {
    const index = this.pages.indexOf(this.#page) - 1;
    const page = this.pages[index];
    if (!page) return;
    const left = this.#page;
    this.cut();
    if (!this.#isAway) await this.#beacon(left, { token: left.token });
    this.#isAway = false;
    this.#page = page;
    this.#resume(page);
    await this.connect();
  }

  #resume(page: Page): void {
    page.token = this.token || page.token;
    if (page.token.startsWith(page.visitor)) return;
    // The tab has another visitor now. This page's frames were in its last beacon.
    page.visitor = '';
    page.sent = [];
  }

  /** Connects if necessary, and sends everything. Returns true if everything is acked. */
  async settle(): Promise<boolean> {
    const page = this.#page;
    if (page.waiting.length + page.sent.length === 0) return true;
    if (!this.#ready) await this.connect();
    this.flush();
    await until(() => page.sent.length + page.waiting.length === 0 || !this.#ready, 'an ack');
    return page.sent.length + page.waiting.length === 0;
  }
}

function bytesOf({ n, clicks, time }: Frame): Uint8Array {
  const click = { type: 'click', x: 10, y: 20, button: 0, ex: 0, ey: 0 } as const;
  return samplesFrame(
    n,
    clicks.map((selector) => ({ time, ...click, selector })),
  );
}
