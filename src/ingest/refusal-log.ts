/**
 * Collects refused connections and POSTs, and hands them on together: a page that is refused tries again and again, and
 * each change of the store is a commit.
 */
import { isRefusalReason, type Refusal, refusalOf } from '../model/refusal.ts';

/** Time between the first refusal and its write, milliseconds. Somebody may be waiting for it in Settings. */
const WRITE_MS = 300;
/** Maximum number of different refusals that wait. Further ones are not noted. */
const MAX_WAITING = 100;

export class RefusalLog {
  readonly #write: (refusals: readonly Refusal[]) => Promise<void>;
  readonly #waiting = new Map<string, Refusal>();
  #timer: NodeJS.Timeout | undefined;

  /** `write` stores refusals. It must not fail. */
  constructor(write: (refusals: readonly Refusal[]) => Promise<void>) {
    this.#write = write;
  }

  /** Notes a refusal with this problem code. Codes that say nothing about the site or its setup are ignored. */
  add(site: string, origin: string | undefined, code: string): void {
    if (!isRefusalReason(code)) return;
    const refusal = refusalOf(site, origin, code, Date.now());
    const name = `${refusal.site} ${refusal.origin} ${code}`;
    const { count = 0 } = this.#waiting.get(name) ?? {};
    if (count === 0 && this.#waiting.size >= MAX_WAITING) return;
    this.#waiting.set(name, { ...refusal, count: count + 1 });
    this.#timer ??= setTimeout(() => void this.flush(), WRITE_MS);
  }

  /** Writes what is waiting. */
  async flush(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const refusals = [...this.#waiting.values()];
    this.#waiting.clear();
    if (refusals.length > 0) await this.#write(refusals);
  }
}
