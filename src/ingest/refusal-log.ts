/**
 * Collects refused connections and POSTs, and hands them on together: each change of the store is a commit, and the
 * visitors of a wrong snippet may be many.
 */
import { TokenBucket } from '../lib/token-bucket.ts';
import { isRefusalReason, type Refusal, refusalKey, refusalOf } from '../model/refusal.ts';

/** Time between a refusal and its write, milliseconds: somebody may be waiting for it in Settings. */
const PROMPT_MS = 300;
/** The same while refusals do not end. */
const SLOW_MS = 5000;
/** Prompt writes: at most so many in a row, then one in this many seconds. */
const PROMPT_BURST = 10;
const PROMPT_RATE = 1 / 10;
/** Maximum number of different refusals that wait. Further ones are not noted. */
const MAX_WAITING = 100;

export class RefusalLog {
  readonly #write: (refusals: readonly Refusal[]) => Promise<void>;
  readonly #waiting = new Map<string, Refusal>();
  readonly #prompt = new TokenBucket(PROMPT_RATE, PROMPT_BURST, performance.now());
  #timer: NodeJS.Timeout | undefined;
  #writing: Promise<void> | undefined;

  /** `write` stores refusals. It must not fail. */
  constructor(write: (refusals: readonly Refusal[]) => Promise<void>) {
    this.#write = write;
  }

  /** Notes a refusal with this problem code. Codes that say nothing about the site or its setup are ignored. */
  add(site: string, origin: string | undefined, code: string): void {
    if (!isRefusalReason(code)) return;
    const refusal = refusalOf(site, origin, code, Date.now());
    const name = refusalKey(refusal);
    const { count = 0 } = this.#waiting.get(name) ?? {};
    if (count === 0 && this.#waiting.size >= MAX_WAITING) return;
    this.#waiting.set(name, { ...refusal, count: count + 1 });
    this.#plan();
  }

  /** Only one write is in progress at a time. */
  #plan(): void {
    if (this.#timer || this.#writing || this.#waiting.size === 0) return;
    const delay = this.#prompt.take(1, performance.now()) ? PROMPT_MS : SLOW_MS;
    this.#timer = setTimeout(() => void this.flush(), delay);
  }

  /** Writes what is waiting. */
  async flush(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    await this.#writing;
    const refusals = [...this.#waiting.values()];
    this.#waiting.clear();
    if (refusals.length === 0) return;
    this.#writing = this.#write(refusals).finally(() => {
      this.#writing = undefined;
      this.#plan();
    });
    await this.#writing;
  }
}
