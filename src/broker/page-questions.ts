/** Asks other nodes how many visitors are on each page of a site, and collects the answers that arrive in time. */

/** How long to wait for answers, milliseconds; workers wait a second for theirs. */
const TIMEOUT_MS = 600;
/** Maximum number of open questions. Above it only the pages of this node are returned. */
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

  /** `send` sends the question with this number to all nodes. */
  async ask(machines: Iterable<string>, send: (ask: number) => void): Promise<Pages> {
    const awaited = new Set(machines);
    if (awaited.size === 0 || this.#open.size >= MAX_OPEN) return [];
    this.#last += 1;
    const ask = this.#last;
    const pages: Pages = [];
    let timer: NodeJS.Timeout | undefined;
    await new Promise<void>((resolve) => {
      this.#open.set(ask, { awaited, pages, resolve });
      timer = setTimeout(resolve, TIMEOUT_MS);
      send(ask);
    });
    clearTimeout(timer);
    this.#open.delete(ask);
    return pages;
  }

  /** Adds a node's answer. An answer that comes too late is ignored. */
  answer(node: string, ask: number, pages: Pages): void {
    const open = this.#open.get(ask);
    if (!open?.awaited.delete(node)) return;
    open.pages.push(...pages);
    if (open.awaited.size === 0) open.resolve();
  }
}
