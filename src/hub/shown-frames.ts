/**
 * Remembers which frames of one visitor the streams were told of. A page that comes back sends again what was not
 * acked, even if its visitor has left meanwhile. Streams must not be told of it twice.
 */
import { PAGE_NUMBERS } from '../protocol/ipc.ts';

/** Numbers of two pages are further apart than this, and those of one page are not. */
const REACH = PAGE_NUMBERS / 2;
/** Pages that are remembered; a browser keeps fewer than ten to go back to. */
const MAX_PAGES = 16;

/** One page load, known by its frame numbers. */
interface Page {
  /** The last frame that is known to be taken. */
  n: number;
  /** The last event told: its frame, and its place in the frame. */
  eventN: number;
  eventI: number;
}

export class ShownFrames {
  readonly #pages: Page[] = [];

  /** The last frame taken of the page that has made frame `n`; undefined if nothing is known of that page. */
  lastBefore(n: number): number | undefined {
    return this.#find(n)?.n;
  }

  /** Notes that a page's frames up to `n` were taken, or that it numbers its frames from there on. */
  take(n: number): void {
    const page = this.#of(n);
    page.n = Math.max(page.n, n);
  }

  /** Notes event `i` of frame `n`. False if it was told before. */
  tell(n: number, i: number): boolean {
    const page = this.#of(n);
    if (n < page.eventN || (n === page.eventN && i <= page.eventI)) return false;
    page.eventN = n;
    page.eventI = i;
    page.n = Math.max(page.n, n);
    return true;
  }

  #find(n: number): Page | undefined {
    return this.#pages.find((page) => Math.abs(page.n - n) < REACH);
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
