/** The audit trail: how routes write to it, and how it is read. */
import { Type } from '@fastify/type-provider-typebox';
import type { FastifyRequest } from 'fastify';
import { AUDIT_ACTIONS, type AuditAction, type AuditNote } from '../../model/audit.ts';
import { identityOf } from '../auth/guard.ts';
import type { HttpOptions } from '../contract.ts';
import { CursorField, whole, written } from '../query-fields.ts';
import { type HttpApp, MANAGE, NextCursor, problems, shape, Time } from '../schema.ts';

const LIMIT = { preset: 50, most: 200 } as const;

const Entry = shape({
  at: Time,
  who: Type.String({ description: 'An administrator, `token NAME`, `command line`, `server` or `unknown name`' }),
  what: Type.Enum([...AUDIT_ACTIONS]),
  on: Type.String({ description: 'What the action affected, or how it was done' }),
  from: Type.String({ description: 'Short description of the browser, or empty' }),
  count: Type.Number({ description: 'Number of times within an hour of `at`' }),
});

export function auditRoute(app: HttpApp, { store }: HttpOptions): void {
  app.get(
    '/v1/audit',
    {
      config: MANAGE,
      schema: {
        tags: ['audit'],
        summary: 'Who signed in, and who changed or deleted what, newest first',
        description: 'A part may hold fewer than `limit` entries, even none, and still have a `next`.',
        querystring: shape({
          who: Type.Optional(Type.String({ minLength: 1, maxLength: 200 })),
          what: Type.Optional(Type.Enum([...AUDIT_ACTIONS])),
          after: Type.Optional(CursorField),
          limit: written(`Entries per response, 1 to ${LIMIT.most}; ${LIMIT.preset} by default`),
        }),
        response: { 200: shape({ entries: Type.Array(Entry), next: NextCursor }), ...problems(400, 401, 403) },
      },
    },
    async (request) => {
      const { limit, ...query } = request.query;
      const { items, next } = await store.audit({
        ...query,
        limit: whole('limit', limit, 1, LIMIT.most) ?? LIMIT.preset,
      });
      return { entries: items, next };
    },
  );
}

/** The audit note for an action of the caller. */
export function noteOf(request: FastifyRequest, what: AuditAction, on: string): AuditNote {
  const { name, via } = identityOf(request);
  return { at: Date.now(), who: via === 'token' ? `token ${name}` : name, what, on };
}
