import type { Control } from '../protocol/control.ts';
import { type Bytes, encodeFrame, packFrames } from '../protocol/encode.ts';
import { pace } from './beat.ts';
import { guard } from './guard.ts';
import { helloOf } from './hello.ts';
import {
  BEACON_BYTES,
  IDLE_POSTS,
  MAX_DELAY_MS,
  MAX_ON_WAY,
  MIN_DELAY_MS,
  PATIENCE_MS,
  POST_MS,
  ROUND,
  TAKEN_OVER,
  WINDOW,
} from './limits.ts';
import { ack, cut, emptyOutbox, hasUnacked, isEmpty, unacked } from './outbox.ts';
import { currentPage } from './sampler.ts';
import { keepFor, loadToken, saveToken } from './token.ts';
import { stop } from './tracker.ts';

/** A server puts its own path in place of this one when it serves the script (src/http/pages.ts). */
const ENDPOINT = '/v1/visit';

/** Of protocol/close.ts, and the like of HTTP: after these another attempt would end the same way. */
const FINAL = [4400, 4410, 400, 403, 404];

export interface Target {
  site: string;
  /** Origin of the Fieldmouse server, as `https://live.example.org`. */
  server: string;
  /** Path of its visitor endpoint; `/v1/visit` unless the server was told otherwise. */
  endpoint?: string;
}

let target: Target;
let socket: WebSocket | undefined;
/** The socket's hello was answered. */
let ready = false;
/** The resume token, kept for the next page of this tab. */
let token = '';
/** Whom our frames are numbered for; empty until a hello was answered. */
let visitor = '';
let failures = 0;
let idle = 0;
/** 0: bye was said, and anything more would bring the visitor back; 1: waits for the next attempt; 2: at work. */
let phase = 0;
/** The one thing waited for: an answer, the next POST, or the next attempt. */
let timer: ReturnType<typeof setTimeout> | undefined;

/** Connects and stays connected, until the server wants no more of this page. */
export function connect(to: Target): void {
  target = to;
  keepFor(to.site);
  resume();
}

function wait(callback: () => void, ms: number): void {
  stopWaiting();
  timer = setTimeout(guard(callback), ms);
}

function stopWaiting(): void {
  clearTimeout(timer);
  timer = undefined;
}

function open(): void {
  drop();
  phase = 2;
  if (failures % ROUND < ROUND - 1)
    try {
      socket = new WebSocket(address().replace('http', 'ws'), 'fieldmouse.v1');
      socket.onopen = guard(() => send(helloOf(token, visitor)));
      socket.onmessage = guard(({ data }) => receive(JSON.parse(data)));
      // Where the page's content security policy forbids it, Chromium tells of the error and of no close.
      socket.onclose = socket.onerror = guard((event: Event) => lost((event as CloseEvent).code));
      wait(lost, PATIENCE_MS);
      return;
    } catch {
      // No WebSocket in this browser.
    }
  idle = -1;
  post();
}

function receive(message: Control): void {
  stopWaiting();
  if (message.type === 'ack') {
    // A hello alone does not show that the server takes our frames: were it to refuse one, we would be back at once.
    failures = 0;
    ack(message.n);
  } else {
    Object.assign(pace, message);
    if (message.type === 'hello') {
      ack(message.n, message.visitor !== visitor);
      visitor = message.visitor;
      remember(message.token);
      ready = !!socket;
      if (ready) unacked().forEach(send);
      else failures = 0;
    }
  }
  flush();
  if (ready && hasUnacked()) awaitAnswer();
}

/** Sends what waits, as soon as it can be sent. */
export function flush(): void {
  if (ready && (socket as WebSocket).bufferedAmount < MAX_ON_WAY) cut(WINDOW).forEach(send);
}

function send(frame: Bytes): void {
  socket?.send(new Uint8Array(frame));
  awaitAnswer();
}

/**
 * A cut cable is silent: without an answer in time the socket counts as dead. The time runs from the first thing
 * unanswered, however much is sent after it.
 */
function awaitAnswer(): void {
  if (!timer) wait(lost, PATIENCE_MS);
}

/** One at a time, each led by a hello, the first nothing but that. */
async function post(): Promise<void> {
  if (isEmpty() && ++idle % IDLE_POSTS) wait(post, POST_MS);
  else {
    wait(lost, PATIENCE_MS);
    let status = 0;
    let reply: (Control & { detail?: string }) | undefined;
    try {
      const response = await fetch(address(), { method: 'POST', body: body(WINDOW) });
      status = response.status;
      reply = await response.json();
    } catch {
      // No network, or no answer that makes sense.
    }
    if (phase < 2 || socket) return;
    if (reply && status === 200) {
      receive(reply);
      wait(post, Math.max(POST_MS, pace.flushMs));
    } else lost(status, reply?.detail);
  }
}

function lost(code = 0, why = ''): void {
  drop();
  phase = FINAL.includes(code) ? 0 : 1;
  if (!phase) {
    console.warn(`Fieldmouse: refused (${code}) ${why}`);
    stop();
  } else {
    if (code === TAKEN_OVER) remember('');
    wait(open, Math.min(MAX_DELAY_MS, MIN_DELAY_MS * 2 ** failures++) * (0.5 + Math.random() / 2));
  }
}

function drop(): void {
  stopWaiting();
  ready = false;
  if (socket) {
    socket.onclose = socket.onerror = null;
    socket.close();
    socket = undefined;
  }
}

/**
 * A hello and all that the server does not have, as a request that needs no CORS preflight. Before a hello was
 * answered there is no number to send frames under. Of more than `most` bytes the newest are left out: frames up to
 * the last one that came count as had.
 */
function body(most: number, ...last: Bytes[]): BodyInit {
  if (visitor) cut(most);
  let room = BEACON_BYTES;
  const kept = (visitor ? unacked() : []).filter((frame) => {
    room -= frame.length;
    return room > 0;
  });
  return new Uint8Array(packFrames([helloOf(token, visitor), ...kept, ...last]));
}

function address(): string {
  // Keys of sites have no character that means something in an address.
  return `${target.server + (target.endpoint ?? ENDPOINT)}?site=${target.site}`;
}

function remember(given: string): void {
  token = given;
  saveToken(given);
}

function beacon(...last: Bytes[]): void {
  if (token && phase) navigator.sendBeacon(address(), body(2 * WINDOW, ...last));
}

/** The page may be about to go: without an open socket, what is unsent is left to the browser. */
export function hide(): void {
  if (ready) flush();
  else if (phase > 1 && !socket) suspend();
  else if (!isEmpty()) beacon();
}

/** The page goes: says bye. It may come back, and an open socket would keep it from that. */
export function suspend(): void {
  beacon(encodeFrame(0, 2));
  phase = 0;
  drop();
}

/** The page is back, or there is other reason to believe that the server can be reached. */
export function resume(): void {
  if (phase < 2) {
    token = loadToken() || token;
    // A later page of the tab may have been given another: our frames have no numbers of that.
    if (!token.startsWith(visitor)) {
      visitor = '';
      if (!phase) emptyOutbox(currentPage());
    }
    open();
  }
}

/** Says bye and forgets the visitor. */
export function disconnect(): void {
  suspend();
  remember('');
  visitor = '';
}
