/** Reads the record of a site in windows of time, one window ahead of the reader. */
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { VisitRuns } from '../model/query.ts';
import { passagesOf } from '../protocol/passages.ts';
import { STILL_MS } from '../protocol/stream-event.ts';
import type { VisitPassages } from '../replay/site-replay.ts';
import type { HttpOptions } from './contract.ts';

/** Length of a window, milliseconds. It grows and shrinks towards `bytes`. */
const WINDOW = { first: 5000, min: 1000, max: 60_000, bytes: 256 * 1024 } as const;
/** Longest time that a window plays, milliseconds of real time: the session is checked with each. */
const WINDOW_PLAYS_MS = 10_000;
/** Bytes of runs that are decoded in one turn of the event loop. */
const TURN_BYTES = 64 * 1024;

/** The part of a site's past that is played. Times are Unix ms. */
export interface Replay {
  site: string;
  /** Only visits while they are on this page; null: all pages. */
  stage: string | null;
  from: number;
  to: number;
  /** 1 plays in real time; 0: as fast as the client reads. */
  speed: number;
}

/** What happened in one window. */
export interface ReplayWindow {
  scenes: VisitPassages[];
  /** Bytes of runs that were read. */
  bytes: number;
  /** Ids of visits with a damaged part, which is missing. */
  damaged: string[];
  /** End of the window. */
  to: number;
  /** Visits without a sample for STILL_MS before this time are over. */
  settled: number;
}

/** Windows from `from` to `to`, in order. A window that is not read from here is not read from the store. */
export async function* replayWindows(
  { archive, logger }: Pick<HttpOptions, 'archive' | 'logger'>,
  { site, from, to, speed }: Replay,
): AsyncGenerator<ReplayWindow> {
  const max = speed === 0 ? WINDOW.max : Math.min(WINDOW.max, Math.max(WINDOW.first, speed * WINDOW_PLAYS_MS));
  const load = async (start: number, end: number) => decode(await readVisits(start, end), end);
  let length: number = WINDOW.first;
  let ahead = load(from, Math.min(from + length, to));
  for (;;) {
    const window = await ahead;
    if (window.to >= to) return yield window;
    length = nextLength(length, window.bytes, max);
    ahead = load(window.to, Math.min(window.to + length, to));
    // It is awaited when this window was played. A failure until then must not count as unhandled.
    ahead.catch(() => undefined);
    yield window;
  }

  /** A window that the store cannot read is skipped; the log has the reason. */
  async function readVisits(start: number, end: number): Promise<VisitRuns[]> {
    try {
      return await archive.scenes(site, null, start, end);
    } catch (error) {
      const { code, message } = error as { code?: unknown; message: string };
      logger.error({ reason: message, from: start, to: end }, 'part of a replay cannot be read');
      if (code !== 'damaged') throw error;
      return [];
    }
  }
}

/** Decodes runs into passages, with pauses for other work of this process. */
async function decode(visits: readonly VisitRuns[], to: number): Promise<ReplayWindow> {
  const window: ReplayWindow = { scenes: [], bytes: 0, damaged: [], to, settled: Date.now() - STILL_MS };
  let nextPause = TURN_BYTES;
  for (const { visit, runs, leftOut } of visits) {
    if (leftOut) window.damaged.push(visit.id);
    for (const { payload } of runs) window.bytes += payload.length;
    if (window.bytes > nextPause) {
      nextPause = window.bytes + TURN_BYTES;
      await nextTurn();
    }
    window.scenes.push({ visit, passages: runs.flatMap((run) => passagesOf(run)) });
  }
  return window;
}

function nextLength(length: number, bytes: number, max: number): number {
  const wanted = Math.round(length * Math.min(2, WINDOW.bytes / Math.max(1, bytes)));
  return Math.max(WINDOW.min, Math.min(wanted, max));
}
