/** One worker: wires HTTP, ingest, relay and store, and the way to the primary. */
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, ServerResponse } from 'node:http';
import { Server as NetServer, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { type IpcChannel, openIpcChannel } from './cluster/ipc-channel.ts';
import { LoadReporter } from './cluster/load-report.ts';
import { HEARTBEAT_MS } from './cluster/watchdog.ts';
import { type Config, OPTIONS } from './config/config.ts';
import { baseRemover } from './http/base-path.ts';
import { headFault, NO_TUNNEL, TOO_MANY_WAITING, UNKNOWN_EXPECTATION } from './http/head.ts';
import { addressGroup, peerReader, trustOf } from './http/peer.ts';
import { PipelineLimit } from './http/pipeline-limit.ts';
import { afterAnswers, afterEarlier, noteAnswer } from './http/response-order.ts';
import { createHttp, type Http } from './http/server.ts';
import { Ingest } from './ingest/ingest.ts';
import { withTimeout } from './lib/timeout.ts';
import { createLogger, type Logger } from './log/logger.ts';
import { workerMetrics } from './metrics/worker-metrics.ts';
import { type Arrival, TAG, type ToWorker, type TroubleName } from './protocol/ipc.ts';
import { RedisError } from './redis/error.ts';
import { Questions } from './relay/questions.ts';
import { Relay } from './relay/relay.ts';
import { ConnectionLimit, type Dropped } from './server/connection-limit.ts';
import { limitOfOne, mostConnections } from './server/descriptors.ts';
import { ListenError, listen } from './server/listen.ts';
import { endWithProblem, STORE_AWAY } from './server/raw-problem.ts';
import { version } from './server/version.ts';
import { KnownSites } from './store/accounts/known-sites.ts';
import { isUnreachable, type Store, StoreError } from './store/contract.ts';
import { HitQueue } from './store/hit-queue.ts';
import { MinuteWriter } from './store/minute-writer.ts';
import { identityOf, openStore, SERVER_RUN, STORE_ID, STORE_IDENTITY } from './store/open.ts';
import type { RemovalReport } from './store/record/age-clock.ts';
import { Recorder, Recording } from './store/record/recorder.ts';
import { ThreadArchive, type ThreadData } from './store/thread/thread-archive.ts';

/** Writes of the page-visit counter that may be under way at once. */
const HIT_WRITES = 8;
/** HTTP requests that are not done by then when the worker drains are cut off, milliseconds. */
const REQUEST_LIMIT_MS = 2000;
/** After an unexpected error the worker has this long to drain before it ends anyway, milliseconds. */
const FAULT_LIMIT_MS = 4000;

/**
 * How long a client may take for its headers, for a whole request, between two requests, and for each step of reading an
 * answer, milliseconds. The first two are looked after every so often.
 */
const HTTP_LIMITS = {
  headersTimeout: 10_000,
  requestTimeout: 30_000,
  connectionsCheckingInterval: 5000,
  keepAliveTimeout: 65_000,
  // Ours is answered with a problem.
  requireHostHeader: false,
};
const STALL_MS = 60_000;
/** For each reason, the log says at most once in this time that connections are dropped, milliseconds. */
const DROP_NOTE_MS = 60_000;
/** Requests of one connection that may wait for their answers; browsers send one at a time. Each holds some KB. */
const MAX_WAITING = 100;
/** The record is waited for so long where a visitor comes back, milliseconds. */
const LOOK_UP_MS = 1000;

/** Runs this process as a worker until the primary has it drained. Why it cannot start is told to the primary. */
export async function runWorker(config: Config): Promise<void> {
  const log = createLogger(config.logLevel, 'worker');
  const link = openIpcChannel();
  try {
    link.send({ tag: TAG, k: 'listening', addresses: await startWorker(config, log, link) });
  } catch (error) {
    const { code, message } = error as { code?: string; message: string };
    const isTold = error instanceof ListenError || error instanceof StoreError || error instanceof RedisError;
    if (!isTold) log.error({ err: error }, 'cannot start');
    // An exit would wait for the archive's thread, if there is one already, and that for LMDB.
    link.send({ tag: TAG, k: 'failed', code: code ?? 'unknown', message }, () => process.kill(process.pid, 'SIGKILL'));
  }
}

/** Resolves with the addresses when all of them are listened on. */
async function startWorker(config: Config, log: Logger, link: IpcChannel): Promise<string[]> {
  let draining = false;
  const noted = new Map<Dropped, number>();
  // LMDB is as durable as the first of a process to open the file asks for.
  const { [STORE_ID]: id, [STORE_IDENTITY]: file } = process.env;
  const { durability } = config;
  const store = await openStore(config, { durability, log, ...(id !== undefined && { id }), ...(file && { file }) });
  const archive = await ThreadArchive.start(
    recordData(config, await store.id(), identityOf(store)),
    onFault,
    ({ message }) => log.error({ reason: message }, 'part of the record cannot be read and is skipped'),
    config.redis && ((note) => store.note(note)),
    undefined,
    (news) => logRemoved(log, news),
  );
  const countHit = hitCounter(config, store, archive);
  const metrics = workerMetrics(() => ({
    ...ingest.figures(),
    ...relay.figures(),
    frames: recorder.frames,
    samples: recorder.samples,
    unstored: recorder.unstored,
    dropped: limit.dropped,
    incomplete: archive.incomplete,
  }));
  const recorder = new Recorder({
    archive,
    commitMs: config.commitMs,
    onTrouble: (error) =>
      log.error({ err: error }, 'frames cannot be stored: acks are withheld; the live view continues'),
    onRecovery: () => log.info('frames are stored again'),
    onCommit: metrics.committed,
    bySite: config.redis !== undefined,
  });
  const limit = connectionLimit(config);
  const relay = new Relay({ send: link.send, flushMs: () => ingest.flushMs });
  const questions = new Questions(link.send);
  // A store of this machine is always in reach.
  const sites = config.redis ? new KnownSites(store) : store;
  const ingest = new Ingest({
    config,
    log,
    maxPerAddress: limitOfOne(config.maxPerAddress, OPTIONS.maxPerAddress.preset, mostConnections()),
    moved: (old, fresh) => limit.upgraded(old as Socket, fresh),
    secret: await store.secret(),
    // A primary of the version before, which reloads its workers after an upgrade, does not tell it.
    run: Number(process.env[SERVER_RUN] ?? 0),
    site: (key) => sites.site(key),
    markSeen: (key) => {
      store.markSeen(key, Date.now()).catch((error: unknown) => {
        // That Redis is away is in the log already, once.
        if (!isUnreachable(error)) log.error({ err: error }, 'the time of a first visitor cannot be stored');
      });
    },
    claim: (arrival, posted, last) => relay.claim(arrival, posted, last),
    lastFrame: (site, id, most) => (recorder.inTrouble ? Promise.resolve(0) : lastFrameOf(archive, site, id, most)),
    late: (click) => relay.late(click),
    watched: (site) => relay.watched(site),
    record: (arrival, country, n) => startRecording(recorder, arrival, country, n),
    canRecord: () => !recorder.inTrouble,
    saturated: () => relay.saturated || recorder.inTrouble,
    drop: (site, n) => relay.drop(site, n),
  });
  const kept = new MinuteWriter(store, log);
  const http = await createHttp({
    config,
    logger: log,
    store,
    archive,
    version,
    ready: () => !draining,
    // The stream's socket goes to the primary, which outlives this worker.
    openStream: (request, socket, past) => link.hand({ tag: TAG, k: 'stream', request, past }, socket),
    // Where there is no other machine, the primary knows all that is kept.
    past: async (site) => (config.redis ? kept.past(site) : null),
    beacon: (request) => ingest.beacon(request),
    present: (site) => questions.present(site),
    countHit,
    metrics: () => questions.metrics(),
    health: () => questions.health(),
  });
  const peerOf = peerReader(config);
  const removeBase = baseRemover(config.basePath);
  const servers = config.listen.map(() => createHttpServer(http, upgrade, () => draining));
  for (const server of servers) server.prependListener('connection', (socket: Socket) => noteDrop(limit.admit(socket)));
  process.on('uncaughtException', onFault);
  process.on('unhandledRejection', onFault);
  link.listen(onMessage, () => void drain('stop'));
  const pulse = new LoadReporter();
  setInterval(
    () => link.send({ tag: TAG, k: 'beat', ...pulse.report(), troubles: troublesOf(recorder) }),
    HEARTBEAT_MS,
  );

  return Promise.all(config.listen.map((address, i) => listen(servers[i] as Server, address, config.listen)));

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
      case 'answer':
        questions.answer(message.ask, message.pages);
        break;
      case 'scraped':
        questions.answer(message.ask, message.text);
        break;
      case 'healthy':
        questions.answer(message.ask, message.troubles);
        break;
      case 'measure':
        void measure(message.ask);
        break;
      case 'drain':
        void drain(message.reason);
        break;
      default:
        message satisfies never;
    }
  }

  function noteDrop(why: Dropped | undefined): void {
    const now = performance.now();
    if (why === undefined || now - (noted.get(why) ?? Number.NEGATIVE_INFINITY) < DROP_NOTE_MS) return;
    noted.set(why, now);
    log.warn({ reason: why, dropped: Object.fromEntries(limit.dropped) }, 'too many connections; new ones are closed');
  }

  /** Tells the primary what this worker came to; `ask` is its number for the question, 0 for last words. */
  async function measure(ask: number): Promise<void> {
    const told = await metrics.registry.getMetricsAsJSON();
    await new Promise<void>((resolve) => link.send({ tag: TAG, k: 'measured', ask, metrics: told }, resolve));
  }

  function upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    const fault = headFault(request);
    if (fault !== undefined) {
      endWithProblem(socket, fault);
      return;
    }
    if (request.headers.upgrade?.toLowerCase() !== 'websocket') {
      answerAnyway(http.handler, request, socket);
      return;
    }
    removeBase(request);
    ingest.upgrade(request, socket, head, peerOf(request)).catch((error: unknown) => {
      if (isUnreachable(error)) return endWithProblem(socket, STORE_AWAY);
      log.error({ err: error }, 'upgrade failed');
      socket.destroy();
    });
  }

  /** Finishes what is under way, then ends this process. */
  async function drain(reason: 'restart' | 'stop', exitCode = 0): Promise<void> {
    if (draining) return;
    draining = true;
    const endServer = reason === 'stop' ? closeServer : emptyServer;
    await Promise.all([ingest.close(reason), ...servers.map(endServer)]);
    await relay.close();
    await http.close();
    await recorder.close();
    await archive.close();
    await store.close();
    await measure(0);
    process.exit(exitCode);
  }

  function onFault(error: unknown): void {
    log.error({ err: error }, 'unexpected error; this worker is replaced');
    // An exit would wait for the archive's thread, and that for LMDB.
    setTimeout(() => process.kill(process.pid, 'SIGKILL'), FAULT_LIMIT_MS).unref();
    void drain('restart', 1);
  }
}

function connectionLimit({ maxPerAddress, trustProxy }: Config): ConnectionLimit {
  const trusts = trustOf(trustProxy);
  return new ConnectionLimit({
    most: mostConnections(),
    mostPerAddress: maxPerAddress,
    keyOf: addressGroup,
    isProxy: (address) => trusts(address, 0),
  });
}

/** Waits no longer than a visitor that comes back should: then streams may be told again what they know. */
function lastFrameOf(archive: ThreadArchive, site: string, id: string, most: number): Promise<number> {
  return withTimeout(archive.lastFrame(site, id, most), LOOK_UP_MS).catch(() => 0);
}

/** Page visits are counted by the record's thread where that is the one that writes the file; Redis holds nobody up. */
function hitCounter({ redis }: Config, store: Store, archive: ThreadArchive): Store['hit'] {
  if (redis) return (site, page) => store.hit(site, page);
  const hits = new HitQueue((groups) => archive.addHits(groups), HIT_WRITES);
  return (site, page) => hits.hit(site, page);
}

/** One line a minute at most: what was removed since the last one, or that a clock is ahead. */
function logRemoved(log: Logger, { removed, heldMs }: RemovalReport): void {
  if (Object.values(removed).some((visits) => visits > 0))
    log.info(
      { ...removed },
      'visits were removed (age: --retain, cap: --max-store, site: the site was removed, erase: on request)',
    );
  if (heldMs > 0)
    log.warn(
      { aheadHours: Math.round(heldMs / 3_600_000) },

      'the clock of this machine is ahead of the time in the store: visits that are too old by this clock are ' +
        'not removed yet. Check the clock. If it is right, the store follows within a few hours',
    );
}

/** What keeps frames from being stored. */
function troublesOf({ troubleCode }: Recorder): TroubleName[] {
  if (troubleCode === undefined) return [];
  if (troubleCode === 'unreachable') return ['redis-away'];
  if (troubleCode === 'moved') return ['store-lost'];
  if (troubleCode === 'disk-error') return ['disk-error'];
  return [troubleCode === 'full' ? 'store-full' : 'not-stored'];
}

function recordData(
  { data: folder, redis, redisReplicas: replicas, ...config }: Config,
  id: string,
  identity: string,
): ThreadData {
  const { maxStore: maxBytes, maxVisitSize: maxVisitBytes, retainMs, durability, siteShares: shares } = config;
  const limits = { maxBytes, maxVisitBytes, retainMs, shares };
  return redis ? { redis, id, replicas, ...limits } : { folder, id, identity, durability, ...limits };
}

function startRecording(recorder: Recorder, arrival: Arrival, country: string, n: number): Recording {
  const { id, site, page, size, since, device, language, referrer, origin, label } = arrival;
  const about = { since, device, language, referrer, origin, country, label };
  return new Recording(recorder, { id, site, page, size }, about, n);
}

/** While it drains, each answer is a connection's last: the next request then comes to another worker. */
function createHttpServer(
  { handler, refuse, clientError }: Http,
  upgrade: (request: IncomingMessage, socket: Duplex, head: Buffer) => void,
  isDraining: () => boolean,
): Server {
  const pipeline = new PipelineLimit(MAX_WAITING);
  const take = (request: IncomingMessage, response: ServerResponse, answer: Http['handler']) => {
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
  const server = createServer(HTTP_LIMITS, (request, response) => take(request, response, handler));
  server.on('checkExpectation', (request: IncomingMessage, response: ServerResponse) =>
    take(request, response, () => refuse(response, UNKNOWN_EXPECTATION)),
  );
  server.on('connect', (request: IncomingMessage, socket: Duplex) =>
    afterAnswers(socket, () => endWithProblem(socket, headFault(request) ?? NO_TUNNEL)),
  );
  // Node has none by itself, and who stops reading an answer would keep it for ever.
  server.timeout = STALL_MS;
  server.on('clientError', (error: NodeJS.ErrnoException, socket: Duplex) =>
    afterEarlier(socket, () => clientError(error, socket)),
  );
  server.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) =>
    afterAnswers(socket, () => upgrade(request, socket, head)),
  );
  return server;
}

/**
 * A server may pass over an upgrade it does not know (RFC 9110 section 7.8), such as h2c, and answer the request
 * as it is. Its body is not read any more, so only one without can be answered.
 */
function answerAnyway(handler: Http['handler'], request: IncomingMessage, socket: Duplex): void {
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

/** Takes no more connections, and answers those that there are once more: a request may be on its way on any of them. */
function emptyServer(server: Server): Promise<void> {
  // That of HTTP servers would cut off all that are idle now.
  return ended(server, () => NetServer.prototype.close.call(server));
}

function closeServer(server: Server): Promise<void> {
  return ended(server, () => {
    server.close();
    server.closeIdleConnections();
  });
}

async function ended(server: Server, end: () => void): Promise<void> {
  if (!server.listening) return;
  const closed = once(server, 'close');
  end();
  const cut = setTimeout(() => server.closeAllConnections(), REQUEST_LIMIT_MS);
  await closed;
  clearTimeout(cut);
}
