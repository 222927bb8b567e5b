import type { Control } from '../protocol/control.ts';
import { type Bytes, encodeFrame, packFrames } from '../protocol/encode.ts';
import { pace } from './beat.ts';
import { guard } from './guard.ts';
import { helloOf } from './hello.ts';
import {
  ALL,
  BEACON_BYTES,
  IDLE_POSTS,
  MAX_DELAY_MS,
  MAX_ON_WAY,
  MIN_DELAY_MS,
  PATIENCE_MS,
  POST_MS,
  ROUND,
  TAKEN_OVER,
} from './limits.ts';
import { ack, cut, frontPage, hasUnacked, isEmpty, unacked } from './outbox.ts';
import { keepFor, loadToken, saveToken } from './token.ts';

/** A server puts its own path in place of the name when it serves this file. */
const ENDPOINT = '__FIELDMOUSE_ENDPOINT__'.replace(/^__.*/, '/v1/visit');

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
let refused: () => void;
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
/** Something sent is unanswered, and the timer runs since then. */
let asked = false;

/** Connects and stays connected. `whenRefused` is called when the server wants no more of this page. */
export function connect(to: Target, whenRefused: () => void): void {
  target = to;
  guard(() => keepFor(to.site))();
  refused = whenRefused;
  resume();
}

function wait(callback: () => void, ms: number): void {
  clearTimeout(timer);
  asked = false;
  timer = setTimeout(guard(callback), ms);
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
  clearTimeout(timer);
  asked = false;
  // A hello alone does not show that the server takes our frames: were it to refuse one, we would be back at once.
  if (message.type === 'ack' || !socket) failures = 0;
  if (message.type === 'ack') ack(message.n);
  else Object.assign(pace, message);
  if (message.type === 'hello') {
    ack(message.n, message.visitor !== visitor);
    visitor = message.visitor;
    remember(message.token);
    ready = !!socket;
    if (ready) unacked().forEach(send);
  }
  flush();
  if (ready && hasUnacked()) awaitAnswer();
}

/** Sends what waits, as soon as it can be sent. */
export function flush(): void {
  if (ready && (socket as WebSocket).bufferedAmount < MAX_ON_WAY) cut().forEach(send);
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
  if (asked) return;
  wait(lost, PATIENCE_MS);
  asked = true;
}

/** One at a time, each led by a hello, the first nothing but that. */
async function post(): Promise<void> {
  if (isEmpty() && ++idle % IDLE_POSTS) wait(post, POST_MS);
  else {
    wait(lost, PATIENCE_MS);
    let status = 0;
    let reply: Control | undefined;
    try {
      const response = await fetch(address(), { method: 'POST', body: body(ALL), credentials: 'omit' });
      status = response.status;
      if (response.ok) reply = await response.json();
    } catch {
      // No network, or no answer that makes sense.
    }
    if (phase < 2 || socket) return;
    if (reply) {
      receive(reply);
      wait(post, Math.max(POST_MS, pace.flushMs));
    } else lost(status);
  }
}

function lost(code = 0): void {
  drop();
  phase = FINAL.includes(code) ? 0 : 1;
  if (!phase) {
    console.warn(`Fieldmouse: refused (${code})`);
    refused();
  } else {
    if (code === TAKEN_OVER) remember('');
    wait(open, Math.min(MAX_DELAY_MS, MIN_DELAY_MS * 2 ** failures++) * (0.5 + Math.random() / 2));
  }
}

function drop(): void {
  clearTimeout(timer);
  ready = false;
  if (socket) {
    socket.onclose = socket.onerror = socket.onmessage = null;
    socket.close();
    socket = undefined;
  }
}

/**
 * A hello and all that the server does not have, as a request that needs no CORS preflight. Before a hello was
 * answered there is no number to send frames under. Of more than `most` bytes the newest are left out: frames up to
 * the last one that came count as had.
 */
function body(most: number, ...last: Bytes[]): Blob {
  if (visitor) cut();
  let room = most;
  const kept = (visitor ? unacked() : []).filter((frame) => {
    room -= frame.length;
    return room > 0;
  });
  return new Blob([new Uint8Array(packFrames([helloOf(token, visitor), ...kept, ...last]))], { type: 'text/plain' });
}

function address(): string {
  const query = new URLSearchParams({ site: target.site, page: frontPage() });
  return `${target.server}${target.endpoint ?? ENDPOINT}?${query}`;
}

function remember(given: string): void {
  token = given;
  saveToken(given);
}

function beacon(...last: Bytes[]): void {
  if (token && phase) navigator.sendBeacon(address(), body(BEACON_BYTES, ...last));
}

/** The page may be about to go: without an open socket, what is unsent is left to the browser. */
export function hide(): void {
  if (ready) flush();
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
    if (!token.startsWith(visitor)) visitor = '';
    open();
  }
}

/** Says bye and forgets the visitor. */
export function disconnect(): void {
  suspend();
  remember('');
  visitor = '';
}
