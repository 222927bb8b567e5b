/** Opens the store that a configuration names: in the data folder, or in the Redis that several machines share. */
import type { Config } from '../config/config.ts';
import type { Logger } from '../log/logger.ts';
import type { TroubleName } from '../protocol/ipc.ts';
import { type Store, StoreError } from './contract.ts';
import { ownFolder } from './lmdb/file/folder.ts';
import { type LmdbStore, openLmdbStore as openFile, type StoreOptions } from './lmdb/lmdb-store.ts';

export interface OpenOptions extends StoreOptions {
  /** Is told when Redis is away, and when it is there again. */
  log?: Logger;
  /** A server is to run on it: its data folder is made if need be, and a Redis that may lose what was acked is refused or warned of. */
  isServer?: boolean;
  /** Make a store where there is none; a server does. */
  create?: boolean;
  /** Open this store and no other: a new one is not made in its place. */
  id?: string;
  /** Open the store only in this file, by `EmbeddedStore.identity`: a copy of it may lack what was acked last. */
  file?: string;
  /** Is told what keeps the store from working as it should, as `redis-away`, each time that changes. */
  onTrouble?(troubles: readonly TroubleName[]): void;
}

/** The environment variable in which a worker is told the id of the store it is to open. */
export const STORE_ID = 'FIELDMOUSE_STORE_ID';
/** The same of the file that the store is in; empty with Redis. */
export const STORE_IDENTITY = 'FIELDMOUSE_STORE_FILE';
/** The number of the run of the server: see `Store.nextRun`. */
export const SERVER_RUN = 'FIELDMOUSE_SERVER_RUN';

/** Of the file that a store is in; empty with Redis. */
export function identityOf(store: Store): string {
  return ('identity' in store && String(store.identity)) || '';
}

type Where = Pick<Config, 'data' | 'redis' | 'redisReplicas'> & Partial<Pick<Config, 'requirePersistence'>>;

/** Throws StoreError. */
export async function openStore(where: Where, options: OpenOptions = {}): Promise<Store> {
  const { data, redis, redisReplicas: replicas, requirePersistence = false } = where;
  const { create = options.isServer ?? false } = options;
  if (redis === undefined) {
    const checked = options.isServer ? { checkBytes: 0 } : {};
    const store = await openFile(data, { onDamage: complainer(options.log), ...checked, ...options, create });
    if (options.isServer) watchPlace(store, options);
    return theOne(store, options);
  }
  if (options.isServer) ownFolder(data);
  // A server that is alone need not load it.
  const { openRedisStore } = await import('./redis/redis-store.ts');
  return openRedisStore(redis, { ...options, create, folder: data, replicas, requirePersistence });
}

/** How often to check that the store's file is in its place, milliseconds. Workers also check at each write. */
const PLACE_MS = 1000;

/** Says once that the store's file was moved away or replaced, and once that it is back. */
function watchPlace(store: LmdbStore, { log, onTrouble }: OpenOptions): void {
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

/** That something cannot be read is in the log at most so often, milliseconds. */
const COMPLAIN_MS = 60_000;

function complainer(log: Logger | undefined): (error: StoreError) => void {
  let toldAt = Number.NEGATIVE_INFINITY;
  return ({ message }) => {
    if (performance.now() - toldAt < COMPLAIN_MS) return;
    toldAt = performance.now();
    log?.error({ reason: message }, 'part of the store cannot be read and is skipped');
  };
}

/** A store with the id that is asked for, in the file that is asked for. Throws StoreError if it is another. */
async function theOne(store: LmdbStore, { id, file }: Pick<OpenOptions, 'id' | 'file'>): Promise<Store> {
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
