/** `GET /v1/replay`: the past of a site as a stream, read from the store as fast as it is played and taken. */
import { finished, Readable } from 'node:stream';
import { Type } from '@fastify/type-provider-typebox';
import type { FastifyRequest } from 'fastify';
import { maySee } from '../../model/rights.ts';
import { eventText, STREAM_PREAMBLE } from '../../protocol/stream-event.ts';
import { ReplayPace } from '../../replay/pace.ts';
import { SiteReplay } from '../../replay/site-replay.ts';
import type { ReplayEvent } from '../../replay/visit-player.ts';
import { holdersOf, identityOf } from '../auth/guard.ts';
import type { HttpOptions } from '../contract.ts';
import { Page, SiteKey, times, whole, written, wrong } from '../query-fields.ts';
import { ReplayQuota } from '../replay-quota.ts';
import { type Replay, replayWindows } from '../replay-windows.ts';
import { type HttpApp, LOOK, lastEventIdOf, problems, streamQuery } from '../schema.ts';

const FASTEST = 60;
const LONGEST_MS = 24 * 3_600_000;
/** Events within this span of real time are sent together, milliseconds. */
const TICK_MS = 100;
/** The same at speed 0, milliseconds of the past. */
const FAST_TICK_MS = 1000;

/** A client that reads nothing for this time has forgotten its stream, milliseconds. */
const STALL_MS = 300_000;

const SSE = {
  'content-type': 'text/event-stream; charset=utf-8',
  'cache-control': 'no-store, no-transform',
  'x-accel-buffering': 'no',
  // A stopping server then does not wait for a next request on this connection.
  connection: 'close',
};

export function replayRoute(app: HttpApp, options: HttpOptions): void {
  const quota = new ReplayQuota(options.config.maxReplays);

  app.get(
    '/v1/replay',
    {
      config: LOOK,
      exposeHeadRoute: false,
      schema: {
        tags: ['stream'],
        summary: 'What visitors did, as Server-Sent Events like those of the live stream',
        produces: ['text/event-stream'],
        querystring: streamQuery({
          site: SiteKey,
          page: Type.Optional(Page),
          from: Type.String({ maxLength: 20, description: 'Unix ms' }),
          to: written('Unix ms, at most 24 hours after `from`; by default as late as possible'),
          speed: written(`Speed of playback, from 1 (default) to ${FASTEST}; 0: as fast as the client reads`),
          last_event_id: Type.Optional(Type.String()),
        }),
        response: {
          204: Type.Null({ description: 'Everything was sent already' }),
          ...problems(400, 401, 404, 429, 503),
        },
      },
    },
    async (request, reply) => {
      const replay = readReplay(request.query, Date.now());
      const from = Math.max(replay.from, lastTime(request) ?? 0);
      // Tells a browser not to connect again.
      if (from >= replay.to) return reply.code(204).send(null);
      const leave = quota.enter(holdersOf(request, options.store));
      finished(reply.raw, leave);
      reply.raw.setTimeout(STALL_MS, () => reply.raw.destroy());
      const { credential } = identityOf(request);
      const text = Readable.from(play({ ...replay, from }, credential, options), { objectMode: false });
      return reply.headers(SSE).send(text as never);
    },
  );
}

/** The stream's text, made as the client reads it. It ends early when this worker stops; the client can continue it. */
async function* play(replay: Replay, credential: string, options: HttpOptions): AsyncGenerator<string> {
  const { site, stage, from, to, speed } = replay;
  const { store, version, ready } = options;
  const step = speed === 0 ? FAST_TICK_MS : speed * TICK_MS;
  const siteReplay = new SiteReplay({ site, stage, from, step, version });
  const pace = new ReplayPace(speed, from);
  const damaged = new Set<string>();
  yield STREAM_PREAMBLE;
  for await (const window of replayWindows(options, replay)) {
    if (!(await maySee(store, credential, site))) return;
    for (const id of window.damaged) damaged.add(id);
    for (const { t, events } of siteReplay.window(window.scenes, window.to, window.settled)) {
      while (!(await pace.reach(t))) if (!ready()) return;
      if (!ready()) return;
      if (events.length > 0) yield events.map(textOf).join('');
    }
  }
  yield textOf({ name: 'end', data: { t: to, ...(damaged.size > 0 && { damaged: damaged.size }) } });
}

function readReplay(
  query: { site: string; page?: string; from: string; to?: string; speed?: string },
  now: number,
): Replay {
  const { from = 0, to = from + LONGEST_MS } = times(query);
  if (from >= now) throw wrong('from must be in the past.');
  if (from === to) throw wrong('from must be before to.');
  if (to - from > LONGEST_MS) throw wrong('from and to may be at most 24 hours apart.');
  const speed = whole('speed', query.speed, 0, FASTEST) ?? 1;
  return { site: query.site, stage: query.page ?? null, from, to: Math.min(to, now), speed };
}

/** Where a client continues after a disconnection: ids are times. The id of another stream is ignored. */
function lastTime(request: Pick<FastifyRequest, 'headers' | 'query'>): number | undefined {
  const id = lastEventIdOf(request);
  return id !== undefined && /^\d{1,16}$/.test(id) ? Number(id) : undefined;
}

/** Only seconds have an id: a stream that continues there starts with a snapshot. */
function textOf({ name, data }: ReplayEvent): string {
  const id = name === 'rates' || name === 'end' ? String(data.t) : undefined;
  return eventText(id, name, JSON.stringify(data));
}
