/** One worker: wires HTTP, ingest, relay and store, and the way to the primary. */
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { type Link, openLink } from './cluster/link.ts';
import type { Config } from './config.ts';
import { peerReader } from './http/peer.ts';
import { createHttp, type Http } from './http/server.ts';
import { Ingest } from './ingest/ingest.ts';
import { ListenError, listen } from './listen.ts';
import { createLogger, type Logger } from './logger.ts';
import { TAG, type ToWorker } from './protocol/relay.ts';
import { Relay } from './relay/relay.ts';
import { StoreError } from './store/contract.ts';
import { openStore } from './store/embedded.ts';
import { version } from './version.ts';

/** HTTP requests that are not done by then when the worker drains are cut off, milliseconds. */
const REQUEST_LIMIT_MS = 2000;
/** After an unexpected error the worker has this long to drain before it ends anyway, milliseconds. */
const FAULT_LIMIT_MS = 4000;

/** How long a client may take for its headers, for a whole request, and between two requests, milliseconds. */
const HTTP_LIMITS = { headersTimeout: 10_000, requestTimeout: 30_000, keepAliveTimeout: 65_000 };

/** Runs this process as a worker until the primary has it drained. Why it cannot start is told to the primary. */
export async function runWorker(config: Config): Promise<void> {
  const log = createLogger(config.logLevel, 'worker');
  const link = openLink();
  try {
    link.send({ tag: TAG, k: 'listening', addresses: await startWorker(config, log, link) });
  } catch (error) {
    const { code, message } = error as { code?: string; message: string };
    if (!(error instanceof ListenError || error instanceof StoreError)) log.error({ err: error }, 'cannot start');
    link.send({ tag: TAG, k: 'failed', code: code ?? 'unknown', message }, () => process.exit(1));
  }
}

/** Resolves with the addresses when all of them are listened on. */
async function startWorker(config: Config, log: Logger, link: Link): Promise<string[]> {
  let draining = false;
  const store = await openStore(config.data);
  const relay = new Relay({ send: link.send, flushMs: () => ingest.flushMs });
  const ingest = new Ingest({
    config,
    log,
    secret: await store.secret(),
    site: (key) => store.site(key),
    markSeen: (key) => {
      store
        .markSeen(key, Date.now())
        .catch((error: unknown) => log.error({ err: error }, 'cannot note a first visitor'));
    },
    claim: (arrival, posted) => relay.claim(arrival, posted),
    watched: (site) => relay.watched(site),
    saturated: () => relay.saturated,
    drop: (site, n) => relay.drop(site, n),
  });
  const http = await createHttp({
    config,
    logger: log,
    store,
    version,
    ready: () => !draining,
    // The stream's socket goes to the primary, which outlives this worker.
    openStream: (request, socket) => link.hand({ tag: TAG, k: 'stream', request }, socket),
    beacon: (request) => ingest.beacon(request),
  });
  const peerOf = peerReader(config.trustProxy);
  const servers = config.listen.map(() => createHttpServer(http, upgrade));
  process.on('uncaughtException', onFault);
  process.on('unhandledRejection', onFault);
  link.listen(onMessage, () => void drain('stop'));

  return Promise.all(config.listen.map((address, i) => listen(servers[i] as Server, address)));

  function onMessage(message: ToWorker): void {
    switch (message.k) {
      case 'grants':
        relay.grant(message.grants);
        break;
      case 'release':
        relay.release(message.v, message.claim);
        ingest.release(message.v);
        break;
      case 'watch':
        relay.watch(message.channel);
        break;
      case 'unwatch':
        relay.unwatch(message.no);
        break;
      case 'refresh':
        relay.refresh(message.no);
        break;
      case 'drain':
        void drain(message.reason);
        break;
      default:
        message satisfies never;
    }
  }

  function upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    if (request.headers.upgrade?.toLowerCase() !== 'websocket') {
      answerAnyway(http.handler, request, socket);
      return;
    }
    ingest.upgrade(request, socket, head, peerOf(request)).catch((error: unknown) => {
      log.error({ err: error }, 'upgrade failed');
      socket.destroy();
    });
  }

  /** Finishes what is under way, then ends this process. */
  async function drain(reason: 'restart' | 'stop', exitCode = 0): Promise<void> {
    if (draining) return;
    draining = true;
    await Promise.all([ingest.close(reason), ...servers.map(closeServer)]);
    await relay.close();
    await http.close();
    await store.close();
    process.exit(exitCode);
  }

  function onFault(error: unknown): void {
    log.error({ err: error }, 'unexpected error; this worker is replaced');
    setTimeout(() => process.exit(1), FAULT_LIMIT_MS).unref();
    void drain('restart', 1);
  }
}

function createHttpServer(
  { handler, clientError }: Http,
  upgrade: (request: IncomingMessage, socket: Duplex, head: Buffer) => void,
): Server {
  const server = createServer(HTTP_LIMITS, handler);
  server.on('clientError', clientError);
  server.on('upgrade', upgrade);
  return server;
}

/**
 * A server may pass over an upgrade it does not know (RFC 9110 section 7.8), such as h2c, and answer the request
 * as it is. Its body is not read any more, so only one without can be answered.
 */
function answerAnyway(handler: Http['handler'], request: IncomingMessage, socket: Duplex): void {
  socket.on('error', () => socket.destroy());
  if (request.method !== 'GET' && request.method !== 'HEAD') {
    socket.end('HTTP/1.1 501 Not Implemented\r\nConnection: close\r\n\r\n', () => socket.destroy());
    return;
  }
  const response = new ServerResponse(request);
  response.shouldKeepAlive = false;
  response.assignSocket(socket as Socket);
  response.on('finish', () => socket.end(() => socket.destroy()));
  handler(request, response);
}

async function closeServer(server: Server): Promise<void> {
  if (!server.listening) return;
  const closed = once(server, 'close');
  server.close();
  server.closeIdleConnections();
  const cut = setTimeout(() => server.closeAllConnections(), REQUEST_LIMIT_MS);
  await closed;
  clearTimeout(cut);
}
