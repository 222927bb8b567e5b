/** Opens the store that a configuration names: in the data folder, or in the Redis that several machines share. */
import type { Config } from '../config.ts';
import type { Logger } from '../logger.ts';
import type { Store } from './contract.ts';
import { ownFolder } from './embedded/file/folder.ts';
import { openStore as openFile, type StoreOptions } from './embedded/store.ts';

export interface OpenOptions extends StoreOptions {
  /** Is told when Redis is away, and when it is there again. */
  log?: Logger;
  /** A server is to run on it: its data folder is made if need be, and a Redis that may lose what was acked is refused or warned of. */
  isServer?: boolean;
}

type Where = Pick<Config, 'data' | 'redis' | 'redisReplicas'>;

/** Throws StoreError. */
export async function openStore({ data, redis, redisReplicas }: Where, options: OpenOptions = {}): Promise<Store> {
  if (redis === undefined) return openFile(data, options);
  if (options.isServer) ownFolder(data);
  // A server that is alone need not load it.
  const { openRedisStore } = await import('./redis/store.ts');
  return openRedisStore(redis, { ...options, folder: data, replicas: redisReplicas });
}
