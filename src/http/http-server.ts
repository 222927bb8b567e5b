/** Node's HTTP server, with limits on slow clients and requests in line, and an end that lets requests finish. */
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, ServerResponse } from 'node:http';
import { Server as NetServer, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { endWithProblem } from '../server/raw-problem.ts';
import { headFault, NO_TUNNEL, TOO_MANY_WAITING, UNKNOWN_EXPECTATION } from './head.ts';
import { PipelineLimit } from './pipeline-limit.ts';
import { afterAnswers, afterEarlier, noteAnswer } from './response-order.ts';
import type { Http } from './server.ts';

/** A closing server cuts off requests that are not done by then, milliseconds. */
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
/** A client that stops reading its answer is cut off after this time, milliseconds. */
const STALL_MS = 60_000;
/** Requests of one connection that may wait for their answers; browsers send one at a time. Each holds some KB. */
const MAX_WAITING = 100;
/**
 * A server that passes requests on in the order they came. `upgrade` gets each upgrade request after the answers before it.
 * While `isDraining`, each answer closes its connection, so that the next request reaches another worker.
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
  // Node sets no limit of its own, and a client that stops reading would hold its answer for ever.
  server.timeout = STALL_MS;
  server.on('clientError', (error: NodeJS.ErrnoException, socket: Duplex) =>
    afterEarlier(socket, () => clientError(error, socket)),
  );
  server.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) =>
    afterAnswers(socket, () => upgrade(request, socket, head)),
  );
  return server;
}

/** Passes a request to `answer`, or refuses it if too many of its connection wait. */
function queue({ refuse }: Http, isDraining: () => boolean) {
  const pipeline = new PipelineLimit(MAX_WAITING);
  return (request: IncomingMessage, response: ServerResponse, answer: Http['handler']): void => {
    const place = request.socket.destroyed ? 'late' : pipeline.enter(request, response);
    if (place === 'late') {
      request.socket.destroy();
      return;
    }
    noteAnswer(request, response);
    if (isDraining()) response.shouldKeepAlive = false;
    if (place === 'taken') answer(request, response);
    else refuse(response, TOO_MANY_WAITING);
  };
}

/**
 * Answers a request that asks for an unknown protocol, such as h2c, as if it had not asked (RFC 9110 section 7.8).
 * Node does not read the body of such a request, so only methods without a body get an answer.
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

/** Accepts no more connections, and answers one more request on each open one: a request may be on its way on any of them. */
export function drainServer(server: Server): Promise<void> {
  // http.Server.close would cut off all connections that are idle now.
  return ended(server, () => NetServer.prototype.close.call(server));
}

/** Accepts no more connections, and closes the idle ones. */
export function closeServer(server: Server): Promise<void> {
  return ended(server, () => {
    server.close();
    server.closeIdleConnections();
  });
}

/** Resolves when `server` is closed; requests that take too long are cut off. */
async function ended(server: Server, end: () => void): Promise<void> {
  if (!server.listening) return;
  const closed = once(server, 'close');
  end();
  const cut = setTimeout(() => server.closeAllConnections(), REQUEST_LIMIT_MS);
  await closed;
  clearTimeout(cut);
}
