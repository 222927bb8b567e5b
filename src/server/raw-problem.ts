/** Sends a problem (RFC 9457) on a bare socket that no HTTP server handles any more. */
import { STATUS_CODES } from 'node:http';
import type { Duplex } from 'node:stream';
import type { ProblemCode, ProblemStatus } from '../protocol/problems.ts';

/** How long a refused client may take to read the reason, milliseconds. */
const LIMIT_MS = 2000;

export interface RawProblem {
  status: ProblemStatus;
  code: ProblemCode;
  detail?: string;
  /** Seconds. */
  retryAfter?: number;
  /** Additional headers. */
  fields?: Readonly<Record<string, string>>;
}

/** The answer while the store cannot check permissions. */
export const STORE_AWAY: RawProblem = {
  status: 503,
  code: 'unavailable',
  detail: 'The store is not responding.',
  retryAfter: 2,
};

/** True for the codes of a store whose server does not answer, or refuses, or whose file is missing. */
export function isAwayCode(code: unknown): boolean {
  return code === 'unreachable' || code === 'refused' || code === 'moved';
}

/** Answers and closes. Node's own timeouts do not apply here, so the socket is closed after LIMIT_MS, read or not. */
export function endWithProblem(socket: Duplex, { status, code, detail, retryAfter, fields = {} }: RawProblem): void {
  const title = STATUS_CODES[status] ?? '';
  const body = JSON.stringify({ type: 'about:blank', title, status, code, detail });
  const retry = retryAfter === undefined ? '' : `Retry-After: ${retryAfter}\r\n`;
  const more = Object.entries(fields).map(([name, value]) => `${name}: ${value}\r\n`);
  const cut = setTimeout(() => socket.destroy(), LIMIT_MS);
  socket.once('close', () => clearTimeout(cut));
  socket.on('error', () => socket.destroy());
  socket.end(
    `HTTP/1.1 ${status} ${title}\r\n${retry}${more.join('')}Content-Type: application/problem+json\r\n` +
      `Content-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n${body}`,
    () => socket.destroy(),
  );
}
