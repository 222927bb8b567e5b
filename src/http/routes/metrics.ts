/** `/metrics` for Prometheus: for callers that may see all sites, and for programs on this computer. */
import type { IncomingMessage } from 'node:http';
import { Type } from '@fastify/type-provider-typebox';
import type { FastifyRequest } from 'fastify';
import { seesAllSites } from '../../model/rights.ts';
import { forbidden, hasToken, type recogniser, signedOut } from '../auth/guard.ts';
import type { HttpOptions } from '../contract.ts';
import { comeBackLater } from '../problem.ts';
import type { HttpApp } from '../schema.ts';

/** The Prometheus text format. */
const TEXT = 'text/plain; version=0.0.4; charset=utf-8';
/** Headers that proxies add: the client behind a proxy is not on this computer. */
const FORWARDING = ['forwarded', 'x-forwarded-for', 'x-forwarded-host', 'x-real-ip', 'via'];

export function metricsRoute(app: HttpApp, { metrics }: HttpOptions, recognise: ReturnType<typeof recogniser>): void {
  const schema = {
    tags: ['health'],
    summary: 'Metrics of all processes in Prometheus format; without a token only from this machine',
    produces: [TEXT],
    response: { 200: Type.String() },
  };
  app.get('/metrics', { schema }, async (request, reply) => {
    if (!isFromHere(request.raw)) await check(request);
    const text = await metrics();
    if (text === undefined) throw comeBackLater(503, 'try-later', 'Metrics are temporarily unavailable.', 1000);
    return reply.type(TEXT).send(text);
  });

  /** Metrics cover all sites together. */
  async function check(request: FastifyRequest): Promise<void> {
    const identity = await recognise(request);
    if (identity === undefined) throw signedOut();
    if (!seesAllSites(identity.rights)) throw forbidden();
  }
}

/** A page can point its own name at this address, but then the browser sends that name as Host. */
const HERE = /^(localhost|127(\.\d{1,3}){3}|\[::1\])(:\d+)?$/i;

/**
 * Judged by the connection itself. A Unix socket has no address, and a proxy may be behind it. A caller with a token is
 * judged by the token.
 */
function isFromHere({ socket, headers }: IncomingMessage): boolean {
  const address = (socket.remoteAddress ?? '').replace(/^::ffff:/, '');
  const isLoopback = (address === '::1' || address.startsWith('127.')) && HERE.test(headers.host ?? '');
  return isLoopback && !hasToken(headers) && FORWARDING.every((name) => headers[name] === undefined);
}
