/** The counter's routes: its part of the OpenAPI text, and other spellings of its path. */
import { Type } from '@fastify/type-provider-typebox';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { MAX_TEXT } from '../../model/text.ts';
import { type Answerer, LABEL_LIMIT } from '../hit-counter.ts';
import { type HttpApp, problems, shape } from '../schema.ts';

const URL_PATTERN = '/v1/hits/*';

// The counter parses requests itself; these schemas only describe them.
const Site = Type.String({
  description: 'If missing: the only site besides the demo, or the demo if there is no other',
});
const Label = Type.String({
  description: `Text of the badge instead of \`visits\`: 1 to ${LABEL_LIMIT} visible characters`,
});
const Page = Type.String({ maxLength: MAX_TEXT.page, description: 'The page, without its first slash' });
const Hits = Type.Integer({ description: 'Visits to the page so far' });

const ERRORS = problems(400, 403, 404, 429, 503);

const COUNT = {
  summary: 'Count a visit to a page',
  querystring: Type.Object({ site: Type.Optional(Site) }),
  response: {
    200: shape({
      hits: Hits,
      counted: Type.Boolean({
        description: 'False for a bot and for a page that the browser only prefetches; neither is counted',
      }),
    }),
    ...ERRORS,
  },
};

const TELL = {
  summary: 'Visits to a page; with .svg after the page: count one and return a badge',
  querystring: Type.Object({ site: Type.Optional(Site), label: Type.Optional(Label) }),
  response: {
    200: {
      description: 'The number, or the badge',
      content: { 'application/json': { schema: shape({ hits: Hits }) }, 'image/svg+xml': { schema: Type.String() } },
    },
    ...ERRORS,
  },
};

export function hitRoutes(app: HttpApp, answer: Answerer): void {
  const handler = async (request: FastifyRequest, reply: FastifyReply) => {
    reply.hijack();
    answer(request.raw, reply.raw);
  };
  const common = { tags: ['hits'], security: [], params: shape({ '*': Page }) };
  const onRequest = handler;
  app.get(URL_PATTERN, { config: { security: [] }, onRequest, schema: { ...common, ...TELL } }, handler);
  app.post(URL_PATTERN, { config: { security: [] }, onRequest, schema: { ...common, ...COUNT } }, handler);
  app.options(URL_PATTERN, { config: { security: [] }, onRequest, schema: { hide: true } }, handler);
}
