/** `GET /v1/stream`: checks who asks and for what, then lets go of the socket. */
import type { Socket } from 'node:net';
import { Type } from '@fastify/type-provider-typebox';
import type { FastifyRequest } from 'fastify';
import { MAX_TEXT } from '../protocol/frame.ts';
import type { StreamRequest } from '../protocol/relay.ts';
import { MOVES } from '../protocol/stream.ts';
import type { HttpOptions } from './contract.ts';
import { identityOf } from './guard.ts';
import { Problem } from './problem.ts';
import { type App, LOOK, shape } from './schema.ts';

/** Ids of ours are shorter; a longer one is as unknown as its beginning. */
const EVENT_ID_LIMIT = 64;

const Page = Type.String({ minLength: 1, maxLength: MAX_TEXT.page });

export function streamRoute(app: App, { logger, openStream }: HttpOptions): void {
  app.get(
    '/v1/stream',
    {
      config: LOOK,
      // A HEAD would be handed over like a GET, and its stream never end.
      exposeHeadRoute: false,
      schema: {
        tags: ['stream'],
        summary: 'What visitors do, live, as Server-Sent Events',
        produces: ['text/event-stream'],
        querystring: shape({
          site: Type.String({ minLength: 1, maxLength: 40 }),
          page: Type.Optional(Page),
          visitor: Type.Optional(Type.String({ pattern: '^[A-Za-z0-9_-]{1,64}$' })),
          stage: Type.Optional(Page),
          moves: Type.Optional(Type.Enum([...MOVES])),
          last_event_id: Type.Optional(Type.String()),
        }),
      },
    },
    async (request, reply) => {
      const { site, page, visitor, stage, moves, last_event_id } = request.query;
      checkBare(request);
      reply.hijack();
      // The header is what a browser saw last; the parameter, which it sends again each time, may be older.
      const lastEventId = header(request, 'last-event-id') ?? last_event_id;
      hand(
        {
          site,
          page: page ?? null,
          visitor: visitor ?? null,
          stage: stage ?? null,
          moves: moves ?? 'full',
          lastEventId: lastEventId?.slice(0, EVENT_ID_LIMIT) ?? null,
          credential: identityOf(request).credential,
        },
        request.raw.socket,
      );
      return reply;
    },
  );

  function hand(request: StreamRequest, socket: Socket): void {
    try {
      if (!socket.destroyed) openStream(request, socket);
    } catch (error) {
      logger.error({ err: error }, 'the stream was not handed over');
      socket.destroy();
    }
  }
}

/** A body would leave bytes behind on the socket. */
function checkBare(request: FastifyRequest): void {
  const { 'content-length': length = '0', 'transfer-encoding': encoding } = request.headers;
  if (length !== '0' || encoding !== undefined)
    throw new Problem(400, 'bad-request', 'A request for a stream has no body.');
}

function header(request: FastifyRequest, name: string): string | undefined {
  const value = request.headers[name];
  return typeof value === 'string' && value !== '' ? value : undefined;
}
