/** A tab that speaks as the tracker does (src/tracker/connection.ts, outbox.ts), one step at a time. */
import { WebSocket } from 'ws';
import type { Control, HelloReply } from '../../src/protocol/control.ts';
import { packFrames } from '../../src/protocol/encode.ts';
import { until } from './exact.ts';
import type { Owner } from './owner.ts';
import { byeFrame, helloFrame, samplesFrame } from './visitor.ts';

const TAKEN_OVER = 4409;
/** How long an answer is awaited before the tab takes the connection for dead, milliseconds. */
const PATIENCE_MS = 5000;

interface Frame {
  n: number;
  clicks: string[];
  time: number;
}

/** One page of a tab, from its load; a later page may bring the tab back to it. */
interface Page {
  path: string;
  visitor: string;
  token: string;
  last: number;
  waiting: string[];
  sent: Frame[];
  /** Selectors of all clicks made on it, and of those that the server said it has. */
  clicks: string[];
  acked: string[];
  loadedAt: number;
}

export class Tab {
  /** All pages, the first first. */
  readonly pages: Page[] = [];
  /** What sessionStorage has. */
  token: string;
  readonly #owner: Owner;
  readonly #url: () => string;
  readonly #name: () => string;
  readonly #site: string;
  #page: Page;
  #socket: WebSocket | undefined;
  #ready = false;
  /** The page has said bye, and is still there. */
  #isAway = false;

  /** `url`: of the server now. `name` gives each click a selector of its own. */
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

  /** Id of the visitor that this tab is; empty: not known yet. */
  get visitor(): string {
    return this.#page.visitor;
  }

  click(): void {
    const name = this.#name();
    this.#page.waiting.push(name);
    this.#page.clicks.push(name);
  }

  /** Opens a socket and waits for the hello, or for the end of it. */
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

  /** Sends what waits over the open socket. */
  flush(): void {
    if (!this.#ready) return;
    const page = this.#page;
    const from = page.sent.length;
    this.#cut(page);
    for (const frame of page.sent.slice(from)) this.#send(frame);
  }

  /** The connection is cut: the server may have got what was sent, and its answer is lost. */
  cut(): void {
    this.#socket?.terminate();
    this.#socket = undefined;
    this.#ready = false;
  }

  /** A POST with all that is unacked. */
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

  /** Says bye with what is unacked; the page's answer comes to nobody. What the server took for stored counts here all the same. */
  async #beacon(page: Page, sent: { token: string }): Promise<void> {
    if (!sent.token) return;
    if (page.visitor) this.#cut(page);
    const frames = page.visitor ? [...page.sent] : [];
    const reply = await this.#deliver(page, [...frames.map(bytesOf), byeFrame()]);
    if (reply && reply.visitor === page.visitor)
      for (const { n, clicks } of frames) if (n <= reply.n) page.acked.push(...clicks);
  }

  /** The page is hidden, or kept to be gone back to: it says bye with what is unacked, and may return. */
  async leave(): Promise<void> {
    this.cut();
    this.#isAway = true;
    await this.#beacon(this.#page, { token: this.#page.token });
  }

  #return(): void {
    if (this.#isAway) this.#resume(this.#page);
    this.#isAway = false;
  }

  /** Another page is loaded in this tab. The last words of this one come before its hello, or after. */
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

  /** Back to the page before, which was kept as it was. */
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
    // The tab has another visitor now; what this page had was given to its last beacon.
    page.visitor = '';
    page.sent = [];
  }

  /** Connects, if need be, and sends all there is. True when all is acked. */
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
