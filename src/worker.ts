/** A worker: wires HTTP, ingest, relay, the store and the channel to the primary. */
import type { IncomingMessage, Server } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { Drain, type DrainReason } from './cluster/drain.ts';
import { type IpcChannel, openIpcChannel } from './cluster/ipc-channel.ts';
import { LoadReporter } from './cluster/load-report.ts';
import { HEARTBEAT_MS } from './cluster/watchdog.ts';
import { type Config, OPTIONS } from './config/config.ts';
import { baseRemover } from './http/base-path.ts';
import type { HttpOptions } from './http/contract.ts';
import { headFault } from './http/head.ts';
import { answerWithoutUpgrade, closeServer, createHttpServer, drainServer } from './http/http-server.ts';
import { addressGroup, peerReader, trustOf } from './http/peer.ts';
import { createHttp, type Http } from './http/server.ts';
import type { IngestOptions } from './ingest/contract.ts';
import { Ingest } from './ingest/ingest.ts';
import { Pace } from './ingest/pace.ts';
import { RefusalLog } from './ingest/refusal-log.ts';
import { canShareReads } from './ingest/self-test.ts';
import { killSelf } from './lib/kill-self.ts';
import { PunctualTimer } from './lib/punctual-timer.ts';
import { withTimeout } from './lib/timeout.ts';
import { createLogger, type Logger } from './log/logger.ts';
import { commitTimes, type WorkerFigures, workerMetrics } from './metrics/worker-metrics.ts';
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
import { openStore, SERVER_RUN, STORE_ID, STORE_IDENTITY, storeIdentity } from './store/open.ts';
import type { RemovalReport } from './store/record/age-clock.ts';
import { Recorder, Recording } from './store/record/recorder.ts';
import { ThreadArchive, type ThreadData } from './store/thread/thread-archive.ts';

/** Maximum number of concurrent writes of the page-visit counter. */
const HIT_WRITES = 8;
/** Minimum time between two log lines about dropped connections with the same reason, milliseconds. */
const DROP_LOG_MS = 60_000;
/** Maximum wait for the record when a visitor comes back, milliseconds. */
const LOOKUP_TIMEOUT_MS = 1000;

/**
 * Runs this process as a worker until the primary drains it. If it cannot start, it sends the reason to the primary.
 */
export async function runWorker(config: Config): Promise<void> {
  const log = createLogger(config.logLevel, 'worker');
  const channel = openIpcChannel();
  try {
    channel.send({ tag: TAG, k: 'listening', addresses: await startWorker(config, log, channel) });
  } catch (error) {
    const { code, message } = error as { code?: string; message: string };
    const isExpected = error instanceof ListenError || error instanceof StoreError || error instanceof RedisError;
    if (!isExpected) log.error({ err: error }, 'cannot start');
    // process.exit would wait for the record's thread, if it is running, and that thread for LMDB.
    channel.send({ tag: TAG, k: 'failed', code: code ?? 'unknown', message }, killSelf);
  }
}

/** Builds and wires the parts. Resolves with the addresses when the worker listens on all of them. */
async function startWorker(config: Config, log: Logger, channel: IpcChannel): Promise<string[]> {
  const drain = new Drain(log);
  const parts = await buildParts(config, log, channel, drain);
  const http = await createHttp(httpOptions(parts, drain));
  const upgrade = upgradeHandler(parts, http);
  const servers = config.listen.map(() => createHttpServer(http, upgrade, () => drain.isDraining));
  limitConnections(servers, parts);
  drain.prepare((reason) => closeParts(parts, http, servers, reason));
  process.on('uncaughtException', drain.fail);
  process.on('unhandledRejection', drain.fail);
  channel.listen(
    (message) => dispatch(message, parts, drain),
    () => void drain.start('stop'),
  );
  reportLoad(parts);
  return Promise.all(config.listen.map((address, i) => listen(servers[i] as Server, address, config.listen)));
}

type Parts = Awaited<ReturnType<typeof buildParts>>;

/** Each part is given only parts that are built before it. */
async function buildParts(config: Config, log: Logger, channel: IpcChannel, drain: Drain) {
  const store = await openWorkerStore(config, log);
  const archive = await startArchive(config, log, store, drain.fail);
  const commits = commitTimes();
  const recorder = new Recorder({
    archive,
    commitMs: config.commitMs,
    onTrouble: (error) =>
      log.error({ err: error }, 'frames cannot be stored: acks are withheld; the live view continues'),
    onRecovery: () => log.info('frames are stored again'),
    onCommit: (ms) => commits.observe(ms / 1000),
    bySite: config.redis !== undefined,
  });
  const limit = connectionLimit(config);
  const pace = new Pace(config, config.quietFlushMs, performance.now());
  const relay = new Relay({ send: channel.send, flushMs: () => pace.live.flushMs });
  const questions = new Questions(channel.send);
  const refusals = new RefusalLog((some) => store.noteRefusals(some, Date.now()));
  const ingest = new Ingest(
    await ingestOptions(config, log, { store, archive, recorder, relay, limit, pace, refusals }),
  );
  const figures = (): WorkerFigures => ({
    ...ingest.figures(),
    ...relay.figures(),
    frames: recorder.frames,
    samples: recorder.samples,
    unstored: recorder.unstored,
    dropped: limit.dropped,
    incomplete: archive.incomplete,
  });
  const metrics = workerMetrics(figures, commits);
  return { config, log, channel, store, archive, recorder, limit, relay, questions, refusals, ingest, metrics };
}

/** Passes the durability, because LMDB uses the one with which a process first opens a file. */
function openWorkerStore(config: Config, log: Logger): Promise<Store> {
  const { durability } = config;
  const { [STORE_ID]: id, [STORE_IDENTITY]: file } = process.env;
  return openStore(config, { durability, log, ...(id !== undefined && { id }), ...(file && { file }) });
}

async function startArchive(
  config: Config,
  log: Logger,
  store: Store,
  onFault: (error: unknown) => void,
): Promise<ThreadArchive> {
  return ThreadArchive.start(
    recordData(config, await store.id(), storeIdentity(store)),
    onFault,
    ({ message }) => log.error({ reason: message }, 'part of the record cannot be read and is skipped'),
    config.redis && ((note) => store.note(note)),
    undefined,
    (report) => logRemoved(log, report),
  );
}

/** False if the option says so, or if Node is not as expected. */
async function sharesReads({ plainWebsockets }: Config, log: Logger): Promise<boolean> {
  if (plainWebsockets) return false;
  const can = await canShareReads();
  if (!can)
    log.warn(
      { node: process.version },
      'internals of Node.js are not as expected: ws alone reads WebSockets (--plain-websockets), which costs more CPU',
    );
  return can;
}

interface IngestParts {
  store: Store;
  archive: ThreadArchive;
  recorder: Recorder;
  relay: Relay;
  limit: ConnectionLimit;
  pace: Pace;
  refusals: RefusalLog;
}

async function ingestOptions(
  config: Config,
  log: Logger,
  { store, archive, recorder, relay, limit, pace, refusals }: IngestParts,
): Promise<IngestOptions> {
  // A store on this machine always answers.
  const sites = config.redis ? new KnownSites(store) : store;
  return {
    config,
    log,
    pace,
    maxPerAddress: limitOfOne(config.maxPerAddress, OPTIONS.maxPerAddress.preset, mostConnections()),
    sharesReads: await sharesReads(config, log),
    moved: (old, fresh) => limit.upgraded(old as Socket, fresh),
    secret: await store.secret(),
    // A primary of an older version, which reloads its workers after an upgrade, does not set it.
    run: Number(process.env[SERVER_RUN] ?? 0),
    site: (key) => sites.site(key),
    markSeen: (key) => {
      store.markSeen(key, Date.now()).catch((error: unknown) => {
        // The log already says once that Redis does not answer.
        if (!isUnreachable(error)) log.error({ err: error }, 'the time of a first visitor cannot be stored');
      });
    },
    refused: (site, origin, code) => refusals.add(site, origin, code),
    claim: (arrival, posted, last) => relay.claim(arrival, posted, last),
    lastFrame: (site, id, most) => (recorder.inTrouble ? Promise.resolve(0) : lastFrameOf(archive, site, id, most)),
    late: (mark) => relay.late(mark),
    watched: (site) => relay.watched(site),
    record: (arrival, country, n) => startRecording(recorder, arrival, country, n),
    canRecord: () => !recorder.inTrouble,
    saturated: () => relay.saturated || recorder.inTrouble,
    drop: (site, n) => relay.drop(site, n),
  };
}

function httpOptions(parts: Parts, drain: Drain): HttpOptions {
  const { config, log, channel, store, archive, ingest, questions, refusals } = parts;
  const minutes = new MinuteWriter(store, log);
  return {
    config,
    logger: log,
    store,
    archive,
    version,
    ready: () => !drain.isDraining,
    // The stream's socket goes to the primary, which outlives this worker.
    openStream: (request, socket, past) => channel.hand({ tag: TAG, k: 'stream', request, past }, socket),
    // Without other nodes, the primary knows all stored minutes.
    past: async (site) => (config.redis ? minutes.past(site) : null),
    beacon: (request) => ingest.beacon(request),
    present: (site) => questions.present(site),
    countHit: hitCounter(config, store, archive),
    refused: (site, origin, code) => refusals.add(site, origin, code),
    metrics: () => questions.metrics(),
    health: () => questions.health(),
  };
}

function upgradeHandler({ config, log, ingest }: Parts, http: Http) {
  const peerOf = peerReader(config);
  const removeBase = baseRemover(config.basePath);
  return (request: IncomingMessage, socket: Duplex, head: Buffer): void => {
    const fault = headFault(request);
    if (fault !== undefined) {
      endWithProblem(socket, fault);
      return;
    }
    if (request.headers.upgrade?.toLowerCase() !== 'websocket') {
      answerWithoutUpgrade(http.handler, request, socket);
      return;
    }
    removeBase(request);
    ingest.upgrade(request, socket, head, peerOf(request)).catch((error: unknown) => {
      if (isUnreachable(error)) return endWithProblem(socket, STORE_AWAY);
      log.error({ err: error }, 'upgrade failed');
      socket.destroy();
    });
  };
}

/** Closes connections beyond the limits before anything is read from them. */
function limitConnections(servers: readonly Server[], { limit, log }: Parts): void {
  const loggedAt = new Map<Dropped, number>();
  const logDrop = (reason: Dropped | undefined): void => {
    const now = performance.now();
    if (reason === undefined || now - (loggedAt.get(reason) ?? Number.NEGATIVE_INFINITY) < DROP_LOG_MS) return;
    loggedAt.set(reason, now);
    log.warn({ reason, dropped: Object.fromEntries(limit.dropped) }, 'too many connections; new ones are closed');
  };
  for (const server of servers) server.prependListener('connection', (socket: Socket) => logDrop(limit.admit(socket)));
}

function dispatch(message: ToWorker, parts: Parts, drain: Drain): void {
  const { relay, ingest, questions } = parts;
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
      void sendMetrics(parts, message.ask);
      break;
    case 'drain':
      void drain.start(message.reason);
      break;
    default:
      message satisfies never;
  }
}

/** Sends this worker's metrics to the primary; `ask` is the number of its question, 0 for the last values. */
async function sendMetrics({ metrics, channel }: Parts, ask: number): Promise<void> {
  const values = await metrics.getMetricsAsJSON();
  await new Promise<void>((resolve) => channel.send({ tag: TAG, k: 'measured', ask, metrics: values }, resolve));
}

/** The primary replaces a worker that stops reporting, or that reports too much memory. */
function reportLoad({ channel, recorder }: Parts): void {
  const load = new LoadReporter();
  const beat = () => channel.send({ tag: TAG, k: 'beat', ...load.report(), troubles: troublesOf(recorder) });
  new PunctualTimer(beat, HEARTBEAT_MS, true);
}

/** Closes the parts in the order in which data flows through them, so that nothing in progress is lost. */
async function closeParts(parts: Parts, http: Http, servers: readonly Server[], reason: DrainReason): Promise<void> {
  const endServer = reason === 'stop' ? closeServer : drainServer;
  await Promise.all([parts.ingest.close(reason), ...servers.map(endServer)]);
  await parts.relay.close();
  await http.close();
  await parts.recorder.close();
  await parts.archive.close();
  await parts.refusals.flush();
  await parts.store.close();
  await sendMetrics(parts, 0);
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

/** Returns 0 if the record does not answer in time: streams may then get frames that they already have. */
function lastFrameOf(archive: ThreadArchive, site: string, id: string, most: number): Promise<number> {
  return withTimeout(archive.lastFrame(site, id, most), LOOKUP_TIMEOUT_MS).catch(() => 0);
}

/**
 * Page visits in LMDB are counted by the record's thread, which is the one that writes the file; those in Redis
 * directly.
 */
function hitCounter({ redis }: Config, store: Store, archive: ThreadArchive): Store['hit'] {
  if (redis) return (site, page) => store.hit(site, page);
  const hits = new HitQueue((groups) => archive.addHits(groups), HIT_WRITES);
  return (site, page) => hits.hit(site, page);
}

/** Logs what was removed since the last call, and that the clock is ahead; called once a minute at most. */
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

/** Returns why frames cannot be stored; empty if they can. */
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
