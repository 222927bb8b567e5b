/** The primary: wires supervisor and hub, and knows how the whole starts and stops. */
import { setTimeout as sleep } from 'node:timers/promises';

import { Supervisor } from './cluster/supervisor.ts';
import type { Config } from './config.ts';
import { lockFolder } from './folder-lock.ts';
import { Hub } from './hub/hub.ts';
import { removeStaleSocket } from './listen.ts';
import { createLogger } from './logger.ts';
import type { Store } from './store/contract.ts';
import { openStore } from './store/embedded.ts';
import { version } from './version.ts';

/** How long the last batches of draining workers may take, milliseconds. */
const LAST_BATCH_MS = 200;

/** The administrator that a new data folder begins with. */
const FIRST_ADMIN = 'admin';

export interface Running {
  /** Addresses listened on, as `tcp://host:port` or `unix:/path`. */
  addresses: string[];
  /** On the first start in a data folder: the secret of a one-time sign-in link. */
  firstLink: string | undefined;
  /** No administrator has a password or a session. */
  nobodyCanSignIn: boolean;
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
  const unlock = await lockFolder(config.data);
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
    const drained = supervisor.close();
    // Workers may wait for a slow request; dashboards are told at once, after what visitors did last.
    await sleep(LAST_BATCH_MS);
    await Promise.all([drained, hub.close()]);
    await store.close();
    unlock();
  };
  const closeOnce = () => {
    closing ??= close();
    return closing;
  };
  try {
    const addresses = await supervisor.start();
    await store.noteAddresses(addresses);
    return { addresses, ...(await firstSteps(store)), close: closeOnce };
  } catch (error) {
    await closeOnce();
    throw error;
  }
}

/** A new folder gets an administrator and a link; where nobody can sign in, it is to be said how. */
async function firstSteps(store: Store): Promise<{ firstLink: string | undefined; nobodyCanSignIn: boolean }> {
  const now = Date.now();
  const admins = await store.admins();
  if (admins.length === 0) {
    await store.addAdmin(FIRST_ADMIN, now);
    return { firstLink: await store.addLink(FIRST_ADMIN, now), nobodyCanSignIn: false };
  }
  const nobodyCanSignIn = admins.every(({ password }) => password === null) && (await store.sessions(now)).length === 0;
  return { firstLink: undefined, nobodyCanSignIn };
}
