/**
 * Where things are on the page. In an application shell a part of the page scrolls in place of the window: then the page is as high
 * as if that part showed all that it holds.
 */
import type { Size } from '../protocol/encode.ts';
import { ask } from './guard.ts';
import { MAX_COORDINATE } from './limits.ts';

/** What scrolls in place of the window. */
export let scroller: Element | undefined;

/**
 * Returns the sizes of viewport and page. Looks for what scrolls: in the middle of the window, at least half as high, and
 * hiding more than anything else there.
 */
export function measure(): Size {
  const root = ask(document, 'scrollingElement');
  let most = root?.scrollHeight - innerHeight || 0;
  scroller = undefined;
  for (const one of ask(document, 'elementsFromPoint', innerWidth / 2, innerHeight / 2)) {
    const { scrollHeight, clientHeight } = one;
    // Values of `overflow-y` with an "o" let the visitor scroll: auto, scroll.
    if (
      scrollHeight - clientHeight > most &&
      clientHeight * 2 > innerHeight &&
      /o/.test(getComputedStyle(one).overflowY)
    ) {
      scroller = one;
      most = scrollHeight - clientHeight;
    }
  }
  return [innerWidth, innerHeight, root?.scrollWidth, innerHeight + most].map((one) => pixel(one)) as unknown as Size;
}

/** How far down what `target` is in has been scrolled, beyond what the window was. */
export function shift(target: EventTarget | null | undefined): number {
  return scroller?.contains(target as Node) ? scroller.scrollTop : 0;
}

/** Whole page pixels, within what a frame may name. Rubber-band scrolling and captured pointers go below 0. */
export function pixel(value: number, most = MAX_COORDINATE): number {
  return Math.round(Math.min(most, Math.max(0, value)));
}
