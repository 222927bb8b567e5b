/**
 * Sizes and positions on the page. In an application shell, an element scrolls in place of the window. The page then
 * counts as large as if that element showed all of its content.
 */
import type { Point, Size } from '../protocol/encode.ts';
import { MAX_COORDINATE } from '../protocol/limits.ts';
import { ask, attempt } from './guard.ts';

/** The element that scrolls: `root`, which stands for the window, or an element of the page. */
export let scroller: Element;
let root: Element;
/** Width of the page left of the unscrolled viewport, for texts that run from right to left. */
export let hiddenLeft = 0;

/**
 * Returns the sizes of viewport and page, and finds `scroller`: of the elements in the middle of the window that are at
 * least half as high as the window, the one that hides most of its content. It may be in a shadow tree.
 */
export function measure(): Size {
  let width = 0;
  let height = 0;
  // From `window`, because scripts of the page may have variables of these names.
  const { innerWidth, innerHeight } = window;
  const middle = [innerWidth / 2, innerHeight / 2] as const;
  // The root is added because the middle may lie outside it: in quirks mode, the body may be narrow or not scroll.
  // The loop also visits elements that are added while it runs. A set, because some browsers list the elements around
  // a shadow tree again.
  scroller = root = ask(document, 'scrollingElement') || ask(document, 'documentElement');
  const seen = new Set<Element>(ask(document, 'elementsFromPoint', ...middle)).add(root);
  for (const one of seen)
    attempt(() => {
      const { overflow, direction } = getComputedStyle(one);
      const x = one.scrollWidth - one.clientWidth;
      const y = one.scrollHeight - one.clientHeight;
      // The values that let visitors scroll have an "o": auto, scroll.
      if ((one === root || /o/.test(overflow)) && one.clientHeight * 2 > innerHeight && x + y >= width + height) {
        scroller = one;
        width = x;
        height = y;
        hiddenLeft = direction === 'rtl' ? x : 0;
      }
      one.shadowRoot?.elementsFromPoint(...middle).forEach(seen.add, seen);
    });
  return [innerWidth, innerHeight, innerWidth + width, innerHeight + height].map(pixel) as unknown as Size;
}

/** Scroll offset of the page in the window, for something inside all elements of `path`. */
export function scrolled(path: readonly unknown[] = [scroller]): Point {
  if (!root) measure();
  let { scrollLeft: x, scrollTop: y } = root;
  if (scroller !== root && path.includes(scroller)) {
    x += scroller.scrollLeft;
    y += scroller.scrollTop;
  }
  return [x, y];
}

/** Rounds to page pixels in the range of a frame. Rubber-band scrolling and captured pointers give values below 0. */
export function pixel(value: number): number {
  return Math.round(Math.max(0, Math.min(MAX_COORDINATE, value)));
}
