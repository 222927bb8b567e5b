/** What a worker asks the primary for its own clients, who do not wait long. */
import { TAG, type ToPrimary, type TroubleName } from '../protocol/ipc.ts';

/** An answer that has not come by then is not waited for, milliseconds. */
const LIMIT_MS = 1000;
/** The primary itself waits a second for workers that do not answer. */
const SCRAPE_LIMIT_MS = 3000;
/** A primary that has not answered by then stands still: a busy one is late by some 100 ms. */
const HEALTH_LIMIT_MS = 2000;
/** Questions at once; while there are so many, none is added to what a busy primary has to do. */
const MAX_OPEN = 100;

/** Visitors on each page. */
type Pages = ReadonlyMap<string, number>;

export class Questions {
  readonly #send: (message: ToPrimary) => void;
  readonly #open = new Map<number, (answer: unknown) => void>();
  #last = 0;
  #health: Promise<readonly TroubleName[] | undefined> | undefined;

  constructor(send: (message: ToPrimary) => void) {
    this.#send = send;
  }

  /** How many visitors of a site are on each page now; undefined: the primary does not answer in time. */
  async present(site: string): Promise<Pages | undefined> {
    const pages = await this.#ask<[page: string, visitors: number][]>((ask) => ({ tag: TAG, k: 'ask', ask, site }));
    return pages && new Map(pages);
  }

  /** What keeps this server from working as it should; undefined: the primary does not answer. One question at a time is for all who ask. */
  health(): Promise<readonly TroubleName[] | undefined> {
    this.#health ??= this.#await<readonly TroubleName[]>(
      (ask) => ({ tag: TAG, k: 'health', ask }),
      HEALTH_LIMIT_MS,
    ).finally(() => {
      this.#health = undefined;
    });
    return this.#health;
  }

  /** What all processes tell of themselves, as Prometheus reads it; undefined as above. */
  metrics(): Promise<string | undefined> {
    return this.#ask((ask) => ({ tag: TAG, k: 'scrape', ask }), SCRAPE_LIMIT_MS);
  }

  async #ask<T>(question: (ask: number) => ToPrimary, limitMs = LIMIT_MS): Promise<T | undefined> {
    return this.#open.size >= MAX_OPEN ? undefined : this.#await(question, limitMs);
  }

  async #await<T>(question: (ask: number) => ToPrimary, limitMs: number): Promise<T | undefined> {
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

  /** Takes the primary's answer. One that comes too late is nobody's. */
  answer(ask: number, answer: unknown): void {
    this.#open.get(ask)?.(answer);
  }
}
