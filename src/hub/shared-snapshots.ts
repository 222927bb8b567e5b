/**
 * Snapshots that streams share. When many streams open or restart at the same time, making the text of one snapshot
 * each would block the process: it is made once, and later streams also get the events since.
 */
import type { StreamRequest } from '../protocol/ipc.ts';

/**
 * A snapshot is shared for this many times as long as it took to make. So snapshots take at most a tenth of the time of
 * the process, however many streams open.
 */
const SHARED_TIMES = 9;
/** A snapshot that took less time is not shared, milliseconds: making it again is cheap, and it is current. */
const MIN_SHARED_MS = 2;
/** Maximum age of a shared snapshot, milliseconds: the events since then would cost more. */
const MAX_AGE_MS = 1000;
/** Maximum number of snapshots: one of 20,000 visitors has about 4 MB. */
const MAX_SNAPSHOTS = 8;

export interface SharedSnapshot {
  /** Number of the last event that the snapshot includes. */
  seq: number;
  bytes: Buffer;
}

export class SharedSnapshots {
  /** By the part of the request that decides what a snapshot shows; the oldest first. */
  readonly #byView = new Map<string, SharedSnapshot & { site: string; until: number }>();

  /** Returns a snapshot that may still be shared. `now` is in ms. */
  find(request: StreamRequest, now: number): SharedSnapshot | undefined {
    const known = this.#byView.get(viewOf(request));
    return known && now <= known.until ? known : undefined;
  }

  /** Adds a snapshot that took `tookMs` to make. */
  add(request: StreamRequest, snapshot: SharedSnapshot, tookMs: number, now: number): void {
    if (tookMs < MIN_SHARED_MS) return;
    const view = viewOf(request);
    const until = now + Math.min(MAX_AGE_MS, SHARED_TIMES * tookMs);
    this.#byView.delete(view);
    this.#byView.set(view, { ...snapshot, site: request.site, until });
    for (const oldest of this.#byView.keys()) {
      if (this.#byView.size <= MAX_SNAPSHOTS) break;
      this.#byView.delete(oldest);
    }
  }

  /** Call it when the state of a site has changed without an event. */
  forget(site: string): void {
    for (const [view, snapshot] of this.#byView) if (snapshot.site === site) this.#byView.delete(view);
  }

  /** Removes snapshots that may no longer be shared. */
  sweep(now: number): void {
    for (const [view, { until }] of this.#byView) if (now > until) this.#byView.delete(view);
  }
}

/** Requests that could not be checked lack the minutes of other nodes. */
function viewOf({ site, page, visitor, made, checked }: StreamRequest): string {
  return JSON.stringify([site, page, visitor, made, checked]);
}
