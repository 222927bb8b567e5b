/** Opens the configured store: in the data folder, or in the Redis that several nodes share. */
import type { Config } from '../config/config.ts';
import type { Logger } from '../log/logger.ts';
import type { TroubleName } from '../protocol/ipc.ts';
import { type Store, StoreError } from './contract.ts';
import { ownFolder } from './lmdb/file/folder.ts';
import { type LmdbStore, openLmdbStore as openFile, type StoreOptions } from './lmdb/lmdb-store.ts';

export interface OpenOptions extends StoreOptions {
  /** Logs when Redis becomes unreachable, and when it is reachable again. */
  log?: Logger;
  /**
   * The store is for a server: its data folder is created if necessary, and a Redis that may lose acked frames is
   * refused or warned about.
   */
  isServer?: boolean;
  /** Create the store if it does not exist; a server does. */
  create?: boolean;
  /** Open only the store with this id; do not create another in its place. */
  id?: string;
  /** Open the store only in this file, by `LmdbStore.identity`: a copy may lack the last acked frames. */
  file?: string;
  /** Called with the store's troubles, such as `redis-away`, each time they change. */
  onTrouble?(troubles: readonly TroubleName[]): void;
}

/** Environment variable that tells a worker the id of the store to open. */
export const STORE_ID = 'FIELDMOUSE_STORE_ID';
/** Environment variable for the identity of the store's file; empty with Redis. */
export const STORE_IDENTITY = 'FIELDMOUSE_STORE_FILE';
/** Environment variable for the number of the server's run: see `Store.nextRun`. */
export const SERVER_RUN = 'FIELDMOUSE_SERVER_RUN';

/** Returns the identity of a store's file; empty with Redis. */
export function storeIdentity(store: Store): string {
  return ('identity' in store && String(store.identity)) || '';
}

type StoreLocation = Pick<Config, 'data' | 'redis' | 'redisReplicas'> & Partial<Pick<Config, 'requirePersistence'>>;

/** Throws StoreError. */
export async function openStore(where: StoreLocation, options: OpenOptions = {}): Promise<Store> {
  const { data, redis, redisReplicas: replicas, requirePersistence = false } = where;
  const { create = options.isServer ?? false } = options;
  if (redis === undefined) {
    const checked = options.isServer ? { checkBytes: 0 } : {};
    const store = await openFile(data, { onDamage: damageLogger(options.log), ...checked, ...options, create });
    if (options.isServer) watchFile(store, options);
    return expectStore(store, options);
  }
  if (options.isServer) ownFolder(data);
  // Loaded on demand: a single server does not need it.
  const { openRedisStore } = await import('./redis/redis-store.ts');
  return openRedisStore(redis, { ...options, create, folder: data, replicas, requirePersistence });
}

/** How often to check that the store's file is in its place, milliseconds. Workers also check at each write. */
const PLACE_MS = 1000;

/** Logs once that the store's file was moved away or replaced, and once that it is back. */
function watchFile(store: LmdbStore, { log, onTrouble }: OpenOptions): void {
  let isLost = false;
  const look = () => {
    try {
      store.checkInPlace();
      if (isLost) log?.info('the store is back in its place; everything continues');
      if (isLost) onTrouble?.([]);
      isLost = false;
    } catch (error) {
      if (!isLost) log?.error((error as Error).message);
      if (!isLost) onTrouble?.(['store-lost']);
      isLost = true;
    }
  };
  const timer = setInterval(look, PLACE_MS).unref();
  store.onClose(() => clearInterval(timer));
}

/** Minimum time between two log entries about unreadable data, milliseconds. */
const DAMAGE_INTERVAL_MS = 60_000;

function damageLogger(log: Logger | undefined): (error: StoreError) => void {
  let loggedAt = Number.NEGATIVE_INFINITY;
  return ({ message }) => {
    if (performance.now() - loggedAt < DAMAGE_INTERVAL_MS) return;
    loggedAt = performance.now();
    log?.error({ reason: message }, 'part of the store cannot be read and is skipped');
  };
}

/** Returns the store if it has the expected id and is in the expected file. Throws StoreError otherwise. */
async function expectStore(store: LmdbStore, { id, file }: Pick<OpenOptions, 'id' | 'file'>): Promise<Store> {
  const found = await store.id();
  const isOfId = id === undefined || id === found;
  if (isOfId && (file === undefined || file === store.identity)) return store;
  await store.close();
  if (isOfId)
    throw new StoreError(
      'not-a-store',

      'the store in the data folder is a copy of the one that the server uses, or was newly created: nothing ' +
        'is written to it; ' +
        'move the same file back, or restart the server to use this one',
    );
  throw new StoreError(
    'not-a-store',
    `the store in the data folder (${found}) is not the one that the server uses (${id}): nothing is written to it; ` +
      'move the right one back, or restart the server to use this one',
  );
}
