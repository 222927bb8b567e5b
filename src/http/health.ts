/** For load balancers and process keepers. */
import { Type } from '@fastify/type-provider-typebox';
import type { HttpOptions } from './contract.ts';
import { comeBackLater } from './problem.ts';
import { type App, shape } from './schema.ts';

const Status = shape({ status: Type.Literal('ok') });

/** `/healthz`: the process answers. `/readyz`: it also wants new requests. */
export function healthRoutes(app: App, { ready }: HttpOptions): void {
  const ok = { status: 'ok' as const };
  const schema = (summary: string) => ({ tags: ['health'], summary, security: [], response: { 200: Status } });
  app.get('/healthz', { schema: schema('Whether the server lives') }, async () => ok);
  app.get('/readyz', { schema: schema('Whether the server takes requests') }, async () => {
    if (!ready()) throw comeBackLater(503, 'draining', 'This server is about to stop.', 2000);
    return ok;
  });
}
