import type { Control, HelloReply } from '../protocol/control.ts';
import { type Bytes, encodeFrame, packFrames } from '../protocol/encode.ts';
import { pace } from './beat.ts';
import { ask, attempt, guard } from './guard.ts';
import { helloFrame } from './hello.ts';
import {
  BEACON_BYTES,
  IDLE_POSTS,
  MAX_DELAY_MS,
  MIN_DELAY_MS,
  PATIENCE_MS,
  POST_MS,
  ROUND,
  TAKEN_OVER,
  WINDOW,
} from './limits.ts';
import { ack, cut, emptyOutbox, hasUnacked, isEmpty, unacked } from './outbox.ts';
import { currentPage, settle, told } from './sampler.ts';
import { keepFor, loadToken, remember, token } from './token.ts';
import { stop } from './tracker.ts';

export interface Target {
  site: string;
  /** Origin of the Fieldmouse server, as `https://live.example.org`. */
  server: string;
  /** Path of its visitor endpoint; `/v1/visit` unless the server was told otherwise. */
  endpoint?: string;
}

/** Where frames go. Keys of sites have no character that means something in an address. */
let address = '';
/** A server puts its own path in place of this one when it serves the script (src/http/static/files.ts). */
const ENDPOINT = '/v1/visit';
let socket: WebSocket | undefined;
/** Whom our frames are numbered for; empty until a hello was answered. */
export let visitor = '';
let failures = 0;
let idle = 0;
/**
 * 0: bye was said, and anything more would bring the visitor back; 1: waits for the next attempt; 2: a socket opens, or
 * POSTs are sent; 3: the socket's hello was answered.
 */
let phase = 0;
/** The one thing waited for: an answer, the next POST, or the next attempt. */
let timer: ReturnType<typeof setTimeout> | undefined;

/** Connects and stays connected, until the server wants no more of this page. */
export function connect({ site, server, endpoint = ENDPOINT }: Target): void {
  address = `${server + endpoint}?site=${site}`;
  keepFor(site);
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
  // Everything is told again: the server may know nothing of this page any more. Not with every hello, or an idle page
  // would always have something to post.
  told.length = 0;
  if (failures % ROUND < ROUND - 1) attempt(connectSocket);
  if (socket) awaitAnswer();
  else {
    idle = -1;
    // Browsers slow down the timers of a hidden page: a POST now and then would make its visitor join again and again.
    if (ask(document, 'hidden')) lost();
    else post();
  }
}

/** Throws where the browser has no WebSocket. */
function connectSocket(): void {
  const opened = new WebSocket(address.replace('http', 'ws'), 'fieldmouse.v1');
  socket = opened;
  socket.onopen = guard(() => send(helloFrame()));
  socket.onmessage = guard(({ data }) => receive(JSON.parse(data)));
  // Where the page's content security policy forbids it, Chromium tells of the error and of no close.
  socket.onclose = socket.onerror = guard(
    ({ code, reason }: Partial<CloseEvent>) => opened === socket && lost(code, reason),
  );
}

function receive(message: Control): void {
  stopWaiting();
  Object.assign(pace, message);
  // Only a hello names a visitor, and a pace has no number.
  const { n, visitor: given, token: proof } = message as HelloReply;
  ack(n, given && given !== visitor);
  if (given) {
    visitor = given;
    remember(proof);
  }
  // A hello alone does not show that the server takes our frames: were it to refuse one, we would be back at once.
  if (given && socket) {
    phase = 3;
    unacked().forEach(send);
  } else failures = 0;
  flush();
  if (socket && hasUnacked()) awaitAnswer();
}

/** Sends what waits, as soon as it can be sent. */
export function flush(): void {
  if (phase > 2) cut(WINDOW).forEach(send);
}

function send(frame: Bytes): void {
  (socket as WebSocket).send(new Uint8Array(frame));
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
    let status: number | undefined;
    let reply: (HelloReply & { detail?: string }) | undefined;
    try {
      const response = await fetch(address, { method: 'POST', body: body(WINDOW) });
      status = response.status;
      reply = await response.json();
    } catch {
      // No network, or no answer that makes sense.
    }
    if (phase < 2 || socket) return;
    if (reply?.visitor) {
      receive(reply);
      wait(post, Math.max(POST_MS, pace.flushMs));
    } else lost(status, reply?.detail);
  }
}

function lost(code?: number, why = ''): void {
  drop();
  // Of HTTP, and of protocol/close.ts as 4000 more: after these another attempt would end the same way.
  phase = +![400, 403, 404, 410].includes((code as number) % 4000);
  if (!phase) {
    stop();
    console.warn(`Fieldmouse: refused (${code}) ${why}`);
  } else {
    if (code === TAKEN_OVER) remember('');
    wait(open, Math.min(MAX_DELAY_MS, MIN_DELAY_MS * 2 ** failures++) * (1 - Math.random() / 2));
  }
}

function drop(): void {
  stopWaiting();
  socket?.close();
  socket = undefined;
}

/**
 * A hello and all that the server does not have, as a request that needs no CORS preflight. Before a hello was
 * answered there is no number to send frames under. Of more than `most` bytes the newest are left out: frames up to
 * the last one that came count as had.
 */
function body(most: number, ...last: Bytes[]): BodyInit {
  if (visitor) cut(most);
  let room = BEACON_BYTES;
  const kept = unacked().filter((frame) => {
    room -= frame.length;
    return room > 0 && visitor;
  });
  return new Uint8Array(packFrames([helloFrame(), ...kept, ...last]));
}

function beacon(...last: Bytes[]): void {
  if (phase && token) attempt(() => navigator.sendBeacon(address, body(WINDOW * 2, ...last)));
}

/** The page may be about to go: without an open socket, what is unsent is left to the browser. */
export function hide(): void {
  if (phase > 2) flush();
  else if (phase > 1 && !socket) suspend();
  else beacon();
}

/** The page goes: says bye. It may come back, and an open socket would keep it from that. */
export function suspend(): void {
  settle();
  flush();
  beacon(encodeFrame(0, 2));
  phase = 0;
  drop();
}

/** The page is back, or there is other reason to believe that the server can be reached. */
export function resume(): void {
  if (phase < 2) {
    loadToken();
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
