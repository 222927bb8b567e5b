/** The primary: wires supervisor and hub, and knows how the whole starts and stops. */

import { Supervisor } from './cluster/supervisor.ts';
import type { Config } from './config.ts';
import { Hub } from './hub/hub.ts';
import { removeStaleSocket } from './listen.ts';
import { createLogger } from './logger.ts';
import { openStore } from './store/embedded.ts';
import { version } from './version.ts';

/** The administrator that a new data folder begins with. */
const FIRST_ADMIN = 'admin';

export interface Running {
  /** Addresses listened on, as `tcp://host:port` or `unix:/path`. */
  addresses: string[];
  /** On the first start in a data folder: the secret of a one-time sign-in link. */
  firstLink: string | undefined;
  /** Drains everything. Closing twice is safe. */
  close(): Promise<void>;
}

/**
 * Starts the process tree: `exec` with `args` is what workers run. Throws StoreError and StartError, whose
 * messages are for people.
 */
export async function startPrimary(config: Config, exec: string, args: readonly string[]): Promise<Running> {
  const log = createLogger(config.logLevel, 'primary');
  const store = await openStore(config.data);
  const firstLink = await makeFirstLink(store);
  for (const address of config.listen) await removeStaleSocket(address);
  const hub = new Hub({
    graceMs: config.graceMs,
    maxStreams: config.maxStreams,
    version,
    log,
    send: (worker, message) => supervisor.send(worker, message),
    sendAll: (message) => supervisor.sendAll(message),
    allowed: async ({ credential, site }) =>
      (await store.valid(credential, Date.now())) && (await store.site(site)) !== undefined,
  });
  const supervisor = new Supervisor({
    workers: config.workers,
    exec,
    args,
    log,
    onFork: (worker) => hub.addWorker(worker),
    onMessage: (worker, message, socket) => hub.receive(worker, message, socket),
    onExit: (worker) => hub.removeWorker(worker),
  });
  let closing: Promise<void> | undefined;
  const close = async (): Promise<void> => {
    await supervisor.close();
    await hub.close();
    await store.close();
  };
  const running = { firstLink, close: () => (closing ??= close()) };
  try {
    return { ...running, addresses: await supervisor.start() };
  } catch (error) {
    await running.close();
    throw error;
  }
}

async function makeFirstLink(store: Awaited<ReturnType<typeof openStore>>): Promise<string | undefined> {
  const now = Date.now();
  if ((await store.admins()).length > 0) return undefined;
  await store.addAdmin(FIRST_ADMIN, now);
  return store.addLink(FIRST_ADMIN, now);
}
