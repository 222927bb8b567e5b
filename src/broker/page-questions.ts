/** Asks other machines how many visitors are on each page of a site, and takes what they tell in time. */

/** An answer that has not come by then is not waited for, milliseconds; workers wait a second for theirs. */
const LIMIT_MS = 600;
/** Questions at once; while there are so many, only what is here is told. */
const MAX_OPEN = 100;

type Pages = [page: string, visitors: number][];

interface Open {
  awaited: Set<string>;
  pages: Pages;
  resolve(): void;
}

export class PageQuestions {
  readonly #open = new Map<number, Open>();
  #last = 0;

  /** `send` asks all machines under a number. */
  async ask(machines: Iterable<string>, send: (ask: number) => void): Promise<Pages> {
    const awaited = new Set(machines);
    if (awaited.size === 0 || this.#open.size >= MAX_OPEN) return [];
    this.#last += 1;
    const ask = this.#last;
    const pages: Pages = [];
    let timer: NodeJS.Timeout | undefined;
    await new Promise<void>((resolve) => {
      this.#open.set(ask, { awaited, pages, resolve });
      timer = setTimeout(resolve, LIMIT_MS);
      send(ask);
    });
    clearTimeout(timer);
    this.#open.delete(ask);
    return pages;
  }

  /** One that comes too late is nobody's. */
  answer(machine: string, ask: number, pages: Pages): void {
    const open = this.#open.get(ask);
    if (!open?.awaited.delete(machine)) return;
    open.pages.push(...pages);
    if (open.awaited.size === 0) open.resolve();
  }
}
