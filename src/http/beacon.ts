/**
 * The visitor endpoint over plain HTTP: frames by POST from pages of any origin that the site allows. The
 * WebSocket upgrade on the same path never comes here.
 */
import { Type } from '@fastify/type-provider-typebox';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { isAllowedOrigin } from '../protocol/site.ts';
import type { HttpOptions } from './contract.ts';
import type { peerReader } from './peer.ts';
import { Problem } from './problem.ts';
import type { App } from './schema.ts';

/** How long a browser may remember a preflight; Chromium's most is two hours. */
const PREFLIGHT_S = 7200;

/** text/plain needs no preflight, so a beacon sent while a page goes away arrives. */
const TYPES = ['text/plain', 'application/json', 'application/octet-stream'];

interface Where {
  site: string;
  page: string;
}

export function beaconRoutes(app: App, options: HttpOptions, peerOf: ReturnType<typeof peerReader>): void {
  const { config, store, beacon } = options;
  const url = config.endpoint;
  // Bodies are frames, whatever they are called; ingest reads them.
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, body, done) => done(null, body));
  // Thrown errors keep these headers, so that the page's script may read why it was refused.
  app.addHook('onRequest', allow);

  app.get(url, { config: { security: [] }, exposeHeadRoute: false, schema: { hide: true } }, async () => {
    throw new Problem(426, 'upgrade-required', 'This is a WebSocket endpoint; frames may also be sent by POST.', {
      upgrade: 'websocket',
      connection: 'upgrade',
    });
  });

  app.options(url, { config: { security: [] }, schema: { hide: true } }, async (_request, reply) => {
    if (!reply.hasHeader('access-control-allow-origin'))
      throw new Problem(403, 'origin-not-allowed', 'This site does not allow that origin.');
    return reply
      .headers({
        'access-control-allow-methods': 'POST',
        'access-control-allow-headers': 'content-type',
        'access-control-max-age': PREFLIGHT_S,
      })
      .code(204)
      .send();
  });

  app.post(
    url,
    {
      config: { security: [] },
      onRequest: async (request) => checkType(mediaType(request)),
      schema: {
        tags: ['visitors'],
        summary: 'Frames of a visitor, binary or JSON; see docs/protocol.md',
        consumes: TYPES,
        security: [],
        querystring: Type.Object({
          site: Type.String({ minLength: 1, maxLength: 40 }),
          page: Type.Optional(Type.String({ maxLength: 1024 })),
        }),
      },
    },
    async (request, reply) => {
      const { status, body, retryAfter } = await beacon({
        site: request.query.site,
        page: request.query.page ?? '',
        origin: request.headers.origin,
        peer: peerOf(request.raw),
        json: mediaType(request) === 'application/json',
        body: Buffer.isBuffer(request.body) ? request.body : Buffer.alloc(0),
      });
      if (retryAfter !== undefined) reply.header('retry-after', String(retryAfter));
      reply.code(status).header('cache-control', 'no-store');
      reply.type(status < 400 ? 'application/json' : 'application/problem+json');
      return reply.send(JSON.stringify(body));
    },
  );

  /** Cross-origin headers; the security headers are for what browsers show. */
  async function allow(request: FastifyRequest, reply: FastifyReply): Promise<void> {
    reply.headers({
      vary: 'Origin',
      'cross-origin-resource-policy': 'cross-origin',
      'x-content-type-options': 'nosniff',
    });
    const { origin } = request.headers;
    const { site: key } = request.query as Partial<Where>;
    if (origin === undefined || typeof key !== 'string') return;
    const site = await store.site(key);
    if (site && isAllowedOrigin(site, origin, peerOf(request.raw).host))
      reply.headers({ 'access-control-allow-origin': origin, 'access-control-expose-headers': 'retry-after' });
  }
}

function mediaType(request: FastifyRequest): string {
  return (request.headers['content-type'] ?? '').split(';', 1)[0]?.trim().toLowerCase() ?? '';
}

function checkType(type: string): void {
  if (!TYPES.includes(type)) throw new Problem(415, 'bad-media-type', `Send frames as ${TYPES.join(', ')}.`);
}
