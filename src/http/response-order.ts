/**
 * Responses of one connection are sent in the order of its requests (RFC 9112 section 9.3.2). Node keeps that order for
 * its own responses. Code that writes to the socket itself has to wait here: streams, WebSockets, and the response to
 * bytes that are not a request.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';

/** If earlier responses take longer than this, the connection is cut, milliseconds. */
const TIMEOUT_MS = 30_000;

/** The latest response of each connection. */
const latest = new WeakMap<Duplex, ServerResponse>();
/** The previous response on the same connection. */
const earlier = new WeakMap<IncomingMessage, ServerResponse>();

/** Records a request and its response. Call it for each request, in order. */
export function noteAnswer(request: IncomingMessage, response: ServerResponse): void {
  const { socket } = request;
  const before = latest.get(socket);
  if (before !== undefined && !isDone(before)) earlier.set(request, before);
  latest.set(socket, response);
}

/**
 * Resolves with true when all responses before this request are written, or with false if the connection ends first.
 */
export function turnOf(request: IncomingMessage): Promise<boolean> {
  return new Promise((resolve) => {
    whenDone(earlier.get(request), request.socket, TIMEOUT_MS, resolve);
  });
}

/**
 * Calls `then` when all responses of a connection are written; never if the connection ends first. For sockets that
 * Node's HTTP server has released.
 */
export function afterAnswers(socket: Duplex, then: () => void, limitMs = TIMEOUT_MS): void {
  // Node no longer forwards `drain`, for which a large response waits.
  const onDrain = () => (socket as Duplex & { _httpMessage?: ServerResponse })._httpMessage?.emit('drain');
  const onError = () => socket.destroy();
  socket.on('drain', onDrain).on('error', onError);
  whenDone(latest.get(socket), socket, limitMs, (isOpen) => {
    socket.off('drain', onDrain);
    if (!isOpen) return;
    socket.off('error', onError);
    then();
  });
}

/**
 * As `afterAnswers`, for bytes that are not a request. They may be the rest of the latest request, which then gets no
 * other response: `then` is called in its place. If its response has started already, the connection is cut.
 */
export function afterEarlier(socket: Duplex, then: () => void): void {
  const answer = latest.get(socket);
  if (answer === undefined || answer.req.complete) {
    afterAnswers(socket, then);
    return;
  }
  whenDone(earlier.get(answer.req), socket, TIMEOUT_MS, (isOpen) => {
    if (isOpen && !answer.headersSent) then();
    else socket.destroy();
  });
}

function whenDone(
  answer: ServerResponse | undefined,
  socket: Duplex,
  limitMs: number,
  then: (isOpen: boolean) => void,
): void {
  if (answer === undefined || isDone(answer)) {
    then(isWritable(socket));
    return;
  }
  const end = () => {
    clearTimeout(cut);
    answer.off('close', end);
    socket.off('close', end);
    // A response may have been the last that the connection carries.
    then(isDone(answer) && isWritable(socket));
  };
  const cut = setTimeout(() => socket.destroy(), limitMs);
  answer.once('close', end);
  socket.once('close', end);
}

function isDone(answer: ServerResponse): boolean {
  return answer.writableFinished || answer.destroyed;
}

function isWritable(socket: Duplex): boolean {
  return !socket.destroyed && !socket.writableEnded;
}
