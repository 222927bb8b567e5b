/** One worker: wires HTTP, ingest, relay and store, and the way to the primary. */
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { Duplex } from 'node:stream';
import { openLink } from './cluster/link.ts';
import type { Config } from './config.ts';
import { peerReader } from './http/peer.ts';
import { createHttp, type Http } from './http/server.ts';
import { Ingest } from './ingest/ingest.ts';
import { ListenError, listen } from './listen.ts';
import { createLogger } from './logger.ts';
import { TAG, type ToWorker } from './protocol/relay.ts';
import { Relay } from './relay/relay.ts';
import { openStore } from './store/embedded.ts';
import { version } from './version.ts';

/** HTTP requests that are not done by then when the worker drains are cut off, milliseconds. */
const REQUEST_LIMIT_MS = 2000;
/** After an unexpected error the worker has this long to drain before it ends anyway, milliseconds. */
const FAULT_LIMIT_MS = 4000;

/** How long a client may take for its headers, for a whole request, and between two requests, milliseconds. */
const HTTP_LIMITS = { headersTimeout: 10_000, requestTimeout: 30_000, keepAliveTimeout: 65_000 };

/** Runs this process as a worker until the primary has it drained. */
export async function runWorker(config: Config): Promise<void> {
  const log = createLogger(config.logLevel, 'worker');
  let draining = false;
  const store = await openStore(config.data);
  const link = openLink();
  const relay = new Relay({ send: link.send, flushMs: () => ingest.status.flushMs });
  const ingest = new Ingest({
    config,
    log,
    secret: await store.secret(),
    site: (key) => store.site(key),
    markSeen: (key, now) => store.markSeen(key, now),
    claim: (arrival) => relay.claim(arrival),
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

  try {
    const addresses = await Promise.all(config.listen.map((address, i) => listen(servers[i] as Server, address)));
    link.send({ tag: TAG, k: 'listening', addresses });
  } catch (error) {
    if (!(error instanceof ListenError)) throw error;
    link.send({ tag: TAG, k: 'failed', code: error.code, message: error.message }, () => process.exit(1));
  }

  function onMessage(message: ToWorker): void {
    switch (message.k) {
      case 'grants':
        relay.grant(message.grants);
        break;
      case 'release':
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
    ingest.upgrade(request, socket, head, peerOf(request)).catch((error: unknown) => {
      log.error({ err: error }, 'upgrade failed');
      socket.destroy();
    });
  }

  /** Finishes what is under way, then ends this process. */
  async function drain(reason: 'restart' | 'stop', exitCode = 0): Promise<void> {
    if (draining) return;
    draining = true;
    ingest.close(reason);
    await Promise.all([...servers.map(closeServer), relay.close()]);
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

async function closeServer(server: Server): Promise<void> {
  if (!server.listening) return;
  const closed = once(server, 'close');
  server.close();
  server.closeIdleConnections();
  const cut = setTimeout(() => server.closeAllConnections(), REQUEST_LIMIT_MS);
  await closed;
  clearTimeout(cut);
}
