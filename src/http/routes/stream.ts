/**
 * `GET /v1/stream`: checks who asks and for what, then lets go of the socket. While the store does not answer, it is left to the
 * primary, which knows who looks on already: a dashboard that turns to another page opens another stream.
 */
import type { Socket } from 'node:net';
import { Type } from '@fastify/type-provider-typebox';
import type { FastifyRequest } from 'fastify';
import { TimeoutError, withTimeout } from '../../lib/timeout.ts';
import { MAX_TEXT } from '../../model/text.ts';
import type { StreamRequest } from '../../protocol/ipc.ts';
import type { Past } from '../../protocol/peer.ts';
import { MOVES } from '../../protocol/stream-event.ts';
import { checkNeeds, checkSite, claimedCredential, holdersOf, type recogniser } from '../auth/guard.ts';
import type { HttpOptions } from '../contract.ts';
import { isStoreAway, Problem, type RaisedError } from '../problem.ts';
import { turnOf } from '../response-order.ts';
import { type HttpApp, LOOK, lastEventIdOf, streamQuery } from '../schema.ts';

/** Ids of ours are shorter; a longer one is as unknown as its beginning. */
const EVENT_ID_LIMIT = 64;
/** A store that takes longer to answer is as good as away, milliseconds: somebody looks at a stage that stands still. */
const PATIENCE_MS = 2000;

const Page = Type.String({ minLength: 1, maxLength: MAX_TEXT.page });

declare module 'fastify' {
  interface FastifyRequest {
    /** As of `StreamRequest`. */
    checked: boolean;
    made: number;
    /** What machines had of the site in the last hour, if that was asked for. */
    kept: Promise<Past | null> | undefined;
  }
}

export function streamRoute(
  app: HttpApp,
  { logger, openStream, past, store }: HttpOptions,
  recognise: ReturnType<typeof recogniser>,
): void {
  app.decorateRequest('checked', true);
  app.decorateRequest('made', 0);
  app.decorateRequest('kept', undefined);
  app.get(
    '/v1/stream',
    {
      config: LOOK,
      onRequest: (request) => {
        // At the same time: Redis may be far away.
        const { site } = request.query as { site?: unknown };
        const isClaimed = claimedCredential(request, store) !== undefined;
        if (isClaimed && typeof site === 'string') request.kept = past(site);
        return orUnchecked(request, checkNeeds(request, store, recognise));
      },
      preHandler: async (request) => {
        const site = request.checked ? await orUnchecked(request, checkSite(request)) : undefined;
        request.made = site?.created ?? 0;
      },
      // A HEAD would be handed over like a GET, and its stream never end.
      exposeHeadRoute: false,
      schema: {
        tags: ['stream'],
        summary: 'What visitors do, live, as Server-Sent Events',
        produces: ['text/event-stream'],
        querystring: streamQuery({
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
      const { site, page, visitor, stage, moves } = request.query;
      checkBare(request);
      const kept = request.checked ? await (request.kept ?? past(site)) : null;
      reply.hijack();
      if (!(await turnOf(request.raw))) return reply;
      hand(
        {
          site,
          page: page ?? null,
          visitor: visitor ?? null,
          stage: stage ?? null,
          moves: moves ?? 'full',
          lastEventId: lastEventIdOf(request)?.slice(0, EVENT_ID_LIMIT) ?? null,
          credential: claimedCredential(request, store) as string,
          holders: holdersOf(request, store),
          checked: request.checked,
          made: request.made,
        },
        request.raw.socket,
        kept,
      );
      return reply;
    },
  );

  /** Goes by a check, unless the store does not answer to it. */
  async function orUnchecked<T>(request: FastifyRequest, check: Promise<T>): Promise<T | undefined> {
    if (claimedCredential(request, store) === undefined) return check;
    try {
      return await withTimeout(check, PATIENCE_MS);
    } catch (error) {
      if (!(error instanceof TimeoutError) && !isStoreAway(error as RaisedError)) throw error;
      request.checked = false;
      return undefined;
    }
  }

  function hand(request: StreamRequest, socket: Socket, kept: Past | null): void {
    try {
      if (!socket.destroyed) openStream(request, socket, kept);
    } catch (error) {
      logger.error({ err: error }, 'the stream could not be handed over to the primary');
      socket.destroy();
    }
  }
}

/** A body would leave bytes behind on the socket. */
function checkBare(request: FastifyRequest): void {
  const { 'content-length': length = '0', 'transfer-encoding': encoding } = request.headers;
  if (length !== '0' || encoding !== undefined)
    throw new Problem(400, 'bad-request', 'A stream request must not have a body.');
}
