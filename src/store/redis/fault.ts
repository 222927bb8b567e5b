/** What goes wrong with Redis, as every store says it. */
import { RedisError } from '../../redis/error.ts';
import { StoreError } from '../contract.ts';

/** Passes on what a promise comes to. Throws StoreError instead of RedisError. */
export async function asStore<T>(promise: Promise<T>): Promise<T> {
  try {
    return await promise;
  } catch (error) {
    throw error instanceof RedisError ? storeError(error) : error;
  }
}

function storeError({ code, message }: RedisError): StoreError {
  return new StoreError(code === 'full' ? 'full' : 'unreachable', message);
}
