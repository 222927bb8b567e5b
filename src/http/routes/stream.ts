/**
 * `GET /v1/stream`: checks the caller and the request, then hands over the socket. While the store does not answer, the
 * primary decides, because it knows the recent viewers: a dashboard that navigates to another page opens another
 * stream.
 */
import type { Socket } from 'node:net';
import { type Static, Type } from '@fastify/type-provider-typebox';
import type { FastifyRequest } from 'fastify';
import { TimeoutError, withTimeout } from '../../lib/timeout.ts';
import { MAX_TEXT } from '../../model/text.ts';
import type { StreamRequest } from '../../protocol/ipc.ts';
import type { Past } from '../../protocol/peer.ts';
import { MOVES } from '../../protocol/stream-event.ts';
import { checkNeeds, checkSite, claimedCredential, holdersOf, type recogniser } from '../auth/guard.ts';
import type { HttpOptions, Records } from '../contract.ts';
import { isStoreAway, Problem, type RaisedError } from '../problem.ts';
import { turnOf } from '../response-order.ts';
import { type HttpApp, LOOK, lastEventIdOf, streamQuery } from '../schema.ts';

/** Our ids are shorter; a longer one is cut, and just as unknown. */
const EVENT_ID_LIMIT = 64;
/** A store that takes longer counts as away, milliseconds: somebody is looking at a frozen stage. */
const STORE_TIMEOUT_MS = 2000;

const Page = Type.String({ minLength: 1, maxLength: MAX_TEXT.page });

declare module 'fastify' {
  interface FastifyRequest {
    /** See `StreamRequest`. */
    checked: boolean;
    made: number;
    /** The minutes of all nodes in the site's last hour, if they were requested. */
    kept: Promise<Past | null> | undefined;
  }
}

const Query = streamQuery({
  site: Type.String({ minLength: 1, maxLength: 40 }),
  page: Type.Optional(Page),
  visitor: Type.Optional(Type.String({ pattern: '^[A-Za-z0-9_-]{1,64}$' })),
  stage: Type.Optional(Page),
  moves: Type.Optional(Type.Enum([...MOVES])),
  last_event_id: Type.Optional(Type.String()),
});

export function streamRoute(app: HttpApp, options: HttpOptions, recognise: ReturnType<typeof recogniser>): void {
  const { past, store } = options;
  app.decorateRequest('checked', true);
  app.decorateRequest('made', 0);
  app.decorateRequest('kept', undefined);
  app.get(
    '/v1/stream',
    {
      config: LOOK,
      onRequest: (request) => {
        // At the same time, because Redis may be far away.
        const { site } = request.query as { site?: unknown };
        const isClaimed = claimedCredential(request, store) !== undefined;
        if (isClaimed && typeof site === 'string') request.kept = past(site);
        return orUnchecked(store, request, checkNeeds(request, store, recognise));
      },
      preHandler: async (request) => {
        const site = request.checked ? await orUnchecked(store, request, checkSite(request)) : undefined;
        request.made = site?.created ?? 0;
      },
      // A HEAD request would be handed over like a GET, and its stream would never end.
      exposeHeadRoute: false,
      schema: {
        tags: ['stream'],
        summary: 'What visitors do, live, as Server-Sent Events',
        produces: ['text/event-stream'],
        querystring: Query,
      },
    },
    async (request, reply) => {
      checkBare(request);
      const kept = request.checked ? await (request.kept ?? past(request.query.site)) : null;
      reply.hijack();
      if (await turnOf(request.raw))
        handOver(options, streamRequestOf(request, request.query, store), request.raw.socket, kept);
      return reply;
    },
  );
}

function streamRequestOf(request: FastifyRequest, query: Static<typeof Query>, store: Records): StreamRequest {
  const { site, page, visitor, stage, moves } = query;
  return {
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
  };
}

/** Awaits a check. Returns undefined if the store does not answer in time. */
async function orUnchecked<T>(store: Records, request: FastifyRequest, check: Promise<T>): Promise<T | undefined> {
  if (claimedCredential(request, store) === undefined) return check;
  try {
    return await withTimeout(check, STORE_TIMEOUT_MS);
  } catch (error) {
    if (!(error instanceof TimeoutError) && !isStoreAway(error as RaisedError)) throw error;
    request.checked = false;
    return undefined;
  }
}

function handOver(
  { logger, openStream }: HttpOptions,
  request: StreamRequest,
  socket: Socket,
  kept: Past | null,
): void {
  try {
    if (!socket.destroyed) openStream(request, socket, kept);
  } catch (error) {
    logger.error({ err: error }, 'the stream could not be handed over to the primary');
    socket.destroy();
  }
}

/** A body would leave bytes on the socket. */
function checkBare(request: FastifyRequest): void {
  const { 'content-length': length = '0', 'transfer-encoding': encoding } = request.headers;
  if (length !== '0' || encoding !== undefined)
    throw new Problem(400, 'bad-request', 'A stream request must not have a body.');
}
