/** What happened here in the current second, as other nodes are sent it; only of sites that they watch. */
import { getOrInsert } from '../lib/get-or-insert.ts';
import type { SeenSite } from '../protocol/ipc.ts';
import type { Second } from '../protocol/peer.ts';
import { MAX_ACTIVE } from '../protocol/stream-event.ts';

export class PeerSeconds {
  readonly #bySite = new Map<string, Second>();

  add({ site, samples, drops, rows }: SeenSite, flushMs: number): void {
    const second = getOrInsert(this.#bySite, site, emptySecond);
    second.samples += samples;
    second.drops += drops;
    second.flushMs = Math.max(second.flushMs, flushMs);
    for (let i = 0; i + 4 < rows.length && second.rows.length < 4 * MAX_ACTIVE; i += 5)
      second.rows.push(rows[i] as number, rows[i + 1] ?? null, rows[i + 2] ?? null, rows[i + 4] as number);
  }

  /** Undefined if nothing happened. */
  of(site: string): Second | undefined {
    return this.#bySite.get(site);
  }

  clear(): void {
    this.#bySite.clear();
  }
}

export function emptySecond(): Second {
  return { samples: 0, drops: 0, flushMs: 0, rows: [], minute: { t: 0, visitors: 0, samples: 0 } };
}
