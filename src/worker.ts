/** One worker: wires HTTP, ingest, relay and store, and the way to the primary. */
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { type Link, openLink } from './cluster/link.ts';
import type { Address, Config } from './config.ts';
import { peerReader } from './http/peer.ts';
import { createHttp } from './http/server.ts';
import { Ingest } from './ingest/ingest.ts';
import { listen, listenFault } from './listen.ts';
import { createLogger } from './logger.ts';
import { type StreamRequest, TAG, type ToWorker } from './protocol/relay.ts';
import { Relay } from './relay/relay.ts';
import { openStore } from './store/embedded.ts';
import { version } from './version.ts';

/** HTTP requests that are not done by then when the worker drains are cut off, milliseconds. */
const REQUEST_LIMIT_MS = 2000;
/** Slow headers and bodies end after these, milliseconds. */
const HEADERS_TIMEOUT_MS = 10_000;
const REQUEST_TIMEOUT_MS = 30_000;
const KEEP_ALIVE_MS = 65_000;

/** Runs this process as a worker until the primary has it drained. */
export async function runWorker(config: Config): Promise<void> {
  const log = createLogger(config.logLevel, 'worker');
  const store = await openStore(config.data);
  const link = openLink(
    (message) => onMessage(message),
    () => void drain('stop'),
  );
  const relay = new Relay({
    send: (message, taken) => link.send(message, taken),
    flushMs: () => ingest.status.flushMs,
  });
  const ingest = new Ingest({
    config,
    log,
    secret: await store.secret(),
    site: (key) => store.site(key),
    markSeen: (key, now) => store.markSeen(key, now),
    claim: (arrival) => relay.claim(arrival),
    drop: (site, n) => relay.drop(site, n),
  });
  const peerOf = peerReader(config.trustProxy);
  let draining = false;
  const http = await createHttp({
    config,
    logger: log,
    store,
    version,
    ready: () => !draining,
    openStream: (request, socket) => openStream(link, request, socket),
    beacon: (request) => ingest.beacon(request),
  });
  const servers = config.listen.map(() => createServer(http.handler));
  for (const server of servers) {
    setLimits(server);
    server.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
      ingest.upgrade(request, socket, head, peerOf(request)).catch((error: unknown) => {
        log.error({ err: error }, 'upgrade failed');
        socket.destroy();
      });
    });
  }
  await listenAll(servers, config.listen, link);

  function onMessage(message: ToWorker): void {
    switch (message.k) {
      case 'grants':
        return relay.grant(message.grants);
      case 'release':
        return ingest.release(message.v);
      case 'watch':
        return relay.watch(message.channel);
      case 'unwatch':
        return relay.unwatch(message.no);
      case 'refresh':
        return relay.refresh(message.no);
      case 'drain':
        return void drain(message.reason);
      default:
        message satisfies never;
    }
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

  const onFault = (error: unknown) => {
    log.error({ err: error }, 'unexpected error; this worker is replaced');
    void drain('restart', 1);
    setTimeout(() => process.exit(1), 2 * REQUEST_LIMIT_MS).unref();
  };
  process.on('uncaughtException', onFault);
  process.on('unhandledRejection', onFault);
}

function setLimits(server: Server): void {
  server.headersTimeout = HEADERS_TIMEOUT_MS;
  server.requestTimeout = REQUEST_TIMEOUT_MS;
  server.keepAliveTimeout = KEEP_ALIVE_MS;
  server.maxRequestsPerSocket = 0;
}

async function listenAll(servers: Server[], addresses: readonly Address[], link: Link): Promise<void> {
  const texts: string[] = [];
  for (const [i, server] of servers.entries()) {
    const address = addresses[i] as Address;
    try {
      texts.push(await listen(server, address));
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      const message = listenFault(error as NodeJS.ErrnoException, address);
      link.send({ tag: TAG, k: 'failed', code: code ?? 'unknown', message }, () => process.exit(1));
      await once(process, 'exit');
    }
  }
  link.send({ tag: TAG, k: 'listening', addresses: texts });
}

/** The stream's socket goes to the primary, which outlives this worker. */
function openStream(link: Link, request: StreamRequest, socket: Socket): void {
  link.hand({ tag: TAG, k: 'stream', request }, socket);
}

async function closeServer(server: Server): Promise<void> {
  const closed = once(server, 'close');
  server.close();
  server.closeIdleConnections();
  const cut = setTimeout(() => server.closeAllConnections(), REQUEST_LIMIT_MS);
  await closed;
  clearTimeout(cut);
}
