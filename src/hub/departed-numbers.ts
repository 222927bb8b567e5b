/**
 * Visitors that have just left. If they come back, streams are not told again what they were told before. A visitor
 * that comes back later is looked up in the record; by then all its frames are filed.
 */
import type { SitePresence } from './site-presence.ts';

type Past = Pick<SitePresence, 'shown' | 'frame' | 'lastTime'>;

/** Filing takes half a minute at most, and longer under load. */
const KEPT_MS = 120_000;
/** Some 200 bytes each. */
const MAX_KEPT = 50_000;

export class DepartedNumbers {
  readonly #byId = new Map<string, Past & { until: number }>();

  add(id: string, { shown, frame, lastTime }: Past): void {
    this.#byId.delete(id);
    this.#byId.set(id, { shown, frame, lastTime, until: performance.now() + KEPT_MS });
    if (this.#byId.size <= MAX_KEPT) return;
    const [oldest] = this.#byId.keys();
    if (oldest !== undefined) this.#byId.delete(oldest);
  }

  /** What is known of a visitor that comes back; it is not kept here any more. */
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
