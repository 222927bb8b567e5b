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

/** What OpenSSL holds against a certificate (nodejs.org/api/tls.html, "X509 certificate error codes"), and Node against its names. */
const CERTIFICATE = /^(CERT_|ERR_TLS_CERT_|UNABLE_TO_|SELF_SIGNED_|DEPTH_ZERO_)/;
/** Who signed it is not known. */
const UNKNOWN_SIGNER = /^(UNABLE_TO_(GET_ISSUER|VERIFY)|SELF_SIGNED_|DEPTH_ZERO_)/;

interface Cause extends Error {
  code?: unknown;
  /** What OpenSSL says, without the place in its sources and the line break that its message has. */
  reason?: unknown;
}

/** What an error of the client stands for. `where` names the server, without its password; `name` is what it is. */
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

/** Connecting to an address that has several fails with all of their errors in one. */
function deepest(error: Error & { errors?: Error[]; cause?: unknown }): Error {
  const [first] = error.errors ?? [];
  if (first) return deepest(first);
  return error.cause instanceof Error && !error.message ? deepest(error.cause) : error;
}
