/** `GET /v1/replay`: the past of a site as a stream, read from the store as fast as it is played and taken. */
import { finished, Readable } from 'node:stream';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { Type } from '@fastify/type-provider-typebox';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { countDown, countUp } from '../../lib/count.ts';
import type { Scene as RecordScene } from '../../model/query.ts';
import { maySee } from '../../model/rights.ts';
import { passagesOf } from '../../protocol/passages.ts';
import { eventText, STILL_MS, STREAM_PREAMBLE } from '../../protocol/stream-event.ts';
import { ReplayPace } from '../../replay/pace.ts';
import { type Scene, SiteReplay } from '../../replay/rewind.ts';
import type { ReplayEvent } from '../../replay/visit-player.ts';
import { holdersOf, identityOf } from '../auth/guard.ts';
import type { HttpOptions } from '../contract.ts';
import { comeBackLater } from '../problem.ts';
import { Page, SiteKey, times, whole, written, wrong } from '../query-fields.ts';
import { type HttpApp, LOOK, lastEventIdOf, problems, streamQuery } from '../schema.ts';

const FASTEST = 60;
const LONGEST_MS = 24 * 3_600_000;
/** Of ours, milliseconds: what is played in it is told together. */
const BEAT_MS = 100;
/** The same at speed 0, of the past. */
const FAST_BEAT_MS = 1000;

/** Windows of time that are read from the store at once, milliseconds; they grow and shrink towards so many bytes. */
const WINDOW = { first: 5000, least: 1000, most: 60_000, bytes: 256 * 1024 } as const;
/** Longest time that a window plays: the session is checked with each, milliseconds of ours. */
const WINDOW_PLAYS_MS = 10_000;
/** Bytes of runs that are read in one turn of the event loop. */
const TURN_BYTES = 64 * 1024;
/** Of a worker's replays one account, one token, or one address may have this share, rounded up. */
const SHARE_EACH = 0.25;
/** A reader that takes nothing for so long has forgotten its stream, milliseconds. */
const STALL_MS = 300_000;

interface Replay {
  site: string;
  stage: string | null;
  from: number;
  to: number;
  speed: number;
}

const SSE = {
  'content-type': 'text/event-stream; charset=utf-8',
  'cache-control': 'no-store, no-transform',
  'x-accel-buffering': 'no',
  // So that a server that stops need not wait for what the connection might still ask.
  connection: 'close',
};

export function replayRoute(app: HttpApp, { config, store, archive, version, ready, logger }: HttpOptions): void {
  let open = 0;
  const openOf = new Map<string, number>();
  const mostEach = Math.ceil(config.maxReplays * SHARE_EACH);

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
      if (open >= config.maxReplays)
        throw comeBackLater(503, 'too-many-streams', 'Too many replays are open. Close one, or try again soon.', 5000);
      const holders = holdersOf(request, store);
      if (holders.some((holder) => (openOf.get(holder) ?? 0) >= mostEach))
        throw comeBackLater(
          429,
          'too-many-streams',
          'This account, token or address has too many replays open. Close one, or try again soon.',
          5000,
        );
      occupy(reply, holders);
      const { credential } = identityOf(request);
      const text = Readable.from(play({ ...replay, from }, credential), { objectMode: false });
      return reply.headers(SSE).send(text as never);
    },
  );

  /** Takes one of the places for as long as the response is open. */
  function occupy({ raw }: FastifyReply, holders: readonly string[]): void {
    open += 1;
    for (const holder of holders) countUp(openOf, holder);
    finished(raw, () => {
      open -= 1;
      for (const holder of holders) countDown(openOf, holder);
    });
    raw.setTimeout(STALL_MS, () => raw.destroy());
  }

  /** The stream's text. What is not asked of it is not read; when this worker stops, it ends and can be continued. */
  async function* play(replay: Replay, credential: string): AsyncGenerator<string> {
    const { site, stage, from, to, speed } = replay;
    const step = speed === 0 ? FAST_BEAT_MS : speed * BEAT_MS;
    const rewind = new SiteReplay({ site, stage, from, step, version });
    const tempo = new ReplayPace(speed, from);
    const damaged = new Set<string>();
    yield STREAM_PREAMBLE;
    for await (const window of windows(replay)) {
      if (!(await maySee(store, credential, site))) return;
      for (const id of window.damaged) damaged.add(id);
      for (const { t, events } of rewind.window(window.scenes, window.to, window.settled)) {
        while (!(await tempo.reach(t))) if (!ready()) return;
        if (!ready()) return;
        if (events.length > 0) yield events.map(textOf).join('');
      }
    }
    yield textOf({ name: 'end', data: { t: to, ...(damaged.size > 0 && { damaged: damaged.size }) } });
  }

  /** Reads one window ahead. */
  async function* windows({ site, from, to, speed }: Replay): AsyncGenerator<Loaded> {
    const longest = speed === 0 ? WINDOW.most : Math.min(WINDOW.most, Math.max(WINDOW.first, speed * WINDOW_PLAYS_MS));
    let length: number = WINDOW.first;
    let ahead = load(site, from, Math.min(from + length, to));
    for (;;) {
      const window = await ahead;
      if (window.to >= to) return yield window;
      length = nextLength(length, window.bytes, longest);
      ahead = load(site, window.to, Math.min(window.to + length, to));
      // It is waited for only once this one was played; until then its failure is nobody's.
      ahead.catch(() => undefined);
      yield window;
    }
  }

  async function load(site: string, from: number, to: number): Promise<Loaded> {
    const scenes: Scene[] = [];
    const settled = Date.now() - STILL_MS;
    let bytes = 0;
    let turn = TURN_BYTES;
    const damaged: string[] = [];
    for (const { visit, runs, leftOut } of await scenesOf(site, from, to)) {
      if (leftOut) damaged.push(visit.id);
      for (const { payload } of runs) bytes += payload.length;
      if (bytes > turn) {
        turn = bytes + TURN_BYTES;
        await nextTurn();
      }
      scenes.push({ visit, passages: runs.flatMap((run) => passagesOf(run)) });
    }
    return { scenes, bytes, damaged, to, settled };
  }

  /** A window that the store cannot read at all is passed over: the rest of the time is told, and the log says what is missing. */
  async function scenesOf(site: string, from: number, to: number): Promise<RecordScene[]> {
    try {
      return await archive.scenes(site, null, from, to);
    } catch (error) {
      const { code, message } = error as { code?: unknown; message: string };
      logger.error({ reason: message, from, to }, 'part of a replay cannot be read');
      if (code !== 'damaged') throw error;
      return [];
    }
  }
}

interface Loaded {
  scenes: Scene[];
  bytes: number;
  /** Ids of visits of which something is missing since it is damaged. */
  damaged: string[];
  to: number;
  /** As `Rewind.window` wants it. */
  settled: number;
}

function nextLength(length: number, bytes: number, longest: number): number {
  const wanted = Math.round(length * Math.min(2, WINDOW.bytes / Math.max(1, bytes)));
  return Math.max(WINDOW.least, Math.min(wanted, longest));
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

/** Where a reader that was cut off goes on: ids are times. Of another stream's id nothing is made. */
function lastTime(request: Pick<FastifyRequest, 'headers' | 'query'>): number | undefined {
  const id = lastEventIdOf(request);
  return id !== undefined && /^\d{1,16}$/.test(id) ? Number(id) : undefined;
}

/** Only seconds have an id: a stream that goes on there begins with a snapshot. */
function textOf({ name, data }: ReplayEvent): string {
  const id = name === 'rates' || name === 'end' ? String(data.t) : undefined;
  return eventText(id, name, JSON.stringify(data));
}
