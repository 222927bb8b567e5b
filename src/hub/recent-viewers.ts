/** Who looks on at which site, or did a short while ago: what is known of that while the store cannot be asked. */
import { getOrInsert } from '../lib/get-or-insert.ts';
import type { StreamRequest } from '../protocol/ipc.ts';

/** Who turns to another page, or whose connection broke, comes back within so long, milliseconds. */
const RECENT_MS = 60_000;

/** Who looks on: by which session or token, and at which site. */
export type Viewing = Pick<StreamRequest, 'credential' | 'site'>;

interface Known extends Viewing {
  /** Streams now. */
  open: number;
  /** When the last one was closed, Unix ms. */
  closed: number;
}

export class RecentViewers {
  readonly #byKey = new Map<string, Known>();

  /** Also those whose streams are closed: to be asked after as long as they could come back. */
  all(): Viewing[] {
    return [...this.#byKey.values()];
  }

  came(looking: Viewing): void {
    const { credential, site } = looking;
    getOrInsert(this.#byKey, keyOf(looking), () => ({ credential, site, open: 0, closed: 0 })).open += 1;
  }

  went(looking: Viewing, now: number): void {
    const known = this.#byKey.get(keyOf(looking));
    if (!known) return;
    known.open -= 1;
    known.closed = now;
  }

  /** Who was forbidden to look on does not come back by having done so. */
  forget(looking: Viewing): void {
    this.#byKey.delete(keyOf(looking));
  }

  has(looking: Viewing, now: number): boolean {
    const known = this.#byKey.get(keyOf(looking));
    return known !== undefined && !isOver(known, now);
  }

  sweep(now: number): void {
    for (const [key, known] of this.#byKey) if (isOver(known, now)) this.#byKey.delete(key);
  }
}

function isOver({ open, closed }: Known, now: number): boolean {
  return open <= 0 && now - closed > RECENT_MS;
}

function keyOf({ credential, site }: Viewing): string {
  return JSON.stringify([credential, site]);
}
