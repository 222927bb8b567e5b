/** API tokens, for programs that read streams or manage sites. */
import { Type } from '@fastify/type-provider-typebox';
import { rightsText } from '../../model/rights.ts';
import { OPTIONAL_RIGHTS, RIGHTS, readRights } from '../auth/rights-schema.ts';
import type { HttpOptions } from '../contract.ts';
import { Problem } from '../problem.ts';
import { EmptyBody, type HttpApp, Label, MANAGE, shape, Time, TimeOrNull, trimmedName } from '../schema.ts';
import { noteOf } from './audit.ts';

const tags = ['tokens'];
const token = { id: Type.String(), name: Type.String(), created: Time, lastUsed: TimeOrNull, ...RIGHTS };

export function tokenRoutes(app: HttpApp, options: HttpOptions): void {
  for (const route of [listTokens, addToken, revokeToken]) route(app, options);
}

function listTokens(app: HttpApp, { store }: HttpOptions): void {
  app.get(
    '/v1/tokens',
    {
      config: MANAGE,
      schema: { tags, summary: 'All API tokens', response: { 200: shape({ tokens: Type.Array(shape(token)) }) } },
    },
    async () => ({ tokens: (await store.tokens()).sort((a, b) => a.created - b.created) }),
  );
}

function addToken(app: HttpApp, { store }: HttpOptions): void {
  app.post(
    '/v1/tokens',
    {
      config: MANAGE,
      schema: {
        tags,
        summary: 'Create a token; its secret is shown only once',
        description: 'The token has the role `owner` unless `role` is given.',
        body: shape({ name: Label, ...OPTIONAL_RIGHTS }),
        response: { 201: shape({ ...token, secret: Type.String() }) },
      },
    },
    async (request, reply) => {
      const { name: _, ...rights } = request.body;
      const name = trimmedName(request.body);
      const read = await readRights(store, rights);
      const note = noteOf(request, 'token-made', `${name}, ${rightsText(read)}`);
      const made = await store.addToken(name, Date.now(), read, note);
      reply.code(201);
      return { ...made.token, secret: made.secret };
    },
  );
}

function revokeToken(app: HttpApp, { store }: HttpOptions): void {
  app.delete(
    '/v1/tokens/:id',
    {
      config: MANAGE,
      schema: {
        tags,
        summary: 'Revoke a token and end its streams',
        params: shape({ id: Type.String({ maxLength: 64 }) }),
        response: { 204: EmptyBody },
      },
    },
    async (request, reply) => {
      const { id } = request.params;
      const token = (await store.tokens()).find((one) => one.id === id);
      if (token === undefined || !(await store.removeToken(id, noteOf(request, 'token-revoked', token.name))))
        throw new Problem(404, 'unknown-token', 'There is no such token.');
      return reply.code(204).send(null);
    },
  );
}
