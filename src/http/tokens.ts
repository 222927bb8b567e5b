/** API tokens: for programs that read streams or keep sites. */
import { Type } from '@fastify/type-provider-typebox';
import type { HttpOptions } from './contract.ts';
import { Problem } from './problem.ts';
import { type App, Empty, Label, shape, Time, TimeOrNull } from './schema.ts';

const token = { id: Type.String(), name: Type.String(), created: Time, lastUsed: TimeOrNull };

export function tokenRoutes(app: App, { store }: HttpOptions): void {
  const tags = ['tokens'];

  app.get(
    '/v1/tokens',
    { schema: { tags, summary: 'All API tokens', response: { 200: shape({ tokens: Type.Array(shape(token)) }) } } },
    async () => ({ tokens: (await store.tokens()).sort((a, b) => a.created - b.created) }),
  );

  app.post(
    '/v1/tokens',
    {
      schema: {
        tags,
        summary: 'Make a token; its secret is shown this once',
        body: shape({ name: Label }),
        response: { 201: shape({ ...token, secret: Type.String() }) },
      },
    },
    async (request, reply) => {
      const made = await store.addToken(request.body.name, Date.now());
      reply.code(201);
      return { ...made.token, secret: made.secret };
    },
  );

  app.delete(
    '/v1/tokens/:id',
    {
      schema: {
        tags,
        summary: 'Revoke a token and end its streams',
        params: shape({ id: Type.String({ maxLength: 64 }) }),
        response: { 204: Empty },
      },
    },
    async (request, reply) => {
      if (!(await store.removeToken(request.params.id)))
        throw new Problem(404, 'unknown-token', 'There is no such token.');
      return reply.code(204).send(null);
    },
  );
}
