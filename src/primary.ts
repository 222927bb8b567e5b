/** The primary: wires supervisor and hub, and knows how the whole starts and stops. */
import { setTimeout as sleep } from 'node:timers/promises';

import type { Broker } from './broker/contract.ts';
import { noBroker } from './broker/no-broker.ts';
import { StartError, Supervisor } from './cluster/supervisor.ts';
import { type Config, OPTIONS, optionsOf } from './config/config.ts';
import { Hub } from './hub/hub.ts';
import { withTimeout } from './lib/timeout.ts';
import { createLogger, type Logger } from './log/logger.ts';
import { Gathering } from './metrics/gathering.ts';
import { reportToPm2 } from './metrics/pm2-metrics.ts';
import { primaryMetrics } from './metrics/primary-metrics.ts';
import { storeMetrics } from './metrics/store-metrics.ts';
import { ACTOR, type AuditAction, type AuditNote } from './model/audit.ts';
import { MINUTE_MS } from './model/minute.ts';
import { maySee, OWNER } from './model/rights.ts';
import { type StreamRequest, TAG, type TroubleName } from './protocol/ipc.ts';
import { targetText } from './redis/redis-url.ts';
import { descriptorLimit, limitOfOne, mostConnections, RESERVED_DESCRIPTORS } from './server/descriptors.ts';
import { lockFolder } from './server/folder-lock.ts';
import { removeStaleSocket } from './server/listen.ts';
import { version } from './server/version.ts';
import { isUnreachable, type Store, StoreError } from './store/contract.ts';
import { checkFile } from './store/lmdb/file/check-process.ts';
import { MinuteWriter } from './store/minute-writer.ts';
import { identityOf, openStore, SERVER_RUN, STORE_ID, STORE_IDENTITY } from './store/open.ts';

/** How long the last batches of draining workers may take, milliseconds. */
const LAST_BATCH_MS = 200;

/** How long it may take to keep the last minutes, milliseconds. */
const LAST_MINUTES_MS = 1000;

/** Where Redis does not answer, a stop is over by then, or so long after the workers are gone, milliseconds: after 5 s it would count as failed. */
const STOP_MS = 3500;
const LAST_WORDS_MS = 300;

/** Codes of StoreError by which a worker says so. */
const LOST: ReadonlySet<string> = new Set(['no-store', 'not-a-store']);

/** The administrator that a new store begins with. */
const FIRST_ADMIN = 'admin';

export interface Running {
  /** Addresses listened on, as `tcp://host:port` or `unix:/path`. */
  addresses: string[];
  /** On the first start with a store: the secret of a one-time sign-in link. */
  firstLink: string | undefined;
  /** No administrator has a password or a session. */
  nobodyCanSignIn: boolean;
  /** Resolves if the store turns out to be damaged: nothing can go on then. */
  damaged: Promise<StoreError>;
  /** Replaces the workers, one after the other. What goes wrong is logged. */
  reload(): Promise<void>;
  /** Drains everything. Closing twice is safe. */
  close(): Promise<void>;
}

/**
 * Starts the process tree: `exec` with `args` is what workers run. Throws StoreError and StartError, whose
 * messages are for people.
 */
export async function startPrimary(config: Config, exec: string, args: readonly string[]): Promise<Running> {
  const log = createLogger(config.logLevel, 'primary');
  let isStarted = false;
  warnOfDescriptors(config, log);
  /** A worker that was to take the place of another found no store, or another one. */
  let isStoreLost = false;
  let storeTroubles: readonly TroubleName[] = [];
  const onTrouble = (troubles: readonly TroubleName[]) => {
    storeTroubles = troubles;
  };
  const store = await openStore(config, { log, isServer: true, onTrouble });
  const unlock = await lockFolder(config.data, { reload }, (reason) => log.warn(reason));
  if (!config.redis) await warnOfSize(store, config, log);
  for (const address of config.listen) await removeStaleSocket(address);
  const machine = await store.machine();
  const broker = await startBroker(config, log, machine, await store.id());
  const kept = new MinuteWriter(store, log);
  const hub = new Hub({
    graceMs: config.graceMs,
    // Each is a descriptor of this process.
    maxStreams: Math.min(config.maxStreams, mostConnections()),
    maxStreamsEach: limitOfOne(config.maxStreamsEach, OPTIONS.maxStreamsEach.preset, mostConnections()),
    version,
    log,
    send: (worker, message) => supervisor.send(worker, message),
    sendAll: (message) => supervisor.sendAll(message),
    allowed: (request) => isAllowed(store, request),
    // To write to a file that is cut short ends the process.
    keep: async (minutes) => !isSuspected() && kept.put(machine, minutes),
    machine,
    others: broker,
  });
  broker.begin(hub);
  const supervisor = new Supervisor({
    workers: config.workers,
    exec,
    args,
    env: {
      [STORE_ID]: await store.id(),
      [STORE_IDENTITY]: identityOf(store),
      [SERVER_RUN]: String(await store.nextRun()),
    },
    maxMemory: config.maxMemory,
    log,
    onFork: (worker) => gathering.add(worker),
    onListening: (worker) => hub.addWorker(worker),
    onMessage: (worker, message, socket) => {
      hub.receive(worker, message, socket);
      if (message.k === 'failed') isStoreLost = LOST.has(message.code);
      if (message.k === 'listening') isStoreLost = false;
      if (message.k === 'measured') gathering.told(worker, message.ask, message.metrics);
      else if (message.k === 'scrape') void scrape(worker, message.ask);
      else if (message.k === 'health')
        supervisor.send(worker, { tag: TAG, k: 'healthy', ask: message.ask, troubles: troubles() });
    },
    onExit: (worker) => {
      hub.removeWorker(worker);
      gathering.remove(worker);
    },
    onCrash: () => config.redis ?? suspect(config.data),
  });
  const { suspect, isSuspected, damaged } = watchStore(log);
  const troubles = (): TroubleName[] => {
    const away: TroubleName[] = broker.figures().lateMs > 0 ? ['redis-away'] : [];
    const lost: TroubleName[] = isStoreLost ? ['store-lost'] : [];
    return [...new Set([...storeTroubles, ...supervisor.troubles(), ...away, ...lost])];
  };
  const figures = () => ({
    ...hub.figures(),
    ...supervisor.figures(),
    broker: broker.figures(),
    troubles: troubles(),
  });
  const registry = primaryMetrics(version, figures);
  storeMetrics(registry, config.maxStore, () => store.archive.usage());
  const gathering = new Gathering(registry, (ask) => supervisor.sendAll({ tag: TAG, k: 'measure', ask }));
  async function scrape(worker: number, ask: number): Promise<void> {
    supervisor.send(worker, { tag: TAG, k: 'scraped', ask, text: await gathering.text() });
  }
  /** Throws StartError. */
  async function reload(tell: (line: string) => void): Promise<void> {
    if (!isStarted) throw new StartError('starting', 'the server is not ready yet; try again soon');
    log.info('workers are being replaced');
    try {
      const workers = await supervisor.roll((done, total) => tell(`worker ${done} of ${total} is replaced`));
      log.info({ workers }, 'workers are replaced');
    } catch (error) {
      log.error({ err: error }, 'not all workers could be replaced; the others keep running');
      throw error;
    }
  }
  const stopTelling = reportToPm2(() => ({ ...hub.figures(), delayMs: supervisor.delayMs() }));
  let closing: Promise<void> | undefined;
  const close = async (): Promise<void> => {
    stopTelling();
    const [began, begin] = [Date.now(), performance.now()];
    const drained = supervisor.close();
    // Workers may wait for a slow request; dashboards are told at once, after what visitors did last.
    await sleep(LAST_BATCH_MS);
    await Promise.all([drained, hub.close()]);
    // Where there are other machines visitors go there, and would count twice in the minute in which they were sent away.
    const isAlone = broker.figures().machines === 0;
    const lastMinutes = hub.keepMinutes(isAlone ? Date.now() : began - MINUTE_MS);
    const closed = Promise.all([
      withTimeout(lastMinutes, LAST_MINUTES_MS)
        .catch(() => {})
        .then(() => store.close()),
      broker.close(),
    ]);
    // Nothing is lost with it: what is acked is in Redis. A file is waited for, as an exit in the middle of a write would.
    const leftMs = Math.max(LAST_WORDS_MS, STOP_MS - (performance.now() - begin));
    await (config.redis ? withTimeout(closed, leftMs).catch(() => {}) : closed);
    unlock();
  };
  const closeOnce = () => {
    closing ??= close();
    return closing;
  };
  try {
    await kept.recall(machine, (site, minutes) => hub.recall(site, minutes));
    const addresses = await supervisor.start();
    isStarted = true;
    const isTcp = (address: string) => address.startsWith('tcp:');
    // Commands print addresses, and need not be given the option.
    await store.noteAddresses(addresses.map((one) => (isTcp(one) ? one + config.basePath : one)));
    await store.noteOptions(optionsOf(config), Date.now());
    const reloadQuietly = () => reload(() => {}).catch(() => {});
    return { addresses, ...(await firstSteps(store)), damaged, reload: reloadQuietly, close: closeOnce };
  } catch (error) {
    await closeOnce();
    // A worker that a broken page has ended could not say so.
    if (!config.redis && error instanceof StartError && error.code === 'worker-died') await checkFile(config.data);
    throw error;
  }
}

/** Says at the start that the system allows fewer connections than the options do. */
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

/** Says at the start that the cap was lowered below the size of the store's file, which never shrinks. */
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
    // Who looks on goes on looking: it will be asked again in a second.
    if (isUnreachable(error)) return true;
    throw error;
  }
}

/** The way to other machines, if there are any. A server that is alone need not load it. */
async function startBroker({ redis }: Config, log: Logger, machine: string, id: string): Promise<Broker> {
  if (!redis) return noBroker;
  const { RedisBroker } = await import('./broker/redis-broker.ts');
  const { checkFor } = await import('./store/redis/identity.ts');
  return RedisBroker.start(redis, log, machine, checkFor(targetText(redis), new Set([id])));
}

/** Where workers die, a damaged store may be why: other workers would die of it too, again and again. */
function watchStore(log: Logger) {
  let checking = false;
  let isDamaged = false;
  let tell: (error: StoreError) => void;
  const damaged = new Promise<StoreError>((resolve) => {
    tell = resolve;
  });
  const suspect = (folder: string): void => {
    if (checking) return;
    checking = true;
    checkFile(folder)
      .catch((error: unknown) => {
        isDamaged = error instanceof StoreError && error.code !== 'no-store';
        // A file that was moved away may come back: workers are started again and again until then.
        if (error instanceof StoreError && isDamaged) tell(error);
        else if (error instanceof StoreError) log.error(error.message);
        else log.error({ err: error }, 'cannot check whether the store is damaged');
      })
      .finally(() => {
        checking = false;
      });
  };
  return { suspect, isSuspected: () => checking || isDamaged, damaged };
}

/**
 * A new store gets an administrator and a link, from one of the servers that start on it at the same moment; where nobody can sign
 * in, it is to be said how.
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
