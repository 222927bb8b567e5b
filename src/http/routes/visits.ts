/** Recorded visits, and what their visitors did. */
import { type Static, Type } from '@fastify/type-provider-typebox';
import type { FastifyRequest } from 'fastify';
import { byMarkList } from '../../model/mark.ts';
import type { LeftOut, VisitQuery } from '../../model/query.ts';
import { sees } from '../../model/rights.ts';
import { MAX_STAYS } from '../../model/visit.ts';
import { DEVICES } from '../../model/visitor.ts';
import { fieldsOf } from '../../protocol/mark-codec.ts';
import { passagesOf } from '../../protocol/passages.ts';
import { requestRights } from '../auth/guard.ts';
import type { HttpOptions, RecordArchive } from '../contract.ts';
import { Problem } from '../problem.ts';
import { CursorField, Page, SiteKey, times, whole, written } from '../query-fields.ts';
import {
  DeviceField,
  EmptyBody,
  type HttpApp,
  LOOK,
  MANAGE,
  NextCursor,
  problems,
  SizeField,
  shape,
  Time,
} from '../schema.ts';
import { noteOf } from './audit.ts';

const LIMIT = { preset: 50, most: 200 } as const;
const LONGEST_MS = 366 * 24 * 3_600_000;

const tags = ['visits'];
const params = shape({ id: Type.String({ pattern: '^[A-Za-z0-9_-]{1,64}$' }) });

const Stay = shape({
  page: Type.String(),
  t: Time,
  until: Time,
  depth: Type.Number({ description: 'The deepest page pixel that was in sight' }),
  height: Type.Optional(Type.Number({ description: 'The largest height of the page, in pixels, if it is known' })),
});

const Visit = shape({
  id: Type.String(),
  site: Type.String(),
  since: Time,
  until: Time,
  device: DeviceField,
  size: SizeField,
  language: Type.String(),
  referrer: Type.String({ description: 'Origin; empty if none' }),
  origin: Type.String(),
  country: Type.String({ description: 'Two capital letters, or empty' }),
  label: Type.String({ description: 'Name that a simple client gives itself, or empty' }),
  stays: Type.Array(Stay, { description: `Pages in the order they were seen, ${MAX_STAYS} at most` }),
  moves: Type.Number(),
  clicks: Type.Number(),
  scrolls: Type.Number(),
  truncated: Type.Boolean({
    description:
      'The visit exceeded --max-visit-size: some moves and scrolls, or everything after that, are not stored',
  }),
});

const Damaged = Type.Optional(Type.Number({ description: 'Number of damaged pieces left out; absent if none' }));

function damagedIn(leftOut: LeftOut | undefined): { damaged?: number } {
  return leftOut ? { damaged: leftOut.count } : {};
}

export function visitRoutes(app: HttpApp, options: HttpOptions): void {
  for (const route of [listVisits, showVisit, eraseVisit, listPassages]) route(app, options);
}

const Filters = shape({
  site: SiteKey,
  page: Type.Optional(Page),
  from: written('Unix ms; only visits that started then or later'),
  to: written('Unix ms; only visits that started before'),
  device: Type.Optional(Type.Enum([...DEVICES])),
  country: Type.Optional(Type.String({ pattern: '^[A-Z]{2}$', description: 'Two capital letters' })),
  longer: written('Milliseconds; only visits that lasted at least this long'),
  shorter: written('Milliseconds; only visits that lasted at most this long'),
  clicked: Type.Optional(Type.Enum(['true', 'false'], { description: 'Only visits with or without a click' })),
  after: Type.Optional(CursorField),
  limit: written(`Visits per response, 1 to ${LIMIT.most}; ${LIMIT.preset} by default`),
});

function listVisits(app: HttpApp, { archive }: HttpOptions): void {
  app.get(
    '/v1/visits',
    {
      config: LOOK,
      schema: {
        tags,
        summary: 'Visits, newest first',
        description: 'A part may hold fewer than `limit` visits, even none, and still have a `next`.',
        querystring: Filters,
        response: {
          200: shape({ visits: Type.Array(Visit), next: NextCursor, damaged: Damaged }),
          ...problems(400, 401, 404),
        },
      },
    },
    async (request) => {
      const query = readFilters(request.query);
      const { items, next, leftOut } = await archive.visits(query);
      return { visits: items, next, ...damagedIn(leftOut) };
    },
  );
}

function readFilters(query: Static<typeof Filters>): VisitQuery {
  const { site, page, device, country, after } = query;
  const longer = whole('longer', query.longer, 0, LONGEST_MS);
  const shorter = whole('shorter', query.shorter, 0, LONGEST_MS);
  return {
    site,
    ...times(query),
    ...(page !== undefined && { page }),
    ...(device !== undefined && { device }),
    ...(country !== undefined && { country }),
    ...(longer !== undefined && { longer }),
    ...(shorter !== undefined && { shorter }),
    ...(query.clicked !== undefined && { clicked: query.clicked === 'true' }),
    ...(after !== undefined && { after }),
    limit: whole('limit', query.limit, 1, LIMIT.most) ?? LIMIT.preset,
  };
}

function showVisit(app: HttpApp, { archive }: HttpOptions): void {
  app.get(
    '/v1/visits/:id',
    {
      config: LOOK,
      schema: { tags, summary: 'One visit', params, response: { 200: Visit, ...problems(400, 401, 404) } },
    },
    async (request) => visitOf(archive, request, request.params.id),
  );
}

function eraseVisit(app: HttpApp, { archive }: HttpOptions): void {
  app.delete(
    '/v1/visits/:id',
    {
      config: MANAGE,
      schema: {
        tags,
        summary: 'Delete a visit and what it added to counts and heatmaps',
        params,
        response: { 204: EmptyBody, ...problems(400, 401, 404) },
      },
    },
    async (request, reply) => {
      const { id } = request.params;
      if (!(await archive.erase(id, noteOf(request, 'visit-erased', id)))) throw unknownVisit();
      return reply.code(204).send(null);
    },
  );
}

/** Lists of marks, by their names in a passage. */
const markLists = byMarkList((name) => {
  const fields = Object.fromEntries(
    fieldsOf(name).map(([field, { jsonType: type }]) => [field, Type.Unsafe({ type })]),
  );
  return Type.Array(Type.Unsafe<object>(shape({ dt: Type.Number(), ...fields })));
});
const View = shape({ dt: Type.Number(), size: Type.Optional(SizeField), hidden: Type.Optional(Type.Boolean()) });
const Passage = shape({
  page: Type.String(),
  t: Type.Number({ description: 'Unix ms; every dt counts from it' }),
  until: Time,
  size: SizeField,
  entered: Type.Boolean({ description: 'The page was entered here' }),
  moves: Type.Array(Type.Number(), { description: 'Flat: dt, x, y' }),
  scrolls: Type.Array(Type.Number(), { description: 'Flat: dt, y' }),
  ...markLists,
  views: Type.Array(View),
});

function listPassages(app: HttpApp, { archive }: HttpOptions): void {
  app.get(
    '/v1/visits/:id/passages',
    {
      config: LOOK,
      schema: {
        tags,
        summary: 'What a visitor did, page by page, in chronological order',
        params,
        querystring: shape({ after: Type.Optional(CursorField) }),
        response: {
          200: shape({ passages: Type.Array(Passage), next: NextCursor, damaged: Damaged }),
          ...problems(400, 401, 404),
        },
      },
    },
    async (request) => {
      const { id } = request.params;
      // At the same time, because Redis may be far away. The result is not shown to a caller who may not see the visit.
      const [{ items, next, leftOut }] = await Promise.all([
        archive.runs(id, request.query.after),
        visitOf(archive, request, id),
      ]);
      return { passages: items.flatMap((run) => passagesOf(run)), next, ...damagedIn(leftOut) };
    },
  );
}

async function visitOf(archive: RecordArchive, request: FastifyRequest, id: string) {
  const visit = await archive.visit(id);
  if (visit === undefined || !sees(requestRights(request), visit.site)) throw unknownVisit();
  return visit;
}

function unknownVisit(): Problem {
  return new Problem(404, 'unknown-visit', 'There is no such visit, or it is no longer stored.');
}
