/** Health checks for load balancers and process managers. */
import { Type } from '@fastify/type-provider-typebox';
import type { FastifyReply } from 'fastify';
import { TROUBLES, type TroubleName } from '../../protocol/ipc.ts';
import type { HttpOptions } from '../contract.ts';
import { comeBackLater } from '../problem.ts';
import { type HttpApp, shape } from '../schema.ts';

const Status = shape({
  status: Type.Union([Type.Literal('ok'), Type.Literal('degraded')]),
  reasons: Type.Array(Type.Unsafe<TroubleName>({ type: 'string', enum: [...TROUBLES] })),
});

/**
 * `/healthz`: the server is alive, which requires an answer of the primary. `/readyz`: in addition this worker accepts
 * new requests. Both report `degraded` and the reasons if something does not work that others may not need.
 */
export function healthRoutes(app: HttpApp, { ready, health, config }: HttpOptions): void {
  const response = { 200: Status, 503: Status };
  const schema = (summary: string) => ({ tags: ['health'], summary, security: [], response });
  const answer = async (reply: FastifyReply) => {
    const reasons = await health();
    if (!reasons)
      throw comeBackLater(
        503,
        'primary-hung',
        'The primary process is not responding, so no visitor is admitted.',
        2000,
      );
    const isDegraded = reasons.length > 0;
    reply.code(isDegraded && config.failDegraded ? 503 : 200).header('cache-control', 'no-store');
    return { status: isDegraded ? ('degraded' as const) : ('ok' as const), reasons: [...reasons] };
  };
  app.get('/healthz', { schema: schema('Whether the server is alive') }, (_, reply) => answer(reply));
  app.get('/readyz', { schema: schema('Whether the server accepts requests') }, (_, reply) => {
    if (!ready()) throw comeBackLater(503, 'draining', 'This server is about to stop.', 2000);
    return answer(reply);
  });
}
