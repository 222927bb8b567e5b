/** Turns Redis errors into store errors. */
import { RedisError } from '../../redis/error.ts';
import { StoreError } from '../contract.ts';

/** Returns what a promise resolves to. Throws StoreError instead of RedisError. */
export async function toStoreError<T>(promise: Promise<T>): Promise<T> {
  try {
    return await promise;
  } catch (error) {
    throw error instanceof RedisError ? storeError(error) : error;
  }
}

/** A Redis with another store counts as unreachable: the stored data is not there. */
const CODES: Readonly<Record<RedisError['code'], StoreError['code']>> = {
  full: 'full',
  unreachable: 'unreachable',
  'other-store': 'unreachable',
  refused: 'refused',
  failed: 'refused',
  version: 'refused',
};

function storeError({ code, message }: RedisError): StoreError {
  return new StoreError(CODES[code], message);
}
