/** Translates errors of the client. It is separate from the error class, which is also used without Redis. */
import { ErrorReply } from '@redis/client';
import { RedisError } from './error.ts';

/** Error codes of Redis by the first word of its reply (redis.io/docs/reference/protocol-spec, "Simple errors"). */
const CODES: Readonly<Record<string, RedisError['code']>> = {
  OOM: 'full',
  // Redis cannot write its file, as on a full disk.
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

/** Certificate errors of OpenSSL (nodejs.org/api/tls.html, "X509 certificate error codes"), and of Node for names. */
const CERTIFICATE = /^(CERT_|ERR_TLS_CERT_|UNABLE_TO_|SELF_SIGNED_|DEPTH_ZERO_)/;
/** The signer is unknown. */
const UNKNOWN_SIGNER = /^(UNABLE_TO_(GET_ISSUER|VERIFY)|SELF_SIGNED_|DEPTH_ZERO_)/;

interface Cause extends Error {
  code?: unknown;
  /** OpenSSL's message, without the source location and the line break. */
  reason?: unknown;
}

/**
 * Returns the RedisError for an error of the client. `where` is the server, without its password; `name` is what kind
 * of server it is.
 */
export function redisError(error: unknown, where: string, name: 'Redis' | 'Sentinel' = 'Redis'): RedisError {
  if (error instanceof RedisError) return error;
  const cause: Cause = deepest(error as Error);
  const [code, who] = [String(cause.code), `${name} at ${where}`];
  if (cause instanceof ErrorReply) return answered(cause.message, who);
  const why = String(code.startsWith('ERR_SSL_') ? cause.reason : cause.message || cause.name);
  if (CERTIFICATE.test(code)) return distrusted(code, why, who);
  return new RedisError('unreachable', `${who} does not answer: ${why}`);
}

function distrusted(code: string, why: string, who: string): RedisError {
  const hint = UNKNOWN_SIGNER.test(code) ? '; set NODE_EXTRA_CA_CERTS=FILE to trust your own CA' : '';
  return new RedisError('refused', `${who} has a certificate that is not accepted: ${why}${hint}`);
}

function answered(message: string, who: string): RedisError {
  const [word = ''] = message.split(' ', 1);
  const isAuth = /AUTH|invalid (username|password)/i.test(message);
  const code = CODES[word] ?? (isAuth ? 'refused' : 'failed');
  return new RedisError(code, `${who} says: ${message}`);
}

/** Returns the first cause. Connecting to a name with several addresses fails with all of their errors in one. */
function deepest(error: Error & { errors?: Error[]; cause?: unknown }): Error {
  const [first] = error.errors ?? [];
  if (first) return deepest(first);
  return error.cause instanceof Error && !error.message ? deepest(error.cause) : error;
}
