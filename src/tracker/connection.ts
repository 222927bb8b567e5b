import type { Control, HelloReply } from '../protocol/control.ts';
import { type Bytes, encodeFrame, packFrames } from '../protocol/encode.ts';
import { pace } from './beat.ts';
import { ask, attempt, guarded } from './guard.ts';
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
  /** Origin of the Fieldmouse server, for example `https://live.example.org`. */
  server: string;
  /** Path of its visitor endpoint, if the server is configured to use another path than `/v1/visit`. */
  endpoint?: string;
}

/** Address of the endpoint. Keys of sites need no escaping in an address. */
let address = '';
/** When a server serves the script, it replaces this path with its own (src/http/static/files.ts). */
const ENDPOINT = '/v1/visit';
let socket: WebSocket | undefined;
/** The visitor that the frames are numbered for; empty until a hello was answered. */
export let visitor = '';
let failures = 0;
let idle = 0;
/**
 * 0: bye was sent, and any other frame would make the visitor join again; 1: waiting for the next attempt; 2: a socket
 * is opening, or POSTs are sent; 3: the socket's hello was answered.
 */
let phase = 0;
/** Runs until an answer is overdue, or until the next POST or the next attempt. */
let timer: ReturnType<typeof setTimeout> | undefined;

/** Connects, and connects again whenever the connection breaks, until the server refuses this page. */
export function connect({ site, server, endpoint = ENDPOINT }: Target): void {
  address = `${server + endpoint}?site=${site}`;
  keepFor(site);
  resume();
}

function wait(callback: () => void, ms: number): void {
  stopWaiting();
  timer = setTimeout(guarded(callback), ms);
}

function stopWaiting(): void {
  clearTimeout(timer);
  timer = undefined;
}

function open(): void {
  drop();
  phase = 2;
  // Sizes, visibility and so on are sent again: the server may have forgotten this page. Not with every hello, because
  // then an idle page would post all the time.
  told.length = 0;
  if (failures % ROUND < ROUND - 1) attempt(connectSocket);
  if (socket) awaitAnswer();
  else {
    idle = -1;
    // Browsers slow down the timers of a hidden page. With so few POSTs, its visitor would leave and join repeatedly.
    if (ask(document, 'hidden')) lost();
    else post();
  }
}

/** Opens a socket. Throws if the browser has no WebSocket. */
function connectSocket(): void {
  const opened = new WebSocket(address.replace('http', 'ws'), 'fieldmouse.v1');
  socket = opened;
  socket.onopen = guarded(() => send(helloFrame()));
  socket.onmessage = guarded(({ data }) => receive(JSON.parse(data)));
  // If the page's content security policy forbids the socket, Chromium fires `error` but not `close`.
  socket.onclose = socket.onerror = guarded(
    ({ code, reason }: Partial<CloseEvent>) => opened === socket && lost(code, reason),
  );
}

function receive(message: Control): void {
  stopWaiting();
  Object.assign(pace, message);
  // Only the answer to a hello names a visitor. A message that sets the pace has no number.
  const { n, visitor: given, token: proof } = message as HelloReply;
  ack(n, given && given !== visitor);
  if (given) {
    visitor = given;
    remember(proof);
  }
  // Failures are not reset yet: if the server answers each hello but refuses the frames, attempts must still slow down.
  if (given && socket) {
    phase = 3;
    unacked().forEach(send);
  } else failures = 0;
  flush();
  if (socket && hasUnacked()) awaitAnswer();
}

/** Sends the waiting samples, if the connection is ready. */
export function flush(): void {
  if (phase > 2) cut(WINDOW).forEach(send);
}

function send(frame: Bytes): void {
  (socket as WebSocket).send(new Uint8Array(frame));
  awaitAnswer();
}

/**
 * Gives up the connection if no answer comes in time: a broken network often reports no error. The time runs from the
 * first unanswered frame, also if more are sent after it.
 */
function awaitAnswer(): void {
  if (!timer) wait(lost, PATIENCE_MS);
}

/** Sends POSTs, one at a time. Each starts with a hello; the first has nothing else. */
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
      // No network, or an answer that is not JSON.
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
  // HTTP statuses, or close codes of protocol/close.ts minus 4000, after which another attempt would fail, too.
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
 * The body of a request that needs no CORS preflight: a hello, and up to `most` frames that the server does not have.
 * Before a hello was answered, frames have no numbers and are left out. If they exceed BEACON_BYTES, the newest are
 * left out, because the server takes the number of the last frame to mean that it has all earlier ones.
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

/** The page is hidden and may be closed next. Without an open socket, a beacon sends the rest. */
export function hide(): void {
  if (phase > 2) flush();
  else if (phase > 1 && !socket) suspend();
  else beacon();
}

/**
 * Sends bye, because the page is being left. It also closes the socket: browsers store a page for the way back only if
 * it has no open socket.
 */
export function suspend(): void {
  settle();
  flush();
  beacon(encodeFrame(0, 2));
  phase = 0;
  drop();
}

/** Connects if the connection is closed or waits for its next attempt: the page or the network is back. */
export function resume(): void {
  if (phase < 2) {
    loadToken();
    // A later page of the tab may have become another visitor, for which our frames have no numbers.
    if (!token.startsWith(visitor)) {
      visitor = '';
      if (!phase) emptyOutbox(currentPage());
    }
    open();
  }
}

/** Sends bye and forgets the visitor. */
export function disconnect(): void {
  suspend();
  remember('');
  visitor = '';
}
