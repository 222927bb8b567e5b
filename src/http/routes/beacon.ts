/**
 * The visitor endpoint over plain HTTP: frames by POST from pages of any origin that the site allows. The WebSocket
 * upgrade on the same path is handled elsewhere.
 */
import { Type } from '@fastify/type-provider-typebox';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { withoutNul } from '../../protocol/reader.ts';
import { unknownSite } from '../auth/guard.ts';
import type { HttpOptions, Records } from '../contract.ts';
import { originNotAllowed, preflightFields, sharedFields } from '../cors.ts';
import type { peerReader } from '../peer.ts';
import { Problem } from '../problem.ts';
import type { HttpApp } from '../schema.ts';

/** text/plain and a body without a type need no preflight. So a beacon that is sent while a page closes arrives. */
const TYPES = ['text/plain', 'application/json', 'application/octet-stream'];

const ALLOWED = 'access-control-allow-origin';

interface Where {
  site: string;
  page: string;
}

export function beaconRoutes(app: HttpApp, options: HttpOptions, peerOf: ReturnType<typeof peerReader>): void {
  const url = options.config.endpoint;
  // Bodies are frames, whatever their type says; ingest parses them.
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, body, done) => done(null, body));
  app.addHook('onRequest', (request, reply) => allow(options.store, peerOf(request.raw).host, request, reply));
  refuseGet(app, url);
  answerPreflight(app, options);
  takeFrames(app, options, peerOf);
}

function refuseGet(app: HttpApp, url: string): void {
  app.get(url, { config: { security: [] }, exposeHeadRoute: false, schema: { hide: true } }, async () => {
    throw new Problem(426, 'upgrade-required', 'This is a WebSocket endpoint; frames may also be sent by POST.', {
      upgrade: 'websocket',
      // Without `close` Node keeps the connection open, even if the client asked to close it.
      connection: 'upgrade, close',
    });
  });
}

function answerPreflight(app: HttpApp, { config, refused }: HttpOptions): void {
  app.options(config.endpoint, { config: { security: [] }, schema: { hide: true } }, async (request, reply) => {
    // Without an Origin it is not a preflight but a load balancer that checks whether the server is alive.
    if (request.headers.origin !== undefined && !reply.hasHeader(ALLOWED)) {
      if (isOfPage(request)) refused(request.query.site, request.headers.origin, 'origin-not-allowed');
      throw originNotAllowed();
    }
    return reply
      .headers(Object.fromEntries(preflightFields('POST')))
      .code(204)
      .send();
  });
}

function takeFrames(app: HttpApp, { config, beacon }: HttpOptions, peerOf: ReturnType<typeof peerReader>): void {
  app.post(
    config.endpoint,
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
        page: withoutNul(request.query.page ?? ''),
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
}

/**
 * A refused page may read the reason from any origin: a browser does not tell it why a WebSocket failed, and it would
 * retry for ever.
 */
async function allow(
  store: Records,
  host: string | undefined,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<void> {
  const site = isOfPage(request) ? await store.site(request.query.site) : undefined;
  reply.headers(Object.fromEntries(sharedFields(site, request.raw, host)));
  if (!isOfPage(request) || request.method === 'OPTIONS' || reply.hasHeader(ALLOWED)) return;
  reply.header(ALLOWED, '*');
  if (request.method === 'GET') throw site ? originNotAllowed() : unknownSite();
}

/** True if the request comes from a page and names a site. */
function isOfPage(request: FastifyRequest): request is FastifyRequest<{ Querystring: Where }> {
  return request.headers.origin !== undefined && typeof (request.query as Partial<Where>).site === 'string';
}

function mediaType(request: FastifyRequest): string {
  return (request.headers['content-type'] ?? '').split(';', 1)[0]?.trim().toLowerCase() ?? '';
}

function checkType(type: string): void {
  if (type && !TYPES.includes(type)) throw new Problem(415, 'bad-media-type', `Send frames as ${TYPES.join(', ')}.`);
}
