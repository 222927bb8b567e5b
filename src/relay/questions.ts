/** Questions that a worker asks the primary for its HTTP clients, with short timeouts. */
import { TAG, type ToPrimary, type TroubleName } from '../protocol/ipc.ts';

/** How long to wait for an answer, milliseconds. */
const TIMEOUT_MS = 1000;
/** The primary itself waits a second for workers that do not answer. */
const SCRAPE_TIMEOUT_MS = 3000;
/** A primary that does not answer within this time is stuck: a busy one answers after about 100 ms. */
const HEALTH_TIMEOUT_MS = 2000;
/** Maximum number of open questions: more would only add to the work of a busy primary. */
const MAX_OPEN = 100;

/** The number of visitors on each page. */
type Pages = ReadonlyMap<string, number>;

export class Questions {
  readonly #send: (message: ToPrimary) => void;
  readonly #open = new Map<number, (answer: unknown) => void>();
  #last = 0;
  #health: Promise<readonly TroubleName[] | undefined> | undefined;

  constructor(send: (message: ToPrimary) => void) {
    this.#send = send;
  }

  /** The number of visitors on each page of a site now; undefined if the primary does not answer in time. */
  async present(site: string): Promise<Pages | undefined> {
    const pages = await this.#ask<[page: string, visitors: number][]>((ask) => ({ tag: TAG, k: 'ask', ask, site }));
    return pages && new Map(pages);
  }

  /**
   * The troubles of this server; undefined if the primary does not answer in time. Concurrent callers share one
   * question.
   */
  health(): Promise<readonly TroubleName[] | undefined> {
    this.#health ??= this.#request<readonly TroubleName[]>(
      (ask) => ({ tag: TAG, k: 'health', ask }),
      HEALTH_TIMEOUT_MS,
    ).finally(() => {
      this.#health = undefined;
    });
    return this.#health;
  }

  /** The metrics of all processes in the Prometheus format; undefined if the primary does not answer in time. */
  metrics(): Promise<string | undefined> {
    return this.#ask((ask) => ({ tag: TAG, k: 'scrape', ask }), SCRAPE_TIMEOUT_MS);
  }

  async #ask<T>(question: (ask: number) => ToPrimary, limitMs = TIMEOUT_MS): Promise<T | undefined> {
    return this.#open.size >= MAX_OPEN ? undefined : this.#request(question, limitMs);
  }

  async #request<T>(question: (ask: number) => ToPrimary, limitMs: number): Promise<T | undefined> {
    this.#last += 1;
    const ask = this.#last;
    let timer: NodeJS.Timeout | undefined;
    const answer = await new Promise<unknown>((resolve) => {
      this.#open.set(ask, resolve);
      timer = setTimeout(() => resolve(undefined), limitMs);
      this.#send(question(ask));
    });
    clearTimeout(timer);
    this.#open.delete(ask);
    return answer as T | undefined;
  }

  /** Handles the primary's answer. An answer that comes too late is ignored. */
  answer(ask: number, answer: unknown): void {
    this.#open.get(ask)?.(answer);
  }
}
