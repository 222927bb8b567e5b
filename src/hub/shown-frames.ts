/**
 * Remembers which frames of one visitor were shown on streams. A page that comes back sends frames that were not acked
 * again, even if its visitor has left meanwhile. Streams must not show them twice.
 */
import { PAGE_NUMBERS } from '../protocol/ipc.ts';

/** Frame numbers of two pages differ by more than this, those of one page by less. */
const PAGE_DISTANCE = PAGE_NUMBERS / 2;
/** Maximum number of pages to remember; a browser keeps fewer than ten in its back/forward cache. */
const MAX_PAGES = 16;

/** One page load, known by its frame numbers. */
interface Page {
  /** The last frame that is known to be accepted. */
  n: number;
  /** The last event shown: its frame, and its index in the frame. */
  eventN: number;
  eventI: number;
}

export class ShownFrames {
  readonly #pages: Page[] = [];

  /** The last accepted frame of the page that made frame `n`; undefined if nothing is known of that page. */
  lastBefore(n: number): number | undefined {
    return this.#find(n)?.n;
  }

  /** Records that a page's frames up to `n` were accepted, or that its numbers start there. */
  take(n: number): void {
    const page = this.#of(n);
    page.n = Math.max(page.n, n);
  }

  /** Records that event `i` of frame `n` is shown. Returns false if it was shown before. */
  show(n: number, i: number): boolean {
    const page = this.#of(n);
    if (n < page.eventN || (n === page.eventN && i <= page.eventI)) return false;
    page.eventN = n;
    page.eventI = i;
    page.n = Math.max(page.n, n);
    return true;
  }

  #find(n: number): Page | undefined {
    return this.#pages.find((page) => Math.abs(page.n - n) < PAGE_DISTANCE);
  }

  #of(n: number): Page {
    const found = this.#find(n);
    if (found) return found;
    const page: Page = { n, eventN: -1, eventI: -1 };
    this.#pages.push(page);
    if (this.#pages.length > MAX_PAGES) this.#pages.shift();
    return page;
  }
}
