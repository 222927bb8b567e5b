/** What an error of the client's stands for; apart from the error itself, which is known also where Redis is not used. */
import { ErrorReply } from 'redis';
import { RedisError } from './error.ts';

/** The first words of what Redis answers where something is wrong (redis.io/docs/reference/protocol-spec, "Simple errors"). */
const CODES: Readonly<Record<string, RedisError['code']>> = {
  OOM: 'full',
  // It cannot write its file, as on a full disk.
  MISCONF: 'full',
  WRONGPASS: 'refused',
  NOAUTH: 'refused',
  NOPERM: 'refused',
  ERR_AUTH: 'refused',
  LOADING: 'unreachable',
  MASTERDOWN: 'unreachable',
  READONLY: 'unreachable',
  CLUSTERDOWN: 'unreachable',
  TRYAGAIN: 'unreachable',
  NOREPLICAS: 'unreachable',
  UNBLOCKED: 'unreachable',
};

/** What an error of the client stands for. `where` names the server, without its password. */
export function redisError(error: unknown, where: string): RedisError {
  if (error instanceof RedisError) return error;
  const cause = deepest(error as Error);
  if (cause instanceof ErrorReply) return answered(cause.message, where);
  return new RedisError('unreachable', `Redis at ${where} does not answer: ${cause.message || cause.name}`);
}

function answered(message: string, where: string): RedisError {
  const [word = ''] = message.split(' ', 1);
  const isAuth = /AUTH|invalid (username|password)/i.test(message);
  const code = CODES[word] ?? (isAuth ? 'refused' : 'failed');
  return new RedisError(code, `Redis at ${where} says: ${message}`);
}

/** Connecting to an address that has several fails with all of their errors in one. */
function deepest(error: Error & { errors?: Error[]; cause?: unknown }): Error {
  const [first] = error.errors ?? [];
  if (first) return deepest(first);
  return error.cause instanceof Error && !error.message ? deepest(error.cause) : error;
}
