/** Checks of the head of every request, for any target. */
import type { IncomingMessage } from 'node:http';
import type { RawProblem } from '../server/raw-problem.ts';
import { hasOneHost } from './host.ts';

/** An `Expect` other than `100-continue` (RFC 9110 section 10.1.1). */
export const UNKNOWN_EXPECTATION: RawProblem = {
  status: 417,
  code: 'bad-expectation',
  detail: 'The only expectation that the server supports is 100-continue.',
};

/** A connection has more pipelined requests than the server accepts. */
export const TOO_MANY_WAITING: RawProblem = {
  status: 429,
  code: 'too-many-requests',
  detail: 'Too many requests on this connection are waiting for responses. Send this one again on a new connection.',
};

/** The server is not a proxy and refuses CONNECT. */
export const NO_TUNNEL: RawProblem = {
  status: 405,
  code: 'bad-method',
  detail: 'The server does not open tunnels.',
  fields: { Allow: 'DELETE, GET, HEAD, OPTIONS, POST, PUT' },
};

/** Returns what is wrong with the head of a request; undefined if nothing is. The URL is without the base path. */
export function headFault(request: IncomingMessage): RawProblem | undefined {
  const { httpVersionMajor, method, url = '' } = request;
  if (httpVersionMajor !== 1)
    return { status: 505, code: 'bad-version', detail: 'The server speaks HTTP/1.1 and HTTP/1.0.' };
  if (!hasOneHost(request)) return badRequest('A request must name exactly one host.');
  // RFC 9112 section 3.2.4.
  if (url.startsWith('*') && !(url === '*' && method === 'OPTIONS')) return badRequest('Only OPTIONS can request *.');
  return undefined;
}

function badRequest(detail: string): RawProblem {
  return { status: 400, code: 'bad-request', detail };
}
