/** The primary: wires supervisor and hub, and starts and stops the server. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Broker } from './broker/contract.ts';
import { noBroker } from './broker/no-broker.ts';
import { Reloader } from './cluster/reloader.ts';
import { StartError, Supervisor } from './cluster/supervisor.ts';
import { Troubles } from './cluster/troubles.ts';
import { type Config, OPTIONS, optionsOf } from './config/config.ts';
import { countryFinder } from './http/country.ts';
import { Hub } from './hub/hub.ts';
import { lazy } from './lib/lazy.ts';
import { withTimeout } from './lib/timeout.ts';
import { createLogger, type Logger } from './log/logger.ts';
import { Gathering } from './metrics/gathering.ts';
import { reportToPm2 } from './metrics/pm2-metrics.ts';
import { primaryMetrics } from './metrics/primary-metrics.ts';
import { storeMetrics } from './metrics/store-metrics.ts';
import { ACTOR, type AuditAction, type AuditNote } from './model/audit.ts';
import { MINUTE_MS } from './model/minute.ts';
import { maySee, OWNER } from './model/rights.ts';
import { type StreamRequest, TAG } from './protocol/ipc.ts';
import { targetText } from './redis/redis-url.ts';
import { descriptorLimit, limitOfOne, mostConnections, RESERVED_DESCRIPTORS } from './server/descriptors.ts';
import { lockFolder } from './server/folder-lock.ts';
import { removeStaleSocket } from './server/listen.ts';
import { version } from './server/version.ts';
import { isUnreachable, type Store, type StoreError } from './store/contract.ts';
import { checkFile } from './store/lmdb/file/check-process.ts';
import { Suspicion } from './store/lmdb/file/suspicion.ts';
import { MinuteWriter } from './store/minute-writer.ts';
import { openStore, SERVER_RUN, STORE_ID, STORE_IDENTITY, storeIdentity } from './store/open.ts';

/** Time for the last batches of draining workers, milliseconds. */
const LAST_BATCH_MS = 200;

/** Time limit for storing the last minutes, milliseconds. */
const LAST_MINUTES_MS = 1000;

/** A stop waits for Redis until this long after it started, milliseconds: a stop that takes 5 s counts as failed. */
const STOP_MS = 3500;
/** Minimum wait for Redis after the workers have ended, milliseconds. */
const MIN_STOP_MS = 300;

/** The first administrator of a new store. */
const FIRST_ADMIN = 'admin';

export interface Running {
  /** Addresses listened on, as `tcp://host:port` or `unix:/path`. */
  addresses: string[];
  /** On the first start with a store: the secret of a one-time sign-in link. */
  firstLink: string | undefined;
  /** No administrator has a password or a session. */
  nobodyCanSignIn: boolean;
  /** Resolves if the store turns out to be damaged: the server cannot continue then. */
  damaged: Promise<StoreError>;
  /** Replaces the workers, one after the other. Errors are logged. */
  reload(): Promise<void>;
  /** Drains and closes everything. Closing twice is safe. */
  close(): Promise<void>;
}

/**
 * Starts the process tree: workers run `exec` with `args`. Throws StoreError and StartError, whose messages are for
 * people.
 */
export async function startPrimary(config: Config, exec: string, args: readonly string[]): Promise<Running> {
  const log = createLogger(config.logLevel, 'primary');
  warnOfDescriptors(config, log);
  checkGeo(config);
  const troubles = new Troubles();
  const store = await openStore(config, { log, isServer: true, onTrouble: troubles.ofStore });
  const reloader = new Reloader(log);
  const unlock = await lockFolder(config.data, { reload: reloader.reload }, (reason) => log.warn(reason));
  if (!config.redis) await warnOfSize(store, config, log);
  for (const address of config.listen) await removeStaleSocket(address);
  const parts = await buildParts(config, log, store, { exec, args });
  const stopReporting = reportToPm2(() => ({ ...parts.hub.figures(), delayMs: parts.supervisor.delayMs() }));
  const close = lazy(async () => {
    stopReporting();
    await closeParts(parts);
    unlock();
  });
  try {
    const addresses = await startParts(parts, troubles);
    reloader.allow(parts.supervisor);
    await auditStart(store, config, addresses);
    const reload = () => reloader.reload(() => {}).catch(() => {});
    return { addresses, ...(await firstSteps(store)), damaged: parts.suspicion.damaged, reload, close };
  } catch (error) {
    await close();
    // A worker that was ended by a broken page of the store could not report it.
    if (!config.redis && error instanceof StartError && error.code === 'worker-died') await checkFile(config.data);
    throw error;
  }
}

/** Throws StartError. */
function checkGeo({ geo }: Config): void {
  try {
    countryFinder(geo);
  } catch (error) {
    throw new StartError('bad-geo', (error as Error).message);
  }
}

type Parts = Awaited<ReturnType<typeof buildParts>>;

/** Each part is given only parts that are built before it. Only the broker is started already. */
async function buildParts(
  config: Config,
  log: Logger,
  store: Store,
  { exec, args }: { exec: string; args: readonly string[] },
) {
  const machine = await store.machine();
  const broker = await startBroker(config, log, machine, await store.id());
  const suspicion = new Suspicion(log);
  const minutes = new MinuteWriter(store, log);
  const { workers, maxMemory } = config;
  const env = await workerEnvironment(store);
  const supervisor = new Supervisor({ workers, exec, args, env, maxMemory, log });
  const hub = new Hub({
    graceMs: config.graceMs,
    // Each stream is a descriptor of this process.
    maxStreams: Math.min(config.maxStreams, mostConnections()),
    maxStreamsEach: limitOfOne(config.maxStreamsEach, OPTIONS.maxStreamsEach.preset, mostConnections()),
    version,
    log,
    send: (worker, message) => supervisor.send(worker, message),
    sendAll: (message) => supervisor.sendAll(message),
    allowed: (request) => isAllowed(store, request),
    // If the store's file was truncated, a write would end the process.
    keep: async (siteMinutes) => !suspicion.isSuspected && minutes.put(machine, siteMinutes),
    machine,
    others: broker,
  });
  broker.start(hub);
  return { config, log, store, machine, broker, suspicion, minutes, supervisor, hub };
}

/** Returns the environment variables that tell workers which store they must open, and the number of this run. */
async function workerEnvironment(store: Store): Promise<Record<string, string>> {
  return {
    [STORE_ID]: await store.id(),
    [STORE_IDENTITY]: storeIdentity(store),
    [SERVER_RUN]: String(await store.nextRun()),
  };
}

/** Starts the workers. Resolves with the addresses they listen on. Throws StartError. */
async function startParts(parts: Parts, troubles: Troubles): Promise<string[]> {
  const { config, store, machine, broker, suspicion, minutes, supervisor, hub } = parts;
  const allTroubles = () => troubles.all(supervisor.troubles(), broker.figures().lateMs > 0);
  const registry = primaryMetrics(version, () => ({
    ...hub.figures(),
    ...supervisor.figures(),
    broker: broker.figures(),
    troubles: allTroubles(),
  }));
  storeMetrics(registry, config.maxStore, () => store.archive.usage());
  const gathering = new Gathering(registry, (ask) => supervisor.sendAll({ tag: TAG, k: 'measure', ask }));
  await minutes.recall(machine, (site, siteMinutes) => hub.recall(site, siteMinutes));
  return supervisor.start({
    onFork: (worker) => gathering.add(worker),
    onListening: (worker) => hub.addWorker(worker),
    onMessage: (worker, message, socket) => {
      hub.receive(worker, message, socket);
      troubles.read(message);
      if (message.k === 'measured') gathering.told(worker, message.ask, message.metrics);
      else if (message.k === 'scrape') void answerScrape(parts, gathering, worker, message.ask);
      else if (message.k === 'health')
        supervisor.send(worker, { tag: TAG, k: 'healthy', ask: message.ask, troubles: allTroubles() });
    },
    onExit: (worker) => {
      hub.removeWorker(worker);
      gathering.remove(worker);
    },
    onCrash: () => config.redis ?? suspicion.check(config.data),
  });
}

async function answerScrape({ supervisor }: Parts, gathering: Gathering, worker: number, ask: number): Promise<void> {
  supervisor.send(worker, { tag: TAG, k: 'scraped', ask, text: await gathering.text() });
}

/** Stores the server's addresses and options. */
async function auditStart(store: Store, config: Config, addresses: readonly string[]): Promise<void> {
  const isTcp = (address: string) => address.startsWith('tcp:');
  // Commands print these addresses and do not know the base path.
  await store.noteAddresses(addresses.map((one) => (isTcp(one) ? one + config.basePath : one)));
  await store.noteOptions(optionsOf(config), Date.now());
}

/** Drains the workers, ends the streams, and stores the last minutes. */
async function closeParts({ config, store, broker, supervisor, hub }: Parts): Promise<void> {
  const [startedAt, start] = [Date.now(), performance.now()];
  const drained = supervisor.close();
  // Workers may wait for a slow request. Streams do not: they end as soon as the visitors' last batches have arrived.
  await sleep(LAST_BATCH_MS);
  await Promise.all([drained, hub.close()]);
  // Visitors move to other nodes, if there are any. They would count twice in the minute in which they disconnect.
  const isAlone = broker.figures().machines === 0;
  const lastMinutes = hub.keepMinutes(isAlone ? Date.now() : startedAt - MINUTE_MS);
  const closed = Promise.all([
    withTimeout(lastMinutes, LAST_MINUTES_MS)
      .catch(() => {})
      .then(() => store.close()),
    broker.close(),
  ]);
  // With Redis, a timeout loses nothing: Redis has everything that is acked. For a file, a time limit is of no use: an
  // exit during a write would wait as well.
  const leftMs = Math.max(MIN_STOP_MS, STOP_MS - (performance.now() - start));
  await (config.redis ? withTimeout(closed, leftMs).catch(() => {}) : closed);
}

/** Logs a warning if the system allows fewer connections than the options do. */
function warnOfDescriptors({ maxConnections, maxPerAddress }: Config, log: Logger): void {
  const limit = descriptorLimit();
  if (limit === undefined || limit >= maxConnections) return;
  const wanted = maxConnections + RESERVED_DESCRIPTORS;
  const most = mostConnections(limit);
  log.warn(
    `the limit of open files (nofile) is ${limit}: each worker accepts at most ${most} connections ` +
      `(${limitOfOne(maxPerAddress, OPTIONS.maxPerAddress.preset, most)} WebSockets from one address) instead ` +
      `of the ${maxConnections} of --max-connections; ` +
      `raise the limit to ${wanted}, or lower --max-connections`,
  );
}

/** Logs a warning if the store's file, which never shrinks, is larger than --max-store. */
async function warnOfSize({ archive }: Store, { maxStore, data }: Config, log: Logger): Promise<void> {
  const { file } = await archive.usage();
  if (file <= maxStore) return;
  log.warn(
    `the store's file has ${file} bytes, more than the ${maxStore} of --max-store: visits are removed until they fit, ` +
      `but the file does not shrink. To shrink it afterwards: fieldmouse backup FILE --data ${data}, ` +
      `stop the server, fieldmouse restore FILE --data ${data}`,
  );
}

async function isAllowed(
  store: Store,
  { credential, site }: Pick<StreamRequest, 'credential' | 'site'>,
): Promise<boolean> {
  try {
    return await maySee(store, credential, site);
  } catch (error) {
    // An open stream continues; the check is repeated in a second.
    if (isUnreachable(error)) return true;
    throw error;
  }
}

/** The connection to other nodes. A server without Redis does not load its code. */
async function startBroker({ redis }: Config, log: Logger, machine: string, id: string): Promise<Broker> {
  if (!redis) return noBroker;
  const { RedisBroker } = await import('./broker/redis-broker.ts');
  const { checkFor } = await import('./store/redis/identity.ts');
  return RedisBroker.start(redis, log, machine, checkFor(targetText(redis), new Set([id])));
}

/**
 * Gives a new store an administrator and a sign-in link. If several servers start with it at once, only one of them
 * does this. Otherwise checks whether anybody can sign in.
 */
export async function firstSteps(store: Store): Promise<Pick<Running, 'firstLink' | 'nobodyCanSignIn'>> {
  const now = Date.now();
  const noted = (what: AuditAction): AuditNote => ({ at: now, who: ACTOR.server, what, on: FIRST_ADMIN });
  const isNew = (await store.admins()).length === 0;
  if (isNew && (await store.addAdmin(FIRST_ADMIN, now, OWNER, noted('admin-added'))))
    return { firstLink: await store.addLink(FIRST_ADMIN, now, noted('link-made')), nobodyCanSignIn: false };
  const admins = await store.admins();
  const nobodyCanSignIn = admins.every(({ password }) => password === null) && (await store.sessions(now)).length === 0;
  return { firstLink: undefined, nobodyCanSignIn };
}
