/** Connections to Redis as Fieldmouse makes them. */
import assert from 'node:assert/strict';
import { type ConnectOptions, Redis } from '../../src/redis/connection.ts';
import { RedisError } from '../../src/redis/error.ts';
import { type RedisTarget, readTarget } from '../../src/redis/redis-url.ts';
import type { Owner } from './owner.ts';

/** Connects; the connection is closed after the test. */
export async function connect(t: Owner, url: string, options: ConnectOptions = {}): Promise<Redis> {
  const redis = await Redis.connect(readTarget(url) as RedisTarget, options);
  t.after(() => redis.close());
  return redis;
}

/** Returns true for a RedisError of this kind whose message has one line and no password. */
export function refusal(code: RedisError['code'], message: RegExp) {
  return (error: unknown) => {
    assert.ok(error instanceof RedisError, String(error));
    assert.deepEqual([error.code, message.test(error.message) || error.message], [code, true]);
    assert.ok(!error.message.includes('\n') && !error.message.includes('secret'));
    return true;
  };
}
