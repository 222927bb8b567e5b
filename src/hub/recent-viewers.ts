/**
 * The viewers of each site: those with an open stream, and those whose last stream ended less than RECENT_MS ago. While
 * the store does not respond, only they may open streams.
 */
import { getOrInsert } from '../lib/get-or-insert.ts';
import type { StreamRequest } from '../protocol/ipc.ts';

/** A person who opens another page or whose connection breaks comes back within this time, milliseconds. */
const RECENT_MS = 60_000;

/** A session or token with an open or recent stream, and the site of the stream. */
export type Viewing = Pick<StreamRequest, 'credential' | 'site'>;

interface Known extends Viewing {
  /** Number of open streams. */
  open: number;
  /** When the last one was closed, Unix ms. */
  closed: number;
}

export class RecentViewers {
  readonly #byKey = new Map<string, Known>();

  /** All viewers. Includes those whose streams are closed: access is checked for as long as they could come back. */
  all(): Viewing[] {
    return [...this.#byKey.values()];
  }

  opened(viewing: Viewing): void {
    const { credential, site } = viewing;
    getOrInsert(this.#byKey, keyOf(viewing), () => ({ credential, site, open: 0, closed: 0 })).open += 1;
  }

  closed(viewing: Viewing, now: number): void {
    const entry = this.#byKey.get(keyOf(viewing));
    if (!entry) return;
    entry.open -= 1;
    entry.closed = now;
  }

  /** Removes a viewer that has lost access, so that it cannot come back as a recent viewer. */
  forget(viewing: Viewing): void {
    this.#byKey.delete(keyOf(viewing));
  }

  has(viewing: Viewing, now: number): boolean {
    const entry = this.#byKey.get(keyOf(viewing));
    return entry !== undefined && !isExpired(entry, now);
  }

  sweep(now: number): void {
    for (const [key, entry] of this.#byKey) if (isExpired(entry, now)) this.#byKey.delete(key);
  }
}

function isExpired({ open, closed }: Known, now: number): boolean {
  return open <= 0 && now - closed > RECENT_MS;
}

function keyOf({ credential, site }: Viewing): string {
  return JSON.stringify([credential, site]);
}
