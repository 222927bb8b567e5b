/**
 * Node's HTTP server, with limits on slow clients and on pipelined requests, and a shutdown that lets requests finish.
 */
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, ServerResponse } from 'node:http';
import { Server as NetServer, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { endWithProblem } from '../server/raw-problem.ts';
import { headFault, NO_TUNNEL, TOO_MANY_WAITING, UNKNOWN_EXPECTATION } from './head.ts';
import { PipelineLimit } from './pipeline-limit.ts';
import { afterAnswers, afterEarlier, noteAnswer } from './response-order.ts';
import type { Http } from './server.ts';

/** A closing server cuts off requests that take longer, milliseconds. */
const REQUEST_LIMIT_MS = 2000;
/** How long a client may take for its headers, for a whole request and between two requests, milliseconds. */
const HTTP_LIMITS = {
  headersTimeout: 10_000,
  requestTimeout: 30_000,
  /** How often Node checks the first two. */
  connectionsCheckingInterval: 5000,
  keepAliveTimeout: 65_000,
  // headFault answers such a request with a problem.
  requireHostHeader: false,
};
/** A client that stops reading its response is cut off after this time, milliseconds. */
const STALL_MS = 60_000;
/** Maximum number of waiting requests of one connection. Each uses some KB; browsers send one at a time. */
const MAX_WAITING = 100;
/** How many of them are handled at a time. */
const MAX_HANDLED = 8;

/**
 * Returns a server that handles the requests of a connection in order. `upgrade` is called for an upgrade request when
 * the responses before it are sent. While `isDraining`, each response closes its connection, so that the next request
 * reaches another worker.
 */
export function createHttpServer(
  http: Http,
  upgrade: (request: IncomingMessage, socket: Duplex, head: Buffer) => void,
  isDraining: () => boolean,
): Server {
  const { handler, refuse, clientError } = http;
  const take = queue(http, isDraining);
  const server = createServer(HTTP_LIMITS, (request, response) => take(request, response, handler));
  server.on('checkExpectation', (request: IncomingMessage, response: ServerResponse) =>
    take(request, response, () => refuse(response, UNKNOWN_EXPECTATION)),
  );
  server.on('connect', (request: IncomingMessage, socket: Duplex) =>
    afterAnswers(socket, () => endWithProblem(socket, headFault(request) ?? NO_TUNNEL)),
  );
  // Node has no default limit, and a client that stops reading would keep its response in memory for ever.
  server.timeout = STALL_MS;
  server.on('clientError', (error: NodeJS.ErrnoException, socket: Duplex) =>
    afterEarlier(socket, () => clientError(error, socket)),
  );
  server.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) =>
    afterAnswers(socket, () => upgrade(request, socket, head)),
  );
  return server;
}

/** Passes a request to `answer`, or refuses it if too many requests of its connection are waiting. */
function queue({ refuse }: Http, isDraining: () => boolean) {
  const pipeline = new PipelineLimit(MAX_WAITING, MAX_HANDLED);
  return (request: IncomingMessage, response: ServerResponse, answer: Http['handler']): void => {
    const place = request.socket.destroyed ? 'late' : pipeline.enter(request, response);
    if (place === 'late') {
      request.socket.destroy();
      return;
    }
    noteAnswer(request, response);
    if (isDraining()) response.shouldKeepAlive = false;
    if (place === 'taken') pipeline.whenItsTurn(request, () => answer(request, response));
    else refuse(response, TOO_MANY_WAITING);
  };
}

/**
 * Ignores the Upgrade field of a request for an unknown protocol, such as h2c, and answers the request (RFC 9110
 * section 7.8). Node does not read the body of such a request, so methods other than GET and HEAD are refused.
 */
export function answerWithoutUpgrade(handler: Http['handler'], request: IncomingMessage, socket: Duplex): void {
  socket.on('error', () => socket.destroy());
  if (request.method !== 'GET' && request.method !== 'HEAD') {
    endWithProblem(socket, {
      status: 501,
      code: 'bad-upgrade',
      detail: 'Only GET and HEAD requests may ask for a protocol other than WebSocket.',
    });
    return;
  }
  const response = new ServerResponse(request);
  response.shouldKeepAlive = false;
  response.assignSocket(socket as Socket);
  response.on('finish', () => socket.end(() => socket.destroy()));
  handler(request, response);
}

/**
 * Accepts no more connections. Answers one more request on each open one, because a request may already be on its way.
 */
export function drainServer(server: Server): Promise<void> {
  // http.Server.close would close all idle connections.
  return ended(server, () => NetServer.prototype.close.call(server));
}

/** Accepts no more connections, and closes the idle ones. */
export function closeServer(server: Server): Promise<void> {
  return ended(server, () => {
    server.close();
    server.closeIdleConnections();
  });
}

/** Resolves when `server` is closed. Cuts off requests that take too long. */
async function ended(server: Server, end: () => void): Promise<void> {
  if (!server.listening) return;
  const closed = once(server, 'close');
  end();
  const cut = setTimeout(() => server.closeAllConnections(), REQUEST_LIMIT_MS);
  await closed;
  clearTimeout(cut);
}
