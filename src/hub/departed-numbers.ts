/**
 * Frame numbers of visitors that have just left. If such a visitor comes back, streams do not get the same events
 * twice. A visitor that comes back later is looked up in the store: by then compaction has included all its frames.
 */
import type { SitePresence } from './site-presence.ts';

type Past = Pick<SitePresence, 'shown' | 'frame' | 'lastTime'>;

/** Compaction takes up to half a minute, and longer under load. */
const RETENTION_MS = 120_000;
/** About 200 bytes each. */
const MAX_ENTRIES = 50_000;

export class DepartedNumbers {
  readonly #byId = new Map<string, Past & { until: number }>();

  add(id: string, { shown, frame, lastTime }: Past): void {
    this.#byId.delete(id);
    this.#byId.set(id, { shown, frame, lastTime, until: performance.now() + RETENTION_MS });
    if (this.#byId.size <= MAX_ENTRIES) return;
    const [oldest] = this.#byId.keys();
    if (oldest !== undefined) this.#byId.delete(oldest);
  }

  /** Removes and returns what is known of a visitor that comes back. */
  take(id: string): Past | undefined {
    const past = this.#byId.get(id);
    this.#byId.delete(id);
    return past;
  }

  sweep(): void {
    const now = performance.now();
    for (const [id, { until }] of this.#byId) {
      if (until > now) return;
      this.#byId.delete(id);
    }
  }
}
